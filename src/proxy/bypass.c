/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bypass.c: the states of a request that goes to the origin as the client made it: reads that are not for the cache,
 * and every write, which is fenced first. Each waits for its turn.
 */
#include "base/log.h"
#include "proxy/proxy_status.h"
#include "proxy/request.h"

#define HOPS_MAX 8

/* Before the fence: whoever waits keeps nobody else from the cache. */
static enum request_state after_turn(const struct request *request)
{
    return request->route.class.action == BLOB_ACTION_WRITE ? REQUEST_FENCE : REQUEST_FORWARD;
}

static void on_turn(void *arg, enum status why)
{
    struct request *request = arg;
    request_run(request, why == STATUS_OK ? after_turn(request) : request_fail(request, why));
}

enum request_state bypass_turn(struct request *request)
{
    if (!turn_ask(&request->turn, request->home, request->x, &request->route.cache, on_turn, request))
        return REQUEST_WAIT;
    return after_turn(request);
}

static void on_raised(void *arg)
{
    request_run(arg, REQUEST_FORWARD);
}

enum request_state bypass_fence(struct request *request)
{
    request->invalidation = invalidation_raise(request->home, &request->route, on_raised, request);
    return request->invalidation == NULL ? REQUEST_FORWARD : REQUEST_WAIT;
}

static void on_head(void *arg, const struct http_response *head, enum status why)
{
    struct request *request = arg;
    request->retries = forward_retries(request->forward);
    if (head == NULL) {
        enum status bad = forward_body_error(request->forward);
        forward_leave(&request->forward);
        request_run(request, bad == STATUS_OK ? request_fail(request, why) : request_body_failed(request, bad));
        return;
    }
    request->origin_head = head;
    request_run(request, REQUEST_RELAY);
}

/* How many of us it has passed. An origin that leads back here would otherwise be asked for ever; sidecar, pool and
 * another region's pool make three. */
static unsigned hops(const struct http_headers *headers)
{
    unsigned count = 0;
    for (unsigned n = 0; n < headers->count; n++) {
        if (!str_ieq(headers->items[n].name, STR("Via")))
            continue;
        struct str via = headers->items[n].value;
        while (via.ptr != NULL) {
            struct str entry = str_trim(str_split(via, ',', &via));
            count += str_ends(entry, STR(" headpond"));
        }
    }
    return count;
}

enum request_state bypass_forward(struct request *request)
{
    read_forget(request);
    if (hops(&request->x->request.headers) >= HOPS_MAX) {
        invalidation_lift(&request->invalidation, true, NULL);
        log_event(INTERNAL_ERROR, "account=%s request=%.*s reason=loop: the origin leads back here",
                  request->route.account->name, STR_ARG(request->id));
        request->error = &BLOB_ERROR_LOOP;
        request->proxy_status = PROXY_STATUS_LOOP;
        return REQUEST_REFUSE;
    }
    request->forward = forward_start(request->home, request->x, &request->route, &request->invalidation, &request->turn,
                                     on_head, request);
    return REQUEST_WAIT;
}

static void on_told(void *arg)
{
    request_run(arg, REQUEST_TOLD);
}

/* Waits, after a write, until those know of it whom its writer may read through next. */
enum request_state bypass_relay(struct request *request)
{
    const struct http_response *origin = request->origin_head;
    request->origin_head = NULL;
    request->relayed = (struct http_response){.status = origin->status, .content_length = origin->content_length};
    reply_copy_relayed(&request->relayed, &request->facts, &origin->headers);
    request->body = forward_body(request->forward);
    if (forward_told(request->forward, on_told, request))
        return REQUEST_TOLD;
    /* Its texts are good for this event only. */
    struct http_headers texts = request->relayed.headers;
    http_headers_copy(&request->relayed.headers, &texts, request->x->arena);
    return REQUEST_WAIT;
}

enum request_state bypass_told(struct request *request)
{
    http_reply(request->x, &request->relayed, &request->body);
    return REQUEST_SENT;
}
