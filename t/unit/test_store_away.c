/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_store_away.c: one of several disks is missing at a start. The others keep what they hold, whoever's home the
 * missing one was; it comes back with what it held; and no time of validation is believed that somebody was told to
 * forget meanwhile, wherever the object's home was then.
 */
#include <sys/wait.h>

#include "store/index.h"
#include "store_fixture.h"
#include "tap.h"

#define BLOCK (64 * KIB)
#define SIZE (96 * MIB)
#define OBJECTS 12
#define LENGTH (64 * (uint64_t) BLOCK) /* four extents */
#define FIRST 3000
#define LAST (FIRST + OBJECTS - 1)

struct rig {
    char *paths[2];
    int64_t sizes[2];
    struct store *store;
};

static struct rig rig_new(void)
{
    return (struct rig){.paths = {fixture_directory(), fixture_directory()}, .sizes = {SIZE, SIZE}};
}

/* With the disks of that mask. */
static void rig_open(struct rig *rig, unsigned mask)
{
    struct store_disk disks[2];
    unsigned count = 0;
    for (unsigned i = 0; i < 2; i++)
        if (mask & (1U << i))
            disks[count++] = (struct store_disk){.path = rig->paths[i], .size = rig->sizes[i]};
    rig->store = fixture_open_disks(disks, count, BLOCK);
}

static void rig_close(struct rig *rig)
{
    fixture_close(rig->store);
    rig->store = NULL;
}

static void rig_free(struct rig *rig)
{
    for (unsigned i = 0; i < 2; i++)
        fixture_remove(rig->paths[i]);
}

/* What a start with those disks finds. */
static struct found found_with(struct rig *rig, unsigned mask)
{
    rig_open(rig, mask);
    struct found found = fixture_inspect(rig->store, FIRST, LAST);
    rig_close(rig);
    return found;
}

static void put_all(struct rig *rig)
{
    for (uint64_t object = FIRST; object <= LAST; object++)
        fixture_put_object(rig->store, object, LENGTH, 5);
    fixture_flush(rig->store);
}

/* ---- Blocks. ---- */

static void test_missing(void)
{
    struct rig rig = rig_new();
    rig_open(&rig, 3);
    put_all(&rig);
    rig_close(&rig);
    struct found both = found_with(&rig, 3);
    is_int(both.blocks, OBJECTS * 64, "two disks: every block is there");
    is_int(both.validated, OBJECTS, "and every time of validation");
    unsigned sum = 0, wrong = 0;
    for (unsigned i = 0; i < 2; i++) {
        struct found one = found_with(&rig, 1U << i), again = found_with(&rig, 1U << i);
        ok(one.blocks > 0 && one.blocks < both.blocks, "disk %u alone: %u blocks", i, one.blocks);
        is_int(one.validated, 0, "and it believes no time: the other may have been used alone");
        is_int(again.blocks, one.blocks, "and as many at the start after that");
        sum += one.blocks;
        wrong += one.wrong + again.wrong;
    }
    is_int(sum, both.blocks, "each keeps what it holds");
    is_int(wrong, 0, "all of it right");
    both = found_with(&rig, 3);
    is_int(both.blocks, OBJECTS * 64, "together again they have all of it");
    is_int(both.validated, 0, "nor do both when they are together again");
    is_int(both.wrong, 0, "all of it right");
    rig_free(&rig);
}

/* The directory is there, and empty, as where a mount is missing. */
static void test_not_mounted(void)
{
    struct rig rig = rig_new();
    char aside[4200];
    rig_open(&rig, 3);
    put_all(&rig);
    rig_close(&rig);
    unsigned alone = found_with(&rig, 1).blocks;
    snprintf(aside, sizeof aside, "%s.aside", rig.paths[1]);
    if (rename(rig.paths[1], aside) != 0 || mkdir(rig.paths[1], 0700) != 0)
        abort();
    is_int(found_with(&rig, 3).blocks, alone, "beside an empty disk the other keeps what it holds");
    fixture_take_away(rig.paths[1]);
    if (rename(aside, rig.paths[1]) != 0)
        abort();
    struct found both = found_with(&rig, 3);
    is_int(both.blocks, OBJECTS * 64, "when it is mounted again all blocks are there");
    is_int(both.wrong, 0, "all of them right");
    rig_free(&rig);
}

/* What an object begins with lies with its record. */
static void test_small(void)
{
    struct rig rig = rig_new();
    rig_open(&rig, 3);
    for (uint64_t object = FIRST; object <= LAST; object++)
        fixture_put_object(rig.store, object, 3 * BLOCK, 5);
    rig_close(&rig);
    unsigned objects = 0;
    for (unsigned i = 0; i < 2; i++) {
        struct found one = found_with(&rig, 1U << i);
        ok(one.objects > 0 && one.missing == 0, "disk %u alone: %u small objects, whole", i, one.objects);
        objects += one.objects;
    }
    is_int(objects, OBJECTS, "each is on one disk");
    rig_free(&rig);
}

