/* SPDX-License-Identifier: Apache-2.0 */
/* upstream.c: whom such a request goes to, its head, and the way back to the origin. */
#include "cache/upstream.h"

#include <inttypes.h>

#include "base/container.h"
#include "base/mem.h"
#include "base/metric.h"
#include "cache/context.h"
#include "origin/budget.h"
#include "pool/peers.h"
#include "pool/pool.h"
#include "pool/wire.h"

struct upstream {
    struct cache *cache;
    struct loop *loop;
    struct asker *asker;
    struct upstream_ask ask;
    struct strbuf if_match; /* ask.if_match is of it */
    struct upstream_events events;
    struct member *member;  /* that is asked, or NULL */
    struct peer_call *call; /* one of these two */
    struct origin_fetch *fetch;
    struct timer timer; /* the member's head */
    bool again;         /* the first one has not answered */
    bool answered;
    int64_t age_s;
    int64_t grant_age_ms;
};

/* ---- Whom it goes to. ---- */

/* Good until the thread's next quiescent state; NULL: the origin. */
static struct member *home_of(const struct cache *cache, const struct cache_request *request, uint64_t extent,
                              bool asks)
{
    if (cache->config.pool == NULL || request->here)
        return NULL;
    return asks ? pool_ask(cache->config.pool, request->object, extent)
                : pool_home(cache->config.pool, request->object, extent);
}

bool upstream_is_here(const struct cache *cache, const struct cache_request *request, uint64_t extent)
{
    return home_of(cache, request, extent, false) == NULL;
}

/* ---- Its head. ---- */

static void common_fields(const struct upstream *upstream, struct http_headers *headers)
{
    const struct cache_request *asker = &upstream->asker->request;
    const struct upstream_ask *ask = &upstream->ask;
    http_headers_add(headers, STR("x-ms-version"), STR(CACHE_MS_VERSION));
    http_headers_add(headers, STR("User-Agent"), STR("headpond"));
    if (ask->ranged && !(ask->record && upstream->member != NULL))
        http_headers_add(headers, STR("Range"),
                         arena_printf(headers->arena, "bytes=%" PRIu64 "-%" PRIu64, ask->first, ask->last));
    if (ask->if_match.len > 0)
        http_headers_add(headers, STR("If-Match"), ask->if_match);
    if (!upstream_signed(asker, ask) && asker->authorization.len > 0)
        http_headers_add(headers, STR("Authorization"), asker->authorization);
}

static struct str target_of(const struct upstream *upstream)
{
    const struct cache_request *asker = &upstream->asker->request;
    return upstream_signed(asker, &upstream->ask) ? asker->own_target : asker->target;
}

/* ---- The origin. ---- */

static void on_origin(void *arg, const struct http_response *head, enum status why)
{
    struct upstream *upstream = arg;
    upstream->events.head(upstream->events.arg, head, why);
}

static void ask_origin(struct upstream *upstream)
{
    const struct cache_request *asker = &upstream->asker->request;
    const struct upstream_ask *ask = &upstream->ask;
    const struct origin_events events = {on_origin, upstream};
    struct http_headers headers = {.arena = arena_new()};
    /* Who has been asking a member has no right to ask the account. */
    struct budget_ticket ticket = {0}, *budget = ask->budget;
    if (budget == NULL || budget->budget == NULL) {
        budget_ticket_init(&ticket, upstream->loop, asker->budget, asker->client, NULL);
        budget = &ticket;
    }
    common_fields(upstream, &headers);
    const struct origin_request request = {
        .account = asker->account,
        .id = asker->id,
        .base = asker->origin,
        .ca_file = asker->ca_file,
        .method = ask->head ? STR("HEAD") : STR("GET"),
        .target = target_of(upstream),
        .budget = budget,
        .signer = upstream_signed(asker, ask) ? asker->signer : NULL,
        .headers = &headers,
        .content_length = 0,
        .retry = true,
        .modest = ask->modest,
    };
    upstream->fetch = origin_fetch_start(upstream->loop, &upstream->cache->config.limits, &request, NULL, &events);
    arena_free(headers.arena);
}

/* ---- A member. ---- */

static void tell(const struct member *member, const char *result)
{
    metric_cell_add(metric_cell2(METRIC_PEER_REQUESTS, member->name, result), 1);
}

/* Whether this is what the origin says of the blob, to who asks. Where our own credential was to sign, what is not about
 * the blob's bytes may be about the member's. */
