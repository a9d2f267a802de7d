/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/2 by nghttp2: a thread has up to `connections` shared ones to a base and gives each request to the one with the
 * fewest streams, or opens one for each request. A request that the server refused unseen is sent anew, a few times.
 */
#include <curl/curl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "engine.h"
#include "engine_h2.h"

#define BUFFER (64 << 10)
#define MAX_TRIES 4

struct h2_engine {
    struct engine *engine;
    struct h2_loop loop;
    struct h2_stream *streams; /* one a slot */
};

static struct h2_conn *pick(struct h2_engine *h, const struct transfer *t)
{
    struct h2_conn *c, *least = NULL;
    struct h2_peer *peer = &h->loop.peers[t->base];
    int64_t count = 0;
    if (!h->engine->work->share || t->own_connection)
        return h2_conn_open(&h->loop, peer, true, t->rate);
    LIST_FOREACH(c, &h->loop.conns, in_conns)
    {
        if (c->peer != peer || !h2_conn_usable(c))
            continue;
        count++;
        if (!least || c->stream_count < least->stream_count)
            least = c;
    }
    if (least && (least->stream_count == 0 || count >= h->engine->connections))
        return least;
    return h2_conn_open(&h->loop, peer, false, t->rate);
}

static void start(struct h2_engine *h, struct h2_stream *s)
{
    if (!engine_next(h->engine, s->transfer))
        return;
    s->tries = 1;
    transfer_begin(s->transfer);
    h2_stream_submit(s, pick(h, s->transfer));
}

/* Only what has ended by now: what ends meanwhile has its turn next time. */
static void reap(struct h2_engine *h)
{
    struct h2_stream_queue ended = TAILQ_HEAD_INITIALIZER(ended);
    TAILQ_CONCAT(&ended, &h->loop.ended, in_ended);
    for (struct h2_stream *s; (s = TAILQ_FIRST(&ended)) != NULL;) {
        TAILQ_REMOVE(&ended, s, in_ended);
        if (s->refused && !s->transfer->aborted && s->tries++ < MAX_TRIES) {
            h2_stream_submit(s, pick(h, s->transfer));
            continue;
        }
        if (engine_fails_over(h->engine, s->transfer, s->result)) {
            h2_stream_submit(s, pick(h, s->transfer));
            continue;
        }
        engine_done(h->engine, s->transfer, s->result, s->error);
        start(h, s);
    }
}

/* A connection that cannot be made is nobody's. */
static void give_up(struct h2_stream *s)
{
    if (s->conn->state == H2_UP)
        h2_stream_cancel(s, CURLE_OPERATION_TIMEDOUT, s->transfer->error);
    else
        h2_conn_fail(s->conn, CURLE_OPERATION_TIMEDOUT, s->transfer->error);
}

static void look_up(struct h2_engine *h)
{
    int64_t now = clock_ns();
    if (!engine_look_up_due(h->engine, now))
        return;
    for (int64_t i = 0; i < h->engine->slot_count; i++) {
        struct h2_stream *s = &h->streams[i];
        if (!s->conn)
            continue;
        if (s->withheld > 0)
            h2_stream_pace(s, now);
        else if (engine_stalled(h->engine, s->transfer, now))
            give_up(s);
    }
}

static void abort_all(struct h2_engine *h)
{
    for (int64_t i = 0; i < h->engine->slot_count; i++) {
        struct h2_stream *s = &h->streams[i];
        if (!s->conn)
            continue;
        s->transfer->aborted = true;
        h2_stream_cancel(s, CURLE_OPERATION_TIMEDOUT, "cut off");
    }
}

static int wait_ms(const struct h2_engine *h)
{
    if (!TAILQ_EMPTY(&h->loop.ended) || !TAILQ_EMPTY(&h->loop.touched))
        return 0;
    return h->engine->slow ? ENGINE_PACE_MS : ENGINE_LOOK_UP_MS;
}

static void turn(struct h2_engine *h)
{
    struct epoll_event events[ENGINE_EVENTS];
    int n = epoll_wait(h->loop.epoll_fd, events, ENGINE_EVENTS, wait_ms(h));
    for (int i = 0; i < n; i++)
        h2_conn_event(events[i].data.ptr, events[i].events);
    look_up(h);
    reap(h);
    for (struct h2_conn *c; (c = TAILQ_FIRST(&h->loop.touched)) != NULL;) {
        TAILQ_REMOVE(&h->loop.touched, c, in_touched);
        c->is_touched = false;
        h2_conn_settle(c);
    }
}

static void set_up(struct h2_engine *h)
{
    const struct options *o = h->engine->options;
    h->loop.peers = calloc(o->base_count, sizeof *h->loop.peers);
    if (!h->loop.peers)
        abort();
    for (size_t i = 0; i < o->base_count; i++)
        h2_peer_init(&h->loop.peers[i], o, o->bases[i]);
    TAILQ_INIT(&h->loop.touched);
    TAILQ_INIT(&h->loop.ended);
    LIST_INIT(&h->loop.conns);
    h->loop.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    h->loop.buffer = malloc(BUFFER);
    h->streams = calloc((size_t) h->engine->slot_count, sizeof *h->streams);
    if (h->loop.epoll_fd < 0 || !h->loop.buffer || !h->streams)
        abort();
}

void engine_h2(struct engine *e)
{
    struct h2_engine h = {.engine = e};
    set_up(&h);
    for (int64_t i = 0; i < e->slot_count; i++) {
        h.streams[i].transfer = &e->transfers[i];
        start(&h, &h.streams[i]);
    }
    while (e->running > 0) {
        turn(&h);
        if (engine_asked_to_stop(e))
            abort_all(&h);
    }
    for (struct h2_conn *c; (c = LIST_FIRST(&h.loop.conns)) != NULL;)
        h2_conn_close(c);
    for (size_t i = 0; i < e->options->base_count; i++)
        h2_peer_fini(&h.loop.peers[i]);
    free(h.loop.peers);
    free(h.loop.buffer);
    free(h.streams);
    close(h.loop.epoll_fd);
}