/* Blocks that are stored before what they belong to is known, as those of a write are. */
static void test_blocks_first(void)
{
    struct rig rig = rig_new();
    rig_open(&rig, 3);
    for (uint64_t object = FIRST; object <= LAST; object++) {
        struct store_generation *generation = store_generation_new(rig.store, fixture_hash(object), fixture_hash(1), 0,
                                                                   LENGTH, (struct str){"a record", 8}, NULL);
        for (uint64_t block = 0; block < 64; block++)
            fixture_put(rig.store, generation, object, block);
        fixture_flush(rig.store);
        store_object_set(rig.store, generation, 5, 7);
        store_generation_unref(&generation);
    }
    fixture_flush(rig.store); /* tells of the objects */
    fixture_flush(rig.store); /* and of their blocks */
    rig_close(&rig);
    unsigned sum = found_with(&rig, 1).blocks + found_with(&rig, 2).blocks;
    is_int(sum, OBJECTS * 64, "blocks stored before their object is known are kept");
    rig_free(&rig);
}

/* ---- A store of an earlier version. ---- */

struct names {
    struct hash128 objects[OBJECTS];
    unsigned count;
};

static void copy_each(void *arg, const struct index_object *object)
{
    struct names *names = arg;
    if (object->validated_s == 0 && names->count < OBJECTS)
        names->objects[names->count++] = object->object;
}

static void row_bad(void *arg, const uint8_t key[16])
{
    (void) arg;
    (void) key;
    abort();
}

/* Deletes the copies in a disk's index, as `drop` says; how many there were. */
static unsigned copies_in(const char *path, bool drop)
{
    struct names names = {.count = 0};
    struct index_cursor cursor = {0};
    struct index *index;
    const char *why;
    char name[4200];
    bool more;
    snprintf(name, sizeof name, "%s/index", path);
    if (index_open(name, 64 * (size_t) MIB, &index, &why) != STATUS_OK ||
        index_scan_objects(index, &cursor, 1000, copy_each, row_bad, &names, &more) != STATUS_OK)
        abort();
    index_begin(index);
    for (unsigned i = 0; drop && i < names.count; i++)
        index_delete_object(index, names.objects[i]);
    if (index_commit(index) != STATUS_OK || index_sync(index) != STATUS_OK)
        abort();
    index_close(index);
    return names.count;
}

static void test_without_copies(void)
{
    struct rig rig = rig_new();
    rig_open(&rig, 3);
    put_all(&rig);
    rig_close(&rig);
    unsigned copies = copies_in(rig.paths[0], true) + copies_in(rig.paths[1], true);
    ok(copies > OBJECTS / 2, "there are copies of records (%u)", copies);
    is_int(found_with(&rig, 3).validated, OBJECTS, "a store without copies is opened");
    is_int(copies_in(rig.paths[0], false) + copies_in(rig.paths[1], false), copies, "and has them from then on");
    unsigned sum = found_with(&rig, 1).blocks + found_with(&rig, 2).blocks;
    is_int(sum, OBJECTS * 64, "so that each disk keeps what it holds");
    rig_free(&rig);
}

/* The same, and the first start is one without the other disk: what is lost for it is counted. */
static void test_record_lost(void)
{
    struct rig rig = rig_new();
    unsigned kept = 0;
    int64_t lost = 0;
    rig_open(&rig, 3);
    put_all(&rig);
    rig_close(&rig);
    (void) copies_in(rig.paths[0], true);
    (void) copies_in(rig.paths[1], true);
    for (unsigned i = 0; i < 2; i++) {
        kept += found_with(&rig, 1U << i).blocks;
        lost += metric_cell_value(metric_cell2(METRIC_STORE_LOST, rig.paths[i], "record"));
    }
    ok(kept < OBJECTS * 64, "without copies blocks are lost");
    is_int(kept + lost, OBJECTS * 64, "and counted");
    rig_free(&rig);
}

/* An index that is lost is made anew with its copies. */
static void test_rebuilt(void)
{
    struct rig rig = rig_new();
    char name[4200];
    rig_open(&rig, 3);
    put_all(&rig);
    rig_close(&rig);
    for (unsigned i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "%s/index/data.mdb", rig.paths[i]);
        if (unlink(name) != 0)
            abort();
        is_int(found_with(&rig, 3).blocks, OBJECTS * 64, "disk %u loses its index, and no block", i);
    }
    is_int(found_with(&rig, 1).blocks + found_with(&rig, 2).blocks, OBJECTS * 64, "each knows what it holds alone");
    rig_free(&rig);
}

/* ---- Times of validation. ---- */

