/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn.c: one epoll registration for a connection's whole life (edge-triggered, both directions), readiness remembered
 * in struct sock, output gathered in struct outq.
 *
 * How much is gathered before a send (`burst`) follows what the peer takes: doubled, up to 256 KiB, when the socket
 * swallows all of it, halved when it does not, so a slow reader holds little. A connection closed by its owner while
 * one of its callbacks runs is freed when that returns.
 */
#include "net/conn.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "base/list.h"
#include "base/mem.h"
#include "net/loop.h"
#include "net/outq.h"
#include "net/sock.h"
#include "net/tls.h"
#include "net/tls_stream.h"

#define BURST_MIN 32768
#define BURST_START 65536
#define BURST_MAX 262144
/* Writes up to this size are gathered under CONN_MORE; larger ones are worth a system call of their own. */
#define GATHER_MAX 20480
/* A graceful end sends what is pending for no longer than this (and send_timeout), */
#define LINGER_PENDING_MS 60000
/* and then waits for the peer's end no longer and reads away no more than this. */
#define LINGER_MS 2000
#define LINGER_BYTES (1024 * 1024)

/* What a loop keeps for its connections. */
struct conn_loop {
    struct outq_pool pool;
    struct list lingering;
};

enum state { CONNECTING, HANDSHAKE, OPEN, LINGERING, CLOSED };

struct conn {
    struct sock sock;
    struct outq out;
    struct tls_stream *tls;
    const struct conn_events *events;
    void *arg;
    struct loop *loop;
    struct conn_loop *shared;
    struct event event;
    struct timer timer;
    struct list link; /* while lingering */
    size_t burst;
    int64_t send_timeout;
    int64_t timer_at;   /* when the timer fires; 0: not armed. Times are loop_now_ms */
    int64_t timeout_at; /* the owner's; 0: none */
    int64_t stalled_at; /* the end of the peer's patience with us; 0: it takes what we send */
    size_t drained;     /* while lingering */
    enum state state;
    bool want_write; /* the owner was refused room */
    bool running;    /* inside a callback of the loop */
    bool fin_sent;
};

static void free_conn(struct conn *conn)
{
    list_remove(&conn->link);
    event_del(&conn->event);
    timer_fini(&conn->timer);
    outq_clear(&conn->out, &conn->shared->pool);
    tls_stream_free(conn->tls);
    mem_free(conn);
}

static void end_now(struct conn *conn, bool reset)
{
    event_del(&conn->event);
    sock_close(&conn->sock, reset);
    conn->state = CLOSED;
    if (!conn->running)
        free_conn(conn);
}

static void tell_broken(struct conn *conn, enum status why)
{
    if (conn->state == LINGERING)
        end_now(conn, true);
    else
        conn->events->broken(conn->arg, why);
}

/* ---- Timers: one libevent timer, armed at the earliest of two deadlines and never moved to a later time by hand. ----
 */

static void arm(struct conn *conn, int64_t at)
{
    if (conn->timer_at != 0 && conn->timer_at <= at)
        return;
    conn->timer_at = at;
    timer_set(&conn->timer, at - loop_now_ms(conn->loop));
}

void conn_set_timeout(struct conn *conn, int64_t ms)
{
    conn->timeout_at = ms <= 0 ? 0 : loop_now_ms(conn->loop) + ms;
    if (conn->timeout_at != 0)
        arm(conn, conn->timeout_at);
}

/* After each attempt to send: is the peer in debt? */
static void note_progress(struct conn *conn, bool moved)
{
    bool blocked = (conn->out.bytes > 0 || conn->want_write) && !conn->sock.writable;
    if (!blocked || conn->send_timeout == 0) {
        conn->stalled_at = 0;
    } else if (moved || conn->stalled_at == 0) {
        conn->stalled_at = loop_now_ms(conn->loop) + conn->send_timeout;
        arm(conn, conn->stalled_at);
    }
}

static void on_timer(struct timer *timer)
{
    struct conn *conn = LIST_ENTRY(timer, struct conn, timer);
    int64_t now = loop_now_ms(conn->loop);
    conn->timer_at = 0;
    conn->running = true;
    if (conn->sock.fd < 0) {
        tell_broken(conn, STATUS_CONNECT);
    } else if (conn->stalled_at != 0 && conn->stalled_at <= now) {
        conn->stalled_at = 0;
        tell_broken(conn, STATUS_CLIENT_TIMEOUT);
    } else if (conn->timeout_at != 0 && conn->timeout_at <= now) {
        conn->timeout_at = 0;
        if (conn->state == LINGERING)
            end_now(conn, false);
        else
            conn->events->timeout(conn->arg);
    }
    conn->running = false;
    if (conn->state == CLOSED) {
        free_conn(conn);
        return;
    }
    if (conn->stalled_at != 0)
        arm(conn, conn->stalled_at);
    if (conn->timeout_at != 0)
        arm(conn, conn->timeout_at);
}

