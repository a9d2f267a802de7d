/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_store_blocks.c: blocks through the store's face: put, seen, peeked and loaded byte for byte; evicted without
 * ever growing past the size; packed when short; there again after a restart; a store without disks.
 */
#include <sys/mman.h>

#include "store/entry.h"
#include "store/segment.h"
#include "store_fixture.h"
#include "tap.h"

#define BLOCK (256 * KIB)
#define SIZE (64 * MIB)

static void settle(void)
{
    rcu_quiescent_state();
}

/* OK with the right bytes, whatever pieces it takes. */
static bool peek_all(struct store *store, const struct store_generation *generation, uint64_t object, uint64_t block,
                     bool plain)
{
    uint32_t length = fixture_length(store, generation, block), at = 0;
    while (at < length) {
        struct iovec piece;
        if (store_peek_block(store, generation->id, block, at, length - at, plain, &piece) != STATUS_OK ||
            piece.iov_len == 0 || piece.iov_len > length - at ||
            !fixture_right(piece.iov_base, (uint32_t) piece.iov_len, object, block, at))
            return false;
        at += (uint32_t) piece.iov_len;
    }
    return true;
}

/* Right, whether from memory or, when the kernel has dropped a page or eviction is at it, by a load. */
static bool read_right(struct store *store, const struct store_generation *generation, uint64_t object, uint64_t block)
{
    bool right;
    return peek_all(store, generation, object, block, false) ||
           (fixture_load(store, generation, object, block, &right) == STATUS_OK && right);
}

static void test_one(struct store *store)
{
    struct store_generation *generation = fixture_object(store, 1, 3 * BLOCK + 1000, 5000);
    struct store_view view;
    struct iovec piece;
    bool right;
    ok(store_object_find(store, fixture_hash(1), &view) && view.generation == generation, "the object is found");
    ok(view.validated_s == 5000 && view.stamp == 7, "with its time and stamp");
    store_generation_unref(&view.generation);
    ok(!store_object_find(store, fixture_hash(2), &view) && view.generation == NULL, "another is not");
    ok(!store_has_block(store, generation->id, 0), "no block yet");
    is_int(store_peek_block(store, generation->id, 0, 0, 10, false, &piece), STATUS_NOT_FOUND, "nothing to peek at");
    is_int(fixture_load(store, generation, 1, 0, &right), STATUS_NOT_FOUND, "nothing to load");
    int64_t bytes = fixture_metric(METRIC_STORE_BYTES);
    for (uint64_t block = 0; block < 4; block++)
        fixture_put(store, generation, 1, block);
    ok(store_has_block(store, generation->id, 0) && store_has_block(store, generation->id, 3), "blocks are there");
    ok(!store_has_block(store, generation->id, 4), "and no other");
    is_int(fixture_metric(METRIC_STORE_BYTES) - bytes, 3 * BLOCK + 1000, "they are counted");
    for (uint64_t block = 0; block < 4; block++) {
        ok(peek_all(store, generation, 1, block, false), "block %d peeks right", (int) block);
        ok(peek_all(store, generation, 1, block, true), "block %d peeks right when plain", (int) block);
        ok(fixture_load(store, generation, 1, block, &right) == STATUS_OK && right, "block %d loads right",
           (int) block);
    }
    is_int(store_peek_block(store, generation->id, 3, 990, 100, false, &piece), STATUS_OK, "the tail's end");
    ok(piece.iov_len == 10 && fixture_right(piece.iov_base, 10, 1, 3, 990), "shows no byte past it");
    is_int(store_peek_block(store, generation->id, 1, 4097, 5, false, &piece), STATUS_OK, "an odd offset");
    ok(piece.iov_len == 5 && fixture_right(piece.iov_base, 5, 1, 1, 4097), "shows the right bytes");
    fixture_put(store, generation, 1, 0);
    is_int(fixture_metric(METRIC_STORE_BYTES) - bytes, 3 * BLOCK + 1000, "putting again changes nothing");
    store_generation_unref(&generation);
    settle();
}

static void test_empty_blob(struct store *store)
{
    struct store_generation *generation = fixture_object(store, 3, 0, 1);
    struct buf *buf = buf_new(1);
    struct store_view view;
    struct arrival arrival;
    arrival_init(&arrival);
    is_int(store_put_block(store, generation, 0, buf, 0, fixture_loop, &arrival.letter), STATUS_OK,
           "a block of no bytes is taken");
    arrival_wait(&arrival, 1);
    ok(!store_has_block(store, generation->id, 0), "and is nothing to store");
    ok(store_object_find(store, fixture_hash(3), &view) && view.generation->length == 0, "its object is known");
    store_generation_unref(&view.generation);
    buf_unref(&buf);
    store_generation_unref(&generation);
}

