/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_scale.c: what a start and a look-up cost as the store grows.
 *
 *   store_scale DIRECTORY BLOCKS [BLOCKS-PER-BLOB]
 *
 * Makes a store of sparse data files whose index knows so many blocks of 1 MiB, of which one in a thousand is really
 * there, then opens it and prints a row of contrib/store-scale's table: blocks, time until store_open returned, until a
 * block at random was read and was right (first, median and last of 20), until all was loaded, the CPU time that took,
 * resident bytes per block, nanoseconds per look-up. The directory is left to whoever gave it. More blobs than `memory`
 * has room for (objects.c) are forgotten while they are read: with few blocks a blob, 100,000 of them are a lot.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/entry.h"
#include "store/index.h"
#include "store/inside.h"
#include "store/disk.h"
#include "store/generation.h"
#include "../unit/store_fixture.h"

#define BLOCK MIB
#define STRIDE ((off_t) BLOCK + ENTRY_PAGE)
#define REAL_EVERY 1000
#define RECORD 300
#define RECORDS_A_SLOT (BLOCK / entry_packed_size(RECORD))
/* Slots that are never used. */
#define SPARE 2048
#define FIRST_HITS 20
#define LOOKUPS 2000000

struct scale {
    const char *path;
    uint64_t blocks;
    uint64_t per_blob;
    uint64_t blobs;
    uint64_t slots; /* of blocks and, behind them, of records */
    int64_t size;
    uint64_t opening;
    struct label label;
    size_t map_size;
};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int64_t resident(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%*d %ld", &pages) != 1)
        die("statm");
    fclose(file);
    return pages * getpagesize();
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

/* Of all threads. */
static double cpu_seconds(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double) used.tv_sec + (double) used.tv_nsec / 1e9;
}

static uint64_t generation_of(const struct scale *scale, uint64_t blob)
{
    return scale->opening << GENERATION_OPENING_SHIFT | (blob + 1);
}

static struct store *open_store(const struct scale *scale)
{
    struct store *store = fixture_open(scale->path, scale->size, BLOCK, NULL);
    if (store == NULL)
        exit(1);
    return store;
}

/* ---- Making it. ---- */

/* Block 0 of the blob, as transfer.c writes it. */
static void make_block(const struct scale *scale, uint64_t blob, uint64_t slot)
{
    static uint8_t page[ENTRY_PAGE], body[BLOCK];
    char name[4200];
    struct entry entry = {.kind = ENTRY_BLOCK,
                          .store = scale->label.id,
                          .incarnation = scale->label.incarnation,
                          .object = fixture_hash(blob),
                          .generation = generation_of(scale, blob),
                          .total = scale->per_blob * BLOCK,
                          .length = BLOCK};
    fixture_fill(body, BLOCK, blob, 0);
    entry.checksum = entry_checksum(body, BLOCK);
    entry_encode(&entry, page);
    snprintf(name, sizeof name, "%s/" SLOT_FILE_PREFIX "%06x", scale->path, (unsigned) (slot / SLOT_PER_FILE));
    int fd = open(name, O_WRONLY);
    off_t at = (off_t) (slot % SLOT_PER_FILE) * STRIDE;
    if (fd < 0 || pwrite(fd, page, sizeof page, at) != (ssize_t) sizeof page ||
        pwrite(fd, body, sizeof body, at + ENTRY_PAGE) != (ssize_t) sizeof body)
        die(name);
    close(fd);
}

static void make_files(const struct scale *scale)
{
    for (uint64_t file = 0; file * SLOT_PER_FILE < scale->slots; file++) {
        char name[4200];
        snprintf(name, sizeof name, "%s/" SLOT_FILE_PREFIX "%06x", scale->path, (unsigned) file);
        int fd = open(name, O_RDWR | O_CREAT, 0600);
        if (fd < 0 || ftruncate(fd, (off_t) SLOT_PER_FILE * STRIDE) != 0)
            die(name);
        close(fd);
    }
}

static void commit(struct index *index)
{
    if (index_commit(index) != STATUS_OK) {
        fprintf(stderr, "the index cannot be written\n");
        exit(1);
    }
}

/* Where its record is said to be: in segments behind the blocks. A start does not look. */
static uint64_t record_place(const struct scale *scale, uint64_t blob)
{
    uint64_t slot = scale->blocks + blob / RECORDS_A_SLOT;
    uint64_t offset = ENTRY_PAGE + blob % RECORDS_A_SLOT * entry_packed_size(RECORD);
    return location_packed(0, scale->label.incarnation, (uint32_t) slot, (uint32_t) offset) & LOCATION_STORED;
}

static void put_rows(const struct scale *scale, struct index *index, uint64_t blob)
{
    char record[RECORD] = "a record of a common size";
    index_put_object(index, &(struct index_object){.object = fixture_hash(blob),
                                                   .group = fixture_hash(1),
                                                   .generation = generation_of(scale, blob),
                                                   .length = scale->per_blob * BLOCK,
                                                   .validated_s = 1,
                                                   .place = record_place(scale, blob),
                                                   .record = {record, sizeof record}});
    for (uint64_t first = 0; first < scale->per_blob; first += STORE_EXTENT_BLOCKS) {
        struct index_extent extent = {.generation = generation_of(scale, blob),
                                      .extent = (uint32_t) (first / STORE_EXTENT_BLOCKS),
                                      .object = fixture_hash(blob),
                                      .length = scale->per_blob * BLOCK};
        for (uint64_t i = first; i < first + STORE_EXTENT_BLOCKS && i < scale->per_blob; i++)
            extent.location[i - first] =
                location_make(0, scale->label.incarnation, blob * scale->per_blob + i) & LOCATION_STORED;
        index_put_extent(index, &extent);
    }
}

