/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sign.h: a request made ours: the credential it may have had is taken off, our own put on. Signed anew for each
 * attempt, since dates and tokens pass. RCU-registered threads.
 */
#ifndef HEADPOND_ORIGIN_SIGN_H
#define HEADPOND_ORIGIN_SIGN_H

#include <stdint.h>

#include "base/status.h"
#include "http/message.h"
#include "origin/client.h"
#include "origin/credential.h"

/* `headers` has an arena, and nothing in it: it gets the request's fields as they go out, *target the request's target.
 * Texts are the request's or in the arena. AGAIN: there is no value now (credential_wait); BAD_TARGET: a query that
 * nobody could sign. */
enum status origin_sign(const struct credential *credential, const struct origin_request *request, int64_t now_s,
                        struct http_headers *headers, struct str *target) STATUS_CHECKED;

#endif
