/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_store_found.c: what a rebuild makes of what it finds: disks written by hand, each to break a rule of rebuild.h.
 */
#include "base/clock.h"
#include "store/entry.h"
#include "store_rebuild.h"
#include "tap.h"

#define STRIDE (BLOCK + ENTRY_PAGE)

/* ---- Disks made by hand. ---- */

/* An empty store whose one data file has `slots` of it; what lies there is written by the next two. */
struct craft {
    char *path;
    int fd;
    struct label label;
    uint64_t base;    /* above this, ids that may have been given */
    uint32_t slot;    /* of the segment that is written */
    uint32_t used;    /* bytes of it */
    uint64_t segment; /* its sequence */
};

static struct craft craft_new(void)
{
    struct craft craft = {.path = fixture_directory()};
    struct store *store = fixture_open_loaded(craft.path, SIZE, BLOCK);
    fixture_put_object(store, 999, 1, 1); /* makes the data file */
    fixture_close(store);
    craft.fd = open(file_of(craft.path, "data-000000"), O_RDWR | O_CLOEXEC);
    uint8_t zeros[ENTRY_PAGE] = {0};
    for (off_t slot = 0; slot < 100; slot++)
        if (pwrite(craft.fd, zeros, sizeof zeros, slot * STRIDE) != (ssize_t) sizeof zeros)
            abort();
    craft.label = label_of(craft.path);
    craft.base = craft.label.opening << 40 | 1000;
    index_delete(craft.path);
    return craft;
}

static struct entry craft_entry(const struct craft *craft, enum entry_kind kind, uint64_t object, uint64_t generation,
                                uint64_t total)
{
    return (struct entry){.kind = kind,
                          .store = craft->label.id,
                          .incarnation = craft->label.incarnation,
                          .object = fixture_hash(object),
                          .generation = craft->base + generation,
                          .total = total,
                          .group = GROUP(object)};
}

static void craft_write(const struct craft *craft, struct entry *entry, uint32_t slot, uint32_t offset, uint32_t gap,
                        const void *body)
{
    uint8_t header[ENTRY_HEADER_SIZE];
    off_t at = (off_t) slot * STRIDE + offset;
    entry->checksum = entry_checksum(body, entry->length);
    entry_encode(entry, header);
    if (pwrite(craft->fd, header, sizeof header, at) != (ssize_t) sizeof header ||
        pwrite(craft->fd, body, entry->length, at + gap) != (ssize_t) entry->length)
        abort();
}

/* A full block in a slot, whose bytes are those of `content`. */
static void craft_block(const struct craft *craft, struct entry entry, uint32_t slot, uint64_t content)
{
    uint8_t *body = mem_alloc(BLOCK);
    entry.length = BLOCK;
    fixture_fill(body, BLOCK, content, entry.block);
    craft_write(craft, &entry, slot, 0, ENTRY_PAGE, body);
    mem_free(body);
}

static void craft_segment(struct craft *craft, uint32_t slot, uint64_t sequence)
{
    struct entry entry = craft_entry(craft, ENTRY_SEGMENT, 0, 0, 0);
    craft->slot = slot;
    craft->used = ENTRY_PAGE;
    craft->segment = entry.sequence = craft->base + sequence;
    craft_write(craft, &entry, slot, 0, ENTRY_PAGE, "");
}

/* Appended to the segment. Returns where. */
static uint32_t craft_pack(struct craft *craft, struct entry entry, const void *body, size_t length)
{
    uint32_t at = craft->used;
    entry.length = (uint32_t) length;
    if (entry.segment == 0)
        entry.segment = craft->segment;
    craft_write(craft, &entry, craft->slot, at, ENTRY_HEADER_SIZE, body);
    craft->used += entry_packed_size(entry.length);
    return at;
}

static void craft_record(struct craft *craft, uint64_t object, uint64_t generation, uint64_t total, uint64_t sequence,
                         const char *text)
{
    struct entry entry = craft_entry(craft, ENTRY_RECORD, object, generation, total);
    entry.sequence = craft->base + sequence;
    craft_pack(craft, entry, text, strlen(text));
}

