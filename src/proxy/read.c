/* SPDX-License-Identifier: Apache-2.0 */
/*
 * read.c: the states of a read that the cache may answer.
 *
 * Two questions go to the cache: resolve (may it, and what is the blob) and the bytes. What the record says is taken
 * for the answer unless the client's own preconditions show that it knows another generation: then the origin is asked
 * once more before a client is told 412, or given the older bytes.
 */
#include "cache/object.h"
#include "http/precondition.h"
#include "proxy/peer_serve.h"
#include "proxy/reply_dfs.h"
#include "proxy/request.h"

#define RESOLVES_MAX 4 /* the first, and three after the generation changed under us */

/* ---- RESOLVE ---- */

void read_forget(struct request *request)
{
    if (request->resolved)
        cache_result_fini(&request->result);
    request->resolved = false;
}

static void on_resolved(void *arg, struct cache_result *result)
{
    struct request *request = arg;
    request->resolve = NULL;
    request->result = *result;
    request->resolved = true;
    request_run(request, REQUEST_DECIDE);
}

static void fill_query(struct request *request)
{
    const struct http_headers *headers = &request->x->request.headers;
    struct cache_query *query = &request->query;
    query->want = request->facts.head ? CACHE_WANT_HEAD : CACHE_WANT_GET;
    query->first = request->range.kind == RANGE_BYTES ? request->range.first : 0;
    query->last = request->range.kind == RANGE_BYTES ? request->range.last : RANGE_TO_END;
    /* If-Match mostly holds (a client that reads on); these mostly end in 304. */
    query->conditional = http_headers_find(headers, STR("If-None-Match")) != NULL ||
                         http_headers_find(headers, STR("If-Modified-Since")) != NULL;
    if (request->route.account->row->pinned_reads == CONF_PINNED_TRUST || request->said.granted)
        query->pinned = precondition_single_match(headers);
    query->pin_holds = query->pinned.len > 0 && request->said.granted;
    query->conditional = query->conditional || request->said.record;
    query->validate = request->said.validate;
}

/* Whoever has asked shall not take this node for slow while it has to ask somebody itself. */
static void tell_processing(struct request *request)
{
    if (request_of_node(request) && !request->processing && !request->route.cache.cached)
        http_processing(request->x);
    request->processing = true;
}

enum request_state read_resolve(struct request *request)
{
    struct cache *cache = request->home->proxy->cache;
    if (request->resolves++ == 0)
        fill_query(request);
    if (cache_resolve_now(cache, &request->route.cache, &request->query, &request->result)) {
        request->resolved = true;
        return REQUEST_DECIDE;
    }
    tell_processing(request);
    request->resolve =
        cache_resolve_start(cache, request->home->loop, &request->route.cache, &request->query, on_resolved, request);
    return REQUEST_WAIT;
}

/* Asks again, past what is known. */
static enum request_state resolve_again(struct request *request)
{
    read_forget(request);
    request->query.validate = true;
    request->query.pinned = STR_NULL;
    return REQUEST_RESOLVE;
}

/* ---- DECIDE ---- */

static enum outcome outcome_of(const struct request *request)
{
    switch (request->result.how) {
    case CACHE_HIT:
        return OUTCOME_HIT;
    case CACHE_STALE:
        return OUTCOME_STALE;
    case CACHE_COLLAPSED:
        return OUTCOME_COLLAPSED;
    case CACHE_MISS:
        break;
    }
    return OUTCOME_MISS;
}

/* A condition that the record does not meet, an If-None-Match that names a generation we do not have, or an If-Match
 * that asks for nothing but whether that generation is still the blob's: what we know may be the older. */
static bool may_be_outdated(const struct request *request, enum precondition verdict)
{
    if (request->query.validate || request->result.how != CACHE_HIT)
        return false;
    if (verdict == PRECONDITION_FAILED)
        return true;
    const struct http_headers *headers = &request->x->request.headers;
    return verdict == PRECONDITION_PASS &&
           (http_headers_find(headers, STR("If-None-Match")) != NULL ||
            (request->facts.head && http_headers_find(headers, STR("If-Match")) != NULL));
}

