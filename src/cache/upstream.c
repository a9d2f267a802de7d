/* SPDX-License-Identifier: Apache-2.0 */
/* upstream.c: by which ways such a request goes, one after the other or two at a time, and what its answer is worth.
 * upstream_leg.c makes the requests themselves. */
#include "cache/upstream.h"

#include "base/container.h"
#include "base/mem.h"
#include "base/metric.h"
#include "cache/context.h"
#include "cache/upstream_leg.h"
#include "origin/budget.h"
#include "pool/entry.h"
#include "pool/hedges.h"
#include "pool/peers.h"
#include "pool/pool.h"
#include "pool/wire.h"

/* No call is so late that the origin should be asked as well, before it is as late as a first byte from there mostly is,
 * or twice as late as it may be; and after that it is looked at as often. ms */
#define HEDGE_ORIGIN_MS 250

struct upstream {
    struct cache *cache;
    struct loop *loop;
    struct asker *asker;
    struct upstream_ask ask; /* its `way`: the farthest that is left */
    struct strbuf if_match;  /* ask.if_match is of it */
    struct upstream_events events;
    struct leg legs[2];      /* the second one hedges the first */
    struct timer next_due;   /* when the first one is so late that who comes next is to be asked, too, */
    struct timer origin_due; /* or the origin */
    bool no_former;          /* it has been asked, or need not be */
    bool next_asked;         /* in a silent home's place */
    struct leg *answered;    /* one of them */
    int64_t age_s;
    int64_t grant_age_ms;
};

/* ---- Ways. ---- */

/* As pool_way; what is not pinned is asked for at home or at the origin. */
static enum pool_way way_of(const struct cache *cache, const struct cache_request *request, uint64_t extent,
                            bool pinned, enum pool_way most, bool former, bool asks, struct member **member)
{
    struct pool *pool = cache->config.pool;
    *member = NULL;
    if (most > request->farthest)
        most = request->farthest;
    if (pool == NULL || most == POOL_ORIGIN || (!pinned && most < POOL_HOME))
        return POOL_ORIGIN;
    enum pool_way way = pool_way(pool, request->object, extent, most, former, asks, member);
    return pinned || way == POOL_HOME ? way : POOL_ORIGIN;
}

enum pool_way upstream_record_way(const struct cache *cache, const struct cache_request *request)
{
    return upstream_extent_way(cache, request, 0, false);
}

/* A former home is tried before another region, which is farther. */
enum pool_way upstream_extent_way(const struct cache *cache, const struct cache_request *request, uint64_t extent,
                                  bool pinned)
{
    struct member *member;
    enum pool_way way = way_of(cache, request, extent, pinned, POOL_HOME, false, false, &member);
    return way != POOL_ORIGIN ? way : way_of(cache, request, extent, pinned, POOL_FORMER, true, false, &member);
}

bool upstream_opens(const struct cache *cache, const struct cache_request *request, uint64_t extent)
{
    struct pool *pool = cache->config.pool;
    bool pinned = request->pin.len > 0;
    if (pool == NULL)
        return true;
    if (!pinned && request->farthest >= POOL_REGION && !pool_is_origin_region(pool, request->object, extent))
        return false;
    return extent == 0 || (upstream_record_way(cache, request) == POOL_ORIGIN &&
                           upstream_extent_way(cache, request, extent, pinned) != POOL_HOME);
}

/* ---- One leg after the other. ---- */

static int64_t bytes_of(const struct upstream_ask *ask)
{
    return ask->ranged && !ask->record ? (int64_t) (ask->last - ask->first + 1) : 0;
}

static bool is_pinned(const struct upstream_ask *ask)
{
    return ask->if_match.len > 0;
}

static void clear_timers(struct upstream *upstream)
{
    timer_clear(&upstream->next_due);
    timer_clear(&upstream->origin_due);
}

/* The first leg goes to that member, which may be late. */
static bool ask_member(struct upstream *upstream, enum pool_way way, struct member *member)
{
    if (!leg_start(&upstream->legs[0], way, member))
        return false;
    int64_t late = hedges_call(upstream->loop, member, bytes_of(&upstream->ask));
    if (way == POOL_HOME && is_pinned(&upstream->ask))
        timer_set(&upstream->next_due, late);
    timer_set(&upstream->origin_due, 2 * late > HEDGE_ORIGIN_MS ? 2 * late : HEDGE_ORIGIN_MS);
    return true;
}

