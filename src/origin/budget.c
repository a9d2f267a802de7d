/* SPDX-License-Identifier: Apache-2.0 */
/* budget.c: the numbers of budget.h: what may be asked for now, and what an account's being busy makes of it. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "origin/budget_inside.h"

/* However busy it says to be: a 64th of the requests, and so many bytes that it will not have meant them. */
#define LEAST_PART 64
#define LEAST_BYTES (INT64_C(64) << 20)
/* So many blobs in two seconds, and one in so many replies. */
#define BUSY_BLOBS 5
#define BUSY_PART 16
/* Or so many replies, and every second one. */
#define BUSY_MANY 20
#define BUSY_MOST 2
/* So long after a halving it may still be too busy. */
#define SLOWS_US 2000000
/* Of those at once. */
#define DEFERRED_PART 4
/* What one turn to read brings, about. */
#define PIECE_BYTES (INT64_C(256) << 10)

struct origin_budget *origin_budget_new(const char *account, int64_t max_requests, int64_t max_rate)
{
    struct origin_budget *budget = mem_calloc(1, sizeof *budget);
    int64_t now = clock_mono_us(), least = max_requests / LEAST_PART;
    budget->account = account;
    budget->waiting_cell = metric_cell(METRIC_ORIGIN_WAITING, account);
    budget->busy_cell = metric_cell(METRIC_ORIGIN_BUSY, account);
    budget->allowed_cell = metric_cell(METRIC_ORIGIN_ALLOWED, account);
    pthread_mutex_init(&budget->lock, NULL);
    origin_rate_init(&budget->requests, max_requests, least < 1 ? 1 : least, now);
    origin_rate_init(&budget->bytes, max_rate, LEAST_BYTES, now);
    metric_cell_set(budget->allowed_cell, max_requests);
    return budget;
}

void origin_budget_free(struct origin_budget **budget)
{
    struct origin_budget *gone = *budget;
    *budget = NULL;
    if (gone == NULL)
        return;
    pthread_mutex_destroy(&gone->lock);
    mem_free(gone);
}

/* How many may ask at once besides those who do. Newcomers leave the deferred, who have waited already, a quarter of
 * all. Under the lock. */
static int64_t at_once(const struct origin_budget *budget, bool newcomer)
{
    int64_t most = budget->requests.now, left = most / DEFERRED_PART;
    if (newcomer)
        most -= budget->deferred < left ? budget->deferred : left;
    return most - budget->asking;
}

/* How many may begin now: requests, or turns to read. Under the lock. */
static int64_t room(struct origin_budget *budget, enum budget_kind kind, int64_t now)
{
    if (kind == BUDGET_READ) {
        int64_t bytes = origin_rate_room(&budget->bytes, now);
        return bytes > INT64_MAX - PIECE_BYTES ? bytes : (bytes + PIECE_BYTES - 1) / PIECE_BYTES;
    }
    if (now < budget->until_us)
        return 0;
    int64_t requests = origin_rate_room(&budget->requests, now);
    metric_cell_set(budget->allowed_cell, budget->requests.now);
    int64_t newcomers = at_once(budget, true);
    return kind == BUDGET_AGAIN || requests < newcomers ? requests : newcomers;
}

/* Under the lock. Bytes are counted when they have come. */
static void take(struct origin_budget *budget, enum budget_kind kind, int64_t count, int64_t now)
{
    if (kind != BUDGET_READ)
        origin_rate_take(&budget->requests, count, now);
    if (budget_is_first(kind))
        budget->asking += count;
}

static bool somebody_waits(const struct origin_budget *budget, enum budget_kind kind)
{
    return atomic_load_explicit(&budget->sharers[kind], memory_order_relaxed) > 0;
}

bool budget_take_one(struct origin_budget *budget, enum budget_kind kind)
{
    if (somebody_waits(budget, kind) || (kind == BUDGET_ASK && somebody_waits(budget, BUDGET_FAVOURED)))
        return false;
    int64_t now = clock_mono_us();
    pthread_mutex_lock(&budget->lock);
    bool there = room(budget, kind, now) > 0;
    if (there)
        take(budget, kind, 1, now);
    pthread_mutex_unlock(&budget->lock);
    return there;
}

int64_t budget_take_part(struct origin_budget *budget, enum budget_kind kind, unsigned sharers, unsigned waiting,
                         double lot)
{
    int64_t now = clock_mono_us(), part = 0;
    pthread_mutex_lock(&budget->lock);
    int64_t all = room(budget, kind, now);
    if (all > 0) {
        unsigned total = atomic_load_explicit(&budget->sharers[kind], memory_order_relaxed);
        double exact = (double) all * sharers / (total > sharers ? total : sharers) + lot;
        part = exact < waiting ? (int64_t) exact : waiting;
        take(budget, kind, part, now);
    }
    pthread_mutex_unlock(&budget->lock);
    return part;
}

