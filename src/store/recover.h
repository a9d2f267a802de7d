/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recover.h: what a start does with what the last one left, in the background, on the disk's scribe.
 *
 * Objects, then extents, are read from the index a piece at a time, so that commits and tombstones go on in
 * between. Until the end, what is not loaded yet counts as not stored, and nothing is put on that disk (which slots are
 * free is known only then). Blocks are loaded unverified: the first read of each checks header and body. Times of
 * validation are kept unless a tombstone of the object or its group is newer; stamps are 0. Of an object's rows, its
 * home's and copies (rows.h), the one that was set last counts; a time of validation only its home's has. Extents whose
 * generation is no object's current one, and rows that contradict each other, are dropped; so are rows whose checksum
 * is wrong, which are counted. One of those among the groups may have been the tombstone of anything: then no
 * validation is believed.
 *
 * Where the index was lost, rebuild.h does this instead.
 */
#ifndef HEADPOND_STORE_RECOVER_H
#define HEADPOND_STORE_RECOVER_H

#include <stdbool.h>

#include "base/hash.h"

struct recover;
struct disk;

/* Index thread, but for the step. */
struct recover *recover_new(struct disk *disk);
void recover_free(struct recover *recover);
/* The process ends: what was not read is left to the next start. */
void recover_give_up(struct recover *recover);
/* Whether all objects of this disk are known. Extents come after the objects of all disks. */
bool recover_has_objects(const struct recover *recover);
/* One piece, some milliseconds. true: there is more. Scribe, online, outside a transaction. */
bool recover_step(struct recover *recover);
/* A group was invalidated while this is under way. Scribe. */
void recover_group(struct recover *recover, struct hash128 group, uint64_t sequence);

#endif
