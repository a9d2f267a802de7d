/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scripted misbehaviour. A fault matches requests by path and method and is used up after `times`
 * requests; the first that matches wins. All functions are [locked], see blob.h.
 */
#ifndef T_ORIGIN_FAULT_H
#define T_ORIGIN_FAULT_H

#include "util.h"

/* Number-valued and yes/no parameters of PUT /.control/fault; -1 and false are "not asked for". */
#define FAULT_NUMBERS(X)                                                                                               \
    X(first_byte_ms)  /* wait before the reply's head */                                                               \
    X(rate)           /* body bytes a second */                                                                        \
    X(truncate_after) /* body bytes, then a clean close */                                                             \
    X(stall_after)    /* body bytes, then silence until the peer closes */                                             \
    X(reset_after)    /* body bytes, then a TCP reset */                                                               \
    X(status)         /* answer with 500, 503 or another error */                                                      \
    X(over)           /* only what comes beyond so many requests a second */                                           \
    X(retry_after)    /* seconds, with status */                                                                       \
    X(touch_after)    /* body bytes of this reply, then the blob gets a new generation */                              \
    X(seed)           /* of that generation; the old seed + 1 unless given */                                          \
    X(huge_headers)   /* bytes of padding headers */
#define FAULT_FLAGS(X)                                                                                                 \
    X(wrong_content_range) /* shifted by one byte */                                                                   \
    X(wrong_length)        /* one byte less than Content-Range promises, framed accordingly */                         \
    X(wrong_etag)                                                                                                      \
    X(no_etag)                                                                                                         \
    X(chunked) /* Transfer-Encoding instead of Content-Length */                                                       \
    X(garbage) /* not HTTP at all, then a close */                                                                     \
    X(close_before_reply)                                                                                              \
    X(interim) /* a 103 first */

struct fault {
#define X(name) int64_t name;
    FAULT_NUMBERS(X)
#undef X
#define X(name) bool name;
    FAULT_FLAGS(X)
#undef X
};

void fault_init(struct fault *f);

/* Takes the parameters of the control request; returns NULL or what is wrong with them. */
const char *fault_add(const struct pairs *params);
void fault_clear(void);
void fault_set_latency(int64_t first_byte_ms, int64_t rate); /* the default of blob reads */

/* Fills in what this request is to suffer. */
void fault_take(struct fault *f, const char *method, const char *path, bool blob_read);

/* Writes the faults not used up yet as a JSON array. */
void fault_list(struct buf *out);

#endif
