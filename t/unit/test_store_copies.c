/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_store_copies.c: what is known of an object from rows that come in any order, its home's and copies of them, with
 * tombstones in between; and that an object leaves memory only when no index holds a copy of it any more.
 */
#include "base/rcu.h"
#include "store/generation.h"
#include "store/objects.h"
#include "store_fixture.h"
#include "tap.h"

#ifdef RCU_TSAN
/* What goes on between liburcu's own threads. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "called_from_lib:liburcu-cds.so\ncalled_from_lib:liburcu-qsbr.so\n";
}
#endif

#define OBJECT fixture_hash(1)
#define HOME 0
#define OTHER 1
#define THIRD 2

static struct generations *generations;
static struct objects *objects;
static unsigned told; /* that it is to be written */

static void on_dirty(void *arg, struct hash128 object)
{
    (void) arg;
    (void) object;
    told++;
}

static void begin(void)
{
    generations = generations_new(NULL);
    objects = objects_new(MIB, on_dirty, NULL);
}

static void end(void)
{
    objects_free(objects);
    generations_unref(&generations);
}

static struct store_generation *made(uint64_t id)
{
    return generation_make(generations, id, OBJECT, fixture_hash(2), 100, (struct str){"a record", 8}, NULL);
}

/* Whether the home's row is to be written, since the last call. */
static bool to_write(void)
{
    bool news = told > 0;
    told = 0;
    return news;
}

/* From the home's index. Whether it is to be written anew. */
static bool home_row(uint64_t id, uint64_t sequence, int64_t validated_s)
{
    struct store_generation *generation = made(id);
    (void) to_write();
    objects_load(
        objects, &generation,
        &(struct objects_loaded){.validated_s = validated_s, .sequence = sequence, .disk = HOME, .home = true});
    return to_write();
}

/* From another's. Whether the home's is to be written. */
static bool copy_row(uint64_t id, uint64_t sequence, unsigned disk)
{
    struct store_generation *generation = made(id);
    (void) to_write();
    if (objects_copy_seen(objects, OBJECT, id, sequence, disk))
        store_generation_unref(&generation);
    else
        objects_load(objects, &generation, &(struct objects_loaded){.sequence = sequence, .disk = disk});
    return to_write();
}

static bool knows(uint64_t id, int64_t validated_s)
{
    struct store_view view;
    if (!objects_find(objects, OBJECT, &view))
        return id == 0;
    bool same = view.generation->id == id && view.validated_s == validated_s;
    store_generation_unref(&view.generation);
    return same;
}

/* What the next round does in the home's index. */
static enum objects_change change(void)
{
    struct objects_row row;
    enum objects_change taken = objects_take(objects, OBJECT, &row);
    store_generation_unref(&row.generation);
    return taken;
}

static void test_order(void)
{
    begin();
    ok(!copy_row(5, 50, OTHER) && knows(5, 0), "a copy alone is known, and not as validated");
    ok(!home_row(5, 50, 7) && knows(5, 7), "its home's row says when it was");
    ok(!copy_row(5, 50, THIRD) && knows(5, 7), "a copy after it changes nothing");
    end();
    begin();
    (void) copy_row(5, 50, OTHER);
    ok(!home_row(6, 60, 7) && knows(6, 7), "a home that is later than a copy counts");
    end();
    begin();
    (void) home_row(5, 50, 7);
    ok(copy_row(6, 60, OTHER) && knows(6, 0), "so does a copy that is later than its home, which is to learn it");
    is_int(change(), OBJECTS_WRITE, "with the next round");
    end();
    begin();
    (void) copy_row(6, 60, OTHER);
    ok(home_row(5, 50, 7) && knows(6, 0), "also when it comes first");
    is_int(change(), OBJECTS_WRITE, "with the next round");
    end();
}

