/* SPDX-License-Identifier: Apache-2.0 */
/*
 * line.h: room for what comes in crowds (I8). Of a kind of work that holds memory for as long as a client or an origin
 * likes, only so much is under way at once as fits into a share of `memory` (base/share.h); the others wait before
 * they hold anything but what they came with. How many may wait, and for how long, is up to whoever asks
 * (origin/admission.h).
 *
 * There are two queues, the favoured and the others. The favoured go first: while they wait for what nobody has
 * free, the others have nothing of it, and wait. Neither starves: a kind that has all it may have of the share stops only
 * its own, and the others go first as long as they have less than an eighth. In each queue accounts take turns, and in each
 * account its clients: who may have no more, an account or a client, lets the next one go first. Accounts have their
 * turns in SHARE_SLOTS lanes, by the slot in which the share counts them (stochastic fair queueing, McKenney 1990), so
 * that names, which cost nothing, buy no turns: a client has one in each lane at most, whatever it asks for. Two accounts
 * that meet in a lane are bounded together by the share, too.
 *
 * The queues are all loops', as is what they wait for: were there one on each loop, the loop on which room is given
 * back would have it first, again and again. Their lock is for those who wait and those who end a wait; who finds room
 * takes the share's alone. A line is one loop's end of them, and tickets are its own: whoever finds room for those of
 * another loop sends that loop a letter.
 */
#ifndef HEADPOND_NET_LINE_H
#define HEADPOND_NET_LINE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/metric.h"
#include "base/share.h"
#include "net/loop.h"

/* Those who wait for accounts of one slot. */
struct line_lane {
    struct list turn;
    struct list clients; /* the first ticket of each, and of what it leaves, the next one first */
    unsigned count;      /* how many these are */
};

/* Who waits, of one kind. Under the lock. Nothing is allocated: a client's first ticket stands for the client. */
struct line_queue {
    struct list turns; /* the lanes in which somebody waits, the next one first */
    unsigned count;    /* how many these are */
    unsigned waiting;
    struct line_lane lanes[SHARE_SLOTS];
    struct list clients[SHARE_SLOTS]; /* by a hash of lane and client: these tickets, to be found */
};

#define LINE_LEAVES_MOST 7

/* What somebody waits for. */
enum line_why {
    LINE_NOTHING, /* it has room */
    LINE_ROOM,    /* so much is not free */
    LINE_KIND,    /* it is, but not for its kind */
    LINE_LEFT,    /* it is, but is left to those who leave less */
    LINE_ACCOUNT, /* the account has its part */
    LINE_CLIENT,  /* the client has */
    LINE_READY,   /* there is room, but it is not ready: nobody who gave up some would help it */
    LINE_TURN,    /* it has not been offered any yet; what it waits for, its client's first one says */
    LINE_WHYS,
};

/* All loops'. */
struct line_share {
    struct share room;
    enum metric waiting; /* a gauge: who waits */
    atomic_uint crowd;   /* the same */
    /* For what, by kind and by the slot of what it is about: the account (also where it is not ready), the client, how
     * much it leaves, or the first one. */
    atomic_uint waits_for[2][LINE_WHYS][SHARE_SLOTS];
    pthread_mutex_t lock; /* over the next two, and what lines and tickets say is under it */
    int64_t looked_ms;    /* when a loop last made all offers that it may (loop_now_ms) */
    struct line_queue queues[2];
};

/* One loop's. */
struct line {
    struct line_share *share;
    struct loop *loop;
    struct timer timer;
    struct letter letter; /* says that some have come */
    bool under_way;       /* the letter is; this and the next two under the lock */
    unsigned waiting;     /* in the queues, of this loop */
    struct list come;     /* have room, and are to be told */
};

/* Embedded in whoever has room, or waits for it. Whoever asks fills in what is below the first line. */
struct line_ticket {
    struct line *line;      /* NULL: neither */
    bool waits;             /* has not been told yet */
    struct line_lane *lane; /* where it waits, or NULL; this and the next five under the lock */
    bool first;             /* of its client there */
    struct list link;       /* those of one client, in the order of coming: a ring without a head */
    struct list turn;       /* the first one's, in the lane, */
    struct list found;      /* and where it is found */
    enum line_why why;      /* it waits */

    bool favoured;
    unsigned leaves;  /* so many eighths (base/share.h), LINE_LEAVES_MOST at the most */
    uint64_t account; /* a hash, as is the client */
    uint64_t client;
    size_t bytes; /* what is set aside for it */
    /* Whether what it needs besides room is there at this moment, and its own from now on. May be NULL. Any thread,
     * under the lock, while it waits. */
    bool (*ready)(struct line_ticket *ticket);
    /* There is room. Once, from its loop, for line_wait. */
    void (*come)(struct line_ticket *ticket);
};

/* Before the loops start, and after they have been joined. */
void line_share_init(struct line_share *share, const struct share_terms *terms, enum metric waiting);
void line_share_fini(struct line_share *share);
/* Somebody waits because there is no room. Any thread, as the next one. */
bool line_full(const struct line_share *share);
/* That, or somebody waits for what this account is given, or this client of it: whoever does without, and is of it, gives
 * up what it can. */
bool line_contended(const struct line_share *share, uint64_t account, uint64_t client);

void line_init(struct line *line, struct line_share *share, struct loop *loop);
/* Nobody waits any more. At the loop's end: a letter may be under way, which is lost with the loop's mailbox. */
void line_fini(struct line *line);

/* Asks for a ticket that holds nothing: true if there is room now and nobody waits for it who goes first. The favoured
 * pass the others. The first of each kind finds room in any case, whatever it takes. */
bool line_try(struct line *line, struct line_ticket *ticket);
/* After that was false: it will `come`. */
void line_wait(struct line *line, struct line_ticket *ticket);
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
