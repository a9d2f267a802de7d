/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_store_peek.c: no unchecked byte is shown: after the data files were truncated under the store, after the kernel
 * has dropped pages, while a load or eviction brings pages back, and of entries that share pages. Each by cachestat, by
 * mincore, and where the file system knows no RWF_NOWAIT.
 */
#include <errno.h>

#include "store/block.h"
#include "store/entry.h"
#include "store/io.h"
#include "store/location.h"
#include "store/segment.h"
#include "store_fixture.h"
#include "tap.h"

#define BLOCK (256 * KIB)
#define STRIDE (BLOCK + ENTRY_PAGE)
#define SIZE (64 * MIB)

enum { SHORT = 1000, LARGE = 40 * KIB };

/* ---- A disk that looks at what its reads could show. ---- */

static struct {
    const char *name;
    bool cachestat, nowait;
} mode;

/* Peeked at in the middle of reads that wait, by the thread that reads. */
static struct store *watched_store;
static struct store_generation *_Atomic watched;
static atomic_uint shown, hidden;

static void watch(off_t offset)
{
    static _Thread_local bool watching; /* a peek may read by the same function */
    struct store_generation *generation = atomic_load(&watched);
    struct iovec piece;
    if (generation == NULL || watching)
        return;
    watching = true;
    rcu_thread_online();
    uint64_t location = block_location(watched_store, generation->id, 0);
    if (location != 0 && offset / STRIDE == location_slot(location)) {
        enum status status = store_peek_block(watched_store, generation->id, 0, 0, 100, false, &piece);
        atomic_fetch_add(status == STATUS_OK ? &shown : &hidden, 1);
    }
    rcu_thread_offline();
    watching = false;
}

static ssize_t test_readv(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
    if ((flags & RWF_NOWAIT) && !mode.nowait) {
        errno = EOPNOTSUPP;
        return -1;
    }
    ssize_t got = io_system()->readv(fd, iov, count, offset, flags);
    if (flags == 0)
        watch(offset);
    return got;
}

static ssize_t test_writev(int fd, const struct iovec *iov, int count, off_t offset)
{
    return io_system()->writev(fd, iov, count, offset);
}

static int test_sync(int fd)
{
    return io_system()->datasync(fd);
}

static int test_allocate(int fd, off_t offset, off_t length)
{
    return io_system()->allocate(fd, offset, length);
}

static int test_cached(int fd, off_t offset, size_t length, uint64_t *pages)
{
    if (mode.cachestat)
        return io_system()->cached(fd, offset, length, pages);
    errno = ENOSYS;
    return -1;
}

static const struct io_ops test_ops = {test_readv, test_writev, test_sync, test_allocate, test_cached};

static int data_file(const char *path)
{
    char name[4200];
    snprintf(name, sizeof name, "%s/data-000000", path);
    int fd = open(name, O_RDWR);
    if (fd < 0)
        abort();
    return fd;
}

/* As the kernel does when memory is wanted elsewhere. */
static void drop_pages(const char *path)
{
    int fd = data_file(path);
    if (fsync(fd) != 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0)
        abort();
    close(fd);
}

static enum status peek(struct store *store, const struct store_generation *generation, uint64_t object,
                        uint32_t offset, uint32_t max, bool plain)
{
    struct iovec piece;
    enum status status = store_peek_block(store, generation->id, 0, offset, max, plain, &piece);
    if (status == STATUS_OK && !fixture_right(piece.iov_base, (uint32_t) piece.iov_len, object, 0, offset))
        return STATUS_CORRUPT;
    rcu_quiescent_state();
    return status;
}

/* A file system without RWF_NOWAIT says so at the first peek. */
static void warm_up(struct store *store, struct store_generation *generation, uint64_t object)
{
    bool right;
    if (peek(store, generation, object, 0, 100, false) == STATUS_AGAIN)
        (void) !fixture_load(store, generation, object, 0, &right);
    is_int(peek(store, generation, object, 0, 100, false), STATUS_OK, "%s: object %d peeks right", mode.name,
           (int) object);
}

/* ---- Bytes that are not those that were written. ---- */

