/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_store_race.c: readers look at everything all the time while puts and evictions write every slot over and over:
 * whatever a peek or a load shows is the block that was asked for, for as long as the event lasts.
 */
#include "base/clock.h"
#include "store_fixture.h"
#include "tap.h"

#define BLOCK (256 * KIB)
#define SIZE (32 * MIB)
#define READERS 3
#define PUTS 3000
/* Blocks that exist at all: some four times what fits. */
#define OBJECTS 80
#define BLOCKS 5
#define HOLD_MS 60
#define HOLDS 60

static struct store *store;
static struct store_generation *generations[OBJECTS];
static atomic_bool finished;
static atomic_uint wrong, shown, loaded, held;

/* Lengths that make the last block packed or not. */
static uint64_t length_of(uint64_t object)
{
    return (BLOCKS - 1) * (uint64_t) BLOCK + 1 + object * 499 % BLOCK;
}

/* The first bytes of a piece tell whose it is; the rest is compared now and then. */
static bool piece_right(const struct iovec *piece, uint64_t object, uint64_t block, uint32_t offset, bool all)
{
    uint32_t length = (uint32_t) piece->iov_len;
    return fixture_right(piece->iov_base, all || length < 64 ? length : 64, object, block, offset);
}

static void look(uint64_t state)
{
    uint64_t object = state % OBJECTS, block = (state >> 16) % BLOCKS;
    struct iovec piece;
    uint32_t offset = (state >> 32 & 1) ? 0 : (uint32_t) (state >> 33) % 4096;
    uint32_t length = fixture_length(store, generations[object], block);
    if (offset >= length)
        offset = 0;
    enum status status =
        store_peek_block(store, generations[object]->id, block, offset, length, state >> 60 & 1, &piece);
    if (status != STATUS_OK)
        return;
    atomic_fetch_add(&shown, 1);
    /* Sometimes the event goes on for long, so that eviction comes round to what was looked at, used or not: what was
     * shown must not change under it, a mapping above all. */
    bool all = offset == 0 && (state >> 50 & 31) == 0 && atomic_fetch_add(&held, 1) < HOLDS;
    for (int64_t until = clock_mono_ms() + HOLD_MS; all && clock_mono_ms() < until;)
        sched_yield();
    if (!piece_right(&piece, object, block, offset, all))
        atomic_fetch_add(&wrong, 1);
}

static void *reader(void *arg)
{
    uint64_t state = (uintptr_t) arg;
    rcu_register_thread();
    while (!atomic_load(&finished)) {
        for (unsigned i = 0; i < 20; i++) {
            state = hash_mix(state, i);
            look(state);
        }
        bool right;
        uint64_t object = state % OBJECTS, block = (state >> 16) % BLOCKS;
        enum status status = fixture_load(store, generations[object], object, block, &right);
        if (status == STATUS_OK) {
            atomic_fetch_add(&loaded, 1);
            if (!right)
                atomic_fetch_add(&wrong, 1);
        } else if (status != STATUS_NOT_FOUND) {
            atomic_fetch_add(&wrong, 1);
        }
        rcu_quiescent_state();
    }
    rcu_unregister_thread();
    return NULL;
}

int main(void)
{
    pthread_t threads[READERS];
    uint64_t state = 7;
    fixture_start();
    char *path = fixture_directory();
    store = fixture_open_loaded(path, SIZE, BLOCK);
    int64_t corrupt = fixture_metric(METRIC_STORE_CORRUPT), evicted = fixture_metric(METRIC_STORE_EVICTIONS);
    for (uint64_t object = 0; object < OBJECTS; object++)
        generations[object] = fixture_object(store, object, length_of(object), 1);
    for (uintptr_t i = 0; i < READERS; i++)
        pthread_create(&threads[i], NULL, reader, (void *) (i + 1));
    for (unsigned i = 0; i < PUTS; i++) {
        state = hash_mix(state, i);
        uint64_t object = state % OBJECTS;
        fixture_put(store, generations[object], object, (state >> 20) % BLOCKS);
        rcu_quiescent_state();
    }
    atomic_store(&finished, true);
    rcu_thread_offline();
    for (unsigned i = 0; i < READERS; i++)
        pthread_join(threads[i], NULL);
    rcu_thread_online();
    is_int(atomic_load(&wrong), 0, "of %u peeks and %u loads none was wrong", atomic_load(&shown),
           atomic_load(&loaded));
    ok(atomic_load(&shown) > 100 && atomic_load(&loaded) > 10, "and there were some");
    ok(fixture_metric(METRIC_STORE_EVICTIONS) - evicted > PUTS / 10, "while %lld blocks were evicted",
       (long long) (fixture_metric(METRIC_STORE_EVICTIONS) - evicted));
    is_int(fixture_metric(METRIC_STORE_CORRUPT), corrupt, "nothing was taken for damage");
    ok(fixture_usage(path) <= SIZE, "within its size");
    for (unsigned i = 0; i < OBJECTS; i++)
        store_generation_unref(&generations[i]);
    fixture_close(store);
    fixture_remove(path);
    fixture_stop();
    return done_testing();
}
