/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_cache_drip.c: origins that send next to nothing, with large blocks and little memory: they do not keep the rest
 * of the cache from its blocks.
 */
#include "tap.h"

#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/metric.h"
#include "cache/context.h"
#include "test_cache_rig.h"

#define MIB (UINT64_C(1) << 20)
#define BLOCK (8 * MIB)
/* Some hundred seconds a block. */
#define DRIP_RATE 20000

static long long gauge(enum metric metric)
{
    return metric_cell_value(metric_cell(metric, ""));
}

static size_t taken(void)
{
    return atomic_load(&rig_cache()->blocks->taken);
}

static bool wait_for(bool (*there)(void))
{
    const int64_t until = clock_mono_ms() + 1000 * RIG_DEADLINE_S;
    while (!there()) {
        if (clock_mono_ms() > until)
            return false;
        nanosleep(&(const struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return true;
}

/* ---- One account has as many fills as it may, and each has a block. ---- */

enum { DRIPS = 24 };

/* All are under way, and those that have a place have a block. */
static bool dripping(void)
{
    const long long fills = gauge(METRIC_FILLS_INFLIGHT), waiting = gauge(METRIC_FILLS_WAITING);
    return fills == DRIPS && waiting > 0 && waiting < DRIPS && taken() == (size_t) (DRIPS - waiting) * BLOCK;
}

static unsigned still_there(struct task *tasks)
{
    unsigned there = 0;
    for (unsigned i = 0; i < DRIPS; i++)
        there += !task_over(&tasks[i]);
    return there;
}

static void test_other_account(void)
{
    static char names[DRIPS][16];
    struct task *tasks = tasks_new(DRIPS);

    rig_begin();
    for (unsigned i = 0; i < DRIPS; i++) {
        snprintf(names[i], sizeof(names[i]), "drip%u", i);
        rig_blob(names[i], i, 2 * BLOCK, NULL);
        tasks[i] = (struct task){.loop = i, .blob = names[i], .seed = i};
    }
    /* Half of them are known: these fills are favoured, the others' are not. */
    tasks_run(tasks, DRIPS / 2);
    is_int(tasks_good(tasks, DRIPS / 2), DRIPS / 2, "%d blobs are known", DRIPS / 2);
    ok(rig_quiet(), "then nothing is in flight");
    rig_control("PUT fault?path=/acct/c/drip*&rate=%d&times=-1", DRIP_RATE);
    for (unsigned i = 0; i < DRIPS; i++) {
        const uint64_t first = i < DRIPS / 2 ? BLOCK : 0;
        tasks[i] = (struct task){.loop = i, .blob = names[i], .seed = i, .first = first, .last = first + BLOCK - 1};
    }
    tasks_start(tasks, DRIPS);
    ok(wait_for(dripping), "an account drips into as many blocks as it may");
    diag("%zu MiB of %zu", taken() / MIB, rig_cache()->blocks->most / MIB);

    struct task other = {.blob = "other", .account = "other", .seed = 99, .last = UINT64_MAX};
    rig_blob("other", 99, 3 * BLOCK + 5, NULL);
    tasks_run(&other, 1);
    ok(task_good(&other), "another account reads meanwhile");
    ok(still_there(tasks) > 0, "while the one goes on dripping");

    for (unsigned i = 0; i < DRIPS; i++)
        task_leave(&tasks[i]);
    tasks_wait(tasks, DRIPS);
    mem_free(tasks);
}

int main(void)
{
    rig_origin_start();
    mem_set_limit(256 * MIB);
    rig_start(0, (uint32_t) BLOCK);
    rig_grant("alice");
    test_other_account();
    rig_stop();
    rig_origin_stop();
    return done_testing();
}
