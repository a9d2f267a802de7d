/* SPDX-License-Identifier: Apache-2.0 */
/*
 * budget_wait.c: tickets, and those who wait. A loop has a queue for each account that somebody waits for there, and
 * one timer for all.
 */
#include <assert.h>

#include "base/fair.h"
#include "base/mem.h"
#include "net/loop.h"
#include "origin/budget_inside.h"

#define TICK_MS 5
/* Every so many ticks those who are not favoured come first. */
#define OTHERS_FIRST 8

/* Who waits for an account on one loop. It is there as long as somebody does. */
struct budget_queue {
    struct list link;
    struct origin_budget *budget;
    struct fair kinds[BUDGET_KINDS];
};

struct budget_loop {
    struct timer timer;
    struct list queues;
    unsigned ticks;
    uint64_t dice;
};

/* ---- The queues. ---- */

static void note_sharers(struct budget_queue *queue, enum budget_kind kind, unsigned before)
{
    unsigned now = queue->kinds[kind].sharers;
    if (now > before)
        atomic_fetch_add_explicit(&queue->budget->sharers[kind], now - before, memory_order_relaxed);
    else if (now < before)
        atomic_fetch_sub_explicit(&queue->budget->sharers[kind], before - now, memory_order_relaxed);
}

static void queue_add(struct budget_queue *queue, struct budget_ticket *ticket, enum budget_kind kind)
{
    unsigned before = queue->kinds[kind].sharers;
    ticket->queue = queue;
    ticket->kind = kind;
    fair_add(&queue->kinds[kind], &ticket->node, ticket->client);
    note_sharers(queue, kind, before);
    metric_cell_add(queue->budget->waiting_cell, 1);
}

/* It waits no more; it has been taken out of the fair queue, which had `before` sharers. */
static void queue_removed(struct budget_ticket *ticket, unsigned before)
{
    note_sharers(ticket->queue, ticket->kind, before);
    metric_cell_add(ticket->budget->waiting_cell, -1);
    ticket->queue = NULL;
}

static void queue_remove(struct budget_ticket *ticket)
{
    struct fair *fair = &ticket->queue->kinds[ticket->kind];
    unsigned before = fair->sharers;
    fair_remove(fair, &ticket->node);
    queue_removed(ticket, before);
}

/* It has the right to ask, which has been counted but for BUDGET_AGAIN. */
static void now_asking(struct budget_ticket *ticket, enum budget_kind kind)
{
    if (!ticket->asking && kind == BUDGET_AGAIN)
        budget_count(ticket->budget, 1, 0);
    ticket->asking = true;
}

static int64_t take_part(struct budget_loop *home, struct budget_queue *queue, enum budget_kind kind)
{
    const struct fair *fair = &queue->kinds[kind];
    home->dice = home->dice * UINT64_C(6364136223846793005) + 1442695040888963407;
    return budget_take_part(queue->budget, kind, fair->sharers, fair->waiting,
                            (double) (home->dice >> 32) / 4294967296.0);
}

static void serve(struct budget_loop *home, struct budget_queue *queue, enum budget_kind kind)
{
    struct fair *fair = &queue->kinds[kind];
    if (fair->waiting == 0)
        return;
    for (int64_t left = take_part(home, queue, kind); left > 0; left--) {
        unsigned before = fair->sharers;
        struct fair_node *node = fair_first(fair);
        if (node == NULL) { /* somebody left from inside `come` */
            if (budget_is_first(kind))
                budget_count(queue->budget, -left, 0);
            return;
        }
        struct budget_ticket *ticket = CONTAINER_OF(node, struct budget_ticket, node);
        fair_serve(fair, node);
        queue_removed(ticket, before);
        if (kind == BUDGET_READ)
            ticket->granted = true;
        else
            now_asking(ticket, kind);
        ticket->come(ticket);
    }
}

static bool queue_in_use(const struct budget_queue *queue)
{
    for (enum budget_kind kind = 0; kind < BUDGET_KINDS; kind++)
        if (queue->kinds[kind].waiting > 0)
            return true;
    return false;
}

static void tick(struct timer *timer)
{
    struct budget_loop *home = CONTAINER_OF(timer, struct budget_loop, timer);
    bool others_first = ++home->ticks % OTHERS_FIRST == 0;
    LIST_FOR_EACH(node, &home->queues)
    {
        struct budget_queue *queue = LIST_ENTRY(node, struct budget_queue, link);
        if (others_first)
            serve(home, queue, BUDGET_ASK);
        for (enum budget_kind kind = 0; kind < BUDGET_KINDS; kind++)
            serve(home, queue, kind);
    }
    LIST_FOR_EACH_SAFE(node, &home->queues)
    {
        struct budget_queue *queue = LIST_ENTRY(node, struct budget_queue, link);
        if (queue_in_use(queue))
            continue;
        list_remove(&queue->link);
        mem_free(queue);
    }
    if (!list_empty(&home->queues))
        timer_set(&home->timer, TICK_MS);
}

