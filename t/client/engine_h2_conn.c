/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See engine_h2.h: a socket, TLS on it or not, and the bytes of a session. A read goes on until the socket has no
 * more: what the peer may send is bounded by the connection's window, which only our writing opens again.
 */
#include <curl/curl.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "engine.h"
#include "engine_h2.h"

#define STREAM_WINDOW (1 << 20)
#define SLOW_STREAM_WINDOW (16 << 10) /* the least */
#define READ_SIZE (64 << 10)
#define WRITE_SIZE (64 << 10)

/* read_some() and write_some() give bytes, or: */
#define WOULD_BLOCK (-1)
#define BROKEN (-2)

void h2_conn_touch(struct h2_conn *c)
{
    if (c->is_touched)
        return;
    c->is_touched = true;
    TAILQ_INSERT_TAIL(&c->loop->touched, c, in_touched);
}

static void watch(struct h2_conn *c, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (c->fd < 0 || events == c->events)
        return;
    epoll_ctl(c->loop->epoll_fd, c->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, &event);
    c->events = events;
}

/* What a slow reader is ahead by at most: little, yet enough for some of engine.h's looks at it. */
static int stream_window(int64_t rate)
{
    int64_t some = rate * ENGINE_PACE_MS * 8 / 1000;
    if (rate <= 0 || some > STREAM_WINDOW)
        return STREAM_WINDOW;
    return some > SLOW_STREAM_WINDOW ? (int) some : SLOW_STREAM_WINDOW;
}

struct h2_conn *h2_conn_open(struct h2_loop *loop, struct h2_peer *p, bool single, int64_t rate)
{
    int one = 1;
    struct h2_conn *c = calloc(1, sizeof *c);
    if (!c)
        abort();
    c->loop = loop;
    c->peer = p;
    c->single = single;
    LIST_INIT(&c->streams);
    LIST_INSERT_HEAD(&loop->conns, c, in_conns);
    c->session = h2_stream_session(c, stream_window(rate));
    c->fd = p->result ? -1 : socket(p->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    h2_conn_touch(c);
    if (c->fd < 0)
        return c; /* the loop will find out */
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(c->fd, (const struct sockaddr *) &p->address, p->address_len) != 0 && errno != EINPROGRESS) {
        snprintf(c->note, sizeof c->note, "%s", strerror(errno));
        close(c->fd);
        c->fd = -1;
        return c;
    }
    watch(c, EPOLLIN | EPOLLOUT);
    return c;
}

bool h2_conn_usable(const struct h2_conn *c)
{
    return c->state != H2_DEAD && nghttp2_session_check_request_allowed(c->session);
}

void h2_conn_fail(struct h2_conn *c, int result, const char *error)
{
    c->state = H2_DEAD;
    h2_conn_touch(c);
    for (struct h2_stream *s; (s = LIST_FIRST(&c->streams)) != NULL;)
        h2_stream_end(s, result, error);
}

static void lost(struct h2_conn *c, const char *what)
{
    char error[TRANSFER_ERROR_SIZE];
    snprintf(error, sizeof error, "%s%s%.150s", what, c->note[0] ? "; before: " : "", c->note);
    h2_conn_fail(c, CURLE_RECV_ERROR, error);
}

/* ---- Reading. ---- */

static ssize_t tls_result(struct h2_conn *c, int n)
{
    if (n > 0)
        return n;
    switch (SSL_get_error(c->tls, n)) {
    case SSL_ERROR_WANT_WRITE:
        c->tls_wants_write = true;
        return WOULD_BLOCK;
    case SSL_ERROR_WANT_READ:
        return WOULD_BLOCK;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default:
        return BROKEN;
    }
}

static ssize_t read_some(struct h2_conn *c)
{
    if (c->tls) {
        ERR_clear_error();
        return tls_result(c, SSL_read(c->tls, c->loop->buffer, READ_SIZE));
    }
    ssize_t n = recv(c->fd, c->loop->buffer, READ_SIZE, 0);
    return n >= 0 ? n : errno == EAGAIN || errno == EINTR ? WOULD_BLOCK : BROKEN;
}

static void read_all(struct h2_conn *c)
{
    ssize_t n;
    while (c->state == H2_UP && (n = read_some(c)) != WOULD_BLOCK) {
        if (n == 0) {
            lost(c, "the server closed the connection");
        } else if (n < 0) {
            lost(c, "the connection broke");
        } else {
            ssize_t used = nghttp2_session_mem_recv(c->session, c->loop->buffer, (size_t) n);
            if (used != n)
                h2_conn_fail(c, CURLE_HTTP2, used < 0 ? nghttp2_strerror((int) used) : "frames left over");
        }
    }
}

/* ---- Writing. ---- */

