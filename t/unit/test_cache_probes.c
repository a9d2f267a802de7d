/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_cache_probes.c: more questions to the origin than there is room for in memory: how many are asked at once, who
 * goes first, and that all are answered.
 */
#include "tap.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/metric.h"
#include "test_cache_rig.h"

#define MIB (1 << 20)
#define CROWD 60
#define SIZE 1000
/* What a probe is counted with, at the least. */
#define PROBE_KIB 192

static char credentials[CROWD][16];
static char blobs[CROWD][16];
static struct task crowd[CROWD];

static int64_t waiting(void)
{
    return metric_cell_value(metric_cell(METRIC_PROBES_WAITING, ""));
}

static bool wait_waiting(int64_t least)
{
    int64_t until = clock_mono_ms() + RIG_DEADLINE_S * 1000;
    while (waiting() < least)
        if (clock_mono_ms() > until)
            return false;
    return true;
}

/* So that few find room. */
static size_t shorten_memory(void)
{
    size_t limit = mem_used() + 32 * MIB;
    mem_set_limit(limit);
    return limit;
}

static bool learn(const char *blob)
{
    struct task first = {.blob = blob, .credential = "alice", .seed = 7, .last = UINT64_MAX};
    rig_blob(blob, 7, SIZE, NULL);
    tasks_run(&first, 1);
    return task_good(&first) && rig_quiet();
}

/* Each of a credential of its own. */
static void make_crowd(const char *blob)
{
    for (unsigned i = 0; i < CROWD; i++)
        crowd[i] = (struct task){.loop = i,
                                 .blob = blob == NULL ? blobs[i] : blob,
                                 .credential = credentials[i],
                                 .seed = 7,
                                 .last = UINT64_MAX};
}

static void test_crowd(void)
{
    ok(learn("known"), "a blob is known");
    rig_control("PUT fault?path=/acct/c/known&times=-1&first_byte_ms=200");
    make_crowd("known");
    size_t limit = shorten_memory();
    int64_t most = 0;
    tasks_start(crowd, CROWD);
    for (unsigned i = 0; i < CROWD; i++)
        while (!task_over(&crowd[i])) {
            int64_t now = metric_cell_value(metric_cell(METRIC_ORIGIN_INFLIGHT, ""));
            most = now > most ? now : most;
        }
    tasks_wait(crowd, CROWD);
    is_int(tasks_good(crowd, CROWD), CROWD, "%d credentials at once: all are served", CROWD);
    long long bound = (long long) (limit / 8 / 8 * 6 / 1024 / PROBE_KIB);
    /* One that has ended may be counted for a moment longer. */
    ok(most > 1 && most <= bound + bound / 4, "by no more than %lld requests at a time (%lld)", bound,
       (long long) most);
    mem_set_limit(0);
    rig_control("DELETE fault");
    ok(rig_quiet() && waiting() == 0, "then nothing is in flight");
}

static void test_grant_first(void)
{
    struct task again = {.blob = "other", .credential = "alice", .seed = 7, .last = UINT64_MAX, .validate = true};
    ok(learn("slow") && learn("other"), "two blobs are known");
    rig_control("PUT fault?path=/acct/c/slow&times=-1&first_byte_ms=1000");
    make_crowd("slow");
    shorten_memory();
    tasks_start(crowd, CROWD);
    ok(wait_waiting(CROWD / 2), "a crowd waits");
    tasks_run(&again, 1);
    ok(task_good(&again) && waiting() > 0, "who has a grant already is served before it");
    tasks_wait(crowd, CROWD);
    is_int(tasks_good(crowd, CROWD), CROWD, "then the crowd");
    mem_set_limit(0);
    rig_control("DELETE fault");
    ok(rig_quiet() && waiting() == 0, "then nothing is in flight");
}

/* An opening that is answered 416 has a fill's place no longer, and its next question waits for room like any other. */
static void test_past_the_end(void)
{
    make_crowd(NULL);
    for (unsigned i = 0; i < CROWD; i++) {
        rig_blob(blobs[i], 7, SIZE, NULL);
        rig_control("PUT fault?path=/acct/c/%s&times=1&first_byte_ms=0", blobs[i]);
        rig_control("PUT fault?path=/acct/c/%s&times=-1&first_byte_ms=1000", blobs[i]);
        crowd[i].first = 10 * MIB;
    }
    shorten_memory();
    tasks_start(crowd, CROWD);
    ok(wait_waiting(1), "readers past the end of unknown blobs: some wait");
    tasks_wait(crowd, CROWD);
    unsigned ready = 0;
    for (unsigned i = 0; i < CROWD; i++)
        ready += crowd[i].verdict == CACHE_READY && crowd[i].length == SIZE;
    is_int(ready, CROWD, "all learn what there is");
    mem_set_limit(0);
    rig_control("DELETE fault");
    ok(rig_quiet() && waiting() == 0, "then nothing is in flight");
}

int main(void)
{
    rig_origin_start();
    rig_start(0, MIB);
    rig_grant("alice");
    for (unsigned i = 0; i < CROWD; i++) {
        snprintf(credentials[i], sizeof credentials[i], "crowd%u", i);
        snprintf(blobs[i], sizeof blobs[i], "unknown%u", i);
        rig_grant(credentials[i]);
    }
    test_crowd();
    test_grant_first();
    test_past_the_end();
    rig_stop();
    rig_origin_stop();
    return done_testing();
}
