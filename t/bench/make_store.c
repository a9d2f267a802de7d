/* SPDX-License-Identifier: Apache-2.0 */
/*
 * make_store.c: a store for contrib/bench's headpond-N, which knows of N blocks that nobody reads.
 *
 *   make_store DIRECTORY BLOCKS AMONG BEHIND
 *
 * Blocks of 1 MiB in blobs of 256; AMONG slots are free between them and BEHIND after them (sparse.h). Prints what
 * headpond's configuration must say of the store, in bytes: "size S memory M", the memory being what the index needs of
 * it beside all else.
 */
#include "sparse.h"

#include "base/mem_parts.h"
#include "store/sizes.h"

static bool parse(const char *word, uint64_t *number)
{
    char *end;
    *number = strtoull(word, &end, 10);
    return *word >= '0' && *word <= '9' && *end == '\0';
}

int main(int argc, char **argv)
{
    struct sparse sparse = {.per_blob = 256};
    if (argc != 5 || !parse(argv[2], &sparse.blocks) || !parse(argv[3], &sparse.among) ||
        !parse(argv[4], &sparse.behind) || sparse.blocks == 0) {
        fprintf(stderr, "usage: make_store DIRECTORY BLOCKS AMONG BEHIND\n");
        return 2;
    }
    sparse.path = argv[1];
    fixture_start();
    sparse_make(&sparse);
    fixture_stop();
    int64_t slots = sizes_slots(sparse.size, sizes_index(sparse.size), SPARSE_BLOCK);
    printf("size %lld memory %lld\n", (long long) sparse.size,
           (long long) slots * STORE_BLOCK_MEMORY * MEM_WHOLE / MEM_STORE_TABLES);
    return 0;
}
