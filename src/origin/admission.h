/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admission.h: what an origin request waits for before it is made: first for the account's budget (budget.h), then for
 * room in memory (net/line.h). In this order, because an account that is asked for little has many that wait, and they
 * shall not take the room of those who want another's. Owning loop only.
 */
#ifndef HEADPOND_ORIGIN_ADMISSION_H
#define HEADPOND_ORIGIN_ADMISSION_H

#include "net/line.h"
#include "origin/budget.h"

/* Embedded in whoever asks. A zero one has nothing to give up. */
struct admission {
    struct budget_ticket budget;
    struct line_ticket room;
    struct line *line; /* while it waits for the budget */
    struct line_ticket wish;
};

struct admission_terms {
    struct origin_budget *budget; /* or NULL */
    uint64_t client;
    struct budget_ticket *asked; /* whose right to ask is taken over, or NULL; of the same budget */
    struct line *line;
    struct line_ticket wish; /* its `come` is told NO_MEMORY, OVER_BUDGET or OK */
};

/* True: it may be made. False: `come` will say. */
bool admission_ask(struct admission *admission, const struct admission_terms *terms);
/* Asks only if it may be made now. */
bool admission_try(struct admission *admission, const struct admission_terms *terms);
/* Has room, or waits for it or for the budget. */
bool admission_has(const struct admission *admission);
/* Hands both to another owner, who has nothing; not while it waits. */
void admission_move(struct admission *to, struct admission *from);
/* Gives up what it has and waits for. */
void admission_leave(struct admission *admission);

#endif
