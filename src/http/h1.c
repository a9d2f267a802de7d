/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h1.c: an HTTP/1.1 connection: input, requests one after the other, and the end.
 *
 * Everything that happens ends in h1_run(), which does what can be done and returns; it is never entered twice.
 * Requests that come ahead of their turn stay in the input (at most a read buffer of them) and then in the socket. A
 * client's FIN while its request is being answered is taken for a half-close: the reply is sent, and a client that is
 * really gone shows by a reset; TLS has no half-close worth the name, so there it is the end.
 */
#include "http/h1.h"

#include <assert.h>

#include "base/clock.h"
#include "base/mem.h"

/* Requests read ahead while one is being answered. */
#define AHEAD_MAX 16384
/* Read at once while a head is looked for: the body behind it may have to wait for long. */
#define HEAD_READ 16384
/* What is left in a read buffer between events is put into a smaller one up to this size. */
#define SETTLE_MAX 16384
/* Requests answered in one event before others get their turn. */
#define REQUESTS_PER_RUN 32

/* ---- Input ---- */

static void free_input(struct h1 *h1)
{
    if (h1->in != NULL && h1->in_size == SESSION_INPUT)
        session_input_give(h1->session.server, h1->in);
    else
        mem_free(h1->in);
    h1->in = NULL;
    h1->in_start = h1->in_end = h1->in_size = 0;
}

static void make_room(struct h1 *h1)
{
    size_t left = h1->in_end - h1->in_start;
    if (h1->in_size != SESSION_INPUT) {
        uint8_t *in = session_input_take(h1->session.server);
        if (left > 0)
            memcpy(in, h1->in + h1->in_start, left);
        free_input(h1);
        h1->in = in;
        h1->in_size = SESSION_INPUT;
    } else if (h1->in_end == h1->in_size && h1->in_start > 0) {
        memmove(h1->in, h1->in + h1->in_start, left);
    } else {
        return;
    }
    h1->in_start = 0;
    h1->in_end = left;
}

void h1_eat(struct h1 *h1, size_t bytes)
{
    assert(bytes <= h1->in_end - h1->in_start);
    h1->in_start += bytes;
    if (h1->in_start == h1->in_end && h1->in != NULL)
        free_input(h1);
}

enum status h1_fill(struct h1 *h1)
{
    if (h1->eof)
        return STATUS_SHUTDOWN;
    make_room(h1);
    size_t room = h1->in_size - h1->in_end;
    if (h1->exchange == NULL && h1->body_mode == H1_BODY_DONE && room > HEAD_READ)
        room = HEAD_READ;
    size_t got = 0;
    enum status status = room == 0 ? STATUS_AGAIN : conn_read(h1->session.conn, h1->in + h1->in_end, room, &got);
    h1->in_end += got;
    if (h1->in_start == h1->in_end)
        free_input(h1);
    if (status == STATUS_OK && got == 0) {
        h1->eof = true;
        return STATUS_SHUTDOWN;
    }
    return status;
}

/* Between events nothing needs the large buffer for a few bytes. */
static void settle(struct h1 *h1)
{
    size_t left = h1->in_end - h1->in_start;
    if (h1->in_size != SESSION_INPUT || left > SETTLE_MAX)
        return;
    if (left == 0) {
        free_input(h1);
        return;
    }
    uint8_t *small = mem_alloc(left);
    memcpy(small, h1->in + h1->in_start, left);
    free_input(h1);
    h1->in = small;
    h1->in_end = h1->in_size = left;
}

/* ---- The end ---- */

static void die(struct h1 *h1, enum conn_end end)
{
    conn_close(&h1->session.conn, end);
    h1->dead = true;
}

static void free_h1(struct h1 *h1, bool gone)
{
    assert(h1->exchange == NULL && h1->body == NULL);
    free_input(h1);
    session_fini(&h1->session, gone);
    mem_free(h1);
}

/* The exchange's last moment. */
static void finish(struct h1 *h1, enum status how)
{
    struct h1_exchange *exchange = h1->exchange;
    struct arena *arena = exchange->x.arena;
    if (how != STATUS_OK && h1->body_error == STATUS_OK && h1->body_mode != H1_BODY_DONE)
        h1->body_error = how;
    source_close(&exchange->source);
    source_close(&exchange->x.body);
    h1->session.server->handler.finished(h1->session.server->handler.arg, &exchange->x, how);
    h1->exchange = NULL;
    h1_body_detach(h1);
    session_arena_give(h1->session.server, arena);
}

