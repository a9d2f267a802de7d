/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_budget.c: those who wait until an account may be asked: by rate and at once, favoured or not, on several loops,
 * and who leaves in the middle of it. Turns of clients on one loop are test_fair.c's, rates test_rate.c's.
 */
#include "origin/budget_inside.h"

#include <pthread.h>
#include <unistd.h>

#include "accounts_apart.h"
#include "base/clock.h"
#include "net/loop.h"
#include "on_loop.h"
#include "tap.h"

#define LOOPS 2
#define DEADLINE_MS 20000

struct waiter {
    struct budget_ticket ticket;
    atomic_int told;
    int64_t at_ms;
    struct waiter *leaves; /* this one leaves when it is told */
};

static struct loop *loops[LOOPS];

static void loop_ends(struct loop *loop, void *arg)
{
    (void) arg;
    origin_budget_loop_fini(loop);
}

static void come(struct budget_ticket *ticket)
{
    struct waiter *waiter = CONTAINER_OF(ticket, struct waiter, ticket);
    if (waiter->leaves != NULL)
        budget_leave(&waiter->leaves->ticket);
    waiter->at_ms = clock_mono_ms();
    waiter->told = 1;
}

static void ask(void *arg)
{
    struct waiter *waiter = arg;
    if (budget_ask(&waiter->ticket))
        waiter->told = 1;
}

static void ask_again(void *arg)
{
    struct waiter *waiter = arg;
    if (budget_again(&waiter->ticket))
        waiter->told = 1;
}

static void answered(void *arg)
{
    budget_answered(&((struct waiter *) arg)->ticket);
}

static void leave(void *arg)
{
    budget_leave(&((struct waiter *) arg)->ticket);
}

static void prepare(struct waiter *waiter, unsigned loop, struct origin_budget *budget, uint64_t client)
{
    *waiter = (struct waiter){0};
    budget_ticket_init(&waiter->ticket, loops[loop], budget, client, come);
}

static bool is_told(struct waiter *waiter)
{
    for (int64_t end = clock_mono_ms() + DEADLINE_MS; waiter->told == 0 && clock_mono_ms() < end;)
        usleep(1000);
    return waiter->told == 1;
}

static int64_t asking(struct origin_budget *budget)
{
    pthread_mutex_lock(&budget->lock);
    int64_t count = budget->asking;
    pthread_mutex_unlock(&budget->lock);
    return count;
}

/* A Retry-After. */
static void hold_for(struct origin_budget *budget, int64_t ms)
{
    pthread_mutex_lock(&budget->lock);
    budget->until_us = clock_mono_us() + ms * 1000;
    pthread_mutex_unlock(&budget->lock);
}

/* ---- Tests ---- */

/* Who holds room that others wait for asks again, though all that may ask at once do. */
static void test_at_once(void)
{
    enum { MOST = 40 };
    struct origin_budget *budget = origin_budget_new("at-once", MOST, 0);
    struct waiter first[MOST], next, again;
    for (unsigned i = 0; i < MOST; i++) {
        prepare(&first[i], 0, budget, i);
        on_loop(loops[0], ask, &first[i]);
    }
    unsigned good = 0;
    for (unsigned i = 0; i < MOST; i++)
        good += is_told(&first[i]);
    is_int(good, MOST, "so many ask");
    prepare(&next, 0, budget, 7);
    on_loop(loops[0], ask, &next);
    prepare(&again, 0, budget, 7);
    on_loop(loops[0], ask_again, &again);
    ok(is_told(&again), "another attempt is made");
    usleep(200000);
    is_int(next.told, 0, "another request is not, for as many ask at once as may");
    is_int(asking(budget), MOST + 1, "both are counted");
    ok(origin_budget_contended(budget), "somebody waits");
    on_loop(loops[0], answered, &again);
    on_loop(loops[0], answered, &first[0]);
    ok(is_told(&next), "when one is answered it is");
    ok(!origin_budget_contended(budget), "nobody waits");
    for (unsigned i = 0; i < MOST; i++)
        on_loop(loops[0], leave, &first[i]);
    on_loop(loops[0], leave, &next);
    is_int(asking(budget), 0, "all is given back");
    origin_budget_free(&budget);
}

