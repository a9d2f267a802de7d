/* SPDX-License-Identifier: Apache-2.0 */
/* test_rate.c: what an account is asked for in a second: evenly, halved from what was used, and grown back. */
#include "origin/rate.h"

#include "tap.h"

#define SECOND 1000000

/* Takes all there is every 5 ms for so long; how much that was. */
static int64_t use(struct origin_rate *rate, int64_t *now, int64_t us)
{
    int64_t all = 0;
    for (int64_t end = *now + us; *now < end; *now += 5000) {
        int64_t room = origin_rate_room(rate, *now);
        if (room == INT64_MAX)
            room = 5; /* 1,000 a second */
        origin_rate_take(rate, room, *now);
        all += room;
    }
    return all;
}

static void is_about(int64_t got, int64_t expected, const char *what)
{
    if (!ok(got >= expected * 95 / 100 && got <= expected * 105 / 100 + 1, "%s", what))
        diag("%lld, expected about %lld", (long long) got, (long long) expected);
}

static void test_even(void)
{
    struct origin_rate rate;
    int64_t now = 7 * SECOND;
    origin_rate_init(&rate, 1000, 10, now);
    is_int(origin_rate_room(&rate, now), 101, "what was not used for 100 ms may be taken at once");
    origin_rate_take(&rate, 101, now);
    is_int(origin_rate_room(&rate, now), 0, "and then no more");
    is_int(origin_rate_room(&rate, now + 1000), 1, "a millisecond later one");
    now += 3600 * (int64_t) SECOND;
    is_int(origin_rate_room(&rate, now), 101, "an hour's rest gives no more than that");
    is_about(use(&rate, &now, 10 * SECOND), 10100, "1,000 a second");
    origin_rate_take(&rate, 2000, now);
    is_int(origin_rate_room(&rate, now + SECOND), 0, "what was taken beyond it is a debt");
    is_int(origin_rate_room(&rate, now + 2 * SECOND + SECOND / 100) > 0, 1, "that is worked off");
}

static void test_used(void)
{
    struct origin_rate rate;
    int64_t now = 7 * SECOND;
    origin_rate_init(&rate, 0, 0, now);
    origin_rate_take(&rate, 3, now);
    origin_rate_take(&rate, 4, now + SECOND / 2);
    origin_rate_take(&rate, 5, now + SECOND);
    is_int(origin_count_of(&rate.count, now + SECOND), 12, "what was taken in this second and the one before");
    is_int(origin_count_of(&rate.count, now + 2 * SECOND), 5, "a second later the last");
    is_int(origin_count_of(&rate.count, now + 3 * SECOND), 0, "then nothing");
    origin_rate_take(&rate, 6, now + 10 * SECOND);
    is_int(origin_count_of(&rate.count, now + 10 * SECOND), 6, "a rest is not counted");
}

static void test_halving(void)
{
    struct origin_rate rate;
    int64_t now = 7 * SECOND;
    origin_rate_init(&rate, 2000, 31, now);
    for (unsigned i = 0; i < 100; i++, now += 10000)
        origin_rate_take(&rate, 3, now);
    ok(origin_rate_halve(&rate, now), "an account is busy");
    is_about(rate.now, 150, "half of the 300 a second that it was asked for, not of the 2,000 that were allowed");
    ok(!origin_rate_halve(&rate, now + SECOND / 2), "what it says within a second is of before");
    now += SECOND / 10;
    is_about(use(&rate, &now, SECOND), 165, "and that is what it gets");
    int64_t before = rate.now;
    ok(origin_rate_halve(&rate, now), "it is still busy");
    ok(rate.now < before * 6 / 10, "halved again");
    for (unsigned i = 0; i < 10; i++, now += SECOND)
        (void) origin_rate_halve(&rate, now);
    is_int(rate.now, 31, "but never below the least");

    origin_rate_init(&rate, 5, 31, now);
    (void) origin_rate_halve(&rate, now);
    is_int(rate.now, 5, "which is no more than what was configured");
}

static void test_growing(void)
{
    struct origin_rate rate;
    int64_t now = 7 * SECOND;
    origin_rate_init(&rate, 2000, 31, now);
    use(&rate, &now, 2 * SECOND);
    origin_rate_halve(&rate, now);
    is_about(rate.now, 1000, "halved from 2,000");
    use(&rate, &now, 8 * SECOND);
    is_about(rate.now, 1500, "half of the way back after 8 seconds");
    use(&rate, &now, 9 * SECOND);
    is_int(rate.now, 2000, "and all of it after 16");

    /* What is not limited is when it says so, and not when it has borne far more since. */
    origin_rate_init(&rate, 0, 100, now);
    is_int(origin_rate_room(&rate, now) == INT64_MAX, 1, "not limited");
    use(&rate, &now, 2 * SECOND);
    origin_rate_halve(&rate, now);
    is_about(rate.now, 500, "halved from the 1,000 a second that were used");
    use(&rate, &now, 17 * SECOND);
    ok(rate.now >= 950 && rate.now < 1300, "back where it was too much after 16 seconds");
    use(&rate, &now, 20 * SECOND);
    is_int(rate.now, 0, "and not limited any more");
    use(&rate, &now, SECOND);
    origin_rate_init(&rate, 1000000, 1, now);
    origin_rate_halve(&rate, now);
    now += 400000 * (int64_t) SECOND;
    is_int(origin_rate_room(&rate, now) > 0 && rate.now == 1000000, 1, "after days of rest, too");
}

int main(void)
{
    test_even();
    test_used();
    test_halving();
    test_growing();
    return done_testing();
}
