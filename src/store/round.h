/* SPDX-License-Identifier: Apache-2.0 */
/*
 * round.h: what one round of the index thread writes: changed objects, extents and groups, from memory into the indexes
 * of all disks, in transactions of at most INDEX_TXN_KEYS, the data files synced before the rows that speak of them.
 *
 * Index thread only; online, offline while it waits for a disk.
 */
#ifndef HEADPOND_STORE_ROUND_H
#define HEADPOND_STORE_ROUND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "store/names.h"

struct rounds;
struct store;

struct round_extent {
    uint64_t generation;
    uint64_t extent;
};

struct round_group {
    struct hash128 group;
    uint64_t sequence;
};

/* What changed since the last one. */
struct round {
    struct names objects; /* struct hash128 */
    struct names extents; /* struct round_extent; only in a full round */
    struct names groups;  /* struct round_group: to be forgotten */
    bool full;            /* extents and data files as well */
    bool durable;         /* somebody waits: sync what was written */
    bool loaded;          /* everything from the disks is in memory */
    enum { ROUND_INTENT_KEEP, ROUND_INTENT_SET, ROUND_INTENT_CLEAR } intent; /* the mark of intents (store.h) */
};

struct rounds *rounds_new(struct store *store);
void rounds_free(struct rounds *rounds);
void rounds_run(struct rounds *rounds, struct round *round);
/* Forgets objects when memory or an index has no room for more; after a round. */
void rounds_trim(struct rounds *rounds, bool full);
/* Drops the blocks of generations that nobody can reach any more, some at a time. */
void rounds_drop_dead(struct rounds *rounds);

/* The group's row may go when all that is dirty by the end of loading has been written. */
void rounds_group_settles(struct rounds *rounds, struct hash128 group);
/* That disk holds a row of the object although it is not its home. */
void rounds_stray(struct rounds *rounds, unsigned disk, struct hash128 object);

#endif