static void test_replaced(struct store *store)
{
    struct store_generation *old = fixture_object(store, 4, BLOCK, 1);
    fixture_put(store, old, 4, 0);
    struct store_generation *again =
        store_generation_new(store, fixture_hash(4), fixture_hash(9), old->id, BLOCK, STR("other record"), NULL);
    store_object_set(store, again, 2, 8);
    uint64_t id = old->id;
    store_generation_unref(&old);
    fixture_flush(store);
    fixture_flush(store);
    ok(store_has_block(store, id, 0), "another record for the same generation keeps its blocks");
    struct store_view view;
    ok(store_object_find(store, fixture_hash(4), &view) && str_eq(view.generation->record, STR("other record")) &&
           view.validated_s == 2,
       "and replaces record and time");
    store_generation_unref(&view.generation);
    struct store_generation *next = fixture_object(store, 4, BLOCK, 3);
    ok(next->id > id, "a new generation has a higher number");
    ok(store_has_block(store, id, 0), "the old one's blocks stay while somebody holds it");
    store_generation_unref(&again);
    for (unsigned i = 0; i < 1000 && store_has_block(store, id, 0); i++)
        fixture_flush(store);
    ok(!store_has_block(store, id, 0), "and go when nobody does");
    store_generation_unref(&next);
}

static void test_eviction(struct store *store, const char *path)
{
    enum { BLOCKS = 1000 };
    struct store_generation *generation = fixture_object(store, 5, (uint64_t) BLOCKS * BLOCK, 1);
    struct iovec piece;
    int64_t worst = 0, evicted = fixture_metric(METRIC_STORE_EVICTIONS);
    unsigned wrong = 0, kept = 0;
    for (uint64_t block = 0; block < BLOCKS; block++) {
        fixture_put(store, generation, 5, block);
        /* The first block is in use all the time. */
        if (store_has_block(store, generation->id, 0))
            (void) !store_peek_block(store, generation->id, 0, 0, 100, false, &piece);
        if (block % 20 == 0) {
            int64_t usage = fixture_usage(path);
            worst = usage > worst ? usage : worst;
        }
        settle();
    }
    ok(worst <= SIZE, "the file system holds at most %lld of %d bytes", (long long) worst, SIZE);
    ok(worst > SIZE / 2, "and makes use of them");
    ok(fixture_metric(METRIC_STORE_EVICTIONS) - evicted >= BLOCKS - SIZE / BLOCK, "blocks were evicted: %lld",
       (long long) (fixture_metric(METRIC_STORE_EVICTIONS) - evicted));
    for (uint64_t block = 0; block < BLOCKS; block++) {
        if (!store_has_block(store, generation->id, block))
            continue;
        kept++;
        wrong += !read_right(store, generation, 5, block);
        settle();
    }
    ok(kept > SIZE / BLOCK / 2 && wrong == 0, "%u blocks are kept, %u wrong", kept, wrong);
    ok(store_has_block(store, generation->id, 0), "the one in use is among them");
    store_generation_unref(&generation);
}

/* One letter a put: a letter is on one way at a time. */
struct many {
    struct letter letter;
    struct arrival *arrival;
};

static void many_deliver(struct letter *letter)
{
    struct many *many = (struct many *) (void *) letter;
    many->arrival->letter.deliver(&many->arrival->letter);
}