/* A member would have to believe a client that it may sign for whoever that has let in. */
static bool may_ask_members(const struct upstream *upstream)
{
    const struct pool *pool = upstream->cache->config.pool;
    return pool != NULL && (pool_vouches(pool) || !upstream_signed(&upstream->asker->request, &upstream->ask));
}

/* What is left to be tried after that way. In a home's place nobody was at home before. */
static void tried(struct upstream *upstream, enum pool_way way)
{
    upstream->no_former = true;
    if (way == POOL_HOME)
        upstream->ask.way = POOL_REGION;
    else if (way == POOL_REGION)
        upstream->ask.way = POOL_ORIGIN;
}

/* By the first way that is left; nothing is under way. */
static void go_on(struct upstream *upstream)
{
    struct upstream_ask *ask = &upstream->ask;
    enum pool_way way;
    struct member *member;
    clear_timers(upstream);
    if (!may_ask_members(upstream))
        ask->way = POOL_ORIGIN;
    do {
        way = way_of(upstream->cache, &upstream->asker->request, ask->extent, is_pinned(ask), ask->way,
                     !upstream->no_former, true, &member);
        tried(upstream, way);
    } while (way != POOL_ORIGIN && !ask_member(upstream, way, member));
    if (way == POOL_ORIGIN)
        leg_start(&upstream->legs[0], POOL_ORIGIN, NULL);
}

/* In the place of a home that has not answered, once: who comes after it, unless that is this node. */
static bool ask_next(struct upstream *upstream, struct leg *silent)
{
    if (silent->way != POOL_HOME || upstream->next_asked)
        return false;
    upstream->next_asked = true;
    struct member *next = pool_next(upstream->cache->config.pool, upstream->asker->request.object, upstream->ask.extent,
                                    silent->member, true);
    if (next == NULL)
        return false;
    clear_timers(upstream);
    leg_stop(silent);
    return ask_member(upstream, POOL_HOME, next);
}

static struct leg *other_leg(struct upstream *upstream, const struct leg *leg)
{
    return &upstream->legs[leg == &upstream->legs[0]];
}

static void leg_failed(struct upstream *upstream, struct leg *leg, bool silent)
{
    if (leg_runs(other_leg(upstream, leg))) {
        leg_stop(leg); /* that may bring it */
        return;
    }
    if (silent && ask_next(upstream, leg))
        return;
    leg_stop(leg);
    go_on(upstream);
}

/* ---- Answers. ---- */

/* A record comes without the bytes, which its head is to be taken for. */
static void hand_over(struct upstream *upstream, const struct http_response *head)
{
    struct http_response shown = *head;
    struct wire_answer answer;
    wire_read_answer(&head->headers, &answer);
    pool_heard_view(upstream->cache->config.pool, answer.view);
    if (head->status == 204) {
        shown.status = 200;
        shown.content_length = answer.length;
    }
    if (upstream->ask.budget != NULL)
        budget_answered(upstream->ask.budget); /* the account was not asked */
    upstream->age_s = answer.age_s;
    upstream->grant_age_ms = answer.grant_age_ms;
    upstream->events.head(upstream->events.arg, &shown, STATUS_OK);
}

static bool is_failure(const struct http_response *head)
{
    return head == NULL || head->status >= 500 || head->status == 429;
}

static void on_answer(void *arg, struct leg *leg, const struct http_response *head, enum leg_answer answer,
                      enum status why)
{
    struct upstream *upstream = arg;
    if (leg->member == NULL && is_failure(head) && leg_runs(other_leg(upstream, leg))) {
        leg_stop(leg); /* the other one was only late */
        return;
    }
    if (answer != LEG_ANSWERED) {
        leg_failed(upstream, leg, answer == LEG_SILENT);
        return;
    }
    clear_timers(upstream);
    leg_lost(other_leg(upstream, leg));
    upstream->answered = leg;
    if (leg->member != NULL)
        hand_over(upstream, head);
    else
        upstream->events.head(upstream->events.arg, head, why);
}

/* ---- Hedges. ---- */

