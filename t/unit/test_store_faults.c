/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_store_faults.c: damaged bytes, a disk that fails or is full, and a file system without RWF_NOWAIT.
 */
#include <errno.h>

#include "store/io.h"
#include "store_fixture.h"
#include "tap.h"

#define BLOCK (256 * KIB)
#define SIZE (64 * MIB)

/* ---- A disk that does what the test says. ---- */

static atomic_int fail_writes, fail_reads, fail_syncs; /* an errno, or 0 */
static atomic_uint syncs;
static atomic_bool refuse_nowait;
static atomic_uint nowait_reads;
static atomic_bool refuse_cachestat;

static ssize_t bad_readv(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
    int error = flags == 0 ? atomic_load(&fail_reads) : 0;
    if (flags & RWF_NOWAIT) {
        atomic_fetch_add(&nowait_reads, 1);
        if (atomic_load(&refuse_nowait))
            error = EOPNOTSUPP;
    }
    if (error == 0)
        return io_system()->readv(fd, iov, count, offset, flags);
    errno = error;
    return -1;
}

static ssize_t bad_writev(int fd, const struct iovec *iov, int count, off_t offset)
{
    if (atomic_load(&fail_writes) == 0)
        return io_system()->writev(fd, iov, count, offset);
    errno = atomic_load(&fail_writes);
    return -1;
}

static int bad_sync(int fd)
{
    atomic_fetch_add(&syncs, 1);
    if (atomic_load(&fail_syncs) == 0)
        return io_system()->datasync(fd);
    errno = atomic_load(&fail_syncs);
    return -1;
}

static int bad_allocate(int fd, off_t offset, off_t length)
{
    return io_system()->allocate(fd, offset, length);
}

static int bad_cached(int fd, off_t offset, size_t length, uint64_t *pages)
{
    if (!atomic_load(&refuse_cachestat))
        return io_system()->cached(fd, offset, length, pages);
    errno = ENOSYS;
    return -1;
}

static const struct io_ops bad_disk = {bad_readv, bad_writev, bad_sync, bad_allocate, bad_cached};

static void test_damage(const char *path)
{
    struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
    struct store_generation *generation = fixture_object(store, 1, 3 * BLOCK, 1);
    struct store_generation *small = fixture_object(store, 2, 1000, 1);
    bool right;
    for (uint64_t block = 0; block < 3; block++)
        fixture_put(store, generation, 1, block); /* slots 0, 1 and 2 */
    fixture_put(store, small, 2, 0);              /* the first entry of the segment in slot 3 */
    fixture_close(store);
    const off_t stride = BLOCK + 4096;
    fixture_damage(path, 4096 + 100000);               /* a body */
    fixture_damage(path, stride + 60);                 /* a header */
    fixture_damage(path, 3 * stride + 4096 + 128 + 5); /* a packed body */
    store = fixture_open_loaded(path, SIZE, BLOCK);
    int64_t corrupt = fixture_metric(METRIC_STORE_CORRUPT);
    is_int(fixture_load(store, generation, 1, 0, &right), STATUS_CORRUPT, "a damaged body is noticed");
    ok(!store_has_block(store, generation->id, 0), "and the block dropped");
    is_int(fixture_load(store, generation, 1, 1, &right), STATUS_CORRUPT, "so is a damaged header");
    ok(fixture_load(store, generation, 1, 2, &right) == STATUS_OK && right, "their neighbour is well");
    is_int(fixture_load(store, small, 2, 0, &right), STATUS_CORRUPT, "a damaged packed body is noticed");
    is_int(fixture_metric(METRIC_STORE_CORRUPT) - corrupt, 3, "all of it is counted");
    fixture_put(store, generation, 1, 0);
    ok(fixture_load(store, generation, 1, 0, &right) == STATUS_OK && right, "the block can be put again");
    /* Another object's name for the same generation is not believed. */
    struct store_generation *other =
        store_generation_new(store, fixture_hash(77), fixture_hash(9), generation->id, 3 * BLOCK, STR(""), NULL);
    is_int(fixture_load(store, other, 1, 2, &right), STATUS_NOT_FOUND, "a block of another object is not found");
    store_generation_unref(&other);
    store_generation_unref(&generation);
    store_generation_unref(&small);
    fixture_close(store);
}

