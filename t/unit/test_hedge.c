/* SPDX-License-Identifier: Apache-2.0 */
/* test_hedge.c: deadlines follow the times that calls take, and hedges stay within their part. */
#include "pool/hedge.h"

#include <math.h>

#include "base/hash.h"
#include "tap.h"

static const struct hedge_times nothing;

static void learn(struct hedge_times *times, unsigned count, int64_t us)
{
    for (unsigned i = 0; i < count; i++)
        hedge_learn(times, us);
}

/* From 0 on, evenly below 2 * mean. */
static int64_t drawn(uint64_t *random, int64_t mean)
{
    *random = hash_mix(*random, 1);
    return (int64_t) (*random % (uint64_t) (2 * mean));
}

/* ---- When. ---- */

static void bounds(void)
{
    struct hedge_times times = {{0}, 0};
    is_int(hedge_deadline_us(&nothing, &nothing), HEDGE_UNKNOWN_US, "where nothing is known");
    learn(&times, HEDGE_FEW - 1, 5000);
    is_int(hedge_deadline_us(&times, &times), HEDGE_UNKNOWN_US, "nor by a few");
    learn(&times, 1, 5000);
    int64_t us = hedge_deadline_us(&times, &times);
    ok(us > 5000 && us <= 5000 * 5 / 4 + 1, "then by what they took (%lld)", (long long) us);
    times = nothing;
    learn(&times, 100, 10);
    is_int(hedge_deadline_us(&times, &times), HEDGE_LEAST_US, "no less than that");
    times = nothing;
    learn(&times, 100, INT64_C(1) << 40);
    is_int(hedge_deadline_us(&times, &times), HEDGE_MOST_US, "and no more, however long they took");
    times = nothing;
    learn(&times, 100, -1);
    is_int(hedge_deadline_us(&times, &times), HEDGE_LEAST_US, "a clock that errs is no time at all");
}

/* Every time is at or below the end of its step, which is less than a quarter above it. */
static void steps(void)
{
    bool good = true;
    for (int64_t us = HEDGE_LEAST_US; us < 800000; us += us / 50) {
        struct hedge_times times = {{0}, 0};
        learn(&times, HEDGE_FEW, us);
        int64_t deadline = hedge_deadline_us(&times, &times);
        good = good && deadline > us && deadline <= us + us / 4 + 1;
    }
    ok(good, "a deadline is no more than a quarter above the time it comes from");
}

/* Exponentially distributed. */
static int64_t took(uint64_t *random, double mean)
{
    return (int64_t) (-mean * log((double) (1 + drawn(random, 1 << 20)) / (2 << 20)));
}

static void one_of_hundred(void)
{
    struct hedge_times times = {{0}, 0};
    uint64_t random = 6;
    unsigned late = 0;
    for (unsigned i = 0; i < 1000; i++)
        hedge_learn(&times, took(&random, 10000));
    for (unsigned i = 0; i < 100000; i++) {
        int64_t deadline = hedge_deadline_us(&times, &times), us = took(&random, 10000);
        late += us > deadline;
        hedge_learn(&times, us < deadline ? us : deadline + 1); /* it is given up then */
    }
    ok(late > 300 && late <= 1500, "about one of 100 is past its deadline (%u of 100000)", late);

    learn(&times, 4 * HEDGE_WINDOW, 40000);
    ok(hedge_deadline_us(&times, &times) > 40000, "what becomes slower is waited for");
    learn(&times, 10 * HEDGE_WINDOW, 3000);
    ok(hedge_deadline_us(&times, &times) < 4000, "and less so when it is faster again");
}

static void member_and_region(void)
{
    struct hedge_times member = {{0}, 0}, region = {{0}, 0};
    learn(&region, 100, 5000);
    int64_t of_region = hedge_deadline_us(&nothing, &region);
    ok(of_region > 5000 && of_region < 6500, "a member of which nothing is known is like its region");
    learn(&member, 100, 3000);
    ok(hedge_deadline_us(&member, &region) < 4000, "one that is known is like itself");
    member = nothing;
    learn(&member, 100, 200000);
    is_int(hedge_deadline_us(&member, &region), 2 * of_region, "but is not waited for because it is always slow");
}

/* ---- Whether. ---- */

static void budget_of_calls(void)
{
    struct hedge_budget budget;
    hedge_budget_init(&budget);
    ok(hedge_spend(&budget, 1), "there is one at first");
    ok(!hedge_spend(&budget, 1), "and no other");
    for (unsigned i = 0; i < HEDGE_PART - 1; i++)
        hedge_earn(&budget, 1000);
    ok(!hedge_spend(&budget, 1), "a call too early");
    hedge_earn(&budget, 1000);
    ok(hedge_spend(&budget, 1), "each fiftieth call earns one");
    for (unsigned i = 0; i < 100 * HEDGE_PART; i++)
        hedge_earn(&budget, 1000);
    unsigned sent = 0;
    while (hedge_spend(&budget, 1))
        sent++;
    is_int(sent, HEDGE_BURST, "and some are saved up");
}

static void budget_of_bytes(void)
{
    struct hedge_budget budget;
    hedge_budget_init(&budget);
    for (unsigned i = 0; i < 1000; i++)
        hedge_earn(&budget, 65536);
    ok(hedge_spend(&budget, 16 << 20), "a large one among small calls");
    ok(!hedge_spend(&budget, 1), "is owed");
    unsigned calls = 0;
    while (!hedge_spend(&budget, 1) && calls < 100000) {
        hedge_earn(&budget, 65536);
        calls++;
    }
    is_int(calls, (16 << 20) / 65536 * HEDGE_PART - 1000, "until calls have earned it");

    /* however greedy, and whatever the sizes */
    uint64_t random = 1;
    int64_t asked = 0, hedged = 0;
    unsigned hedges = 0;
    hedge_budget_init(&budget);
    for (unsigned i = 0; i < 200000; i++) {
        int64_t bytes = 1 + drawn(&random, 1 << 20);
        hedge_earn(&budget, bytes);
        asked += bytes;
        if (hedge_spend(&budget, bytes * 3)) {
            hedges++;
            hedged += bytes * 3;
        }
    }
    ok(hedges <= 200000 / HEDGE_PART + HEDGE_BURST, "hedges are within 2 %% of calls (%u)", hedges);
    ok(hedged <= asked / HEDGE_PART + HEDGE_BURST_BYTES + 3 * (2 << 20), "and of bytes (%.4f)",
       (double) hedged / (double) asked);
    ok(hedged > asked / HEDGE_PART * 9 / 10, "which are made use of");
}

int main(void)
{
    bounds();
    steps();
    one_of_hundred();
    member_and_region();
    budget_of_calls();
    budget_of_bytes();
    return done_testing();
}
