/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signing.h: the request of a fetch that is signed anew for each attempt: kept, since what goes out is made of it each
 * time. Owning loop only.
 */
#ifndef HEADPOND_ORIGIN_SIGNING_H
#define HEADPOND_ORIGIN_SIGNING_H

#include "origin/client.h"

struct loop;
struct origin_signing;

/* A copy of the request; its texts are its own. */
struct origin_signing *origin_signing_new(const struct origin_request *request);
void origin_signing_free(struct origin_signing **signing);

/* Makes *request what goes out now; it is good until the next call. AGAIN: there is no credential yet, `ready` will be
 * called once from the loop; NO_CREDENTIAL: and none is on its way; BAD_TARGET. */
enum status origin_signing_next(struct origin_signing *signing, struct loop *loop, void (*ready)(void *arg), void *arg,
                                struct origin_request *request) STATUS_CHECKED;
/* `ready` will not be called any more. NULL is fine. */
void origin_signing_stop(struct origin_signing *signing);

#endif
