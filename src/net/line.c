/* SPDX-License-Identifier: Apache-2.0 */
/*
 * line.c: who waits, in all loops' queues, and who is called. Room is handed out by the loop on which it was given
 * back, at the end of what it does just then; each loop of which somebody waits looks, too, for what came in other
 * ways.
 */
#include "net/line.h"

#include <assert.h>

#include "base/mem.h"

#define LOOK_MS 20
/* Offers made under the lock at once. */
#define OFFERS_MOST 1024

/* Who waits, of one kind and account. It is there as long as somebody does. */
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
    pthread_mutex_init(&share->lock, NULL);
    list_init(&share->queues[false].lanes);
    list_init(&share->queues[true].lanes);
}

void line_share_fini(struct line_share *share)
{
    pthread_mutex_destroy(&share->lock);
    share_fini(&share->room);
}

static bool any(const atomic_uint *count)
{
    return atomic_load_explicit(count, memory_order_relaxed) > 0;
}

/* Somebody of that kind waits for what this client is given, or its account. */
static bool kind_contended(const struct line_share *share, bool kind, uint64_t account, uint64_t client)
{
    return any(&share->full[kind]) || any(&share->for_account[kind][share_slot(account)]) ||
           any(&share->for_client[kind][share_client_slot(account, client)]);
}

bool line_full(const struct line_share *share)
{
    return any(&share->full[false]) || any(&share->full[true]);
}

bool line_contended(const struct line_share *share, uint64_t account, uint64_t client)
{
    return kind_contended(share, false, account, client) || kind_contended(share, true, account, client);
}

/* Nobody waits who goes before this one. */
static bool is_first(const struct line_share *share, const struct line_ticket *ticket)
{
    return !kind_contended(share, true, ticket->account, ticket->client) &&
           (ticket->favoured || !kind_contended(share, false, ticket->account, ticket->client));
}

static enum share_answer take(struct line_share *share, const struct line_ticket *ticket)
{
    return share_take(&share->room, ticket->favoured, ticket->account, ticket->client, ticket->bytes);
}

static void give(struct line_share *share, const struct line_ticket *ticket)
{
    share_give(&share->room, ticket->favoured, ticket->account, ticket->client, ticket->bytes);
}

/* ---- Who waits; under the lock. ---- */

static atomic_uint *count_of(const struct line_ticket *ticket)
{
    struct line_share *share = ticket->line->share;
    switch (ticket->why) {
    case SHARE_FULL:
        return &share->full[ticket->favoured];
    case SHARE_NOT_YOURS:
        return &share->for_account[ticket->favoured][share_slot(ticket->account)];
    default:
        return &share->for_client[ticket->favoured][share_client_slot(ticket->account, ticket->client)];
    }
}

static void note_why(struct line_ticket *ticket, enum share_answer why)
{
    if (ticket->why == why)
        return;
    atomic_fetch_sub(count_of(ticket), 1);
    ticket->why = why;
    atomic_fetch_add(count_of(ticket), 1);
}

static void count_waiting(struct line_ticket *ticket, int change)
{
    struct line_share *share = ticket->line->share;
    atomic_fetch_add(count_of(ticket), (unsigned) change);
    atomic_fetch_add(&share->crowd, (unsigned) change);
    share->queues[ticket->favoured].waiting += (unsigned) change;
    ticket->line->waiting += (unsigned) change;
    metric_add(share->waiting, change);
}

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
    ticket->why = SHARE_NOT_CLIENTS; /* until it is offered some: what its account waits for, its first one says */
    fair_add(&ticket->lane->clients, &ticket->node, ticket->client);
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
    count_waiting(ticket, -1);
    if (lane->clients.waiting > 0)
        return;
    list_remove(&lane->node);
    queue->accounts--;
    mem_free(lane);
}

/* ---- Serving; under the lock. ---- */

/* Room, and whatever else it needs. */
static enum share_answer offer(struct line_share *share, struct line_ticket *ticket)
{
    enum share_answer answer = take(share, ticket);
    if (answer == SHARE_TAKEN && ticket->ready != NULL && !ticket->ready(ticket)) {
        give(share, ticket);
        answer = SHARE_NOT_YOURS;
    }
    if (answer != SHARE_TAKEN)
        note_why(ticket, answer);
    return answer;
}

/* To the first of the account's clients that may have more. */
static enum share_answer offer_lane(struct line_share *share, struct line_lane *lane, struct line_ticket **first,
                                    unsigned *offers)
{
    enum share_answer answer = SHARE_NOT_CLIENTS;
    struct fair_node *node = fair_first(&lane->clients);
    for (; node != NULL && answer == SHARE_NOT_CLIENTS; node = fair_next(&lane->clients, node)) {
        *first = CONTAINER_OF(node, struct line_ticket, node);
        answer = offer(share, *first);
        ++*offers;
    }
    return answer;
}