static void test_packed(const char *path)
{
    enum { BLOBS = 10000, LENGTH = KIB };
    struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
    struct arrival arrival;
    unsigned wrong = 0;
    arrival_init(&arrival);
    struct store_generation **generations = mem_calloc(BLOBS, sizeof *generations);
    struct many *many = mem_calloc(BLOBS, sizeof *many);
    for (unsigned i = 0; i < BLOBS; i++) {
        many[i] = (struct many){{.deliver = many_deliver}, &arrival};
        generations[i] = fixture_object(store, 100000 + i, LENGTH, 1);
        struct buf *buf = buf_new(LENGTH);
        fixture_fill(buf->data, LENGTH, 100000 + i, 0);
        buf_publish(buf, LENGTH);
        while (store_put_block(store, generations[i], 0, buf, LENGTH, fixture_loop, &many[i].letter) != STATUS_OK) {
            rcu_thread_offline();
            sched_yield();
            rcu_thread_online();
        }
        buf_unref(&buf);
        settle();
    }
    arrival_wait(&arrival, BLOBS);
    mem_free(many);
    fixture_flush(store);
    for (unsigned i = 0; i < BLOBS; i++) {
        wrong += !read_right(store, generations[i], 100000 + i, 0);
        settle();
    }
    is_int(wrong, 0, "10,000 small blobs read right");
    int64_t used = fixture_metric(METRIC_STORE_BYTES);
    is_int(used, BLOBS * LENGTH, "they count as their bytes");
    fixture_close(store);
    store = fixture_open_loaded(path, SIZE, BLOCK);
    unsigned missing = 0, bad = 0;
    for (unsigned i = 0; i < BLOBS; i++) {
        bool right = false;
        if (!store_has_block(store, generations[i]->id, 0))
            missing++;
        else if (i % 10 == 0)
            bad += fixture_load(store, generations[i], 100000 + i, 0, &right) != STATUS_OK || !right;
        settle();
    }
    is_int(missing, 0, "all are there after a restart");
    is_int(bad, 0, "and load right");
    /* 64 MiB hold some 180 slots of 256 KiB: had each blob taken one, they would not be there. */
    for (unsigned i = 0; i < BLOBS; i++)
        store_generation_unref(&generations[i]);
    mem_free(generations);
    fixture_close(store);
}

/* Short blocks far beyond the size: segments are emptied, what was used lately is copied, nothing is ever wrong. */
static void test_segments(const char *path)
{
    enum { BLOBS = 4000, LENGTH = 40 * KIB };
    struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
    unsigned wrong = 0, kept = 0;
    int64_t corrupt = fixture_metric(METRIC_STORE_CORRUPT);
    struct store_generation *hot = fixture_object(store, 200000, LENGTH, 1);
    struct store_generation **generations = mem_calloc(BLOBS, sizeof *generations);
    fixture_put(store, hot, 200000, 0);
    for (unsigned i = 0; i < BLOBS; i++) {
        generations[i] = fixture_object(store, 200001 + i, LENGTH, 1);
        fixture_put(store, generations[i], 200001 + i, 0);
        if (store_has_block(store, hot->id, 0))
            wrong += !read_right(store, hot, 200000, 0);
        settle();
    }
    ok(fixture_usage(path) <= SIZE, "packed blocks stay within the size as well");
    for (unsigned i = 0; i < BLOBS; i++) {
        if (store_has_block(store, generations[i]->id, 0)) {
            kept++;
            wrong += !read_right(store, generations[i], 200001 + i, 0);
        }
        store_generation_unref(&generations[i]);
        settle();
    }
    ok(kept > BLOBS / 10 && kept < BLOBS / 2 && wrong == 0, "%u short blocks are kept, %u wrong", kept, wrong);
    ok(store_has_block(store, hot->id, 0), "the one in use was copied along");
    is_int(fixture_metric(METRIC_STORE_CORRUPT) - corrupt, 0, "what lies between entries is not taken for one");
    store_generation_unref(&hot);
    mem_free(generations);
    fixture_close(store);
}

static void test_restart(const char *path)
{
    struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
    struct store_generation *generation = fixture_object(store, 6, 20 * BLOCK + 77, 1234);
    struct store_view view;
    struct iovec piece;
    bool right;
    for (uint64_t block = 0; block <= 20; block++)
        fixture_put(store, generation, 6, block);
    uint64_t id = generation->id;
    store_generation_unref(&generation);
    fixture_close(store);
    store = fixture_open_loaded(path, SIZE, BLOCK);
    ok(store_loaded(store), "after a flush everything is loaded");
    ok(store_object_find(store, fixture_hash(6), &view), "the object is known after a restart");
    is_int(view.validated_s, 1234, "with the time it was validated");
    is_int(view.stamp, 0, "without its stamp");
    is_int(view.generation->id, id, "and its generation");
    ok(view.generation->length == 20 * BLOCK + 77 && str_eq(view.generation->record, STR("record of 6")),
       "and its record");
    is_int(store_peek_block(store, id, 0, 0, 100, false, &piece), STATUS_AGAIN,
           "its blocks are not believed unchecked");
    unsigned wrong = 0;
    for (uint64_t block = 0; block <= 20; block++)
        wrong += fixture_load(store, view.generation, 6, block, &right) != STATUS_OK || !right ||
                 !peek_all(store, view.generation, 6, block, false);
    is_int(wrong, 0, "they load right, and peek right from then on");
    struct store_generation *next = store_generation_new(store, fixture_hash(7), fixture_hash(9), 0, 1, STR(""), NULL);
    ok(next->id > id, "numbers rise over a restart");
    store_generation_unref(&next);
    store_generation_unref(&view.generation);
    fixture_close(store);
}

