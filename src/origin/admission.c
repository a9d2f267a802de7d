/* SPDX-License-Identifier: Apache-2.0 */
/* admission.c: one wait for two things, and who is sent away. */
#include "origin/admission.h"

#include <assert.h>

#include "base/log.h"

/* How late a refusal may come. */
#define LOOK_MS 100
/* One account leaves an eighth to others, and one client a quarter, so that its account has some for another client. */
#define ACCOUNT_ALPHA 7
#define CLIENT_ALPHA 3
/* Of those who wait one client leaves an eighth, however many names of accounts it uses: that takes no credential. Of
 * what is under way it need not: it may be all there is, and one of its accounts be slow. */
#define WHOLE_ALPHA 7
/* Refused in one event, before others have their turn. */
#define REFUSE_MOST 256

/* ---- Waiting. ---- */

static bool waits_for_budget(const struct admission *admission)
{
    return admission->budget.queue != NULL;
}

static void wait_over(struct admission *admission)
{
    struct admission_queue *queue = admission->queue;
    if (queue == NULL)
        return;
    const struct line_ticket *room = &admission->room;
    list_remove(&admission->link);
    if (admission->held > 0)
        share_give(&queue->class->waiting, room->favoured, room->account, room->client, admission->held);
    admission->queue = NULL;
}

static void admit(struct admission *admission)
{
    wait_over(admission);
    admission->come(admission->arg, STATUS_OK);
}

static void tell_log(struct admission_queue *queue, int64_t waited_ms)
{
    unsigned requests = log_crowd(&queue->untold, loop_now_ms(queue->loop));
    if (requests > 0)
        log_event(NO_ROOM, "requests=%u waited_ms=%lld: no room in `memory` for %s", requests, (long long) waited_ms,
                  queue->class->what);
}

static void refuse(struct admission *admission)
{
    struct admission_queue *queue = admission->queue;
    int64_t waited_ms = loop_now_ms(queue->loop) - admission->since_ms;
    bool for_budget = waits_for_budget(admission);
    if (for_budget)
        origin_budget_refused(admission->budget.budget, waited_ms);
    else
        tell_log(queue, waited_ms);
    admission_leave(admission);
    admission->come(admission->arg, for_budget ? STATUS_OVER_BUDGET : STATUS_NO_MEMORY);
}

static void look(struct timer *timer)
{
    struct admission_queue *queue = CONTAINER_OF(timer, struct admission_queue, timer);
    int64_t old = loop_now_ms(queue->loop) - queue->class->patience_ms;
    unsigned left = REFUSE_MOST; /* a refusal may bring the next */
    for (; left > 0 && !list_empty(&queue->refused); left--)
        refuse(LIST_ENTRY(queue->refused.next, struct admission, link));
    for (; left > 0 && !list_empty(&queue->waiting); left--) {
        struct admission *first = LIST_ENTRY(queue->waiting.next, struct admission, link);
        if (first->since_ms > old)
            break;
        refuse(first);
    }
    if (left == 0 || !list_empty(&queue->refused))
        timer_hasten(&queue->timer, 0);
    else if (!list_empty(&queue->waiting))
        timer_hasten(&queue->timer, LOOK_MS);
}

/* It waits in the budget's queue or the line's. Here is counted what it holds meanwhile; who would make that too much
 * is refused, from the loop. */
static void wait_at(struct admission_queue *queue, struct admission *admission)
{
    const struct line_ticket *room = &admission->room;
    bool stays = share_take(&queue->class->waiting, room->favoured, 0, room->account, room->client, admission->held) ==
                 SHARE_TAKEN;
    if (!stays)
        admission->held = 0;
    admission->queue = queue;
    admission->since_ms = loop_now_ms(queue->loop);
    timer_hasten(&queue->timer, stays ? LOOK_MS : 0);
    list_add_tail(stays ? &queue->waiting : &queue->refused, &admission->link);
}

/* ---- The two things. ---- */

