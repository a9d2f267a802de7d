/* SPDX-License-Identifier: Apache-2.0 */
/*
 * budget.h: what one storage account is asked for: requests in a second and at once, bytes in a second (rate.h), all
 * loops together. Who finds nothing left waits, each client in its turn (fair.h).
 *
 * At once are those requests that wait for their reply's head, in another attempt, too, if there is one; but not those
 * with a body. How long a body takes is often up to a client, and who sends or reads slowly shall keep nobody else
 * from asking. Bodies that are read count in bytes. A debt of these stops those who read, not those who ask.
 *
 * An account is busy by replies of 503, 429, and 500 OperationTimedOut (attempt.c). It is asked for half as much, in
 * requests and in bytes, when in this second and the one before either one in 16 of what it was asked was answered so,
 * and for 5 blobs or more (each counted once in 2 s): or 20 were and every second one, whatever the blobs. Then it is
 * asked for nothing until the Retry-After of that reply is over, 10 s at most (retry.h); bodies go on. No more than one
 * reply in a second is heard. Half is of what it was really asked; it is never less than a 64th of `max_requests`, one
 * request, and 64 MiB a second (or `max_rate`). Other accounts do not notice.
 *
 * The numbers are all loops' and are taken under a lock that is held for a few instructions, twice a request and twice
 * for each piece of a body that libcurl hands out. Who waits does so on its own loop, which looks every few
 * milliseconds; loops share what there is by the number of clients that wait on them. For how long is up to whoever
 * asks (admission.h).
 */
#ifndef HEADPOND_ORIGIN_BUDGET_H
#define HEADPOND_ORIGIN_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fair.h"

struct loop;
struct origin_budget;
struct budget_queue;

/* Of an account, whose name is for the metrics and the log. `max_rate`: bytes a second, 0: any number. */
struct origin_budget *origin_budget_new(const char *account, int64_t max_requests, int64_t max_rate);
/* When no ticket is left. Empties the pointer. */
void origin_budget_free(struct origin_budget **budget);

/* What is waited for; served in this order. */
enum budget_kind {
    BUDGET_READ,
    BUDGET_AGAIN,    /* to ask, by who has room in memory already */
    BUDGET_FAVOURED, /* to ask, by the favoured (net/line.h) */
    BUDGET_ASK,      /* to ask, by the others, who are the first now and then */
    BUDGET_KINDS,
};

/* Embedded in a request. Its loop's own. */
struct budget_ticket {
    struct origin_budget *budget; /* NULL: whatever is asked for is granted */
    struct loop *loop;
    struct fair_node node;
    struct budget_queue *queue; /* where it waits, or NULL */
    uint64_t client;
    bool favoured;
    enum budget_kind kind;                      /* what it waits for */
    bool granted;                               /* a turn to read that is not used yet */
    bool asking;                                /* it counts among those at once */
    bool deferred;                              /* it would, but waits for something else */
    void (*come)(struct budget_ticket *ticket); /* from the loop, once for each time it was told to wait */
};

/* `client`: a hash of whom the request is for. */
void budget_ticket_init(struct budget_ticket *ticket, struct loop *loop, struct origin_budget *budget, uint64_t client,
                        void (*come)(struct budget_ticket *ticket));
/* True: ask now (as before, when it has been granted already). False: `come` will say. */
bool budget_ask(struct budget_ticket *ticket);
/* Asks only if that may be now. */
bool budget_try(struct budget_ticket *ticket);
/* Asks for another attempt, or another request in the place of one that has ended. Such a one holds room in memory that
 * others wait for who have the right to ask, so it is bounded by the rate alone. */
bool budget_again(struct budget_ticket *ticket);
/* Hands the right to ask, if it has it, to a ticket of the same budget that has none. */
void budget_move(struct budget_ticket *to, struct budget_ticket *from);
/* Makes a ticket for the same client of the same budget, and hands it that right. `from` NULL: of none. */
void budget_take_over(struct budget_ticket *to, struct loop *loop, struct budget_ticket *from,
                      void (*come)(struct budget_ticket *ticket));
/* Has the right to ask, and will not yet: others may meanwhile. What it is of the rate stays its own. */
void budget_defer(struct budget_ticket *ticket);
/* Takes the right again, if not as many ask already. True also for one that was not deferred. Any thread, under a lock
 * by which the ticket's loop leaves it alone. */
bool budget_resume(struct budget_ticket *ticket);
/* The head has come, or the attempt is over. Also without having asked. */
void budget_answered(struct budget_ticket *ticket);
/* True: take what libcurl offers. False: refuse it, and go on when `come` says so. */
bool budget_may_read(struct budget_ticket *ticket);
void budget_read(struct budget_ticket *ticket, int64_t bytes);
/* Gives up what it has and waits for. */
void budget_leave(struct budget_ticket *ticket);

/* A reply said that the account is busy, or this blob of it (a hash of its name); see above for what comes of it.
 * `retry_after`: ms, or -1. Any thread. */
void origin_budget_busy(struct origin_budget *budget, uint64_t blob, int64_t retry_after);
/* A request waited in vain, for so long. The log is told once a second at most. Any thread. */
void origin_budget_refused(struct origin_budget *budget, int64_t waited_ms);
/* It is asked for less, and has been so busy in the last 2 s that it was asked for half. Any thread; NULL: it is not. */
bool origin_budget_slows(struct origin_budget *budget);
/* Somebody waits: no time to ask for what nobody reads yet. Any thread; NULL: nobody does. */
bool origin_budget_contended(const struct origin_budget *budget);

/* The loop ends; nobody waits on it. */
void origin_budget_loop_fini(struct loop *loop);

#endif
