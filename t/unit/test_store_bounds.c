/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_store_bounds.c: what a client can drive up is bounded: objects in memory, rows in the index, bytes queued for a
 * slow disk, loads waiting; and a disk that has less room than it was promised.
 */
#include <errno.h>

#include "base/clock.h"
#include "base/mem_parts.h"
#include "on_loop.h"
#include "store/io.h"
#include "store_fixture.h"
#include "tap.h"

#define BLOCK (64 * KIB)
#define SIZE (24 * MIB)

/* ---- A disk that waits for the test. ---- */

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t write_gate = PTHREAD_MUTEX_INITIALIZER;
static atomic_uint writing;
static atomic_int allocations_left = 1000;

static ssize_t slow_readv(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
    if (flags == 0) {
        pthread_mutex_lock(&gate);
        pthread_mutex_unlock(&gate);
    }
    return io_system()->readv(fd, iov, count, offset, flags);
}

static ssize_t slow_writev(int fd, const struct iovec *iov, int count, off_t offset)
{
    atomic_fetch_add(&writing, 1);
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
    pthread_mutex_lock(&write_gate);
    pthread_mutex_unlock(&write_gate);
    atomic_fetch_sub(&writing, 1);
    return io_system()->writev(fd, iov, count, offset);
}

static int slow_sync(int fd)
{
    return io_system()->datasync(fd);
}

static int scarce_allocate(int fd, off_t offset, off_t length)
{
    if (atomic_fetch_sub(&allocations_left, 1) > 0)
        return io_system()->allocate(fd, offset, length);
    errno = ENOSPC;
    return -1;
}

static int plain_cached(int fd, off_t offset, size_t length, uint64_t *pages)
{
    return io_system()->cached(fd, offset, length, pages);
}

static const struct io_ops slow_disk = {slow_readv, slow_writev, slow_sync, scarce_allocate, plain_cached};

struct many {
    struct letter letter;
    struct arrival *arrival;
};

static void many_deliver(struct letter *letter)
{
    struct many *many = (struct many *) (void *) letter;
    many->arrival->letter.deliver(&many->arrival->letter);
}

static void test_queues(const char *path)
{
    enum { PUTS = 2000, LOADS = 1500 };
    struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
    struct store_generation *generation = fixture_object(store, 1, (uint64_t) PUTS * BLOCK, 1);
    struct many *puts = mem_calloc(PUTS, sizeof *puts);
    struct buf *buf = buf_new(BLOCK);
    struct arrival arrival;
    unsigned taken = 0, refused = 0;
    arrival_init(&arrival);
    buf_publish(buf, BLOCK);
    io_set(&slow_disk);
    pthread_mutex_lock(&gate);
    int64_t start = clock_mono_ms();
    for (unsigned i = 0; i < PUTS; i++) {
        puts[i] = (struct many){{.deliver = many_deliver}, &arrival};
        enum status status = store_put_block(store, generation, i, buf, BLOCK, fixture_loop, &puts[i].letter);
        taken += status == STATUS_OK;
        refused += status == STATUS_BUSY;
    }
    ok(taken == 64 * MIB / BLOCK && refused == PUTS - taken, "a disk that stands still takes 64 MiB, then says so (%u)",
       taken);
    ok(clock_mono_ms() - start < 1000, "without anybody waiting");
    pthread_mutex_unlock(&gate);
    arrival_wait(&arrival, taken);
    unsigned there = 0;
    for (unsigned i = 0; i < PUTS; i++)
        there += store_has_block(store, generation->id, i);
    ok(there > 100, "what it took is written when it goes on: what there is room for is there (%u)", there);
    buf_unref(&buf);
    mem_free(puts);
    /* Loads of a block that is there. */
    fixture_put(store, generation, 1, PUTS - 1);
    pthread_mutex_lock(&gate);
    struct fixture_load *loads = mem_calloc(LOADS, sizeof *loads);
    for (unsigned i = 0; i < LOADS; i++) {
        arrival_init(&loads[i].arrival);
        loads[i].load = (struct store_load){.done.deliver = fixture_loaded,
                                            .loop = fixture_loop,
                                            .object = generation->object,
                                            .generation = generation->id,
                                            .block = PUTS - 1,
                                            .length = BLOCK};
        store_load_block(store, &loads[i].load);
    }
    pthread_mutex_unlock(&gate);
    unsigned good = 0, busy = 0;
    for (unsigned i = 0; i < LOADS; i++) {
        arrival_wait(&loads[i].arrival, 1);
        good += loads[i].load.status == STATUS_OK;
        busy += loads[i].load.status == STATUS_BUSY;
        buf_unref(&loads[i].load.buf);
    }
    ok(good + busy == LOADS && good >= 1000 && busy >= 400, "%u loads wait, %u are told that the queue is full", good,
       busy);
    mem_free(loads);
    store_generation_unref(&generation);
    fixture_close(store);
    io_set(NULL);
}

