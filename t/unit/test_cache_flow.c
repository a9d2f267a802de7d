/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_cache_flow.c: many readers on three loops, one blob-origin: what they read, what the origin was asked for, and
 * that nothing is left when they have gone. Each part runs without a disk and with one.
 */
#include "tap.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/metric.h"
#include "cache/context.h"
#include "store/block.h"
#include "test_cache_rig.h"

#define MIB (UINT64_C(1) << 20)

static unsigned disks;
static const char *how_stored;

/* ---- (a) one cold blob, many readers ---- */

static void test_one_flight(void)
{
    enum { READERS = 64 / RIG_SLOW };
    const uint64_t size = 40 * MIB + 123, PIECE = 4 * MIB;
    struct task *tasks = tasks_new(READERS);
    struct metric_cell *bytes = metric_cell(METRIC_ORIGIN_BYTES, "acct");
    int64_t before = metric_cell_value(bytes);

    rig_begin();
    rig_blob("one", 11, size, NULL);
    for (unsigned i = 0; i < READERS; i++)
        tasks[i] = (struct task){.loop = i, .blob = "one", .seed = 11, .last = UINT64_MAX};
    tasks_run(tasks, READERS);
    is_int(tasks_good(tasks, READERS), READERS, "%s: %d readers of one cold blob: every byte right", how_stored,
           READERS);
    long long fetched = rig_stat("body_bytes");
    long long twice = fetched - rig_stat("distinct_bytes");
    is_int(twice, 0, "%s: fetched once (%.4f times)", how_stored, (double) fetched / (double) size);
    long long requests = rig_stat("requests");
    ok(requests >= 3 && requests <= (long long) (size / PIECE + 1), "%s: in few pieces (%lld)", how_stored, requests);
    unsigned misses = 0;
    for (unsigned i = 0; i < READERS; i++)
        misses += tasks[i].how == CACHE_MISS;
    is_int(misses, 1, "%s: one of them is the miss", how_stored);
    is_int(metric_cell_value(bytes) - before, (long long) size, "%s: and counted as fetched once", how_stored);
    uint64_t came[CACHE_FROM_COUNT] = {0}, all = 0;
    for (unsigned i = 0; i < READERS; i++)
        for (unsigned from = 0; from < CACHE_FROM_COUNT; from++) {
            came[from] += tasks[i].came[from];
            all += tasks[i].came[from];
        }
    is_int((long long) all, (long long) (READERS * size), "%s: every byte came from somewhere", how_stored);
    /* What an opening brings may be stored before a reader is tied to it. */
    ok(came[CACHE_FROM_ORIGIN] <= size && came[CACHE_FROM_ORIGIN] >= size - PIECE,
       "%s: once from the origin (%llu bytes), else from the others' flights (%llu) or from the store (%llu)",
       how_stored, (unsigned long long) came[CACHE_FROM_ORIGIN], (unsigned long long) came[CACHE_FROM_FLIGHT],
       (unsigned long long) came[CACHE_FROM_STORE]);
    mem_free(tasks);
    ok(rig_quiet(), "%s: then nothing is in flight", how_stored);
}

/* ---- (b) overlapping ranges ---- */

static void test_ranges(void)
{
    enum { READERS = 60 / RIG_SLOW, BLOBS = 4 };
    static const char *const names[BLOBS] = {"r0", "r1", "r2", "r3"};
    static const char *const states[] = {"cold", "half-warm", "warm"};
    const uint64_t size = 20 * MIB + 777;
    struct task *tasks = tasks_new(READERS);

    rig_begin();
    for (unsigned b = 0; b < BLOBS; b++)
        rig_blob(names[b], 20 + b, size, NULL);
    srand(4711);
    for (unsigned round = 0; round < 3; round++) {
        memset(tasks, 0, READERS * sizeof(*tasks));
        for (unsigned i = 0; i < READERS; i++) {
            unsigned blob = (unsigned) rand() % BLOBS;
            uint64_t first = (uint64_t) rand() % size;
            uint64_t length = 1 + (uint64_t) rand() % (i % 3 == 0 ? 100000 : 6 * MIB);
            if (round == 2) { /* everything, so that the last state is really warm */
                first = 0;
                length = size;
            }
            tasks[i] = (struct task){
                .loop = i, .blob = names[blob], .seed = 20 + blob, .first = first, .last = first + length - 1};
            if (tasks[i].last >= size)
                tasks[i].last = size - 1;
        }
        tasks_run(tasks, READERS);
        is_int(tasks_good(tasks, READERS), READERS, "%s: random ranges, %s: every byte right", how_stored,
               states[round]);
    }
    long long fetched = rig_stat("body_bytes");
    long long distinct = rig_stat("distinct_bytes");
    if (disks > 0)
        is_int(fetched, distinct, "%s: no byte fetched twice", how_stored);
    else
        diag("%s: %lld bytes fetched, %lld different ones", how_stored, fetched, distinct);
    mem_free(tasks);
    ok(rig_quiet(), "%s: then nothing is in flight", how_stored);
}