/* ---- Records as entries. ---- */

struct records {
    unsigned first, count;
    bool seen[100];
};

static void record_seen(void *arg, const struct entry *entry, uint32_t offset, const uint8_t *body)
{
    struct records *records = arg;
    (void) offset;
    for (unsigned i = 0; entry->kind == ENTRY_RECORD && i < records->count; i++) {
        char text[64];
        int size = snprintf(text, sizeof text, "record of %u", records->first + i);
        if (hash128_eq(entry->object, fixture_hash(records->first + i)) && entry->length == (uint32_t) size &&
            entry_checksum(body, entry->length) == entry->checksum && memcmp(body, text, (size_t) size) == 0)
            records->seen[i] = true;
    }
}

/* What a rebuild would find: every known object's record, however often its segment was emptied. */
static void test_records(const char *path)
{
    enum { BLOBS = 3000, LENGTH = 40 * KIB, STRIDE = BLOCK + ENTRY_PAGE };
    struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
    struct records records = {.first = 300000, .count = 100};
    for (unsigned i = 0; i < records.count; i++) {
        struct store_generation *generation = fixture_object(store, records.first + i, 10, 1);
        store_generation_unref(&generation);
    }
    fixture_flush(store);
    for (unsigned i = 0; i < BLOBS; i++) {
        struct store_generation *generation = fixture_object(store, 310000 + i, LENGTH, 1);
        fixture_put(store, generation, 310000 + i, 0);
        store_generation_unref(&generation);
        settle();
    }
    fixture_flush(store);
    fixture_flush(store);
    fixture_close(store);
    char name[4200];
    snprintf(name, sizeof name, "%s/data-000000", path);
    int fd = open(name, O_RDONLY);
    uint8_t *slot = mem_alloc(STRIDE);
    for (off_t at = 0; pread(fd, slot, STRIDE, at) == STRIDE; at += STRIDE) {
        struct entry first;
        if (entry_decode(slot, &first) == STATUS_OK && first.kind == ENTRY_SEGMENT)
            segment_walk(slot, STRIDE, record_seen, &records);
    }
    close(fd);
    mem_free(slot);
    unsigned there = 0;
    for (unsigned i = 0; i < records.count; i++)
        there += records.seen[i];
    is_int(there, records.count, "every object's record lies on the disk as an entry");
    store = fixture_open_loaded(path, SIZE, BLOCK);
    struct store_view view;
    ok(store_object_find(store, fixture_hash(records.first), &view) && view.validated_s == 1, "and in the index");
    store_generation_unref(&view.generation);
    fixture_close(store);
}

/* ---- Two stores in one process. ---- */

static atomic_int decoded_freed[2];

static void free_first(void *decoded)
{
    (void) decoded;
    atomic_fetch_add(&decoded_freed[0], 1);
}

static void free_second(void *decoded)
{
    (void) decoded;
    atomic_fetch_add(&decoded_freed[1], 1);
}

