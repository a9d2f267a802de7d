/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs transfers: threads, each with a curl multi on an epoll set of its own (curl's own loop looks
 * at every connection each time, which a thousand readers would notice). A shared HTTP/2 connection
 * has a thread and a multi to itself: within a multi, curl fills one connection before it uses the
 * next.
 */
#ifndef T_CLIENT_ENGINE_H
#define T_CLIENT_ENGINE_H

#include "transfer.h"

struct work {
    void *ctx;
    bool share; /* h2: multiplex over --connections; else each request in flight has its own */
    /* All three are called by one thread at a time. */
    bool (*next)(void *ctx, struct transfer *t); /* transfer_init() and more; false: nothing left */
    void (*done)(void *ctx, struct transfer *t);
    bool (*stop)(void *ctx); /* true: abort whatever is still running; may be NULL */
};

/* Runs until nothing is left, with at most `slots` requests at a time. */
void engine_run(const struct options *o, int64_t slots, const struct work *work);

#endif
