/* SPDX-License-Identifier: Apache-2.0 */
/* clock.h: the two clocks, and one of both. Any thread. */
#ifndef HEADPOND_BASE_CLOCK_H
#define HEADPOND_BASE_CLOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Milliseconds that never go back (CLOCK_MONOTONIC); for time-outs and durations. */
int64_t clock_mono_ms(void);
/* Microseconds of the same clock; for latencies. */
int64_t clock_mono_us(void);
/* Seconds since 1970 (CLOCK_REALTIME_COARSE); for what leaves the process or outlives it. */
int64_t clock_wall_s(void);
/* The same, but since any earlier call at least as many have passed as really have: set back, the clock must not make
 * old validations fresh again, nor those of a time when it was ahead. For those alone. */
int64_t clock_steady_s(void);

/* A condition variable for clock_cond_wait. */
void clock_cond_init(pthread_cond_t *cond);
/* Waits, also in vain, but not past clock_mono_ms() == until_ms; false: it is past that. The mutex is held. */
bool clock_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t until_ms);

#endif