/* ---- Sending ---- */

enum status conn_flush(struct conn *conn)
{
    bool moved = false;
    bool whole = true;
    while (conn->out.bytes > 0) {
        struct iovec pieces[SOCK_MAX_IOV];
        unsigned count = outq_view(&conn->out, pieces, SOCK_MAX_IOV);
        size_t taken;
        enum status status = sock_write(&conn->sock, pieces, count, &taken);
        if (status == STATUS_AGAIN) {
            whole = false;
            break;
        }
        if (status != STATUS_OK)
            return status;
        outq_consume(&conn->out, &conn->shared->pool, taken);
        moved = true;
    }
    if (moved && whole && conn->burst < BURST_MAX)
        conn->burst *= 2;
    else if (moved && !whole && conn->burst > BURST_MIN)
        conn->burst /= 2;
    note_progress(conn, moved);
    return STATUS_OK;
}

static void append(struct conn *conn, const struct iovec *pieces, unsigned count, size_t skip)
{
    for (unsigned i = 0; i < count; i++) {
        if (skip >= pieces[i].iov_len) {
            skip -= pieces[i].iov_len;
            continue;
        }
        outq_append(&conn->out, &conn->shared->pool, (uint8_t *) pieces[i].iov_base + skip, pieces[i].iov_len - skip);
        skip = 0;
    }
}

static enum status write_clear(struct conn *conn, const struct iovec *pieces, unsigned count, size_t total,
                               unsigned flags, size_t *taken)
{
    if ((flags & CONN_MORE) && total <= GATHER_MAX && ((flags & CONN_ALL) || conn->out.bytes + total <= conn->burst)) {
        append(conn, pieces, count, 0);
        *taken = total;
        return STATUS_OK;
    }
    if (conn->out.bytes > 0 && conn->sock.writable) {
        /* What is pending and what is new in one call, unless the pending is too much in pieces. */
        struct iovec both[SOCK_MAX_IOV];
        size_t before = conn->out.bytes;
        unsigned pending = outq_view(&conn->out, both, SOCK_MAX_IOV - CONN_MAX_PIECES);
        size_t shown = 0;
        for (unsigned i = 0; i < pending; i++)
            shown += both[i].iov_len;
        size_t sent = 0;
        enum status status = STATUS_OK;
        if (shown == before) {
            memcpy(both + pending, pieces, count * sizeof *pieces);
            status = sock_write(&conn->sock, both, pending + count, &sent);
        }
        if (status != STATUS_OK && status != STATUS_AGAIN)
            return status;
        outq_consume(&conn->out, &conn->shared->pool, sent < before ? sent : before);
        *taken = sent < before ? 0 : sent - before;
        if (shown != before && (status = conn_flush(conn)) != STATUS_OK)
            return status;
        note_progress(conn, sent > 0);
    }
    if (conn->out.bytes == 0 && *taken == 0) {
        enum status status = sock_write(&conn->sock, pieces, count, taken);
        if (status != STATUS_OK && status != STATUS_AGAIN)
            return status;
    }
    if (*taken < total && (flags & CONN_ALL)) {
        append(conn, pieces, count, *taken);
        *taken = total;
    }
    return STATUS_OK;
}

/* Skips `bytes` of the pieces, in place. */
static unsigned advance(struct iovec *pieces, unsigned count, size_t bytes)
{
    unsigned gone = 0;
    while (gone < count && bytes >= pieces[gone].iov_len)
        bytes -= pieces[gone++].iov_len;
    memmove(pieces, pieces + gone, (count - gone) * sizeof *pieces);
    if (gone < count && bytes > 0) {
        pieces[0].iov_base = (uint8_t *) pieces[0].iov_base + bytes;
        pieces[0].iov_len -= bytes;
    }
    return count - gone;
}

static enum status write_tls(struct conn *conn, const struct iovec *pieces, unsigned count, size_t total,
                             unsigned flags, size_t *taken)
{
    struct iovec left[CONN_MAX_PIECES];
    memcpy(left, pieces, count * sizeof *pieces);
    for (;;) {
        size_t n;
        enum status status = tls_stream_write(conn->tls, left, count, flags & CONN_ALL ? SIZE_MAX : conn->burst, &n);
        if (status != STATUS_OK)
            return status;
        *taken += n;
        count = advance(left, count, n);
        if (!(flags & CONN_MORE) || conn->out.bytes >= conn->burst) {
            status = conn_flush(conn);
            if (status != STATUS_OK)
                return status;
        }
        if (*taken == total || n == 0 || conn->out.bytes > 0)
            return STATUS_OK;
    }
}

