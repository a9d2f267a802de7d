/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h1_body.c: the request's body, read from the connection only when it is pulled, which is how a slow origin pushes
 * back on the client. The source may outlive its exchange; then it has failed.
 */
#include "http/h1.h"

#include "base/mem.h"

struct h1_body {
    struct source source;
    struct h1 *h1; /* NULL: detached */
    bool waiting;
};

static void send_continue(struct h1 *h1)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    h1->continue_owed = false;
    /* A client that sends without waiting needs none (RFC 9110, 10.1.1), nor does one that has its reply. */
    if (h1->in_end > h1->in_start || h1->exchange == NULL || h1->exchange->answered)
        return;
    const struct iovec piece = {(void *) (uintptr_t) text, sizeof text - 1};
    size_t taken;
    enum status status = conn_writev(h1->session.conn, &piece, 1, CONN_ALL, &taken);
    if (status == STATUS_OK)
        status = conn_flush(h1->session.conn);
    if (status != STATUS_OK)
        h1->body_error = STATUS_CLIENT_GONE;
}

enum source_state h1_body_front(struct h1 *h1, const uint8_t **data, size_t *size)
{
    for (;;) {
        if (h1->body_error != STATUS_OK)
            return SOURCE_FAILED;
        if (h1->body_mode == H1_BODY_DONE)
            return SOURCE_END;
        const uint8_t *front = h1->in + h1->in_start;
        size_t there = h1->in_end - h1->in_start;
        if (h1->body_mode == H1_BODY_LENGTH && there > 0) {
            *data = front;
            *size = there < h1->body_left ? there : (size_t) h1->body_left;
            return SOURCE_DATA;
        }
        if (h1->body_mode == H1_BODY_CHUNKED && there > 0) {
            size_t used;
            enum h1_chunk chunk = h1_chunked_next(&h1->chunked, front, there, &used, size);
            *data = front + used;
            h1_eat(h1, used);
            if (chunk == H1_CHUNK_DATA)
                return SOURCE_DATA;
            if (chunk == H1_CHUNK_END)
                h1->body_mode = H1_BODY_DONE;
            else if (chunk == H1_CHUNK_BAD)
                h1->body_error = STATUS_BAD_CHUNK;
            if (chunk != H1_CHUNK_MORE)
                continue;
        }
        enum status status = h1_fill(h1);
        if (status == STATUS_AGAIN)
            return SOURCE_WAIT;
        if (status != STATUS_OK)
            h1->body_error = STATUS_CLIENT_GONE;
    }
}

void h1_body_eat(struct h1 *h1, size_t bytes)
{
    if (h1->body_mode == H1_BODY_LENGTH) {
        h1->body_left -= bytes;
        if (h1->body_left == 0)
            h1->body_mode = H1_BODY_DONE;
    } else {
        h1_chunked_take(&h1->chunked, bytes);
    }
    h1_eat(h1, bytes);
}

static enum source_state body_peek(struct source *source, struct source_view *view, size_t max)
{
    struct h1_body *body = (struct h1_body *) source;
    struct h1 *h1 = body->h1;
    if (h1 == NULL)
        return SOURCE_FAILED;
    if (h1->continue_owed)
        send_continue(h1);
    const uint8_t *data;
    size_t size;
    enum source_state state = h1_body_front(h1, &data, &size);
    body->waiting = state == SOURCE_WAIT;
    if (state == SOURCE_DATA) {
        if (size > max)
            size = max;
        view->pieces[0] = (struct iovec){(void *) (uintptr_t) data, size};
        view->count = 1;
        view->bytes = size;
    } else if (state == SOURCE_FAILED) {
        source->error = h1->body_error;
        if (source->error == STATUS_CLIENT_GONE)
            session_task(&h1->session); /* the exchange ends with it */
    } else if (state == SOURCE_WAIT) {
        conn_set_timeout(h1->session.conn, h1->session.server->limits.send_timeout);
    }
    return state;
}

static void body_consume(struct source *source, size_t bytes)
{
    struct h1_body *body = (struct h1_body *) source;
    if (bytes == 0 || body->h1 == NULL)
        return;
    h1_body_eat(body->h1, bytes);
    if (body->h1->exchange != NULL)
        body->h1->exchange->x.received += bytes;
    conn_set_timeout(body->h1->session.conn, 0);
}

static void body_close(struct source *source)
{
    struct h1_body *body = (struct h1_body *) source;
    if (body->h1 != NULL)
        body->h1->body = NULL;
    mem_free(body);
}

static const struct source_class body_class = {"h1-body", body_peek, body_consume, body_close};

struct source *h1_body_open(struct h1 *h1)
{
    struct h1_body *body = mem_calloc(1, sizeof *body);
    body->source.class = &body_class;
    body->h1 = h1;
    h1->body = body;
    return &body->source;
}

bool h1_body_waiting(const struct h1 *h1)
{
    return h1->body != NULL && h1->body->waiting;
}

void h1_body_wake(struct h1 *h1)
{
    struct h1_body *body = h1->body;
    if (body == NULL || !body->waiting)
        return;
    body->waiting = false;
    conn_set_timeout(h1->session.conn, 0);
    if (body->source.ready != NULL)
        body->source.ready(body->source.arg);
}

void h1_body_detach(struct h1 *h1)
{
    struct h1_body *body = h1->body;
    if (body == NULL)
        return;
    h1->body = NULL;
    body->h1 = NULL;
    body->source.error = h1->body_error != STATUS_OK ? h1->body_error : STATUS_CANCELLED;
    if (body->waiting && body->source.ready != NULL) {
        body->waiting = false;
        body->source.ready(body->source.arg);
    }
}
