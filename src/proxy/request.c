/* SPDX-License-Identifier: Apache-2.0 */
/* request.c: the machine itself, its first state, its refusals and its end. */
#include "proxy/request.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"
#include "net/address.h"
#include "proxy/access_log.h"
#include "proxy/meter.h"
#include "proxy/peer_serve.h"
#include "proxy/proxy_status.h"

/* What a client that found no room is told to wait. */
#define RETRY_AFTER_S 5
#define ID_MAX 64 /* of a client's name for its request in our log: most are GUIDs */

static enum request_state (*const request_functions[])(struct request *request) = {
#define X(id, function) [REQUEST_##id] = function,
    REQUEST_STATES(X)
#undef X
};

void request_run(struct request *request, enum request_state state)
{
    while (state != REQUEST_WAIT) {
        request->state = state;
        state = request_functions[state](request);
    }
}

static struct request *request_new(struct http_exchange *x)
{
    struct request *request = arena_calloc(x->arena, sizeof *request);
    request->home = loop_get(x->loop, LOOP_SLOT_PROXY);
    request->x = x;
    request->facts.arena = x->arena;
    request->facts.now_s = clock_wall_s();
    request->facts.steady_s = clock_steady_s();
    reply_facts_from_request(&request->facts, &x->request);
    struct str named = request->facts.client_request_id;
    request->id = named.len > 0 && named.len <= ID_MAX ? named : request->facts.request_id;
    x->user = request;
    return request;
}

/* The client's address, for the log. */
static const char *client_of(const struct request *request, char text[ADDRESS_TEXT])
{
    address_format(request->x->peer, text, ADDRESS_TEXT);
    return text;
}

/* ---- ROUTE ---- */

enum request_state request_bypass(struct request *request, const char *why)
{
    if (request_of_node(request))
        return request_fail(request, STATUS_NOT_IMPLEMENTED); /* it can do that itself */
    request->facts.outcome = OUTCOME_BYPASS;
    request->facts.detail = why;
    return REQUEST_TURN;
}

/* Of a request that changes nothing: to the cache, or past it. */
static enum request_state route_read(struct request *request)
{
    const struct route *route = &request->route;
    request->facts.outcome = OUTCOME_BYPASS;
    if (route->bypass == NULL)
        return REQUEST_RESOLVE;
    if (route->class.action == BLOB_ACTION_READ && route->bypass == route->credential.reason)
        log_event(BYPASS, "account=%s reason=%s: a request so signed cannot be answered from the cache%s",
                  route->account->name, route->bypass,
                  str_eq(str_from(route->bypass), STR("shared-key")) ? ", but by authorize: key with a key_file" : "");
    return request_bypass(request, route->bypass);
}

enum request_state request_route(struct request *request)
{
    struct http_exchange *x = request->x;
    struct route *route = &request->route;
    if (str_eq(x->request.method_text, STR("TRACE"))) /* it would show the credential back */
        return request_refuse_client(request, STATUS_METHOD_NOT_ALLOWED);
    if (peer_asks_ring(request))
        return peer_ring(request);
    struct route_node node;
    if (request_of_node(request))
        request->error = peer_read(request, &node);
    if (request->error == NULL)
        request->error = route_request(request->home->proxy->routes, x->arena, &x->request, x->peer,
                                       request_of_node(request) ? &node : NULL, request->facts.now_s, route);
    request->facts.endpoint = route->url.endpoint;
    route->cache.id = request->id;
    if (request->error != NULL) {
        char client[ADDRESS_TEXT];
        bool malformed = request->error->status == 400;
        request->proxy_status = malformed ? PROXY_STATUS_BAD_REQUEST : PROXY_STATUS_DENIED;
        metric_cell_add(metric_cell(METRIC_REFUSED, request->error->code), 1);
        request->facts.error_detail.refusal = route->permission.detail;
        const char *why = route->url.problem != NULL ? route->url.problem : request->error->message;
        struct str detail = route->permission.detail.ptr != NULL ? route->permission.detail : str_from(why);
        log_event(BAD_REQUEST, "client=%s listener=%s request=%.*s reason=%s account=%.*s: %.*s",
                  client_of(request, client), x->listener, STR_ARG(request->id), request->error->code,
                  STR_ARG(route->url.account), STR_ARG(detail));
        return REQUEST_REFUSE;
    }
    if (request_of_node(request) && request->said.changed != WIRE_CHANGED_NOTHING)
        return REQUEST_FORGET;
    if (route->permission.overrides)
        request->facts.overrides = &route->url.query;
    request->facts.user_properties = route->url.query.first[BLOB_PARAM_ACTION] == 0;
    if (route->class.action == BLOB_ACTION_WRITE)
        return request_bypass(request, "write");
    request->range = range_parse(x->request.method == HTTP_HEAD ? STR_NULL : blob_range_header(&route->headers));
    if (route->bypass == NULL && request->range.kind == RANGE_SUFFIX)
        route->bypass = "suffix-range";
    if (route->bypass == NULL && request->range.kind == RANGE_MALFORMED)
        route->bypass = "odd-range"; /* whether it is refused or ignored is the origin's to say */
    return http_method_reads(x->request.method) && x->body != NULL ? REQUEST_UNBODY : route_read(request);
}

