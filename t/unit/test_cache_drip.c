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

static bool no_requests(void)
{
    return gauge(METRIC_ORIGIN_INFLIGHT) == 0;
}

/* A reader that has part of a block, and a client that takes no more of it, does not need the rest fetched anew. */
static void test_slow_client(void)
{
    struct task task = {.blob = "late", .seed = 53, .last = UINT64_MAX, .step = 50000, .hold_after = MIB / 2};

    rig_begin();
    rig_blob("late", 53, BLOCK, NULL);
    rig_control("PUT fault?path=/acct/c/late&stall_after=%d&times=1", (int) MIB);
    tasks_start(&task, 1);
    ok(task_wait_held(&task), "a reader stands still before what an origin has sent last");
    want_room(true);
    ok(wait_for(no_blocks), "the block is given up");
    ok(wait_for(no_requests), "and so is the request");
    rig_still();
    want_room(false);
    is_int(rig_stat("requests"), 1, "which is not asked for again");
    task_release(&task);
    ok(tasks_wait(&task, 1) && task_good(&task), "until the reader goes on, and gets all");
    is_int(rig_stat("requests"), 2, "by one request more");
    ok(rig_quiet(), "then nothing is in flight");
}

/* ---- Whoever begins anew is refused. ---- */

#define EVERYTHING (SIZE_MAX / 2)

/* Others take all places there are, and all that those who wait may hold: the first of a kind may. */
static void take_places(bool taken_now)
{
    struct admission_class *places = &rig_cache()->places;
    if (taken_now) {
        (void) share_take(&places->room.room, true, 0, 1, 1, EVERYTHING);
        (void) share_take(&places->waiting, true, 0, 1, 1, EVERYTHING);
    } else {
        share_give(&places->room.room, true, 1, 1, EVERYTHING);
        share_give(&places->waiting, true, 1, 1, EVERYTHING);
    }
}

static bool place_given_up(void)
{
    struct share *places = &rig_cache()->places.room.room;
    pthread_mutex_lock(&places->lock);
    bool none = places->taken[false] == 0;
    pthread_mutex_unlock(&places->lock);
    return none;
}

static void test_refused(void)
{
    struct task task = {.blob = "refused", .seed = 54, .last = UINT64_MAX};

    rig_begin();
    rig_blob("refused", 54, BLOCK, NULL);
    rig_control("PUT fault?path=/acct/c/refused&stall_after=%d&times=1", (int) MIB);
    tasks_start(&task, 1);
    ok(rig_stat_reaches("body_bytes", (int) MIB), "a reader is in the middle of a block whose origin stops");
    take_places(true);
    want_room(true);
    ok(wait_for(place_given_up), "its fill gives its place up to others, who take all");
    rig_still();
    ok(!task_over(&task), "it is refused another, which its reader does not see");
    take_places(false);
    ok(tasks_wait(&task, 1) && task_good(&task), "and gets all when there is one");
    is_int(rig_stat("requests"), 2, "by a second request");
    ok(rig_quiet(), "then nothing is in flight");
    want_room(false);
}

static int64_t patience_until;

static bool patience_over(void)
{
    return clock_mono_ms() >= patience_until;
}

/* Who waits for its own account's part, or its own client's, has the same origin: nothing is begun anew for that. */
static void test_own_account(void)
{
    struct task task = {.blob = "own", .seed = 55, .last = UINT64_MAX};
    struct cache_request request;
    char target[RIG_TEXT];
    rig_request(&request, "own", "alice", target);
    atomic_uint *waiting = &rig_cache()->places.room.waits_for[true][LINE_ACCOUNT][share_slot(request.account_hash.lo)];

    rig_begin();
    rig_blob("own", 55, BLOCK, NULL);
    rig_control("PUT fault?path=/acct/c/own&stall_after=%d&times=1", (int) MIB);
    tasks_start(&task, 1);
    ok(rig_stat_reaches("body_bytes", (int) MIB), "an origin stops, and others of its account wait for a place");
    atomic_fetch_add(waiting, 1);
    patience_until = clock_mono_ms() + ROOM_SLOW_MS + 10 * ROOM_LOOK_MS;
    ok(wait_for(patience_over), "for longer than its fill is patient");
    is_int(rig_stat("requests"), 1, "it goes on waiting");
    want_room(true);
    ok(tasks_wait(&task, 1) && task_good(&task), "until others want room");
    is_int(rig_stat("requests"), 2, "then it is asked again");
    atomic_fetch_sub(waiting, 1);
    ok(rig_quiet(), "and nothing is in flight");
    want_room(false);
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
    test_slow_client();
    test_refused();
    test_own_account();
    rig_stop();
    rig_origin_stop();
    return done_testing();
}