/* A disk takes what is filled more slowly than it comes, as when the kernel holds writers back. */
static void test_slow_writes(const char *path)
{
    enum { PUTS = 50, LOADS = 20 };
    struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
    struct store_generation *generation = fixture_object(store, 3, (uint64_t) (PUTS + 1) * BLOCK, 1);
    struct many puts[PUTS];
    struct arrival arrival;
    unsigned good = 0;
    arrival_init(&arrival);
    fixture_put(store, generation, 3, PUTS);
    io_set(&slow_disk);
    pthread_mutex_lock(&write_gate);
    struct buf *buf = buf_new(BLOCK);
    buf_publish(buf, BLOCK);
    for (unsigned i = 0; i < PUTS; i++) {
        puts[i] = (struct many){{.deliver = many_deliver}, &arrival};
        if (store_put_block(store, generation, i, buf, BLOCK, fixture_loop, &puts[i].letter) != STATUS_OK)
            abort();
    }
    for (int64_t until = nap_deadline(); atomic_load(&writing) == 0 && nap_until(until);)
        ;
    ok(atomic_load(&writing) > 0, "a disk that is slow to take what is filled is being written to");
    /* Each thread that has answered one may begin to write. */
    for (unsigned i = 0; i < LOADS; i++) {
        bool right;
        good += fixture_load(store, generation, 3, PUTS, &right) == STATUS_OK && right;
    }
    is_int(good, LOADS, "while writes stand still, reads do not");
    pthread_mutex_unlock(&write_gate);
    arrival_wait(&arrival, PUTS);
    buf_unref(&buf);
    store_generation_unref(&generation);
    fixture_close(store);
    io_set(NULL);
}

static void test_no_space(const char *path)
{
    struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
    struct store_generation *generation = fixture_object(store, 2, 100 * (uint64_t) BLOCK, 1);
    io_set(&slow_disk);
    atomic_store(&allocations_left, 0);
    for (uint64_t block = 0; block < 3; block++) {
        struct arrival arrival;
        struct buf *buf = buf_new(BLOCK);
        arrival_init(&arrival);
        buf_publish(buf, BLOCK);
        if (store_put_block(store, generation, block, buf, BLOCK, fixture_loop, &arrival.letter) == STATUS_OK)
            arrival_wait(&arrival, 1);
        buf_unref(&buf);
    }
    ok(!store_has_block(store, generation->id, 0), "a full file system stores nothing, and nobody hangs");
    atomic_store(&allocations_left, 1000);
    store_generation_unref(&generation);
    fixture_close(store);
    store = fixture_open_loaded(path, SIZE, BLOCK);
    struct store_view view;
    ok(store_object_find(store, fixture_hash(2), &view), "objects are kept all the same");
    fixture_put(store, view.generation, 2, 5);
    ok(store_has_block(store, view.generation->id, 5), "with room there are blocks again after a restart");
    store_generation_unref(&view.generation);
    fixture_close(store);
    io_set(NULL);
}