static int64_t allowed(struct origin_budget *budget)
{
    pthread_mutex_lock(&budget->lock);
    int64_t requests = budget->requests.now;
    pthread_mutex_unlock(&budget->lock);
    return requests;
}

/* One blob that is busy, however often it is asked for, is no account that is. */
static void test_busy(void)
{
    enum { MOST = 2000, OTHERS = 150 };
    struct origin_budget *budget = origin_budget_new("busy", MOST, 0);
    for (unsigned i = 0; i < 8; i++)
        origin_budget_busy(budget, 1, -1);
    is_int(allowed(budget), MOST, "one blob in all its attempts, and nothing else");
    unsigned taken = 0;
    for (unsigned i = 0; i < OTHERS; i++)
        taken += budget_take_one(budget, BUDGET_ASK);
    is_int(taken, OTHERS, "others are asked for");
    for (unsigned i = 0; i < 50; i++)
        origin_budget_busy(budget, 1, 5000);
    is_int(allowed(budget), MOST, "the one blob again and again");
    for (unsigned i = 0; i < 3; i++)
        origin_budget_busy(budget, 2 + i, -1);
    is_int(allowed(budget), MOST, "and three more");
    ok(!origin_budget_slows(budget), "nobody waits for longer");
    origin_budget_busy(budget, 5, -1);
    ok(origin_budget_slows(budget), "who was refused waits for longer");
    ok(allowed(budget) < MOST / 2, "five are the account (%lld)", (long long) allowed(budget));
    budget_count(budget, -(int64_t) taken, 0);
    origin_budget_free(&budget);
}

/* Two turns come at once, and the first who has his takes the second away. */
static void test_leaving(void)
{
    struct origin_budget *budget = origin_budget_new("leaving", 1000, 0);
    struct waiter one, other;
    hold_for(budget, 60000); /* until both wait */
    prepare(&one, 0, budget, 7);
    prepare(&other, 0, budget, 8);
    one.leaves = &other;
    on_loop(loops[0], ask, &one);
    on_loop(loops[0], ask, &other);
    int64_t began = clock_mono_ms();
    hold_for(budget, 100);
    ok(is_told(&one) && one.at_ms - began >= 95, "who waits is told, when the account may be asked again");
    on_loop(loops[0], answered, &other); /* the event is over */
    is_int(other.told, 0, "who has left is not");
    is_int(asking(budget), 1, "nor counted");
    on_loop(loops[0], leave, &one);
    is_int(asking(budget), 0, "all is given back");
    origin_budget_free(&budget);
}

static void defer(void *arg)
{
    budget_defer(&((struct waiter *) arg)->ticket);
}

static void resume(void *arg)
{
    struct waiter *waiter = arg;
    waiter->told = budget_resume(&waiter->ticket) ? 2 : 3;
}

/* Who waits for something else lets others ask, and is not kept out by newcomers for ever. */
static void test_deferred(void)
{
    enum { MOST = 8 };
    struct origin_budget *budget = origin_budget_new("deferred", MOST, 0);
    struct waiter first[MOST], newcomers[MOST];
    for (unsigned i = 0; i < MOST; i++) {
        prepare(&first[i], 0, budget, i);
        on_loop(loops[0], ask, &first[i]);
        ok(is_told(&first[i]), "%u asks", i);
        on_loop(loops[0], defer, &first[i]);
    }
    is_int(asking(budget), 0, "all wait for something else");
    for (unsigned i = 0; i < MOST; i++) {
        prepare(&newcomers[i], 0, budget, 1);
        on_loop(loops[0], ask, &newcomers[i]);
    }
    unsigned good = 0;
    for (unsigned i = 0; i < 6; i++)
        good += is_told(&newcomers[i]);
    is_int(good, 6, "others ask meanwhile");
    usleep(200000);
    ok(!newcomers[6].told && !newcomers[7].told, "but leave some");
    for (unsigned i = 0; i < 3; i++)
        on_loop(loops[0], resume, &first[i]);
    ok(first[0].told == 2 && first[1].told == 2 && first[2].told == 3, "to those who come back, while there are any");
    is_int(asking(budget), MOST, "as many ask as may");
    on_loop(loops[0], answered, &newcomers[0]);
    on_loop(loops[0], resume, &first[2]);
    is_int(first[2].told, 2, "and one more when one is answered");
    hold_for(budget, 1000);
    on_loop(loops[0], answered, &newcomers[1]);
    on_loop(loops[0], resume, &first[3]);
    is_int(first[3].told, 3, "but not while the account wants a rest");
    hold_for(budget, 0);
    for (unsigned i = 0; i < MOST; i++) {
        on_loop(loops[0], leave, &first[i]);
        on_loop(loops[0], leave, &newcomers[i]);
    }
    is_int(asking(budget) + budget->deferred, 0, "all is given back");
    origin_budget_free(&budget);
}

