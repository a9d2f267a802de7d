/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inside.h: the store as its own files see it. Nobody outside store/ includes this.
 *
 * Threads:
 *   opening thread  store_open: opens volumes and their indexes, numbers the opening
 *   loops           look up, change objects, hand over puts and loads; never wait
 *   store-index     one: says what the indexes are told and when (commit.h, round.h), loads after a start (load.h),
 *                   forgets what there is no room for
 *   store-scribe    one a disk: alone touches its index while the store is open (scribe.h, rows.h, recover.h,
 *                   rebuild.h, resync.h)
 *   store-io        DISK_THREADS a disk: reads, writes, eviction, probes (disk.h, transfer.h, reclaim.h)
 *   store-scrub     one a disk, where there is a rate (scrub.h)
 *   store-watch     one: sees to disks that do not answer (watch.h)
 *
 * Locks, what is taken while another is held further to the right:
 *   a leaf's (directory_lock) or an object's (object_lock)
 *     > a disk's slots.lock, the objects' list_lock, the generations' lock > commit's mutex
 *   all others (a disk's mutex, a scribe's, the watch's, a scrub's, rounds') are held alone
 */
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
    struct buf_room room;         /* store_room */
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

/* Tells the metrics what there is room for: bytes of blocks, without what goes before each. */
void store_measure(struct store *store);

/* Posts unless the loops are gone; letter may be NULL. */
void store_post(struct store *store, struct loop *loop, struct letter *letter);

#endif