/* ---- UNBODY ---- */

static void on_body(void *arg)
{
    request_run(arg, REQUEST_UNBODY);
}

/* A body means nothing to a GET or HEAD (RFC 9110, 9.3.1): who sends one may be smuggling a request past somebody that
 * reads it in another way, and libcurl could not pass it on with a HEAD. That it is there shows by its first byte:
 * chunked framing and HTTP/2 may announce a body and bring none. */
enum request_state request_unbody(struct request *request)
{
    struct http_exchange *x = request->x;
    struct source_view view;
    if (x->request.content_length > 0)
        return request_refuse_client(request, STATUS_BODY_UNWANTED);
    source_listen(x->body, on_body, request);
    switch (source_peek(x->body, &view, 1)) {
    case SOURCE_WAIT:
        return REQUEST_WAIT;
    case SOURCE_DATA:
        source_consume(x->body, 0);
        return request_refuse_client(request, STATUS_BODY_UNWANTED);
    case SOURCE_FAILED:
        return request_body_failed(request, x->body->error);
    case SOURCE_END:
        break;
    }
    struct source *empty = http_take_body(x);
    source_close(&empty);
    x->request.content_length = 0;
    return route_read(request);
}

/* ---- REFUSE and the replies that are whole in memory ---- */

enum request_state request_reply_text(struct request *request, const struct http_response *head, struct str text)
{
    struct source *body = text.len == 0 ? NULL : source_from_str(text);
    http_reply(request->x, head, &body);
    return REQUEST_SENT;
}

enum request_state request_refuse_client(struct request *request, enum status why)
{
    metric_cell_add(metric_cell(METRIC_REFUSED, status_name(why)), 1);
    char client[ADDRESS_TEXT];
    log_event(BAD_REQUEST, "client=%s listener=%s request=%.*s reason=%s: %s", client_of(request, client),
              request->x->listener, STR_ARG(request->id), status_name(why), status_text(why));
    request->error = blob_error_of(why);
    request->proxy_status = PROXY_STATUS_BAD_REQUEST;
    return REQUEST_REFUSE;
}

enum request_state request_body_failed(struct request *request, enum status why)
{
    if (why != STATUS_CLIENT_GONE)
        return request_refuse_client(request, why);
    request->aborted = why;
    http_abort(request->x, why);
    return REQUEST_SENT;
}

static void log_internal(const struct request *request, enum status why)
{
    char client[ADDRESS_TEXT];
    const struct account *account = request->route.account;
    log_event(INTERNAL_ERROR, "client=%s account=%s request=%.*s reason=%s: %s", client_of(request, client),
              account == NULL ? "-" : account->name, STR_ARG(request->id), status_name(why), status_text(why));
}

enum request_state request_fail(struct request *request, enum status why)
{
    request->error = blob_error_of(why);
    request->proxy_status = proxy_status_of(why);
    if (why == STATUS_NO_MEMORY || why == STATUS_OVER_BUDGET)
        request->facts.retry_after_s = RETRY_AFTER_S;
    if (request->error->status < 500 && why != STATUS_DENIED)
        request->error =
            blob_error_of(STATUS_BAD_REPLY); /* what would be malformed from a client came from the origin */
    if (str_eq(str_from(request->error->code), STR("InternalError")))
        log_internal(request, why);
    return REQUEST_REFUSE;
}