/* How to end the connection in the middle of an exchange. A reply that broke off must not look whole: without a length
 * of its own only a reset says so. */
static enum conn_end broken_end(const struct h1_exchange *exchange)
{
    bool bare_end = exchange->answered && exchange->out == H1_OUT_CLOSE;
    bool mute = exchange->aborted && !exchange->answered;
    return bare_end || mute ? CONN_RESET : CONN_CUT;
}

static void finish_broken(struct h1 *h1, enum status how)
{
    enum conn_end end = broken_end(h1->exchange);
    finish(h1, how);
    die(h1, end);
}

/* ---- Requests ---- */

static struct h1_exchange *new_exchange(struct h1 *h1)
{
    struct arena *arena = session_arena_take(h1->session.server);
    struct h1_exchange *exchange = arena_calloc(arena, sizeof *exchange);
    exchange->h1 = h1;
    exchange->x.transport = &h1_transport;
    exchange->x.loop = h1->session.server->loop;
    exchange->x.arena = arena;
    exchange->x.request.headers.arena = arena;
    exchange->x.request.version = HTTP_1_1;
    exchange->x.request.method = HTTP_OTHER;
    exchange->x.listener = h1->session.listener;
    exchange->x.caller = h1->session.caller;
    exchange->x.peer = &h1->session.peer.any;
    exchange->x.peer_length = h1->session.peer_length;
    exchange->x.began_us = clock_mono_us();
    h1->exchange = exchange;
    h1->head_begun = false;
    conn_set_timeout(h1->session.conn, 0);
    return exchange;
}

/* Hands a request over that cannot be read, or held; the reply is the connection's last. */
static void refuse(struct h1 *h1, struct h1_exchange *exchange, enum status why)
{
    exchange->framing.persistent = false;
    exchange->x.request.tls = conn_is_tls(h1->session.conn);
    exchange->x.request.content_length = 0;
    h1->body_mode = H1_BODY_DONE;
    h1->session.server->handler.refused(h1->session.server->handler.arg, &exchange->x, why);
}

static void accept_head(struct h1 *h1, size_t end)
{
    struct h1_exchange *exchange = new_exchange(h1);
    const char *start = (const char *) h1->in + h1->in_start;
    struct str head = arena_str(exchange->x.arena, (struct str){start + h1->scan.start, end - h1->scan.start});
    h1_eat(h1, end);
    h1->scan = (struct h1_scan){0};

    const struct http_limits *limits = &h1->session.server->limits;
    const struct h1_limits bounds = {limits->max_head, limits->max_target, limits->max_headers};
    struct http_request *request = &exchange->x.request;
    enum status status = h1_parse(head, &bounds, request, &exchange->framing);
    request->tls = conn_is_tls(h1->session.conn);
    if (status == STATUS_OK && session_turns_away(h1->session.server))
        status = STATUS_NO_MEMORY;
    if (status != STATUS_OK) {
        refuse(h1, exchange, status);
        return;
    }
    h1->body_error = STATUS_OK;
    h1->drained = 0;
    h1->body_mode = H1_BODY_DONE;
    h1->continue_owed = exchange->framing.expect_continue;
    if (exchange->framing.chunked) {
        h1->body_mode = H1_BODY_CHUNKED;
        h1->chunked = (struct h1_chunked){0};
    } else if (request->content_length > 0) {
        h1->body_mode = H1_BODY_LENGTH;
        h1->body_left = (uint64_t) request->content_length;
    }
    if (h1->body_mode != H1_BODY_DONE)
        exchange->x.body = h1_body_open(h1);
    h1->session.server->handler.request(h1->session.server->handler.arg, &exchange->x);
}

/* A handshake record (RFC 8446, 5.1) where nobody speaks TLS. */
static bool is_tls(const struct h1 *h1)
{
    return h1->clear_start && h1->in[h1->in_start] == 0x16;
}

/* "PRI * HTTP/2.0": a method and a version no HTTP/1 client sends. */
static bool is_h2_preface(const struct h1 *h1)
{
    static const char preface[] = "PRI * HTTP/2.0";
    return h1->clear_start && h1->in_end - h1->in_start >= sizeof preface - 1 &&
           memcmp(h1->in + h1->in_start, preface, sizeof preface - 1) == 0;
}