/* To another node that wants no more. */
static enum request_state reply_record(struct request *request)
{
    const struct object *object = request->result.object;
    struct http_response head;
    reply_whole(&head, &request->facts, object);
    head.status = 204;
    head.content_length = 0;
    peer_tell(request, &head, (int64_t) object->length);
    return request_reply_text(request, &head, STR_NULL);
}

static enum request_state decide_range(struct request *request)
{
    const struct object *object = request->result.object;
    struct http_response head;
    if (request->said.record)
        return reply_record(request);
    request->fit = range_resolve(request->range, object->length, &request->span);
    bool may_have_grown = request->result.how == CACHE_HIT && !request->query.validate &&
                          request->route.cache.freshness != CONF_IMMUTABLE;
    if (request->fit == RANGE_UNSATISFIABLE && may_have_grown)
        return resolve_again(request);
    if (request->fit == RANGE_UNSATISFIABLE) {
        struct str text = reply_range_error(&head, &request->facts, object->length);
        return request_reply_text(request, &head, text);
    }
    if (request->route.class.checksum != BLOB_CHECKSUM_NONE)
        return read_decide_checksum(request);
    if (request->facts.head || request->span.bytes == 0)
        return REQUEST_REPLY;
    return REQUEST_PRIME;
}

static enum request_state decide_ready(struct request *request)
{
    const struct object *object = request->result.object;
    enum precondition verdict =
        precondition_evaluate(&request->x->request.headers, object->etag, object->last_modified_s);
    if (may_be_outdated(request, verdict))
        return resolve_again(request);
    request->facts.outcome = outcome_of(request);
    request->facts.validated_s = request->result.validated_s;
    /* What only HEAD shows may be older. */
    if (request->facts.head && object->head_validated_s < request->facts.validated_s)
        request->facts.validated_s = object->head_validated_s;
    struct http_response head;
    switch (verdict) {
    case PRECONDITION_PASS:
        return decide_range(request);
    case PRECONDITION_NOT_MODIFIED:
        reply_not_modified(&head, &request->facts, object);
        return request_reply_text(request, &head, STR_NULL);
    case PRECONDITION_FAILED:
        request->error = &BLOB_ERROR_CONDITION_NOT_MET;
        return REQUEST_REFUSE;
    case PRECONDITION_NEEDS_ORIGIN:
        break;
    }
    return request_bypass(request, "precondition");
}

enum request_state read_decide(struct request *request)
{
    bool dfs = request->facts.endpoint == BLOB_ENDPOINT_DFS;
    switch (request->result.verdict) {
    case CACHE_READY:
        if (dfs && !reply_dfs_can(request->result.object, request->facts.head))
            return request_bypass(request, "dfs-properties");
        request->facts.detail = NULL;
        return decide_ready(request);
    case CACHE_ANSWER:
        /* What the Blob endpoint said is not what Data Lake says. */
        return dfs ? request_bypass(request, "dfs-answer") : REQUEST_ANSWER;
    case CACHE_BYPASS:
        return request_bypass(request, request->result.detail);
    case CACHE_FAILED:
        break;
    }
    request->facts.outcome = request->result.how == CACHE_STALE ? OUTCOME_STALE : OUTCOME_MISS;
    return request_fail(request, request->result.status);
}

/* ---- PRIME ---- */

/* A hit on the record is one on the bytes only if they are all there. */
static void look_at_blocks(struct request *request)
{
    const struct proxy *proxy = request->home->proxy;
    if (request->facts.outcome != OUTCOME_HIT)
        return;
    switch (cache_presence(proxy->cache, request->result.generation, request->span.first, request->span.last)) {
    case CACHE_ALL:
        break;
    case CACHE_SOME:
        request->facts.outcome = OUTCOME_PARTIAL;
        break;
    case CACHE_NONE:
        request->facts.outcome = OUTCOME_MISS;
        break;
    }
}

