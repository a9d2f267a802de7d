/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h1_reply.c: renders a reply's head into one piece of the arena and sends it together with the first body bytes by one
 * system call; then pulls the body as fast as the connection takes it.
 *
 * A chunk that was announced must come whole: `chunk_left` remembers it across short writes, and the source shows the
 * same bytes again. A body that fails leaves its framing unfinished (I5).
 */
#include "http/h1.h"

#include <assert.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/metric.h"
#include "http/field.h"

/* Pulled at once; one system call's worth. Measured with 64 readers of 1 MiB: half of it costs a fifth more CPU a reply.
 * Twice as much costs about the same (0.97 against 0.96 of a bare writev loop), and others' first byte comes later: p99
 * 74 ms against 46. */
#define PULL_MAX 524288
/* Sent in one event before others get their turn: who waits meanwhile waits for all replies that are ready. */
#define BUDGET PULL_MAX

/* ---- The head ---- */

/* Whether this reply is the connection's last, as far as is known when its head goes out. */
static bool is_last(const struct h1 *h1, const struct h1_exchange *exchange)
{
    if (!exchange->framing.persistent || h1->session.server->draining || exchange->out == H1_OUT_CLOSE)
        return true;
    if (h1->body_error != STATUS_OK)
        return true;
    /* The client may or may not send the body it asked about: nobody knows where the next request would begin. */
    if (h1->body_mode != H1_BODY_DONE && h1->continue_owed)
        return true;
    bool unwanted = h1->body == NULL || exchange->x.body != NULL;
    return h1->body_mode == H1_BODY_LENGTH && unwanted && h1->body_left > H1_DRAIN_MAX;
}

static void render_head(struct h1_exchange *exchange, const struct http_response *head, bool length)
{
    struct h1 *h1 = exchange->h1;
    struct str reason = http_reason(head->status);
    struct str date = STR_NULL;
    size_t size = 160 + reason.len; /* status line, length, framing and connection fields */
    if (http_headers_find(&head->headers, STR("Date")) == NULL)
        date = session_date(h1->session.server);
    for (unsigned i = 0; i < head->headers.count; i++)
        size += head->headers.items[i].name.len + head->headers.items[i].value.len + 4;

    char *start = arena_alloc(exchange->x.arena, size);
    char *at = str_put(start, STR("HTTP/1.1 "));
    at = str_put_number(at, (uint64_t) head->status);
    at = str_put(at, STR(" "));
    at = str_put(at, reason);
    at = str_put(at, STR("\r\n"));
    if (date.len > 0) {
        at = str_put(at, STR("Date: "));
        at = str_put(at, date);
        at = str_put(at, STR("\r\n"));
    }
    for (unsigned i = 0; i < head->headers.count; i++) {
        at = str_put(at, head->headers.items[i].name);
        at = str_put(at, STR(": "));
        at = str_put(at, head->headers.items[i].value);
        at = str_put(at, STR("\r\n"));
    }
    if (length) {
        at = str_put(at, STR("Content-Length: "));
        at = str_put_number(at, (uint64_t) head->content_length);
        at = str_put(at, STR("\r\n"));
    }
    if (exchange->out == H1_OUT_CHUNKED)
        at = str_put(at, STR("Transfer-Encoding: chunked\r\n"));
    if (h1->last)
        at = str_put(at, STR("Connection: close\r\n"));
    else if (exchange->x.request.version == HTTP_1_0)
        at = str_put(at, STR("Connection: keep-alive\r\n"));
    at = str_put(at, STR("\r\n"));
    assert(at <= start + size);
    exchange->head = (struct str){start, (size_t) (at - start)};
}

static void on_ready(void *arg)
{
    struct h1_exchange *exchange = arg;
    h1_run(exchange->h1);
}

static void reply(struct http_exchange *x, const struct http_response *head, struct source *body)
{
    struct h1_exchange *exchange = (struct h1_exchange *) x;
    struct h1 *h1 = exchange->h1;
    assert(!exchange->answered && !exchange->aborted && head->status >= 200);
    exchange->answered = true;
    x->status = head->status;
    x->head_us = clock_mono_us();

    struct http_framing framing = http_reply_framing(x->request.method, head->status, head->content_length);
    exchange->ended = framing.body == HTTP_BODY_NONE;
    if (framing.body == HTTP_BODY_LENGTH) {
        exchange->out = H1_OUT_LENGTH;
        exchange->left = (uint64_t) head->content_length;
    } else if (framing.body == HTTP_BODY_OPEN) {
        exchange->out = x->request.version == HTTP_1_0 ? H1_OUT_CLOSE : H1_OUT_CHUNKED;
    }
    if (exchange->ended)
        source_close(&body);
    exchange->source = body;
    if (body != NULL)
        source_listen(body, on_ready, exchange);

    h1->last = is_last(h1, exchange);
    render_head(exchange, head, framing.announce);
    if (h1->running)
        h1->again = true;
    else
        session_task(&h1->session);
}

static void abort_exchange(struct http_exchange *x, enum status why)
{
    struct h1_exchange *exchange = (struct h1_exchange *) x;
    (void) why; /* the handler knows; `finished` tells CANCELLED */
    exchange->aborted = true;
    if (exchange->h1->running)
        exchange->h1->again = true;
    else
        session_task(&exchange->h1->session);
}

const struct http_transport h1_transport = {.reply = reply, .abort = abort_exchange};

/* ---- The body ---- */

