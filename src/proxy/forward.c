/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forward.c: builds the forwarded head and decides what becomes of a write whose client has left.
 *
 * The head is the client's own: nothing is added but Via, nothing taken but what belongs to one hop. Host is the origin
 * client's to set (Shared Key does not sign it).
 */
#include "proxy/forward.h"

#include "base/mem.h"
#include "cache/keep.h"
#include "pool/tells.h"

struct forward {
    struct list link; /* home->forwards */
    struct origin_fetch *fetch;
    struct invalidation *invalidation;
    struct tells_wait *wait; /* for who is told of it; or NULL */
    struct cache_keep *keep; /* the body becomes blocks; or NULL */
    struct admission turn;   /* until all of it is over */
    forward_head_f *head;    /* NULL: the client has left */
    void *arg;
    bool answered;
};

/* What has not got to the origin whole was not acted on there. */
static bool forward_sent(const struct forward *forward)
{
    return forward->fetch == NULL || origin_fetch_sent_all(forward->fetch);
}

static void forward_free(struct forward *forward)
{
    list_remove(&forward->link);
    invalidation_lift(&forward->invalidation, !forward_sent(forward), NULL);
    tells_wait_end(&forward->wait);
    cache_keep_end(&forward->keep, NULL);
    origin_fetch_close(&forward->fetch);
    admission_leave(&forward->turn);
    mem_free(forward);
}

static void on_head(void *arg, const struct http_response *head, enum status why)
{
    struct forward *forward = arg;
    bool refused = head == NULL ? !forward_sent(forward) : head->status >= 400 && head->status < 500;
    forward->answered = true;
    bool waits = forward->head != NULL && head != NULL && head->status < 300;
    invalidation_lift(&forward->invalidation, refused, waits ? &forward->wait : NULL);
    cache_keep_end(&forward->keep, head != NULL && head->status == 201 ? head : NULL);
    if (forward->head == NULL)
        forward_free(forward);
    else
        forward->head(forward->arg, head, why);
}

static struct str via_of(enum http_version version)
{
    switch (version) {
    case HTTP_1_0:
        return STR("1.0 headpond");
    case HTTP_1_1:
        return STR("1.1 headpond");
    case HTTP_2:
        return STR("2.0 headpond");
    }
    return STR("1.1 headpond");
}

static void forwarded_headers(struct http_headers *to, const struct http_exchange *x)
{
    const struct http_headers *from = &x->request.headers;
    to->arena = x->arena;
    to->count = 0;
    to->room = from->count + 1;
    to->items = arena_alloc(x->arena, to->room * sizeof *to->items);
    for (unsigned i = 0; i < from->count; i++) {
        if (http_header_hop_by_hop(from->items[i].name) || str_ieq(from->items[i].name, STR("Expect")))
            continue;
        http_headers_add(to, from->items[i].name, from->items[i].value);
    }
    http_headers_add(to, STR("Via"), via_of(x->request.version));
}

struct forward *forward_start(struct proxy_loop *home, struct http_exchange *x, const struct route *route,
                              struct invalidation **invalidation, struct admission *turn, forward_head_f *head,
                              void *arg)
{
    struct forward *forward = mem_calloc(1, sizeof *forward);
    forward->head = head;
    forward->arg = arg;
    forward->invalidation = *invalidation;
    *invalidation = NULL;
    admission_move(&forward->turn, turn);
    list_add_tail(&home->forwards, &forward->link);

    struct http_headers headers;
    forwarded_headers(&headers, x);
    struct source *body = http_take_body(x);
    if (body != NULL && route->class.whole && route->bypass == NULL && x->request.content_length > 0 &&
        route->account->row->cache_writes && home->proxy->stored)
        forward->keep = cache_keep_start(home->proxy->cache, home->loop, &route->cache,
                                         (uint64_t) x->request.content_length, &body);
    struct origin_request request = {
        .account = route->account->name,
        .id = route->cache.id,
        .base = route->origin,
        .ca_file = route->account->row->origin_ca,
        .method = x->request.method_text,
        .target = route->target,
        .budget = &forward->turn.budget,
        .signer = route->permission.signer,
        .headers = &headers,
        .content_length = x->request.content_length,
        .retry = http_method_reads(x->request.method) && body == NULL,
        .modest = true,
    };
    struct origin_events events = {on_head, forward};
    forward->fetch = origin_fetch_start(home->loop, &home->proxy->limits, &request, &body, &events);
    return forward;
}

unsigned forward_retries(const struct forward *forward)
{
    return origin_fetch_retries(forward->fetch);
}

struct source *forward_body(struct forward *forward)
{
    return origin_fetch_into_source(&forward->fetch);
}

bool forward_told(struct forward *forward, void (*told)(void *arg), void *arg)
{
    return forward->wait == NULL || tells_wait_over(forward->wait, told, arg);
}

enum status forward_body_error(const struct forward *forward)
{
    return origin_fetch_upload_error(forward->fetch);
}

void forward_leave(struct forward **forward)
{
    struct forward *gone = *forward;
    *forward = NULL;
    if (gone == NULL)
        return;
    if (gone->answered || gone->invalidation == NULL || !forward_sent(gone))
        forward_free(gone);
    else
        gone->head = NULL;
}

void forward_close_all(struct proxy_loop *home)
{
    while (!list_empty(&home->forwards))
        forward_free(LIST_ENTRY(home->forwards.next, struct forward, link));
}
