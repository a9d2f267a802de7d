/* SPDX-License-Identifier: Apache-2.0 */
/*
 * on_loop.h: how a unit test's thread waits for others: for what it has a loop do, for a number that they raise, or by
 * looking again. No wait is for ever; a loop that hangs ends the test.
 */
#ifndef HEADPOND_T_UNIT_ON_LOOP_H
#define HEADPOND_T_UNIT_ON_LOOP_H

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/container.h"
#include "net/loop.h"

#define ON_LOOP_WAIT_S 30

static inline struct timespec on_loop_deadline(void)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += ON_LOOP_WAIT_S;
    return until;
}

/* ---- A call. ---- */

struct on_loop_call {
    struct letter letter;
    void (*run)(void *arg);
    void *arg;
    sem_t ran;
};

static inline void on_loop_deliver(struct letter *letter)
{
    struct on_loop_call *call = CONTAINER_OF(letter, struct on_loop_call, letter);
    call->run(call->arg);
    sem_post(&call->ran);
}

/* Has the loop's thread run it, and waits until it has. */
static inline void on_loop(struct loop *loop, void (*run)(void *arg), void *arg)
{
    const struct timespec until = on_loop_deadline();
    struct on_loop_call call = {.letter.deliver = on_loop_deliver, .run = run, .arg = arg};
    sem_init(&call.ran, 0, 0);
    loop_post(loop, &call.letter);
    if (sem_timedwait(&call.ran, &until) != 0) {
        printf("Bail out! the loop hangs\n");
        fflush(stdout);
        abort();
    }
    sem_destroy(&call.ran);
}

/* ---- Counts. All of a source file's have one lock: what was written before one was raised is seen by whoever has
 * waited for that. ---- */

static pthread_mutex_t count_lock __attribute__((unused)) = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t count_raised __attribute__((unused)) = PTHREAD_COND_INITIALIZER;

static inline void count_up(unsigned *count)
{
    pthread_mutex_lock(&count_lock);
    (*count)++;
    pthread_cond_broadcast(&count_raised);
    pthread_mutex_unlock(&count_lock);
}

static inline unsigned count_now(const unsigned *count)
{
    pthread_mutex_lock(&count_lock);
    unsigned now = *count;
    pthread_mutex_unlock(&count_lock);
    return now;
}

/* Whether it is so many, or more, in time. */
static inline bool count_wait(const unsigned *count, unsigned wanted)
{
    const struct timespec until = on_loop_deadline();
    pthread_mutex_lock(&count_lock);
    while (*count < wanted && pthread_cond_timedwait(&count_raised, &count_lock, &until) == 0)
        ;
    bool there = *count >= wanted;
    pthread_mutex_unlock(&count_lock);
    return there;
}

/* ---- Looking again, where nobody says when it is there:
 * `for (int64_t until = nap_deadline(); !there() && nap_until(until);) ;` ---- */

static inline void nap(void)
{
    usleep(1000);
}

static inline int64_t nap_deadline(void)
{
    return clock_mono_ms() + ON_LOOP_WAIT_S * 1000;
}

/* Naps once. False: it is past that time (clock_mono_ms). */
static inline bool nap_until(int64_t until_ms)
{
    nap();
    return clock_mono_ms() < until_ms;
}

#endif
