/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_store_quota.c: reserves and limits in a store on one disk and on two: under pressure by others, after a restart
 * with the same and with lower bounds, and what is not counted. Objects whose numbers end alike share a group.
 */
#include "base/clock.h"
#include "store_fixture.h"
#include "tap.h"

#define BLOCK (64 * KIB)
#define SIZE (64 * MIB)
#define WAIT_MS 60000

static struct hash128 group_of(uint64_t object)
{
    return fixture_hash(object % 10 + 1000000);
}

static int64_t held(const char *labels)
{
    return metric_cell_value(metric_cell(METRIC_STORE_QUOTA, labels)) / BLOCK;
}

/* How many of the blocks first … first + count − 1 are there. */
static unsigned there(struct store *store, const struct store_generation *generation, unsigned first, unsigned count)
{
    unsigned sum = 0;
    for (unsigned block = first; block < first + count; block++)
        sum += store_has_block(store, generation->id, block);
    return sum;
}

/* Puts them in order; one that is not let in is left out. */
static void put(struct store *store, struct store_generation *generation, unsigned first, unsigned count)
{
    for (unsigned block = first; block < first + count; block++) {
        fixture_offer(store, generation, block);
        rcu_quiescent_state();
    }
}

static struct store *open_sized(const char *path, int64_t size, const struct store_quota *quotas, unsigned count)
{
    fixture_quotas = quotas;
    fixture_quota_count = count;
    struct store *store = fixture_open_loaded(path, size, BLOCK);
    fixture_quota_count = 0;
    return store;
}

static struct store *open_with(const char *path, const struct store_quota *quotas, unsigned count)
{
    return open_sized(path, SIZE, quotas, count);
}

static unsigned slots_of_store(void)
{
    return (unsigned) (fixture_metric(METRIC_STORE_CAPACITY) / BLOCK);
}

static struct store_generation *find(struct store *store, uint64_t object)
{
    struct store_view view;
    if (!store_object_find(store, fixture_hash(object), &view))
        abort();
    return view.generation;
}

/* Waits, in turn with the store's threads, until the quota holds no more than that. */
static bool comes_down(const char *labels, int64_t blocks)
{
    int64_t until = clock_mono_ms() + WAIT_MS;
    while (held(labels) > blocks && clock_mono_ms() < until) {
        rcu_thread_offline();
        sched_yield();
        rcu_thread_online();
    }
    return held(labels) <= blocks;
}

static void test_pressure(const char *path)
{
    struct store_quota quotas[] = {{group_of(1), 200 * BLOCK, -1, "a\treserve"},
                                   {group_of(2), 0, 100 * BLOCK, "a\tlimit"}};
    struct store *store = open_with(path, quotas, 2);
    unsigned slots = slots_of_store();
    struct store_generation *reserve = fixture_object(store, 1, 400 * BLOCK, 1);
    struct store_generation *limit = fixture_object(store, 2, (uint64_t) 4 * SIZE, 1);
    struct store_generation *flood = fixture_object(store, 3, (uint64_t) 4 * SIZE, 1);
    put(store, reserve, 0, 200);
    int64_t gone = fixture_metric_of(METRIC_STORE_VICTIMS, "cause=\"limit\"");
    put(store, limit, 0, 2 * slots);
    is_int(fixture_metric_of(METRIC_STORE_VICTIMS, "cause=\"limit\"") - gone, 2 * slots - 100,
           "what went for it is counted");
    is_int(fixture_metric_of(METRIC_STORE_VICTIMS, "cause=\"space\""), 0, "and nothing else went");
    is_int(held("a\tlimit"), 100, "a limit holds while the store has room");
    is_int(there(store, limit, 0, 2 * slots), 100, "and is what is there");
    ok(store_would_keep(store, limit, 3 * slots, 3 * slots + 99),
       "as many more are expected to be kept, at their cost");
    ok(!store_would_keep(store, limit, 3 * slots, 3 * slots + 100), "one more than the limit is not");
    is_int(there(store, reserve, 0, 200), 200, "others lose nothing by it");
    put(store, flood, 0, 3 * slots);
    is_int(there(store, reserve, 0, 200), 200, "a reserve holds under three stores of another's");
    is_int(held("a\treserve"), 200, "as the metric says");
    put(store, reserve, 200, 100);
    put(store, flood, 3 * slots, slots / 2);
    is_int(there(store, reserve, 0, 300), 200, "what is above it goes");
    store_generation_unref(&reserve);
    store_generation_unref(&limit);
    store_generation_unref(&flood);
    fixture_flush(store);
    fixture_close(store);
    is_int(held("a\treserve") + held("a\tlimit"), 0, "a closed store holds nothing");
}

