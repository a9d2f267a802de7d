/* SPDX-License-Identifier: Apache-2.0 */
/*
 * round.h: one round of the index thread: changed objects, extents and groups, from memory into the indexes of all
 * disks, each disk's part written by its scribe (rows.h).
 *
 * A disk that is out, or whose scribe has not come back from an earlier round, misses the round: what it should have
 * been told is let go. The indexes of the others note, durably and before anybody is told that the round is done, that
 * a disk is behind, so that a start after a crash believes no validation in it. When the disk is back its index is made
 * anew from memory (resync.h); until that is done, rows that it would miss again are put off.
 *
 * Where the only disk hangs nothing can note it: writes go on all the same, and a crash before it is back may believe
 * what was validated before, within its freshness.
 *
 * Index thread only.
 */
#ifndef HEADPOND_STORE_ROUND_H
#define HEADPOND_STORE_ROUND_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "store/intents.h"
#include "store/marks.h"
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

/* What changed since the last one. Counted: a scribe that is late still reads it. */
struct round {
    atomic_uint refs;
    struct names objects; /* struct hash128 */
    struct names extents; /* struct round_extent; only in a full round */
    struct marks groups;  /* to be forgotten */
    bool full;            /* extents and data files as well */
    bool durable;         /* somebody waits: sync what was written */
    bool loaded;          /* everything from the disks is in memory */
    enum intents_change intent;
    uint64_t mark; /* everything begun before it is in the rows */
    /* By rounds_run: */
    struct names rows;      /* struct index_extent, with all disks' locations in them */
    struct names forgotten; /* struct round_group: those that a row is to tell of */
    struct names settled;   /* struct hash128: groups whose rows may go */
    uint64_t opening;       /* to be written; 0: it was */
};

struct round *round_new(void);
void round_unref(struct round **round);

struct rounds *rounds_new(struct store *store);
void rounds_free(struct rounds *rounds);
/* `round` is the caller's. */
void rounds_run(struct rounds *rounds, struct round *round);
/* Whether a disk whose index was made anew has come back since the last call: what it holds is marked as doubtful until
 * a full round has written what was put off. */
bool rounds_returned(struct rounds *rounds);
/* Forgets objects when memory or an index has no room for more; after a round. */
void rounds_trim(struct rounds *rounds, bool full);
/* Drops the blocks of generations that nobody can reach any more, some at a time. */
void rounds_drop_dead(struct rounds *rounds);

/* ---- Scribes. ---- */

/* The group's row may go when all that is dirty by the end of loading has been written. */
void rounds_group_settles(struct rounds *rounds, struct hash128 group);

#endif
