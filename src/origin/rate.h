/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rate.h: how much of something a storage account is asked for in a second: as much as was configured, less once it has
 * said that it is busy.
 *
 * Told so, what is allowed becomes half of what was really used in the last second (not of what was allowed: an account
 * that bears 300 a second and is allowed 2,000 would be halved three times in vain). It grows back: up to where it was
 * too much in 32 steps of a second each, so that it stays below for long, and beyond that by an eighth a second.
 *
 * What is taken is spread evenly (the generic cell rate algorithm): `due_us` is when all that was taken has been worked
 * off, and what was not used in the last BURST may be taken at once. Taking more than there is room for makes a debt.
 * Pure; times are clock_mono_us().
 */
#ifndef HEADPOND_ORIGIN_RATE_H
#define HEADPOND_ORIGIN_RATE_H

#include <stdbool.h>
#include <stdint.h>

#define ORIGIN_RATE_BURST_US 100000

/* How many came in a second, and in the one before. */
struct origin_count {
    int64_t second; /* which one `used` is of */
    int64_t used;
    int64_t used_before;
};

struct origin_rate {
    int64_t most;  /* units a second that were configured; 0: any number */
    int64_t least; /* however busy it says to be */
    int64_t now;   /* units a second that are allowed; 0: any number */
    int64_t knee;  /* what was used when it last was too much; 0: it never was */
    int64_t due_us;
    int64_t halved_us;
    int64_t grown_us;          /* when `now` last changed */
    struct origin_count count; /* of what was taken */
};

void origin_rate_init(struct origin_rate *rate, int64_t most, int64_t least, int64_t now_us);
/* How many units may be taken now; INT64_MAX: any number. Grows back what is due. */
int64_t origin_rate_room(struct origin_rate *rate, int64_t now_us);
void origin_rate_take(struct origin_rate *rate, int64_t units, int64_t now_us);
/* The account is busy. False: it has been heard within a second, and what it says now may be of before that. */
bool origin_rate_halve(struct origin_rate *rate, int64_t now_us);

/* Zeroed at first. */
void origin_count_add(struct origin_count *count, int64_t units, int64_t now_us);
/* In this second and the one before. */
int64_t origin_count_of(struct origin_count *count, int64_t now_us);

#endif
