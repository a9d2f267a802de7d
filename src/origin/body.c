/* SPDX-License-Identifier: Apache-2.0 */
/*
 * body.c: the window of body.h.
 *
 * The window is made empty before more is asked for: libcurl keeps what was refused, at most one of its buffers, and
 * gives it out again as a whole. Resuming earlier would make it copy that rest once more each time.
 */
#include "origin/body.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "http/message.h"

static enum source_state body_peek(struct source *source, struct source_view *view, size_t max)
{
    struct origin_body *body = (struct origin_body *) source;
    if (body->queued > 0) {
        const size_t all = body->queued < max ? body->queued : max;
        const size_t to_wrap = body->window - body->first;
        const size_t one = all < to_wrap ? all : to_wrap;
        view->pieces[view->count++] = (struct iovec){body->queue + body->first, one};
        if (all > one)
            view->pieces[view->count++] = (struct iovec){body->queue, all - one};
        view->bytes = all;
        return SOURCE_DATA;
    }
    if (body->shown_bytes > 0) {
        view->bytes = body->shown_bytes < max ? body->shown_bytes : max;
        /* An iovec has no const; the consumer reads. */
        view->pieces[view->count++] = (struct iovec){(void *) (uintptr_t) body->shown, view->bytes};
        return SOURCE_DATA;
    }
    if (body->left == 0 || (body->ended && body->end == STATUS_OK))
        return SOURCE_END;
    if (body->ended) {
        source->error = body->end;
        return SOURCE_FAILED;
    }
    body->waiting = true;
    return SOURCE_WAIT;
}

static void body_consume(struct source *source, size_t bytes)
{
    struct origin_body *body = (struct origin_body *) source;
    if (body->queued == 0) {
        assert(bytes <= body->shown_bytes);
        body->shown += bytes;
        body->shown_bytes -= bytes;
        return;
    }
    assert(bytes <= body->queued);
    body->first = (body->first + bytes) % body->window;
    body->queued -= bytes;
    if (body->queued == 0 && body->refused) {
        body->refused = false;
        body->drained(body);
    }
}

static void body_close(struct source *source)
{
    struct origin_body *body = (struct origin_body *) source;
    body->closed(body);
}

static const struct source_class body_class = {
    .name = "origin",
    .peek = body_peek,
    .consume = body_consume,
    .close = body_close,
};

void origin_body_init(struct origin_body *body, size_t window, void (*drained)(struct origin_body *body),
                      void (*closed)(struct origin_body *body))
{
    *body = (struct origin_body){.source = {.class = &body_class},
                                 .window = window,
                                 .drained = drained,
                                 .closed = closed,
                                 .left = HTTP_LENGTH_UNKNOWN};
}

void origin_body_fini(struct origin_body *body)
{
    mem_free(body->queue);
    body->queue = NULL;
}

void origin_body_expect(struct origin_body *body, int64_t length)
{
    body->left = length;
}

static void wake(struct origin_body *body)
{
    if (!body->waiting)
        return;
    body->waiting = false;
    if (body->source.ready != NULL)
        body->source.ready(body->source.arg);
}

static void enqueue(struct origin_body *body, const uint8_t *data, size_t bytes)
{
    if (body->queue == NULL)
        body->queue = mem_alloc(body->window);
    if (body->queued == 0)
        body->first = 0;
    const size_t at = (body->first + body->queued) % body->window;
    const size_t to_wrap = body->window - at;
    const size_t one = bytes < to_wrap ? bytes : to_wrap;
    memcpy(body->queue + at, data, one);
    memcpy(body->queue, data + one, bytes - one);
    body->queued += bytes;
}

bool origin_body_offer(struct origin_body *body, const void *data, size_t bytes)
{
    assert(bytes <= body->window);
    if (bytes > body->window - body->queued) {
        body->refused = true;
        return false;
    }
    if (body->left >= 0)
        body->left = (int64_t) bytes < body->left ? body->left - (int64_t) bytes : 0;
    if (!body->waiting) {
        enqueue(body, data, bytes);
        return true;
    }
    /* It waits, so it has taken everything before. */
    assert(body->queued == 0);
    body->shown = data;
    body->shown_bytes = bytes;
    wake(body);
    const uint8_t *rest = body->shown;
    const size_t rest_bytes = body->shown_bytes;
    body->shown = NULL;
    body->shown_bytes = 0;
    if (rest_bytes > 0)
        enqueue(body, rest, rest_bytes);
    return true;
}

void origin_body_end(struct origin_body *body, enum status end)
{
    if (body->ended)
        return;
    body->ended = true;
    body->end = end == STATUS_OK && body->left > 0 ? STATUS_TRUNCATED : end;
    wake(body);
}

bool origin_body_whole(const struct origin_body *body)
{
    return body->left == 0 || (body->ended && body->end == STATUS_OK);
}
