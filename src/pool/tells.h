/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tells.h: what a write has changed, or may have, other members are told (wire.h: changed), so that they believe no
 * longer what they know of that. Whoever has done the write tells all; nobody tells it on. Nodes that are no members
 * tell nobody, for nobody would believe them (decision 9).
 *
 * Of a blob the first TELLS_HOMES of each region are told, in the order of its record's key: where the record is at
 * home, and who is asked in its stead. Of a container, of an account and of who may read there, all members are. This
 * region's come first. To a member that does not answer it is said again, after pauses that grow, for TELLS_FOR_MS;
 * then, or where too much waits to be said already, it is left untold, counted and logged. What waits to be said to one
 * and has changed again is said once.
 *
 * Guaranteed:
 *   - A member that has been told (204) believes nothing of that any more which it learnt before, nor after a crash.
 *   - Where all went well, those of this region have been told when the writer has its reply: that waits for them, for
 *     TELLS_WAIT_MS at most, and for none that is known not to answer. So who has the reply and reads through a node
 *     that asks at the home (it has not read the blob, or may not believe what it knows) reads what was written.
 * Not guaranteed, and bounded by `freshness`:
 *   - What any other node has validated before the write it serves until it is that old; and so long does a home serve
 *     it that could not be told, that only another node knows of, or whose teller ended first: what waits to be said
 *     lives in memory. Age is inherited, never extended, so that two such nodes do not make it older.
 *   - What is `immutable` has no such bound: it is served until a fill meets the other generation.
 * Of who may read, authorize_ttl is the bound.
 *
 * One loop's, but for the count.
 */
#ifndef HEADPOND_POOL_TELLS_H
#define HEADPOND_POOL_TELLS_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/hash.h"
#include "base/str.h"
#include "pool/wire.h"

struct loop;
struct pool;
struct tells;
struct tells_wait;

#define TELLS_HOMES 2
#define TELLS_FOR_MS 30000
#define TELLS_WAIT_MS 250
/* What waits to be said, or has not been answered, takes so much of a loop's memory at most: what is for this region, and
 * again what is for others. To one member that is a quarter of it. */
#define TELLS_ROOM ((size_t) 1024 * 1024)

struct tells_news {
    enum wire_change changed;
    struct hash128 name; /* of the object, container or account: what it is told by once, and whose order counts */
    struct str target;   /* "/account/container/blob", at the level of what has changed; no credential is in it */
};

/* *told_soon counts the members, each on each loop, that something is being said to and that are not known to be away.
 * The pool and the count outlive it. */
struct tells *tells_new(struct pool *pool, struct loop *loop, atomic_uint *told_soon);
/* What has not been said is not. When nobody waits any more. Empties the pointer, which may be NULL. */
void tells_free(struct tells **tells);

/* Tells of it, from now on. Copies what it needs. `wait`: that waits for this region's, too; or NULL. */
void tells_tell(struct tells *tells, const struct tells_news *news, struct tells_wait *wait);

/* Who waits until what it has tells_tell do is done. */
struct tells_wait *tells_wait_new(struct tells *tells);
/* Whether there is nothing to wait for. Else `told` comes once, from the loop, when there is, or TELLS_WAIT_MS later. */
bool tells_wait_over(struct tells_wait *wait, void (*told)(void *arg), void *arg);
/* No callback follows. Empties the pointer, which may be NULL. Allowed in `told`. */
void tells_wait_end(struct tells_wait **wait);

#endif