/* Looks for the next request. False: nothing more can be done now. */
static bool next_request(struct h1 *h1)
{
    const struct http_limits *limits = &h1->session.server->limits;
    const struct h1_limits bounds = {limits->max_head, limits->max_target, limits->max_headers};
    for (;;) {
        size_t there = h1->in_end - h1->in_start;
        if (is_h2_preface(h1)) {
            h2_start(&h1->session, h1->in + h1->in_start, there);
            h1->dead = h1->moved = true;
            return false;
        }
        size_t end = 0;
        enum status status = STATUS_AGAIN;
        if (there > 0)
            status = h1_scan(&h1->scan, &bounds, (const char *) h1->in + h1->in_start, there, &end);
        if (status == STATUS_OK) {
            h1->clear_start = false;
            accept_head(h1, end);
            return true;
        }
        if (status == STATUS_AGAIN && there == SESSION_INPUT)
            status = STATUS_HEADERS_TOO_LARGE;
        if (status == STATUS_AGAIN && there > 0 && session_turns_away(h1->session.server)) {
            h1_eat(h1, there);
            status = STATUS_NO_MEMORY;
        }
        if (status == STATUS_BAD_REQUEST && is_tls(h1))
            status = STATUS_TLS_UNEXPECTED;
        if (status != STATUS_AGAIN) {
            refuse(h1, new_exchange(h1), status);
            return true;
        }
        status = h1_fill(h1);
        if (status == STATUS_AGAIN) {
            if (there > 0 && !h1->head_begun) {
                h1->head_begun = true;
                conn_set_timeout(h1->session.conn, limits->header_timeout);
            }
            return false;
        }
        if (status != STATUS_OK) {
            die(h1, status == STATUS_SHUTDOWN ? CONN_GRACEFUL : CONN_CUT);
            return false;
        }
    }
}

/* After a reply: is there a next request to look for? */
static void turn_over(struct h1 *h1)
{
    /* A drain may have begun after the head went out; what was pipelined before is still served. */
    bool leaving = h1->session.server->draining && h1->in_end == h1->in_start;
    if (h1->last || leaving || h1->body_error != STATUS_OK) {
        die(h1, CONN_GRACEFUL);
        return;
    }
    conn_set_timeout(h1->session.conn, h1->session.server->limits.idle_timeout);
}

/* Reads away what is left of a body nobody wanted. False: not now, or never. */
static bool drain_body(struct h1 *h1)
{
    while (h1->body_mode != H1_BODY_DONE) {
        const uint8_t *data;
        size_t size;
        switch (h1_body_front(h1, &data, &size)) {
        case SOURCE_DATA:
            h1_body_eat(h1, size);
            h1->drained += size;
            if (h1->drained <= H1_DRAIN_MAX)
                break;
            /* fall through */
        case SOURCE_FAILED:
            die(h1, CONN_GRACEFUL);
            return false;
        case SOURCE_WAIT:
            return false;
        case SOURCE_END:
            break;
        }
    }
    return true;
}

/* While a request is being answered: reads a little ahead, so that a broken connection or its end shows. */
static enum status look_ahead(struct h1 *h1)
{
    while (h1->body_mode == H1_BODY_DONE && !h1->eof && h1->in_end - h1->in_start < AHEAD_MAX) {
        enum status status = h1_fill(h1);
        if (status == STATUS_AGAIN)
            break;
        if (status == STATUS_SHUTDOWN)
            return conn_is_tls(h1->session.conn) ? STATUS_CLIENT_GONE : STATUS_OK;
        if (status != STATUS_OK)
            return STATUS_CLIENT_GONE;
    }
    return STATUS_OK;
}

/* Whether the client has ended before its body did: nobody may be about to read that body, and find out. */
static bool is_abandoned(const struct h1 *h1)
{
    if (h1->exchange->answered || h1->body_mode != H1_BODY_LENGTH)
        return false;
    size_t coming;
    return conn_ended(h1->session.conn, &coming) && h1->in_end - h1->in_start + coming < h1->body_left;
}

/* Goes on with the exchange. False: nothing more can be done now. */
static bool run_exchange(struct h1 *h1)
{
    struct h1_exchange *exchange = h1->exchange;
    if (exchange->aborted) {
        finish_broken(h1, STATUS_CANCELLED);
        return false;
    }
    if (h1->body_error == STATUS_CLIENT_GONE) {
        finish_broken(h1, STATUS_CLIENT_GONE);
        return false;
    }
    if (!exchange->answered)
        return false;
    enum status status = h1_reply_pump(exchange);
    if (status == STATUS_AGAIN)
        return false;
    if (status != STATUS_OK) {
        finish_broken(h1, status);
        return false;
    }
    finish(h1, STATUS_OK);
    turn_over(h1);
    return !h1->dead;
}

