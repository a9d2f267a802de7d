/* SPDX-License-Identifier: Apache-2.0 */
/* upstream_leg.c: what is asked, and whether the answer is the origin's word. */
#include "cache/upstream_leg.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/container.h"
#include "base/metric.h"
#include "cache/context.h"
#include "origin/budget.h"
#include "pool/hedges.h"
#include "pool/peers.h"
#include "pool/pool.h"
#include "pool/wire.h"

/* A member that neither answers in this time nor says that it has to ask somebody does not hear us, ms. */
#define SILENT_MS 5000

/* ---- Its head. ---- */

/* Of the asker's to nobody in another region: there our word is enough, or it is not asked. */
static bool shows_credential(const struct leg *leg)
{
    return leg->way != POOL_REGION && !upstream_signed(&leg->terms.asker->request, leg->terms.ask);
}

static void common_fields(const struct leg *leg, struct http_headers *headers)
{
    const struct cache_request *asker = &leg->terms.asker->request;
    const struct upstream_ask *ask = leg->terms.ask;
    http_headers_add(headers, STR("x-ms-version"), STR(CACHE_MS_VERSION));
    http_headers_add(headers, STR("User-Agent"), STR("headpond"));
    if (ask->ranged && !(ask->record && leg->member != NULL))
        http_headers_add(headers, STR("Range"),
                         arena_printf(headers->arena, "bytes=%" PRIu64 "-%" PRIu64, ask->first, ask->last));
    if (ask->if_match.len > 0)
        http_headers_add(headers, STR("If-Match"), ask->if_match);
    if (shows_credential(leg) && asker->authorization.len > 0)
        http_headers_add(headers, STR("Authorization"), asker->authorization);
}

static struct str target_of(const struct leg *leg)
{
    const struct cache_request *asker = &leg->terms.asker->request;
    return shows_credential(leg) ? asker->target : asker->own_target;
}

/* ---- The origin. ---- */

static void on_origin(void *arg, const struct http_response *head, enum status why)
{
    struct leg *leg = arg;
    leg->terms.answer(leg->terms.arg, leg, head, LEG_ANSWERED, why);
}

static void ask_origin(struct leg *leg)
{
    const struct cache_request *asker = &leg->terms.asker->request;
    const struct upstream_ask *ask = leg->terms.ask;
    const struct origin_events events = {on_origin, leg};
    struct http_headers headers = {.arena = arena_new()};
    /* Who has been asking a member has no right to ask the account. */
    struct budget_ticket ticket = {0}, *budget = ask->budget;
    if (budget == NULL || budget->budget == NULL) {
        budget_ticket_init(&ticket, leg->terms.loop, asker->budget, asker->client, NULL);
        budget = &ticket;
    }
    common_fields(leg, &headers);
    const struct origin_request request = {
        .account = asker->account,
        .id = asker->id,
        .base = asker->origin,
        .ca_file = asker->ca_file,
        .method = ask->head ? STR("HEAD") : STR("GET"),
        .target = target_of(leg),
        .budget = budget,
        .signer = upstream_signed(asker, ask) ? asker->signer : NULL,
        .headers = &headers,
        .content_length = 0,
        .retry = true,
        .modest = ask->modest,
    };
    leg->fetch = origin_fetch_start(leg->terms.loop, &leg->terms.cache->config.limits, &request, NULL, &events);
    arena_free(headers.arena);
}

/* ---- A member. ---- */

/* Names are regions' own. */
static void tell(const struct member *member, const char *result)
{
    char peer[sizeof member->region + sizeof member->name];
    snprintf(peer, sizeof peer, "%s/%s", member->region, member->name);
    metric_cell_add(metric_cell2(METRIC_PEER_REQUESTS, peer, result), 1);
}

/* By these ways a member is asked for bytes alone: whatever else it says, another may have them. */
static bool is_asked_for_bytes(const struct leg *leg)
{
    return leg->way < POOL_HOME;
}

/* Whether this is what the origin says of the blob, to who asks. Where our own credential was to sign, what is not about
 * the blob's bytes may be about the member's. */
static bool is_origins_word(const struct leg *leg, const struct http_response *head)
{
    const struct upstream_ask *ask = leg->terms.ask;
    if (http_headers_find(&head->headers, STR("Proxy-Status")) != NULL)
        return false;
    switch (head->status) {
    case 200:
    case 206:
        return true;
    case 204:
        return ask->record;
    case 412:
    case 416:
        return !is_asked_for_bytes(leg);
    default:
        return head->status >= 400 && !is_asked_for_bytes(leg) && !upstream_signed(&leg->terms.asker->request, ask);
    }
}