static void craft_end(struct craft *craft)
{
    close(craft->fd);
    fixture_remove(craft->path);
}

static bool record_is(struct store *store, const struct craft *craft, uint64_t object, uint64_t generation,
                      const char *text)
{
    struct store_view view;
    if (!store_object_find(store, fixture_hash(object), &view))
        return false;
    bool same = view.generation->id == craft->base + generation &&
                str_eq(view.generation->record, (struct str){text, strlen(text)}) && view.validated_s == 0;
    if (!same)
        printf("# %llu is %llu: %.*s\n", (unsigned long long) object,
               (unsigned long long) (view.generation->id - craft->base), (int) view.generation->record.len,
               view.generation->record.ptr);
    store_generation_unref(&view.generation);
    rcu_quiescent_state();
    return same;
}

static void test_generations(void)
{
    struct craft craft = craft_new();
    /* The older record comes later, in a later segment and at last; blocks of both generations, and of one without. */
    craft_segment(&craft, 3, 1);
    craft_record(&craft, 1, 20, BLOCK, 21, "new");
    craft_record(&craft, 2, 30, BLOCK, 33, "set last");
    craft_segment(&craft, 4, 2);
    craft_record(&craft, 1, 10, BLOCK, 11, "old");
    craft_record(&craft, 2, 30, BLOCK, 32, "a copy of what was set first");
    craft_record(&craft, 5, 50, 2 * BLOCK, 51, "shorter than its blocks say");
    craft_block(&craft, craft_entry(&craft, ENTRY_BLOCK, 1, 10, BLOCK), 0, 11);
    craft_block(&craft, craft_entry(&craft, ENTRY_BLOCK, 1, 20, BLOCK), 7, 1);
    craft_block(&craft, craft_entry(&craft, ENTRY_BLOCK, 1, 25, BLOCK), 8, 12);
    craft_block(&craft, craft_entry(&craft, ENTRY_BLOCK, 2, 30, BLOCK), 2, 2);
    craft_block(&craft, craft_entry(&craft, ENTRY_BLOCK, 2, 30, BLOCK), 9, 2);
    craft_block(&craft, craft_entry(&craft, ENTRY_BLOCK, 3, 40, BLOCK), 10, 3);
    craft_block(&craft, craft_entry(&craft, ENTRY_BLOCK, 5, 50, 3 * BLOCK), 11, 5);
    /* One whose body is not what its header says. */
    craft_record(&craft, 6, 60, BLOCK, 61, "torn");
    struct entry torn = craft_entry(&craft, ENTRY_BLOCK, 6, 60, BLOCK);
    craft_block(&craft, torn, 12, 6);
    if (pwrite(craft.fd, "torn", 4, (off_t) 12 * STRIDE + STRIDE / 2) != 4)
        abort();

    struct store *store = fixture_open_loaded(craft.path, SIZE, BLOCK);
    ok(record_is(store, &craft, 1, 20, "new"), "the highest generation is the current one");
    ok(fixture_inspect(store, 1, 1).blocks == 1, "with its block");
    ok(!store_has_block(store, craft.base + 10, 0), "the one before has none");
    ok(!store_has_block(store, craft.base + 25, 0), "nor has one without a record");
    ok(record_is(store, &craft, 2, 30, "set last"), "of a generation's records the one set last counts");
    ok(fixture_inspect(store, 2, 2).blocks == 1, "and its block, once");
    ok(!store_has_block(store, craft.base + 40, 0), "blocks of an unknown object are nobody's");
    ok(record_is(store, &craft, 5, 50, "shorter than its blocks say") && !store_has_block(store, craft.base + 50, 0),
       "blocks of another length are not the record's");
    int64_t corrupt = fixture_metric(METRIC_STORE_CORRUPT);
    struct found found = fixture_inspect(store, 6, 6);
    ok(found.objects == 1 && found.blocks == 0 && fixture_metric(METRIC_STORE_CORRUPT) == corrupt + 1,
       "a torn block is noticed when it is read");
    fixture_close(store);
    craft_end(&craft);
}

