/* SPDX-License-Identifier: Apache-2.0 */
/*
 * line.c: sums for all loops, queues for each. Who gives up room on one loop serves the queue of that loop; a loop with
 * a queue looks for what others gave up.
 */
#include "net/line.h"

#include "base/log.h"
#include "base/mem.h"

#define LOOK_MS 20
/* A crowd that is refused shall not be a crowd of lines. */
#define TELL_MS 1000

/* ---- The share. ---- */

void line_share_init(struct line_share *share, const struct line_terms *terms)
{
    *share = (struct line_share){.terms = *terms};
    pthread_mutex_init(&share->lock, NULL);
}

void line_share_fini(struct line_share *share)
{
    pthread_mutex_destroy(&share->lock);
}

bool line_contended(const struct line_share *share)
{
    return atomic_load_explicit(&share->contenders, memory_order_relaxed) > 0;
}

static size_t share_bytes(const struct line_terms *terms)
{
    size_t bytes = mem_limit() == 0 ? SIZE_MAX : mem_limit() / terms->part;
    return bytes < terms->least ? terms->least : bytes;
}

static bool fits(size_t bytes, size_t taken, size_t most)
{
    return taken < most && bytes <= most - taken;
}

static bool take(struct line_share *share, const struct line_ticket *ticket)
{
    bool kind = ticket->favoured;
    size_t all = share_bytes(&share->terms);
    size_t most = all / LINE_EIGHTHS * share->terms.most[kind];
    pthread_mutex_lock(&share->lock);
    size_t taken = share->taken[0] + share->taken[1];
    bool room =
        share->taken[kind] == 0 || (fits(ticket->bytes, taken, all) && fits(ticket->bytes, share->taken[kind], most));
    if (room)
        share->taken[kind] += ticket->bytes;
    pthread_mutex_unlock(&share->lock);
    return room;
}

static void give(struct line_share *share, const struct line_ticket *ticket)
{
    pthread_mutex_lock(&share->lock);
    share->taken[ticket->favoured] -= ticket->bytes;
    pthread_mutex_unlock(&share->lock);
}

/* Whether what it holds is not too much. Of who is refused for it nothing counts: he is gone in a moment. */
static bool hold(struct line_share *share, struct line_ticket *ticket)
{
    bool kind = ticket->favoured;
    size_t all = mem_limit() == 0 ? SIZE_MAX : mem_limit() / share->terms.waiting_part;
    size_t most = all / LINE_EIGHTHS * share->terms.most[kind];
    pthread_mutex_lock(&share->lock);
    bool room = fits(ticket->held, share->held[0] + share->held[1], all) && fits(ticket->held, share->held[kind], most);
    if (!room)
        ticket->held = 0;
    share->held[kind] += ticket->held;
    pthread_mutex_unlock(&share->lock);
    return room;
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

static void queue(struct line *line, struct line_ticket *ticket)
{
    struct line_share *share = line->share;
    ticket->since = loop_now_ms(line->loop);
    bool room = hold(share, ticket);
    list_add_tail(room ? &line->queues[ticket->favoured] : &line->refused, &ticket->link);
    atomic_fetch_add(&share->contenders, 1);
    metric_add(share->terms.waiting, 1);
    look_in(line, room ? LOOK_MS : 0);
}

static void unqueue(struct line_ticket *ticket)
{
    struct line_share *share = ticket->line->share;
    list_remove(&ticket->link);
    pthread_mutex_lock(&share->lock);
    share->held[ticket->favoured] -= ticket->held;
    pthread_mutex_unlock(&share->lock);
    atomic_fetch_sub(&share->contenders, 1);
    metric_add(share->terms.waiting, -1);
}

static void tell_log(struct line *line, int64_t now, int64_t waited)
{
    line->untold++;
    if (now - line->told_ms < TELL_MS)
        return;
    log_event(MEMORY, "requests=%u waited_ms=%lld: no room in `memory` for %s", line->untold, (long long) waited,
              line->share->terms.what);
    line->untold = 0;
    line->told_ms = now;
}

static void refuse(struct line *line, struct line_ticket *ticket, int64_t waited)
{
    tell_log(line, loop_now_ms(line->loop), waited);
    unqueue(ticket);
    ticket->line = NULL;
    ticket->come(ticket->arg, STATUS_NO_MEMORY);
}

/* Whoever comes again from inside `come` goes to the end, and is not too old: this ends. */
static void serve(struct line *line, struct list *waiting)
{
    int64_t patience = line->share->terms.patience_ms;
    while (!list_empty(waiting)) {
        struct line_ticket *ticket = LIST_ENTRY(waiting->next, struct line_ticket, link);
        if (take(line->share, ticket)) {
            unqueue(ticket);
            ticket->come(ticket->arg, STATUS_OK);
        } else if (loop_now_ms(line->loop) - ticket->since > patience) {
            refuse(line, ticket, patience);
        } else {
            look_in(line, LOOK_MS);
            return;
        }
    }
}

static void look(struct timer *timer)
{
    struct line *line = CONTAINER_OF(timer, struct line, timer);
    struct list refused;
    line->look_ms = -1;
    list_init(&refused);
    /* Only those of now: a refusal may bring the next. */
    list_move_all(&refused, &line->refused);
    while (!list_empty(&refused))
        refuse(line, LIST_ENTRY(refused.next, struct line_ticket, link), 0);
    serve(line, &line->queues[true]);
    serve(line, &line->queues[false]);
    if (!list_empty(&line->refused))
        look_in(line, 0);
}

void line_init(struct line *line, struct line_share *share, struct loop *loop)
{
    *line = (struct line){.share = share, .loop = loop, .look_ms = -1};
    list_init(&line->queues[false]);
    list_init(&line->queues[true]);
    list_init(&line->refused);
    timer_init(&line->timer, loop, look);
}

void line_fini(struct line *line)
{
    timer_fini(&line->timer);
}

/* ---- Tickets. ---- */

bool line_ask(struct line *line, struct line_ticket *ticket, const struct line_ticket *wish)
{
    *ticket = *wish;
    ticket->line = line;
    list_init(&ticket->link);
    if (list_empty(&line->queues[ticket->favoured]) && take(line->share, ticket))
        return true;
    queue(line, ticket);
    return false;
}

bool line_try(struct line *line, struct line_ticket *ticket, const struct line_ticket *wish)
{
    *ticket = *wish;
    ticket->line = line;
    list_init(&ticket->link);
    if (!line_contended(line->share) && take(line->share, ticket))
        return true;
    ticket->line = NULL;
    return false;
}

void line_leave(struct line_ticket *ticket)
{
    struct line *line = ticket->line;
    if (line == NULL)
        return;
    if (list_empty(&ticket->link)) {
        give(line->share, ticket);
        /* Not from here: whoever leaves is in the middle of its end. */
        if (!list_empty(&line->queues[true]) || !list_empty(&line->queues[false]))
            look_in(line, 0);
    } else {
        unqueue(ticket);
    }
    ticket->line = NULL;
}

void line_move(struct line_ticket *to, struct line_ticket *from)
{
    *to = *from;
    list_init(&to->link);
    from->line = NULL;
}
