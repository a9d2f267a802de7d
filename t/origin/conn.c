/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See conn.h. Each state has a function that works until it must wait; STEP_* says for what. A body
 * is written straight from the content region (or from the bytes a PUT left), 4 MiB a system call.
 */
#include "conn.h"

#include <linux/sockios.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#include "control.h"
#include "io.h"
#include "record.h"
#include "service.h"

#define READ_SIZE 65536
#define MAX_IOV 65
#define CHUNK 65536
#define TURN (16 << 20) /* bytes before the other connections of the worker get theirs */
#define MS 1000000LL
#define DRAIN_NS (2000 * MS)
#define RESET_NS (1000 * MS)
#define RATE_STEP_NS (5 * MS)

enum state {
    HANDSHAKE,
    HEAD,  /* reading a request's head */
    BODY,  /* reading its body */
    DELAY, /* a reply is ready and waits for its first byte's time */
    REPLY,
    STALL, /* silent until the peer closes */
    RESET, /* resets once the peer has got everything, or its time is up */
    DRAIN  /* said goodbye; reads until the peer has closed too, lest a reset destroys the reply */
};

enum step { STEP_AGAIN, STEP_READ, STEP_WRITE, STEP_TIMER, STEP_CLOSE };

struct conn {
    struct watch watch; /* first: see serve.h */
    struct io io;
    enum state state;
    bool counted, first_request_seen;
    struct buf in; /* received, not yet understood */

    struct request req;
    bool control;
    struct body_reader reader;
    struct body body;
    EVP_MD_CTX *md5;

    struct reply reply;
    struct record record;
    struct buf out; /* head and framing to be sent before more of the body */
    size_t out_sent;
    int64_t body_total, body_sent, chunk_left;
    bool last_chunk_sent, touched;
    int64_t rate_since, reset_deadline;
};

struct watch *conn_new(struct worker *worker, int fd, SSL_CTX *tls)
{
    struct conn *c = xcalloc(1, sizeof *c);
    c->watch.worker = worker;
    c->watch.fd = c->io.fd = fd;
    c->io.ipv4 = io_peer(fd);
    c->state = HEAD;
    if (tls) {
        c->state = HANDSHAKE;
        c->io.ssl = SSL_new(tls);
        if (!c->io.ssl || SSL_set_fd(c->io.ssl, fd) != 1)
            abort();
    }
    c->counted = true;
    record_connection(1, 1);
    return &c->watch;
}

static void end_request(struct conn *c, bool complete)
{
    record_end(&c->record, &c->reply, complete);
    reply_free(&c->reply);
    request_free(&c->req);
    buf_free(&c->body.kept);
    EVP_MD_CTX_free(c->md5);
    c->md5 = NULL;
    c->body.total = 0;
    c->out.len = c->out_sent = 0;
}

static void conn_close(struct conn *c, bool reset)
{
    end_request(c, false);
    if (c->counted)
        record_connection(0, -1);
    watch_end(&c->watch);
    io_close(&c->io, reset);
    buf_free(&c->in);
    buf_free(&c->out);
    free(c);
}

static enum step start_drain(struct conn *c)
{
    end_request(c, false);
    io_shutdown(&c->io);
    c->state = DRAIN;
    watch_deadline(&c->watch, now_ns() + DRAIN_NS);
    return STEP_AGAIN;
}

static enum step step_drain(struct conn *c)
{
    char waste[4096];
    ssize_t n = 0;
    for (int i = 0; i < 256; i++) {
        n = io_read(&c->io, waste, sizeof waste);
        if (n <= 0)
            return n == IO_BLOCKED ? STEP_READ : STEP_CLOSE;
    }
    return STEP_READ;
}

/* Reads once into `in`; > 0, or as io_read(). */
static ssize_t fill(struct conn *c)
{
    buf_reserve(&c->in, READ_SIZE);
    ssize_t n = io_read(&c->io, c->in.data + c->in.len, READ_SIZE);
    if (n > 0)
        c->in.len += (size_t) n;
    return n;
}

static void consume(struct conn *c, size_t n)
{
    c->in.len -= n;
    memmove(c->in.data, c->in.data + n, c->in.len);
}