/* It has the right to ask, or goes without until there is room. */
static bool ask_room(struct admission_queue *queue, struct admission *admission)
{
    if (line_try(&queue->line, &admission->room))
        return true;
    /* Before it waits: from then on another loop may make it resume. */
    budget_defer(&admission->budget);
    line_wait(&queue->line, &admission->room);
    return false;
}

static void budget_come(struct budget_ticket *ticket)
{
    struct admission *admission = CONTAINER_OF(ticket, struct admission, budget);
    if (ask_room(admission->queue, admission))
        admit(admission);
}

static bool room_ready(struct line_ticket *ticket)
{
    return budget_resume(&CONTAINER_OF(ticket, struct admission, room)->budget);
}

static void room_come(struct line_ticket *ticket)
{
    admit(CONTAINER_OF(ticket, struct admission, room));
}

static void begin(struct admission *admission, struct admission_queue *queue, const struct admission_wish *wish)
{
    *admission = (struct admission){.held = wish->held,
                                    .come = wish->come,
                                    .arg = wish->arg,
                                    .room = {.favoured = wish->favoured,
                                             .leaves = wish->leaves,
                                             .account = wish->account,
                                             .client = wish->client,
                                             .bytes = wish->bytes,
                                             .ready = room_ready,
                                             .come = room_come}};
    list_init(&admission->link);
    budget_ticket_init(&admission->budget, queue->loop, wish->budget, wish->client, budget_come);
    admission->budget.favoured = wish->favoured;
    if (wish->asked != NULL)
        budget_move(&admission->budget, wish->asked);
}

bool admission_ask(struct admission *admission, struct admission_queue *queue, const struct admission_wish *wish)
{
    begin(admission, queue, wish);
    if (budget_ask(&admission->budget) && ask_room(queue, admission))
        return true;
    wait_at(queue, admission);
    return false;
}

bool admission_try(struct admission *admission, struct admission_queue *queue, const struct admission_wish *wish)
{
    begin(admission, queue, wish);
    if (budget_try(&admission->budget) && line_try(&queue->line, &admission->room))
        return true;
    if (wish->asked != NULL)
        budget_move(wish->asked, &admission->budget);
    budget_leave(&admission->budget);
    return false;
}

bool admission_has(const struct admission *admission)
{
    return line_has(&admission->room) || admission->queue != NULL;
}

void admission_move(struct admission *to, struct admission *from)
{
    assert(from->queue == NULL);
    *to = (struct admission){0};
    budget_take_over(&to->budget, from->budget.loop, &from->budget, budget_come);
    line_move(&to->room, &from->room);
}

void admission_leave(struct admission *admission)
{
    wait_over(admission);
    line_leave(&admission->room); /* first: while it waits there, others reach for the right to ask */
    budget_leave(&admission->budget);
}

void admission_leave_room(struct admission *admission)
{
    assert(admission->queue == NULL);
    line_leave(&admission->room);
}

/* ---- Classes and queues. ---- */

void admission_class_init(struct admission_class *class, const struct admission_terms *terms)
{
    *class = (struct admission_class){.what = terms->what, .patience_ms = terms->patience_ms};
    struct share_terms room = {.part = terms->part,
                               .least = terms->least,
                               .alpha = ACCOUNT_ALPHA,
                               .client_alpha = CLIENT_ALPHA,
                               .most = {terms->most[0], terms->most[1]}};
    line_share_init(&class->room, &room, terms->waiting);
    room.part = terms->waiting_part;
    room.least = 0;
    room.whole_alpha = WHOLE_ALPHA;
    share_init(&class->waiting, &room);
}

void admission_class_fini(struct admission_class *class)
{
    line_share_fini(&class->room);
    share_fini(&class->waiting);
}

void admission_queue_init(struct admission_queue *queue, struct admission_class *class, struct loop *loop)
{
    *queue = (struct admission_queue){.class = class, .loop = loop};
    line_init(&queue->line, &class->room, loop);
    list_init(&queue->waiting);
    list_init(&queue->refused);
    timer_init(&queue->timer, loop, look);
}

void admission_queue_fini(struct admission_queue *queue)
{
    line_fini(&queue->line);
    timer_fini(&queue->timer);
}
