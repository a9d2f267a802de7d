/* SPDX-License-Identifier: Apache-2.0 */
/* test_reach.c: when a member is down, when it is back, and what coming and going costs it. */
#include "pool/reach.h"

#include "tap.h"

static struct reach reach;

static void fail_times(unsigned times, int64_t now_ms)
{
    for (unsigned i = 0; i < times; i++)
        reach_failed(&reach, now_ms);
}

/* Takes it down at that time: how long it is not taken back, whatever it answers. */
static int64_t down_for(int64_t now_ms)
{
    fail_times(REACH_FAILURES, now_ms);
    for (int64_t ms = 0; ms <= 1000000; ms += 10)
        if (reach_good(&reach, now_ms + ms))
            return ms;
    return -1;
}

static void failures(void)
{
    reach_init(&reach);
    ok(reach_up(&reach), "a member that nobody has met is up");
    fail_times(REACH_FAILURES - 1, 1000);
    ok(reach_up(&reach), "some failures do not take it down");
    ok(!reach_good(&reach, 1001), "a good answer");
    fail_times(REACH_FAILURES - 1, 1002);
    ok(reach_up(&reach), "makes the count begin anew");
    ok(reach_failed(&reach, 1003), "one too many in a row does");
    ok(!reach_up(&reach), "it is down");
    ok(!reach_failed(&reach, 1004), "and falls but once");
    reach_fini(&reach);

    reach_init(&reach);
    ok(!reach_failed(&reach, 0), "a failure");
    ok(reach_failed(&reach, REACH_FAILING_MS), "and another, long after, with nothing good in between, do as well");
    reach_fini(&reach);
}

static void probes(void)
{
    reach_init(&reach);
    ok(!reach_probe_due(&reach, 0, 0), "who is up is not probed");
    fail_times(REACH_FAILURES, 0);
    ok(!reach_probe_due(&reach, REACH_DOWN_MS - 1, 0), "who is down has its time");
    ok(reach_probe_due(&reach, REACH_DOWN_MS, 7), "and is probed then");
    ok(!reach_probe_due(&reach, REACH_DOWN_MS, 7), "by one");
    ok(!reach_probe_due(&reach, REACH_DOWN_MS + REACH_PROBE_MS + 6, 0), "not again before its time");
    ok(reach_probe_due(&reach, REACH_DOWN_MS + REACH_PROBE_MS + 7, UINT32_MAX), "but then");
    ok(!reach_probe_due(&reach, REACH_DOWN_MS + 2 * REACH_PROBE_MS + 6, 0), "whatever chance says, a second at least,");
    ok(reach_probe_due(&reach, REACH_DOWN_MS + 3 * REACH_PROBE_MS + REACH_PROBE_MS / 2 + 7, 0),
       "and half more at most");
    ok(reach_good(&reach, 10 * REACH_PROBE_MS), "an answer takes it back");
    ok(reach_up(&reach), "it is up");
    reach_fini(&reach);
}

static void damping(void)
{
    reach_init(&reach);
    int64_t first = down_for(0), second = down_for(10000), third = down_for(20000), last = 0;
    is_int(first, REACH_DOWN_MS, "the first time it is down for a second");
    ok(second == 2 * first && third == 2 * second, "soon again, for twice as long each time");
    for (unsigned i = 0; i < 20; i++)
        last = down_for(100000 + i);
    is_int(last, REACH_DOWN_MS << REACH_FALLS_MOST, "but not for ever");
    is_int(down_for(100020 + REACH_CALM_MS), REACH_DOWN_MS << (REACH_FALLS_MOST / 2), "a calm minute halves the count");
    is_int(down_for(100000 + 20 * REACH_CALM_MS), REACH_DOWN_MS, "and after a calm time it is as at first");
    reach_fini(&reach);
}

int main(void)
{
    failures();
    probes();
    damping();
    return done_testing();
}