static void test_lost_record(void)
{
    struct craft craft = craft_new();
    craft_segment(&craft, 3, 1);
    craft_record(&craft, 1, 10, BLOCK, 11, "old");
    uint32_t at = craft.used;
    craft_record(&craft, 1, 20, BLOCK, 21, "new");
    craft_record(&craft, 2, 30, 100, 31, "behind it");
    if (pwrite(craft.fd, "X", 1, (off_t) 3 * STRIDE + at + ENTRY_HEADER_SIZE) != 1)
        abort();
    craft_block(&craft, craft_entry(&craft, ENTRY_BLOCK, 1, 20, BLOCK), 0, 12);
    craft_block(&craft, craft_entry(&craft, ENTRY_BLOCK, 1, 10, BLOCK), 7, 1);
    int64_t corrupt = fixture_metric(METRIC_STORE_CORRUPT);
    struct store *store = fixture_open_loaded(craft.path, SIZE, BLOCK);
    is_int(fixture_metric(METRIC_STORE_CORRUPT), corrupt + 1, "a damaged record is counted");
    ok(record_is(store, &craft, 1, 10, "old"), "the one before counts");
    struct found found = fixture_inspect(store, 1, 1);
    ok(found.blocks == 1 && found.wrong == 0 && !store_has_block(store, craft.base + 20, 0),
       "with its own block alone");
    ok(record_is(store, &craft, 2, 30, "behind it"), "what lies behind it is found");
    fixture_close(store);
    craft_end(&craft);
}

static void test_foreign(void)
{
    struct craft craft = craft_new();
    craft_segment(&craft, 3, 1);
    for (uint64_t object = 1; object <= 6; object++)
        craft_record(&craft, object, object, BLOCK, object, "mine");
    struct entry other = craft_entry(&craft, ENTRY_BLOCK, 1, 1, BLOCK);
    other.store.hi ^= 1;
    craft_block(&craft, other, 0, 91);
    other = craft_entry(&craft, ENTRY_BLOCK, 2, 2, BLOCK);
    other.incarnation++;
    craft_block(&craft, other, 1, 92);
    other = craft_entry(&craft, ENTRY_BLOCK, 3, 3, BLOCK);
    other.length = BLOCK / 2 + 1; /* not what block 0 has */
    uint8_t *body = mem_calloc(1, BLOCK);
    craft_write(&craft, &other, 2, 0, ENTRY_PAGE, body);
    /* Numbers that were not given yet. */
    craft_record(&craft, 4, UINT64_C(1) << 60, BLOCK, 1, "of the future");
    craft_record(&craft, 5, 5, BLOCK, UINT64_C(1) << 60, "set in the future");
    craft_block(&craft, craft_entry(&craft, ENTRY_BLOCK, 6, UINT64_C(1) << 60, BLOCK), 5, 96);
    other = craft_entry(&craft, ENTRY_RECORD, 7, 0, BLOCK);
    other.generation = 0;
    craft_pack(&craft, other, "no number", 9);
    other = craft_entry(&craft, ENTRY_RECORD, 8, 8, BLOCK);
    other.incarnation++;
    craft_pack(&craft, other, "another incarnation's", 21);
    craft_segment(&craft, 6, UINT64_C(1) << 60);
    craft_record(&craft, 8, 8, BLOCK, 1, "in a segment of the future");
    if (pwrite(craft.fd, "damaged", 7, (off_t) 8 * STRIDE) != 7)
        abort();
    mem_free(body);
    int64_t corrupt = fixture_metric(METRIC_STORE_CORRUPT);
    struct store *store = fixture_open_loaded(craft.path, SIZE, BLOCK);
    is_int(fixture_inspect(store, 1, 6).blocks, 0,
           "blocks of another store, incarnation, length or time are not believed");
    for (uint64_t object = 1; object <= 6; object++)
        ok(record_is(store, &craft, object, object, "mine"), "object %d is ours", (int) object);
    is_int(fixture_inspect(store, 7, 8).objects, 0,
           "records without a number, of another incarnation, of the future neither");
    is_int(fixture_metric(METRIC_STORE_CORRUPT), corrupt + 1, "a header that is none is counted");
    fixture_close(store);
    craft_end(&craft);
}

