/* SPDX-License-Identifier: Apache-2.0 */
/*
 * line.c: who waits on a loop. Who gives up room on one loop serves the queues of that loop; a loop with a queue looks
 * for what others gave up.
 */
#include "net/line.h"

#include "base/mem.h"

#define LOOK_MS 20
/* Offers made in one event. */
#define OFFERS_MOST 4096

/* Who waits on a loop, of one kind and account. It is there as long as somebody does. */
struct line_lane {
    struct list node;
    uint64_t account;
    struct fair clients;
};

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

static bool kind_full(const struct line_share *share, bool kind)
{
    return atomic_load_explicit(&share->full[kind], memory_order_relaxed) > 0;
}

/* Somebody of that kind waits for what this account is given. */
static bool kind_contended(const struct line_share *share, bool kind, uint64_t account)
{
    return kind_full(share, kind) ||
           atomic_load_explicit(&share->waiting_of[kind][share_slot(account)], memory_order_relaxed) > 0;
}

bool line_full(const struct line_share *share)
{
    return kind_full(share, false) || kind_full(share, true);
}

bool line_contended(const struct line_share *share, uint64_t account)
{
    return kind_contended(share, false, account) || kind_contended(share, true, account);
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

static void note_full(struct line_ticket *ticket, bool full)
{
    if (full && !ticket->full)
        atomic_fetch_add(&ticket->line->share->full[ticket->favoured], 1);
    else if (!full && ticket->full)
        atomic_fetch_sub(&ticket->line->share->full[ticket->favoured], 1);
    ticket->full = full;
}

static void count_waiting(struct line_ticket *ticket, int change)
{
    struct line_share *share = ticket->line->share;
    atomic_fetch_add(&share->waiting_of[ticket->favoured][share_slot(ticket->account)], (unsigned) change);
    metric_add(share->waiting, change);
}

/* ---- Lanes. ---- */

static struct line_lane *lane_of(struct line_queue *queue, uint64_t account)
{
    LIST_FOR_EACH(node, &queue->lanes)
    {
        struct line_lane *lane = LIST_ENTRY(node, struct line_lane, node);
        if (lane->account == account)
            return lane;
    }
    struct line_lane *lane = mem_alloc(sizeof *lane);
    lane->account = account;
    fair_init(&lane->clients);
    list_add_tail(&queue->lanes, &lane->node);
    queue->accounts++;
    return lane;
}

static void lane_enter(struct line_queue *queue, struct line_ticket *ticket)
{
    ticket->lane = lane_of(queue, ticket->account);
    fair_add(&ticket->lane->clients, &ticket->node, ticket->client);
    queue->waiting++;
    count_waiting(ticket, 1);
}

/* `served`: it has had its turn; it waits no more in any case. */
static void lane_leave(struct line_queue *queue, struct line_ticket *ticket, bool served)
{
    struct line_lane *lane = ticket->lane;
    ticket->lane = NULL;
    if (served)
        fair_serve(&lane->clients, &ticket->node);
    else
        fair_remove(&lane->clients, &ticket->node);
    queue->waiting--;
    note_full(ticket, false);
    count_waiting(ticket, -1);
    if (lane->clients.waiting > 0)
        return;
    list_remove(&lane->node);
    queue->accounts--;
    mem_free(lane);
}

/* ---- Serving. ---- */

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

/* Whoever waits for more room than there is keeps those behind it from taking that bit by bit; an account that may have
 * no more, or whose next one is not ready, lets the next account go first. No more are served than wait now: they may
 * come again. */
static void serve(struct line *line, bool kind)
{
    struct line_queue *queue = &line->queues[kind];
    unsigned passed = 0, offers = 0;
    for (unsigned left = queue->waiting; left > 0 && passed < queue->accounts && offers < OFFERS_MOST; offers++) {
        struct line_lane *lane = LIST_ENTRY(queue->lanes.next, struct line_lane, node);
        struct line_ticket *ticket = CONTAINER_OF(fair_first(&lane->clients), struct line_ticket, node);
        enum share_answer answer = offer(line, ticket);
        if (answer == SHARE_FULL)
            break;
        list_remove(&lane->node);
        list_add_tail(&queue->lanes, &lane->node);
        passed++;
        if (answer == SHARE_NOT_YOURS)
            continue;
        lane_leave(queue, ticket, true);
        ticket->come(ticket);
        left--;
        passed = 0;
    }
    if (queue->waiting > 0)
        timer_hasten(&line->timer, LOOK_MS);
}

static void look(struct timer *timer)
{
    struct line *line = CONTAINER_OF(timer, struct line, timer);
    serve(line, true);
    serve(line, false);
}

void line_init(struct line *line, struct line_share *share, struct loop *loop)
{
    *line = (struct line){.share = share, .loop = loop};
    list_init(&line->queues[false].lanes);
    list_init(&line->queues[true].lanes);
    timer_init(&line->timer, loop, look);
}

void line_fini(struct line *line)
{
    timer_fini(&line->timer);
}

/* ---- Tickets. ---- */

static void hold(struct line *line, struct line_ticket *ticket)
{
    ticket->line = line;
    ticket->lane = NULL;
    ticket->full = false;
    list_init(&ticket->node.link);
}

bool line_ask(struct line *line, struct line_ticket *ticket)
{
    struct line_queue *queue = &line->queues[ticket->favoured];
    /* Nobody passes those who wait, on another loop either; but the favoured pass the others. */
    bool alone = queue->waiting == 0;
    bool first = alone && !kind_contended(line->share, true, ticket->account) &&
                 (ticket->favoured || !kind_contended(line->share, false, ticket->account));
    enum share_answer answer = first ? take(line, ticket) : SHARE_NOT_YOURS;
    hold(line, ticket);
    if (answer == SHARE_TAKEN)
        return true;
    note_full(ticket, answer == SHARE_FULL);
    lane_enter(queue, ticket);
    /* Those who were there may all wait for what this one does not need. */
    timer_hasten(&line->timer, alone ? LOOK_MS : 0);
    return false;
}

bool line_try(struct line *line, struct line_ticket *ticket)
{
    if (line_contended(line->share, ticket->account) || take(line, ticket) != SHARE_TAKEN)
        return false;
    hold(line, ticket);
    return true;
}

void line_leave(struct line_ticket *ticket)
{
    struct line *line = ticket->line;
    if (line == NULL)
        return;
    if (ticket->lane == NULL) {
        give(line, ticket);
        /* Not from here: whoever leaves is in the middle of its end. */
        if (line->queues[true].waiting + line->queues[false].waiting > 0)
            timer_hasten(&line->timer, 0);
    } else {
        lane_leave(&line->queues[ticket->favoured], ticket, false);
    }
    ticket->line = NULL;
}

void line_move(struct line_ticket *to, struct line_ticket *from)
{
    *to = *from;
    list_init(&to->node.link);
    from->line = NULL;
}
