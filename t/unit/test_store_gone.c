/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_store_gone.c: the directory is taken away under a running store: before it held anything, when its files are
 * there, and when it wants another one. Nothing hangs, nothing wrong is shown, errors are counted, and the next start
 * begins anew.
 */
#include "base/clock.h"
#include "store_fixture.h"
#include "tap.h"

#define BLOCK (256 * KIB)
#define SIZE (64 * MIB)

static bool stored_right(struct store *store, const struct store_generation *generation, uint64_t object,
                         uint64_t block)
{
    bool right;
    return fixture_load(store, generation, object, block, &right) == STATUS_OK && right;
}

/* Eviction may be quicker than the load; anything else but the right bytes is wrong. */
static bool stored_wrong(struct store *store, const struct store_generation *generation, uint64_t object,
                         uint64_t block)
{
    bool right;
    enum status status = fixture_load(store, generation, object, block, &right);
    return status != STATUS_NOT_FOUND && (status != STATUS_OK || !right);
}

/* What any store must still do, and that it is a new one after a restart. */
static void still_works(struct store *store, const char *path, uint32_t block_size)
{
    struct store_generation *generation = fixture_object(store, 7000, 10, 1234);
    struct store_view view;
    struct arrival arrival;
    arrival_init(&arrival);
    store_tombstone(store, fixture_hash(7000), fixture_loop, &arrival.letter);
    arrival_wait(&arrival, 1);
    ok(store_object_find(store, fixture_hash(7000), &view) && view.validated_s == 0, "a tombstone is answered");
    store_generation_unref(&view.generation);
    store_generation_unref(&generation);
    fixture_flush(store);
    ok(access(path, F_OK) != 0, "nothing has brought the directory back");
    fixture_close(store);
    store = fixture_open_loaded(path, SIZE, block_size);
    ok(!store_object_find(store, fixture_hash(7000), &view), "the next start knows nothing");
    generation = fixture_object(store, 7001, block_size, 1);
    fixture_put(store, generation, 7001, 0);
    ok(stored_right(store, generation, 7001, 0), "and stores again");
    store_generation_unref(&generation);
    fixture_close(store);
}

static void test_before_the_first_fill(const char *path)
{
    struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
    struct store_generation *generation = fixture_object(store, 1, 10 * BLOCK + 1000, 1);
    struct metric_cell *errors = metric_cell(METRIC_STORE_ERRORS, path);
    int64_t start = clock_mono_ms(), before = metric_cell_value(errors);
    fixture_take_away(path);
    for (uint64_t block = 0; block <= 10; block++)
        fixture_put(store, generation, 1, block);
    ok(clock_mono_ms() - start < 2000, "puts do not wait for space that cannot come");
    ok(!store_has_block(store, generation->id, 0) && !store_has_block(store, generation->id, 10), "nothing is stored");
    is_int(metric_cell_value(errors) - before, 1, "that no file can be made is counted, once");
    store_generation_unref(&generation);
    still_works(store, path, BLOCK);
}

/* Four times what fits: all of it evicted, in files that have no name any more. */
static void test_with_files(const char *path)
{
    enum { BLOCKS = 4 * SIZE / BLOCK };
    struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
    struct store_generation *generation = fixture_object(store, 2, (uint64_t) BLOCKS * BLOCK + 700, 1);
    int64_t evicted = fixture_metric(METRIC_STORE_EVICTIONS);
    unsigned wrong = 0, kept = 0;
    for (uint64_t block = 0; block < 20; block++)
        fixture_put(store, generation, 2, block);
    fixture_take_away(path);
    for (uint64_t block = 0; block < 20; block++)
        wrong += !stored_right(store, generation, 2, block);
    is_int(wrong, 0, "what was stored is there");
    for (uint64_t block = 20; block <= BLOCKS; block++)
        fixture_put(store, generation, 2, block);
    for (uint64_t block = 0; block <= BLOCKS; block++) {
        if (!store_has_block(store, generation->id, block))
            continue;
        kept++;
        wrong += stored_wrong(store, generation, 2, block);
    }
    ok(kept > BLOCKS / 8 && wrong == 0, "fills go on: %u blocks kept, %u wrong", kept, wrong);
    ok(fixture_metric(METRIC_STORE_EVICTIONS) - evicted > BLOCKS / 2, "and so does eviction");
    store_generation_unref(&generation);
    still_works(store, path, BLOCK);
}

/* Small blocks, so that the size takes several files. */
static void test_between_files(const char *path)
{
    enum { SMALL = 16 * KIB, FILE_SLOTS = 1024, BLOCKS = 2 * FILE_SLOTS };
    struct store *store = fixture_open_loaded(path, SIZE, SMALL);
    struct store_generation *generation = fixture_object(store, 3, (uint64_t) BLOCKS * SMALL, 1);
    struct metric_cell *errors = metric_cell(METRIC_STORE_ERRORS, path);
    int64_t before = metric_cell_value(errors);
    unsigned wrong = 0, kept = 0;
    for (uint64_t block = 0; block < FILE_SLOTS / 2; block++)
        fixture_put(store, generation, 3, block);
    fixture_take_away(path);
    for (uint64_t block = FILE_SLOTS / 2; block < BLOCKS; block++)
        fixture_put(store, generation, 3, block);
    is_int(metric_cell_value(errors) - before, 1, "that there is no further file is counted, once");
    for (uint64_t block = 0; block < BLOCKS; block++) {
        if (!store_has_block(store, generation->id, block))
            continue;
        kept++;
        wrong += stored_wrong(store, generation, 3, block);
    }
    ok(kept > FILE_SLOTS * 3 / 4 && kept <= FILE_SLOTS && wrong == 0,
       "the store goes on with the one: %u blocks, %u wrong", kept, wrong);
    store_generation_unref(&generation);
    still_works(store, path, SMALL);
}

int main(void)
{
    fixture_start();
    fixture_with_directory(test_before_the_first_fill);
    fixture_with_directory(test_with_files);
    fixture_with_directory(test_between_files);
    fixture_stop();
    return done_testing();
}