static void test_truncated(const char *path)
{
    struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
    const uint64_t lengths[4] = {BLOCK, BLOCK, SHORT, LARGE};
    struct store_generation *generations[4], *last = fixture_object(store, 9, BLOCK, 1);
    int64_t corrupt = fixture_metric(METRIC_STORE_CORRUPT);
    bool right;
    for (unsigned i = 0; i < 4; i++) {
        generations[i] = fixture_object(store, i, lengths[i], 1);
        fixture_put(store, generations[i], i, 0);
        warm_up(store, generations[i], i);
    }
    int fd = data_file(path);
    if (ftruncate(fd, 0) != 0)
        abort();
    close(fd);
    fixture_put(store, last, 9, 0); /* behind the others: the file is as long as before, and they are holes */
    is_int(peek(store, last, 9, 0, BLOCK, false), STATUS_OK, "%s: what was written since is shown", mode.name);
    is_int(peek(store, generations[0], 0, 0, 100, false), STATUS_AGAIN, "%s: a hole is not shown", mode.name);
    is_int(peek(store, generations[1], 1, 0, BLOCK, true), STATUS_AGAIN, "%s: nor through a mapping", mode.name);
    is_int(peek(store, generations[2], 2, 0, 100, false), STATUS_AGAIN, "%s: nor a short entry", mode.name);
    is_int(peek(store, generations[3], 3, 20000, 100, false), STATUS_AGAIN, "%s: nor a part of a larger one",
           mode.name);
    for (unsigned i = 0; i < 4; i++) {
        is_int(fixture_load(store, generations[i], i, 0, &right), STATUS_CORRUPT, "%s: its check fails", mode.name);
        ok(!store_has_block(store, generations[i]->id, 0), "%s: and it is dropped", mode.name);
        fixture_put(store, generations[i], i, 0);
        is_int(peek(store, generations[i], i, 0, 100, false), STATUS_OK, "%s: fetched again it is right", mode.name);
        store_generation_unref(&generations[i]);
    }
    is_int(fixture_metric(METRIC_STORE_CORRUPT) - corrupt, 4, "%s: each is counted", mode.name);
    store_generation_unref(&last);
    fixture_close(store);
}

static void test_dropped(const char *path)
{
    struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
    const uint64_t lengths[3] = {BLOCK, SHORT, LARGE};
    bool right;
    for (unsigned i = 0; i < 3; i++) {
        struct store_generation *generation = fixture_object(store, i, lengths[i], 1);
        fixture_put(store, generation, i, 0);
        warm_up(store, generation, i);
        drop_pages(path);
        /* A disk may be so quick that a read which does not wait brings the page; a short entry is checked then. */
        enum status status = peek(store, generation, i, 500, 100, false);
        ok(status == STATUS_AGAIN || (status == STATUS_OK && lengths[i] == SHORT),
           "%s: dropped pages are not read unchecked: %d", mode.name, status);
        ok(fixture_load(store, generation, i, 0, &right) == STATUS_OK && right, "%s: but by a load", mode.name);
        is_int(peek(store, generation, i, 500, 100, false), STATUS_OK, "%s: from then on they are shown", mode.name);
        store_generation_unref(&generation);
    }
    fixture_close(store);
}

/* A page that others brought back, with other bytes in it. */
static void test_shared(const char *path)
{
    struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
    struct store_generation *generation = fixture_object(store, 1, SHORT, 1);
    bool right;
    fixture_put(store, generation, 1, 0);
    warm_up(store, generation, 1);
    uint64_t location = block_location(store, generation->id, 0);
    int fd = data_file(path);
    if (pwrite(fd, "?", 1, (off_t) location_slot(location) * STRIDE + location_body(location) + 7) != 1)
        abort();
    close(fd);
    is_int(peek(store, generation, 1, 100, 10, false), STATUS_AGAIN, "%s: a short entry is checked in each peek",
           mode.name);
    is_int(fixture_load(store, generation, 1, 0, &right), STATUS_CORRUPT, "%s: and dropped when it is bad", mode.name);
    store_generation_unref(&generation);
    fixture_close(store);
}

/* ---- Pages that are being brought in. ---- */

static void test_loading(const char *path)
{
    watched_store = fixture_open_loaded(path, SIZE, BLOCK);
    struct store_generation *generation = fixture_object(watched_store, 1, BLOCK, 1);
    bool right;
    fixture_put(watched_store, generation, 1, 0);
    warm_up(watched_store, generation, 1);
    drop_pages(path);
    atomic_store(&watched, generation);
    ok(fixture_load(watched_store, generation, 1, 0, &right) == STATUS_OK && right, "%s: loaded", mode.name);
    ok(atomic_load(&shown) == 0 && atomic_load(&hidden) == 1, "%s: what a load reads is not shown before its check",
       mode.name);
    ok(fixture_load(watched_store, generation, 1, 0, &right) == STATUS_OK && right, "%s: loaded once more", mode.name);
    is_int(atomic_load(&shown), 1, "%s: what was checked and is there is shown meanwhile", mode.name);
    atomic_store(&watched, NULL);
    store_generation_unref(&generation);
    fixture_close(watched_store);
}

/* Large entries in segments that are emptied all the time. */
static void test_emptying(const char *path)
{
    enum { BLOBS = 2500 };
    watched_store = fixture_open_loaded(path, SIZE, BLOCK);
    struct store_generation *hot = fixture_object(watched_store, 1, LARGE, 1);
    fixture_put(watched_store, hot, 1, 0);
    warm_up(watched_store, hot, 1);
    atomic_store(&shown, 0);
    atomic_store(&hidden, 0);
    atomic_store(&watched, hot);
    for (unsigned i = 0; i < BLOBS; i++) {
        struct store_generation *generation = fixture_object(watched_store, 100 + i, LARGE, 1);
        struct iovec piece;
        fixture_put(watched_store, generation, 100 + i, 0);
        (void) !store_peek_block(watched_store, hot->id, 0, 0, 100, false, &piece);
        store_generation_unref(&generation);
        rcu_quiescent_state();
    }
    ok(atomic_load(&hidden) > 0 && atomic_load(&shown) == 0,
       "%s: nothing is shown of a segment that is being emptied: %u times", mode.name, atomic_load(&hidden));
    ok(store_has_block(watched_store, hot->id, 0), "%s: what was used is kept", mode.name);
    atomic_store(&watched, NULL);
    store_generation_unref(&hot);
    fixture_close(watched_store);
}

