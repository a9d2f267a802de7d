/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2_stream.c: one request and its reply in HTTP/2.
 *
 * nghttp2 has checked what RFC 9113 (8.1, 8.2) asks of a message; the target and the bounds are judged here by the same
 * rules as in HTTP/1.1. Body bytes go from the source to the connection without a copy: nghttp2 asks for a length
 * (h2_stream_read) and at once, in the same call, for the bytes (h2_stream_send).
 */
#include "http/h2.h"

#include <assert.h>
#include <stdio.h>

#include "base/clock.h"
#include "http/field.h"
#include "http/target.h"

struct h2_stream *h2_stream_new(struct h2 *h2, int32_t id)
{
    struct http_server *server = h2->session.server;
    struct arena *arena = session_arena_take(server);
    struct h2_stream *stream = arena_calloc(arena, sizeof *stream);
    stream->h2 = h2;
    stream->id = id;
    stream->x.transport = &h2_transport;
    stream->x.loop = server->loop;
    stream->x.arena = arena;
    stream->x.listener = h2->session.listener;
    stream->x.caller = h2->session.caller;
    stream->x.peer = &h2->session.peer.any;
    stream->x.peer_length = h2->session.peer_length;
    stream->x.began_us = clock_mono_us();
    stream->x.request.version = HTTP_2;
    stream->x.request.method = HTTP_OTHER;
    stream->x.request.tls = conn_is_tls(h2->session.conn);
    stream->x.request.headers.arena = arena;
    stream->moved_ms = loop_now_ms(server->loop);
    list_init(&stream->turn);
    list_add_tail(&h2->streams, &stream->link);
    h2->stream_count++;
    return stream;
}

void h2_stream_finish(struct h2_stream *stream)
{
    struct h2 *h2 = stream->h2;
    struct http_server *server = h2->session.server;
    struct arena *arena = stream->x.arena;
    enum status how = stream->how;
    if (how == STATUS_OK && !(stream->answered && stream->local_closed))
        how = h2->end != STATUS_OK ? h2->end : STATUS_CLIENT_GONE;
    h2_turn_leave(stream);
    list_remove(&stream->link);
    h2->stream_count--;
    h2->header_bytes -= stream->kept_bytes;
    source_close(&stream->source);
    source_close(&stream->x.body);
    if (stream->heard)
        server->handler.finished(server->handler.arg, &stream->x, how);
    h2_body_detach(stream->body, how == STATUS_OK ? STATUS_CANCELLED : how);
    session_arena_give(server, arena);
}

/* ---- The request ---- */

static bool too_much(struct h2_stream *stream, size_t bytes)
{
    struct h2 *h2 = stream->h2;
    const struct http_limits *limits = &h2->session.server->limits;
    stream->header_bytes += bytes;
    if (stream->header_bytes <= limits->max_head && stream->x.request.headers.count < limits->max_headers &&
        h2->header_bytes + bytes <= H2_HEADERS_CONNECTION) {
        h2->header_bytes += bytes;
        stream->kept_bytes += bytes;
        return false;
    }
    if (stream->refuse == STATUS_OK)
        stream->refuse = STATUS_HEADERS_TOO_LARGE;
    return true;
}

static void pseudo_field(struct h2_stream *stream, struct str name, struct str value)
{
    struct http_request *request = &stream->x.request;
    if (str_eq(name, STR(":method"))) {
        request->method_text = arena_str(stream->x.arena, value);
        request->method = http_method_parse(value);
    } else if (str_eq(name, STR(":path"))) {
        if (value.len > stream->h2->session.server->limits.max_target)
            stream->refuse = STATUS_URI_TOO_LONG;
        else
            stream->path = arena_str(stream->x.arena, value);
    } else if (str_eq(name, STR(":authority"))) {
        request->authority = arena_str(stream->x.arena, value);
    }
}

