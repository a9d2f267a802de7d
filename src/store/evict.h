/* SPDX-License-Identifier: Apache-2.0 */
/*
 * evict.h: which blocks are kept: who goes when space is needed, and who is let in at all. A policy and nothing else:
 * it knows slots by number, asks its owner whether one was used, and touches no disk, so a trace can drive it
 * (t/sim; contrib/evict-sim prints hit ratios beside those of others).
 *
 * Two kinds of reading are common, and no simple queue serves both.
 *
 * Skewed reads: few blocks are read often. Queues like S3-FIFO's (Yang et al., SOSP'23):
 *   - A block that was filled is *fresh* for 1 % of the room. Nothing counts meanwhile: whoever waited for the fill
 *     comes to read it now, and that is no reuse.
 *   - Then it is in the *small* queue, to 5 % of the room. At its end it goes to main if it was used, or out.
 *   - *Main* is a queue with second chances. Each look that finds a slot used gives it one, up to 3; each time it comes
 *     to the end costs one.
 *   - A *ghost* is the name of a block that went lately; asked for again, it goes on to main when it is no longer
 *     fresh.
 * Queues are logical: no block is written anew because it moves. A use is a bit that hits set in the block's location,
 * once a look; every slot is looked at four times while as much is missed as there is room, so the many pieces in which
 * a client reads a block are one use.
 *
 * Rounds: a data set larger than the cache is read again and again, in fixed or fresh order (training). Whatever lets
 * every block in has evicted most of them when they come again; the best is to keep a part and let it be. So for each
 * group (a container) reuse distances are sampled (reuse.h: one extent in 64, in small caches more), and where they say
 * that keeping a fixed part would answer more reads than any queue (group.h), *admission is frozen*: the group's blocks
 * stream through unstored, except
 *   - one in 128, so that what is kept slowly turns over;
 *   - while there are dead slots, which it may have.
 *
 * Dead is what nobody will ask for: slots of a group that was not read in any way while as much else was read as there
 * is room; and those of a frozen group that were not used for twice the distance its blocks come again in, or for one
 * room if far less of what it reads is held than should be (its readers have gone on to other data). They go first.
 *
 * Time is volume: what was missed and what looks found used, in parts of a slot. A disk at rest forgets nothing.
 *
 * Segments of packed entries (segment.h) are not judged by their entries: they go through main once, and what is used
 * in them is copied out by reclaim.c; those with little left in them go before everything else.
 *
 * Quotas (quota.h) change who may go for whom. Each has queues like the above of its own. At its limit a group takes
 * the place of its own slots only, chosen among them as above, and whether its admission is frozen is judged by what it
 * may hold and by its own reads. What is within its reserve is passed over, dead or not, as long as anything else is
 * left, and it is let in below that, frozen or not. Packed entries are counted by none.
 *
 * At a start nothing is remembered but the blocks themselves: they all begin in main, unused, and no group is frozen
 * before some of its sampled blocks came again.
 *
 * Memory: 27 bytes a slot, of them 7 for ghosts and 4 for distances, and 80 KiB for groups; for each limit 4 bytes a
 * slot of it, at least 16 KiB.
 */
#ifndef HEADPOND_STORE_EVICT_H
#define HEADPOND_STORE_EVICT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"

#define EVICT_NONE UINT32_MAX
/* What a full slot weighs. */
#define EVICT_SLOT 256

struct evict;
struct quota_row;

struct evict_events {
    /* Whether the slot was used since the last call, which this call forgets. A segment: whether it must not go now. */
    bool (*used)(void *arg, uint32_t slot);
    /* How many live bytes a sparse segment still holds. */
    uint32_t (*live)(void *arg, uint32_t slot);
    void *arg;
};

/* A block, as the policy knows it. */
struct evict_block {
    uint64_t generation;
    uint64_t block;
    struct hash128 group;
    uint32_t weight; /* in parts of EVICT_SLOT, from 1 to EVICT_SLOT */
};

/* For slots 0 … capacity − 1. Events are called under the owner's lock, from within any of the calls that need it. */
struct evict *evict_new(uint32_t capacity, const struct evict_events *events);
void evict_free(struct evict *evict);
/* Before anything is queued (quota.h). `unit`: the bytes that a slot counts for. How many slots are reserved. */
uint32_t evict_set_quotas(struct evict *evict, const struct quota_row *rows, unsigned count, uint32_t unit);

/* ---- Any thread, without the lock and without waiting. ---- */

/* The block was missed and could be stored now: should it be? Each miss is to be told so exactly once. */
bool evict_admit(struct evict *evict, const struct evict_block *block);
/* Whether evict_admit is likely to say yes to a block of that group; asking changes nothing. What a frozen group gets
 * in by turns is not expected. */
bool evict_expects(struct evict *evict, struct hash128 group);
/* How many slots its blocks may take at most. */
uint32_t evict_most(const struct evict *evict, struct hash128 group);
/* The quota whose limit bounds it, or 0. */
unsigned evict_limit_over(const struct evict *evict, struct hash128 group);
/* Whether it is never let in, because its quota's limit is nothing. */
bool evict_barred(const struct evict *evict, struct hash128 group);
/* Whether reads of this block are to be told to evict_read. */
bool evict_sampled(const struct evict *evict, uint64_t generation, uint64_t block);
/* A block that lies in that slot was read for the first time since `used` was last asked. */
void evict_read(struct evict *evict, uint64_t generation, uint64_t block, uint32_t slot);

/* ---- Under the owner's lock. ---- */

/* Sets how many slots there may be in the queues before some are evicted; the capacity at first. */
void evict_resize(struct evict *evict, uint32_t room);
/* Before a block of that group is filled into a slot. true: it may be; its quota counts it from now on, and what ends
 * that is evict_insert and later evict_remove, or evict_disclaim. false: it is at its limit, and *victim, which is off
 * the queues now, has to go first; then it is to be asked again. EVICT_NONE: nothing can go, so it is not stored. */
bool evict_claim(struct evict *evict, struct hash128 group, uint32_t *victim);
/* It was claimed, and will not be inserted. */
void evict_disclaim(struct evict *evict, struct hash128 group);
/* The slot was filled with that block just now. Nothing happens when it is queued already. What `used` says of it is
 * ignored while it is fresh. */
void evict_insert(struct evict *evict, uint32_t slot, const struct evict_block *block);
/* The slot was found to hold that block at a start, when there are so many of them that no time passes by it. `whose`
 * its group's blocks are is asked once for all that are inserted under one hold of the lock. */
struct evict_whose {
    uint16_t quota;
    uint8_t group;
};
struct evict_whose evict_whose(struct evict *evict, struct hash128 group);
void evict_found(struct evict *evict, uint32_t slot, uint64_t generation, uint64_t block, struct evict_whose whose);
/* The slot holds a segment that is written to no more. */
void evict_insert_segment(struct evict *evict, uint32_t slot);
/* It holds nothing any more (dropped otherwise); nothing happens when it is not queued. */
void evict_remove(struct evict *evict, uint32_t slot);
/* A queued segment is mostly dead. */
void evict_sparse(struct evict *evict, uint32_t slot);
/* Takes the next victim off the queues, or EVICT_NONE when they are empty. Looks at a bounded number of slots. */
uint32_t evict_victim(struct evict *evict);
/* Whether a start has found more of a quota than its limit is now; then the next of it to go, off the queues. */
bool evict_over(struct evict *evict);
uint32_t evict_surplus(struct evict *evict);
bool evict_queued(const struct evict *evict, uint32_t slot);

#endif
