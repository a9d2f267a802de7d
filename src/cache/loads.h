/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loads.h: blocks that readers want from the disks, by the store's I/O threads. Each takes room in memory (room.h); who
 * finds none waits on its loop, where clients have their turns (base/fair.h): a crowd that one of them sends does not
 * make the others wait for all of it. The loop's waiting readers ask for room as one, by the turn; an I/O thread is not
 * kept busy with what waits. Reader's loop only.
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
    struct fair waiting;
    struct list ready; /* had their turn, and need none: are told in this event */
    struct timer timer;
    int64_t since_ms; /* since when the next one has waited for room (buf_new_in) */
};

/* A block that a reader wants, embedded in the reader. */
struct load_wish {
    struct cache_loop *home;
    uint64_t client; /* a hash of whom it is for */
    const struct store_generation *generation;
    /* From the loop, never from inside these calls: the buffer is the callee's; NULL: it is to be looked for again. */
    void (*come)(struct load_wish *wish, struct buf *buf);
    /* loads.c's */
    uint64_t block;
    struct fair_node turn;
    bool waits;           /* its turn is in loads.waiting, else in .ready or nowhere */
    struct load_job *job; /* under way */
};

void loads_loop_init(struct cache_loop *home);
/* Nobody waits any more. */
void loads_loop_fini(struct cache_loop *home);

/* The first fields have been set. */
void loads_wish_init(struct load_wish *wish);
void loads_want(struct load_wish *wish, uint64_t block);
/* It has been asked for, and has not come. */
bool loads_wanted(const struct load_wish *wish);
/* The reader goes; also when nothing is wanted. */
void loads_forget(struct load_wish *wish);

#endif
