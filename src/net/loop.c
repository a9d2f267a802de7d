/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop.c: libevent's base turned one round at a time, so that after each round the thread passes an RCU quiescent
 * state.
 *
 * libevent 2.1 gives no hook between waiting and dispatching, so a loop cannot go offline for the wait alone; a tick
 * each 100 ms bounds how long a grace period waits for an idle loop instead. Signals are the main thread's: all are
 * blocked here.
 */
#include "net/loop.h"

#include <assert.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <urcu-qsbr.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"

#define LOOP_TICK_US 100000

struct loop {
    unsigned id;
    struct event_base *base;
    struct mailbox mailbox;
    struct event *mail; /* the mailbox's eventfd */
    struct event *tick;
    pthread_t thread;
    bool started;
    atomic_bool stopping;
    int64_t now_ms; /* 0: not yet read in this round */
    void (*init)(struct loop *loop, void *arg);
    void (*fini)(struct loop *loop, void *arg);
    void *arg;
    void *slots[LOOP_SLOT_COUNT];
};

static _Thread_local struct loop *current;

static void on_mail(evutil_socket_t fd, short what, void *arg)
{
    struct loop *loop = arg;
    (void) fd;
    (void) what;
    mailbox_drain(&loop->mailbox);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    (void) arg;
}

struct loop *loop_new(unsigned id)
{
    struct loop *loop = mem_calloc(1, sizeof *loop);
    loop->id = id;
    atomic_init(&loop->stopping, false);
    mailbox_init(&loop->mailbox);

    struct event_config *config = event_config_new();
    assert(config != NULL);
    /* One thread at a time touches the base: no locks. */
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV);
    loop->base = event_base_new_with_config(config);
    event_config_free(config);
    if (loop->base == NULL)
        abort(); /* no epoll descriptor at start */

    loop->mail = event_new(loop->base, loop->mailbox.eventfd, EV_READ | EV_PERSIST, on_mail, loop);
    loop->tick = event_new(loop->base, -1, EV_PERSIST, on_tick, loop);
    assert(loop->mail != NULL && loop->tick != NULL);
    event_add(loop->mail, NULL);
    const struct timeval period = {0, LOOP_TICK_US};
    event_add(loop->tick, &period);
    return loop;
}

void loop_free(struct loop *loop)
{
    assert(!loop->started);
    event_free(loop->mail);
    event_free(loop->tick);
    event_base_free(loop->base);
    mailbox_fini(&loop->mailbox);
    mem_free(loop);
}

static void *loop_main(void *arg)
{
    struct loop *loop = arg;
    char name[16];
    snprintf(name, sizeof name, "loop-%u", loop->id % 100000);
    pthread_setname_np(pthread_self(), name);

    current = loop;
    rcu_register_thread();
    if (loop->init != NULL)
        loop->init(loop, loop->arg);
    while (!atomic_load_explicit(&loop->stopping, memory_order_acquire)) {
        loop->now_ms = 0;
        event_base_loop(loop->base, EVLOOP_ONCE);
        rcu_quiescent_state();
    }
    /* What was posted before the stop still arrives; what comes later is lost with the loop. */
    mailbox_drain(&loop->mailbox);
    if (loop->fini != NULL)
        loop->fini(loop, loop->arg);
    rcu_unregister_thread();
    current = NULL;
    return NULL;
}

void loop_start(struct loop *loop, void (*init)(struct loop *loop, void *arg),
                void (*fini)(struct loop *loop, void *arg), void *arg)
{
    assert(!loop->started);
    loop->init = init;
    loop->fini = fini;
    loop->arg = arg;
    loop->started = true;
    if (thread_start(&loop->thread, NULL, loop_main, loop) != 0)
        abort(); /* at start only: the process cannot do without */
}

void loop_stop(struct loop *loop)
{
    atomic_store_explicit(&loop->stopping, true, memory_order_release);
    mailbox_wake(&loop->mailbox);
}

void loop_join(struct loop *loop)
{
    assert(loop->started);
    pthread_join(loop->thread, NULL);
    loop->started = false;
}

struct loop *loop_current(void)
{
    return current;
}

unsigned loop_id(const struct loop *loop)
{
    return loop->id;
}

struct event_base *loop_base(struct loop *loop)
{
    return loop->base;
}

void loop_post(struct loop *loop, struct letter *letter)
{
    mailbox_post(&loop->mailbox, letter);
}

int64_t loop_now_ms(const struct loop *loop)
{
    if (loop->now_ms == 0) {
        /* A cache of the clock, not the loop's state: const to the caller. */
        struct loop *cache = (struct loop *) (uintptr_t) loop;
        cache->now_ms = clock_mono_ms();
    }
    return loop->now_ms;
}

void *loop_get(const struct loop *loop, enum loop_slot slot)
{
    return loop->slots[slot];
}

void loop_set(struct loop *loop, enum loop_slot slot, void *value)
{
    loop->slots[slot] = value;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct timer *timer = arg;
    (void) fd;
    (void) what;
    timer->due_ms = TIMER_UNSET;
    timer->fire(timer);
}

void timer_init(struct timer *timer, struct loop *loop, void (*fire)(struct timer *timer))
{
    timer->fire = fire;
    timer->loop = loop;
    timer->due_ms = TIMER_UNSET;
    timer->event = event_new(loop->base, -1, 0, on_timer, timer);
    assert(timer->event != NULL);
}

void timer_set(struct timer *timer, int64_t ms)
{
    if (ms < 0)
        ms = 0;
    const struct timeval delay = {ms / 1000, (ms % 1000) * 1000};
    timer->due_ms = loop_now_ms(timer->loop) + ms;
    event_add(timer->event, &delay);
}

void timer_hasten(struct timer *timer, int64_t ms)
{
    if (timer->due_ms == TIMER_UNSET || timer->due_ms > loop_now_ms(timer->loop) + ms)
        timer_set(timer, ms);
}

void timer_clear(struct timer *timer)
{
    timer->due_ms = TIMER_UNSET;
    event_del(timer->event);
}

void timer_fini(struct timer *timer)
{
    if (timer->event != NULL)
        event_free(timer->event);
    timer->event = NULL;
}