enum status conn_writev(struct conn *conn, const struct iovec *pieces, unsigned count, unsigned flags, size_t *taken)
{
    assert(conn->state == OPEN && count <= CONN_MAX_PIECES);
    size_t total = 0;
    for (unsigned i = 0; i < count; i++)
        total += pieces[i].iov_len;
    *taken = 0;
    enum status status = conn->tls == NULL ? write_clear(conn, pieces, count, total, flags, taken)
                                           : write_tls(conn, pieces, count, total, flags, taken);
    if (status != STATUS_OK)
        return status;
    if (*taken < total)
        conn->want_write = true;
    if (conn->tls == NULL || *taken < total)
        note_progress(conn, *taken > 0);
    return STATUS_OK;
}

bool conn_room(struct conn *conn)
{
    if (conn->out.bytes < conn->burst)
        return true;
    conn->want_write = true;
    note_progress(conn, false);
    return false;
}

/* ---- Receiving ---- */

enum status conn_read(struct conn *conn, void *data, size_t size, size_t *got)
{
    assert(conn->state == OPEN);
    if (conn->tls == NULL)
        return sock_read(&conn->sock, data, size, got);
    enum status status = tls_stream_read(conn->tls, data, size, got);
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

/* ---- A graceful end ---- */

static void linger(struct conn *conn)
{
    if (conn_flush(conn) != STATUS_OK) {
        end_now(conn, true);
        return;
    }
    if (conn->out.bytes > 0)
        return;
    if (!conn->fin_sent) {
        conn->fin_sent = true;
        shutdown(conn->sock.fd, SHUT_WR);
        conn_set_timeout(conn, LINGER_MS);
    }
    for (;;) {
        static _Thread_local uint8_t waste[16384];
        size_t got;
        enum status status = sock_read(&conn->sock, waste, sizeof waste, &got);
        if (status == STATUS_AGAIN)
            return;
        conn->drained += got;
        if (status != STATUS_OK || got == 0 || conn->drained > LINGER_BYTES) {
            end_now(conn, false);
            return;
        }
    }
}

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
    if (end != CONN_GRACEFUL || conn->state != OPEN) {
        end_now(conn, end == CONN_RESET);
        return;
    }
    if (conn->tls != NULL)
        tls_stream_shutdown(conn->tls);
    conn->state = LINGERING;
    list_add_tail(&conn->shared->lingering, &conn->link);
    conn_set_timeout(conn, LINGER_PENDING_MS);
    linger(conn);
}

/* ---- Events ---- */

static void now_open(struct conn *conn)
{
    conn->state = OPEN;
    conn->events->opened(conn->arg);
}

static void step_handshake(struct conn *conn)
{
    enum status status = tls_stream_handshake(conn->tls);
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
    if (conn->state == OPEN && conn->want_write && conn->out.bytes == 0 && conn->sock.writable) {
        conn->want_write = false;
        conn->events->writable(conn->arg);
        if (conn->state == OPEN)
            note_progress(conn, true);
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
        if (conn->state == CONNECTING && (what & EV_WRITE)) {
            if (sock_error(&conn->sock) != STATUS_OK)
                tell_broken(conn, STATUS_CONNECT);
            else if (conn->tls != NULL)
                conn->state = HANDSHAKE;
            else
                now_open(conn);
        }
        bool was_open = conn->state == OPEN;
        if (conn->state == HANDSHAKE)
            step_handshake(conn);
        if (conn->state == OPEN)
            run_open(conn, (what & (EV_READ | EV_CLOSED)) || !was_open, conn->sock.writable);
        else if (conn->state == LINGERING)
            linger(conn);
    }
    conn->running = false;
    if (conn->state == CLOSED)
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
    conn->burst = BURST_START;
    conn->send_timeout = options->send_timeout;
    conn->state = CONNECTING;
    list_init(&conn->link);
    if (options->tls != NULL)
        conn->tls = tls_stream_new(options->tls, options->name, &conn->sock, &conn->out, &conn->shared->pool);
    timer_init(&conn->timer, loop, on_timer);
    event_assign(&conn->event, loop_base(loop), fd, EV_READ | EV_WRITE | EV_CLOSED | EV_ET | EV_PERSIST, on_event,
                 conn);
    if (fd < 0) {
        arm(conn, loop_now_ms(loop));
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
        end_now(LIST_ENTRY(shared->lingering.next, struct conn, link), false);
    outq_pool_fini(&shared->pool);
    loop_set(loop, LOOP_SLOT_NET, NULL);
    mem_free(shared);
}
