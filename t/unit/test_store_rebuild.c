/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_store_rebuild.c: an index that was lost is made anew from the disk. Whatever comes back is right and not
 * validated. test_store_found.c has disks made by hand.
 */
#include <signal.h>
#include <sys/wait.h>

#include "store_rebuild.h"
#include "tap.h"

#define OBJECTS 40

/* ---- What is done to a store that is closed. ---- */

static off_t index_size(const char *path)
{
    struct stat info;
    return stat(file_of(path, "index/data.mdb"), &info) == 0 ? info.st_size : 0;
}

static void index_cut(const char *path)
{
    if (truncate(file_of(path, "index/data.mdb"), index_size(path) / 2 / 4096 * 4096) != 0)
        abort();
}

static void index_garble(const char *path)
{
    int fd = open(file_of(path, "index/data.mdb"), O_WRONLY | O_CLOEXEC);
    off_t size = index_size(path);
    for (off_t at = 0; at < size; at += 8) {
        uint64_t word = hash_mix(99, (uint64_t) at);
        if (pwrite(fd, &word, 8, at) != 8)
            abort();
    }
    close(fd);
}

static void index_empty(const char *path)
{
    if (truncate(file_of(path, "index/data.mdb"), 0) != 0)
        abort();
}

/* Both meta pages, so that no state of before is left to open. */
static void index_flip(const char *path)
{
    int fd = open(file_of(path, "index/data.mdb"), O_RDWR | O_CLOEXEC);
    for (off_t at = 16; at < 8192; at += 4096) {
        uint8_t byte;
        if (pread(fd, &byte, 1, at) != 1)
            abort();
        byte ^= 4;
        if (pwrite(fd, &byte, 1, at) != 1)
            abort();
    }
    close(fd);
}

/* ---- What is put and looked at. ---- */

static uint64_t length_of(uint64_t object)
{
    return object % 3 == 0 ? object * 100 : object * BLOCK / 8 + object;
}

static unsigned blocks_of(uint64_t first, uint64_t last)
{
    unsigned blocks = 0;
    for (uint64_t object = first; object <= last; object++)
        blocks += (unsigned) ((length_of(object) + BLOCK - 1) / BLOCK);
    return blocks;
}

static void validate_all(struct store *store, int64_t validated_s)
{
    for (uint64_t object = 1; object <= OBJECTS; object++) {
        struct store_view view;
        if (!store_object_find(store, fixture_hash(object), &view))
            continue;
        store_object_set(store, view.generation, validated_s, 1);
        store_generation_unref(&view.generation);
    }
}

/* ---- A lost index. ---- */

static void test_lost(const char *how, void (*lose)(const char *path))
{
    char *path = fixture_directory();
    struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
    uint64_t highest = 0;
    for (uint64_t object = 1; object <= OBJECTS; object++)
        highest = fixture_put_object(store, object, length_of(object), 5000);
    fixture_close(store);
    struct label before = label_of(path);
    lose(path);

    store = fixture_open_loaded(path, SIZE, BLOCK);
    struct found found = fixture_inspect(store, 1, OBJECTS);
    is_int(found.objects, OBJECTS, "%s: every object is there", how);
    is_int(found.blocks, blocks_of(1, OBJECTS), "%s: with every block", how);
    ok(found.missing == 0 && found.wrong == 0, "%s: right", how);
    is_int(found.validated, 0, "%s: and none is validated", how);
    ok(!is_there(path, "rebuild"), "%s: that is done", how);
    struct label after = label_of(path);
    ok(hash128_eq(after.id, before.id) && after.incarnation == before.incarnation && after.opening > before.opening,
       "%s: the store is the same", how);
    uint64_t next = fixture_put_object(store, 500, 3 * BLOCK + 7, 5000);
    ok(next > highest, "%s: numbers go on", how);
    validate_all(store, 6000);
    fixture_close(store);

    store = fixture_open_loaded(path, SIZE, BLOCK);
    found = fixture_inspect(store, 1, OBJECTS);
    ok(found.blocks == blocks_of(1, OBJECTS) && found.wrong == 0, "%s: the next start reads it from the index", how);
    is_int(found.validated, OBJECTS, "%s: with what was validated since", how);
    ok(fixture_inspect(store, 500, 500).blocks == 4, "%s: and put", how);
    fixture_close(store);
    ok(fixture_usage(path) <= SIZE, "%s: within its size", how);
    fixture_remove(path);
}