static void tell_hedge(const char *to, int64_t bytes)
{
    metric_cell_add(metric_cell(METRIC_HEDGES, to), 1);
    metric_cell_add(metric_cell(METRIC_HEDGED_BYTES, to), bytes);
}

/* By who comes next in order, for what that has. */
static void on_next_due(struct timer *timer)
{
    struct upstream *upstream = CONTAINER_OF(timer, struct upstream, next_due);
    const struct leg *first = &upstream->legs[0];
    if (!leg_runs(first) || first->processing)
        return;
    struct member *next = pool_next(upstream->cache->config.pool, upstream->asker->request.object, upstream->ask.extent,
                                    first->member, false);
    if (next != NULL && hedges_spend(upstream->loop, 0) && leg_start(&upstream->legs[1], POOL_FORMER, next))
        tell_hedge("member", 0);
}

/* It is down by now: to pass it over is no hedge. */
static bool pass_over(struct upstream *upstream)
{
    struct leg *first = &upstream->legs[0];
    if (!leg_runs(first) || reach_up(&first->member->reach))
        return false;
    leg_failed(upstream, first, true);
    return true;
}

static void on_origin_due(struct timer *timer)
{
    struct upstream *upstream = CONTAINER_OF(timer, struct upstream, origin_due);
    int64_t bytes = bytes_of(&upstream->ask);
    if (pass_over(upstream))
        return;
    timer_set(timer, HEDGE_ORIGIN_MS);
    if (upstream->legs[0].processing || leg_runs(&upstream->legs[1]) || !hedges_spend(upstream->loop, bytes))
        return;
    tell_hedge("origin", bytes);
    leg_start(&upstream->legs[1], POOL_ORIGIN, NULL);
}

/* ---- Its life. ---- */

/* What a sidecar wants little of comes through its entry, which asks the home. So does the first of a blob that it does
 * not know: that may be short. */
static bool ask_entry(struct upstream *upstream)
{
    const struct upstream_ask *ask = &upstream->ask;
    const struct cache *cache = upstream->cache;
    if (ask->way < POOL_HOME || !may_ask_members(upstream) ||
        (is_pinned(ask) && !entry_suits((unsigned) (bytes_of(ask) / cache->block_size))))
        return false;
    struct member *entry = pool_entry(cache->config.pool);
    return entry != NULL && ask_member(upstream, POOL_ENTRY, entry);
}

struct upstream *upstream_start(struct cache *cache, struct loop *loop, struct asker *asker,
                                const struct upstream_ask *ask, const struct upstream_events *events)
{
    struct upstream *upstream = mem_calloc(1, sizeof *upstream);
    const struct leg_terms terms = {cache, loop, asker, &upstream->ask, on_answer, upstream};
    upstream->cache = cache;
    upstream->loop = loop;
    upstream->asker = asker_ref(asker);
    upstream->ask = *ask;
    upstream->events = *events;
    timer_init(&upstream->next_due, loop, on_next_due);
    timer_init(&upstream->origin_due, loop, on_origin_due);
    for (unsigned i = 0; i < 2; i++)
        leg_init(&upstream->legs[i], &terms);
    if (ask->if_match.len > 0) {
        strbuf_adds(&upstream->if_match, ask->if_match);
        upstream->ask.if_match = strbuf_str(&upstream->if_match);
    }
    if (!ask_entry(upstream))
        go_on(upstream);
    return upstream;
}

struct source *upstream_body(struct upstream *upstream)
{
    return leg_body(upstream->answered);
}

enum pool_way upstream_came_by(const struct upstream *upstream)
{
    return upstream->answered == NULL ? POOL_ORIGIN : upstream->answered->way;
}

int64_t upstream_age_s(const struct upstream *upstream)
{
    return upstream->age_s;
}

int64_t upstream_grant_age_ms(const struct upstream *upstream)
{
    return upstream->grant_age_ms;
}

void upstream_close(struct upstream **closed)
{
    struct upstream *upstream = *closed;
    *closed = NULL;
    if (upstream == NULL)
        return;
    timer_fini(&upstream->next_due);
    timer_fini(&upstream->origin_due);
    leg_fini(&upstream->legs[0]);
    leg_fini(&upstream->legs[1]);
    asker_unref(&upstream->asker);
    strbuf_free(&upstream->if_match);
    mem_free(upstream);
}
