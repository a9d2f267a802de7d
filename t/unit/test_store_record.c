/* SPDX-License-Identifier: Apache-2.0 */
/* test_store_record.c: a record that could not be written to the data files is written by a later round. */
#include <errno.h>

#include "store/disk.h"
#include "store/io.h"
#include "store/objects.h"
#include "store_fixture.h"
#include "tap.h"

#define BLOCK (64 * KIB)
#define SIZE (64 * MIB)

static atomic_uint refused;

static ssize_t refuse_writev(int fd, const struct iovec *iov, int count, off_t offset)
{
    (void) fd;
    (void) iov;
    (void) count;
    (void) offset;
    atomic_fetch_add(&refused, 1);
    errno = EIO;
    return -1;
}

static bool logged(struct store *store, uint64_t object)
{
    return objects_record_place(store->objects, fixture_hash(object)).location != 0;
}

static void set(struct store *store, uint64_t object)
{
    struct store_generation *generation = fixture_object(store, object, BLOCK, 1);
    store_generation_unref(&generation);
}

static int refuse_allocate(int fd, off_t offset, off_t length)
{
    (void) fd;
    (void) offset;
    (void) length;
    errno = ENOSPC;
    return -1;
}

/* No room for a segment, and objects that change all the time: each waits once, and what it waits with is bounded. */
static void test_no_room(const char *path)
{
    enum { OBJECTS = 10, TIMES = 5 };
    struct io_ops full = *io_system();
    full.allocate = refuse_allocate;
    io_set(&full);
    struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
    for (unsigned i = 0; i < TIMES * OBJECTS; i++) {
        set(store, i % OBJECTS);
        if (i % OBJECTS == OBJECTS - 1)
            fixture_flush(store);
    }
    is_int(store->disks[0]->unlogged.count, OBJECTS, "records that find no room wait, each once");
    io_set(NULL);
    fixture_close(store);
}

int main(void)
{
    fixture_start();
    fixture_with_directory(test_no_room);
    char *path = fixture_directory();
    struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
    struct io_ops failing = *io_system();
    failing.writev = refuse_writev;
    set(store, 1);
    fixture_flush(store);
    ok(logged(store, 1), "a record is written by a full round");
    io_set(&failing);
    set(store, 2);
    fixture_flush(store);
    ok(atomic_load(&refused) > 0 && !logged(store, 2), "one that the disk does not take is not");
    unsigned before = atomic_load(&refused);
    set(store, 3);
    fixture_flush(store);
    ok(atomic_load(&refused) == before && !logged(store, 3), "nor tried, while writes fail");
    io_set(NULL);
    fixture_put_object(store, 4, BLOCK, 1);
    fixture_flush(store);
    ok(logged(store, 2) && logged(store, 3), "both are written when it takes writes again");
    is_int(store->disks[0]->unlogged.count, 0, "and wait no more");
    io_set(&failing);
    set(store, 2);
    fixture_flush(store);
    is_int(store->disks[0]->unlogged.count, 1, "until the next one is not taken");
    io_set(NULL);
    fixture_put_object(store, 5, BLOCK, 1);
    fixture_flush(store);
    fixture_close(store);
    store = fixture_open_loaded(path, SIZE, BLOCK);
    ok(logged(store, 2) && logged(store, 3), "and their rows say where");
    fixture_close(store);
    fixture_remove(path);
    fixture_stop();
    return done_testing();
}