/* ---- (c) a slow one among fast ones ---- */

static void test_slow_reader(void)
{
    enum { READERS = 12 };
    const uint64_t size = 48 * MIB + 5;
    struct task *tasks = tasks_new(READERS);
    size_t before = mem_used();

    rig_begin();
    rig_blob("slow", 31, size, NULL);
    for (unsigned i = 0; i < READERS; i++)
        tasks[i] = (struct task){.loop = i, .blob = "slow", .seed = 31, .last = UINT64_MAX};
    tasks[0].hold_after = 100000;
    tasks[0].step = 50000;
    tasks_start(tasks, READERS);
    ok(tasks_wait(tasks + 1, READERS - 1), "%s: the fast readers end while one stands still", how_stored);
    is_int(tasks_good(tasks + 1, READERS - 1), READERS - 1, "%s: and are right", how_stored);
    ok(task_wait_held(&tasks[0]), "%s: it does stand still", how_stored);
    /* What it may hold: its own buffer, those of its three joins' fills. */
    ok(mem_used() < before + 52 * MIB, "%s: memory is bounded meanwhile (%zu MiB more)", how_stored,
       (mem_used() - before) / MIB);
    task_release(&tasks[0]);
    tasks_wait(tasks, 1);
    is_int(tasks_good(tasks, 1), 1, "%s: the slow one ends right", how_stored);
    long long again = rig_stat("body_bytes") - rig_stat("distinct_bytes");
    if (disks > 0)
        is_int(again, 0, "%s: nothing was fetched for it again", how_stored);
    else
        diag("%s: %lld bytes fetched again for it", how_stored, again);
    mem_free(tasks);
    ok(rig_quiet(), "%s: then nothing is in flight", how_stored);
}

/* A lone slow reader holds the origin back. */
static void test_backpressure(void)
{
    const uint64_t size = 200 * MIB; /* more than three joins and their sockets hold */
    struct task task = {.blob = "lone", .seed = 32, .last = UINT64_MAX, .hold_after = 1000, .step = 1000};

    rig_begin();
    rig_blob("lone", 32, size, NULL);
    tasks_start(&task, 1);
    ok(task_wait_held(&task), "%s: a lone reader stands still", how_stored);
    /* Windows of its three joins, and what lies in sockets. */
    rig_still();
    long long sent = rig_stat("body_bytes");
    ok(sent < (long long) (72 * MIB), "%s: the origin is held back (%lld MiB of 200)", how_stored, sent >> 20);
    task_release(&task);
    tasks_wait(&task, 1);
    ok(task_good(&task), "%s: and it goes on", how_stored);
    if (!is_int(rig_stat("body_bytes"), size, "%s: once", how_stored))
        rig_say_requests("lone");
    ok(rig_quiet(), "%s: then nothing is in flight", how_stored);
}

/* ---- (d) readers that go away ---- */

