/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_store_faults.c: damaged bytes, a disk that fails or is full, directories that must be refused, markers of starts
 * that did not come to an end, and a file system without RWF_NOWAIT.
 */
#include <errno.h>
#include <sys/wait.h>

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

static void refused(const char *path, int64_t size, uint32_t block_size, const char *part)
{
    char *error;
    struct store *store = fixture_open(path, size, block_size, &error);
    ok(store == NULL && error != NULL && strstr(error, part) != NULL && strchr(error, '\n') == NULL, "refused: %s",
       error == NULL ? "no" : error);
    mem_free(error);
    if (store != NULL)
        fixture_close(store);
}

static void leave_marker(const char *path, const char *name, const char *text)
{
    char file[4200];
    snprintf(file, sizeof file, "%s/%s", path, name);
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t) strlen(text))
        abort();
    close(fd);
}

static void test_refused(const char *path)
{
    struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
    refused(path, SIZE, BLOCK, "in use");
    fixture_close(store);
    refused(path, SIZE, 2 * BLOCK, "block_size");
    refused(path, SIZE, 5000, "block_size");
    refused("/proc/headpond", SIZE, BLOCK, "cannot be made");
    char *small = fixture_directory();
    refused(small, 2 * MIB, BLOCK, "too small");
    fixture_remove(small);
    /* A label of a later format, and one that is none. */
    char name[4200], kept[64], other[64];
    snprintf(name, sizeof name, "%s/headpond.store", path);
    int fd = open(name, O_RDWR);
    if (fd < 0 || pread(fd, kept, sizeof kept, 0) != (ssize_t) sizeof kept)
        abort();
    memcpy(other, kept, sizeof other);
    other[8] = 99;
    uint64_t sum = hash64(other, 56, 0);
    memcpy(other + 56, &sum, 8);
    if (pwrite(fd, other, sizeof other, 0) != (ssize_t) sizeof other)
        abort();
    refused(path, SIZE, BLOCK, "format 99");
    other[20] ^= 1;
    if (pwrite(fd, other, sizeof other, 0) != (ssize_t) sizeof other)
        abort();
    /* A damaged one among foreign files is not ours to empty. */
    char foreign[4200];
    snprintf(foreign, sizeof foreign, "%s/headpond.store.copy", path);
    unlink(foreign);
    snprintf(foreign, sizeof foreign, "%s/letter.txt", path);
    leave_marker(path, "letter.txt", "x");
    refused(path, SIZE, BLOCK, "letter.txt");
    unlink(foreign);
    if (pwrite(fd, kept, sizeof kept, 0) != (ssize_t) sizeof kept)
        abort();
    close(fd);
    store = fixture_open(path, SIZE, BLOCK, NULL);
    ok(store != NULL, "none of that hurt the store");
    fixture_close(store);
    char *home = fixture_directory();
    leave_marker(home, "letter.txt", "x");
    refused(home, SIZE, BLOCK, "letter.txt");
    snprintf(foreign, sizeof foreign, "%s/lock", home);
    ok(access(foreign, F_OK) != 0, "where others keep their files nothing is left behind");
    fixture_remove(home);
}

/* Files below the directory that a program started by headpond would inherit. */
static unsigned inherited(const char *path, unsigned *open_files)
{
    unsigned count = 0;
    DIR *list = opendir("/proc/self/fd");
    *open_files = 0;
    for (struct dirent *item; list != NULL && (item = readdir(list)) != NULL;) {
        char target[4200] = "";
        if (readlinkat(dirfd(list), item->d_name, target, sizeof target - 1) < 0 ||
            strncmp(target, path, strlen(path)) != 0)
            continue;
        ++*open_files;
        if (!(fcntl(atoi(item->d_name), F_GETFD) & FD_CLOEXEC)) {
            printf("# %s\n", target);
            count++;
        }
    }
    closedir(list);
    return count;
}