/* Many more objects than memory is given for. */
static void test_objects(const char *path)
{
    enum { OBJECTS = 20000 };
    char record[1000];
    memset(record, 'r', sizeof record);
    mem_set_limit(32 * MIB); /* a quarter is for objects: some 2,500 of these */
    struct store *store = fixture_open_loaded(path, 20 * SIZE, BLOCK); /* with an index to match */
    struct store_view view;
    int64_t most = 0;
    for (unsigned i = 0; i < OBJECTS; i++) {
        struct store_generation *generation = store_generation_new(store, fixture_hash(400000 + i), fixture_hash(1), 0,
                                                                   0, (struct str){record, sizeof record}, NULL);
        store_object_set(store, generation, 1, 1);
        store_generation_unref(&generation);
        /* The first stays in use. */
        if (store_object_find(store, fixture_hash(400000), &view))
            store_generation_unref(&view.generation);
        if (i % 500 == 499)
            fixture_flush(store);
        int64_t now = fixture_metric(METRIC_STORE_OBJECTS);
        most = now > most ? now : most;
        rcu_quiescent_state();
    }
    fixture_flush(store);
    ok(most < 4000, "at most %lld objects are held", (long long) most);
    ok(store_object_find(store, fixture_hash(400000), &view), "the one in use is among them");
    store_generation_unref(&view.generation);
    ok(store_object_find(store, fixture_hash(400000 + OBJECTS - 1), &view), "and the newest");
    store_generation_unref(&view.generation);
    ok(!store_object_find(store, fixture_hash(400001), &view), "an old one is not");
    fixture_flush(store);
    fixture_close(store);
    store = fixture_open_loaded(path, 20 * SIZE, BLOCK);
    ok(!store_object_find(store, fixture_hash(400001), &view), "nor does a restart bring it back");
    fixture_close(store);
    mem_set_limit(0);
}

/* A decoded form that takes far more than its record, as they do. */
#define DECODED (8 * KIB)

static void *decode_large(struct str record, uint64_t length)
{
    (void) record;
    (void) length;
    return mem_alloc(DECODED);
}

static size_t size_large(const void *decoded)
{
    (void) decoded;
    return DECODED;
}

static void test_decoded(const char *path)
{
    enum { OBJECTS = 10000, LIMIT = 32 * MIB };
    static const struct store_record_codec codec = {decode_large, mem_free, size_large};
    const struct store_disk disk = {.path = path, .size = 20 * (int64_t) SIZE};
    const struct store_options options = {.disks = &disk, .disk_count = 1, .block_size = BLOCK, .codec = &codec};
    struct store *store;
    struct strbuf error = {0};
    mem_set_limit(LIMIT);
    rcu_thread_offline();
    if (store_open(&options, &store, &error) != STATUS_OK)
        abort();
    rcu_thread_online();
    size_t before = mem_used(), most = 0;
    for (unsigned i = 0; i < OBJECTS; i++) {
        struct store_generation *generation = store_generation_new(store, fixture_hash(600000 + i), fixture_hash(1), 0,
                                                                   0, STR("short"), decode_large(STR("short"), 0));
        store_object_set(store, generation, 1, 1);
        store_generation_unref(&generation);
        rcu_quiescent_state();
        if (i % 100 != 99)
            continue;
        fixture_flush(store);
        rcu_barrier();
        size_t now = mem_used() - before;
        most = now > most ? now : most;
    }
    ok(most < LIMIT / 3, "what was decoded counts: %zu KiB at most are held", most / KIB);
    fixture_close(store);
    mem_set_limit(0);
}