static void test_leaving(void)
{
    enum { READERS = 240 / RIG_SLOW, ROUNDS = 3, BLOBS = 5 };
    static const char *const names[BLOBS] = {"l0", "l1", "l2", "l3", "l4"};
    const uint64_t size = 9 * MIB + 99;
    struct task *tasks = tasks_new(READERS);
    unsigned wrong = 0;

    rig_begin();
    srand(99);
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned b = 0; b < BLOBS; b++)
            rig_blob(names[b], 40 + b, size, NULL);
        if (round == 1) /* and transfers break */
            rig_control("PUT fault?path=/acct/c/l*&times=40&skip=3&reset_after=1500000");
        memset(tasks, 0, READERS * sizeof(*tasks));
        for (unsigned i = 0; i < READERS; i++) {
            unsigned blob = (unsigned) rand() % BLOBS;
            struct task *task = &tasks[i];
            *task =
                (struct task){.loop = (unsigned) rand(), .blob = names[blob], .seed = 40 + blob, .last = UINT64_MAX};
            task->first = (uint64_t) rand() % size;
            switch (rand() % 6) {
            case 0:
                task->cancel = true;
                break;
            case 1:
                task->close_at_open = true;
                break;
            case 2:
                task->close_in_ready = true;
                break;
            case 3:
            case 4:
                task->close_after = 1 + (uint64_t) rand() % (3 * MIB);
                break;
            default:
                break;
            }
            task->validate = rand() % 8 == 0; /* new generations are seen */
            task->fresh_zero = rand() % 4 == 0;
        }
        tasks_run(tasks, READERS);
        for (unsigned i = 0; i < READERS; i++)
            /* Generations change between the rounds only; a reader of the old one is told so or has it all. */
            if (tasks[i].wrong_at >= 0 || (tasks[i].status != STATUS_OK && tasks[i].status != STATUS_CANCELLED &&
                                           tasks[i].status != STATUS_GENERATION_CHANGED)) {
                wrong++;
                task_say(&tasks[i]);
            }
    }
    is_int(wrong, 0, "%s: readers come and go: none reads a wrong byte or is failed", how_stored);
    ok(rig_quiet(), "%s: then nothing is in flight", how_stored);
    mem_free(tasks);
}

/* ---- (j) edges ---- */

static void test_edges(void)
{
    static const struct {
        const char *name;
        uint64_t size;
    } blobs[] = {
        {"e0", 0}, {"e1", 1}, {"eblock", MIB}, {"eblock1", MIB + 1}, {"eextent", 16 * MIB}, {"eextent1", 16 * MIB + 1},
    };
    static const uint64_t edges[] = {0, 1, MIB - 1, MIB, MIB + 1, 16 * MIB - 1, 16 * MIB, 16 * MIB + 1};
    enum { EDGES = sizeof(edges) / sizeof(edges[0]) };
    struct task *tasks = tasks_new(EDGES * EDGES);

    rig_begin();
    for (unsigned b = 0; b < sizeof(blobs) / sizeof(blobs[0]); b++) {
        unsigned count = 0;
        rig_blob(blobs[b].name, 60 + b, blobs[b].size, NULL);
        memset(tasks, 0, EDGES * EDGES * sizeof(*tasks));
        for (unsigned f = 0; f < EDGES; f++)
            for (unsigned l = f; l < EDGES; l++) {
                if (edges[f] >= blobs[b].size && f > 0)
                    continue;
                tasks[count++] = (struct task){
                    .loop = f + l, .blob = blobs[b].name, .seed = 60 + b, .first = edges[f], .last = edges[l]};
            }
        tasks_run(tasks, count);
        is_int(tasks_good(tasks, count), count, "%s: %" PRIu64 " bytes: %u ranges at the edges", how_stored,
               blobs[b].size, count);
        is_int(tasks[0].length, blobs[b].size, "%s: and their length", how_stored);
    }
    struct task past = {.blob = "epast", .seed = 1, .first = 5000, .last = 6000};
    rig_blob("epast", 1, 5000, NULL);
    tasks_run(&past, 1);
    ok(past.verdict == CACHE_READY && past.length == 5000, "%s: a range past the end tells the length", how_stored);
    mem_free(tasks);
    ok(rig_quiet(), "%s: then nothing is in flight", how_stored);
}

/* ---- one connection is enough for one after the other ---- */

static void test_reuse(void)
{
    enum { BLOBS = 200 };
    char name[32];

    rig_begin();
    for (unsigned i = 0; i < BLOBS; i++) {
        snprintf(name, sizeof(name), "u%u", i);
        rig_blob(name, i, 3 * MIB / 2, NULL);
    }
    rig_control("DELETE stats");
    unsigned good = 0;
    for (unsigned i = 0; i < BLOBS; i++) {
        snprintf(name, sizeof(name), "u%u", i);
        struct task task = {.loop = i, .blob = name, .seed = i, .last = UINT64_MAX};
        tasks_run(&task, 1);
        good += task_good(&task);
    }
    is_int(good, BLOBS, "%s: %d blobs one after the other", how_stored, BLOBS);
    ok(rig_stat("connections") <= 2 * RIG_LOOPS, "%s: over %lld connections", how_stored, rig_stat("connections"));
    ok(rig_quiet(), "%s: then nothing is in flight", how_stored);
}