/* What had been invalidated is not validated, and what is evicted, moved and superseded stays right. */
static void test_churn(void)
{
    char *path = fixture_directory();
    struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
    for (unsigned turn = 0; turn < 4; turn++) {
        for (uint64_t object = 1; object < 300; object++)
            fixture_put_object(store, object, length_of(object % 97) + turn, 1000);
        fixture_flush(store);
        fixture_close(store);
        index_delete(path);
        store = fixture_open_loaded(path, SIZE, BLOCK);
        struct found found = fixture_inspect(store, 1, 300);
        ok(found.wrong == 0 && found.validated == 0, "turn %u: of %u blocks of %u objects none is wrong", turn,
           found.blocks, found.objects);
        ok(found.blocks > 100, "turn %u: and there are many", turn);
    }
    fixture_close(store);
    store = fixture_open_loaded(path, SIZE, BLOCK);
    struct found found = fixture_inspect(store, 1, 300);
    ok(found.wrong == 0 && found.blocks > 100, "and from the index made of that: %u blocks", found.blocks);
    fixture_close(store);
    fixture_remove(path);
}

/* ---- While it goes on. ---- */

/* A start that ends in order does not count as a failed one. */
static void test_put_off(const char *path)
{
    index_delete(path);
    gate_set(UINT_MAX);
    atomic_store(&read_usec, 5000);
    for (unsigned i = 0; i < 4; i++) {
        struct store *store = fixture_open(path, SIZE, BLOCK, NULL);
        if (store_loaded(store))
            abort();
        fixture_close(store);
    }
    atomic_store(&read_usec, 0);
    gate_open();
    struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
    is_int(fixture_inspect(store, 1, OBJECTS).blocks, blocks_of(1, OBJECTS),
           "ended in order four times, the next start finds all");
    fixture_close(store);
}

static void child_killed(const char *path)
{
    int started[2];
    if (pipe(started) != 0)
        abort();
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        fixture_start();
        gate_set(64 + 7);
        (void) fixture_open(path, SIZE, BLOCK, NULL);
        if (write(started[1], "x", 1) != 1)
            _exit(1);
        pause();
        _exit(1);
    }
    char byte;
    if (read(started[0], &byte, 1) != 1)
        abort();
    close(started[0]);
    close(started[1]);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

static void child_fills(const char *path)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        fixture_start();
        struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
        for (uint64_t object = 1; object <= OBJECTS; object++)
            fixture_put_object(store, object, length_of(object), 5000);
        fixture_tombstone(store, fixture_hash(3));
        fixture_flush(store);
        _exit(0);
    }
    int status = -1;
    waitpid(child, &status, 0);
    ok(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a child left a store");
}

static void test_killed(const char *path, bool emptied)
{
    ok(is_there(path, "rebuild"), "killed while it was read, it says so");
    struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
    struct found found = fixture_inspect(store, 1, OBJECTS);
    is_int(found.blocks, emptied ? 0 : blocks_of(1, OBJECTS),
           emptied ? "three times killed, the store is emptied" : "twice killed, the next start finds all");
    ok(found.wrong == 0 && found.validated == 0, "and nothing wrong");
    ok(!is_there(path, "rebuild"), "that is done");
    fixture_close(store);
}

/* ---- Rows that are damaged. ---- */