void h1_run(struct h1 *h1)
{
    if (h1->running) {
        h1->again = true;
        return;
    }
    h1->running = true;
    unsigned requests = 0;
    do {
        h1->again = false;
        bool go = true;
        while (go && !h1->dead) {
            if (h1->exchange != NULL)
                go = run_exchange(h1);
            else if (requests++ < REQUESTS_PER_RUN)
                go = drain_body(h1) && next_request(h1);
            else
                go = false;
        }
    } while (h1->again && !h1->dead);
    if (!h1->dead && requests > REQUESTS_PER_RUN)
        session_task(&h1->session);
    /* From here on the exchange waits, perhaps for long, and nobody reads. */
    if (!h1->dead && h1->exchange != NULL && (conn_check(h1->session.conn) != STATUS_OK || is_abandoned(h1)))
        finish_broken(h1, STATUS_CLIENT_GONE);
    h1->running = false;
    if (h1->dead)
        free_h1(h1, !h1->moved);
    else
        settle(h1);
}

/* ---- Events ---- */

static void on_opened(void *arg)
{
    (void) arg; /* the session before this one heard it */
}

static void on_readable(void *arg)
{
    struct h1 *h1 = arg;
    if (h1->exchange != NULL) {
        h1->running = true; /* what wakes up in here is run below */
        enum status status = look_ahead(h1);
        h1_body_wake(h1);
        h1->running = false;
        if (status != STATUS_OK && h1->exchange != NULL)
            h1->body_error = STATUS_CLIENT_GONE;
    }
    h1_run(h1);
}

static void on_writable(void *arg)
{
    h1_run(arg);
}

static void on_timeout(void *arg)
{
    struct h1 *h1 = arg;
    h1->running = true;
    if (h1->exchange != NULL) {
        /* A body that stopped coming. */
        if (h1_body_waiting(h1)) {
            h1->body_error = STATUS_CLIENT_TIMEOUT;
            h1_body_wake(h1);
        }
    } else if (h1->in_end == h1->in_start || h1->body_mode != H1_BODY_DONE) {
        die(h1, CONN_GRACEFUL);
    } else {
        h1_eat(h1, h1->in_end - h1->in_start);
        refuse(h1, new_exchange(h1), STATUS_CLIENT_TIMEOUT);
    }
    h1->running = false;
    h1_run(h1);
}

static void end_session(struct h1 *h1, enum status how)
{
    enum conn_end end = how == STATUS_SHUTDOWN ? CONN_CUT : CONN_RESET;
    h1->running = true;
    if (h1->exchange != NULL) {
        if (end == CONN_CUT)
            end = broken_end(h1->exchange);
        finish(h1, how);
    }
    conn_close(&h1->session.conn, end);
    free_h1(h1, true);
}

static void on_broken(void *arg, enum status why)
{
    end_session(arg, why == STATUS_CLIENT_TIMEOUT ? why : STATUS_CLIENT_GONE);
}

static const struct conn_events h1_events = {on_opened, on_readable, on_writable, on_timeout, on_broken};

static void h1_task(struct session *session)
{
    h1_run((struct h1 *) session);
}

static void h1_drain(struct session *session)
{
    struct h1 *h1 = (struct h1 *) session;
    if (h1->exchange != NULL || h1->in_end > h1->in_start)
        return; /* h1_reply.c ends it after the reply that is owed */
    die(h1, CONN_GRACEFUL);
    h1_run(h1);
}

static unsigned h1_kill(struct session *session)
{
    struct h1 *h1 = (struct h1 *) session;
    unsigned cut = h1->exchange != NULL;
    end_session(h1, STATUS_SHUTDOWN);
    return cut;
}

static const struct session_class h1_class = {h1_task, h1_drain, h1_kill};

void h1_start(struct session *from)
{
    struct h1 *h1 = mem_calloc(1, sizeof *h1);
    session_take_over(&h1->session, &h1_class, from);
    h1->clear_start = !conn_is_tls(h1->session.conn);
    h1->head_begun = true; /* the time that began with the connection goes on */
    conn_listen(h1->session.conn, &h1_events, h1);
}