static enum step start_reply(struct conn *c, int64_t delay_ms)
{
    c->out_sent = 0;
    c->body_sent = c->chunk_left = 0;
    c->last_chunk_sent = c->touched = false;
    c->rate_since = 0;
    c->state = REPLY;
    if (delay_ms <= 0)
        return STEP_AGAIN;
    c->state = DELAY;
    watch_deadline(&c->watch, now_ns() + delay_ms * MS);
    return STEP_TIMER;
}

static enum step refuse(struct conn *c, const char *status)
{
    reply_init(&c->reply, &c->req);
    c->reply.close = true;
    c->out.len = 0;
    buf_printf(&c->out, "HTTP/1.1 %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", status);
    c->body_total = 0;
    return start_reply(c, 0);
}

static enum step dispatch(struct conn *c, bool keep_alive)
{
    struct reply *r = &c->reply;
    const struct fault *f = &r->fault;
    reply_init(r, &c->req);
    c->out.len = 0;
    r->close = !keep_alive;
    if (c->control) {
        control_handle(r);
    } else {
        if (c->md5)
            EVP_DigestFinal_ex(c->md5, c->body.md5, NULL);
        else
            EVP_Digest("", 0, c->body.md5, NULL, EVP_md5(), NULL);
        service_handle(&c->body, r);
        record_begin(&c->record, &c->req, r->status);
    }
    if (f->close_before_reply)
        return start_drain(c);
    if (f->garbage) {
        r->close = true;
        buf_puts(&c->out, "\x16\x03\x01This is no HTTP\r\n\r\n");
        r->body_left = 0;
    } else {
        reply_seal(r, &c->out);
    }
    c->body_total = r->body_left;
    return start_reply(c, f->first_byte_ms);
}

/* Control connections are not counted; it takes the first request to know one. */
static void classify(struct conn *c)
{
    c->control = c->req.path && starts_with(c->req.path, "/.control/");
    if (!c->first_request_seen && c->control && c->counted) {
        record_connection(-1, -1);
        c->counted = false;
    }
    c->first_request_seen = true;
}

static enum step start_request(struct conn *c)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    classify(c);
    body_start(&c->reader, &c->req);
    if (c->reader.state == BODY_END)
        return dispatch(c, c->req.keep_alive);
    if (c->req.expect_continue) {
        if (!c->control && service_admit(&c->req))
            return dispatch(c, false);
        struct iovec iov = {.iov_base = xstrdup(go_on), .iov_len = sizeof go_on - 1};
        ssize_t n = io_writev(&c->io, &iov, 1);
        free(iov.iov_base);
        if (n != (ssize_t) sizeof go_on - 1)
            return STEP_CLOSE;
    }
    if (!c->control) {
        c->md5 = EVP_MD_CTX_new();
        EVP_DigestInit_ex(c->md5, EVP_md5(), NULL);
    }
    c->state = BODY;
    return STEP_AGAIN;
}

static enum step step_head(struct conn *c)
{
    size_t used;
    enum http_result result = HTTP_MORE;
    if (c->in.len > 0)
        result = request_parse(&c->req, c->in.data, c->in.len, &used);
    switch (result) {
    case HTTP_DONE:
        consume(c, used);
        c->req.tls = c->io.ssl != NULL;
        c->req.ipv4 = c->io.ipv4;
        return start_request(c);
    case HTTP_BAD:
        return refuse(c, "400 Bad Request");
    case HTTP_TOO_LARGE:
        return refuse(c, "431 Request Header Fields Too Large");
    case HTTP_MORE:
        break;
    }
    if (c->in.len == 0)
        buf_free(&c->in); /* idle connections are cheap */
    ssize_t n = fill(c);
    return n > 0 ? STEP_AGAIN : n == IO_BLOCKED ? STEP_READ : STEP_CLOSE;
}

static void keep_body(struct conn *c, const char *data, size_t n)
{
    if (c->control || n == 0)
        return;
    EVP_DigestUpdate(c->md5, data, n);
    c->body.total += (int64_t) n;
    if (c->body.total <= BLOB_MAX_KEPT)
        buf_add(&c->body.kept, data, n);
    else
        buf_free(&c->body.kept);
}

