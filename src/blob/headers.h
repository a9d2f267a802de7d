/* SPDX-License-Identifier: Apache-2.0 */
/*
 * headers.h: how this floor looks at a request's header fields without knowing http/, which is a neighbour: through
 * functions of the caller's (http_headers_lookup and http_headers_at fit).
 */
#ifndef HEADPOND_BLOB_HEADERS_H
#define HEADPOND_BLOB_HEADERS_H

#include <stdbool.h>

#include "base/str.h"

struct blob_headers {
    /* The value of the nth (from 0) field of that name, case folded, or a NULL str. */
    struct str (*get)(const void *from, struct str name, unsigned nth);
    const void *from;
    /* The nth (from 0) field of any name; false: there are no more. May be NULL where nothing is signed. */
    bool (*at)(const void *from, unsigned nth, struct str *name, struct str *value);
};

static inline struct str blob_header(const struct blob_headers *headers, struct str name)
{
    return headers->get(headers->from, name, 0);
}

#endif