/* ---- what a reader was sure of goes before it gets there ---- */

struct drop {
    uint64_t generation;
    unsigned dropped;
};

static void drop_blocks(void *arg)
{
    struct drop *drop = arg;
    struct store *store = rig_cache()->config.store;
    for (uint64_t block = STORE_EXTENT_BLOCKS; block < STORE_EXTENT_BLOCKS + 2; block++)
        drop->dropped += block_drop(store, drop->generation, block, block_location(store, drop->generation, block));
}

/* The extent ahead is asked for from its third block on; two joins of it are used in turn, and each fill goes by the
 * place of its own reader. */
static void test_gone_ahead(void)
{
    const uint64_t size = 40 * MIB, extent = STORE_EXTENT_BLOCKS * MIB;
    struct task first = {.blob = "ahead", .seed = 95, .first = extent, .last = extent + 2 * MIB - 1};
    struct task task = {
        .loop = 1, .blob = "ahead", .seed = 95, .first = extent - MIB, .last = UINT64_MAX, .hold_after = MIB / 2};

    rig_begin();
    rig_blob("ahead", 95, size, NULL);
    tasks_run(&first, 1);
    ok(task_good(&first) && rig_quiet(), "%s: two blocks are there", how_stored);
    tasks_start(&task, 1);
    task_wait_held(&task);
    rig_still();
    struct drop drop = {.generation = first.generation};
    rig_on_loop(0, drop_blocks, &drop);
    is_int(drop.dropped, 2, "%s: and are taken away before a reader gets there", how_stored);
    task_release(&task);
    ok(tasks_wait(&task, 1) && task_good(&task), "%s: which gets all", how_stored);
    ok(rig_quiet(), "%s: then nothing is in flight", how_stored);
}

/* ---- no byte twice, whoever opens ---- */

static void test_fresh_zero(void)
{
    enum { READERS = 30 };
    const uint64_t size = 8 * MIB + 1;
    struct task *tasks = tasks_new(READERS);

    for (unsigned round = 0; round < 4; round++) {
        rig_begin();
        rig_blob("zero", 70 + round, size, NULL);
        memset(tasks, 0, READERS * sizeof(*tasks));
        for (unsigned i = 0; i < READERS; i++)
            tasks[i] =
                (struct task){.loop = i, .blob = "zero", .seed = 70 + round, .last = UINT64_MAX, .fresh_zero = true};
        tasks_run(tasks, READERS);
        is_int(tasks_good(tasks, READERS), READERS, "%s: freshness 0: %d readers right", how_stored, READERS);
        long long requests = rig_stat("requests");
        ok(requests >= READERS, "%s: each asked for itself (%lld requests)", how_stored, requests);
        long long twice = rig_stat("body_bytes") - rig_stat("distinct_bytes");
        /* Each probe's one byte comes once more. */
        if (disks > 0)
            ok(twice <= requests, "%s: but the data came once (%lld bytes again)", how_stored, twice);
        else /* a reader may come when the others, and what was fetched for them, have gone */
            diag("%s: %lld bytes were fetched again", how_stored, twice);
    }
    mem_free(tasks);
    ok(rig_quiet(), "%s: then nothing is in flight", how_stored);
}

static void run_all(unsigned disk_count)
{
    disks = disk_count;
    how_stored = disks > 0 ? "a disk" : "no disk";
    rig_start(disks, (uint32_t) MIB);
    rig_grant("alice");
    test_edges();
    size_t before = mem_used();
    test_one_flight();
    test_ranges();
    test_slow_reader();
    test_backpressure();
    test_leaving();
    test_reuse();
    if (disks > 0)
        test_gone_ahead();
    test_fresh_zero();
    /* Records, grants and connections stay; a block would be a MiB. */
    ok(rig_memory_below(before + 6 * MIB), "%s: no buffer is left behind", how_stored);
    is_int(metric_cell_value(metric_cell(METRIC_FILLS_INFLIGHT, "")), 0, "%s: no fill", how_stored);
    rig_stop();
}

int main(void)
{
    rig_origin_start();
    run_all(0);
    run_all(1);
    rig_origin_stop();
    return done_testing();
}
