/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn.c: one epoll registration for a connection's whole life (edge-triggered, both directions), readiness remembered
 * in struct sock, output gathered in struct outq. A connection closed by its owner while one of its callbacks runs is
 * freed when that returns.
 */
#include "net/conn.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "base/container.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/address.h"
#include "net/conn_inside.h"

static void free_conn(struct conn *conn)
{
    list_remove(&conn->link);
    event_del(&conn->event);
    timer_fini(&conn->timer);
    outq_clear(&conn->out, &conn->shared->pool);
    tls_stream_free(conn->tls);
    mem_free(conn);
}

void conn_end_now(struct conn *conn, bool reset)
{
    event_del(&conn->event);
    sock_close(&conn->sock, reset);
    conn->state = CONN_CLOSED;
    if (!conn->running)
        free_conn(conn);
}

static void tell_broken(struct conn *conn, enum status why)
{
    if (conn->state == CONN_LINGERING)
        conn_end_now(conn, true);
    else
        conn->events->broken(conn->arg, why);
}

/* ---- Timers: one libevent timer, armed at the earliest of two deadlines and never moved to a later time by hand. ----
 */

void conn_arm(struct conn *conn, int64_t at)
{
    timer_hasten(&conn->timer, at - loop_now_ms(conn->loop));
}

void conn_set_timeout(struct conn *conn, int64_t ms)
{
    conn->timeout_at = ms <= 0 ? 0 : loop_now_ms(conn->loop) + ms;
    if (conn->timeout_at != 0)
        conn_arm(conn, conn->timeout_at);
}

static void on_timer(struct timer *timer)
{
    struct conn *conn = CONTAINER_OF(timer, struct conn, timer);
    int64_t now = loop_now_ms(conn->loop);
    conn->running = true;
    if (conn->sock.fd < 0) {
        tell_broken(conn, STATUS_CONNECT);
    } else if (conn->stalled_at != 0 && conn->stalled_at <= now) {
        conn->stalled_at = 0;
        tell_broken(conn, STATUS_CLIENT_TIMEOUT);
    } else if (conn->timeout_at != 0 && conn->timeout_at <= now) {
        conn->timeout_at = 0;
        if (conn->state == CONN_LINGERING)
            conn_linger_cut(conn);
        else
            conn->events->timeout(conn->arg);
    }
    conn->running = false;
    if (conn->state == CONN_CLOSED) {
        free_conn(conn);
        return;
    }
    if (conn->stalled_at != 0)
        conn_arm(conn, conn->stalled_at);
    if (conn->timeout_at != 0)
        conn_arm(conn, conn->timeout_at);
}

/* ---- Receiving ---- */

static void tell_failure(struct conn *conn)
{
    struct sockaddr_storage peer = {.ss_family = AF_UNSPEC};
    socklen_t length = sizeof peer;
    char text[ADDRESS_TEXT];
    getpeername(conn->sock.fd, (struct sockaddr *) &peer, &length);
    address_format((struct sockaddr *) &peer, text, sizeof text);
    log_event(TLS_FAILED, "client=%s: %s", text, tls_stream_error(conn->tls));
}

enum status conn_read(struct conn *conn, void *data, size_t size, size_t *got)
{
    assert(conn->state == CONN_OPEN);
    if (conn->tls == NULL)
        return sock_read(&conn->sock, data, size, got);
    enum status status = tls_stream_read(conn->tls, data, size, got);
    if (status == STATUS_TLS)
        tell_failure(conn);
    /* Reading may have made something to send: an alert, a key update's answer. */
    if (conn->out.bytes > 0 && status == STATUS_AGAIN) {
        enum status sent = conn_flush(conn);
        if (sent != STATUS_OK)
            return sent;
    }
    return status;
}

enum status conn_check(struct conn *conn)
{
    if (!conn->sock.suspect)
        return STATUS_OK;
    conn->sock.suspect = false;
    return sock_error(&conn->sock);
}

bool conn_ended(const struct conn *conn, size_t *unread)
{
    *unread = 0;
    if (!conn->sock.ended)
        return false;
    *unread = sock_unread(&conn->sock) + (conn->tls == NULL ? 0 : TLS_STREAM_HELD_MAX);
    return true;
}

/* ---- Closing ---- */

static void unused(void *arg)
{
    (void) arg;
}

static void unused_status(void *arg, enum status why)
{
    (void) arg;
    (void) why;
}

static const struct conn_events nobody = {unused, unused, unused, unused, unused_status};

void conn_close(struct conn **pointer, enum conn_end end)
{
    struct conn *conn = *pointer;
    *pointer = NULL;
    if (conn == NULL)
        return;
    conn->events = &nobody;
    if (end != CONN_GRACEFUL || conn->state != CONN_OPEN) {
        conn_end_now(conn, end == CONN_RESET);
        return;
    }
    conn_linger_begin(conn);
}

/* ---- Events ---- */

static void now_open(struct conn *conn)
{
    conn->state = CONN_OPEN;
    conn->plain = conn->tls == NULL || tls_stream_offloaded(conn->tls);
    conn->events->opened(conn->arg);
}

/* Who sends a request to a TLS port is told so in the clear; the connection can end gracefully after it. */
static void answer_http(struct conn *conn)
{
    static const char answer[] = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 22\r\n"
                                 "Connection: close\r\n\r\nthis port speaks TLS\r\n";
    outq_append(&conn->out, &conn->shared->pool, answer, sizeof answer - 1);
    conn->state = CONN_OPEN;
}

