/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2_body.c: a request's body in HTTP/2. What has come is kept here until it is taken, and only then does the client
 * get room for more, so the receive windows bound it.
 */
#include "http/h2.h"

#include "base/mem.h"
#include "http/chunks.h"

struct h2_body {
    struct source source;
    struct h2_stream *stream; /* NULL: detached */
    struct chunks chunks;
    bool ended;
    bool failed;
    bool flowing;          /* the window was opened */
    int64_t waiting_since; /* 0: nobody waits */
};

bool h2_body_idle(const struct h2_body *body)
{
    return body != NULL && !body->flowing && body->waiting_since == 0;
}

bool h2_body_add(struct h2_body *body, const uint8_t *data, size_t size)
{
    if (body == NULL || body->failed)
        return false;
    chunks_add(&body->chunks, data, size);
    return true;
}

static void wake(struct h2_body *body)
{
    if (body->waiting_since == 0)
        return;
    body->waiting_since = 0;
    if (body->source.ready != NULL)
        body->source.ready(body->source.arg);
}

/* Called after h2_body_add too, with ended false: see h2.c. */
void h2_body_end(struct h2_body *body)
{
    if (body == NULL)
        return;
    if (body->stream != NULL && body->stream->remote_closed)
        body->ended = true;
    wake(body);
}

void h2_body_fail(struct h2_body *body, enum status why)
{
    if (body == NULL || body->failed)
        return;
    body->failed = true;
    body->source.error = why;
    wake(body);
}

void h2_body_detach(struct h2_body *body, enum status why)
{
    if (body == NULL)
        return;
    if (body->chunks.bytes > 0 && !body->stream->h2->dead)
        nghttp2_session_consume(body->stream->h2->ng, body->stream->id, body->chunks.bytes);
    body->stream->body = NULL;
    body->stream = NULL;
    if (!body->ended)
        h2_body_fail(body, why);
}

int64_t h2_body_waiting_since(const struct h2_body *body)
{
    return body == NULL ? 0 : body->waiting_since;
}

static void send_continue(struct h2_stream *stream)
{
    stream->continue_owed = false;
    if (stream->answered || stream->remote_closed || stream->h2->dead)
        return;
    h2_stream_interim(stream, 100);
}

static enum source_state body_peek(struct source *source, struct source_view *view, size_t max)
{
    struct h2_body *body = (struct h2_body *) source;
    if (body->failed)
        return SOURCE_FAILED;
    if (body->chunks.bytes == 0 && body->ended)
        return SOURCE_END;
    if (body->stream != NULL && body->stream->continue_owed)
        send_continue(body->stream);
    if (body->chunks.bytes == 0) {
        body->waiting_since = loop_now_ms(body->stream->h2->session.server->loop);
        return SOURCE_WAIT;
    }
    chunks_view(&body->chunks, view, max);
    return SOURCE_DATA;
}

static void body_consume(struct source *source, size_t bytes)
{
    struct h2_body *body = (struct h2_body *) source;
    struct h2_stream *stream = body->stream;
    if (bytes == 0)
        return;
    chunks_drop(&body->chunks, bytes);
    if (stream == NULL || stream->h2->dead)
        return;
    stream->x.received += bytes;
    nghttp2_session_consume(stream->h2->ng, stream->id, bytes);
    if (!body->flowing && !body->ended) {
        body->flowing = true;
        nghttp2_session_set_local_window_size(stream->h2->ng, NGHTTP2_FLAG_NONE, stream->id, H2_WINDOW_FLOWING);
    }
    h2_kick(stream->h2);
}

static void body_close(struct source *source)
{
    struct h2_body *body = (struct h2_body *) source;
    if (body->stream != NULL) {
        if (body->chunks.bytes > 0 && !body->stream->h2->dead) {
            nghttp2_session_consume(body->stream->h2->ng, body->stream->id, body->chunks.bytes);
            h2_kick(body->stream->h2);
        }
        body->stream->body = NULL;
    }
    chunks_free(&body->chunks);
    mem_free(body);
}

static const struct source_class body_class = {"h2-body", body_peek, body_consume, body_close};

struct source *h2_body_open(struct h2_stream *stream)
{
    struct h2_body *body = mem_calloc(1, sizeof *body);
    body->source.class = &body_class;
    body->stream = stream;
    stream->body = body;
    return &body->source;
}