static bool is_origins_word(const struct upstream *upstream, const struct http_response *head)
{
    if (http_headers_find(&head->headers, STR("Proxy-Status")) != NULL)
        return false;
    switch (head->status) {
    case 200:
    case 206:
    case 412:
    case 416:
        return true;
    case 204:
        return upstream->ask.record;
    default:
        return head->status >= 400 && !upstream_signed(&upstream->asker->request, &upstream->ask);
    }
}

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
    tell(upstream->member, "ok");
    upstream->answered = true;
    upstream->age_s = answer.age_s;
    upstream->grant_age_ms = answer.grant_age_ms;
    upstream->events.head(upstream->events.arg, &shown, STATUS_OK);
}

static bool ask_peer(struct upstream *upstream);

/* In the place of one that has not answered: who comes after it, once. */
static bool ask_next(struct upstream *upstream)
{
    struct member *next = home_of(upstream->cache, &upstream->asker->request, upstream->ask.extent, true);
    bool other = next != NULL && next != upstream->member && !upstream->again;
    upstream->again = true;
    if (!other)
        return false;
    member_unref(&upstream->member);
    upstream->member = member_ref(next);
    return ask_peer(upstream);
}

static void on_peer(void *arg, const struct http_response *head, enum status why)
{
    struct upstream *upstream = arg;
    timer_clear(&upstream->timer);
    if (upstream->ask.budget != NULL)
        budget_answered(upstream->ask.budget); /* the account was not asked */
    if (head != NULL && is_origins_word(upstream, head)) {
        hand_over(upstream, head);
        return;
    }
    tell(upstream->member, head == NULL ? status_name(why) : "declined");
    peer_call_close(&upstream->call);
    if (head == NULL && ask_next(upstream))
        return;
    member_unref(&upstream->member);
    ask_origin(upstream);
}

/* Its connection lives, and it says nothing to this. */
static void on_late(struct timer *timer)
{
    on_peer(CONTAINER_OF(timer, struct upstream, timer), NULL, STATUS_FIRST_BYTE_TIMEOUT);
}

static bool ask_peer(struct upstream *upstream)
{
    const struct cache_request *asker = &upstream->asker->request;
    const struct upstream_ask *ask = &upstream->ask;
    const struct h2_call_events events = {on_peer, upstream};
    struct arena *arena = arena_new();
    const struct pool *pool = upstream->cache->config.pool;
    const struct wire_request said = {
        .granted = ask->granted || asker->vouched,
        .record = ask->record,
        .validate = ask->validate,
        .view = ring_digest(pool_view(pool)->ring),
    };
    struct http_request request = {
        .method_text = ask->head ? STR("HEAD") : STR("GET"),
        .target = arena_printf(arena, "/%s%.*s", asker->account, STR_ARG(target_of(upstream))),
        .authority = STR(WIRE_AUTHORITY),
        .headers = {.arena = arena},
    };
    common_fields(upstream, &request.headers);
    if (asker->id.len > 0)
        http_headers_add(&request.headers, STR("x-ms-client-request-id"), asker->id);
    wire_write_request(pool_own(pool), &said, &request.headers);
    upstream->call = peer_call_start(upstream->loop, upstream->member, &request, &events);
    arena_free(arena);
    if (upstream->call == NULL)
        member_unref(&upstream->member);
    else
        timer_set(&upstream->timer, upstream->cache->config.limits.first_byte_timeout);
    return upstream->call != NULL;
}

/* ---- Its life. ---- */

struct upstream *upstream_start(struct cache *cache, struct loop *loop, struct asker *asker,
                                const struct upstream_ask *ask, const struct upstream_events *events)
{
    struct upstream *upstream = mem_calloc(1, sizeof *upstream);
    upstream->cache = cache;
    upstream->loop = loop;
    upstream->asker = asker_ref(asker);
    upstream->ask = *ask;
    upstream->events = *events;
    timer_init(&upstream->timer, loop, on_late);
    if (ask->if_match.len > 0) {
        strbuf_adds(&upstream->if_match, ask->if_match);
        upstream->ask.if_match = strbuf_str(&upstream->if_match);
    }
    struct member *member = ask->direct ? NULL : home_of(cache, &asker->request, ask->extent, true);
    /* A member would have to believe a client that it may sign for whoever that has let in. */
    if (member != NULL && (pool_vouches(cache->config.pool) || !upstream_signed(&asker->request, ask)))
        upstream->member = member_ref(member);
    if (upstream->member == NULL || !ask_peer(upstream))
        ask_origin(upstream);
    return upstream;
}

struct source *upstream_body(struct upstream *upstream)
{
    return upstream->answered ? peer_call_body(upstream->call) : origin_fetch_body(upstream->fetch);
}

bool upstream_by_peer(const struct upstream *upstream)
{
    return upstream->answered;
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
    timer_fini(&upstream->timer);
    peer_call_close(&upstream->call);
    origin_fetch_close(&upstream->fetch);
    member_unref(&upstream->member);
    asker_unref(&upstream->asker);
    strbuf_free(&upstream->if_match);
    mem_free(upstream);
}