static void test_errors(const char *path)
{
    struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
    struct store_generation *generation = fixture_object(store, 3, 40 * (uint64_t) BLOCK + 500, 1);
    struct metric_cell *errors = metric_cell(METRIC_STORE_ERRORS, path);
    bool right;
    io_set(&bad_disk);
    fixture_put(store, generation, 3, 0);
    int64_t before = metric_cell_value(errors);
    ok(store_would_keep(store, generation, 0, 40), "a disk that is well is expected to keep what is put");
    atomic_store(&fail_reads, EIO);
    is_int(fixture_load(store, generation, 3, 0, &right), STATUS_IO, "a read error is told");
    ok(!store_has_block(store, generation->id, 0), "and the block dropped");
    is_int(metric_cell_value(errors) - before, 1, "and counted");
    atomic_store(&fail_reads, 0);
    atomic_store(&fail_writes, ENOSPC);
    fixture_put(store, generation, 3, 1);
    fixture_put(store, generation, 3, 40);
    ok(!store_has_block(store, generation->id, 1), "what could not be written is not there");
    ok(!store_has_block(store, generation->id, 40), "packed or not");
    ok(!store_would_keep(store, generation, 2, 3), "nor is the next expected to be");
    atomic_store(&fail_writes, 0);
    fixture_put(store, generation, 3, 1);
    ok(store_would_keep(store, generation, 1, 3), "until one could be written");
    fixture_put(store, generation, 3, 40);
    ok(fixture_load(store, generation, 3, 1, &right) == STATUS_OK && right,
       "when the disk is well again, so are its blocks");
    ok(fixture_load(store, generation, 3, 40, &right) == STATUS_OK && right, "packed or not");
    atomic_store(&fail_writes, EIO);
    unsigned taken = 0;
    enum status status = STATUS_OK;
    struct buf *buf = buf_new(BLOCK);
    buf_publish(buf, BLOCK);
    for (; taken < 40 && status == STATUS_OK; taken++) {
        struct arrival arrival;
        arrival_init(&arrival);
        status = store_put_block(store, generation, 2, buf, BLOCK, fixture_loop, &arrival.letter);
        if (status == STATUS_OK)
            arrival_wait(&arrival, 1);
    }
    is_int(status, STATUS_BUSY, "a disk that only fails is not written to any more (after %u)", taken);
    ok(fixture_load(store, generation, 3, 1, &right) == STATUS_OK && right, "but read from");
    atomic_store(&fail_writes, 0);
    buf_unref(&buf);
    store_generation_unref(&generation);
    fixture_close(store);
    io_set(NULL);
}

/* What a power failure now would leave, as far as the index knows: whether it speaks of the block. */
static bool committed(const char *path, uint64_t object)
{
    char *copy = fixture_directory();
    char command[9000];
    snprintf(command, sizeof command, "cp -r '%s'/. '%s'", path, copy);
    if (system(command) != 0)
        abort();
    struct store *store = fixture_open_loaded(copy, SIZE, BLOCK);
    struct store_view view;
    bool there = store_object_find(store, fixture_hash(object), &view);
    if (there) {
        there = store_has_block(store, view.generation->id, 0);
        store_generation_unref(&view.generation);
    }
    fixture_close(store);
    fixture_remove(copy);
    return there;
}

/* A block is not spoken of before its bytes are durable. */
static void test_sync(const char *path)
{
    struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
    struct store_generation *generation = fixture_object(store, 9, 2 * BLOCK, 1);
    struct metric_cell *errors = metric_cell(METRIC_STORE_ERRORS, path);
    int64_t before = metric_cell_value(errors);
    bool right;
    io_set(&bad_disk);
    atomic_store(&fail_syncs, EIO);
    fixture_put(store, generation, 9, 0);
    for (unsigned i = 0; i < 3; i++)
        fixture_flush(store);
    ok(metric_cell_value(errors) - before >= 3, "each sync that fails is counted");
    ok(!committed(path, 9), "and the block's row waits");
    ok(fixture_load(store, generation, 9, 0, &right) == STATUS_OK && right, "it is read all the same");
    ok(!store_would_keep(store, generation, 1, 1), "no other is expected to be kept");
    struct buf *buf = buf_new(BLOCK);
    buf_publish(buf, BLOCK);
    is_int(store_put_block(store, generation, 1, buf, BLOCK, fixture_loop, NULL), STATUS_BUSY,
           "after a few nothing more is put");
    buf_unref(&buf);
    unsigned tried = atomic_load(&syncs);
    atomic_store(&fail_syncs, 0);
    fixture_flush(store);
    ok(atomic_load(&syncs) > tried, "the file is synced again though nothing was written to it since");
    ok(committed(path, 9), "then the row is written");
    fixture_put(store, generation, 9, 1);
    ok(fixture_load(store, generation, 9, 1, &right) == STATUS_OK && right, "and the disk takes blocks again");
    store_generation_unref(&generation);
    fixture_close(store);
    io_set(NULL);
}

static void test_no_nowait(const char *path)
{
    struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
    struct store_generation *generation = fixture_object(store, 4, 2 * BLOCK, 1);
    struct iovec piece;
    bool right;
    io_set(&bad_disk);
    atomic_store(&refuse_nowait, true);
    fixture_put(store, generation, 4, 0);
    is_int(store_peek_block(store, generation->id, 0, 0, 5000, false, &piece), STATUS_AGAIN,
           "a file system that knows no RWF_NOWAIT answers later at first");
    ok(fixture_load(store, generation, 4, 0, &right) == STATUS_OK && right, "a load does it");
    unsigned before = atomic_load(&nowait_reads);
    is_int(store_peek_block(store, generation->id, 0, 100, 5000, false, &piece), STATUS_OK,
           "then the page cache is asked");
    ok(piece.iov_len == 5000 && fixture_right(piece.iov_base, 5000, 4, 0, 100), "and the bytes are right");
    is_int(atomic_load(&nowait_reads), before, "RWF_NOWAIT is not tried again");
    atomic_store(&refuse_nowait, false);
    store_generation_unref(&generation);
    fixture_close(store);
    io_set(NULL);
}

int main(void)
{
    fixture_start();
    fixture_with_directory(test_damage);
    fixture_with_directory(test_errors);
    fixture_with_directory(test_sync);
    fixture_with_directory(test_no_nowait);
    fixture_stop();
    return done_testing();
}
