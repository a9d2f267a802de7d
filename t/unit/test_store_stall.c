/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_store_stall.c: what is durable before a write is forwarded does not wait for what others make the index thread
 * do: blobs of enormous length that become other ones, and writes to containers in great number.
 */
#include "base/clock.h"
#include "store_fixture.h"
#include "tap.h"

#define BLOCK (64 * KIB)
#define SIZE (64 * MIB)
/* The largest page blob, which costs nothing while it is empty. */
#define ENORMOUS (INT64_C(8) << 40)
#define SOON_MS 5000

/* How long a tombstone of a small object takes. */
static int64_t tombstone_ms(struct store *store, uint64_t object)
{
    struct arrival arrival;
    int64_t before_ms = clock_mono_ms();
    arrival_init(&arrival);
    store_tombstone(store, fixture_hash(object), fixture_loop, &arrival.letter);
    arrival_wait(&arrival, 1);
    return clock_mono_ms() - before_ms;
}

/* The blob changes as often as that; of the first of these generations a block is stored. */
static void change(struct store *store, unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        struct store_generation *generation = fixture_object(store, 1, ENORMOUS, 1);
        if (i == 0)
            fixture_put(store, generation, 1, 70000);
        store_generation_unref(&generation);
        rcu_quiescent_state();
    }
    rcu_thread_offline();
    rcu_barrier(); /* what is forgotten of it is known by now */
    rcu_thread_online();
}

static void test_enormous(const char *path, unsigned disks)
{
    struct store_disk disk[2];
    char below[2][4200];
    for (unsigned i = 0; i < disks; i++) {
        snprintf(below[i], sizeof below[i], "%s/%u", path, i);
        disk[i] = (struct store_disk){.path = below[i], .size = SIZE};
    }
    struct store *store = fixture_open_disks(disk, disks, BLOCK);
    fixture_put_object(store, 2, BLOCK, 1);
    change(store, 200);
    /* The index thread is at what was dropped while the second is waited for. */
    int64_t took_ms = tombstone_ms(store, 2) + tombstone_ms(store, 2);
    ok(took_ms < SOON_MS, "of %u disks, a tombstone does not wait for what was of an enormous blob: %lld ms", disks,
       (long long) took_ms);
    fixture_flush(store);
    (void) tombstone_ms(store, 2);
    is_int(fixture_metric(METRIC_STORE_BLOCKS), 1, "what was stored of it is dropped");
    is_int(fixture_inspect(store, 2, 2).blocks, 1, "and nothing else is");
    fixture_close(store);
}

static void test_one_disk(const char *path)
{
    test_enormous(path, 1);
}

static void test_two_disks(const char *path)
{
    test_enormous(path, 2);
}

/* Objects of ten groups: of one whose name is among the marks, of one whose family is, and of others. */
static void test_groups(const char *path)
{
    enum { OBJECTS = 100000, WRITES = 2000 };
    static struct arrival arrivals[WRITES];
    struct store *store = fixture_open_loaded(path, (int64_t) 8192 * MIB, BLOCK);
    for (unsigned i = 0; i < OBJECTS; i++) {
        struct store_generation *generation = fixture_object(store, i, 0, 1);
        store_generation_unref(&generation);
        rcu_quiescent_state();
    }
    fixture_flush(store);
    for (unsigned i = 0; i < WRITES; i++) {
        arrival_init(&arrivals[i]);
        store_intent_begin(store, fixture_loop, &arrivals[i].letter);
        arrival_wait(&arrivals[i], 1);
    }
    for (unsigned i = 0; i < WRITES - 2; i++)
        store_tombstone_group(store, fixture_hash(2000000 + i), NULL, NULL);
    store_tombstone_group(store, fixture_hash(1000003), NULL, NULL);
    store_tombstone_group(store, store_group_family(fixture_hash(1000004).hi), NULL, NULL);
    int64_t took_ms = tombstone_ms(store, 2);
    ok(took_ms < SOON_MS, "nor for thousands of writes to containers: %lld ms", (long long) took_ms);
    is_int(fixture_validated(store, OBJECTS - 7), 0, "objects of one of these are forgotten");
    is_int(fixture_validated(store, OBJECTS - 6), 0, "and those of a family");
    is_int(fixture_validated(store, OBJECTS - 5), 1, "and no others");
    fixture_close(store);
}

int main(void)
{
    fixture_start();
    fixture_with_directory(test_one_disk);
    fixture_with_directory(test_two_disks);
    fixture_with_directory(test_groups);
    fixture_stop();
    return done_testing();
}
