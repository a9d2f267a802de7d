/* SPDX-License-Identifier: Apache-2.0 */
/*
 * precondition.h: If-Match, If-None-Match, If-Modified-Since and If-Unmodified-Since on a read (RFC 9110, 13), combined
 * the way Azure does:
 *
 *     If-Match && If-Unmodified-Since && (If-None-Match || If-Modified-Since)
 *
 * which differs from RFC 9110, 13.2.2 in that no field makes another one ignored. An absent field does not count. Pure;
 * any thread.
 */
#ifndef HEADPOND_HTTP_PRECONDITION_H
#define HEADPOND_HTTP_PRECONDITION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "http/message.h"

enum precondition {
    PRECONDITION_PASS,
    PRECONDITION_NOT_MODIFIED, /* 304 */
    PRECONDITION_FAILED,       /* 412 */
    PRECONDITION_NEEDS_ORIGIN, /* cannot be told from what is known: a malformed or repeated date (Azure: 400), a date
                                  and no Last-Modified, an empty field */
};

#define PRECONDITION_NO_DATE INT64_MIN

/* `headers`: the request's. `etag`: as the origin wrote it. `last_modified_s`: or PRECONDITION_NO_DATE. */
enum precondition precondition_evaluate(const struct http_headers *headers, struct str etag, int64_t last_modified_s);

/* Whether two entity tags are the same, each with quotes or without (Java strips them). W/ matches nothing (RFC 9110,
 * 8.8.3.2), nor does an empty tag. */
bool etag_eq_strong(struct str a, struct str b);
/* The one tag of an If-Match that has exactly one and is not "*"; else a NULL str. Points into the header. */
struct str precondition_single_match(const struct http_headers *headers);

#endif
