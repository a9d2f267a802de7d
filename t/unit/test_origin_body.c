/* SPDX-License-Identifier: Apache-2.0 */
/* test_origin_body.c: the window between libcurl and a consumer. */
#include "origin/body.h"

#include "base/mem.h"
#include "http/message.h"
#include "tap.h"

struct consumer {
    struct origin_body body;
    unsigned readies;
    unsigned drained;
    unsigned closed;
    size_t take;       /* inside ready; 0: nothing */
    bool again;        /* and then peeks again */
    const void *shown; /* where ready saw the bytes */
    enum source_state state;
};

static void on_ready(void *arg)
{
    struct consumer *consumer = arg;
    struct source_view view;
    consumer->readies++;
    if (consumer->take == 0)
        return;
    consumer->state = source_peek(&consumer->body.source, &view, consumer->take);
    consumer->shown = view.count > 0 ? view.pieces[0].iov_base : NULL;
    if (consumer->state == SOURCE_DATA)
        source_consume(&consumer->body.source, view.bytes);
    if (consumer->again)
        consumer->state = source_peek(&consumer->body.source, &view, SIZE_MAX);
}

static void on_drained(struct origin_body *body)
{
    ((struct consumer *) body)->drained++;
}

static void on_closed(struct origin_body *body)
{
    ((struct consumer *) body)->closed++;
}

static void begin(struct consumer *consumer, int64_t length)
{
    *consumer = (struct consumer){.take = SIZE_MAX, .again = true};
    origin_body_init(&consumer->body, ORIGIN_BODY_WINDOW, on_drained, on_closed);
    origin_body_expect(&consumer->body, length);
    source_listen(&consumer->body.source, on_ready, consumer);
}

static enum source_state peek(struct consumer *consumer, struct source_view *view)
{
    return source_peek(&consumer->body.source, view, SIZE_MAX);
}

static void direct(void)
{
    struct consumer c;
    struct source_view view;
    begin(&c, 10);
    is_int(peek(&c, &view), SOURCE_WAIT, "nothing yet");
    ok(origin_body_offer(&c.body, "hello", 5), "an offer to a waiting consumer");
    is_int(c.readies, 1, "calls it");
    ok(c.body.queue == NULL, "without a copy");
    is_int(c.state, SOURCE_WAIT, "which then waits again");
    c.take = 2;
    c.again = false;
    origin_body_offer(&c.body, "wo", 2);
    ok(c.body.queue == NULL, "all taken: still no copy");
    ok(!c.body.waiting, "it does not wait any more");
    origin_body_offer(&c.body, "rl", 2);
    is_int(c.readies, 2, "so it is not called");
    is_int(peek(&c, &view), SOURCE_DATA, "the bytes are queued");
    ok(view.bytes == 2 && memcmp(view.pieces[0].iov_base, "rl", 2) == 0, "as they came");
    source_consume(&c.body.source, 1);
    source_consume(&c.body.source, 1);
    is_int(peek(&c, &view), SOURCE_WAIT, "more is to come");
    c.take = SIZE_MAX;
    c.again = true;
    origin_body_offer(&c.body, "d", 1);
    is_int(c.state, SOURCE_END, "the last byte of the length is the end");
    ok(origin_body_whole(&c.body), "whole");
    origin_body_end(&c.body, STATUS_RESET);
    is_int(peek(&c, &view), SOURCE_END, "which a later failure does not undo");
    c.body.source.class->close(&c.body.source);
    is_int(c.closed, 1, "close is passed on");
    origin_body_fini(&c.body);
}

static void partly(void)
{
    struct consumer c;
    struct source_view view;
    begin(&c, HTTP_LENGTH_UNKNOWN);
    peek(&c, &view);
    c.take = 3;
    c.again = false;
    origin_body_offer(&c.body, "abcdef", 6);
    is_int(peek(&c, &view), SOURCE_DATA, "what ready leaves is kept");
    ok(view.bytes == 3 && memcmp(view.pieces[0].iov_base, "def", 3) == 0, "the rest of it");
    source_consume(&c.body.source, 0);
    is_int(peek(&c, &view), SOURCE_DATA, "and shown again");
    source_consume(&c.body.source, 3);
    is_int(peek(&c, &view), SOURCE_WAIT, "then nothing");
    origin_body_end(&c.body, STATUS_OK);
    is_int(c.readies, 2, "the end calls a waiting consumer");
    is_int(c.state, SOURCE_END, "and is an end, of a body without a length");
    origin_body_fini(&c.body);

    begin(&c, 6);
    c.take = 0;
    peek(&c, &view);
    origin_body_offer(&c.body, "abc", 3);
    origin_body_end(&c.body, STATUS_OK);
    is_int(peek(&c, &view), SOURCE_DATA, "a broken body gives what came");
    source_consume(&c.body.source, 3);
    is_int(peek(&c, &view), SOURCE_FAILED, "and then fails, though its end looked clean");
    is_int(c.body.source.error, STATUS_TRUNCATED, "as truncated");
    origin_body_fini(&c.body);

    begin(&c, 0);
    is_int(peek(&c, &view), SOURCE_END, "an empty body ends at once");
    origin_body_fini(&c.body);
}

/* A consumer slower than its origin, with odd sizes all around the ring. */
static void window(void)
{
    struct consumer c;
    struct source_view view;
    static uint8_t chunk[16384];
    uint32_t wrote = 0;
    uint32_t read = 0;
    bool good = true;
    bool refused = false;
    size_t most = 0;
    begin(&c, HTTP_LENGTH_UNKNOWN);
    c.take = 0;
    uint64_t x = 4101842887655102017u;
    for (unsigned round = 0; round < 200000 && good; round++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        if (x & 1) {
            const size_t bytes = refused ? sizeof chunk : 1 + (x >> 8) % sizeof chunk;
            for (size_t i = 0; i < bytes; i++)
                chunk[i] = (uint8_t) ((wrote + i) * 31u >> 3);
            const bool taken = origin_body_offer(&c.body, chunk, bytes);
            refused = !taken;
            if (taken)
                wrote += (uint32_t) bytes;
            most = wrote - read > most ? wrote - read : most;
            continue;
        }
        const size_t max = 1 + (x >> 16) % 40000;
        if (source_peek(&c.body.source, &view, max) != SOURCE_DATA)
            continue;
        for (unsigned p = 0; p < view.count; p++)
            for (size_t i = 0; i < view.pieces[p].iov_len; i++)
                good = good && ((uint8_t *) view.pieces[p].iov_base)[i] == (uint8_t) (read++ * 31u >> 3);
        source_consume(&c.body.source, view.bytes);
    }
    ok(good, "%u bytes came through in order", read);
    ok(most <= ORIGIN_BODY_WINDOW, "never more than the window was held (%zu)", most);
    c.drained = 0;
    while (origin_body_offer(&c.body, chunk, sizeof chunk))
        wrote += sizeof chunk;
    size_t left = wrote - read;
    while (left > 0 && c.drained == 0) {
        peek(&c, &view);
        source_consume(&c.body.source, view.bytes > 1000 ? 1000 : view.bytes);
        left -= view.bytes > 1000 ? 1000 : view.bytes;
    }
    is_int(left, 0, "a refused window asks for more when it is empty");
    is_int(c.drained, 1, "once");
    origin_body_fini(&c.body);
}

int main(void)
{
    direct();
    partly();
    window();
    return done_testing();
}
