/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_store_power_sync.c: a block is written while a round syncs its file. The next flush must sync the file again:
 * that sync began before the write was done and does not cover it.
 */
#include "base/clock.h"
#include "on_loop.h"
#include "store/io.h"
#include "store_fixture.h"
#include "tap.h"

#define BLOCK (64 * KIB)
#define SIZE (24 * MIB)
#define WAIT_MS 20000

static atomic_uint syncs, written, covered; /* covered: writes that were done before a sync began that has ended */
static atomic_bool armed, met;

static ssize_t late_writev(int fd, const struct iovec *iov, int count, off_t offset)
{
    if (atomic_exchange(&armed, false)) {
        unsigned before = atomic_load(&syncs);
        for (int64_t until = clock_mono_ms() + WAIT_MS; atomic_load(&syncs) == before && nap_until(until);)
            ; /* a round each second */
        atomic_store(&met, atomic_load(&syncs) != before);
    }
    ssize_t size = io_system()->writev(fd, iov, count, offset);
    atomic_fetch_add(&written, 1);
    return size;
}

static int counted_sync(int fd)
{
    unsigned done = atomic_load(&written);
    int result = io_system()->datasync(fd);
    atomic_store(&covered, done);
    atomic_fetch_add(&syncs, 1);
    return result;
}

static ssize_t plain_readv(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
    return io_system()->readv(fd, iov, count, offset, flags);
}

static int plain_allocate(int fd, off_t offset, off_t length)
{
    return io_system()->allocate(fd, offset, length);
}

static int plain_cached(int fd, off_t offset, size_t length, uint64_t *pages)
{
    return io_system()->cached(fd, offset, length, pages);
}

static const struct io_ops watched = {plain_readv, late_writev, counted_sync, plain_allocate, plain_cached};

static void test_late(struct store *store, uint64_t length, const char *what)
{
    struct store_generation *generation = fixture_object(store, length, BLOCK + length, 1);
    fixture_put(store, generation, length, 0); /* something for the round to sync */
    atomic_store(&met, false);
    atomic_store(&armed, true);
    fixture_put(store, generation, length, 1);
    ok(atomic_load(&met), "%s: a sync came while it was being written", what);
    fixture_flush(store);
    is_int(atomic_load(&covered), atomic_load(&written), "%s: what a flush answers for was synced after it was written",
           what);
    store_generation_unref(&generation);
    rcu_quiescent_state();
}

int main(void)
{
    char *path = fixture_directory();
    io_set(&watched);
    fixture_start();
    struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
    test_late(store, BLOCK, "a whole block");
    test_late(store, 500, "a packed one");
    fixture_close(store);
    fixture_stop();
    io_set(NULL);
    fixture_remove(path);
    return done_testing();
}