/* The others come first now and then, in each account's queue, so that the favoured do not keep them out. */
static void test_others(void)
{
    enum { CROWD = 120, BUDGETS = 2 };
    static struct waiter favoured[BUDGETS][CROWD];
    struct origin_budget *budgets[BUDGETS] = {origin_budget_new("one", 300, 0), origin_budget_new("two", 300, 0)};
    struct waiter others[BUDGETS];
    for (unsigned b = 0; b < BUDGETS; b++)
        hold_for(budgets[b], 60000); /* until all wait */
    for (unsigned b = 0; b < BUDGETS; b++) {
        for (unsigned i = 0; i < CROWD; i++) {
            prepare(&favoured[b][i], 0, budgets[b], 1);
            favoured[b][i].ticket.favoured = true;
            on_loop(loops[0], ask, &favoured[b][i]);
        }
        prepare(&others[b], 0, budgets[b], 1);
        on_loop(loops[0], ask, &others[b]);
    }
    for (unsigned b = 0; b < BUDGETS; b++)
        hold_for(budgets[b], 0);
    for (unsigned b = 0; b < BUDGETS; b++) {
        ok(is_told(&favoured[b][CROWD - 1]) && is_told(&others[b]) && others[b].at_ms < favoured[b][CROWD - 1].at_ms,
           "account %u: who is not favoured has a turn among those who are", b);
        for (unsigned i = 0; i < CROWD; i++)
            on_loop(loops[0], leave, &favoured[b][i]);
        on_loop(loops[0], leave, &others[b]);
        is_int(asking(budgets[b]), 0, "all is given back");
        origin_budget_free(&budgets[b]);
    }
}

/* A client alone on its loop, and nine on the other: each has about a tenth. */
static void test_loops(void)
{
    enum { CLIENTS = 10, EACH = 60 };
    static struct waiter waiters[CLIENTS][EACH];
    struct origin_budget *budget = origin_budget_new("loops", 300, 0);
    uint64_t clients[CLIENTS];
    accounts_apart(clients, CLIENTS); /* for turns, too (base/fair.h) */
    for (unsigned n = 0; n < EACH; n++)
        for (unsigned client = 0; client < CLIENTS; client++) {
            prepare(&waiters[client][n], client > 0, budget, clients[client]);
            on_loop(loops[client > 0], ask, &waiters[client][n]);
        }
    usleep(700000);
    unsigned alone = 0, all = 0;
    for (unsigned client = 0; client < CLIENTS; client++)
        for (unsigned n = 0; n < EACH; n++) {
            all += waiters[client][n].told == 1;
            alone += client == 0 && waiters[client][n].told == 1;
        }
    ok(alone * 10 >= all / 4 && alone * 10 <= all * 2, "who is alone on its loop has no more than its part (%u of %u)",
       alone, all);
    for (unsigned client = 0; client < CLIENTS; client++)
        for (unsigned n = 0; n < EACH; n++)
            on_loop(loops[client > 0], leave, &waiters[client][n]);
    is_int(asking(budget), 0, "all is given back");
    origin_budget_free(&budget);
}

int main(void)
{
    for (unsigned i = 0; i < LOOPS; i++) {
        loops[i] = loop_new(i);
        loop_start(loops[i], NULL, loop_ends, NULL);
    }
    test_at_once();
    test_busy();
    test_leaving();
    test_deferred();
    test_loops();
    test_others();
    for (unsigned i = 0; i < LOOPS; i++) {
        loop_stop(loops[i]);
        loop_join(loops[i]);
        loop_free(loops[i]);
    }
    return done_testing();
}
