/* SPDX-License-Identifier: Apache-2.0 */
/* rate.c: see rate.h. Pure. */
#include "origin/rate.h"

#define SECOND_US 1000000
#define STEPS 32 /* from nothing to the knee */

void origin_rate_init(struct origin_rate *rate, int64_t most, int64_t least, int64_t now_us)
{
    *rate = (struct origin_rate){
        .most = most,
        .least = most > 0 && most < least ? most : least,
        .now = most,
        .due_us = now_us - ORIGIN_RATE_BURST_US,
        .halved_us = now_us - SECOND_US,
    };
}

/* Where no limit is configured growing ends at four times the knee: from there on any number is allowed again. */
static void grow(struct origin_rate *rate, int64_t now_us)
{
    if (rate->knee == 0)
        return;
    int64_t most = rate->most > 0 ? rate->most : 4 * rate->knee;
    for (; now_us - rate->grown_us >= SECOND_US && rate->now < most; rate->grown_us += SECOND_US)
        rate->now += rate->now < rate->knee ? (rate->knee + STEPS - 1) / STEPS : rate->now / 8 + 1;
    if (rate->now >= most) {
        rate->now = rate->most;
        rate->knee = 0;
    }
}

int64_t origin_rate_room(struct origin_rate *rate, int64_t now_us)
{
    grow(rate, now_us);
    if (rate->now == 0)
        return INT64_MAX;
    int64_t unused = now_us - rate->due_us;
    if (unused < 0)
        return 0;
    if (unused > ORIGIN_RATE_BURST_US)
        unused = ORIGIN_RATE_BURST_US;
    return 1 + (int64_t) ((double) unused * (double) rate->now / SECOND_US);
}

void origin_rate_take(struct origin_rate *rate, int64_t units, int64_t now_us)
{
    origin_count_add(&rate->count, units, now_us);
    if (rate->now == 0)
        return;
    if (rate->due_us < now_us - ORIGIN_RATE_BURST_US)
        rate->due_us = now_us - ORIGIN_RATE_BURST_US;
    rate->due_us += (int64_t) ((double) units * SECOND_US / (double) rate->now);
}

bool origin_rate_halve(struct origin_rate *rate, int64_t now_us)
{
    grow(rate, now_us);
    if (now_us - rate->halved_us < SECOND_US)
        return false;
    origin_count_add(&rate->count, 0, now_us);
    int64_t used = rate->count.used > rate->count.used_before ? rate->count.used : rate->count.used_before;
    if (rate->now > 0 && used > rate->now)
        used = rate->now;
    if (rate->now == 0 || rate->due_us < now_us)
        rate->due_us = now_us; /* nothing at once */
    rate->knee = used < 1 ? 1 : used;
    rate->now = rate->knee / 2 < rate->least ? rate->least : rate->knee / 2;
    rate->halved_us = rate->grown_us = now_us;
    return true;
}

void origin_count_add(struct origin_count *count, int64_t units, int64_t now_us)
{
    int64_t second = now_us / SECOND_US;
    if (second != count->second) {
        count->used_before = second == count->second + 1 ? count->used : 0;
        count->used = 0;
        count->second = second;
    }
    count->used += units;
}

int64_t origin_count_of(struct origin_count *count, int64_t now_us)
{
    origin_count_add(count, 0, now_us);
    return count->used + count->used_before;
}
