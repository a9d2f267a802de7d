/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sparse.h: a store that knows of more blocks than lie on the disk. Its index has the rows that a real one would have,
 * its data files are holes, so 10^7 blocks take 200 MB. Of the blocks it knows nobody may read any, but those that were
 * written into their slots afterwards; nor may headpond: `scrub_rate` is 0 on such a store. What else is stored lies in
 * its free slots, and is as good as anywhere.
 *
 * Blobs are numbered, and named by fixture_hash: no account has them. What cannot be made ends the program.
 */
#ifndef HEADPOND_T_BENCH_SPARSE_H
#define HEADPOND_T_BENCH_SPARSE_H

#include <stdint.h>
#include <sys/types.h>

#include "store/entry.h"
#include "store/label.h"
#include "../unit/store_fixture.h"

/* headpond's own default. */
#define SPARSE_BLOCK MIB
#define SPARSE_STRIDE ((off_t) SPARSE_BLOCK + ENTRY_PAGE)

struct sparse {
    const char *path;  /* an empty directory */
    uint64_t blocks;   /* that the index knows of */
    uint64_t per_blob; /* blocks of a blob; the last one has what is left */
    /* Free slots, which are used in order: spread evenly among those of the blocks, and behind them. */
    uint64_t among;
    uint64_t behind;
    /* By sparse_make: */
    uint64_t slots;
    int64_t size; /* to open it with: what so many slots take */
    uint64_t opening;
    struct label label;
};

/* Between fixture_start and fixture_stop. */
void sparse_make(struct sparse *sparse);
struct store *sparse_open(const struct sparse *sparse);

uint64_t sparse_blobs(const struct sparse *sparse);
/* Of the blob, in bytes. */
uint64_t sparse_length(const struct sparse *sparse, uint64_t blob);
uint64_t sparse_generation(const struct sparse *sparse, uint64_t blob);
/* Where a block lies, which is counted through all blobs. */
uint64_t sparse_slot(const struct sparse *sparse, uint64_t block);

#endif