enum request_state request_refuse(struct request *request)
{
    struct http_response head;
    struct str text = reply_error(&head, &request->facts, request->error, request->proxy_status);
    return request_reply_text(request, &head, text);
}

enum request_state request_sent(struct request *request)
{
    (void) request;
    return REQUEST_WAIT;
}

/* ---- The server's side ---- */

static void on_request(void *arg, struct http_exchange *x)
{
    (void) arg;
    request_run(request_new(x), REQUEST_ROUTE);
}

/* What the protocol found malformed, but could still frame an answer to; or nothing wrong, but memory is short. */
static void on_refused(void *arg, struct http_exchange *x, enum status why)
{
    (void) arg;
    struct request *request = request_new(x);
    request_run(request, why == STATUS_NO_MEMORY ? request_fail(request, why) : request_refuse_client(request, why));
}

/* Metrics and the access log. */
static void request_account(struct request *request, enum status how)
{
    const struct http_exchange *x = request->x;
    int64_t total = clock_mono_us() - x->began_us;
    int64_t first = x->head_us == 0 ? -1 : x->head_us - x->began_us;
    enum outcome outcome = request->facts.outcome;
    if (!request_of_node(request))
        meter_count(request->home->meter, x->request.method, outcome, x->status, first, total);
    /* Nothing was stored when it was asked for: the disk was faster than the client. */
    if (outcome == OUTCOME_MISS || outcome == OUTCOME_MISS_STORED) {
        request->came[CACHE_FROM_ORIGIN] += request->came[CACHE_FROM_STORE];
        request->came[CACHE_FROM_STORE] = 0;
    }
    if (!request_of_node(request) && outcome != OUTCOME_NONE && outcome != OUTCOME_BYPASS &&
        (x->status == 200 || x->status == 206 || x->status == 304))
        meter_read(request->home->meter, request->route.account->name, request->route.url.container,
                   request->route.cache.container, outcome, request->came);
    if (request->home->feed == NULL)
        return;
    struct str range = http_headers_get(&x->request.headers, STR("x-ms-range"));
    struct access_entry entry = {
        .peer = x->peer,
        .version = x->request.version,
        .tls = x->request.tls,
        .method = x->request.method_text,
        .target = x->request.target,
        .account = request->route.account == NULL ? STR_NULL : str_from(request->route.account->name),
        .request_id = request->facts.request_id,
        .client_request_id = request->facts.client_request_id,
        .range = range.ptr != NULL ? range : http_headers_get(&x->request.headers, STR("Range")),
        .agent = http_headers_get(&x->request.headers, STR("User-Agent")),
        .retries = request->retries,
        .status = x->status,
        .sent = x->sent,
        .received = x->received,
        .cache = outcome_label(outcome),
        .detail = request->facts.detail,
        .first_us = first,
        .total_us = total,
        .end = how,
    };
    access_feed_add(request->home->feed, &entry);
}

/* The last call for each exchange, at any state: whatever is pending is given up. */
static void on_finished(void *arg, struct http_exchange *x, enum status how)
{
    (void) arg;
    struct request *request = x->user;
    if (request == NULL)
        return;
    x->user = NULL;
    if (how == STATUS_CLIENT_GONE && request->state != REQUEST_SENT)
        log_event(CLIENT_ABORT, "method=%.*s before the reply", STR_ARG(x->request.method_text));
    cache_resolve_cancel(&request->resolve);
    source_close(&request->body);
    checksum_close(&request->checksum);
    forward_leave(&request->forward);
    invalidation_lift(&request->invalidation, true, NULL); /* still here: it was never forwarded */
    peer_forgets_no_more(request);
    admission_leave(&request->turn);
    read_forget(request);
    request_account(request, request->aborted == STATUS_OK ? how : request->aborted);
}

const struct http_handler request_handler = {.request = on_request, .refused = on_refused, .finished = on_finished};
