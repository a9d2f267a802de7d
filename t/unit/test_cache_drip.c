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

/* As if somebody was refused all the time. */
static void want_room(bool wanted)
{
    atomic_store(&rig_cache()->blocks->refused_ms, wanted ? clock_mono_ms() + 1000 * RIG_DEADLINE_S : 0);
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
    want_room(true);
    ok(rig_quiet(), "fills that nobody reads end when room is wanted");
    want_room(false);
    is_int((long long) taken(), 0, "and all room is back");
    mem_free(tasks);
}

/* ---- Readers wait in the middle of a block, and room is wanted. ---- */

/* What has come of the block is given up, and fetched again: the third time all of it comes. */
static void test_stalled(void)
{
    enum { READERS = 3 };
    struct task tasks[READERS];

    rig_begin();
    rig_blob("stall", 50, BLOCK, NULL);
    rig_control("PUT fault?path=/acct/c/stall&stall_after=%d&times=2", (int) MIB);
    for (unsigned i = 0; i < READERS; i++)
        tasks[i] = (struct task){.loop = i, .blob = "stall", .seed = 50, .last = UINT64_MAX};
    want_room(true);
    tasks_run(tasks, READERS);
    is_int(tasks_good(tasks, READERS), READERS, "%d readers of a block whose origin stops twice: all right", READERS);
    if (!is_int(rig_stat("requests"), 3, "it is asked three times"))
        rig_say_requests("stall");
    is_int(rig_stat("body_bytes"), BLOCK + 2 * MIB, "for what it had sent of the block, and the rest");
    ok(rig_quiet(), "then nothing is in flight");
    want_room(false);
}

/* An origin that sends is waited for, whatever it sends. */
static void test_steady(void)
{
    struct task task = {.blob = "steady", .seed = 51, .last = UINT64_MAX};

    rig_begin();
    rig_blob("steady", 51, 5, NULL);
    rig_control("PUT fault?path=/acct/c/steady&rate=1&times=-1");
    want_room(true);
    tasks_run(&task, 1);
    ok(task_good(&task), "a byte a second is enough to be waited for");
    is_int(rig_stat("requests"), 1, "it is asked once");
    ok(rig_quiet(), "then nothing is in flight");
    want_room(false);
}

static bool two_blocks(void)
{
    return taken() == 2 * BLOCK;
}

static bool no_blocks(void)
{
    return taken() == 0;
}

/* Who waits for nothing but its own client keeps no block whose origin drips. */
static void test_behind(void)
{
    struct task task = {.blob = "behind", .seed = 52, .last = UINT64_MAX, .step = 50000, .hold_after = MIB};

    rig_begin();
    rig_blob("behind", 52, 3 * BLOCK, NULL);
    rig_control("PUT fault?path=/acct/c/behind&stall_after=%d&times=1", (int) (BLOCK + MIB));
    tasks_start(&task, 1);
    ok(task_wait_held(&task), "a reader stands still in a block");
    ok(wait_for(two_blocks), "a fill has a block for its reader, and half of the next");
    want_room(true);
    ok(wait_for(no_blocks), "it gives both up when room is wanted");
    want_room(false);
    task_release(&task);
    ok(tasks_wait(&task, 1) && task_good(&task), "and its reader gets all, let go");
    ok(rig_quiet(), "then nothing is in flight");
}

int main(void)
{
    rig_origin_start();
    mem_set_limit(256 * MIB);
    rig_stall_ms = 60000;
    rig_start(0, (uint32_t) BLOCK);
    rig_grant("alice");
    test_other_account();
    test_stalled();
    test_steady();
    test_behind();
    rig_stop();
    rig_origin_stop();
    return done_testing();
}
