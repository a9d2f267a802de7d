/* SPDX-License-Identifier: Apache-2.0 */
/*
 * joins.h: the flights that one reader has joined: the extent it is in and those ahead of it, in the order of the blob.
 *
 * Which blocks are asked for is decided here, by how far the reader is: from the first missing one on, in pieces of
 * what one request should ask for (pace.h), several of them at once. A reader that waits in the middle of a block could
 * read faster than that comes, and has more pieces fetched side by side. Where the store does not keep what is read
 * ahead a piece is an extent: what one reader has passed is gone, so the others have to be tied to the same fill. Only
 * who has lost its fill there, slow as it is, because room was wanted (room.h), asks for block by block from then on:
 * it is going to lose more of them, and what the origin has sent beyond the block by then, megabytes in the sockets,
 * came in vain.
 *
 * What is asked for ahead is counted (ahead.h) until the reader gets there. One that stands still keeps others from
 * reading ahead no longer than STALL_MS: from then on what has come for it counts no more. It is the first that the
 * store lets go. What a join brings is the reader's matter (reader.c). Reader's loop only.
 */
#ifndef HEADPOND_CACHE_JOINS_H
#define HEADPOND_CACHE_JOINS_H

#include "cache/flight.h"

/* Pieces fetched at once, the one under way and those read ahead: of extents, at first, and at most. */
#define JOINS_UNSTORED 3
#define JOINS_FIRST 8
#define JOINS_AT_ONCE FILL_PIECES
/* Held at once. Pieces that are whole wait in the store for a reader that is still in an earlier one, and keep no
 * others from being fetched meanwhile. */
#define JOINS_MAX 48

struct joins {
    struct cache *cache;
    struct loop *loop;
    const struct cache_request *request;
    struct store_generation *generation; /* counted by the reader */
    uint64_t last;                       /* block that is wanted, inclusive */
    void (*news)(void *arg);
    void *arg;
    /* joins.c's */
    struct asker *asker; /* made when the first join needs it */
    struct join *items[JOINS_MAX];
    unsigned count;
    unsigned depth;    /* how many may be fetched; 0: as at first */
    int64_t raised_ms; /* loop_now_ms when that became more */
    int64_t kept;      /* bytes that the store keeps of what nobody has read yet, when last asked; */
    bool unstored;     /* which are so few that what is read ahead is not stored for long, */
    bool slow;         /* and it has had to ask for a block again while room was wanted */
    uint64_t next;     /* blocks below it are stored or asked for, as far as this reader knows; at first its first */
    struct list node;  /* cache_loop.counted: some of its joins are; */
    uint64_t block;    /* where the reader was when it last moved on, */
    uint64_t seen;     /* and when it was last looked at; */
    int64_t seen_ms;   /* since when it has been there */
};

/* Each loop's own part. */
void joins_loop_init(struct cache_loop *home);
void joins_loop_fini(struct cache_loop *home);

/* What is joins.c's; the reader begins with `block`. */
void joins_init(struct joins *joins, uint64_t block);

/* Leaves all. */
void joins_fini(struct joins *joins);

/* The join that is to bring this block, or NULL; those that lie behind it are left. */
struct join *joins_at(struct joins *joins, uint64_t block);
/* Asks for a piece that begins with `block`, within its extent and as far as the reader goes. When there are too many
 * joins the farthest is left. */
struct join *joins_ask(struct joins *joins, uint64_t block);
/* A reader at `block` that is being fed by fills has the next pieces asked for before it gets there. */
void joins_read_ahead(struct joins *joins, uint64_t block);
/* The reader waits in the middle of a block, so it could read faster: more pieces are fetched side by side. */
void joins_want_more(struct joins *joins, uint64_t block);
/* A reader in a stored block whose successor is missing joins that one's flight now, and not when its consumer gets
 * there: the fill that brought this block would take its reader for gone. */
void joins_look_beyond(struct joins *joins, uint64_t block);
/* Leaves the nearest. */
void joins_drop_first(struct joins *joins);
/* The reader has moved on within `block`, to this byte of the blob. */
void joins_advance(struct joins *joins, uint64_t block, uint64_t position);

#endif