static void test_tombstones(void)
{
    begin();
    (void) copy_row(5, 50, OTHER);
    (void) objects_forget(objects, OBJECT, true);
    ok(to_write(), "a tombstone while only a copy is known is written");
    is_int(change(), OBJECTS_INVALIDATE, "to the home's row as it is");
    ok(home_row(6, 60, 7) && knows(6, 0), "which is not believed when it comes afterwards");
    is_int(change(), OBJECTS_WRITE, "and is written without its time");
    end();
    begin();
    (void) objects_forget(objects, OBJECT, true);
    is_int(change(), OBJECTS_INVALIDATE, "a tombstone while nothing is known is written");
    (void) copy_row(5, 50, OTHER);
    ok(home_row(5, 50, 7) && knows(5, 0), "nor is the home believed when a copy came in between");
    end();
    begin();
    (void) home_row(5, 50, 7);
    (void) objects_forget(objects, OBJECT, true);
    is_int(change(), OBJECTS_WRITE, "a tombstone after its home came");
    ok(copy_row(6, 60, OTHER) && knows(6, 0), "then a copy comes that is later");
    (void) change();
    (void) objects_forget(objects, OBJECT, false);
    ok(to_write() && change() == OBJECTS_WRITE, "and the home goes on being told");
    end();
}

static void test_bits(void)
{
    struct objects_row row;
    begin();
    struct store_generation *next = made(9);
    (void) home_row(5, 50, 7);
    ok(objects_copy_wanted(objects, OBJECT, 5, OTHER), "an index without a copy wants one");
    ok(!objects_copy_take(objects, OBJECT, 4, OTHER, &row), "of the current generation");
    ok(objects_copy_take(objects, OBJECT, 5, OTHER, &row) && row.validated_s == 0 && row.sequence == 50,
       "and gets it without its time");
    store_generation_unref(&row.generation);
    ok(!objects_copy_take(objects, OBJECT, 5, OTHER, &row), "once");
    ok(objects_copy_wanted(objects, OBJECT, 5, THIRD), "each disk its own");
    objects_copy_none(objects, OTHER);
    ok(objects_copy_wanted(objects, OBJECT, 5, OTHER), "an index that was made anew wants it again");
    ok(objects_copy_take(objects, OBJECT, 5, OTHER, &row), "and gets it");
    store_generation_unref(&row.generation);
    objects_set(objects, next, 8, 1, 90);
    ok(to_write() && objects_copy_wanted(objects, OBJECT, 9, OTHER), "so does each of the next generation");
    ok(!objects_copy_drop(objects, OBJECT, OTHER), "a copy of the last one stays while the object does");
    store_generation_unref(&next);
    end();
}

/* Home and copy are written by different threads: the home may be done first. */
static void test_gone(void)
{
    begin();
    (void) home_row(5, 50, 7);
    (void) copy_row(5, 50, OTHER);
    objects_trim(objects, 1);
    is_int(change(), OBJECTS_DELETE, "an object is forgotten for space");
    (void) to_write();
    objects_settled(objects, OBJECT);
    ok(to_write(), "its node stays while there is a copy");
    ok(objects_forget(objects, OBJECT, false), "and takes tombstones");
    ok(objects_copy_drop(objects, OBJECT, OTHER), "the copy is to be deleted");
    ok(!objects_copy_drop(objects, OBJECT, OTHER), "once");
    is_int(change(), OBJECTS_DELETE, "the home has its turn again");
    (void) to_write();
    objects_settled(objects, OBJECT);
    ok(!to_write(), "and now it goes");
    ok(!objects_forget(objects, OBJECT, false), "nobody knows it any more");
    end();
}

static void test_renewed(void)
{
    struct store_generation *first, *again;
    uint64_t id, length;
    begin();
    first = made(9);
    again = made(9);
    (void) home_row(5, 50, 7);
    ok(!objects_renewed(objects, OBJECT, &id, &length), "what was read is nothing new");
    objects_set(objects, first, 8, 1, 90);
    ok(objects_renewed(objects, OBJECT, &id, &length) && id == 9 && length == 100, "another generation is");
    ok(!objects_renewed(objects, OBJECT, &id, &length), "once");
    objects_set(objects, again, 9, 1, 91);
    ok(!objects_renewed(objects, OBJECT, &id, &length), "a validation is not");
    store_generation_unref(&first);
    store_generation_unref(&again);
    end();
}

int main(void)
{
    fixture_start();
    test_order();
    test_tombstones();
    test_bits();
    test_gone();
    test_renewed();
    fixture_stop();
    return done_testing();
}
