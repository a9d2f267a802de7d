/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sizes.h: how the size that is given for a disk is divided: the index, slots for data, and what the file system takes
 * for itself. What the file system could not hold if it were empty does not count, so that room for an index, and
 * tables in memory, are in proportion to what can be stored; a file system that grows is used further by the next
 * start. Sizes are bytes.
 */
#ifndef HEADPOND_STORE_SIZES_H
#define HEADPOND_STORE_SIZES_H

#include <stdbool.h>
#include <stdint.h>

#define SIZES_TEXT 320

struct store;

/* What of the size a disk with that directory can hold at most. */
int64_t sizes_usable(int dir, int64_t size);
/* How far a new index may grow. */
int64_t sizes_index(int64_t size);
/* The same of an index that may be there already: its file gets no shorter. */
int64_t sizes_index_there(int dir, int64_t size);
/* How many slots there are beside an index of `index` bytes. */
int64_t sizes_slots(int64_t size, int64_t index, uint32_t block_size);

/* Whether so few slots are no store; then *why says so, and what it would take. */
bool sizes_too_small(int dir, int64_t size, uint32_t block_size, int64_t slots, char why[SIZES_TEXT]);
/* Whether the tables for so many slots, with those of the disks that are open, would leave too little of `memory` for
 * all else: then it would stop accepting, at the start or when the disk is full. *why says what to change. */
bool sizes_too_large(const struct store *store, int64_t slots, char why[SIZES_TEXT]);

#endif
