/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_store_starts.c: from one start to the next: markers of starts that did not come to an end, another size, another
 * disk.
 */
#include "store_fixture.h"
#include "tap.h"

#define BLOCK (256 * KIB)
#define SIZE (64 * MIB)

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
    fixture_write(path, "opening", "x");
    ok(kept(path, &time) && time == 0, "a start that crashed while opening costs each object a validation");
    ok(kept(path, &time) && time == 1, "once");
    fixture_write(path, "loading", "xx");
    ok(kept(path, &time) && time == 1, "two starts that were killed while loading do not");
    fixture_write(path, "loading", "xxx");
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
    fixture_write(path, "rebuild", "xx");
    ok(kept(path, &time) && time == 0, "and one that was being made anew, twice in vain");
    fixture_write(path, "rebuild", "xxx");
    ok(!kept(path, &time), "three times in vain empties the store");
    ok(kept(path, &time) && time == 1, "once");
    fixture_write(path, "headpond.store", "no label");
    fixture_write(path, "headpond.store.copy", "no label");
    ok(!kept(path, &time), "and so does a damaged label whose copy is damaged, too");
    ok(kept(path, &time) && time == 1, "once");
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
    fixture_with_directory(test_markers);
    fixture_with_directory(test_resized);
    test_disks();
    fixture_stop();
    return done_testing();
}