static void step_handshake(struct conn *conn)
{
    enum status status = tls_stream_handshake(conn->tls);
    if (status == STATUS_TLS && tls_stream_met_http(conn->tls))
        answer_http(conn);
    enum status sent = conn_flush(conn);
    if (status == STATUS_OK && sent == STATUS_OK)
        now_open(conn);
    else if (status != STATUS_AGAIN || sent != STATUS_OK)
        tell_broken(conn, status == STATUS_AGAIN ? sent : status);
}

static void run_open(struct conn *conn, bool readable, bool writable)
{
    if (writable && conn->out.bytes > 0) {
        enum status status = conn_flush(conn);
        if (status != STATUS_OK) {
            tell_broken(conn, status);
            return;
        }
    }
    if (readable)
        conn->events->readable(conn->arg);
    if (conn->state == CONN_OPEN && conn->want_write && conn->out.bytes == 0 && conn->sock.writable) {
        conn->want_write = false;
        conn->events->writable(conn->arg);
        if (conn->state == CONN_OPEN)
            conn_note_progress(conn, true);
    }
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct conn *conn = arg;
    (void) fd;
    bool unread = conn->sock.readable;
    if (what & (EV_READ | EV_CLOSED))
        conn->sock.readable = true;
    if (what & EV_CLOSED)
        conn->sock.ended = true;
    if (what & EV_WRITE)
        conn->sock.writable = true;
    /* libevent's way to say EPOLLERR, too; see conn_check(). */
    conn->sock.suspect = (what & EV_READ) && (what & EV_WRITE);

    conn->running = true;
    /* libevent folds an error into readable and writable. An owner that is not reading would not see it. */
    bool failed = (what & EV_READ) && (what & EV_WRITE) && unread && sock_error(&conn->sock) != STATUS_OK;
    if (failed) {
        tell_broken(conn, STATUS_RESET);
    } else {
        if (conn->state == CONN_CONNECTING && (what & EV_WRITE)) {
            if (sock_error(&conn->sock) != STATUS_OK)
                tell_broken(conn, STATUS_CONNECT);
            else if (conn->tls != NULL)
                conn->state = CONN_HANDSHAKE;
            else
                now_open(conn);
        }
        bool was_open = conn->state == CONN_OPEN;
        if (conn->state == CONN_HANDSHAKE)
            step_handshake(conn);
        if (conn->state == CONN_OPEN)
            run_open(conn, (what & (EV_READ | EV_CLOSED)) || !was_open, conn->sock.writable);
        else if (conn->state == CONN_LINGERING)
            conn_linger_step(conn);
    }
    conn->running = false;
    if (conn->state == CONN_CLOSED)
        free_conn(conn);
}

static struct conn_loop *shared_of(struct loop *loop)
{
    struct conn_loop *shared = loop_get(loop, LOOP_SLOT_NET);
    if (shared == NULL) {
        shared = mem_calloc(1, sizeof *shared);
        list_init(&shared->lingering);
        loop_set(loop, LOOP_SLOT_NET, shared);
    }
    return shared;
}

struct conn *conn_open(struct loop *loop, int fd, const struct conn_options *options, const struct conn_events *events,
                       void *arg)
{
    struct conn *conn = mem_calloc(1, sizeof *conn);
    conn->sock.fd = fd;
    conn->events = events;
    conn->arg = arg;
    conn->loop = loop;
    conn->shared = shared_of(loop);
    conn->burst = CONN_BURST_START;
    conn->send_timeout = options->send_timeout;
    conn->state = CONN_CONNECTING;
    list_init(&conn->link);
    if (options->tls != NULL)
        conn->tls = tls_stream_new(options->tls, options->name, &conn->sock, &conn->out, &conn->shared->pool);
    timer_init(&conn->timer, loop, on_timer);
    event_assign(&conn->event, loop_base(loop), fd, EV_READ | EV_WRITE | EV_CLOSED | EV_ET | EV_PERSIST, on_event,
                 conn);
    if (fd < 0) {
        conn_arm(conn, loop_now_ms(loop));
        return conn;
    }
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* fails on a Unix socket, which does not need it */
    event_add(&conn->event, NULL);
    return conn;
}

struct conn *conn_connect(struct loop *loop, const struct sockaddr *address, socklen_t length,
                          const struct conn_options *options, const struct conn_events *events, void *arg)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, address, length) != 0 && errno != EINPROGRESS) {
        close(fd);
        fd = -1; /* told like every other failure, from the loop */
    }
    return conn_open(loop, fd, options, events, arg);
}

void conn_listen(struct conn *conn, const struct conn_events *events, void *arg)
{
    conn->events = events;
    conn->arg = arg;
}

bool conn_is_tls(const struct conn *conn)
{
    return conn->tls != NULL;
}

struct str conn_alpn(const struct conn *conn)
{
    return conn->tls == NULL ? STR_NULL : tls_stream_alpn(conn->tls);
}

void *conn_peer_certificate(const struct conn *conn)
{
    return conn->tls == NULL ? NULL : tls_stream_peer_certificate(conn->tls);
}

const char *conn_error_text(const struct conn *conn)
{
    return conn->tls == NULL ? "the connection broke" : tls_stream_error(conn->tls);
}

void conn_loop_fini(struct loop *loop)
{
    struct conn_loop *shared = loop_get(loop, LOOP_SLOT_NET);
    if (shared == NULL)
        return;
    while (!list_empty(&shared->lingering))
        conn_linger_cut(LIST_ENTRY(shared->lingering.next, struct conn, link));
    outq_pool_fini(&shared->pool);
    loop_set(loop, LOOP_SLOT_NET, NULL);
    mem_free(shared);
}
