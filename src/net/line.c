/* SPDX-License-Identifier: Apache-2.0 */
/*
 * line.c: who waits, in all loops' queues, and who is called. Room is handed out by the loop on which it was given
 * back, at the end of what it does just then; each loop of which somebody waits looks, too, for what came in other
 * ways.
 */
#include "net/line.h"

#include <assert.h>

#define LOOK_MS 20
/* Offers made under the lock at once, of either kind: once in LOOK_MS so many, by one loop, */
#define OFFERS_MOST 1024
/* and when room was given back, or somebody has come. Whoever is offered some in vain comes last then, so that the next
 * offers go on where these ended. */
#define OFFERS_FEW 32

/* ---- The share. ---- */

static void queue_init(struct line_queue *queue)
{
    list_init(&queue->turns);
    for (unsigned i = 0; i < SHARE_SLOTS; i++) {
        list_init(&queue->lanes[i].turn);
        list_init(&queue->lanes[i].clients);
        list_init(&queue->clients[i]);
    }
}

void line_share_init(struct line_share *share, const struct share_terms *terms, enum metric waiting)
{
    *share = (struct line_share){.waiting = waiting};
    share_init(&share->room, terms);
    pthread_mutex_init(&share->lock, NULL);
    queue_init(&share->queues[false]);
    queue_init(&share->queues[true]);
}

void line_share_fini(struct line_share *share)
{
    pthread_mutex_destroy(&share->lock);
    share_fini(&share->room);
}

/* Who waits for what is left to others keeps only those waiting who leave as much. */
static bool left_waits(const struct line_share *share, bool kind, unsigned leaves)
{
    unsigned waits = 0;
    for (unsigned i = 1; i <= leaves; i++)
        waits |= atomic_load_explicit(&share->waits_for[kind][LINE_LEFT][i], memory_order_relaxed);
    return waits > 0;
}

static unsigned slot_of(enum line_why why, uint64_t account, uint64_t client)
{
    switch (why) {
    case LINE_ACCOUNT:
    case LINE_READY:
        return share_slot(account);
    case LINE_CLIENT:
    case LINE_TURN:
        return share_client_slot(account, client);
    default:
        return 0;
    }
}

/* Somebody of that kind waits for any of these things, which this client is given, or its account. */
static bool any_waits(const struct line_share *share, bool kind, const enum line_why *whys, unsigned count,
                      uint64_t account, uint64_t client)
{
    unsigned waits = 0;
    for (unsigned i = 0; i < count; i++)
        waits |= atomic_load_explicit(&share->waits_for[kind][whys[i]][slot_of(whys[i], account, client)],
                                      memory_order_relaxed);
    return waits > 0;
}

bool line_full(const struct line_share *share)
{
    static const enum line_why full[] = {LINE_ROOM, LINE_KIND};
    return any_waits(share, false, full, 2, 0, 0) || any_waits(share, true, full, 2, 0, 0) ||
           left_waits(share, false, LINE_LEAVES_MOST) || left_waits(share, true, LINE_LEAVES_MOST);
}

bool line_contended(const struct line_share *share, uint64_t account, uint64_t client)
{
    static const enum line_why given[] = {LINE_ROOM, LINE_KIND, LINE_ACCOUNT, LINE_CLIENT};
    return any_waits(share, false, given, 4, account, client) || any_waits(share, true, given, 4, account, client) ||
           left_waits(share, false, LINE_LEAVES_MOST) || left_waits(share, true, LINE_LEAVES_MOST);
}

/* Nobody waits who goes before this one. */
static bool is_first(struct line_share *share, const struct line_ticket *ticket)
{
    /* The last one keeps its own kind waiting only. */
    static const enum line_why first[] = {LINE_ROOM, LINE_ACCOUNT, LINE_CLIENT, LINE_READY, LINE_TURN, LINE_KIND};
    uint64_t account = ticket->account, client = ticket->client;
    if (left_waits(share, true, ticket->leaves) || (!ticket->favoured && left_waits(share, false, ticket->leaves)))
        return false;
    if (any_waits(share, true, first, ticket->favoured ? 6 : 5, account, client))
        return false;
    if (!ticket->favoured)
        return !any_waits(share, false, first, 6, account, client);
    return !any_waits(share, false, first, 1, account, client) || !share_is_low(&share->room, false);
}

