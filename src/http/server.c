/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.c: the list of connections, the choice of protocol, and the loop's spare buffers.
 *
 * A TLS connection is a session of its own kind until its handshake has told which protocol follows. Clear text begins
 * as HTTP/1.1, which hands over when it meets HTTP/2's preface.
 */
#include "http/server.h"

#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/date.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "http/session.h"
#include "net/address.h"
#include "net/listener.h"

const struct http_limits http_limits_default = {
    .header_timeout = 10000,
    .idle_timeout = 60000,
    .send_timeout = 30000,
    .max_head = 65536,
    .max_target = 16384,
    .max_headers = 200,
    .max_streams = 256,
};

/* ---- What sessions use ---- */

static void run_tasks(struct timer *timer)
{
    struct http_server *server = CONTAINER_OF(timer, struct http_server, task_timer);
    /* Only what was put off before this round: a task may put itself off again. */
    struct list now;
    list_init(&now);
    list_move_all(&now, &server->tasks);
    while (!list_empty(&now)) {
        struct session *session = LIST_ENTRY(now.next, struct session, task);
        list_remove(&session->task);
        session->class->run(session);
    }
}

void session_task(struct session *session)
{
    struct http_server *server = session->server;
    if (!list_empty(&session->task))
        return;
    timer_hasten(&server->task_timer, 0);
    list_add_tail(&server->tasks, &session->task);
}

static void session_init(struct session *session, const struct session_class *class, struct http_server *server)
{
    session->class = class;
    session->server = server;
    list_init(&session->task);
    list_add_tail(&server->sessions, &session->link);
}

void session_take_over(struct session *session, const struct session_class *class, struct session *from)
{
    session_init(session, class, from->server);
    session->conn = from->conn;
    from->conn = NULL;
    session->listener = from->listener;
    session->peer = from->peer;
    session->peer_length = from->peer_length;
    session->caller = from->caller;
}

void session_fini(struct session *session, bool gone)
{
    struct http_server *server = session->server;
    list_remove(&session->task);
    list_remove(&session->link);
    if (!gone)
        return;
    if (session->caller != NULL)
        server->handler.gone(server->handler.arg, session->caller);
    if (!server->limits.uncounted)
        metric_add(METRIC_CLIENT_CONNECTIONS, -1);
    if (server->budget != NULL)
        listener_gone(server->budget);
}

bool session_turns_away(struct http_server *server)
{
    if (server->limits.exempt || !buf_memory_used_up())
        return false;
    metric_cell_add(metric_cell(METRIC_REFUSED, status_name(STATUS_NO_MEMORY)), 1);
    log_event(MEMORY, "`memory` is used up; requests are refused until some is given back");
    return true;
}

uint8_t *session_input_take(struct http_server *server)
{
    return server->input_count > 0 ? server->inputs[--server->input_count] : mem_alloc(SESSION_INPUT);
}

void session_input_give(struct http_server *server, uint8_t *input)
{
    if (server->input_count < SESSION_SPARE_INPUTS)
        server->inputs[server->input_count++] = input;
    else
        mem_free(input);
}

struct arena *session_arena_take(struct http_server *server)
{
    return server->arena_count > 0 ? server->arenas[--server->arena_count] : arena_new();
}

void session_arena_give(struct http_server *server, struct arena *arena)
{
    if (server->arena_count == SESSION_SPARE_ARENAS) {
        arena_free(arena);
        return;
    }
    arena_reset(arena);
    server->arenas[server->arena_count++] = arena;
}

struct str session_date(struct http_server *server)
{
    int64_t now = clock_wall_s();
    if (now != server->date_s) {
        server->date_s = now;
        date_http_format(now, server->date);
    }
    return (struct str){server->date, DATE_HTTP_LENGTH};
}

/* ---- Before the protocol is known ---- */

static void free_greeting(struct session *session, bool gone)
{
    session_fini(session, gone);
    mem_free(session);
}

static unsigned greeting_kill(struct session *session)
{
    conn_close(&session->conn, CONN_CUT);
    free_greeting(session, true);
    return 0;
}

static void greeting_nothing(struct session *session)
{
    (void) session; /* it will learn of a drain by its first request */
}

static const struct session_class greeting_class = {greeting_nothing, greeting_nothing, greeting_kill};

static void on_opened(void *arg)
{
    struct session *session = arg;
    const struct http_handler *handler = &session->server->handler;
    if (handler->admit != NULL) {
        session->caller = handler->admit(handler->arg, session->conn, session->listener, &session->peer.any);
        if (session->caller == NULL) {
            greeting_kill(session);
            return;
        }
    }
    if (str_eq(conn_alpn(session->conn), STR("h2")))
        h2_start(session, NULL, 0);
    else
        h1_start(session);
    free_greeting(session, false);
}

static void on_nothing(void *arg)
{
    (void) arg;
}

static void on_timeout(void *arg)
{
    greeting_kill(arg);
}

static void on_broken(void *arg, enum status why)
{
    struct session *session = arg;
    char peer[ADDRESS_TEXT];
    address_format(&session->peer.any, peer, sizeof peer);
    if (why == STATUS_TLS)
        log_event(TLS_FAILED, "client=%s listener=%s: %s", peer, session->listener, conn_error_text(session->conn));
    conn_close(&session->conn, CONN_GRACEFUL); /* there may be an answer under way to who did not speak TLS */
    greeting_kill(session);
}

static const struct conn_events greeting_events = {on_opened, on_nothing, on_nothing, on_timeout, on_broken};

/* ---- The server ---- */

struct http_server *http_server_new(struct loop *loop, const struct http_limits *limits,
                                    const struct http_handler *handler, struct listener_budget *budget)
{
    struct http_server *server = mem_calloc(1, sizeof *server);
    server->loop = loop;
    server->limits = *limits;
    server->handler = *handler;
    server->budget = budget;
    list_init(&server->sessions);
    list_init(&server->tasks);
    timer_init(&server->task_timer, loop, run_tasks);
    return server;
}

void http_server_accept(struct http_server *server, int fd, const struct sockaddr *peer, socklen_t length,
                        const char *listener, struct tls *tls)
{
    struct session *session = mem_calloc(1, sizeof *session);
    session_init(session, &greeting_class, server);
    if (!server->limits.uncounted)
        metric_add(METRIC_CLIENT_CONNECTIONS, 1);
    session->listener = listener;
    session->peer_length = length < sizeof session->peer ? length : sizeof session->peer;
    memcpy(&session->peer, peer, session->peer_length);
    const struct conn_options options = {.tls = tls, .send_timeout = server->limits.send_timeout};
    session->conn = conn_open(server->loop, fd, &options, &greeting_events, session);
    conn_set_timeout(session->conn, server->limits.header_timeout);
}

void http_server_drain(struct http_server *server)
{
    server->draining = true;
    /* Draining may end the session itself, nobody else's. */
    LIST_FOR_EACH_SAFE(node, &server->sessions)
    {
        struct session *session = LIST_ENTRY(node, struct session, link);
        session->class->drain(session);
    }
}

unsigned http_server_free(struct http_server *server)
{
    unsigned cut = 0;
    while (!list_empty(&server->sessions)) {
        struct session *session = LIST_ENTRY(server->sessions.next, struct session, link);
        cut += session->class->kill(session);
    }
    timer_fini(&server->task_timer);
    while (server->input_count > 0)
        mem_free(server->inputs[--server->input_count]);
    while (server->arena_count > 0)
        arena_free(server->arenas[--server->arena_count]);
    mem_free(server);
    return cut;
}