/* One block of each extent: the directory holds a leaf for each, where it was to hold one for sixteen. */
static void test_sparse(const char *path)
{
    enum { LEAST = 16 * KIB, LIMIT = 8 * MIB };
    const uint64_t most = mem_parts_of(LIMIT, MEM_STORE_TABLES) / STORE_BLOCK_MEMORY;
    const int64_t until_ms = clock_mono_ms() + 60000;
    size_t before = mem_used(), peak = 0;
    mem_set_limit((size_t) LIMIT + before);
    struct store *store = fixture_open_loaded(path, (int64_t) (most * 9 / 10 * (LEAST + 4 * KIB)), LEAST);
    struct store_generation *generation = fixture_object(store, 1, UINT64_C(1) << 40, 1);
    struct buf *buf = buf_new(LEAST);
    buf_publish(buf, LEAST);
    for (uint64_t i = 0; i < most / 2 && clock_mono_ms() < until_ms; i++) {
        while (store_put_block(store, generation, i * STORE_EXTENT_BLOCKS, buf, LEAST, NULL, NULL) == STATUS_BUSY &&
               clock_mono_ms() < until_ms) {
            rcu_thread_offline();
            usleep(100);
            rcu_thread_online();
        }
        size_t now = mem_used() - before;
        peak = now > peak ? now : peak;
        rcu_quiescent_state();
    }
    /* What goes waits for a grace period, which a busy machine may put off. */
    ok(peak < LIMIT + LIMIT / 8, "blocks here and there take their part of memory: %zu KiB at most", peak / KIB);
    fixture_flush(store);
    const uint64_t latest = (most / 2 - 1) * STORE_EXTENT_BLOCKS;
    ok(store_has_block(store, generation->id, latest), "and the latest are kept");
    buf_unref(&buf);
    /* Memory is short for another reason. */
    for (size_t part = 16; part > 1 && mem_pressure() < MEM_NO_SPLIT; part--)
        mem_set_limit(mem_used() + mem_used() * part / 16);
    int64_t evicted = fixture_metric(METRIC_STORE_EVICTIONS);
    for (unsigned i = 0; i < 40; i++) {
        bool right;
        (void) fixture_load(store, generation, 1, latest, &right);
    }
    ok(mem_pressure() >= MEM_NO_SPLIT, "while memory is short");
    is_int(fixture_metric(METRIC_STORE_EVICTIONS) - evicted, 0, "reading alone makes nothing go");
    store_generation_unref(&generation);
    fixture_close(store);
    mem_set_limit(0);
}

/* More rows than the index has room for: 24 MiB have an index of 6. */
static void test_index(const char *path)
{
    enum { OBJECTS = 20000 };
    char record[2000];
    memset(record, 'r', sizeof record);
    struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
    struct store_view view;
    for (unsigned i = 0; i < OBJECTS; i++) {
        struct store_generation *generation = store_generation_new(store, fixture_hash(500000 + i), fixture_hash(1), 0,
                                                                   0, (struct str){record, sizeof record}, NULL);
        store_object_set(store, generation, 1, 1);
        store_generation_unref(&generation);
        /* Little by little at first, then much at once. */
        if (i < 8000 && i % 250 == 249)
            fixture_flush(store);
        rcu_quiescent_state();
    }
    for (unsigned i = 0; i < 5; i++)
        fixture_flush(store);
    ok(fixture_usage(path) <= SIZE, "the index stays within its part");
    is_int(metric_cell_value(metric_cell(METRIC_STORE_ERRORS, path)), 0, "and never runs full");
    struct store_generation *generation = fixture_object(store, 3, BLOCK, 1);
    fixture_put(store, generation, 3, 0);
    fixture_flush(store);
    store_generation_unref(&generation);
    fixture_close(store);
    store = fixture_open_loaded(path, SIZE, BLOCK);
    ok(store_object_find(store, fixture_hash(3), &view) && store_has_block(store, view.generation->id, 0),
       "what comes then is kept");
    store_generation_unref(&view.generation);
    fixture_close(store);
}

int main(void)
{
    fixture_start();
    fixture_with_directory(test_queues);
    fixture_with_directory(test_slow_writes);
    fixture_with_directory(test_no_space);
    fixture_with_directory(test_objects);
    fixture_with_directory(test_decoded);
    fixture_with_directory(test_sparse);
    fixture_with_directory(test_index);
    fixture_stop();
    return done_testing();
}
