/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rows.h: one disk's part of a round: what of it belongs into that disk's index, in transactions of at most
 * INDEX_TXN_KEYS, the data files synced before the rows that speak of them.
 *
 * An object's row is in the index of its home (homes.h), and there alone the time of its validation is believed.
 * Each other disk that holds blocks of the object's current generation has a copy of the row, without that time, so
 * that its blocks are worth something without the home: when that disk is missing at a start, or when homes have moved
 * since the disks in use or their sizes are others. Such a start finds the object as never validated, and the origin is
 * asked before a byte of it is served. A copy is written in the round that first speaks of blocks of its generation on
 * that disk, is not told of what changes in the record afterwards, and goes when the object goes, or is overwritten by
 * that of the next generation. Where an index is nearly full it has none.
 *
 * What is to be written is taken from memory first, the disk is waited for afterwards, offline for RCU: a disk that
 * hangs must not hold up grace periods. Scribes only.
 */
#ifndef HEADPOND_STORE_ROWS_H
#define HEADPOND_STORE_ROWS_H

#include <stdbool.h>
#include <stddef.h>

#include "store/disk.h"
#include "store/index.h"
#include "store/objects.h"
#include "store/round.h"

/* Rows on their way into one index. */
struct rows {
    struct disk *disk;
    unsigned keys;      /* in the open transaction */
    size_t room;        /* bytes that may still be added in this round */
    bool tight;         /* no copies any more */
    enum status status; /* of the transactions so far */
};

/* Writes the disk's part of the round; false: the index could not be written, and is behind now. */
bool rows_write(struct disk *disk, const struct round *round);

/* ---- What resync.c, rebuild.c and recover.c need of it. ---- */

/* Offline, within health_wait. */
void rows_begin(struct rows *rows, struct disk *disk);
void rows_put_object(struct rows *rows, struct hash128 object, const struct objects_row *row);
/* The part of it that lies on this disk; none: the row is deleted. */
void rows_put_extent(struct rows *rows, const struct index_extent *extent);
bool rows_finish(struct rows *rows, bool durable);
/* Adds to `copies` the one that the disk's index lacks for blocks of that extent that lie there, if any. Online. */
void rows_copy_take(struct disk *disk, const struct index_extent *extent, struct names *copies);
/* Offline, within health_wait. */
void rows_put_copies(struct rows *rows, const struct names *copies);
void rows_copies_free(struct names *copies);

/* The extent as it is now, on all disks; `take`: it comes off the list of what is to be written. Online. */
void rows_extent(struct store *store, uint64_t generation, uint64_t extent, bool take, struct index_extent *row);

#endif
