/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upload.h: a request's body on its way to the origin, as a source that outlives the exchange it came from: an origin
 * fetch may hold on to it when the client has gone, and whoever watches learns whether the origin got all of it.
 */
#ifndef HEADPOND_PROXY_UPLOAD_H
#define HEADPOND_PROXY_UPLOAD_H

#include <stdbool.h>

#include "http/source.h"

struct upload;

/* Takes *body, whose length may be HTTP_LENGTH_UNKNOWN. One reference for the caller, one for the source that
 * upload_source returns. Own loop. */
struct upload *upload_new(struct source **body, int64_t length);
/* For the fetch; closing it drops its reference. */
struct source *upload_source(struct upload *upload);
/* Whether the consumer has taken the last byte. */
bool upload_complete(const struct upload *upload);
/* Why the body ended early, as far as it was read: the client's doing; OK if it has not. */
enum status upload_error(const struct upload *upload);
/* Closes the exchange's body now; a consumer that is not done with it fails with CLIENT_GONE. Never calls `ready`. */
void upload_cut(struct upload *upload);
/* Drops the caller's reference; *upload may be NULL. */
void upload_unref(struct upload **upload);

#endif
