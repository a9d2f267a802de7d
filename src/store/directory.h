/* SPDX-License-Identifier: Apache-2.0 */
/*
 * directory.h: which blocks are stored and where, in memory, read without locks.
 *
 * A leaf holds the 16 locations of one extent of one generation. Readers find it through an RCU hash table and read its
 * locations as atomics; changes are made under one of a few locks chosen by the leaf's name, so that the last block out
 * takes the leaf with it. A leaf takes 192 bytes with malloc's own, its share of the table 16 to 32: 13 to 14 MB for
 * 10^6 blocks in whole extents; a blob of one block costs a leaf of its own, 200 bytes.
 *
 * Look-ups need a registered, online RCU thread; what they return is good until its next quiescent state.
 */
#ifndef HEADPOND_STORE_DIRECTORY_H
#define HEADPOND_STORE_DIRECTORY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/rcu.h"
#include "store/location.h"
#include "store/store.h"

struct leaf {
    struct cds_lfht_node node;
    union {
        struct hash128 object; /* read under the lock only */
        struct rcu_head rcu;   /* once it has left the table */
    };
    uint64_t generation;
    uint64_t length; /* of the whole blob: says how long each block is */
    uint32_t extent;
    atomic_bool dirty; /* waits to be written to the index */
    _Atomic uint64_t location[STORE_EXTENT_BLOCKS];
};

struct directory;

struct directory *directory_new(void);
/* Nobody may look any more. Call on a registered thread, which it takes offline for a moment. */
void directory_free(struct directory *directory);

/* So many leaves more are about to come: the table grows at once and not behind them. Online RCU thread. */
void directory_expect(struct directory *directory, size_t leaves);

/* NULL: nothing of that extent is stored. Lock-free. */
struct leaf *directory_find(struct directory *directory, uint64_t generation, uint64_t extent);

/* Changes to one leaf happen between these two. I/O is never done between them. */
void directory_lock(struct directory *directory, uint64_t generation, uint64_t extent);
void directory_unlock(struct directory *directory, uint64_t generation, uint64_t extent);
/* Under the lock: the leaf, made empty when there is none. */
struct leaf *directory_add(struct directory *directory, uint64_t generation, uint64_t extent, struct hash128 object,
                           uint64_t length);
/* Under the lock: takes the leaf out and frees it after a grace period if nothing is left in it. */
void directory_tidy(struct directory *directory, struct leaf *leaf);

/* Sets and clears flags (LOCATION_FLAGS) if the block still lies where `seen` says. Lock-free. */
void directory_flag(_Atomic uint64_t *location, uint64_t seen, uint64_t set, uint64_t clear);

/* Every leaf; `each` may take it out. Online RCU thread. */
void directory_each(struct directory *directory, void (*each)(void *arg, struct leaf *leaf), void *arg);
/* Leaves held now. Any thread. */
size_t directory_count(const struct directory *directory);

#endif