static void test_changed_meanwhile(void)
{
    struct rig rig = rig_new();
    rig_open(&rig, 3);
    put_all(&rig);
    rig_close(&rig);
    rig_open(&rig, 2);
    uint64_t newer[OBJECTS];
    for (unsigned i = 0; i < OBJECTS; i++) {
        struct store_generation *generation = fixture_object(rig.store, FIRST + i, LENGTH, 9);
        newer[i] = generation->id;
        store_generation_unref(&generation);
    }
    rig_close(&rig);
    rig_open(&rig, 3);
    unsigned right = 0, blocks = 0;
    for (unsigned i = 0; i < OBJECTS; i++) {
        struct store_view view;
        if (!store_object_find(rig.store, fixture_hash(FIRST + i), &view))
            continue;
        right += view.generation->id == newer[i];
        for (uint64_t block = 0; block < 64; block++)
            blocks += store_has_block(rig.store, view.generation->id, block);
        store_generation_unref(&view.generation);
    }
    is_int(right, OBJECTS, "what was replaced while its home was away stays replaced");
    is_int(blocks, 0, "and has no block of what was there before");
    rig_close(&rig);
    rig_free(&rig);
}

/* Runs it in a process of its own, before there are threads. */
static void in_child(struct rig *rig, void (*run)(struct rig *rig))
{
    int state;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        fixture_start();
        run(rig);
        _exit(0);
    }
    if (child < 0 || waitpid(child, &state, 0) != child || state != 0)
        abort();
}

/* Objects without blocks: only where their records lie matters. So many that they are not all found in the moment between a
 * start and a kill. */
#define MANY 5000

static void put_records(struct rig *rig)
{
    rig_open(rig, 3);
    for (uint64_t object = 0; object < MANY; object++) {
        struct store_generation *generation = fixture_object(rig->store, object, LENGTH, 5);
        store_generation_unref(&generation);
    }
    rig_close(rig);
}

static void tombstone_elsewhere(struct rig *rig)
{
    rig->sizes[1] = 4 * SIZE;
    rig_open(rig, 3);
    for (uint64_t object = 0; object < MANY; object++)
        fixture_tombstone(rig->store, fixture_hash(object));
}

/* Homes move to the second disk, whose size is another, and back: what the first knew from before is not believed
 * again. */
static void homes_moved(struct rig *rig, const char *how)
{
    unsigned known = 0, believed = 0;
    rig->sizes[1] = SIZE;
    rig_open(rig, 3);
    for (uint64_t object = 0; object < MANY; object++) {
        known += fixture_validated(rig->store, object) >= 0;
        believed += fixture_validated(rig->store, object) > 0;
    }
    is_int(known, MANY, "%s: every object is known", how);
    is_int(believed, 0, "what was to be forgotten is not believed where homes were before");
    rig_close(rig);
    rig_free(rig);
}

/* Homes move, and the process is killed before it has found the rows that it does not believe any more. */
static void open_moved(struct rig *rig)
{
    rig->sizes[1] = 4 * SIZE;
    struct store_disk disks[2] = {{.path = rig->paths[0], .size = rig->sizes[0]},
                                  {.path = rig->paths[1], .size = rig->sizes[1]}};
    struct store_options options = {.disks = disks, .disk_count = 2, .block_size = BLOCK};
    struct strbuf error = {0};
    rcu_thread_offline();
    if (store_open(&options, &rig->store, &error) != STATUS_OK)
        abort();
}

static void test_homes_move(void)
{
    struct rig rig = rig_new();
    put_records(&rig);
    tombstone_elsewhere(&rig);
    rig_close(&rig);
    homes_moved(&rig, "after a stop");
}

/* Each was used without the other: neither knows what the other was told. */
static void test_in_turns(void)
{
    struct rig rig = rig_new();
    rig_open(&rig, 3);
    put_all(&rig);
    rig_close(&rig);
    rig_open(&rig, 1);
    for (uint64_t object = FIRST; object <= LAST; object++)
        fixture_tombstone(rig.store, fixture_hash(object));
    rig_close(&rig);
    struct found found = found_with(&rig, 2);
    ok(found.blocks > 0 && found.wrong == 0, "the disk that was away is used alone: %u blocks", found.blocks);
    is_int(found.validated, 0, "and believes nothing of before");
    rig_free(&rig);
}

int main(void)
{
    struct rig killed = rig_new(), moving = rig_new();
    in_child(&killed, put_records);
    in_child(&killed, tombstone_elsewhere);
    in_child(&moving, put_records);
    in_child(&moving, open_moved);
    fixture_start();
    homes_moved(&killed, "after a kill");
    homes_moved(&moving, "after a kill while homes move");
    test_missing();
    test_not_mounted();
    test_small();
    test_blocks_first();
    test_without_copies();
    test_record_lost();
    test_rebuilt();
    test_changed_meanwhile();
    test_homes_move();
    test_in_turns();
    fixture_stop();
    return done_testing();
}