static enum step step_body(struct conn *c)
{
    size_t at = 0;
    enum http_result result = HTTP_MORE;
    while (result == HTTP_MORE && at < c->in.len) {
        size_t used, data_len;
        const char *data;
        result = body_feed(&c->reader, c->in.data + at, c->in.len - at, &used, &data, &data_len);
        keep_body(c, data, data_len);
        at += used;
    }
    if (at > 0)
        consume(c, at);
    if (result == HTTP_DONE)
        return dispatch(c, c->req.keep_alive);
    if (result != HTTP_MORE)
        return refuse(c, "400 Bad Request");
    ssize_t n = fill(c);
    return n > 0 ? STEP_AGAIN : n == IO_BLOCKED ? STEP_READ : STEP_CLOSE;
}

static void lower(int64_t *limit, int64_t value)
{
    if (value >= 0 && value < *limit)
        *limit = value;
}

/* How much of the body may have been sent before something is due. */
static int64_t send_limit(struct conn *c)
{
    const struct fault *f = &c->reply.fault;
    int64_t limit = c->body_total;
    lower(&limit, f->truncate_after);
    lower(&limit, f->stall_after);
    lower(&limit, f->reset_after);
    if (!c->touched)
        lower(&limit, f->touch_after);
    if (f->rate > 0) {
        int64_t now = now_ns();
        if (!c->rate_since)
            c->rate_since = now;
        /* In steps, or each byte sent would allow the next one and the thread have no other work. */
        int64_t elapsed = (now - c->rate_since) / RATE_STEP_NS * RATE_STEP_NS;
        double allowed = (double) f->rate * ((double) elapsed / 1e9 + 0.01) + 1;
        lower(&limit, allowed < 9e18 ? (int64_t) allowed : INT64_MAX);
    }
    return limit;
}

static void touch(struct conn *c)
{
    const struct fault *f = &c->reply.fault;
    uint64_t seed = c->reply.gen ? c->reply.gen->seed + 1 : 1;
    if (f->seed >= 0)
        seed = (uint64_t) f->seed;
    state_lock();
    blob_touch(c->req.path, &seed, NULL);
    state_unlock();
    c->touched = true;
}

/* Everything up to the limit has been sent, and the body goes no further for now. */
static enum step at_limit(struct conn *c)
{
    const struct fault *f = &c->reply.fault;
    if (f->touch_after >= 0 && !c->touched && c->body_sent >= f->touch_after) {
        touch(c);
        return STEP_AGAIN;
    }
    if (c->body_sent == c->body_total) {
        bool close_it = c->reply.close;
        end_request(c, true);
        c->state = HEAD;
        return close_it ? start_drain(c) : STEP_AGAIN;
    }
    if (f->truncate_after >= 0 && c->body_sent >= f->truncate_after)
        return start_drain(c);
    if (f->stall_after >= 0 && c->body_sent >= f->stall_after) {
        c->state = STALL;
        return STEP_TIMER;
    }
    if (f->reset_after >= 0 && c->body_sent >= f->reset_after) {
        c->state = RESET;
        c->reset_deadline = now_ns() + RESET_NS;
        return STEP_AGAIN;
    }
    watch_deadline(&c->watch, now_ns() + RATE_STEP_NS);
    return STEP_TIMER;
}

/* Puts chunked framing into `out` where it is due; returns how much body may follow it. */
static int64_t frame_chunk(struct conn *c, int64_t allowed)
{
    if (c->chunk_left == 0 && c->body_sent < c->body_total) {
        int64_t left = c->body_total - c->body_sent;
        c->chunk_left = left < CHUNK ? left : CHUNK;
        buf_printf(&c->out, "%s%llx\r\n", c->body_sent ? "\r\n" : "", (unsigned long long) c->chunk_left);
    } else if (c->body_sent == c->body_total && !c->last_chunk_sent) {
        buf_printf(&c->out, "%s0\r\n\r\n", c->body_total ? "\r\n" : "");
        c->last_chunk_sent = true;
    }
    return allowed < c->chunk_left ? allowed : c->chunk_left;
}

