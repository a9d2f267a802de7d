/* SPDX-License-Identifier: Apache-2.0 */
/*
 * line.h: room for what comes in crowds (I8). Of a kind of work that holds memory for as long as a client or an origin
 * likes, only so much is under way at once as fits into a share of `memory`; the others wait before they hold anything
 * but what they came with, each on its own loop, in the order of coming. Who has waited for too long is told to come
 * again, and so is at once who would make those that wait hold too much.
 *
 * There are two queues, the favoured and the others. The favoured go first. Either may be kept from taking the whole
 * share, and the whole line, so that a crowd of one kind leaves the other something.
 *
 * The share is all loops' and its numbers are taken by any of them; a line is one loop's, as are its tickets.
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
#include "base/status.h"
#include "net/loop.h"

#define LINE_EIGHTHS 8

struct line_terms {
    const char *what;      /* for the log: "no room in `memory` for …" */
    enum metric waiting;   /* a gauge: who waits, all loops' */
    unsigned part;         /* the share is memory / part, */
    size_t least;          /* but not less than this, in bytes; */
    unsigned most[2];      /* what the others [0] and the favoured [1] may take of it, in eighths */
    unsigned waiting_part; /* those who wait may hold memory / waiting_part; */
    int64_t patience_ms;   /* and wait for so long */
};

/* All loops'. */
struct line_share {
    struct line_terms terms;
    pthread_mutex_t lock; /* over the next two; held for a few instructions */
    size_t taken[2];
    size_t held[2];         /* by those who wait */
    atomic_uint contenders; /* who waits */
};

/* One loop's. */
struct line {
    struct line_share *share;
    struct loop *loop;
    struct list queues[2];
    struct list refused; /* found the line full and are told from the loop */
    struct timer timer;
    int64_t look_ms; /* when it fires; -1: not set */
    unsigned untold; /* refusals since the log was told */
    int64_t told_ms;
};

/* Embedded in whoever has room, or waits for it. */
struct line_ticket {
    struct line *line; /* NULL: neither */
    struct list link;  /* while it waits */
    bool favoured;
    size_t bytes;  /* what is set aside for it */
    size_t held;   /* what it holds while it waits */
    int64_t since; /* loop_now_ms */
    void (*come)(void *arg, enum status why);
    void *arg;
};

/* Before the loops start, and after they have been joined. */
void line_share_init(struct line_share *share, const struct line_terms *terms);
void line_share_fini(struct line_share *share);
/* Somebody waits. Any thread. */
bool line_contended(const struct line_share *share);

void line_init(struct line *line, struct line_share *share, struct loop *loop);
/* Nobody waits any more. */
void line_fini(struct line *line);

/* Fills a ticket that holds nothing. True: there is room now. False: `come` will be called once, from the loop: OK, or
 * NO_MEMORY. The first of each kind finds room in any case, whatever it takes. */
bool line_ask(struct line *line, struct line_ticket *ticket, const struct line_ticket *wish);
/* Fills the ticket only if there is room now and nobody waits for it; for what can be done without. */
bool line_try(struct line *line, struct line_ticket *ticket, const struct line_ticket *wish);
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
