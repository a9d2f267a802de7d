/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target.h: the request target and the authority, checked by the same rules for HTTP/1.1 and HTTP/2. Pure; any thread.
 */
#ifndef HEADPOND_HTTP_TARGET_H
#define HEADPOND_HTTP_TARGET_H

#include "base/status.h"
#include "base/str.h"
#include "http/message.h"

/* Checks `raw` for request->method and sets request->target (RFC 9112, 3.2). origin-form is kept as it is, "*" is for
 * OPTIONS only, absolute-form is reduced to origin-form and replaces request->authority (3.2.2). BAD_TARGET: another
 * form, or a byte that no URI has (blanks, controls, '#', beyond ASCII); METHOD_NOT_ALLOWED: CONNECT. Texts point into
 * `raw` or the arena of request->headers. */
enum status target_parse(struct http_request *request, struct str raw) STATUS_CHECKED;

/* host [":" port], without user information (RFC 3986, 3.2); the empty text is valid (RFC 9112, 3.2). */
bool target_authority_valid(struct str authority);

#endif