static enum share_answer take(struct line_share *share, const struct line_ticket *ticket)
{
    return share_take(&share->room, ticket->favoured, ticket->leaves, ticket->account, ticket->client, ticket->bytes);
}

static void give(struct line_share *share, const struct line_ticket *ticket)
{
    share_give(&share->room, ticket->favoured, ticket->account, ticket->client, ticket->bytes);
}

/* ---- Who waits; under the lock. ---- */

static atomic_uint *count_of(const struct line_ticket *ticket)
{
    unsigned slot = ticket->why == LINE_LEFT ? ticket->leaves : slot_of(ticket->why, ticket->account, ticket->client);
    return &ticket->line->share->waits_for[ticket->favoured][ticket->why][slot];
}

static void note_why(struct line_ticket *ticket, enum line_why why)
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

static void to_tail(struct list *turns, struct list *turn)
{
    list_remove(turn);
    list_add_tail(turns, turn);
}

static struct list *found_at(struct line_queue *queue, const struct line_lane *lane, uint64_t client)
{
    return &queue->clients[share_client_slot((uint64_t) (lane - queue->lanes), client)];
}

/* Who leaves less is not behind those that leave more, be they the same client's. */
static struct line_ticket *first_of(struct line_queue *queue, const struct line_lane *lane,
                                    const struct line_ticket *ticket)
{
    LIST_FOR_EACH(node, found_at(queue, lane, ticket->client))
    {
        struct line_ticket *first = LIST_ENTRY(node, struct line_ticket, found);
        if (first->lane == lane && first->client == ticket->client && first->leaves == ticket->leaves)
            return first;
    }
    return NULL;
}

static void lane_enter(struct line_queue *queue, struct line_ticket *ticket)
{
    struct line_lane *lane = &queue->lanes[share_slot(ticket->account)];
    struct line_ticket *first = first_of(queue, lane, ticket);
    ticket->lane = lane;
    ticket->first = first == NULL;
    ticket->why = LINE_TURN;
    if (first != NULL) {
        list_add_tail(&first->link, &ticket->link);
    } else {
        list_add_tail(found_at(queue, lane, ticket->client), &ticket->found);
        list_add_tail(&lane->clients, &ticket->turn);
        if (lane->count++ == 0) {
            list_add_tail(&queue->turns, &lane->turn);
            queue->count++;
        }
    }
    count_waiting(ticket, 1);
}

/* The first of a client leaves: the next one, if there is any, has its turn. */
static void pass_on(struct line_queue *queue, struct line_ticket *first)
{
    struct line_lane *lane = first->lane;
    if (!list_empty(&first->link)) {
        struct line_ticket *next = LIST_ENTRY(first->link.next, struct line_ticket, link);
        next->first = true;
        list_add_head(&first->turn, &next->turn);
        list_add_head(&first->found, &next->found);
    } else if (--lane->count == 0) {
        list_remove(&lane->turn);
        queue->count--;
    }
    list_remove(&first->turn);
    list_remove(&first->found);
}

static void lane_leave(struct line_queue *queue, struct line_ticket *ticket)
{
    if (ticket->first)
        pass_on(queue, ticket);
    list_remove(&ticket->link);
    ticket->lane = NULL;
    count_waiting(ticket, -1);
}

/* ---- Serving; under the lock. ---- */

/* Room, and whatever else it needs. */
static enum line_why offer(struct line_share *share, struct line_ticket *ticket)
{
    static const enum line_why whys[] = {
        [SHARE_TAKEN] = LINE_NOTHING,     [SHARE_FULL] = LINE_ROOM,          [SHARE_KIND_FULL] = LINE_KIND,
        [SHARE_NOT_YOURS] = LINE_ACCOUNT, [SHARE_NOT_CLIENTS] = LINE_CLIENT, [SHARE_RESERVED] = LINE_LEFT,
    };
    enum line_why why = whys[take(share, ticket)];
    if (why == LINE_NOTHING && ticket->ready != NULL && !ticket->ready(ticket)) {
        give(share, ticket);
        why = LINE_READY;
    }
    if (why != LINE_NOTHING)
        note_why(ticket, why);
    return why;
}

