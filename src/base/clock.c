/* SPDX-License-Identifier: Apache-2.0 */
/* clock.c: the two clocks, and one of both. */
#include "base/clock.h"

#include <errno.h>
#include <stdatomic.h>
#include <time.h>

int64_t clock_mono_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_mono_ms(void)
{
    return clock_mono_us() / 1000;
}

/* As of the kernel's last tick, for a fifth of the cost: some milliseconds late. */
static int64_t coarse_s(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec;
}

int64_t clock_wall_s(void)
{
    return coarse_s(CLOCK_REALTIME_COARSE);
}

int64_t clock_steady_s(void)
{
    /* The farthest that the wall clock has been ahead of the other. */
    static atomic_int_fast64_t ahead = INT64_MIN;
    int64_t mono_s = coarse_s(CLOCK_MONOTONIC_COARSE), now = clock_wall_s() - mono_s;
    int_fast64_t most = atomic_load_explicit(&ahead, memory_order_relaxed);
    while (now > most &&
           !atomic_compare_exchange_weak_explicit(&ahead, &most, now, memory_order_relaxed, memory_order_relaxed))
        continue;
    return mono_s + (now > most ? now : most);
}

void clock_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

bool clock_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t until_ms)
{
    const struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    return pthread_cond_timedwait(cond, mutex, &until) != ETIMEDOUT;
}
