/* SPDX-License-Identifier: Apache-2.0 */
/* turn.c: what a request costs that passes through, and while it waits. */
#include "proxy/turn.h"

#include "base/mem_parts.h"
#include "proxy/proxy.h"

/* What is counted for: libcurl's handle with its connection and read buffer, a TLS session on either side; */
#define COST_BASE (96 * 1024)
/* the reply between the two: what libcurl was refused, and the queue; */
#define COST_REPLY (2 * (size_t) ORIGIN_MODEST_BYTES)
/* the body between the two: libcurl's send buffer, and at most so much of what came in and was not taken. */
#define COST_BODY ((size_t) ORIGIN_MODEST_BYTES)
#define COST_INPUT_1 (64 * 1024)
#define COST_INPUT_2 (256 * 1024)

/* While it waits: */
#define WAIT_BASE (12 * 1024)
#define WAIT_INPUT_1 (16 * 1024)
#define WAIT_INPUT_2 (64 * 1024)

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

/* Who waits has its head, and what h1.c reads behind one; in HTTP/2 what fits into a window that nobody opens. */
static size_t held_by(const struct http_exchange *x)
{
    const struct http_headers *headers = &x->request.headers;
    size_t held = WAIT_BASE + x->request.target.len;
    for (unsigned n = 0; n < headers->count; n++)
        held += headers->items[n].name.len + headers->items[n].value.len;
    if (x->body == NULL)
        return held;
    return held + (x->request.version == HTTP_2 ? WAIT_INPUT_2 : WAIT_INPUT_1);
}

static bool is_brief(const struct http_exchange *x)
{
    if (x->request.method == HTTP_GET)
        return false;
    return x->body == NULL || (x->request.content_length >= 0 && x->request.content_length <= BRIEF_BODY);
}

void turns_init(struct proxy *proxy)
{
    const struct admission_terms terms = {
        .what = "what passes through",
        .waiting = METRIC_FORWARDS_WAITING,
        .part = MEM_FORWARDS,
        .waiting_part = MEM_FORWARDS_WAITING,
        .most = {7, 8},
        .patience_ms = proxy->limits.first_byte_timeout,
    };
    admission_class_init(&proxy->turns, &terms);
}

bool turn_ask(struct admission *turn, struct proxy_loop *home, const struct http_exchange *x,
              const struct cache_request *request, void (*come)(void *arg, enum status why), void *arg)
{
    const struct admission_wish wish = {
        .budget = request->budget,
        .account = request->account_hash.lo,
        .client = request->client,
        .favoured = is_brief(x),
        .bytes = cost_of(x),
        .held = held_by(x),
        .come = come,
        .arg = arg,
    };
    return admission_ask(turn, &home->turns, &wish);
}