static int body_iov(struct conn *c, int64_t length, struct iovec *iov, int max_iov)
{
    struct reply *r = &c->reply;
    if (length <= 0)
        return 0;
    if (r->gen)
        return generation_iov(r->gen, r->offset + c->body_sent, length, iov, max_iov);
    iov[0].iov_base = r->text.data + c->body_sent;
    iov[0].iov_len = (size_t) length;
    return 1;
}

static void sent(struct conn *c, int64_t n)
{
    int64_t head = (int64_t) (c->out.len - c->out_sent);
    if (head > n)
        head = n;
    c->out_sent += (size_t) head;
    if (c->out_sent == c->out.len)
        c->out.len = c->out_sent = 0;
    n -= head;
    c->body_sent += n;
    if (c->reply.chunked)
        c->chunk_left -= n;
    if (c->reply.gen)
        record_body(&c->record, n);
}

static enum step step_reply(struct conn *c)
{
    for (int64_t turn = 0; turn < TURN;) {
        struct iovec iov[MAX_IOV];
        int count = 0;
        int64_t allowed = send_limit(c) - c->body_sent;
        if (c->reply.chunked)
            allowed = frame_chunk(c, allowed);
        if (c->out.len > c->out_sent) {
            iov[0].iov_base = c->out.data + c->out_sent;
            iov[0].iov_len = c->out.len - c->out_sent;
            count = 1;
        }
        count += body_iov(c, allowed, iov + count, MAX_IOV - count);
        if (count == 0)
            return at_limit(c);
        ssize_t n = io_writev(&c->io, iov, count);
        if (n < 0)
            return n == IO_BLOCKED ? STEP_WRITE : STEP_CLOSE;
        sent(c, n);
        turn += n;
    }
    return STEP_WRITE;
}

/* A reset throws away what is still queued: wait until the peer has it, so that N bytes are N
 * bytes. */
static enum step step_reset(struct conn *c)
{
    int queued = 0;
    if (ioctl(c->io.fd, SIOCOUTQ, &queued) != 0 || queued == 0 || now_ns() > c->reset_deadline)
        return STEP_CLOSE;
    watch_deadline(&c->watch, now_ns() + MS);
    return STEP_TIMER;
}

static enum step step_handshake(struct conn *c)
{
    int result = io_handshake(&c->io);
    if (result == IO_BLOCKED)
        return STEP_READ;
    c->state = HEAD;
    return result == 1 ? STEP_AGAIN : STEP_CLOSE;
}

static enum step step(struct conn *c)
{
    switch (c->state) {
    case HANDSHAKE:
        return step_handshake(c);
    case HEAD:
        return step_head(c);
    case BODY:
        return step_body(c);
    case REPLY:
        return step_reply(c);
    case RESET:
        return step_reset(c);
    case DRAIN:
        return step_drain(c);
    case DELAY:
    case STALL:
        break;
    }
    return STEP_TIMER;
}

static void run(struct conn *c)
{
    enum step s = STEP_AGAIN;
    while (s == STEP_AGAIN)
        s = step(c);
    switch (s) {
    case STEP_READ:
        watch_events(&c->watch, EPOLLIN);
        break;
    case STEP_WRITE:
        watch_events(&c->watch, EPOLLOUT);
        break;
    case STEP_CLOSE:
        conn_close(c, c->state == RESET);
        break;
    default:
        watch_events(&c->watch, 0);
    }
}

void conn_event(struct watch *w, uint32_t events)
{
    struct conn *c = (struct conn *) w;
    bool replying = c->state == DELAY || c->state == REPLY || c->state == STALL;
    if (replying && (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
        conn_close(c, false); /* the peer has given up */
    else if (c->state != DELAY && c->state != STALL)
        run(c);
}

void conn_timeout(struct watch *w)
{
    struct conn *c = (struct conn *) w;
    if (c->state == DRAIN) {
        conn_close(c, false);
        return;
    }
    if (c->state == DELAY)
        c->state = REPLY;
    run(c);
}