/* Without having had to ask anybody. */
static bool was_there(const struct http_response *head)
{
    struct str said = http_headers_get(&head->headers, STR("Cache-Status"));
    return str_ends(said, STR("headpond; hit"));
}

static void learn(const struct leg *leg, const struct http_response *head, bool word)
{
    if (word && was_there(head))
        hedges_learn(leg->terms.loop, leg->member, clock_mono_us() - leg->sent_us);
    if (is_asked_for_bytes(leg))
        pool_had(leg->member, word);
}

static const char *result_of(const struct leg *leg, const struct http_response *head, bool word, enum status why)
{
    if (head == NULL)
        return status_name(why);
    if (word)
        return "ok";
    return is_asked_for_bytes(leg) && head->status == 504 ? "absent" : "declined";
}

static void on_member(void *arg, const struct http_response *head, enum status why)
{
    struct leg *leg = arg;
    bool word = head != NULL && is_origins_word(leg, head);
    timer_clear(&leg->timer);
    if (head != NULL)
        learn(leg, head, word);
    tell(leg->member, result_of(leg, head, word, why));
    leg->terms.answer(leg->terms.arg, leg, head, word ? LEG_ANSWERED : head != NULL ? LEG_DECLINED : LEG_SILENT, why);
}

static void on_processing(void *arg)
{
    struct leg *leg = arg;
    if (leg->processing)
        return;
    leg->processing = true;
    timer_set(&leg->timer, leg->terms.cache->config.limits.first_byte_timeout);
}

/* Its connection lives, and it says nothing to this. */
static void on_late(struct timer *timer)
{
    struct leg *leg = CONTAINER_OF(timer, struct leg, timer);
    peer_call_late(leg->call);
    on_member(leg, NULL, STATUS_FIRST_BYTE_TIMEOUT);
}

static bool ask_member(struct leg *leg)
{
    const struct cache_request *asker = &leg->terms.asker->request;
    const struct upstream_ask *ask = leg->terms.ask;
    const struct h2_call_events events = {on_member, leg, on_processing};
    const struct pool *pool = leg->terms.cache->config.pool;
    struct arena *arena = arena_new();
    const struct wire_request said = {
        .granted = ask->granted || asker->vouched,
        .record = ask->record,
        .validate = ask->validate,
        .cached = leg->way == POOL_FORMER,
        .view = ring_digest(pool_view(pool)->ring),
    };
    struct http_request request = {
        .method_text = ask->head ? STR("HEAD") : STR("GET"),
        .target = arena_printf(arena, "/%s%.*s", asker->account, STR_ARG(target_of(leg))),
        .authority = STR(WIRE_AUTHORITY),
        .headers = {.arena = arena},
    };
    common_fields(leg, &request.headers);
    if (asker->id.len > 0 && leg->way != POOL_REGION)
        http_headers_add(&request.headers, STR("x-ms-client-request-id"), asker->id);
    wire_write_request(pool_own(pool), &said, &request.headers);
    leg->call = peer_call_start(leg->terms.loop, leg->member, &request, &events);
    arena_free(arena);
    if (leg->call == NULL)
        return false;
    int64_t most = leg->terms.cache->config.limits.first_byte_timeout;
    timer_set(&leg->timer, most < SILENT_MS ? most : SILENT_MS);
    return true;
}

/* ---- Its life. ---- */

void leg_init(struct leg *leg, const struct leg_terms *terms)
{
    leg->terms = *terms;
    timer_init(&leg->timer, terms->loop, on_late);
}

void leg_fini(struct leg *leg)
{
    leg_stop(leg);
    timer_fini(&leg->timer);
}

bool leg_start(struct leg *leg, enum pool_way way, struct member *member)
{
    leg->way = way;
    leg->processing = false;
    leg->sent_us = clock_mono_us();
    if (member == NULL) {
        ask_origin(leg);
        return true;
    }
    leg->member = member_ref(member);
    if (ask_member(leg))
        return true;
    member_unref(&leg->member);
    return false;
}

void leg_stop(struct leg *leg)
{
    timer_clear(&leg->timer);
    peer_call_close(&leg->call);
    origin_fetch_close(&leg->fetch);
    member_unref(&leg->member);
}

void leg_lost(struct leg *leg)
{
    if (leg->call != NULL && !leg->processing)
        hedges_learn(leg->terms.loop, leg->member, clock_mono_us() - leg->sent_us);
    leg_stop(leg);
}

struct source *leg_body(struct leg *leg)
{
    return leg->call != NULL ? peer_call_body(leg->call) : origin_fetch_body(leg->fetch);
}
