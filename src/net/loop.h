/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop.h: one event loop per core: a libevent base, a mailbox and the RCU life of its thread.
 *
 * Each loop runs on a thread of its own that is registered with liburcu (QSBR) and passes through a quiescent state
 * after each round of events and at least every 100 ms, so RCU-protected pointers are good from an event's start to its
 * end and no longer. Everything a loop owns is touched on its thread only; others post letters.
 */
#ifndef HEADPOND_NET_LOOP_H
#define HEADPOND_NET_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "net/mailbox.h"

struct event_base;
struct loop;

/* Not started. `id` counts from 0. */
struct loop *loop_new(unsigned id);
/* Stopped and joined loops only. */
void loop_free(struct loop *loop);
/* Starts the thread; `init` runs on it first, before the first event. `fini` runs on it last. Either may be NULL. */
void loop_start(struct loop *loop, void (*init)(struct loop *loop, void *arg),
                void (*fini)(struct loop *loop, void *arg), void *arg);
/* Any thread: the loop ends after the current round. */
void loop_stop(struct loop *loop);
/* Waits for the thread's end. */
void loop_join(struct loop *loop);

/* The loop of the calling thread, or NULL. */
struct loop *loop_current(void);
unsigned loop_id(const struct loop *loop);
struct event_base *loop_base(struct loop *loop);
/* Any thread: letter->deliver runs on the loop's thread, never before this returns. */
void loop_post(struct loop *loop, struct letter *letter);
/* Milliseconds of CLOCK_MONOTONIC, read once a round. Own thread. */
int64_t loop_now_ms(const struct loop *loop);

/* A per-loop place for what a higher floor keeps once a loop (its curl multi, its buffers). Own thread. */
enum loop_slot {
    LOOP_SLOT_NET,
    LOOP_SLOT_BUDGET,
    LOOP_SLOT_ORIGIN,
    LOOP_SLOT_POOL,
    LOOP_SLOT_HEDGES,
    LOOP_SLOT_CACHE,
    LOOP_SLOT_PROXY,
    LOOP_SLOT_COUNT
};
void *loop_get(const struct loop *loop, enum loop_slot slot);
void loop_set(struct loop *loop, enum loop_slot slot, void *value);

#define TIMER_UNSET (-1)
/* One-shot timer of a loop, embedded. Own thread. */
struct timer {
    struct event *event;
    struct loop *loop;
    int64_t due_ms; /* loop_now_ms when it fires, or TIMER_UNSET */
    void (*fire)(struct timer *timer);
};
void timer_init(struct timer *timer, struct loop *loop, void (*fire)(struct timer *timer));
/* (Re)arms it; 0 fires in the next round. */
void timer_set(struct timer *timer, int64_t ms);
/* Has it fire in so many ms at the latest: who comes does not put off what is due for those who were there. */
void timer_hasten(struct timer *timer, int64_t ms);
void timer_clear(struct timer *timer);
void timer_fini(struct timer *timer);

#endif