/* A segment in a slot that was a segment before. */
static void test_earlier_life(void)
{
    struct craft craft = craft_new();
    uint8_t body[3000];
    craft_segment(&craft, 3, 1);
    struct entry stale = craft_entry(&craft, ENTRY_BLOCK, 1, 10, sizeof body);
    fixture_fill(body, sizeof body, 1, 0);
    for (unsigned i = 0; i < 5; i++)
        craft_pack(&craft, stale, body, sizeof body);
    craft_record(&craft, 1, 10, sizeof body, 11, "stale");
    craft_record(&craft, 2, 20, 100, 21, "stale");
    /* The same slot again: fewer entries, and a hole where one was not written. */
    craft_segment(&craft, 3, 5);
    craft_record(&craft, 3, 30, 100, 31, "own");
    craft.used = ENTRY_PAGE + 2 * entry_packed_size(sizeof body) + 640;
    struct entry block = craft_entry(&craft, ENTRY_BLOCK, 4, 40, sizeof body);
    fixture_fill(body, sizeof body, 4, 0);
    craft_pack(&craft, block, body, sizeof body);
    craft_record(&craft, 4, 40, sizeof body, 41, "behind a hole");
    /* From before entries said which life is theirs. */
    craft_segment(&craft, 4, 6);
    struct entry old = craft_entry(&craft, ENTRY_RECORD, 5, 50, 100);
    old.length = 3;
    craft_write(&craft, &old, 4, craft.used, ENTRY_HEADER_SIZE, "old");
    int64_t corrupt = fixture_metric(METRIC_STORE_CORRUPT);
    struct store *store = fixture_open_loaded(craft.path, SIZE, BLOCK);
    is_int(fixture_inspect(store, 1, 2).objects, 0, "what a slot held before is not the segment's");
    ok(record_is(store, &craft, 3, 30, "own"), "what it holds is");
    struct found found = fixture_inspect(store, 4, 4);
    ok(record_is(store, &craft, 4, 40, "behind a hole") && found.blocks == 1 && found.wrong == 0, "behind a hole too");
    ok(record_is(store, &craft, 5, 50, "old"), "entries that do not say are believed");
    is_int(fixture_metric(METRIC_STORE_CORRUPT), corrupt, "and none of it is damage");
    fixture_close(store);
    craft_end(&craft);
}

/* ---- While it goes on. ---- */

static void test_meanwhile(void)
{
    struct craft craft = craft_new();
    craft_segment(&craft, 70, 1);
    for (uint64_t object = 1; object <= 4; object++)
        craft_record(&craft, object, object * 10, 100, object * 10 + 1, "found");
    gate_set(64);
    struct store *store = fixture_open(craft.path, SIZE, BLOCK, NULL);
    ok(!store_loaded(store), "the store answers while it is read");
    ok(is_there(craft.path, "rebuild"), "and says that it is being read");
    struct store_generation *live = fixture_object(store, 1, 100, 7000);
    uint64_t id = live->id;
    store_generation_unref(&live);
    gate_open();
    fixture_tombstone(store, fixture_hash(2));
    fixture_flush(store);
    is_int((intmax_t) store_object_current(store, fixture_hash(1)), (intmax_t) id, "what was learned meanwhile counts");
    is_int(fixture_validated(store, 1), 7000, "and keeps its time");
    ok(fixture_validated(store, 2) == 0 && fixture_validated(store, 3) == 0,
       "the rest was found, and is not validated");
    fixture_close(store);
    store = fixture_open_loaded(craft.path, SIZE, BLOCK);
    is_int(fixture_validated(store, 1), 7000, "as the index says");
    is_int(fixture_validated(store, 4), 0, "of both");
    fixture_close(store);
    craft_end(&craft);
}

int main(void)
{
    fixture_start();
    test_generations();
    test_lost_record();
    test_foreign();
    test_earlier_life();
    test_meanwhile();
    fixture_stop();
    return done_testing();
}