static void make(struct scale *scale)
{
    struct store *store = open_store(scale);
    scale->label = store->disks[0]->label;
    scale->opening = store->first_id >> GENERATION_OPENING_SHIFT;
    scale->map_size = scale->label.map_size;
    fixture_close(store);
    make_files(scale);
    char path[4200];
    struct index *index;
    const char *why;
    snprintf(path, sizeof path, "%s/index", scale->path);
    if (index_open(path, scale->map_size, &index, &why) != STATUS_OK)
        die(why);
    index_begin(index);
    for (uint64_t blob = 0, keys = 0; blob < scale->blobs; blob++) {
        put_rows(scale, index, blob);
        keys += 1 + scale->per_blob / STORE_EXTENT_BLOCKS;
        if (keys >= INDEX_TXN_KEYS) {
            commit(index);
            index_begin(index);
            keys = 0;
        }
        if (blob % (REAL_EVERY / scale->per_blob + 1) == 0)
            make_block(scale, blob, blob * scale->per_blob);
    }
    commit(index);
    index_close(index);
}

/* ---- Measuring. ---- */

static bool hit(const struct scale *scale, struct store *store, uint64_t blob)
{
    struct store_view view;
    bool right = false;
    if (!store_object_find(store, fixture_hash(blob), &view))
        return false;
    if (view.generation->id == generation_of(scale, blob) && store_has_block(store, view.generation->id, 0))
        right = fixture_load(store, view.generation, blob, 0, &right) == STATUS_OK && right;
    store_generation_unref(&view.generation);
    return right;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *) a, y = *(const double *) b;
    return x < y ? -1 : x > y;
}

static double lookup_ns(const struct scale *scale, struct store *store)
{
    uint64_t found = 0, state = 88172645463325252;
    double start = seconds();
    for (unsigned i = 0; i < LOOKUPS; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        uint64_t block = state % scale->blocks;
        found += store_has_block(store, generation_of(scale, block / scale->per_blob), block % scale->per_blob);
        if (i % 1024 == 0)
            rcu_quiescent_state();
    }
    double took = seconds() - start;
    if (found < LOOKUPS / 10 * 9)
        fprintf(stderr, "only %llu of %u were found\n", (unsigned long long) found, LOOKUPS);
    return took / LOOKUPS * 1e9;
}

/* When each of some blocks at random was first read, in order of time. */
static void first_hits(const struct scale *scale, struct store *store, double start, double hits[FIRST_HITS])
{
    uint64_t step = REAL_EVERY / scale->per_blob + 1, reals = (scale->blobs + step - 1) / step;
    memset(hits, 0, FIRST_HITS * sizeof *hits);
    for (unsigned left = FIRST_HITS; left > 0;) {
        for (unsigned i = 0; i < FIRST_HITS; i++) {
            if (hits[i] > 0 || !hit(scale, store, hash_mix(i, 7) % reals * step))
                continue;
            hits[i] = seconds() - start;
            left--;
        }
        rcu_thread_offline();
        usleep(1000);
        rcu_thread_online();
        if (seconds() - start > 600)
            die("no hit");
    }
    qsort(hits, FIRST_HITS, sizeof *hits, by_size);
}

static void measure(const struct scale *scale)
{
    double hits[FIRST_HITS], opened, loaded, start, cpu = cpu_seconds();
    int64_t before = resident();
    start = seconds();
    struct store *store = open_store(scale);
    opened = seconds() - start;
    first_hits(scale, store, start, hits);
    fixture_flush(store);
    loaded = seconds() - start;
    cpu = cpu_seconds() - cpu;
    double bytes = (double) (resident() - before) / (double) scale->blocks, ns = lookup_ns(scale, store);
    printf("| %llu | %.3f | %.3f | %.3f | %.3f | %.3f | %.2f | %.1f | %.0f |\n", (unsigned long long) scale->blocks,
           opened, hits[0], hits[FIRST_HITS / 2], hits[FIRST_HITS - 1], loaded, cpu, bytes, ns);
    fixture_close(store);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: store_scale DIRECTORY BLOCKS [BLOCKS-PER-BLOB]\n");
        return 2;
    }
    struct scale scale = {.path = argv[1], .blocks = strtoull(argv[2], NULL, 10), .per_blob = 256};
    if (argc > 3)
        scale.per_blob = strtoull(argv[3], NULL, 10);
    scale.blobs = scale.blocks / scale.per_blob;
    scale.blocks = scale.blobs * scale.per_blob;
    scale.slots = scale.blocks + scale.blobs / RECORDS_A_SLOT + 1;
    scale.size = (int64_t) (scale.slots + SPARE) * STRIDE / 30 * 32;
    struct rlimit files = {65536, 65536};
    (void) setrlimit(RLIMIT_NOFILE, &files);
    fixture_start();
    make(&scale);
    measure(&scale);
    fixture_stop();
    return 0;
}