bool h2_stream_header(struct h2_stream *stream, struct str name, struct str value)
{
    struct http_request *request = &stream->x.request;
    if (stream->header_bytes + name.len + value.len > H2_HEADERS_FATAL)
        return false;
    /* 4: what the same field takes besides in HTTP/1.1. */
    if (too_much(stream, name.len + value.len + 4))
        return true;
    if (name.len > 0 && name.ptr[0] == ':') {
        pseudo_field(stream, name, value);
    } else if (str_eq(name, STR("content-length"))) {
        stream->lengthy = true;
        if (!str_to_int(value, &request->content_length))
            stream->refuse = STATUS_BAD_LENGTH;
    } else if (str_eq(name, STR("host"))) {
        if (request->authority.ptr == NULL)
            request->authority = arena_str(stream->x.arena, value);
    } else if (str_eq(name, STR("expect"))) {
        if (str_ieq(value, STR("100-continue")))
            stream->continue_owed = true;
        else
            stream->refuse = STATUS_EXPECTATION_FAILED;
    } else if (!http_header_hop_by_hop(name)) {
        http_headers_add(&request->headers, arena_str(stream->x.arena, name), arena_str(stream->x.arena, value));
    }
    return true;
}

void h2_stream_request(struct h2_stream *stream, bool ended)
{
    struct http_server *server = stream->h2->session.server;
    struct http_request *request = &stream->x.request;
    enum status status = stream->refuse;
    if (status == STATUS_OK && !target_authority_valid(request->authority))
        status = STATUS_BAD_REQUEST;
    if (status == STATUS_OK)
        status = target_parse(request, stream->path);
    stream->remote_closed = ended;
    stream->heard = true;
    if (status != STATUS_OK) {
        request->content_length = 0;
        server->handler.refused(server->handler.arg, &stream->x, status);
        return;
    }
    if (ended)
        request->content_length = 0;
    else if (!stream->lengthy)
        request->content_length = HTTP_LENGTH_UNKNOWN;
    if (!ended)
        stream->x.body = h2_body_open(stream);
    server->handler.request(server->handler.arg, &stream->x);
}

/* ---- The reply's head ---- */

static void on_ready(void *arg)
{
    struct h2_stream *stream = arg;
    if (!stream->deferred || stream->h2->dead)
        return;
    stream->deferred = false;
    stream->moved_ms = loop_now_ms(stream->x.loop);
    nghttp2_session_resume_data(stream->h2->ng, stream->id);
    h2_kick(stream->h2);
}

/* What is different in each reply is not worth a place in the client's table (RFC 7541, 6.2.3), which costs an
 * allocation and pushes another out. */
static bool differs(struct str name)
{
    static const struct str names[] = {STR_INIT("content-range"), STR_INIT("x-ms-client-request-id"),
                                       STR_INIT("x-ms-request-id")};
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        if (str_eq(name, names[i]))
            return true;
    return false;
}

static nghttp2_nv field(struct str name, struct str value)
{
    return (nghttp2_nv){(uint8_t *) (uintptr_t) name.ptr, (uint8_t *) (uintptr_t) value.ptr, name.len, value.len,
                        differs(name) ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE};
}

static void submit(struct h2_stream *stream, const struct http_response *head, bool length)
{
    struct arena *arena = stream->x.arena;
    nghttp2_nv *fields = arena_alloc(arena, (head->headers.count + 3) * sizeof *fields);
    size_t count = 0;
    fields[count++] = field(STR(":status"), arena_number(arena, (uint64_t) head->status));
    if (http_headers_find(&head->headers, STR("Date")) == NULL)
        fields[count++] = field(STR("date"), session_date(stream->h2->session.server));
    for (unsigned i = 0; i < head->headers.count; i++)
        /* RFC 9113, 8.2: names are lower case. */
        fields[count++] = field(arena_lower(arena, head->headers.items[i].name), head->headers.items[i].value);
    if (length)
        fields[count++] = field(STR("content-length"), arena_number(arena, (uint64_t) head->content_length));
    const nghttp2_data_provider provider = {.source = {.ptr = stream}, .read_callback = h2_stream_read};
    int failed =
        nghttp2_submit_response(stream->h2->ng, stream->id, fields, count, stream->source == NULL ? NULL : &provider);
    if (failed != 0) {
        stream->how = STATUS_PROTOCOL;
        nghttp2_submit_rst_stream(stream->h2->ng, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_INTERNAL_ERROR);
    }
}

