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

#include "sparse.h"

#include "base/hash.h"
#include "store/slot.h"

#define REAL_EVERY 1000
/* Slots that are never used. */
#define SPARE 2048
#define FIRST_HITS 20
#define LOOKUPS 2000000

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

/* ---- Making it. ---- */

/* Block 0 of the blob, as transfer.c writes it. */
static void make_block(const struct sparse *sparse, uint64_t blob)
{
    static uint8_t page[ENTRY_PAGE], body[SPARSE_BLOCK];
    char name[SLOT_FILE_NAME], path[4200];
    uint64_t slot = sparse_slot(sparse, blob * sparse->per_blob);
    struct entry entry = {.kind = ENTRY_BLOCK,
                          .store = sparse->label.id,
                          .incarnation = sparse->label.incarnation,
                          .object = fixture_hash(blob),
                          .generation = sparse_generation(sparse, blob),
                          .total = sparse_length(sparse, blob),
                          .length = SPARSE_BLOCK};
    fixture_fill(body, SPARSE_BLOCK, blob, 0);
    entry.checksum = entry_checksum(body, SPARSE_BLOCK);
    entry_encode(&entry, page);
    slot_file_name(name, (uint32_t) (slot / SLOT_PER_FILE));
    snprintf(path, sizeof path, "%s/%s", sparse->path, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    off_t at = (off_t) (slot % SLOT_PER_FILE) * SPARSE_STRIDE;
    if (fd < 0 || pwrite(fd, page, sizeof page, at) != (ssize_t) sizeof page ||
        pwrite(fd, body, sizeof body, at + ENTRY_PAGE) != (ssize_t) sizeof body)
        die(path);
    close(fd);
}

/* Every so many blobs have a block that is really there. */
static uint64_t real_step(const struct sparse *sparse)
{
    return REAL_EVERY / sparse->per_blob + 1;
}

static void make(struct sparse *sparse)
{
    sparse_make(sparse);
    for (uint64_t blob = 0; blob < sparse_blobs(sparse); blob += real_step(sparse))
        make_block(sparse, blob);
}

/* ---- Measuring. ---- */

static bool hit(const struct sparse *sparse, struct store *store, uint64_t blob)
{
    struct store_view view;
    bool right = false;
    if (!store_object_find(store, fixture_hash(blob), &view))
        return false;
    if (view.generation->id == sparse_generation(sparse, blob) && store_has_block(store, view.generation->id, 0))
        right = fixture_load(store, view.generation, blob, 0, &right) == STATUS_OK && right;
    store_generation_unref(&view.generation);
    return right;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *) a, y = *(const double *) b;
    return x < y ? -1 : x > y;
}

static double lookup_ns(const struct sparse *sparse, struct store *store)
{
    uint64_t found = 0, state = 88172645463325252;
    double start = seconds();
    for (unsigned i = 0; i < LOOKUPS; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        uint64_t block = state % sparse->blocks;
        found += store_has_block(store, sparse_generation(sparse, block / sparse->per_blob), block % sparse->per_blob);
        if (i % 1024 == 0)
            rcu_quiescent_state();
    }
    double took = seconds() - start;
    if (found < LOOKUPS / 10 * 9)
        fprintf(stderr, "only %llu of %u were found\n", (unsigned long long) found, LOOKUPS);
    return took / LOOKUPS * 1e9;
}

/* When each of some blocks at random was first read, in order of time. */
static void first_hits(const struct sparse *sparse, struct store *store, double start, double hits[FIRST_HITS])
{
    uint64_t step = real_step(sparse), reals = (sparse_blobs(sparse) + step - 1) / step;
    memset(hits, 0, FIRST_HITS * sizeof *hits);
    for (unsigned left = FIRST_HITS; left > 0;) {
        for (unsigned i = 0; i < FIRST_HITS; i++) {
            if (hits[i] > 0 || !hit(sparse, store, hash_mix(i, 7) % reals * step))
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

static void measure(const struct sparse *sparse)
{
    double hits[FIRST_HITS], opened, loaded, start, cpu = cpu_seconds();
    int64_t before = resident();
    start = seconds();
    struct store *store = sparse_open(sparse);
    opened = seconds() - start;
    first_hits(sparse, store, start, hits);
    fixture_flush(store);
    loaded = seconds() - start;
    cpu = cpu_seconds() - cpu;
    double bytes = (double) (resident() - before) / (double) sparse->blocks, ns = lookup_ns(sparse, store);
    printf("| %llu | %.3f | %.3f | %.3f | %.3f | %.3f | %.2f | %.1f | %.0f |\n", (unsigned long long) sparse->blocks,
           opened, hits[0], hits[FIRST_HITS / 2], hits[FIRST_HITS - 1], loaded, cpu, bytes, ns);
    fixture_close(store);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: store_scale DIRECTORY BLOCKS [BLOCKS-PER-BLOB]\n");
        return 2;
    }
    struct sparse sparse = {.path = argv[1],
                            .blocks = strtoull(argv[2], NULL, 10),
                            .per_blob = argc > 3 ? strtoull(argv[3], NULL, 10) : 256,
                            .behind = SPARE};
    if (sparse.blocks == 0 || sparse.per_blob == 0)
        return 2;
    struct rlimit files = {65536, 65536};
    (void) setrlimit(RLIMIT_NOFILE, &files);
    fixture_start();
    make(&sparse);
    measure(&sparse);
    fixture_stop();
    return 0;
}
