/* SPDX-License-Identifier: Apache-2.0 */
/* hedge.c: see hedge.h. Pure. */
#include "pool/hedge.h"

/* The first step ends at 2^7 + 2^5 µs; each octave has four. */
#define FIRST_BITS 7
#define OCTAVE 4
/* One of so many takes longer. */
#define RARE 100
/* A member is waited for no more than so many times as long as its region. */
#define SLOW 2

static unsigned step_of(int64_t us)
{
    if (us < INT64_C(1) << FIRST_BITS)
        return 0;
    unsigned bits = 63 - (unsigned) __builtin_clzll((uint64_t) us);
    unsigned step = (bits - FIRST_BITS) * OCTAVE + (unsigned) (us >> (bits - 2) & 3);
    return step < HEDGE_STEPS ? step : HEDGE_STEPS - 1;
}

/* No time of that step is longer. */
static int64_t end_of(unsigned step)
{
    return (int64_t) (OCTAVE + step % OCTAVE + 1) << (step / OCTAVE + FIRST_BITS - 2);
}

static void halve(struct hedge_times *times)
{
    times->total = 0;
    for (unsigned i = 0; i < HEDGE_STEPS; i++) {
        times->counts[i] /= 2;
        times->total = (uint16_t) (times->total + times->counts[i]);
    }
}

void hedge_learn(struct hedge_times *times, int64_t first_byte_us)
{
    times->counts[step_of(first_byte_us)]++;
    times->total++;
    if (times->total >= HEDGE_WINDOW)
        halve(times);
}

/* So long that no more than one of RARE took longer. */
static int64_t rare_us(const struct hedge_times *times)
{
    unsigned longer = 0, step = HEDGE_STEPS - 1;
    while (step > 0 && longer + times->counts[step] <= times->total / RARE)
        longer += times->counts[step--];
    return end_of(step);
}

int64_t hedge_deadline_us(const struct hedge_times *member, const struct hedge_times *region)
{
    int64_t us = HEDGE_UNKNOWN_US;
    if (region->total >= HEDGE_FEW)
        us = rare_us(region);
    if (member->total >= HEDGE_FEW) {
        int64_t own = rare_us(member);
        us = region->total >= HEDGE_FEW && own > SLOW * us ? SLOW * us : own;
    }
    return us < HEDGE_LEAST_US ? HEDGE_LEAST_US : us > HEDGE_MOST_US ? HEDGE_MOST_US : us;
}

void hedge_budget_init(struct hedge_budget *budget)
{
    *budget = (struct hedge_budget){.calls = HEDGE_PART};
}

static int64_t saved(int64_t sum, int64_t most)
{
    return sum < most ? sum : most;
}

void hedge_earn(struct hedge_budget *budget, int64_t bytes)
{
    budget->calls = saved(budget->calls + 1, (int64_t) HEDGE_BURST * HEDGE_PART);
    budget->bytes = saved(budget->bytes + bytes, HEDGE_BURST_BYTES * HEDGE_PART);
}

bool hedge_spend(struct hedge_budget *budget, int64_t bytes)
{
    if (budget->calls < HEDGE_PART || budget->bytes < 0)
        return false;
    budget->calls -= HEDGE_PART;
    budget->bytes -= bytes * HEDGE_PART;
    return true;
}