/* ---- Who shares pages. ---- */

struct neighbours {
    uint32_t end; /* of the entry before */
    bool large;   /* it was */
    unsigned entries, sharing;
};

static void neighbour(void *arg, const struct entry *entry, uint32_t offset, const uint8_t *body)
{
    struct neighbours *neighbours = arg;
    bool large = entry_packed_size(entry->length) > ENTRY_SHARED_MAX;
    (void) body;
    if (neighbours->entries++ > 0 && (large || neighbours->large) &&
        offset / ENTRY_PAGE == (neighbours->end - 1) / ENTRY_PAGE)
        neighbours->sharing++;
    neighbours->end = offset + entry_packed_size(entry->length);
    neighbours->large = large;
}

static void test_pages(const char *path)
{
    static const uint32_t lengths[] = {SHORT, LARGE, SHORT, 16 * KIB - 128, 16 * KIB, 16 * KIB, SHORT};
    struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
    struct neighbours neighbours = {0};
    for (unsigned i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct store_generation *generation = fixture_object(store, i, lengths[i], 1);
        fixture_put(store, generation, i, 0);
        store_generation_unref(&generation);
    }
    fixture_close(store);
    int fd = data_file(path);
    uint8_t *slot = mem_alloc(STRIDE);
    if (pread(fd, slot, STRIDE, 0) != STRIDE)
        abort();
    segment_walk(slot, STRIDE, neighbour, &neighbours);
    ok(neighbours.entries >= sizeof lengths / sizeof *lengths && neighbours.sharing == 0,
       "%u entries of a segment, no large one shares a page", neighbours.entries);
    mem_free(slot);
    close(fd);
}

static void with_directory(void (*test)(const char *path))
{
    char *path = fixture_directory();
    atomic_store(&shown, 0);
    atomic_store(&hidden, 0);
    test(path);
    fixture_remove(path);
}

/* A file is cut within the last page of an entry, which stays in memory, with zeros; then it grows again. */
static void test_cut_in_page(const char *path)
{
    struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
    struct store_generation *whole = fixture_object(store, 1, 2 * BLOCK, 1),
                            *large = fixture_object(store, 2, LARGE, 1), *next = fixture_object(store, 3, LARGE, 1);
    struct iovec piece;
    bool right;
    fixture_put(store, whole, 1, 0);
    fixture_put(store, large, 2, 0);
    fixture_put(store, whole, 1, 1);
    uint64_t location = block_location(store, large->id, 0), last = block_location(store, whole->id, 1);
    ok(store_peek_block(store, large->id, 0, 0, LARGE, false, &piece) == STATUS_OK, "an entry is shown");
    ok(store_peek_block(store, whole->id, 1, 0, BLOCK, true, &piece) == STATUS_OK, "so is a block that is mapped");
    char file[4200];
    snprintf(file, sizeof file, "%s/data-000000", path);
    const off_t end = (off_t) location_slot(location) * STRIDE + location_body(location) + LARGE;
    if (truncate(file, (off_t) (location_slot(last) + 1) * STRIDE - 100) != 0)
        abort();
    ok(location_slot(last) > location_slot(location) &&
           store_peek_block(store, whole->id, 1, 0, BLOCK, true, &piece) != STATUS_OK,
       "which is not when its end is cut off");
    if (truncate(file, end - 100) != 0)
        abort();
    fixture_put(store, next, 3, 0); /* into the same segment */
    struct stat info;
    ok(stat(file, &info) == 0 && info.st_size > end, "it was cut in its last page, and its file has grown again");
    enum status status = store_peek_block(store, large->id, 0, 0, LARGE, false, &piece);
    ok(status != STATUS_OK, "what was cut off is not shown (%s)", status_name(status));
    (void) fixture_load(store, large, 2, 0, &right);
    ok(!right, "nor loaded");
    ok(fixture_load(store, whole, 1, 0, &right) == STATUS_OK && right, "what lay before is right");
    ok(fixture_load(store, next, 3, 0, &right) == STATUS_OK && right, "so is what came behind");
    store_generation_unref(&whole);
    store_generation_unref(&large);
    store_generation_unref(&next);
    fixture_close(store);
}

int main(void)
{
    fixture_start();
    io_set(&test_ops);
    for (unsigned i = 0; i < 3; i++) {
        mode.name = i == 0 ? "cachestat" : i == 1 ? "mincore" : "no RWF_NOWAIT";
        mode.cachestat = i == 0;
        mode.nowait = i < 2;
        with_directory(test_truncated);
        with_directory(test_dropped);
        with_directory(test_shared);
        with_directory(test_loading);
    }
    mode.cachestat = mode.nowait = true;
    with_directory(test_emptying);
    with_directory(test_pages);
    with_directory(test_cut_in_page);
    io_set(NULL);
    fixture_stop();
    return done_testing();
}