void budget_count(struct origin_budget *budget, int64_t asking, int64_t deferred)
{
    pthread_mutex_lock(&budget->lock);
    budget->asking += asking;
    budget->deferred += deferred;
    pthread_mutex_unlock(&budget->lock);
}

bool budget_take_deferred(struct origin_budget *budget)
{
    int64_t now = clock_mono_us();
    pthread_mutex_lock(&budget->lock);
    bool there = now >= budget->until_us && at_once(budget, false) > 0;
    if (there) {
        budget->deferred--;
        budget->asking++;
    }
    pthread_mutex_unlock(&budget->lock);
    return there;
}

void budget_count_bytes(struct origin_budget *budget, int64_t bytes)
{
    int64_t now = clock_mono_us();
    pthread_mutex_lock(&budget->lock);
    origin_rate_take(&budget->bytes, bytes, now);
    pthread_mutex_unlock(&budget->lock);
}

/* Whether that blob has not said so lately. */
static bool is_another(struct origin_budget *budget, uint64_t blob, int64_t now)
{
    for (unsigned i = 0; i < BUDGET_SAID; i++)
        if (budget->said[i].blob == blob && budget->said[i].us != 0 && now - budget->said[i].us < BUDGET_SAID_US)
            return false;
    budget->said[budget->next_said] = (struct budget_said){blob, now};
    budget->next_said = (budget->next_said + 1) % BUDGET_SAID;
    return true;
}

/* One blob whose partition is busy, or being moved, says so in every reply, and each request for it is tried again:
 * that is no reason to ask for less of others, unless hardly anything else is asked for. */
static bool is_meant(struct origin_budget *budget, uint64_t blob, int64_t now)
{
    origin_count_add(&budget->busy, 1, now);
    origin_count_add(&budget->blobs, is_another(budget, blob, now), now);
    int64_t busy = origin_count_of(&budget->busy, now), all = origin_count_of(&budget->requests.count, now);
    return (origin_count_of(&budget->blobs, now) >= BUSY_BLOBS && busy * BUSY_PART >= all) ||
           (busy >= BUSY_MANY && busy * BUSY_MOST >= all);
}

void origin_budget_busy(struct origin_budget *budget, uint64_t blob, int64_t retry_after)
{
    if (budget == NULL)
        return;
    int64_t now = clock_mono_us();
    metric_cell_add(budget->busy_cell, 1);
    pthread_mutex_lock(&budget->lock);
    bool heard = is_meant(budget, blob, now) && origin_rate_halve(&budget->requests, now);
    if (heard)
        (void) origin_rate_halve(&budget->bytes, now);
    if (heard && retry_after > 0 && now + retry_after * 1000 > budget->until_us)
        budget->until_us = now + retry_after * 1000;
    int64_t requests = budget->requests.now, bytes = budget->bytes.now;
    metric_cell_set(budget->allowed_cell, requests);
    pthread_mutex_unlock(&budget->lock);
    if (heard)
        log_event(ORIGIN_BUSY,
                  "account=%s requests_per_second=%lld bytes_per_second=%lld retry_after_ms=%lld: it is asked for less",
                  budget->account, (long long) requests, (long long) bytes, (long long) retry_after);
}

void origin_budget_refused(struct origin_budget *budget, int64_t waited_ms)
{
    pthread_mutex_lock(&budget->lock);
    unsigned refused = log_crowd(&budget->refused, clock_mono_ms());
    pthread_mutex_unlock(&budget->lock);
    if (refused > 0)
        log_event(OVER_BUDGET, "account=%s requests=%u waited_ms=%lld: it is asked for as much as it may be",
                  budget->account, refused, (long long) waited_ms);
}

bool origin_budget_slows(struct origin_budget *budget)
{
    if (budget == NULL)
        return false;
    pthread_mutex_lock(&budget->lock);
    bool slows = budget->requests.knee > 0 && clock_mono_us() - budget->requests.halved_us < SLOWS_US;
    pthread_mutex_unlock(&budget->lock);
    return slows;
}

bool origin_budget_contended(const struct origin_budget *budget)
{
    for (enum budget_kind kind = 0; budget != NULL && kind < BUDGET_KINDS; kind++)
        if (somebody_waits(budget, kind))
            return true;
    return false;
}
