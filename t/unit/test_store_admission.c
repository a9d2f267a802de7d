/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_store_admission.c: eviction and admission in a store that is full: rounds over more than fits, before and after
 * a restart; who comes late to a fill; ghosts; a group nobody reads any more; and what all that writes.
 */
#include "store_fixture.h"
#include "tap.h"

#define BLOCK (64 * KIB)
#define SIZE (64 * MIB)

/* Slots there may be: those kept free ahead are among them. */
static unsigned slots_of_store(void)
{
    return (unsigned) (fixture_metric(METRIC_STORE_CAPACITY) / BLOCK);
}

static int64_t rejected(void)
{
    return fixture_metric_of(METRIC_STORE_REJECTED, "reason=\"admission\"");
}

/* As a client would: from the store, or from the origin, and then it is put if the store will have it. Whether it was
 * a hit. */
static bool read_block(struct store *store, struct store_generation *generation, uint64_t object, uint64_t block)
{
    struct iovec piece;
    bool right, hit = store_has_block(store, generation->id, block);
    if (hit && store_peek_block(store, generation->id, block, 0, 100, false, &piece) != STATUS_OK)
        (void) !fixture_load(store, generation, object, block, &right);
    if (!hit)
        fixture_offer(store, generation, block);
    rcu_quiescent_state();
    return hit;
}

static unsigned read_blocks(struct store *store, struct store_generation *generation, uint64_t object, unsigned first,
                            unsigned count)
{
    unsigned hits = 0;
    for (unsigned block = first; block < first + count; block++)
        hits += read_block(store, generation, object, block);
    return hits;
}

/* Once through a prime number of blocks: each step makes an order of its own. */
static double read_round(struct store *store, struct store_generation *generation, uint64_t object, unsigned count,
                         unsigned step)
{
    unsigned hits = 0;
    for (unsigned i = 0; i < count; i++)
        hits += read_block(store, generation, object, (uint64_t) i * step % count);
    return (double) hits / count;
}

/* So that every step makes an order. */
static unsigned prime_below(unsigned number)
{
    for (unsigned by = 2; by * by <= number; by++)
        if (number % by == 0)
            return prime_below(number - 1);
    return number;
}

/* How many blocks are there, or would be if they were put. */
static unsigned expected_blocks(struct store *store, struct store_generation *generation, unsigned count)
{
    unsigned expected = 0;
    for (unsigned block = 0; block < count; block++)
        expected += store_would_keep(store, generation, block, block);
    return expected;
}

static void test_rounds(const char *path)
{
    static const unsigned steps[] = {1, 577, 1, 709, 853, 13};
    struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
    unsigned slots = slots_of_store(), count = prime_below(slots * 2);
    struct store_generation *generation = fixture_object(store, 1, (uint64_t) count * BLOCK, 1);
    double ratio = 0;
    unsigned expected = 0;
    for (unsigned i = 0; i < sizeof steps / sizeof *steps; i++) {
        int64_t before = rejected();
        ratio = read_round(store, generation, 1, count, steps[i]);
        diag("round %u over %u blocks, %u slots: %.3f, %lld not let in", i + 1, count, slots, ratio,
             (long long) (rejected() - before));
        if (i == 0)
            expected = expected_blocks(store, generation, count);
        if (i >= 2)
            ok(ratio > 0.4, "round %u hits most of what a fixed part would: %.3f", i + 1, ratio);
    }
    is_int(fixture_metric(METRIC_STORE_FROZEN_GROUPS), 1, "the group's admission is frozen");
    is_int(expected, count, "before that every block is expected to be kept");
    expected = expected_blocks(store, generation, count);
    ok(expected < slots, "then only what is there: %u", expected);
    ok(rejected() > count, "blocks were not let in: %lld", (long long) rejected());
    double written = (double) fixture_metric(METRIC_STORE_WRITTEN);
    double amplified = (double) fixture_metric(METRIC_STORE_DISK_WRITTEN) / written;
    ok(amplified <= 1.1, "of full blocks %.3f times their size was written", amplified);
    ok(written < 4.0 * count * BLOCK, "in six rounds less than four times the data");
    store_generation_unref(&generation);
    fixture_close(store);
    is_int(fixture_metric(METRIC_STORE_FROZEN_GROUPS), 0, "a closed store has no groups");
    store = fixture_open_loaded(path, SIZE, BLOCK);
    struct store_view view;
    ok(store_object_find(store, fixture_hash(1), &view), "after a restart the object is known");
    double first = read_round(store, view.generation, 1, count, 577), second = 0;
    for (unsigned i = 0; i < 2; i++)
        second = read_round(store, view.generation, 1, count, 709);
    ok(first > ratio - 0.1, "the first round hits what was there: %.3f", first);
    ok(second > 0.4, "and the third as much: %.3f", second);
    store_generation_unref(&view.generation);
    fixture_close(store);
}

