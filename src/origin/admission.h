/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admission.h: what an origin request waits for before it is made: first for the account's budget (budget.h), then for
 * room in memory (net/line.h). In this order, because an account that is asked for little has many that wait, and they
 * shall not take the room of those who want another's. While it waits for room others may ask in its place.
 *
 * Who waits holds something, too, if only its request, so that there is a share of `memory` for it, as there is for what
 * is under way (base/share.h): who would make those that wait hold too much is told to come again, and so is who has
 * waited for too long. Of either share neither one account nor one client of it may have all; nor may one client wait
 * with all there is by asking for many accounts.
 *
 * A class is all loops', a queue one loop's; each kind of work has one class and, on each loop, one queue.
 */
#ifndef HEADPOND_ORIGIN_ADMISSION_H
#define HEADPOND_ORIGIN_ADMISSION_H

#include "base/log.h"
#include "base/status.h"
#include "net/line.h"
#include "origin/budget.h"

struct admission_terms {
    const char *what;    /* for the log: "no room in `memory` for …" */
    enum metric waiting; /* a gauge: who waits for room */
    /* Parts of `memory` (base/share.h): what is under way may take, and what those who wait may hold. */
    unsigned part, waiting_part;
    size_t least;     /* of the former */
    unsigned most[2]; /* of either, in eighths, what the others and the favoured may have */
    int64_t patience_ms;
};

struct admission_class {
    const char *what;
    int64_t patience_ms;
    struct line_share room;
    struct share waiting; /* what those who wait hold */
};

struct admission_queue {
    struct admission_class *class;
    struct loop *loop;
    struct line line;
    struct list waiting; /* in the order of coming */
    struct list refused; /* are told so from the loop */
    struct timer timer;
    struct log_crowd untold; /* refusals */
};

/* Embedded in whoever asks. A zero one has nothing to give up. */
struct admission {
    struct budget_ticket budget;
    struct line_ticket room;
    struct admission_queue *queue; /* where it waits, or NULL */
    struct list link;              /* there */
    int64_t since_ms;              /* loop_now_ms */
    size_t held;
    void (*come)(void *arg, enum status why);
    void *arg;
};

struct admission_wish {
    struct origin_budget *budget; /* or NULL */
    uint64_t account;             /* a hash, as is the client */
    uint64_t client;
    struct budget_ticket *asked; /* whose right to ask is taken over, or NULL; of the same budget */
    bool favoured;
    unsigned leaves; /* as a line_ticket's */
    size_t bytes;    /* what is set aside for it */
    size_t held;     /* what it holds while it waits */
    /* From the loop, once: OK, NO_MEMORY or OVER_BUDGET. */
    void (*come)(void *arg, enum status why);
    void *arg;
};

/* Before the loops start, and after they have been joined. */
void admission_class_init(struct admission_class *class, const struct admission_terms *terms);
void admission_class_fini(struct admission_class *class);
void admission_queue_init(struct admission_queue *queue, struct admission_class *class, struct loop *loop);
/* Nobody waits any more. */
void admission_queue_fini(struct admission_queue *queue);

/* What follows is for the queue's loop. True: it may be made. False: `come` will say. */
bool admission_ask(struct admission *admission, struct admission_queue *queue, const struct admission_wish *wish);
/* Asks only if it may be made now. */
bool admission_try(struct admission *admission, struct admission_queue *queue, const struct admission_wish *wish);
/* Has room, or waits for it or for the budget. */
bool admission_has(const struct admission *admission);
/* Hands both to another owner, who has nothing; not while it waits. */
void admission_move(struct admission *to, struct admission *from);
/* Gives up the room, and keeps the right to ask for another class; not while it waits. */
void admission_leave_room(struct admission *admission);
/* Gives up what it has and waits for. */
void admission_leave(struct admission *admission);

#endif
