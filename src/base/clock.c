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

int64_t clock_wall_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec;
}

int64_t clock_steady_s(void)
{
    /* Between the clocks, as the first call found them; off by one, so that 0 is none. */
    static atomic_int_fast64_t apart;
    int64_t wall_s = clock_wall_s(), mono_s = clock_mono_us() / 1000000;
    int_fast64_t known = atomic_load_explicit(&apart, memory_order_relaxed);
    if (known == 0 && atomic_compare_exchange_strong(&apart, &known, wall_s - mono_s + 1))
        return wall_s;
    int64_t steady_s = mono_s + known - 1;
    return wall_s > steady_s ? wall_s : steady_s;
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
