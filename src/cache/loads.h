/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loads.h: blocks that readers want from the disks, by the store's I/O threads. Each takes room in memory (room.h); who
 * finds none waits on its loop, where clients have their turns (base/fair.h): a crowd that one of them sends does not
 * make the others wait for all of it. The loop's waiting readers ask for room as one, by the turn.
 *
 * A disk is given no more loads than there is room for, so that no I/O thread is kept busy with what waits. Those beyond
 * wait for the disk and ask for no room: for a disk that hangs nobody waits but who wants its blocks. So each disk has
 * its own turns. Reader's loop only.
 */
#ifndef HEADPOND_CACHE_LOADS_H
#define HEADPOND_CACHE_LOADS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fair.h"
#include "base/list.h"
#include "net/loop.h"
#include "store/store.h"

struct cache_loop;
struct load_job;

/* Each loop's own part. */
struct loads {
    struct fair *waiting; /* by disk */
    unsigned disks;       /* how many these are, */
    unsigned first;       /* and whose turn it is to be the first that asks for room */
    unsigned count;       /* who waits, for all */
    struct list ready;    /* had their turn, and need none: are told in this event */
    struct timer timer;
    bool refused;     /* the next one found no room */
    int64_t since_ms; /* since when it has waited for that (buf_new_in) */
};

/* A block that a reader wants, embedded in the reader. */
struct load_wish {
    struct cache_loop *home;
    uint64_t client; /* a hash of whom it is for */
    const struct store_generation *generation;
    /* From the loop, never from inside these calls: the buffer is the callee's; NULL: it is to be looked for again.
     * `loaded`: a disk was asked for it. */
    void (*come)(struct load_wish *wish, struct buf *buf, bool loaded);
    /* loads.c's */
    uint64_t block;
    uint32_t offset; /* within it, where the reader is */
    struct fair_node turn;
    struct fair *waits;   /* where its turn is; NULL: in loads.ready, or nowhere */
    struct load_job *job; /* under way */
};

void loads_loop_init(struct cache_loop *home);
/* Nobody waits any more. */
void loads_loop_fini(struct cache_loop *home);

/* The first fields have been set. */
void loads_wish_init(struct load_wish *wish);
/* The reader is at `offset` of the block. */
void loads_want(struct load_wish *wish, uint64_t block, uint32_t offset);
/* It has been asked for, and has not come. */
bool loads_wanted(const struct load_wish *wish);
/* The reader goes; also when nothing is wanted. */
void loads_forget(struct load_wish *wish);

#endif