/* Links, pipes and others' rights. */
static void test_guarded(const char *path)
{
    static const char *const names[] = {
        "headpond.store", "headpond.store.copy", "headpond.store.new", "headpond.store.copy.new", "lock",
        "opening",        "CACHEDIR.TAG",        "index/data.mdb",     "index/lock.mdb",          "data-000000"};
    static const mode_t shared[] = {0777, 01777, 0770, 0702}, own[] = {0700, 0750, 0755};
    char name[4200], aside[4200], index[4200];
    struct store *store;
    store = fixture_open_loaded(path, SIZE, BLOCK);
    struct store_generation *generation = fixture_object(store, 1, BLOCK, 1);
    unsigned files;
    fixture_put(store, generation, 1, 0);
    store_generation_unref(&generation);
    is_int(inherited(path, &files), 0, "no descriptor is inherited");
    ok(files >= 6, "of %u: the directory, its lock, the index, a data file", files);
    fixture_close(store);
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(name, sizeof name, "%s/%s", path, names[i]);
        snprintf(aside, sizeof aside, "%s/aside", path);
        bool there = rename(name, aside) == 0;
        if (symlink(aside, name) != 0)
            abort();
        refused(path, SIZE, BLOCK, names[i]);
        unlink(name);
        if (mkfifo(name, 0600) != 0)
            abort();
        refused(path, SIZE, BLOCK, "not a plain file");
        unlink(name);
        if (there && rename(aside, name) != 0)
            abort();
    }
    snprintf(index, sizeof index, "%s/index", path);
    if (rename(index, aside) != 0 || symlink(aside, index) != 0)
        abort();
    refused(path, SIZE, BLOCK, "index is not a directory");
    if (unlink(index) != 0 || rename(aside, index) != 0)
        abort();
    for (unsigned i = 0; i < sizeof shared / sizeof *shared; i++) {
        chmod(path, shared[i]);
        refused(path, SIZE, BLOCK, "chmod go-w it");
    }
    for (unsigned i = 0; i < sizeof own / sizeof *own; i++) {
        chmod(path, own[i]);
        store = fixture_open(path, SIZE, BLOCK, NULL);
        ok(store != NULL, "mode %04o is accepted", (unsigned) own[i]);
        fixture_close(store);
    }
    snprintf(name, sizeof name, "%s-link", path);
    if (symlink(path, name) != 0)
        abort();
    store = fixture_open(name, SIZE, BLOCK, NULL);
    ok(store != NULL, "so is a link to the directory");
    fixture_close(store);
    unlink(name);
    if (geteuid() != 0)
        return; /* only root can give files away */
    snprintf(name, sizeof name, "%s/lock", path);
    if (chown(name, 12345, (gid_t) -1) != 0)
        abort();
    refused(path, SIZE, BLOCK, "lock is another user's");
    if (chown(name, 0, (gid_t) -1) != 0 || chown(path, 12345, (gid_t) -1) != 0)
        abort();
    refused(path, SIZE, BLOCK, "belongs to user 12345");
    if (chown(path, 0, (gid_t) -1) != 0)
        abort();
}

/* Whether object 5 and its block are there, and when it was validated; puts them if not. */
static bool kept(const char *path, int64_t *validated_s)
{
    struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
    struct store_view view;
    bool right = false;
    *validated_s = -1;
    if (store_object_find(store, fixture_hash(5), &view)) {
        *validated_s = view.validated_s;
        store_object_set(store, view.generation, 1, 7);
        ok(fixture_load(store, view.generation, 5, 0, &right) == STATUS_OK && right, "the block of object 5 is right");
        store_generation_unref(&view.generation);
    } else {
        struct store_generation *generation = fixture_object(store, 5, BLOCK, 1);
        fixture_put(store, generation, 5, 0);
        store_generation_unref(&generation);
    }
    fixture_close(store);
    return right;
}

static void test_markers(const char *path)
{
    int64_t time;
    ok(!kept(path, &time) && kept(path, &time) && time == 1, "a block is kept over a restart");
    leave_marker(path, "opening", "x");
    ok(kept(path, &time) && time == 0, "a start that crashed while opening costs each object a validation");
    ok(kept(path, &time) && time == 1, "once");
    leave_marker(path, "loading", "xx");
    ok(kept(path, &time) && time == 1, "two starts that were killed while loading do not");
    leave_marker(path, "loading", "xxx");
    ok(kept(path, &time) && time == 0, "three do");
    ok(kept(path, &time) && time == 1, "once");
    char file[4200], zeros[8192] = {0};
    snprintf(file, sizeof file, "%s/index/data.mdb", path);
    int fd = open(file, O_WRONLY);
    if (fd < 0 || pwrite(fd, zeros, sizeof zeros, 0) != (ssize_t) sizeof zeros)
        abort();
    close(fd);
    ok(kept(path, &time) && time == 0, "so does an index that is none");
    ok(kept(path, &time) && time == 1, "once");
    leave_marker(path, "rebuild", "xx");
    ok(kept(path, &time) && time == 0, "and one that was being made anew, twice in vain");
    leave_marker(path, "rebuild", "xxx");
    ok(!kept(path, &time), "three times in vain empties the store");
    ok(kept(path, &time) && time == 1, "once");
    leave_marker(path, "headpond.store", "no label");
    leave_marker(path, "headpond.store.copy", "no label");
    ok(!kept(path, &time), "and so does a damaged label whose copy is damaged, too");
    ok(kept(path, &time) && time == 1, "once");
}

