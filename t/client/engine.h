/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs transfers, on threads that each have an event loop of their own. What a thread does is an
 * implementation's: engine_curl.c speaks HTTP/1.1 by libcurl, engine_h2.c HTTP/2 by nghttp2.
 */
#ifndef T_CLIENT_ENGINE_H
#define T_CLIENT_ENGINE_H

#include "transfer.h"

/* ---- For the modes. ---- */

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

/* ---- For the implementations: what they share. ---- */

#define ENGINE_EVENTS 256     /* taken from an epoll set at once */
#define ENGINE_LOOK_UP_MS 100 /* how often `stop` is asked at least, and stalls are looked for */
#define ENGINE_PACE_MS 5      /* how often slow transfers are looked at */

/* What one thread is to do. */
struct engine {
    const struct options *options;
    const struct work *work;
    struct transfer *transfers;
    int64_t slot_count;
    int64_t first_slot;   /* counted over all threads */
    int64_t connections;  /* shared ones to a base, at most */
    int64_t running;      /* between engine_next() and engine_done() */
    int64_t next_look_up; /* ns */
    bool slow;            /* some have a rate: look at them often */
};

/* Asks the mode for a request. */
bool engine_next(struct engine *e, struct transfer *t);
/* Whether the request, which could not be sent for that `result`, is to be sent anew, to where it now goes. */
bool engine_fails_over(struct engine *e, struct transfer *t, int result);
/* The request's end: `result` is the libcurl error that comes nearest, 0 when it went well; `error` says more and is
   copied, unless the transfer has a text of its own. */
void engine_done(struct engine *e, struct transfer *t, int result, const char *error);
bool engine_asked_to_stop(struct engine *e);
/* Whether it is time to look at all transfers; if so, the next time is set. */
bool engine_look_up_due(struct engine *e, int64_t now);
/* Whether it has stood still for too long; if so, its error text says so. */
bool engine_stalled(struct engine *e, struct transfer *t, int64_t now);

/* The threads' bodies: until nothing runs any more. */
void engine_curl(struct engine *e);
void engine_h2(struct engine *e);

#endif
