/* SPDX-License-Identifier: Apache-2.0 */
/* inside.h: the store as its own files see it. Nobody outside store/ includes this. */
#ifndef HEADPOND_STORE_INSIDE_H
#define HEADPOND_STORE_INSIDE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "store/store.h"

#define STORE_DISKS_MAX 16

struct commit;
struct directory;
struct disk;
struct generations;
struct objects;
struct watch;

struct store {
    uint32_t block_size;
    unsigned disk_count;
    struct disk *disks[STORE_DISKS_MAX]; /* fixed once open */
    struct directory *directory;
    struct objects *objects;
    struct generations *generations;
    struct commit *commit;
    struct watch *watch;
    unsigned untold;              /* disks left out on which that could not be noted */
    unsigned away;                /* disks that were used at the last start and are not */
    atomic_uint_fast64_t next_id; /* generations and sequences; only grows, also across starts */
    uint64_t first_id;            /* of this opening */
    atomic_bool closing;          /* the loops are gone: no more letters */
};

static inline uint64_t store_next_id(struct store *store)
{
    return atomic_fetch_add_explicit(&store->next_id, 1, memory_order_relaxed);
}

/* Where something new of that name goes: rendezvous over the disks by size, so that another disk moves only its share.
 * NULL without disks. */
struct disk *store_disk_of(const struct store *store, uint64_t hash);

/* Tells the metrics what there is room for: bytes of blocks, without what goes before each. */
void store_measure(struct store *store);

/* Posts unless the loops are gone; letter may be NULL. */
void store_post(struct store *store, struct loop *loop, struct letter *letter);

#endif
