/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flight.h: how a reader gets blocks that are not in the store: it asks the extent's owner, who lets it join a fill
 * that is under way or begins one. Because only the owner begins fills of an extent, no byte is fetched twice at the
 * same time (I3).
 *
 * A join is the tie between one reader (on its loop) and one fill (on the owner's). The reader makes it, learns through
 * `wake` that it was tied or that there is news, publishes how far it is, and leaves it. The letters of one join:
 *
 *     reader                    owner
 *       | -------- want --------> |   looks in the store, joins or begins a fill
 *       | <------- wake --------- |   tied; later: there is news (only when `waiting` was set)
 *       | -------- leave -------> |   unties
 *       | <------- gone --------- |   nothing refers to the join any more: freed
 */
#ifndef HEADPOND_CACHE_FLIGHT_H
#define HEADPOND_CACHE_FLIGHT_H

#include "cache/fill.h"

struct join {
    struct cache *cache;
    struct loop *loop;  /* the reader's */
    struct loop *owner; /* the extent's */
    struct asker *asker;
    struct store_generation *generation;
    uint64_t extent;
    unsigned first; /* blocks within the extent that are wanted, inclusive */
    unsigned last;

    /* the reader's */
    void (*news)(void *arg); /* NULL once it has left */
    void *arg;
    bool wake_due;    /* a wake is on its way or will be */
    bool tied;        /* the owner has answered */
    bool early;       /* joins.c: asked for ahead, and its reader has not seen it under way */
    unsigned counted; /* joins.c: its blocks, while they count as asked for ahead (ahead.h) */

    /* written by the owner before the first wake */
    struct fill *fill; /* NULL: the first block can be had from the store now */
    bool began;        /* the fill was begun for this reader */
    bool absent;       /* it may begin none, and there is none: the first block is not to be had */
    bool leads;        /* no reader was tied to the fill before: what it brings counts as fetched for this one */

    /* both */
    atomic_bool waiting;           /* the reader wants a wake at the next news */
    atomic_uint_fast64_t position; /* of the blob, bytes: how far the reader is */

    /* the owner's */
    struct list node;
    bool refused; /* the fill tried this credential in vain */
    struct letter want;
    struct letter wake;
    struct letter leave;
    struct letter gone;
};

/* Asks for blocks first..last of an extent. `news` is called on the reader's loop, never from inside these calls. */
struct join *flight_join(struct cache *cache, struct loop *loop, struct asker *asker,
                         struct store_generation *generation, uint64_t extent, unsigned first, unsigned last,
                         void (*news)(void *arg), void *arg);
/* Says that the reader will wait for more than `have` bytes of `block`, whose buffer is `held`, or it has none yet.
 * False: there already is news, look again; it may be that the fill has begun the block anew, in another buffer. */
bool flight_wait(struct join *join, unsigned block, const struct buf *held, size_t have);
/* Publishes the reader's position and lets a paused fill go on. */
void flight_advance(struct join *join, uint64_t position);
/* Empties the pointer. */
void flight_leave(struct join **join);

/* The owner's side, for fill.c. */
void flight_wake_all(struct fill *fill);
/* The farthest reader's position, or 0 without readers. */
uint64_t flight_fastest(const struct fill *fill);
/* `refused`: the origin has refused this credential. A reader's asker whose credential it has not refused, or NULL; not
 * counted. */
struct asker *flight_other_asker(struct fill *fill, const struct asker *refused);
/* The fill's own asker while a reader of that credential is there, else a reader's; not counted. There are readers. */
struct asker *flight_live_asker(struct fill *fill);
/* Into the table: an opening, and again when its generation is known. */
void flight_add(struct fill *fill);
void flight_remove(struct fill *fill); /* also when it is not in it */
/* The opening's generation is known, or none will come: those who waited for that are tied (or dropped, at the loop's
 * end). */
void flight_unpark(struct fill *fill, bool tie);

#endif
