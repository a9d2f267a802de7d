/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_directory.c: leaves come and go under one writer while readers look on without locks: a reader sees a location
 * that was set, or none, and never one of another leaf. And what a leaf costs.
 */
#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"
#include "store/directory.h"
#include "tap.h"

#define READERS 3
#define LEAVES 64
#define ROUNDS 20000

static struct directory *directory;
static atomic_bool finished;
static atomic_uint wrong, seen;
static atomic_ulong looks;

/* A location that tells whose it is. */
static uint64_t location_for(uint64_t generation, unsigned number)
{
    return location_make(0, 1, generation * STORE_EXTENT_BLOCKS + number);
}

static void *reader(void *arg)
{
    uint64_t state = (uintptr_t) arg;
    rcu_register_thread();
    while (!atomic_load(&finished)) {
        for (unsigned i = 0; i < 100; i++) {
            state = hash_mix(state, i);
            uint64_t generation = 1 + state % LEAVES;
            unsigned number = (unsigned) (state >> 32) % STORE_EXTENT_BLOCKS;
            struct leaf *leaf = directory_find(directory, generation, 5);
            atomic_fetch_add_explicit(&looks, 1, memory_order_relaxed);
            if (leaf == NULL)
                continue;
            uint64_t location = atomic_load(&leaf->location[number]);
            if (location == 0)
                continue;
            atomic_fetch_add(&seen, 1);
            if (!location_same(location, location_for(generation, number)) || leaf->generation != generation ||
                leaf->length != generation * 1000)
                atomic_fetch_add(&wrong, 1);
            directory_flag(&leaf->location[number], location, LOCATION_USED, 0);
        }
        rcu_quiescent_state();
    }
    rcu_unregister_thread();
    return NULL;
}

static void toggle(uint64_t generation, unsigned number)
{
    directory_lock(directory, generation, 5);
    struct leaf *leaf = directory_add(directory, generation, 5, (struct hash128){generation, 1}, generation * 1000);
    uint64_t now = atomic_load(&leaf->location[number]);
    atomic_store(&leaf->location[number], now == 0 ? location_for(generation, number) : 0);
    directory_tidy(directory, leaf);
    directory_unlock(directory, generation, 5);
}

static void test_readers(void)
{
    pthread_t threads[READERS];
    uint64_t state = 99;
    for (uintptr_t i = 0; i < READERS; i++)
        pthread_create(&threads[i], NULL, reader, (void *) (i + 1));
    for (unsigned i = 0; i < ROUNDS || atomic_load(&seen) == 0; i++) {
        state = hash_mix(state, i);
        toggle(1 + state % LEAVES, (unsigned) (state >> 40) % 2 * 7);
        rcu_quiescent_state();
    }
    atomic_store(&finished, true);
    rcu_thread_offline();
    for (unsigned i = 0; i < READERS; i++)
        pthread_join(threads[i], NULL);
    rcu_thread_online();
    is_int(atomic_load(&wrong), 0, "no reader saw a location or a leaf that was not the one it asked for");
    ok(atomic_load(&seen) > 0, "readers saw %u of %lu", atomic_load(&seen), atomic_load(&looks));
    for (uint64_t generation = 1; generation <= LEAVES; generation++) {
        for (unsigned number = 0; number <= 7; number += 7) {
            struct leaf *leaf = directory_find(directory, generation, 5);
            if (leaf != NULL && atomic_load(&leaf->location[number]) != 0)
                toggle(generation, number);
        }
    }
    is_int(directory_count(directory), 0, "the last block out takes its leaf with it");
}

static void test_flags(void)
{
    _Atomic uint64_t location = location_for(3, 4);
    uint64_t seen_then = atomic_load(&location);
    directory_flag(&location, seen_then, LOCATION_VERIFIED, 0);
    ok(atomic_load(&location) == (seen_then | LOCATION_VERIFIED), "a flag is set");
    directory_flag(&location, seen_then, LOCATION_USED, LOCATION_VERIFIED);
    ok(atomic_load(&location) == (seen_then | LOCATION_USED), "one set, one cleared, whatever flags were seen");
    atomic_store(&location, 0);
    directory_flag(&location, seen_then, LOCATION_USED, 0);
    ok(atomic_load(&location) == 0, "a block that has gone gets no flag");
    atomic_store(&location, location_for(9, 9));
    directory_flag(&location, seen_then, LOCATION_VERIFIED, 0);
    ok(atomic_load(&location) == location_for(9, 9), "nor does one that lies elsewhere");
}

static void test_lengths(void)
{
    is_int(store_block_length(0, 1024, 0), 0, "an empty blob has no block");
    is_int(store_block_length(1, 1024, 0), 1, "a short one");
    is_int(store_block_length(1024, 1024, 0), 1024, "a full one");
    is_int(store_block_length(1024, 1024, 1), 0, "nothing follows it");
    is_int(store_block_length(1025, 1024, 1), 1, "the tail");
    is_int(store_block_length(1025, 1024, UINT64_MAX), 0, "far past the end");
}

static void test_memory(void)
{
    enum { EXTENTS = 62500 }; /* 10^6 blocks */
    size_t before = mem_used();
    for (uint64_t extent = 0; extent < EXTENTS; extent++) {
        directory_lock(directory, 1, extent);
        struct leaf *leaf = directory_add(directory, 1, extent, (struct hash128){1, 1}, UINT64_C(1) << 40);
        for (unsigned i = 0; i < STORE_EXTENT_BLOCKS; i++)
            atomic_store_explicit(&leaf->location[i], location_for(1, i), memory_order_relaxed);
        directory_unlock(directory, 1, extent);
    }
    double mb = (double) (mem_used() - before) / 1e6;
    ok(mb < 16, "10^6 blocks in whole extents take %.1f MB", mb);
}

int main(void)
{
    rcu_register_thread();
    directory = directory_new();
    test_lengths();
    test_flags();
    test_readers();
    test_memory();
    directory_free(directory);
    rcu_unregister_thread();
    return done_testing();
}