/* Fills until something had to go. */
static void fill_store(struct store *store, uint64_t object)
{
    struct store_generation *generation = fixture_object(store, object, (uint64_t) 4 * SIZE, 1);
    int64_t evicted = fixture_metric(METRIC_STORE_EVICTIONS);
    for (unsigned i = 0; i < 4 * SIZE / BLOCK && fixture_metric(METRIC_STORE_EVICTIONS) == evicted; i++)
        (void) read_block(store, generation, object, i);
    ok(fixture_metric(METRIC_STORE_EVICTIONS) > evicted, "the store is full");
    store_generation_unref(&generation);
}

static void test_late(const char *path)
{
    struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
    unsigned slots = slots_of_store();
    fill_store(store, 1);
    struct store_generation *one = fixture_object(store, 2, 2 * BLOCK, 1);
    struct store_generation *scan = fixture_object(store, 12, (uint64_t) 4 * slots * BLOCK, 1);
    (void) read_block(store, one, 2, 0);
    (void) read_block(store, one, 2, 0); /* late to the fill */
    (void) read_blocks(store, scan, 12, 0, 20);
    (void) read_block(store, one, 2, 1);
    (void) read_blocks(store, scan, 12, 20, 15);
    ok(read_block(store, one, 2, 1), "a block that is not fresh any more is still there");
    (void) read_blocks(store, scan, 12, 35, slots / 4); /* not so many that its ghost has gone as well */
    ok(!store_has_block(store, one->id, 0), "reads that came right after the fill did not keep a block");
    ok(store_has_block(store, one->id, 1), "one that came later did");
    int64_t ghosts = fixture_metric(METRIC_STORE_GHOST_HITS);
    (void) read_block(store, one, 2, 0);
    is_int(fixture_metric(METRIC_STORE_GHOST_HITS) - ghosts, 1, "who comes back is known");
    (void) read_blocks(store, scan, 12, 35 + slots / 4, slots / 2);
    ok(store_has_block(store, one->id, 0), "and stays");
    store_generation_unref(&one);
    store_generation_unref(&scan);
    fixture_close(store);
}

/* Objects whose numbers end alike share a group. */
static void test_dead(const char *path)
{
    struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
    unsigned slots = slots_of_store(), held = 0;
    struct store_generation *old = fixture_object(store, 1, (uint64_t) slots * BLOCK, 1);
    struct store_generation *young = fixture_object(store, 2, (uint64_t) 3 * slots * BLOCK, 1);
    for (unsigned i = 0; i < 4; i++)
        (void) read_blocks(store, old, 1, 0, slots / 4 * 3);
    fill_store(store, 1);
    (void) read_blocks(store, young, 2, 0, slots * 5 / 2);
    for (unsigned block = 0; block < slots; block++)
        held += store_has_block(store, old->id, block);
    ok(held <= slots / 50, "of a group that was hot %u of %u blocks are left after 2.5 stores of another's", held,
       slots);
    store_generation_unref(&old);
    store_generation_unref(&young);
    fixture_close(store);
}

int main(void)
{
    void (*const tests[])(const char *path) = {test_rounds, test_late, test_dead};
    fixture_start();
    for (unsigned i = 0; i < sizeof tests / sizeof *tests; i++) {
        char *path = fixture_directory();
        tests[i](path);
        fixture_remove(path);
    }
    fixture_stop();
    return done_testing();
}
