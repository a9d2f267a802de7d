/* SPDX-License-Identifier: Apache-2.0 */
/*
 * civil.h: days and times of the Gregorian calendar, in UTC, without the C library's locale and time zone. Pure;
 * any thread.
 */
#ifndef HEADPOND_BASE_CIVIL_H
#define HEADPOND_BASE_CIVIL_H

#include <stdbool.h>
#include <stdint.h>

struct civil {
    int year, month, day; /* month and day from 1 */
    int hour, minute, second;
};

/* Seconds since 1970; false when there is no such day or time (a 60th second is let pass). Years 1 to 9999. */
bool civil_seconds(const struct civil *civil, int64_t *seconds);
/* The reverse; clamped to the years 1 to 9999. */
struct civil civil_of(int64_t seconds);

#endif