static void reply(struct http_exchange *x, const struct http_response *head, struct source *body)
{
    struct h2_stream *stream = (struct h2_stream *) x;
    assert(!stream->answered && head->status >= 200);
    stream->answered = true;
    x->status = head->status;
    x->head_us = clock_mono_us();
    stream->moved_ms = loop_now_ms(x->loop);
    struct http_framing framing = http_reply_framing(x->request.method, head->status, head->content_length);
    stream->known = framing.body == HTTP_BODY_LENGTH;
    stream->left = stream->known ? (uint64_t) head->content_length : 0;
    if (framing.body == HTTP_BODY_NONE)
        source_close(&body);
    stream->source = body;
    if (body != NULL)
        source_listen(body, on_ready, stream);
    if (stream->h2->dead)
        return;
    if (body == NULL && stream->known) {
        /* Announced and not given: our own fault, which must not look like a reply. */
        stream->how = STATUS_TRUNCATED;
        nghttp2_submit_rst_stream(stream->h2->ng, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_INTERNAL_ERROR);
    } else {
        submit(stream, head, framing.announce);
    }
    h2_kick(stream->h2);
}

static void abort_exchange(struct http_exchange *x, enum status why)
{
    struct h2_stream *stream = (struct h2_stream *) x;
    (void) why;
    if (stream->how == STATUS_OK)
        stream->how = STATUS_CANCELLED;
    if (stream->h2->dead)
        return;
    nghttp2_submit_rst_stream(stream->h2->ng, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_INTERNAL_ERROR);
    h2_kick(stream->h2);
}

void h2_stream_interim(struct h2_stream *stream, int status)
{
    static uint8_t name[] = ":status";
    char value[4];
    snprintf(value, sizeof value, "%d", status);
    const nghttp2_nv field = {name, (uint8_t *) value, 7, 3, NGHTTP2_NV_FLAG_NONE};
    nghttp2_submit_headers(stream->h2->ng, NGHTTP2_FLAG_NONE, stream->id, NULL, &field, 1, NULL);
    h2_kick(stream->h2);
}

static void processing(struct http_exchange *x)
{
    struct h2_stream *stream = (struct h2_stream *) x;
    if (!stream->answered && !stream->h2->dead)
        h2_stream_interim(stream, 102);
}

const struct http_transport h2_transport = {reply, abort_exchange, processing};

/* ---- The reply's body ---- */

ssize_t h2_stream_read(nghttp2_session *ng, int32_t id, uint8_t *buffer, size_t length, uint32_t *flags,
                       nghttp2_data_source *source, void *arg)
{
    struct h2_stream *stream = source->ptr;
    (void) ng;
    (void) id;
    (void) buffer;
    (void) arg;
    switch (h2_turn_take(stream, &length)) {
    case SOURCE_DATA:
        *flags = NGHTTP2_DATA_FLAG_NO_COPY;
        if (stream->known && length == stream->left)
            *flags |= NGHTTP2_DATA_FLAG_EOF;
        return (ssize_t) length;
    case SOURCE_WAIT:
        return NGHTTP2_ERR_DEFERRED;
    case SOURCE_END:
        if (stream->known) {
            stream->how = STATUS_TRUNCATED;
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        }
        *flags = NGHTTP2_DATA_FLAG_EOF;
        return 0;
    case SOURCE_FAILED:
        break;
    }
    stream->how = stream->source->error;
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

int h2_stream_send(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *head, size_t length,
                   nghttp2_data_source *source, void *arg)
{
    struct h2_stream *stream = source->ptr;
    struct h2 *h2 = arg;
    (void) ng;
    assert(frame->data.padlen == 0);
    struct iovec pieces[1 + SOURCE_MAX_PIECES];
    pieces[0] = (struct iovec){(void *) (uintptr_t) head, 9};
    unsigned count = 1 + h2_turn_view(stream, pieces + 1, length);
    size_t taken;
    enum status status = conn_writev(h2->session.conn, pieces, count, CONN_MORE | CONN_ALL, &taken);
    h2_turn_sent(stream, length);
    if (status != STATUS_OK) {
        h2->end = STATUS_CLIENT_GONE;
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    stream->left -= stream->known ? length : 0;
    stream->x.sent += length;
    stream->moved_ms = loop_now_ms(stream->x.loop);
    h2->sent += length;
    /* The frame is out; whether another one follows is for h2.c to decide. */
    h2->paused = true;
    return NGHTTP2_ERR_PAUSE;
}
