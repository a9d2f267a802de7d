/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What has been asked and sent: counters by method, status and path, and a ring with the last
 * 10,000 requests. Has its own lock, so any thread may call anything here; record_body() takes
 * none.
 */
#ifndef T_ORIGIN_RECORD_H
#define T_ORIGIN_RECORD_H

#include "reply.h"

struct path_stats;

/* A request from its head to its last byte. */
struct record {
    struct path_stats *path;
    uint64_t sequence; /* 0: not recorded */
    int64_t body_bytes;
};

void record_connection(int accepted, int open); /* adds to the counters */

void record_begin(struct record *rec, const struct request *req, int status);
/* `n` bytes of blob data have gone to the socket. */
void record_body(struct record *rec, int64_t n);
/* The reply has ended; `complete`: as its head promised. Ends the record. */
void record_end(struct record *rec, const struct reply *r, bool complete);

void record_reset(void);
void record_stats(struct buf *out);                 /* JSON */
void record_log(struct buf *out, const char *path); /* JSON; path: only its requests, or NULL */

#endif
