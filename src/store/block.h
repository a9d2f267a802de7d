/* SPDX-License-Identifier: Apache-2.0 */
/*
 * block.h: a block's life. The one place where the directory, the slots and the list of what the index must learn
 * change together: under the leaf's lock, the slots' lock within it.
 *
 * Whoever takes a block out of the directory here owes its place: a slot goes to limbo, a packed entry's bytes count as
 * dead. Registered, online RCU threads; never a loop.
 */
#ifndef HEADPOND_STORE_BLOCK_H
#define HEADPOND_STORE_BLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "store/disk.h"
#include "store/index.h"

/* Makes a written block visible, in place of one on a disk that is out. false: it was there already, and the caller
 * keeps the place. */
bool block_publish(struct disk *disk, const struct store_generation *generation, uint64_t block, uint64_t location);
/* The same for what the index says of an extent on this disk, whose places must still be claimed: how many could be.
 * `group`: of its object. */
unsigned block_claim_extent(struct disk *disk, const struct index_extent *extent, struct hash128 group);
/* The same for a block whose header was found by a rebuild. What is known of the block already stays, wherever it lies.
 * *first: the leaf counts as dirty from here on, and it is the caller who must see that it gets to the index. */
bool block_found(struct disk *disk, const struct entry *entry, uint64_t location, bool *first);
/* Points the block at its copy. false: it does not lie at `from` any more, and the caller keeps the copy's place. */
bool block_move(struct disk *disk, uint64_t generation, uint64_t block, uint64_t from, uint64_t to);
/* Takes it out if it still lies at `seen`. */
bool block_drop(struct store *store, uint64_t generation, uint64_t block, uint64_t seen);
/* Every block of an extent; the leaf goes with them. */
void block_drop_leaf(struct store *store, struct leaf *leaf);
/* Where it lies now, or 0. Lock-free. */
uint64_t block_location(struct store *store, uint64_t generation, uint64_t block);
/* The same, but 0 when its disk is out. Lock-free. */
uint64_t block_at_hand(struct store *store, uint64_t generation, uint64_t block);
/* The extent's row is to be written by another round. */
void block_row_again(struct store *store, uint64_t generation, uint64_t extent);

#endif
