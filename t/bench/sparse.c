/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sparse.c: a store is opened once, so that it has a label and an index; then rows are put into the index and holes
 * beside it. Records are what a reply of Azure's leaves behind, or headpond would forget the blobs they belong to.
 */
#include "sparse.h"

#include "cache/object.h"
#include "store/disk.h"
#include "store/generation.h"
#include "store/index.h"
#include "store/inside.h"
#include "store/location.h"
#include "store/sizes.h"

#define MODIFIED "Thu, 01 Jan 2026 00:00:00 GMT"

static void die(const char *what)
{
    perror(what);
    exit(1);
}

uint64_t sparse_blobs(const struct sparse *sparse)
{
    return (sparse->blocks + sparse->per_blob - 1) / sparse->per_blob;
}

static uint64_t blocks_of(const struct sparse *sparse, uint64_t blob)
{
    uint64_t left = sparse->blocks - blob * sparse->per_blob;
    return left < sparse->per_blob ? left : sparse->per_blob;
}

uint64_t sparse_length(const struct sparse *sparse, uint64_t blob)
{
    return blocks_of(sparse, blob) * SPARSE_BLOCK;
}

uint64_t sparse_generation(const struct sparse *sparse, uint64_t blob)
{
    return sparse->opening << GENERATION_OPENING_SHIFT | (blob + 1);
}

uint64_t sparse_slot(const struct sparse *sparse, uint64_t block)
{
    return block + block * sparse->among / sparse->blocks;
}

struct store *sparse_open(const struct sparse *sparse)
{
    struct store *store = fixture_open(sparse->path, sparse->size, SPARSE_BLOCK, NULL);
    if (store == NULL)
        exit(1);
    return store;
}

/* ---- Records. ---- */

static void record_of(uint64_t length, struct strbuf *record)
{
    static const char *const fields[][2] = {{"ETag", "\"0x8DE48C0FFEE0000\""},
                                            {"Last-Modified", MODIFIED},
                                            {"Content-Type", "application/octet-stream"},
                                            {"Accept-Ranges", "bytes"},
                                            {"x-ms-creation-time", MODIFIED},
                                            {"x-ms-lease-status", "unlocked"},
                                            {"x-ms-lease-state", "available"},
                                            {"x-ms-blob-type", "BlockBlob"},
                                            {"x-ms-server-encrypted", "true"}};
    struct arena *arena = arena_new();
    struct http_response reply = {.status = 200, .content_length = (int64_t) length, .headers.arena = arena};
    struct object *object;
    for (unsigned i = 0; i < sizeof fields / sizeof *fields; i++)
        http_headers_add(&reply.headers, str_from(fields[i][0]), str_from(fields[i][1]));
    if (object_from_reply(&reply, false, 1, NULL, &object) != STATUS_OK || object_encode(object, record) != STATUS_OK)
        abort();
    object_free(object);
    arena_free(arena);
}

/* All records are of one size. */
static uint64_t records_a_slot(void)
{
    static uint64_t count;
    if (count == 0) {
        struct strbuf record = {0};
        record_of(SPARSE_BLOCK, &record);
        count = SPARSE_BLOCK / entry_packed_size((uint32_t) record.len);
        strbuf_free(&record);
    }
    return count;
}

/* Where a blob's record is said to be: in segments behind the blocks. A start does not look. */
static uint64_t record_place(const struct sparse *sparse, uint64_t blob, uint32_t size)
{
    uint64_t slot = sparse->blocks + sparse->among + blob / records_a_slot();
    uint64_t offset = ENTRY_PAGE + blob % records_a_slot() * entry_packed_size(size);
    return location_packed(0, sparse->label.incarnation, (uint32_t) slot, (uint32_t) offset) & LOCATION_STORED;
}

/* ---- Rows. ---- */

static void put_extent(const struct sparse *sparse, struct index *index, uint64_t blob, uint64_t first)
{
    struct index_extent extent = {.generation = sparse_generation(sparse, blob),
                                  .extent = (uint32_t) (first / STORE_EXTENT_BLOCKS),
                                  .object = fixture_hash(blob),
                                  .length = sparse_length(sparse, blob)};
    for (uint64_t i = first; i < first + STORE_EXTENT_BLOCKS && i < blocks_of(sparse, blob); i++) {
        uint64_t slot = sparse_slot(sparse, blob * sparse->per_blob + i);
        extent.location[i - first] = location_make(0, sparse->label.incarnation, slot) & LOCATION_STORED;
    }
    index_put_extent(index, &extent);
}

/* Returns how many there are. */
static uint64_t put_rows(const struct sparse *sparse, struct index *index, uint64_t blob)
{
    struct strbuf record = {0};
    uint64_t rows = 1;
    record_of(sparse_length(sparse, blob), &record);
    index_put_object(index, &(struct index_object){.object = fixture_hash(blob),
                                                   .group = fixture_hash(1),
                                                   .generation = sparse_generation(sparse, blob),
                                                   .length = sparse_length(sparse, blob),
                                                   .validated_s = 1,
                                                   .place = record_place(sparse, blob, (uint32_t) record.len),
                                                   .record = strbuf_str(&record)});
    strbuf_free(&record);
    for (uint64_t first = 0; first < blocks_of(sparse, blob); first += STORE_EXTENT_BLOCKS, rows++)
        put_extent(sparse, index, blob, first);
    return rows;
}

static void commit(struct index *index)
{
    if (index_commit(index) != STATUS_OK) {
        fprintf(stderr, "the index cannot be written\n");
        exit(1);
    }
}

static void make_index(const struct sparse *sparse)
{
    char path[4200];
    struct index *index;
    const char *why;
    snprintf(path, sizeof path, "%s/index", sparse->path);
    if (index_open(path, sparse->label.map_size, &index, &why) != STATUS_OK)
        die(why);
    index_begin(index);
    for (uint64_t blob = 0, rows = 0; blob < sparse_blobs(sparse); blob++) {
        rows += put_rows(sparse, index, blob);
        if (rows < INDEX_TXN_KEYS)
            continue;
        commit(index);
        index_begin(index);
        rows = 0;
    }
    commit(index);
    index_close(index);
}

/* ---- Files. ---- */

static void make_files(const struct sparse *sparse)
{
    for (uint64_t file = 0; file * SLOT_PER_FILE < sparse->slots; file++) {
        char name[SLOT_FILE_NAME], path[4200];
        slot_file_name(name, (uint32_t) file);
        snprintf(path, sizeof path, "%s/%s", sparse->path, name);
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0 || ftruncate(fd, SLOT_PER_FILE * SPARSE_STRIDE) != 0)
            die(path);
        close(fd);
    }
}

/* The rest of a size is the index's, which gets its part of what there is. */
static int64_t size_of(uint64_t slots)
{
    int64_t size = (int64_t) slots * SPARSE_STRIDE;
    while (sizes_slots(size, sizes_index(size), SPARSE_BLOCK) < (int64_t) slots)
        size += size / 1024 + MIB;
    return size;
}

void sparse_make(struct sparse *sparse)
{
    uint64_t record_slots = sparse_blobs(sparse) / records_a_slot() + 1;
    sparse->slots = sparse->blocks + sparse->among + record_slots + sparse->behind;
    sparse->size = size_of(sparse->slots);
    struct store *store = sparse_open(sparse);
    sparse->label = store->disks[0]->label;
    sparse->opening = store->first_id >> GENERATION_OPENING_SHIFT;
    fixture_close(store);
    make_files(sparse);
    make_index(sparse);
}