static void add_lead(struct h1_exchange *exchange, const char *text, size_t size)
{
    if (exchange->lead_start == exchange->lead_end)
        exchange->lead_start = exchange->lead_end = 0;
    assert(exchange->lead_end + size <= sizeof exchange->lead);
    memcpy(exchange->lead + exchange->lead_end, text, size);
    exchange->lead_end += (unsigned) size;
}

/* Looks for body bytes that may be sent now, and does what their framing needs. */
static enum source_state look(struct h1_exchange *exchange, struct source_view *view)
{
    size_t max = PULL_MAX;
    if (exchange->out == H1_OUT_LENGTH && exchange->left < max)
        max = (size_t) exchange->left;
    if (exchange->out == H1_OUT_CHUNKED && exchange->chunk_left > 0 && exchange->chunk_left < max)
        max = exchange->chunk_left;
    enum source_state state = exchange->source == NULL ? SOURCE_END : source_peek(exchange->source, view, max);
    if (exchange->out != H1_OUT_CHUNKED)
        return state;
    if (state == SOURCE_DATA && exchange->chunk_left == 0) {
        char line[24];
        int size = snprintf(line, sizeof line, "%zx\r\n", view->bytes);
        add_lead(exchange, line, (size_t) size);
        exchange->chunk_left = view->bytes;
    } else if (state == SOURCE_END && exchange->chunk_left == 0) {
        add_lead(exchange, "0\r\n\r\n", 5);
    }
    return state;
}

/* Whether an end is the one that was announced. */
static bool whole(const struct h1_exchange *exchange)
{
    return exchange->left == 0 && exchange->chunk_left == 0;
}

/* Accounts for what the connection took: head, lead, then body. Returns the body's share. */
static size_t took(struct h1_exchange *exchange, size_t taken)
{
    size_t n = taken < exchange->head.len ? taken : exchange->head.len;
    exchange->head.ptr += n;
    exchange->head.len -= n;
    taken -= n;
    size_t lead = exchange->lead_end - exchange->lead_start;
    n = taken < lead ? taken : lead;
    exchange->lead_start += (unsigned) n;
    taken -= n;
    if (exchange->out == H1_OUT_LENGTH)
        exchange->left -= taken;
    if (exchange->out == H1_OUT_CHUNKED && taken > 0) {
        exchange->chunk_left -= taken;
        if (exchange->chunk_left == 0)
            add_lead(exchange, "\r\n", 2);
    }
    exchange->x.sent += taken;
    return taken;
}

/* One write of what is there. AGAIN when the connection is full. */
static enum status send_some(struct h1_exchange *exchange, const struct source_view *view, bool more, size_t *body)
{
    struct iovec pieces[2 + SOURCE_MAX_PIECES];
    unsigned count = 0;
    size_t offered = view->bytes + exchange->head.len + exchange->lead_end - exchange->lead_start;
    *body = 0;
    if (offered == 0)
        return STATUS_OK;
    if (exchange->head.len > 0)
        pieces[count++] = (struct iovec){(void *) (uintptr_t) exchange->head.ptr, exchange->head.len};
    if (exchange->lead_end > exchange->lead_start)
        pieces[count++] =
            (struct iovec){exchange->lead + exchange->lead_start, exchange->lead_end - exchange->lead_start};
    memcpy(pieces + count, view->pieces, view->count * sizeof pieces[0]);
    size_t taken;
    enum status status =
        conn_writev(exchange->h1->session.conn, pieces, count + view->count, more ? CONN_MORE : 0, &taken);
    if (status != STATUS_OK)
        return STATUS_CLIENT_GONE;
    *body = took(exchange, taken);
    return taken == offered ? STATUS_OK : STATUS_AGAIN;
}

static enum status pump(struct h1_exchange *exchange, size_t *sent)
{
    while (*sent < BUDGET) {
        struct source_view view = {.count = 0, .bytes = 0};
        enum source_state state = SOURCE_END;
        if (!exchange->ended) {
            state = look(exchange, &view);
            if (state == SOURCE_FAILED || (state == SOURCE_END && !whole(exchange)))
                return state == SOURCE_FAILED ? exchange->source->error : STATUS_TRUNCATED;
            exchange->ended = state == SOURCE_END;
        }
        bool more = state == SOURCE_DATA && (exchange->out != H1_OUT_LENGTH || view.bytes < exchange->left);
        size_t body;
        enum status status = send_some(exchange, &view, more, &body);
        if (state == SOURCE_DATA)
            source_consume(exchange->source, body);
        *sent += body;
        if (exchange->out == H1_OUT_LENGTH && exchange->left == 0)
            exchange->ended = true;
        if (status != STATUS_OK)
            return status;
        if (exchange->ended && exchange->head.len == 0 && exchange->lead_start == exchange->lead_end)
            return STATUS_OK;
        if (state == SOURCE_WAIT)
            return STATUS_AGAIN;
    }
    session_task(&exchange->h1->session);
    return STATUS_AGAIN;
}

enum status h1_reply_pump(struct h1_exchange *exchange)
{
    size_t sent = 0;
    enum status status = pump(exchange, &sent);
    if (sent > 0 && !exchange->h1->session.server->limits.uncounted)
        metric_add(METRIC_CLIENT_BYTES, (int64_t) sent);
    if (status != STATUS_OK && status != STATUS_AGAIN)
        return status;
    return conn_flush(exchange->h1->session.conn) == STATUS_OK ? status : STATUS_CLIENT_GONE;
}
