/* SPDX-License-Identifier: Apache-2.0 */
/* test_store_scrub.c: damage that nobody has asked for is found, dropped and counted; what is well is left alone. */
#include "base/clock.h"
#include "on_loop.h"
#include "store/disk.h"
#include "store_fixture.h"
#include "tap.h"

#define BLOCK (256 * KIB)
#define SIZE (64 * MIB)
#define RATE (INT64_C(1) << 30)
#define PERIOD_MS 4000
#define STRIDE ((off_t) BLOCK + ENTRY_PAGE)

static struct store *scrubbed(const char *path, int64_t rate, int64_t period_ms)
{
    struct store_disk disk = {.path = path, .size = SIZE, .scrub_rate = rate, .scrub_period_ms = period_ms};
    return fixture_open_disks(&disk, 1, BLOCK);
}

/* Waits for a pass that began after now. */
static bool wait_pass(const char *path)
{
    struct metric_cell *passes = metric_cell(METRIC_STORE_SCRUBS, path);
    int64_t wanted = metric_cell_value(passes) + 2;
    rcu_thread_offline();
    for (int64_t until = nap_deadline(); metric_cell_value(passes) < wanted && nap_until(until);)
        ;
    rcu_thread_online();
    return metric_cell_value(passes) >= wanted;
}

/* Whether the log has that line's end, of this disk. */
static bool logged(const char *path, const char *rest)
{
    char line[512];
    snprintf(line, sizeof line, " error store-corrupt path=%s %s", path, rest);
    return fixture_logged(line, "");
}

/* A small disk is not read all the time. */
static void test_period(const char *path)
{
    struct metric_cell *passes = metric_cell(METRIC_STORE_SCRUBS, path);
    int64_t before = metric_cell_value(passes), began_ms = clock_mono_ms();
    struct store *store = scrubbed(path, RATE, PERIOD_MS);
    rcu_thread_offline();
    while (metric_cell_value(passes) < before + 2 && nap_until(began_ms + 20 * PERIOD_MS))
        ;
    rcu_thread_online();
    int64_t took_ms = clock_mono_ms() - began_ms;
    ok(metric_cell_value(passes) == before + 2 && took_ms >= PERIOD_MS,
       "with a period the second pass begins when that is over: after %lld ms", (long long) took_ms);
    fixture_close(store);
}

int main(void)
{
    fixture_log();
    fixture_start();
    char *path = fixture_directory();
    struct store *store = scrubbed(path, 0, 0);
    struct store_generation *whole = fixture_object(store, 1, 5 * BLOCK, 1), *small[4];
    for (uint64_t block = 0; block < 5; block++)
        fixture_put(store, whole, 1, block); /* slots 0 to 4 */
    for (uint64_t i = 0; i < 4; i++) {
        small[i] = fixture_object(store, 10 + i, 1000, 1);
        fixture_put(store, small[i], 10 + i, 0); /* the first entries of the segment in slot 5 */
    }
    fixture_close(store);
    const off_t packed = entry_packed_size(1000), segment = 5 * STRIDE + ENTRY_PAGE;
    fixture_damage(path, ENTRY_PAGE + 5000);                /* a body */
    fixture_damage(path, 2 * STRIDE + 40);                  /* a header */
    fixture_damage(path, segment + ENTRY_HEADER_SIZE + 17); /* a packed body */
    fixture_damage(path, segment + 2 * packed + 50);        /* a packed header */
    store = scrubbed(path, 0, 0);
    int64_t corrupt = fixture_metric(METRIC_STORE_CORRUPT);
    ok(store->disks[0]->scrub == NULL, "with a rate of 0 nobody reads");
    fixture_close(store);
    store = scrubbed(path, RATE, 0);
    ok(store->disks[0]->scrub != NULL, "with another somebody does");
    char line[256];
    ok(wait_pass(path), "the disk is read from end to end");
    ok(!store_has_block(store, whole->id, 0), "a damaged body is found");
    ok(!store_has_block(store, whole->id, 2), "so is a damaged header");
    ok(!store_has_block(store, small[0]->id, 0), "a damaged packed body");
    ok(!store_has_block(store, small[2]->id, 0), "and a damaged packed header");
    is_int(fixture_metric(METRIC_STORE_CORRUPT) - corrupt, 4, "each is counted once");
    snprintf(
        line, sizeof line,
        "file=data-000000 offset=%lld generation=%llu block=2: a block's check failed when it was scrubbed; it was "
        "dropped and is fetched again, no reader was given it",
        2 * (long long) STRIDE, (unsigned long long) whole->id);
    ok(logged(path, line), "and told by file and offset, with what becomes of it");
    snprintf(line, sizeof line, "file=data-000000 offset=%lld generation=%llu block=0: a block's", (long long) segment,
             (unsigned long long) small[0]->id);
    ok(logged(path, line), "where it lies in a segment, too");
    unsigned well = 0;
    bool right;
    for (uint64_t block = 1; block < 5; block++)
        well += block != 2 && fixture_load(store, whole, 1, block, &right) == STATUS_OK && right;
    for (uint64_t i = 1; i < 4; i += 2)
        well += fixture_load(store, small[i], 10 + i, 0, &right) == STATUS_OK && right;
    is_int(well, 5, "what is well is still there");
    fixture_put(store, whole, 1, 0);
    fixture_damage(path, 3 * STRIDE + ENTRY_PAGE + 99);
    ok(wait_pass(path), "it goes on while the store is used");
    ok(!store_has_block(store, whole->id, 3), "and finds what has rotted since");
    ok(fixture_load(store, whole, 1, 0, &right) == STATUS_OK && right, "what was put meanwhile is right");
    store_generation_unref(&whole);
    for (unsigned i = 0; i < 4; i++)
        store_generation_unref(&small[i]);
    fixture_close(store);
    test_period(path);
    fixture_remove(path);
    fixture_stop();
    return done_testing();
}
