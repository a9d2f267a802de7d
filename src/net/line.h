/* SPDX-License-Identifier: Apache-2.0 */
/*
 * line.h: room for what comes in crowds (I8). Of a kind of work that holds memory for as long as a client or an origin
 * likes, only so much is under way at once as fits into a share of `memory` (base/share.h); the others wait before
 * they hold anything but what they came with, each on its own loop. How many may wait, and for how long, is up to
 * whoever asks (origin/admission.h).
 *
 * There are two queues, the favoured and the others. The favoured go first. In each, accounts take turns, and in each
 * account its clients (base/fair.h): an account that may have no more lets the next one go first.
 *
 * The share is all loops' and its numbers are taken by any of them; a line is one loop's, as are its tickets.
 */
#ifndef HEADPOND_NET_LINE_H
#define HEADPOND_NET_LINE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fair.h"
#include "base/metric.h"
#include "base/share.h"
#include "net/loop.h"

struct line_lane;

/* All loops'. */
struct line_share {
    struct share room;
    enum metric waiting;                       /* a gauge: who waits, all loops' */
    atomic_uint full[2];                       /* who waits because so much is not free; by kind */
    atomic_uint waiting_of[2][SHARE_ACCOUNTS]; /* who waits, by account */
};

/* Who waits on a loop, of one kind. */
struct line_queue {
    struct list lanes; /* of the accounts that somebody waits for, the next one first */
    unsigned accounts; /* how many these are */
    unsigned waiting;
};

/* One loop's. */
struct line {
    struct line_share *share;
    struct loop *loop;
    struct line_queue queues[2];
    struct timer timer;
};

/* Embedded in whoever has room, or waits for it. Whoever asks fills in what is below the first line. */
struct line_ticket {
    struct line *line;      /* NULL: neither */
    struct line_lane *lane; /* where it waits, or NULL */
    struct fair_node node;
    bool full; /* it waits, and is counted in `full` */

    bool favoured;
    uint64_t account; /* a hash, as is the client */
    uint64_t client;
    size_t bytes; /* what is set aside for it */
    /* Whether what it needs besides room is there at this moment, and its own from now on. May be NULL. */
    bool (*ready)(struct line_ticket *ticket);
    /* There is room. Once, from the loop; not for line_try's. */
    void (*come)(struct line_ticket *ticket);
};

/* Before the loops start, and after they have been joined. */
void line_share_init(struct line_share *share, const struct share_terms *terms, enum metric waiting);
void line_share_fini(struct line_share *share);
/* Somebody waits because there is no room. Any thread, as the next one. */
bool line_full(const struct line_share *share);
/* That, or somebody waits of this account: whoever does without, and is of it, gives up what it can. */
bool line_contended(const struct line_share *share, uint64_t account);

void line_init(struct line *line, struct line_share *share, struct loop *loop);
/* Nobody waits any more. */
void line_fini(struct line *line);

/* Asks for a ticket that holds nothing. True: there is room now. False: it will `come`. The first of each kind finds
 * room in any case, whatever it takes. */
bool line_ask(struct line *line, struct line_ticket *ticket);
/* Asks only if there is room now and nobody who could have it waits for it; for what can be done without. */
bool line_try(struct line *line, struct line_ticket *ticket);
/* Gives up the room, or the waiting for it. A zero ticket has nothing to give up. */
void line_leave(struct line_ticket *ticket);
/* Hands room to another owner, whose ticket holds nothing. */
void line_move(struct line_ticket *to, struct line_ticket *from);
/* Has it, or waits for it. */
static inline bool line_has(const struct line_ticket *ticket)
{
    return ticket->line != NULL;
}

#endif