/* Another client of the lane may have it. */
static bool not_this_one(enum line_why why)
{
    return why == LINE_CLIENT || why == LINE_LEFT;
}

/* To the first of the lane's clients that may have more; those that may not come last. So does one that is not ready:
 * its account is not, but that may not be the lane's only one. */
static enum line_why offer_lane(struct line_share *share, struct line_lane *lane, unsigned *offers,
                                struct line_ticket **ticket)
{
    enum line_why why = LINE_CLIENT;
    for (unsigned left = lane->count; left > 0 && *offers > 0 && not_this_one(why); left--) {
        *ticket = LIST_ENTRY(lane->clients.next, struct line_ticket, turn);
        why = offer(share, *ticket);
        --*offers;
        if (why == LINE_NOTHING || not_this_one(why) || why == LINE_READY)
            to_tail(&lane->clients, &(*ticket)->turn);
    }
    return why;
}

/* It has room, which its loop is to tell it: by a letter, unless that loop is at it. */
static void grant(struct line_ticket *ticket, const struct line *at_it)
{
    struct line *line = ticket->line;
    list_add_tail(&line->come, &ticket->link);
    if (line == at_it || line->under_way)
        return;
    line->under_way = true;
    loop_post(line->loop, &line->letter);
}

/* Whoever waits for more room than there is keeps those behind it from taking that bit by bit; an account that may have
 * no more, or whose next one is not ready, lets the next account go first, as does one whose clients may not. `low`:
 * only until the kind has its eighth. True: somebody waits for what nobody has free. */
static bool serve(struct line_share *share, bool kind, bool low, const struct line *at_it, unsigned offers)
{
    struct line_queue *queue = &share->queues[kind];
    unsigned passed = 0;
    while (passed < queue->count && offers > 0 && !(low && !share_is_low(&share->room, kind))) {
        struct line_lane *lane = LIST_ENTRY(queue->turns.next, struct line_lane, turn);
        struct line_ticket *ticket;
        enum line_why why = offer_lane(share, lane, &offers, &ticket);
        if (why == LINE_ROOM || why == LINE_KIND)
            return why == LINE_ROOM;
        to_tail(&queue->turns, &lane->turn);
        passed++;
        if (why != LINE_NOTHING)
            continue;
        lane_leave(queue, ticket);
        grant(ticket, at_it);
        passed = 0;
    }
    return false;
}

/* What one kind waits for, the other does not have. But the first of a kind finds room in any case. */
static void serve_all(struct line_share *share, const struct line *at_it, unsigned offers)
{
    bool full = serve(share, false, true, at_it, offers);
    if (full && !share_is_idle(&share->room, true))
        return;
    full |= serve(share, true, false, at_it, full ? 1 : offers);
    if (!full)
        serve(share, false, false, at_it, offers);
}

/* One loop is enough to find what got ready, or became free, without anybody's leaving. */
static unsigned offers_now(struct line_share *share, int64_t now_ms)
{
    if (now_ms - share->looked_ms < LOOK_MS)
        return OFFERS_FEW;
    share->looked_ms = now_ms;
    return OFFERS_MOST;
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
        struct line_ticket *ticket = LIST_ENTRY(now.next, struct line_ticket, link);
        list_remove(&ticket->link);
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
    serve_all(share, line, offers_now(share, loop_now_ms(line->loop)));
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

static void unlink_all(struct line_ticket *ticket)
{
    list_init(&ticket->link);
    list_init(&ticket->turn);
    list_init(&ticket->found);
}

static void hold(struct line *line, struct line_ticket *ticket)
{
    ticket->line = line;
    ticket->waits = false;
    ticket->lane = NULL;
    unlink_all(ticket);
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
        serve_all(share, NULL, OFFERS_FEW);
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
        lane_leave(&share->queues[ticket->favoured], ticket);
    else
        list_remove(&ticket->link);
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
    unlink_all(to);
    from->line = NULL;
}