/* The bounds of a start hold for what earlier ones have left. */
static void test_restart(const char *path)
{
    struct store_quota quotas[] = {{group_of(1), 100 * BLOCK, 300 * BLOCK, "b\tone"}};
    struct store *store = open_with(path, quotas, 1);
    struct store_generation *one = fixture_object(store, 1, 400 * BLOCK, 1);
    put(store, one, 0, 300);
    store_generation_unref(&one);
    fixture_flush(store);
    fixture_close(store);

    store = open_with(path, quotas, 1);
    unsigned slots = slots_of_store();
    is_int(held("b\tone"), 300, "what was held counts after a restart");
    one = find(store, 1);
    put(store, one, 300, 20);
    is_int(held("b\tone"), 300, "so the limit holds");
    struct store_generation *flood = fixture_object(store, 2, (uint64_t) 4 * SIZE, 1);
    put(store, flood, 0, 3 * slots);
    ok(there(store, one, 0, 400) >= 100, "and the reserve: %u", there(store, one, 0, 400));
    unsigned there_before = there(store, one, 0, 400);
    store_generation_unref(&one);
    store_generation_unref(&flood);
    fixture_flush(store);
    fixture_close(store);

    quotas[0].limit = 50 * BLOCK;
    quotas[0].reserve = 0;
    int64_t gone = fixture_metric_of(METRIC_STORE_VICTIMS, "cause=\"limit\"");
    store = open_with(path, quotas, 1);
    ok(comes_down("b\tone", 50), "a lower limit takes effect at the start, without anybody asking");
    ok(fixture_metric_of(METRIC_STORE_VICTIMS, "cause=\"limit\"") - gone >= there_before - 50, "what went is counted");
    one = find(store, 1);
    ok(there(store, one, 0, 400) <= 50, "on what is there: %u", there(store, one, 0, 400));
    fixture_flush(store); /* what left the directory has its rows */
    store_generation_unref(&one);
    fixture_close(store);

    quotas[0].limit = -1;
    store = open_with(path, quotas, 1);
    ok(held("b\tone") <= 50, "and is true of the index as well: %lld", (long long) held("b\tone"));
    fixture_close(store);
}

/* Blocks of up to half the size lie with others and are not counted, but a limit of nothing keeps them out as well. */
static void test_small(const char *path)
{
    struct store_quota quotas[] = {{group_of(1), 0, 2 * BLOCK, "c\tsmall"}, {group_of(2), 0, 0, "c\tnone"}};
    struct store *store = open_with(path, quotas, 2);
    struct store_generation *small[20], *none[2];
    for (unsigned i = 0; i < 20; i++) {
        small[i] = fixture_object(store, 1 + 10 * i, BLOCK / 2, 1);
        put(store, small[i], 0, 1);
    }
    struct store_generation *few = fixture_object(store, 301, 3 * BLOCK, 1);
    unsigned kept = 0;
    for (unsigned i = 0; i < 20; i++) {
        kept += store_has_block(store, small[i]->id, 0);
        store_generation_unref(&small[i]);
    }
    ok(store_would_keep(store, few, 0, 1) && !store_would_keep(store, few, 0, 2),
       "two blocks would be kept, not three");
    store_generation_unref(&few);
    is_int(kept, 20, "small ones are kept beyond the limit");
    is_int(held("c\tsmall"), 0, "and count for nothing");
    int64_t limited = fixture_metric_of(METRIC_STORE_REJECTED, "reason=\"limit\"");
    for (unsigned i = 0; i < 2; i++) {
        none[i] = fixture_object(store, 2 + 10 * i, i == 0 ? BLOCK : BLOCK / 2, 1);
        ok(!store_would_keep(store, none[i], 0, 0), "with a limit of nothing no block is expected to be kept");
        put(store, none[i], 0, 1);
        ok(!store_has_block(store, none[i]->id, 0), "a limit of nothing keeps nothing");
        store_generation_unref(&none[i]);
    }
    is_int(fixture_metric_of(METRIC_STORE_REJECTED, "reason=\"limit\"") - limited, 2, "and is why, as the metric says");
    fixture_close(store);
}