static void on_primed(void *arg)
{
    request_run(arg, REQUEST_PRIME);
}

enum request_state read_failed(struct request *request, enum status why)
{
    source_close(&request->body);
    request->summed = false;
    /* What was believed is believed no more (the epoch has moved, the grant is gone): the same question gets a new
     * answer. */
    if ((why == STATUS_GENERATION_CHANGED || why == STATUS_DENIED) && request->resolves < RESOLVES_MAX) {
        read_forget(request);
        return REQUEST_RESOLVE;
    }
    request->facts.outcome = OUTCOME_MISS;
    return request_fail(request, why);
}

enum request_state read_prime(struct request *request)
{
    const struct http_request *head = &request->x->request;
    const bool to_sum = request->route.class.checksum != BLOB_CHECKSUM_NONE && !request->summed;
    if (request->body == NULL) {
        if (!request->summed)
            look_at_blocks(request);
        bool plain = !head->tls && head->version != HTTP_2 && !to_sum;
        request->body = cache_read(request->home->proxy->cache, request->home->loop, &request->route.cache,
                                   request->result.generation, request->span.first, request->span.last, plain);
        source_listen(request->body, on_primed, request);
        if (!request->summed) { /* what is read again to be sent has been counted */
            memset(request->came, 0, sizeof request->came);
            cache_read_count(request->body, request->came);
        }
    }
    switch (cache_read_prime(request->body)) {
    case SOURCE_WAIT:
        if (cache_read_fetches(request->body))
            tell_processing(request);
        return REQUEST_WAIT;
    case SOURCE_FAILED:
        return read_failed(request, request->body->error);
    case SOURCE_DATA:
    case SOURCE_END:
        break;
    }
    /* The record was known, the bytes are on their way because of somebody else. */
    if (!request->summed && request->result.how == CACHE_HIT && request->facts.outcome != OUTCOME_HIT &&
        cache_read_joined(request->body))
        request->facts.outcome = OUTCOME_COLLAPSED;
    return to_sum ? REQUEST_SUM : REQUEST_REPLY;
}

/* ---- REPLY ---- */

/* Of a reply without a body it is the record that is kept, and that as long as the store takes anything of the blob. */
static bool will_be_stored(const struct request *request)
{
    bool body = !request->facts.head && request->span.bytes > 0;
    return cache_would_keep(request->home->proxy->cache, request->result.generation, body ? request->span.first : 0,
                            body ? request->span.last : 0);
}

enum request_state read_reply(struct request *request)
{
    struct http_response head;
    if (request->facts.outcome == OUTCOME_MISS && will_be_stored(request))
        request->facts.outcome = OUTCOME_MISS_STORED;
    if (request->fit == RANGE_PARTIAL)
        reply_range(&head, &request->facts, request->result.object, request->span.first, request->span.last);
    else
        reply_whole(&head, &request->facts, request->result.object);
    if (request_of_node(request))
        peer_tell(request, &head, -1);
    http_reply(request->x, &head, &request->body);
    return REQUEST_SENT;
}

/* ---- ANSWER ---- */

enum request_state read_answer(struct request *request)
{
    const struct cache_answer *answer = request->result.answer;
    struct reply_facts *facts = &request->facts;
    facts->outcome = OUTCOME_MISS;
    struct http_response head = {.status = answer->head.status, .content_length = answer->head.content_length};
    reply_copy_relayed(&head, facts, &answer->head.headers);
    /* What was asked with is not what this client asked with. */
    http_headers_remove(&head.headers, STR("x-ms-client-request-id"));
    http_headers_remove(&head.headers, STR("x-ms-version"));
    http_headers_add(&head.headers, STR("x-ms-version"), facts->version);
    if (facts->client_request_id.ptr != NULL)
        http_headers_add(&head.headers, STR("x-ms-client-request-id"), facts->client_request_id);
    if (facts->head)
        return request_reply_text(request, &head, STR_NULL);
    head.content_length = (int64_t) answer->body.len;
    return request_reply_text(request, &head, answer->body);
}
