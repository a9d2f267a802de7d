/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reach.h: whether a member of the pool answers, as far as this node has met it. Whoever asked it says how that went; a
 * member that fails several times in a row, or for some time with nothing good in between, is down: it is passed over,
 * and keeps its place in the ring. From then on it is probed, rarely, and one good answer takes it back.
 *
 * One that comes and goes is damped (as RFC 2439 damps routes): each time it goes down it stays down for twice as long,
 * and the count of its falls halves with each minute that it stays up.
 *
 * Any thread. Times are of a monotonic clock, in ms, and come from the caller.
 */
#ifndef HEADPOND_POOL_REACH_H
#define HEADPOND_POOL_REACH_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Failures in a row before it is down, */
#define REACH_FAILURES 3
/* or fewer that are so far apart. */
#define REACH_FAILING_MS 2000
/* How long it is down the first time, and how often that is doubled at most. */
#define REACH_DOWN_MS 1000
#define REACH_FALLS_MOST 5
/* In this time the count of its falls halves. */
#define REACH_CALM_MS 60000
/* A probe's patience, and, with up to a half more by chance, the time between two. */
#define REACH_PROBE_MS 1000

struct reach {
    atomic_bool down;
    pthread_mutex_t lock; /* over what follows */
    unsigned failures;    /* in a row */
    int64_t failing_ms;   /* since when */
    unsigned falls;       /* how often it went down, fading */
    int64_t fell_ms;      /* the last time */
    int64_t down_until_ms;
    int64_t probe_ms; /* the next one */
};

/* It counts as up, until something is known. */
void reach_init(struct reach *reach);
void reach_fini(struct reach *reach);

static inline bool reach_up(const struct reach *reach)
{
    return !atomic_load_explicit(&reach->down, memory_order_relaxed);
}

/* It was asked and answered, whatever the answer; or failed to. True: that has taken it back, or down. */
bool reach_good(struct reach *reach, int64_t now_ms);
bool reach_failed(struct reach *reach, int64_t now_ms);
/* Whether somebody is to probe it now. */
bool reach_probe_waits(struct reach *reach, int64_t now_ms);
/* Whether the caller is to probe it now; the next one is told so later. `chance`: any number, for the jitter. */
bool reach_probe_due(struct reach *reach, int64_t now_ms, uint32_t chance);

#endif
