/* SPDX-License-Identifier: Apache-2.0 */
/* budget_inside.h: the numbers of budget.c, for those who wait for them in budget_wait.c. */
#ifndef HEADPOND_ORIGIN_BUDGET_INSIDE_H
#define HEADPOND_ORIGIN_BUDGET_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/log.h"
#include "base/metric.h"
#include "origin/budget.h"
#include "origin/rate.h"

#define BUDGET_SAID 16
#define BUDGET_SAID_US 2000000

/* Those who wait for their first turn count as asking from when it is handed out. */
static inline bool budget_is_first(enum budget_kind kind)
{
    return kind == BUDGET_FAVOURED || kind == BUDGET_ASK;
}

struct origin_budget {
    const char *account;
    struct metric_cell *waiting_cell;
    struct metric_cell *busy_cell;
    struct metric_cell *allowed_cell;
    pthread_mutex_t lock; /* over what follows, but for sharers */
    struct origin_rate requests;
    struct origin_rate bytes;
    struct origin_count busy;  /* replies that said so */
    struct origin_count blobs; /* of how many blobs, each counted once in BUDGET_SAID_US */
    struct budget_said {
        uint64_t blob;
        int64_t us;
    } said[BUDGET_SAID]; /* by which they were, the last ones */
    unsigned next_said;
    struct log_crowd refused;
    int64_t asking;                    /* have the right to ask, and no head yet */
    int64_t deferred;                  /* have lent it while they wait for room */
    int64_t until_us;                  /* Retry-After */
    atomic_uint sharers[BUDGET_KINDS]; /* clients that wait; one counts once on each loop */
};

/* Takes one, if there is one and nobody waits for it. Any thread, like the others. */
bool budget_take_one(struct origin_budget *budget, enum budget_kind kind);
/* Takes what there is for a loop on which so many wait, of so many clients: its part by these, of all clients that wait
 * on any loop. What is left of the division goes by `lot`, from 0 to 1. How many that is. */
int64_t budget_take_part(struct origin_budget *budget, enum budget_kind kind, unsigned sharers, unsigned waiting,
                         double lot);
/* So many more, or fewer, are asking, and are deferred. */
void budget_count(struct origin_budget *budget, int64_t asking, int64_t deferred);
/* One of these asks now, if not as many do already. */
bool budget_take_deferred(struct origin_budget *budget);
/* So many bytes have been read. */
void budget_count_bytes(struct origin_budget *budget, int64_t bytes);

#endif