/* It has room, which its loop is to tell it: by a letter, unless that loop is at it. */
static void grant(struct line_ticket *ticket, const struct line *at_it)
{
    struct line *line = ticket->line;
    list_add_tail(&line->come, &ticket->node.link);
    if (line == at_it || line->under_way)
        return;
    line->under_way = true;
    loop_post(line->loop, &line->letter);
}

/* Whoever waits for more room than there is keeps those behind it from taking that bit by bit; an account that may have
 * no more, or whose next one is not ready, lets the next account go first, as does one whose clients may not. */
static void serve(struct line_share *share, bool kind, const struct line *at_it)
{
    struct line_queue *queue = &share->queues[kind];
    unsigned passed = 0, offers = 0;
    while (passed < queue->accounts && offers < OFFERS_MOST) {
        struct line_lane *lane = LIST_ENTRY(queue->lanes.next, struct line_lane, node);
        struct line_ticket *ticket;
        enum share_answer answer = offer_lane(share, lane, &ticket, &offers);
        if (answer == SHARE_FULL)
            break;
        list_remove(&lane->node);
        list_add_tail(&queue->lanes, &lane->node);
        passed++;
        if (answer != SHARE_TAKEN)
            continue;
        lane_leave(queue, ticket, true);
        grant(ticket, at_it);
        passed = 0;
    }
}

/* ---- A loop's end. ---- */

/* Calls those who have room now. Any of them may leave while another is called. */
static void call(struct line *line, bool by_letter)
{
    struct list now;
    list_init(&now);
    pthread_mutex_lock(&line->share->lock);
    if (by_letter)
        line->under_way = false;
    list_move_all(&now, &line->come);
    pthread_mutex_unlock(&line->share->lock);
    while (!list_empty(&now)) {
        struct line_ticket *ticket = LIST_ENTRY(now.next, struct line_ticket, node.link);
        list_remove(&ticket->node.link);
        ticket->waits = false;
        ticket->come(ticket);
    }
}

static void letter_come(struct letter *letter)
{
    call(CONTAINER_OF(letter, struct line, letter), true);
}

static void look(struct timer *timer)
{
    struct line *line = CONTAINER_OF(timer, struct line, timer);
    struct line_share *share = line->share;
    pthread_mutex_lock(&share->lock);
    serve(share, true, line);
    serve(share, false, line);
    bool again = line->waiting > 0;
    pthread_mutex_unlock(&share->lock);
    if (again)
        timer_hasten(&line->timer, LOOK_MS);
    call(line, false);
}

void line_init(struct line *line, struct line_share *share, struct loop *loop)
{
    *line = (struct line){.share = share, .loop = loop, .letter.deliver = letter_come};
    list_init(&line->come);
    timer_init(&line->timer, loop, look);
}

void line_fini(struct line *line)
{
    assert(line->waiting == 0 && list_empty(&line->come));
    timer_fini(&line->timer);
}

/* ---- Tickets. ---- */

static void hold(struct line *line, struct line_ticket *ticket)
{
    ticket->line = line;
    ticket->waits = false;
    ticket->lane = NULL;
    list_init(&ticket->node.link);
}

bool line_try(struct line *line, struct line_ticket *ticket)
{
    struct line_share *share = line->share;
    if (!is_first(share, ticket) || take(share, ticket) != SHARE_TAKEN)
        return false;
    hold(line, ticket);
    return true;
}

void line_wait(struct line *line, struct line_ticket *ticket)
{
    struct line_share *share = line->share;
    struct line_queue *queue = &share->queues[ticket->favoured];
    hold(line, ticket);
    ticket->waits = true;
    pthread_mutex_lock(&share->lock);
    lane_enter(queue, ticket);
    bool alone = queue->waiting == 1;
    if (alone) /* the next to come shall know what it waits for */
        serve(share, ticket->favoured, NULL);
    pthread_mutex_unlock(&share->lock);
    /* Those who were there may all wait for what this one does not need. */
    timer_hasten(&line->timer, alone ? LOOK_MS : 0);
}

/* It waits, or has room that it has not been told of. */
static bool leave_wait(struct line_share *share, struct line_ticket *ticket)
{
    pthread_mutex_lock(&share->lock);
    bool waiting = ticket->lane != NULL;
    if (waiting)
        lane_leave(&share->queues[ticket->favoured], ticket, false);
    else
        list_remove(&ticket->node.link);
    pthread_mutex_unlock(&share->lock);
    return waiting;
}

void line_leave(struct line_ticket *ticket)
{
    struct line *line = ticket->line;
    if (line == NULL)
        return;
    bool waiting = ticket->waits && leave_wait(line->share, ticket);
    ticket->line = NULL;
    if (waiting)
        return;
    give(line->share, ticket);
    /* Not from here: whoever leaves is in the middle of its end. */
    if (atomic_load_explicit(&line->share->crowd, memory_order_relaxed) > 0)
        timer_hasten(&line->timer, 0);
}

void line_move(struct line_ticket *to, struct line_ticket *from)
{
    *to = *from;
    list_init(&to->node.link);
    from->line = NULL;
}
