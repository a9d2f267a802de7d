/* SPDX-License-Identifier: Apache-2.0 */
/*
 * group.h: what the policy knows of each group of blocks (a container): how far apart its reads of the same block lie,
 * what it holds, and whether its admission is frozen.
 *
 * A group is frozen when its blocks come again, but too late: when the curve of reads that a cache of each size would
 * answer (the distribution of reuse distances, sampled) lies below the straight line to some larger size. On that line
 * lies a cache that keeps a fixed part of the blocks and does not let the others in, which therefore beats one that
 * lets everything in (the convex hull of Talus, Beckmann and Sanchez, HPCA'15). For reads again and again over N blocks
 * with room for C the line is C / N and the curve 0, or little; for skewed reads the curve is above every such line.
 *
 * At most GROUPS_MAX groups are told apart; those beyond are one, which never freezes. A group that holds nothing and
 * is not asked for makes way. Volume is counted in 1/256 of a slot.
 */
#ifndef HEADPOND_STORE_GROUP_H
#define HEADPOND_STORE_GROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"

#define GROUPS_MAX 256
/* The number of those that are not told apart. */
#define GROUP_OTHERS 0
#define GROUP_UNIT 256

struct groups;

/* What a group's blocks share: how much they may hold together, in volume. `alone`: what is read of others takes
 * nothing of it (they have a limit, quota.h), and does not count in the distances either. */
struct group_space {
    uint64_t volume;
    bool alone;
};

struct groups *groups_new(void);
void groups_free(struct groups *groups);

/* ---- Any thread, without the lock. ---- */

/* Its number. */
unsigned groups_find(struct groups *groups, struct hash128 group);
bool groups_frozen(struct groups *groups, unsigned number);
/* A block of it was wanted and is not there. */
void groups_missed(struct groups *groups, unsigned number, uint32_t weight);
/* How much was missed by all. */
uint64_t groups_misses(struct groups *groups);

/* ---- The owner's lock. ---- */

/* A block of it was read again after `distance` of other reads, of all groups that share its space. */
void groups_reused(struct groups *groups, unsigned number, uint64_t distance, struct group_space space);
/* A slot was found used. */
void groups_used(struct groups *groups, unsigned number);
/* Slots of it came or went. */
void groups_hold(struct groups *groups, unsigned number, int slots);
/* Draws conclusions; to be called each time an eighth of `room`, what all may hold, has been missed or found used. */
void groups_judge(struct groups *groups, uint64_t now, uint64_t room);
/* How long, in volume, a slot of it may go unused before it is given up; UINT64_MAX: for ever. */
uint64_t groups_patience(const struct groups *groups, unsigned number);
unsigned groups_frozen_count(const struct groups *groups);

#endif
