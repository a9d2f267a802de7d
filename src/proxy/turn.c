/* SPDX-License-Identifier: Apache-2.0 */
/*
 * turn.c: a sum for all loops, queues for each; a loop with a queue looks for room that others gave up.
 */
#include "proxy/turn.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "proxy/proxy.h"

#define TURN_LOOK_MS 20

/* What is counted for: libcurl's handle with its connection and read buffer, a TLS session on either side; */
#define COST_BASE (96 * 1024)
/* the reply between the two: what libcurl was refused, and the queue; */
#define COST_REPLY (2 * (size_t) ORIGIN_MODEST_BYTES)
/* the body between the two: libcurl's send buffer, and at most so much of what came in and was not taken. */
#define COST_BODY ((size_t) ORIGIN_MODEST_BYTES)
#define COST_INPUT_1 (64 * 1024)
#define COST_INPUT_2 (256 * 1024)

/* A body up to this is soon sent. */
#define BRIEF_BODY (64 * 1024)

static size_t cost_of(const struct http_exchange *x)
{
    const struct http_request *request = &x->request;
    size_t cost = COST_BASE + (request->method == HTTP_HEAD ? 0 : COST_REPLY);
    if (x->body == NULL)
        return cost;
    size_t input = request->version == HTTP_2 ? COST_INPUT_2 : COST_INPUT_1;
    if (request->content_length >= 0 && (size_t) request->content_length < input)
        input = (size_t) request->content_length;
    return cost + COST_BODY + input;
}

static bool is_brief(const struct http_exchange *x)
{
    if (x->request.method == HTTP_GET)
        return false;
    return x->body == NULL || (x->request.content_length >= 0 && x->request.content_length <= BRIEF_BODY);
}

/* The first always finds room. */
static bool take(struct proxy *proxy, const struct turn *turn)
{
    size_t share = mem_limit() == 0 ? SIZE_MAX : mem_limit() / 4;
    if (!turn->brief)
        share -= share / 8;
    size_t taken = atomic_load(&proxy->turns_taken);
    while (taken == 0 || (taken < share && turn->bytes <= share - taken))
        if (atomic_compare_exchange_weak(&proxy->turns_taken, &taken, taken + turn->bytes))
            return true;
    return false;
}

static void unqueue(struct turn *turn)
{
    list_remove(&turn->link);
    metric_add(METRIC_FORWARDS_WAITING, -1);
}

static void tell(struct turn *turn, enum status why)
{
    unqueue(turn);
    if (why != STATUS_OK)
        turn->home = NULL;
    turn->come(turn->arg, why);
}

/* A crowd that is refused shall not be a crowd of lines. */
static void tell_log(struct proxy_loop *home, int64_t now)
{
    home->turns_refused++;
    if (now - home->turns_told_ms < 1000)
        return;
    log_event(MEMORY, "requests=%u waited_ms=%lld: no room in `memory` for what passes through", home->turns_refused,
              (long long) home->proxy->limits.first_byte_timeout);
    home->turns_refused = 0;
    home->turns_told_ms = now;
}

static void serve(struct proxy_loop *home, struct list *queue)
{
    int64_t now = loop_now_ms(home->loop);
    int64_t patience = home->proxy->limits.first_byte_timeout;
    while (!list_empty(queue)) {
        struct turn *turn = LIST_ENTRY(queue->next, struct turn, link);
        if (take(home->proxy, turn)) {
            tell(turn, STATUS_OK);
        } else if (now - turn->since_ms > patience) {
            tell_log(home, now);
            tell(turn, STATUS_NO_MEMORY);
        } else {
            timer_set(&home->turns_timer, TURN_LOOK_MS);
            return;
        }
    }
}

static void look(struct timer *timer)
{
    struct proxy_loop *home = CONTAINER_OF(timer, struct proxy_loop, turns_timer);
    serve(home, &home->turns[true]);
    serve(home, &home->turns[false]);
}

void turns_loop_init(struct proxy_loop *home)
{
    list_init(&home->turns[false]);
    list_init(&home->turns[true]);
    timer_init(&home->turns_timer, home->loop, look);
}

void turns_loop_fini(struct proxy_loop *home)
{
    timer_fini(&home->turns_timer);
}

bool turn_ask(struct turn *turn, struct proxy_loop *home, const struct http_exchange *x,
              void (*come)(void *arg, enum status why), void *arg)
{
    *turn = (struct turn){.home = home, .bytes = cost_of(x), .brief = is_brief(x), .come = come, .arg = arg};
    list_init(&turn->link);
    struct list *queue = &home->turns[turn->brief];
    if (list_empty(queue) && take(home->proxy, turn))
        return true;
    turn->since_ms = loop_now_ms(home->loop);
    list_add_tail(queue, &turn->link);
    metric_add(METRIC_FORWARDS_WAITING, 1);
    timer_set(&home->turns_timer, TURN_LOOK_MS);
    return false;
}

void turn_leave(struct turn *turn)
{
    struct proxy_loop *home = turn->home;
    turn->home = NULL;
    if (home == NULL)
        return;
    if (!list_empty(&turn->link)) {
        unqueue(turn);
        return;
    }
    atomic_fetch_sub(&home->proxy->turns_taken, turn->bytes);
    /* Not from here: whoever leaves is in the middle of its end. */
    if (!list_empty(&home->turns[true]) || !list_empty(&home->turns[false]))
        timer_set(&home->turns_timer, 0);
}

void turn_move(struct turn *to, struct turn *from)
{
    *to = *from;
    list_init(&to->link);
    from->home = NULL;
}
