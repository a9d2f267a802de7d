/* SPDX-License-Identifier: Apache-2.0 */
/*
 * line.c: who waits on a loop. Who gives up room on one loop serves the queues of that loop; a loop with a queue looks for
 * what others gave up.
 */
#include "net/line.h"

#define LOOK_MS 20

/* ---- The share. ---- */

void line_share_init(struct line_share *share, const struct share_terms *terms, enum metric waiting)
{
    *share = (struct line_share){.waiting = waiting};
    share_init(&share->room, terms);
}

void line_share_fini(struct line_share *share)
{
    share_fini(&share->room);
}

bool line_full(const struct line_share *share)
{
    return atomic_load_explicit(&share->full, memory_order_relaxed) > 0;
}

bool line_contended(const struct line_share *share, uint64_t account)
{
    return line_full(share) || atomic_load_explicit(&share->waiting_of[share_slot(account)], memory_order_relaxed) > 0;
}

static enum share_answer take(struct line *line, const struct line_ticket *ticket)
{
    return share_take(&line->share->room, ticket->favoured, ticket->account, ticket->bytes);
}

static void give(struct line *line, const struct line_ticket *ticket)
{
    share_give(&line->share->room, ticket->favoured, ticket->account, ticket->bytes);
}

/* ---- The line. ---- */

/* At the latest: who comes does not put off who is there. */
static void look_in(struct line *line, int64_t ms)
{
    int64_t at = loop_now_ms(line->loop) + ms;
    if (line->look_ms >= 0 && line->look_ms <= at)
        return;
    line->look_ms = at;
    timer_set(&line->timer, ms);
}

static void note_full(struct line_ticket *ticket, bool full)
{
    if (full && !ticket->full)
        atomic_fetch_add(&ticket->line->share->full, 1);
    else if (!full && ticket->full)
        atomic_fetch_sub(&ticket->line->share->full, 1);
    ticket->full = full;
}

static void count_waiting(struct line_ticket *ticket, int change)
{
    struct line_share *share = ticket->line->share;
    atomic_fetch_add(&share->waiting_of[share_slot(ticket->account)], (unsigned) change);
    metric_add(share->waiting, change);
}

static void waits_no_more(struct line_ticket *ticket)
{
    note_full(ticket, false);
    count_waiting(ticket, -1);
}

/* Room, and whatever else it needs. */
static enum share_answer offer(struct line *line, struct line_ticket *ticket)
{
    enum share_answer answer = take(line, ticket);
    if (answer == SHARE_TAKEN && ticket->ready != NULL && !ticket->ready(ticket)) {
        give(line, ticket);
        answer = SHARE_NOT_YOURS;
    }
    note_full(ticket, answer == SHARE_FULL);
    return answer;
}

/* Whoever waits for more room than there is keeps those behind it from taking that bit by bit; whoever waits for something
 * of its own, or its account's, lets the next go first. No more are served than wait now: they may come again. */
static void serve(struct line *line, bool kind)
{
    struct fair *queue = &line->queues[kind];
    struct fair_node *node = fair_first(queue);
    for (unsigned left = queue->waiting; node != NULL && left > 0;) {
        struct line_ticket *ticket = CONTAINER_OF(node, struct line_ticket, node);
        enum share_answer answer = offer(line, ticket);
        if (answer == SHARE_FULL)
            break;
        if (answer == SHARE_NOT_YOURS) {
            node = fair_next(queue, node);
            continue;
        }
        fair_serve(queue, node);
        waits_no_more(ticket);
        ticket->come(ticket);
        left--;
        node = fair_first(queue);
    }
    if (queue->waiting > 0)
        look_in(line, LOOK_MS);
}

static void look(struct timer *timer)
{
    struct line *line = CONTAINER_OF(timer, struct line, timer);
    line->look_ms = -1;
    serve(line, true);
    serve(line, false);
}

void line_init(struct line *line, struct line_share *share, struct loop *loop)
{
    *line = (struct line){.share = share, .loop = loop, .look_ms = -1};
    fair_init(&line->queues[false]);
    fair_init(&line->queues[true]);
    timer_init(&line->timer, loop, look);
}

void line_fini(struct line *line)
{
    timer_fini(&line->timer);
}

/* ---- Tickets. ---- */

/* One turn for a client of an account. */
static uint64_t turn_of(const struct line_ticket *ticket)
{
    return ticket->account ^ ticket->client;
}

bool line_ask(struct line *line, struct line_ticket *ticket)
{
    struct fair *queue = &line->queues[ticket->favoured];
    bool first = queue->waiting == 0;
    enum share_answer answer = first ? take(line, ticket) : SHARE_NOT_YOURS;
    ticket->line = line;
    ticket->full = false;
    list_init(&ticket->node.link);
    if (answer == SHARE_TAKEN)
        return true;
    note_full(ticket, answer == SHARE_FULL);
    count_waiting(ticket, 1);
    fair_add(queue, &ticket->node, turn_of(ticket));
    /* Those who were there may all wait for what this one does not need. */
    look_in(line, first ? LOOK_MS : 0);
    return false;
}

bool line_try(struct line *line, struct line_ticket *ticket)
{
    if (line_contended(line->share, ticket->account) || take(line, ticket) != SHARE_TAKEN)
        return false;
    ticket->line = line;
    ticket->full = false;
    list_init(&ticket->node.link);
    return true;
}

void line_leave(struct line_ticket *ticket)
{
    struct line *line = ticket->line;
    if (line == NULL)
        return;
    if (list_empty(&ticket->node.link)) {
        give(line, ticket);
        /* Not from here: whoever leaves is in the middle of its end. */
        if (line->queues[true].waiting + line->queues[false].waiting > 0)
            look_in(line, 0);
    } else {
        fair_remove(&line->queues[ticket->favoured], &ticket->node);
        waits_no_more(ticket);
    }
    ticket->line = NULL;
}

void line_move(struct line_ticket *to, struct line_ticket *from)
{
    *to = *from;
    list_init(&to->node.link);
    from->line = NULL;
}