/* What one's generations leave behind is not the other's, and each frees what it decoded, after its end as well. */
static void test_two(const char *path)
{
    static const struct store_record_codec codecs[2] = {{.free = free_first}, {.free = free_second}};
    struct store *stores[2];
    struct store_generation *generations[2], *next[2];
    struct strbuf error = {0};
    for (unsigned i = 0; i < 2; i++) {
        char below[4200];
        snprintf(below, sizeof below, "%s/%u", path, i);
        const struct store_disk disk = {.path = below, .size = SIZE};
        rcu_thread_offline();
        if (store_open(
                &(struct store_options){.disks = &disk, .disk_count = 1, .block_size = BLOCK, .codec = &codecs[i]},
                &stores[i], &error) != STATUS_OK)
            abort();
        rcu_thread_online();
        fixture_flush(stores[i]);
        generations[i] =
            store_generation_new(stores[i], fixture_hash(i), fixture_hash(9), 0, BLOCK, STR("a"), &decoded_freed[i]);
        store_object_set(stores[i], generations[i], 1, 1);
        fixture_put(stores[i], generations[i], i, 0);
    }
    /* The first store's generation dies; the other's index thread comes by before its own. */
    uint64_t id = generations[0]->id;
    next[0] = store_generation_new(stores[0], fixture_hash(0), fixture_hash(9), 0, BLOCK, STR("b"), &decoded_freed[0]);
    store_object_set(stores[0], next[0], 2, 1);
    store_generation_unref(&generations[0]);
    fixture_flush(stores[1]);
    fixture_flush(stores[1]);
    for (unsigned i = 0; i < 1000 && store_has_block(stores[0], id, 0); i++)
        fixture_flush(stores[0]);
    ok(!store_has_block(stores[0], id, 0), "a store drops the blocks of its own dead generation");
    ok(store_has_block(stores[1], generations[1]->id, 0), "and not those of another");
    store_generation_unref(&next[0]);
    fixture_close(stores[0]);
    fixture_close(stores[1]);
    rcu_thread_offline();
    rcu_barrier();
    rcu_thread_online();
    is_int(atomic_load(&decoded_freed[0]), 2, "what it decoded is freed by its own codec");
    is_int(atomic_load(&decoded_freed[1]), 0, "what is held lives on after the end of its store");
    store_generation_unref(&generations[1]);
    is_int(atomic_load(&decoded_freed[1]), 1, "and is freed then");
    strbuf_free(&error);
}

static void test_no_disks(void)
{
    struct store *store = fixture_open(NULL, 0, BLOCK, NULL);
    struct arrival arrival;
    struct store_view view;
    arrival_init(&arrival);
    ok(store != NULL, "a store without disks opens");
    struct store_generation *generation = fixture_object(store, 8, BLOCK, 99);
    ok(store_object_find(store, fixture_hash(8), &view) && view.validated_s == 99, "it knows objects");
    store_generation_unref(&view.generation);
    struct buf *buf = buf_new(BLOCK);
    buf_publish(buf, BLOCK);
    is_int(store_put_block(store, generation, 0, buf, BLOCK, fixture_loop, &arrival.letter), STATUS_BUSY,
           "and takes no block");
    buf_unref(&buf);
    store_tombstone(store, fixture_hash(8), fixture_loop, &arrival.letter);
    arrival_wait(&arrival, 1);
    ok(store_object_find(store, fixture_hash(8), &view) && view.validated_s == 0, "a tombstone works");
    store_generation_unref(&view.generation);
    static const struct {
        struct hash128 name;
        bool covers;
        const char *what;
    } names[] = {{{9, 10}, true, "a group's as well"},
                 {{0, 10}, true, "and its family's"},
                 {{8, 10}, false, "not another group's of the family"},
                 {{9, 11}, false, "nor one of the same name elsewhere"},
                 {{0, 11}, false, "nor another family's"}};
    struct store_generation *grouped =
        store_generation_new(store, fixture_hash(8), (struct hash128){9, 10}, 0, BLOCK, STR(""), NULL);
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        store_object_set(store, grouped, 100, 1);
        store_intent_begin(store, fixture_loop, &arrival.letter);
        arrival_wait(&arrival, 1);
        store_tombstone_group(store, names[i].name, fixture_loop, &arrival.letter);
        arrival_wait(&arrival, 1);
        ok(store_object_find(store, fixture_hash(8), &view) && (view.validated_s == 0) == names[i].covers, "%s",
           names[i].what);
        store_generation_unref(&view.generation);
    }
    fixture_flush(store); /* is answered */
    store_generation_unref(&grouped);
    store_generation_unref(&generation);
    fixture_close(store);
}

int main(void)
{
    fixture_start();
    char *path = fixture_directory();
    struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
    test_one(store);
    test_empty_blob(store);
    test_replaced(store);
    test_eviction(store, path);
    fixture_close(store);
    fixture_remove(path);
    path = fixture_directory();
    test_restart(path);
    fixture_remove(path);
    path = fixture_directory();
    test_packed(path);
    fixture_remove(path);
    path = fixture_directory();
    test_segments(path);
    fixture_remove(path);
    path = fixture_directory();
    test_records(path);
    fixture_remove(path);
    path = fixture_directory();
    test_two(path);
    fixture_remove(path);
    test_no_disks();
    fixture_stop();
    return done_testing();
}