/* Two disks of which one is away for a start: it has missed what was written then. */
static void test_away(void)
{
    char *paths[2] = {fixture_directory(), fixture_directory()};
    struct store_disk disks[2] = {{.path = paths[0], .size = SIZE}, {.path = paths[1], .size = SIZE}};
    static const unsigned counts[] = {2, 2, 1, 2};
    unsigned times[4];
    for (unsigned i = 0; i < 4; i++) {
        struct store *store = fixture_open_disks(disks, counts[i], BLOCK);
        times[i] = 0;
        for (uint64_t object = 1000; object < 1100; object++) {
            if (i == 0) {
                struct store_generation *generation = fixture_object(store, object, 10, 5);
                store_generation_unref(&generation);
            }
            times[i] += fixture_validated(store, object) == 5;
        }
        fixture_close(store);
    }
    is_int(times[1], 100, "two disks: all is believed at the next start");
    is_int(times[2], 0, "one is away, and may have been used alone: nothing is");
    is_int(times[3], 0, "nor when it comes back");
    for (unsigned i = 0; i < 2; i++)
        fixture_remove(paths[i]);
}

/* The size may change from one start to the next. */
static void test_resized(const char *path)
{
    struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
    struct store_generation *generation = fixture_object(store, 6, 150 * (uint64_t) BLOCK, 1);
    unsigned wrong = 0, blocks = 0;
    bool right;
    for (uint64_t block = 0; block < 150; block++)
        fixture_put(store, generation, 6, block);
    fixture_close(store);
    store = fixture_open_loaded(path, SIZE / 2, BLOCK);
    for (uint64_t block = 0; block < 150; block++) {
        if (!store_has_block(store, generation->id, block))
            continue;
        enum status status = fixture_load(store, generation, 6, block, &right);
        if (status == STATUS_NOT_FOUND)
            continue; /* evicted since: after the start slots are freed ahead */
        blocks++;
        wrong += status != STATUS_OK || !right;
    }
    ok(blocks > 20 && wrong == 0, "a smaller size keeps what fits: %u blocks, %u wrong", blocks, wrong);
    ok(fixture_usage(path) <= SIZE / 2, "and gives the rest back");
    fixture_close(store);
    store = fixture_open_loaded(path, 2 * SIZE, BLOCK);
    for (uint64_t block = 0; block < 150; block++)
        if (!store_has_block(store, generation->id, block))
            fixture_put(store, generation, 6, block);
    for (uint64_t block = 0; block < 150; block++)
        wrong += fixture_load(store, generation, 6, block, &right) != STATUS_OK || !right;
    is_int(wrong, 0, "a larger one takes more");
    store_generation_unref(&generation);
    fixture_close(store);
}

/* Two disks: blocks and objects go to both, and a third one changes little. */
static void test_disks(void)
{
    char *paths[3] = {fixture_directory(), fixture_directory(), fixture_directory()};
    struct store_disk disks[3];
    for (unsigned i = 0; i < 3; i++)
        disks[i] = (struct store_disk){.path = paths[i], .size = SIZE};
    unsigned missing = 0, wrong = 0;
    bool right;
    for (unsigned count = 2; count <= 3; count++) {
        struct store *store = fixture_open_disks(disks, count, BLOCK);
        for (uint64_t object = 0; object < 100; object++) {
            struct store_view view;
            if (count == 2) {
                struct store_generation *generation = fixture_object(store, object, BLOCK, 1);
                fixture_put(store, generation, object, 0);
                store_generation_unref(&generation);
            } else if (store_object_find(store, fixture_hash(object), &view)) {
                wrong += fixture_load(store, view.generation, object, 0, &right) != STATUS_OK || !right;
                store_generation_unref(&view.generation);
            } else {
                missing++;
            }
        }
        fixture_close(store);
    }
    ok(fixture_usage(paths[0]) > 10 * BLOCK && fixture_usage(paths[1]) > 10 * BLOCK, "two disks share the blocks");
    is_int(missing, 0, "with a third one every object is known");
    is_int(wrong, 0, "and every block right");
    for (unsigned i = 0; i < 3; i++)
        fixture_remove(paths[i]);
}

int main(void)
{
    fixture_start();
    fixture_with_directory(test_damage);
    fixture_with_directory(test_errors);
    fixture_with_directory(test_sync);
    fixture_with_directory(test_no_nowait);
    fixture_with_directory(test_refused);
    fixture_with_directory(test_guarded);
    fixture_with_directory(test_markers);
    fixture_with_directory(test_resized);
    test_disks();
    test_away();
    fixture_stop();
    return done_testing();
}