static ssize_t write_some(struct h2_conn *c)
{
    const unsigned char *data = c->out + c->out_sent;
    size_t size = c->out_len - c->out_sent;
    if (c->tls) {
        ERR_clear_error();
        return tls_result(c, SSL_write(c->tls, data, (int) size));
    }
    ssize_t n = send(c->fd, data, size, MSG_NOSIGNAL);
    return n >= 0 ? n : errno == EAGAIN || errno == EINTR ? WOULD_BLOCK : BROKEN;
}

/* Frames what the session has to say; false: nothing. */
static bool gather(struct h2_conn *c)
{
    const uint8_t *data;
    ssize_t n;
    c->out_len = c->out_sent = 0;
    while (c->out_len < WRITE_SIZE && (n = nghttp2_session_mem_send(c->session, &data)) > 0) {
        if (c->out_len + (size_t) n > c->out_room) {
            c->out_room = 2 * (c->out_len + (size_t) n);
            c->out = realloc(c->out, c->out_room);
            if (!c->out)
                abort();
        }
        memcpy(c->out + c->out_len, data, (size_t) n);
        c->out_len += (size_t) n;
    }
    return c->out_len > 0;
}

/* Until there is nothing left, or the socket is full. A broken connection is found out by reading: what came before
   it broke is to be heard. */
static void write_all(struct h2_conn *c)
{
    while (c->out_sent < c->out_len || gather(c)) {
        ssize_t n = write_some(c);
        if (n <= 0) {
            if (n != WOULD_BLOCK)
                c->out_sent = c->out_len;
            return;
        }
        c->out_sent += (size_t) n;
    }
}

/* ---- What happens to it. ---- */

static void connected(struct h2_conn *c)
{
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
        h2_conn_fail(c, CURLE_COULDNT_CONNECT, strerror(error));
        return;
    }
    c->state = c->peer->tls ? H2_HANDSHAKE : H2_UP;
    if (c->peer->tls)
        c->tls = h2_peer_tls(c->peer, c->fd);
}

static void shake_hands(struct h2_conn *c)
{
    const char *why;
    ERR_clear_error();
    ssize_t n = tls_result(c, SSL_do_handshake(c->tls));
    if (n == WOULD_BLOCK)
        return;
    long verified = SSL_get_verify_result(c->tls);
    if (n > 0 && h2_peer_accept(c->peer, c->tls, &why)) {
        c->state = H2_UP;
    } else if (n > 0) {
        h2_conn_fail(c, CURLE_PEER_FAILED_VERIFICATION, why);
    } else if (verified != X509_V_OK && (SSL_get_verify_mode(c->tls) & SSL_VERIFY_PEER)) {
        h2_conn_fail(c, CURLE_PEER_FAILED_VERIFICATION, X509_verify_cert_error_string(verified));
    } else {
        const char *reason = ERR_reason_error_string(ERR_peek_last_error());
        h2_conn_fail(c, CURLE_SSL_CONNECT_ERROR, reason ? reason : "the handshake broke off");
    }
}

void h2_conn_event(struct h2_conn *c, uint32_t events)
{
    h2_conn_touch(c);
    c->tls_wants_write = false;
    if (c->state == H2_CONNECTING && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
        connected(c);
    if (c->state == H2_HANDSHAKE)
        shake_hands(c);
    read_all(c);
}

void h2_conn_settle(struct h2_conn *c)
{
    const struct h2_peer *p = c->peer;
    if (c->state == H2_CONNECTING && c->fd < 0)
        h2_conn_fail(c, p->result ? p->result : CURLE_COULDNT_CONNECT, p->result ? p->error : c->note);
    if (c->state == H2_UP)
        write_all(c);
    bool pending = c->out_sent < c->out_len;
    if (c->state == H2_UP && !pending && !nghttp2_session_want_read(c->session) &&
        !nghttp2_session_want_write(c->session))
        h2_conn_fail(c, CURLE_HTTP2, c->note[0] ? c->note : "GOAWAY");
    if (LIST_EMPTY(&c->streams) && (c->state == H2_DEAD || c->single)) {
        h2_conn_close(c);
        return;
    }
    bool wants_write = c->state == H2_CONNECTING || pending || c->tls_wants_write;
    watch(c, EPOLLIN | (wants_write ? EPOLLOUT : 0));
}

void h2_conn_close(struct h2_conn *c)
{
    if (c->state == H2_UP) {
        nghttp2_session_terminate_session(c->session, NGHTTP2_NO_ERROR);
        write_all(c);
        if (c->tls)
            SSL_shutdown(c->tls);
    }
    if (c->is_touched)
        TAILQ_REMOVE(&c->loop->touched, c, in_touched);
    LIST_REMOVE(c, in_conns);
    nghttp2_session_del(c->session);
    SSL_free(c->tls);
    if (c->fd >= 0)
        close(c->fd);
    free(c->out);
    free(c);
}