/* Turns over a bit `behind` bytes after the last place where that is found in the index; how often it was there. */
static unsigned row_flip(const char *path, const void *what, size_t size, size_t behind)
{
    off_t length = index_size(path);
    uint8_t *bytes = mem_alloc((size_t) length);
    int fd = open(file_of(path, "index/data.mdb"), O_RDWR | O_CLOEXEC);
    unsigned count = 0;
    if (pread(fd, bytes, (size_t) length, 0) != length)
        abort();
    /* Everywhere: pages of earlier transactions are still there. */
    for (uint8_t *at = bytes; (at = memmem(at, (size_t) (bytes + length - at), what, size)) != NULL; at += size) {
        uint8_t byte = at[behind] ^ 16;
        if (pwrite(fd, &byte, 1, at + behind - bytes) != 1)
            abort();
        count++;
    }
    close(fd);
    mem_free(bytes);
    return count;
}

static void test_bad_object(const char *path)
{
    struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
    for (uint64_t object = 1; object <= OBJECTS; object++)
        fixture_put_object(store, object, length_of(object), 5000);
    fixture_close(store);
    ok(row_flip(path, "record of 17", 12, 3) > 0, "a bit of a row turns over");
    int64_t corrupt = fixture_metric(METRIC_STORE_CORRUPT);
    store = fixture_open_loaded(path, SIZE, BLOCK);
    struct found found = fixture_inspect(store, 1, OBJECTS);
    ok(found.objects == OBJECTS - 1 && found.wrong == 0, "its object alone is forgotten");
    is_int(found.validated, OBJECTS - 1, "the others keep their times");
    is_int(fixture_metric(METRIC_STORE_CORRUPT), corrupt + 1, "it is counted");
    fixture_flush(store);
    fixture_close(store);
    store = fixture_open_loaded(path, SIZE, BLOCK);
    is_int(fixture_metric(METRIC_STORE_CORRUPT), corrupt + 1, "once: the row was dropped");
    fixture_close(store);
}

static void child_group(const char *path)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        fixture_start();
        struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
        for (uint64_t object = 1; object <= OBJECTS; object++)
            fixture_put_object(store, object, 1000, 5000);
        fixture_flush(store);
        struct arrival arrival;
        arrival_init(&arrival);
        store_intent_begin(store, fixture_loop, &arrival.letter);
        arrival_wait(&arrival, 1);
        store_tombstone_group(store, GROUP(2), fixture_loop, &arrival.letter);
        arrival_wait(&arrival, 1);
        _exit(0);
    }
    int status = -1;
    waitpid(child, &status, 0);
    ok(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a child left the tombstone of a group");
}

static void test_bad_group(const char *path)
{
    /* A key of LMDB's is preceded by its length; objects' rows have the group's name in them too. */
    struct {
        uint16_t size;
        struct hash128 group;
    } __attribute__((packed)) key = {16, GROUP(2)};
    ok(row_flip(path, &key, sizeof key, sizeof key + 1) > 0, "a bit of it turns over");
    struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
    is_int(fixture_inspect(store, 1, OBJECTS).validated, 0, "then no validation is believed");
    ok(fixture_inspect(store, 1, OBJECTS).objects == OBJECTS, "and nothing else is lost");
    fixture_close(store);
}

int main(void)
{
    char *killed = fixture_directory(), *emptied = fixture_directory(), *group = fixture_directory();
    child_fills(killed);
    child_fills(emptied);
    child_group(group);
    index_delete(killed);
    index_delete(emptied);
    for (unsigned i = 0; i < 3; i++) {
        child_killed(emptied);
        if (i < 2)
            child_killed(killed);
    }
    fixture_start();
    test_killed(killed, false);
    test_killed(emptied, true);
    test_put_off(killed);
    test_bad_group(group);
    char *rows = fixture_directory();
    test_bad_object(rows);
    test_lost("taken away", index_delete);
    test_lost("emptied", index_empty);
    test_lost("cut short", index_cut);
    test_lost("garbage", index_garble);
    test_lost("a bit turned over", index_flip);
    test_churn();
    fixture_remove(killed);
    fixture_remove(emptied);
    fixture_remove(group);
    fixture_remove(rows);
    fixture_stop();
    return done_testing();
}