/* What a limit keeps replacing is written where it was, not over the whole disk. */
static void test_growth(const char *path)
{
    struct store_quota quota = {group_of(1), 0, 100 * BLOCK, "f\t"};
    struct store *store = open_sized(path, 4 * SIZE, &quota, 1);
    struct store_generation *one = fixture_object(store, 1, (uint64_t) 4 * SIZE, 1);
    put(store, one, 0, 3000);
    is_int(there(store, one, 0, 3000), 100, "a limit in a large store");
    ok(fixture_usage(path) < 2 * SIZE, "of which %lld MiB are taken", (long long) fixture_usage(path) / MIB);
    store_generation_unref(&one);
    fixture_close(store);
}

/* With all of the disk's threads at it the limit is not passed for a moment. */
static void test_crowd(const char *path)
{
    enum { CROWD = 16, TURNS = 60 };
    struct store_quota quotas[] = {{group_of(1), 0, 20 * BLOCK, "d\t"}};
    struct store *store = open_with(path, quotas, 1);
    struct store_generation *one = fixture_object(store, 1, (uint64_t) 2 * SIZE, 1);
    struct arrival arrivals[CROWD];
    int64_t most = 0;
    for (unsigned turn = 0; turn < TURNS; turn++) {
        bool sent[CROWD];
        for (unsigned i = 0; i < CROWD; i++) {
            struct buf *buf = buf_new(BLOCK);
            memset(buf->data, 1, BLOCK);
            buf_publish(buf, BLOCK);
            arrival_init(&arrivals[i]);
            sent[i] = store_put_block(store, one, turn * CROWD + i, buf, BLOCK, fixture_loop, &arrivals[i].letter) ==
                      STATUS_OK;
            buf_unref(&buf);
        }
        for (unsigned i = 0; i < CROWD; i++) {
            most = held("d\t") > most ? held("d\t") : most;
            arrival_wait(&arrivals[i], sent[i]);
        }
    }
    ok(most <= 20, "many puts do not pass a limit: %lld", (long long) most);
    is_int(there(store, one, 0, TURNS * CROWD), 20, "nor leave it unused");
    store_generation_unref(&one);
    fixture_close(store);
}

static void test_two_disks(const char *path)
{
    char paths[2][4200];
    struct store_disk disks[2];
    struct store_quota quota = {group_of(1), 200 * BLOCK, 400 * BLOCK, "e\t"};
    for (unsigned i = 0; i < 2; i++) {
        snprintf(paths[i], sizeof paths[i], "%s/disk%u", path, i);
        disks[i] = (struct store_disk){.path = paths[i], .size = i == 0 ? SIZE : SIZE / 2};
    }
    struct store *store = NULL;
    struct strbuf error = {0};
    rcu_thread_offline();
    enum status status = store_open(
        &(struct store_options){
            .disks = disks, .disk_count = 2, .block_size = BLOCK, .quotas = &quota, .quota_count = 1},
        &store, &error);
    rcu_thread_online();
    is_int(status, STATUS_OK, "two disks");
    if (status != STATUS_OK)
        return;
    fixture_flush(store);
    unsigned slots = slots_of_store();
    struct store_generation *one = fixture_object(store, 1, (uint64_t) 4 * SIZE, 1);
    struct store_generation *flood = fixture_object(store, 2, (uint64_t) 6 * SIZE, 1);
    put(store, one, 0, 1200);
    ok(held("e\t") <= 400 && held("e\t") >= 398, "share a limit: %lld", (long long) held("e\t"));
    put(store, flood, 0, 3 * slots);
    ok(held("e\t") >= 200, "and a reserve: %lld", (long long) held("e\t"));
    is_int(metric_cell_value(metric_cell(METRIC_STORE_QUOTA_LIMIT, "e\t")), 400 * BLOCK, "the limit's metric");
    is_int(metric_cell_value(metric_cell(METRIC_STORE_QUOTA_RESERVE, "e\t")), 200 * BLOCK, "the reserve's");
    store_generation_unref(&one);
    store_generation_unref(&flood);
    fixture_close(store);
    strbuf_free(&error);
}

int main(void)
{
    void (*const tests[])(const char *path) = {test_pressure, test_restart, test_small,
                                               test_growth,   test_crowd,   test_two_disks};
    fixture_start();
    for (unsigned i = 0; i < sizeof tests / sizeof *tests; i++) {
        char *path = fixture_directory();
        tests[i](path);
        fixture_remove(path);
    }
    fixture_stop();
    return done_testing();
}