static struct budget_loop *budget_loop_of(struct loop *loop)
{
    struct budget_loop *home = loop_get(loop, LOOP_SLOT_BUDGET);
    if (home != NULL)
        return home;
    home = mem_calloc(1, sizeof *home);
    home->dice = loop_id(loop);
    list_init(&home->queues);
    timer_init(&home->timer, loop, tick);
    loop_set(loop, LOOP_SLOT_BUDGET, home);
    return home;
}

void origin_budget_loop_fini(struct loop *loop)
{
    struct budget_loop *home = loop_get(loop, LOOP_SLOT_BUDGET);
    if (home == NULL)
        return;
    while (!list_empty(&home->queues)) {
        struct budget_queue *queue = LIST_ENTRY(home->queues.next, struct budget_queue, link);
        assert(!queue_in_use(queue));
        list_remove(&queue->link);
        mem_free(queue);
    }
    timer_fini(&home->timer);
    loop_set(loop, LOOP_SLOT_BUDGET, NULL);
    mem_free(home);
}

static struct budget_queue *queue_of(struct budget_loop *home, struct origin_budget *budget)
{
    LIST_FOR_EACH(node, &home->queues)
    {
        struct budget_queue *queue = LIST_ENTRY(node, struct budget_queue, link);
        if (queue->budget == budget)
            return queue;
    }
    timer_hasten(&home->timer, TICK_MS);
    struct budget_queue *queue = mem_calloc(1, sizeof *queue);
    queue->budget = budget;
    for (enum budget_kind kind = 0; kind < BUDGET_KINDS; kind++)
        fair_init(&queue->kinds[kind]);
    list_add_tail(&home->queues, &queue->link);
    return queue;
}

static void wait_for(struct budget_ticket *ticket, enum budget_kind kind)
{
    queue_add(queue_of(budget_loop_of(ticket->loop), ticket->budget), ticket, kind);
}

static enum budget_kind kind_of(const struct budget_ticket *ticket)
{
    return ticket->favoured ? BUDGET_FAVOURED : BUDGET_ASK;
}

/* ---- Tickets. ---- */

void budget_ticket_init(struct budget_ticket *ticket, struct loop *loop, struct origin_budget *budget, uint64_t client,
                        void (*come)(struct budget_ticket *ticket))
{
    *ticket = (struct budget_ticket){.budget = budget, .loop = loop, .client = client, .come = come};
    list_init(&ticket->node.link);
}

bool budget_try(struct budget_ticket *ticket)
{
    if (ticket->budget == NULL || ticket->asking)
        return true;
    ticket->asking = budget_take_one(ticket->budget, kind_of(ticket));
    return ticket->asking;
}

bool budget_ask(struct budget_ticket *ticket)
{
    if (budget_try(ticket))
        return true;
    wait_for(ticket, kind_of(ticket));
    return false;
}

bool budget_again(struct budget_ticket *ticket)
{
    if (ticket->budget == NULL)
        return true;
    if (budget_take_one(ticket->budget, BUDGET_AGAIN)) {
        now_asking(ticket, BUDGET_AGAIN);
        return true;
    }
    wait_for(ticket, BUDGET_AGAIN);
    return false;
}

void budget_move(struct budget_ticket *to, struct budget_ticket *from)
{
    assert(!from->asking || (to->budget == from->budget && !to->asking));
    to->asking = to->asking || from->asking;
    from->asking = false;
}

void budget_take_over(struct budget_ticket *to, struct loop *loop, struct budget_ticket *from,
                      void (*come)(struct budget_ticket *ticket))
{
    budget_ticket_init(to, loop, from == NULL ? NULL : from->budget, from == NULL ? 0 : from->client, come);
    if (from != NULL)
        budget_move(to, from);
}

void budget_defer(struct budget_ticket *ticket)
{
    if (!ticket->asking)
        return;
    ticket->asking = false;
    ticket->deferred = true;
    budget_count(ticket->budget, -1, 1);
}

bool budget_resume(struct budget_ticket *ticket)
{
    if (!ticket->deferred)
        return true;
    if (!budget_take_deferred(ticket->budget))
        return false;
    ticket->deferred = false;
    ticket->asking = true;
    return true;
}

void budget_answered(struct budget_ticket *ticket)
{
    if (!ticket->asking)
        return;
    ticket->asking = false;
    budget_count(ticket->budget, -1, 0);
}

bool budget_may_read(struct budget_ticket *ticket)
{
    if (ticket->budget == NULL || ticket->granted)
        return true;
    if (ticket->queue != NULL)
        return false;
    if (budget_take_one(ticket->budget, BUDGET_READ))
        return true;
    wait_for(ticket, BUDGET_READ);
    return false;
}

void budget_read(struct budget_ticket *ticket, int64_t bytes)
{
    struct origin_budget *budget = ticket->budget;
    if (budget == NULL)
        return;
    ticket->granted = false;
    budget_count_bytes(budget, bytes);
}

void budget_leave(struct budget_ticket *ticket)
{
    budget_answered(ticket);
    ticket->granted = false;
    if (ticket->queue != NULL)
        queue_remove(ticket);
    if (ticket->deferred)
        budget_count(ticket->budget, 0, -1);
    ticket->deferred = false;
}
