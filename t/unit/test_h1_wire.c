/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_h1_wire.c: the HTTP/1.1 server against a client that writes and reads raw bytes: pipelining, 100-continue,
 * framing, ends that are no ends, half-closed and vanishing clients, slow ones, time-outs and draining.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "http_rig.h"
#include "tap.h"

static struct rig rig;

static int dial(void)
{
    return rig_dial(&rig, 0);
}

static void say(int fd, const char *text)
{
    size_t size = strlen(text);
    if (send(fd, text, size, MSG_NOSIGNAL) != (ssize_t) size)
        diag("send failed: %s", strerror(errno));
}

/* How reading came to an end. */
enum end { END_FIN, END_RESET, END_TIMEOUT, END_ENOUGH };
static const char *const end_names[] = {"FIN", "RST", "time-out", "enough"};

/* Reads until `until` appears in what was read (NULL: to the end). */
static enum end hear(int fd, struct strbuf *got, const char *until)
{
    for (;;) {
        if (until != NULL && got->len > 0 && memmem(got->ptr, got->len, until, strlen(until)) != NULL)
            return END_ENOUGH;
        ssize_t n = recv(fd, strbuf_reserve(got, 65536), 65536, 0);
        if (n == 0)
            return END_FIN;
        if (n < 0)
            return errno == EAGAIN ? END_TIMEOUT : END_RESET;
        got->len += (size_t) n;
        got->ptr[got->len] = '\0';
    }
}

/* One request, all that comes back. */
static struct strbuf ask(const char *request, enum end *end)
{
    struct strbuf got = {0};
    int fd = dial();
    say(fd, request);
    enum end how = hear(fd, &got, NULL);
    if (end != NULL)
        *end = how;
    close(fd);
    return got;
}

static bool has(const struct strbuf *got, const char *text)
{
    return got->len > 0 && memmem(got->ptr, got->len, text, strlen(text)) != NULL;
}

static unsigned count(const struct strbuf *got, const char *text)
{
    unsigned found = 0;
    const char *at = got->ptr;
    size_t left = got->len;
    const char *next;
    while (left > 0 && (next = memmem(at, left, text, strlen(text))) != NULL) {
        found++;
        left -= (size_t) (next + 1 - at);
        at = next + 1;
    }
    return found;
}

/* Where the body begins, or NULL. */
static const char *body_of(const struct strbuf *got)
{
    const char *blank = got->len == 0 ? NULL : memmem(got->ptr, got->len, "\r\n\r\n", 4);
    return blank == NULL ? NULL : blank + 4;
}

static void test_basics(void)
{
    enum end end;
    struct strbuf got = ask("GET /mem/5 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", &end);
    ok(has(&got, "HTTP/1.1 200 OK\r\n"), "a status line");
    ok(has(&got, "\r\nDate: ") && has(&got, " GMT\r\n"), "a date");
    ok(has(&got, "\r\nContent-Length: 5\r\n") && has(&got, "\r\nX-Rig: yes\r\n"), "length and the handler's field");
    ok(has(&got, "\r\nConnection: close\r\n") && end == END_FIN, "the connection ends as asked");
    strbuf_free(&got);

    got = ask("HEAD /mem/5 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", NULL);
    ok(has(&got, "\r\nContent-Length: 5\r\n") && body_of(&got) == got.ptr + got.len, "HEAD: the length, no body");
    strbuf_free(&got);
    got = ask("HEAD /unknown/5 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", NULL);
    ok(has(&got, "200 OK") && body_of(&got) == got.ptr + got.len, "HEAD without a length: no body");
    strbuf_free(&got);
    got = ask("GET /status/204 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", NULL);
    ok(has(&got, "204 No Content") && !has(&got, "Content-Length") && !has(&got, "Transfer-Encoding"),
       "204: no length");
    strbuf_free(&got);
    got = ask("GET /status/304 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", NULL);
    ok(has(&got, "304 Not Modified") && body_of(&got) == got.ptr + got.len, "304: no body");
    strbuf_free(&got);
    got = ask("GET /status/200 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", NULL);
    ok(has(&got, "\r\nContent-Length: 0\r\n"), "200 without a body: length 0");
    strbuf_free(&got);

    got = ask("GET /unknown/3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", NULL);
    ok(has(&got, "Transfer-Encoding: chunked\r\n") && has(&got, "\r\n\r\n3\r\n") && has(&got, "\r\n0\r\n\r\n"),
       "chunked");
    strbuf_free(&got);
    got = ask("GET /unknown/3 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", &end);
    const char *body = body_of(&got);
    ok(body != NULL && got.ptr + got.len - body == 3 && !has(&got, "chunked") && end == END_FIN,
       "HTTP/1.0 without a length: until the end");
    strbuf_free(&got);
    got = ask("GET /mem/3 HTTP/1.0\r\n\r\n", &end);
    ok(has(&got, "Connection: close\r\n") && end == END_FIN, "HTTP/1.0 ends after one");
    strbuf_free(&got);

    got = ask("GET /headers HTTP/1.1\r\nHost: a.b:1\r\nX-A: 1\r\nConnection: close, X-B\r\nX-B: 2\r\n\r\n", NULL);
    ok(has(&got, "GET|/headers|a.b:1|0|1\nX-A=1\n") && !has(&got, "X-B"), "what the handler sees");
    strbuf_free(&got);
}

static void test_refused(void)
{
    static const struct {
        const char *request;
        const char *status;
    } rows[] = {
        {"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
        {"GET / HTTP/3.0\r\nHost: a\r\n\r\n", "HTTP/1.1 505 "},
        {"\x16\x03\x01", "HTTP/1.1 400 "},
        {"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 405 "},
        {"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", "HTTP/1.1 501 "},
        {"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 400 "},
        {"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: x\r\n\r\n", "HTTP/1.1 417 "},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        enum end end;
        struct strbuf got = ask(rows[i].request, &end);
        ok(has(&got, rows[i].status) && has(&got, "Connection: close") && end == END_FIN, "refused: %s",
           rows[i].status);
        strbuf_free(&got);
    }
    struct strbuf text = {0};
    strbuf_addf(&text, "GET /%020000d HTTP/1.1\r\nHost: a\r\n\r\n", 0);
    struct strbuf got = ask(text.ptr, NULL);
    ok(has(&got, "HTTP/1.1 414 "), "a target of 20,000 bytes");
    strbuf_free(&got);
    text.len = 0;
    strbuf_addf(&text, "GET / HTTP/1.1\r\nHost: a\r\nX: %070000d\r\n\r\n", 0);
    got = ask(text.ptr, NULL);
    ok(has(&got, "HTTP/1.1 431 "), "a field of 70,000 bytes");
    strbuf_free(&got);
    strbuf_free(&text);
}

static void test_pipelining(void)
{
    int fd = dial();
    struct strbuf requests = {0};
    enum { N = 500 };
    for (unsigned i = 0; i < N; i++)
        strbuf_addf(&requests,
                    i % 7 == 3 ? "GET /late/%u HTTP/1.1\r\nHost: a\r\n\r\n" : "GET /mem/%u HTTP/1.1\r\nHost: a\r\n\r\n",
                    i);
    strbuf_adds(&requests, STR("PUT /count HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"));
    strbuf_adds(&requests,
                STR("PUT /count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"));
    strbuf_adds(&requests, STR("GET /mem/1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
    say(fd, requests.ptr);
    struct strbuf got = {0};
    enum end end = hear(fd, &got, NULL);
    bool good = end == END_FIN;
    const char *at = got.ptr;
    for (unsigned i = 0; i < N && good; i++) {
        char length[40];
        snprintf(length, sizeof length, "Content-Length: %u\r\n", i);
        const char *blank = strstr(at, "\r\n\r\n");
        const char *found = strstr(at, length);
        good = blank != NULL && found != NULL && found < blank;
        for (unsigned k = 0; k < i && good; k++)
            good = (uint8_t) blank[4 + k] == rig_byte(k);
        at = blank + 4 + i;
    }
    ok(good, "%d requests at once, some answered late: replies in their order", N);
    ok(has(&got, "3 ") && count(&got, "HTTP/1.1 200 OK") >= 3, "and bodies between them");
    close(fd);
    strbuf_free(&got);
    strbuf_free(&requests);
}

static void test_continue(void)
{
    int fd = dial();
    struct strbuf got = {0};
    say(fd, "PUT /count HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    is_str(end_names[hear(fd, &got, "\r\n\r\n")], "enough", "a body that is wanted");
    ok(has(&got, "HTTP/1.1 100 Continue\r\n\r\n") && !has(&got, "200"), "is asked for");
    say(fd, "abc");
    hear(fd, &got, "3 ");
    ok(has(&got, "HTTP/1.1 200 OK"), "and then taken");
    got.len = 0;
    say(fd, "GET /mem/1 HTTP/1.1\r\nHost: a\r\n\r\n");
    is_str(end_names[hear(fd, &got, "Content-Length: 1\r\n")], "enough", "the connection goes on");
    close(fd);
    strbuf_free(&got);

    enum end end;
    got = ask("PUT /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n", &end);
    ok(!has(&got, "100 Continue") && has(&got, "Connection: close") && end == END_FIN,
       "a body that is not wanted is not asked for, and the connection ends");
    strbuf_free(&got);
}

static void test_unread_bodies(void)
{
    int fd = dial();
    struct strbuf got = {0};
    struct strbuf request = {0};
    strbuf_adds(&request, STR("PUT /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"));
    memset(strbuf_reserve(&request, 100000), 'x', 100000);
    request.len += 100000;
    strbuf_adds(&request, STR("PUT /drop HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
                              "GET /mem/8 HTTP/1.1\r\nHost: a\r\n\r\n"));
    say(fd, request.ptr);
    is_str(end_names[hear(fd, &got, "Content-Length: 8\r\n")], "enough", "small unread bodies are skipped");
    ok(has(&got, "ignored") && has(&got, "dropped"), "and their replies came");
    close(fd);
    strbuf_free(&got);
    strbuf_free(&request);

    enum end end;
    got = ask("PUT /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\nabc", &end);
    ok(has(&got, "Connection: close") && has(&got, "ignored"), "a large one ends the connection after the reply");
    strbuf_free(&got);
    got = ask("PUT /count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabX", &end);
    ok(has(&got, "HTTP/1.1 400 ") && has(&got, "Connection: close"), "a malformed chunk can be answered");
    strbuf_free(&got);
}

static void test_broken_replies(void)
{
    enum end end;
    struct strbuf got = ask("GET /fail/100000/70000 HTTP/1.1\r\nHost: a\r\n\r\n", &end);
    const char *body = body_of(&got);
    ok(body != NULL && (size_t) (got.ptr + got.len - body) < 100000 && end != END_TIMEOUT,
       "a body that fails stays short");
    strbuf_free(&got);
    got = ask("GET /short/100/99 HTTP/1.1\r\nHost: a\r\n\r\n", &end);
    body = body_of(&got);
    ok(body == NULL || got.ptr + got.len - body < 100, "so does one that ends early");
    strbuf_free(&got);
    got = ask("GET /failunknown/70000 HTTP/1.1\r\nHost: a\r\n\r\n", &end);
    ok(!has(&got, "\r\n0\r\n\r\n") && end != END_TIMEOUT, "a chunked one has no last chunk");
    strbuf_free(&got);
    got = ask("GET /failunknown/70000 HTTP/1.0\r\n\r\n", &end);
    is_str(end_names[end], "RST", "one that only the end delimits is reset");
    strbuf_free(&got);
    got = ask("GET /abort HTTP/1.1\r\nHost: a\r\n\r\n", &end);
    ok(got.len == 0 && end == END_RESET, "http_abort: not a byte, reset");
    strbuf_free(&got);
    is_int(rig_finished(STATUS_STALLED), 3, "the handler learns the source's reason");
    is_int(rig_finished(STATUS_TRUNCATED), 1, "or that it was short");
    is_int(rig_finished(STATUS_CANCELLED), 1, "or its own");
}

static void test_half_close(void)
{
    int fd = dial();
    struct strbuf got = {0};
    say(fd, "GET /slow/300000/1000 HTTP/1.1\r\nHost: a\r\n\r\nGET /late/10 HTTP/1.1\r\nHost: a\r\n\r\n");
    shutdown(fd, SHUT_WR);
    enum end end = hear(fd, &got, NULL);
    const char *body = body_of(&got);
    ok(end == END_FIN && body != NULL && got.ptr + got.len - body > 300000 + 10,
       "a half-closed client gets its replies");
    bool good = body != NULL;
    for (unsigned i = 0; i < 300000 && good; i++)
        good = (uint8_t) body[i] == rig_byte(i);
    ok(good, "byte for byte");
    close(fd);
    strbuf_free(&got);
}

static void reset(int fd)
{
    const struct linger now = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fd);
}

/* Bodies that nobody reads: what is there must tell. */
static void test_leaving_unread(void)
{
    unsigned gone = rig_finished(STATUS_CLIENT_GONE);
    unsigned requests = rig_requests();
    int whole = dial();
    say(whole, "PUT /never HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789");
    ok(rig_wait_requests(requests + 1), "a body that is whole and not read");
    shutdown(whole, SHUT_WR);

    int fd = dial();
    say(fd, "PUT /never HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n012345678");
    ok(rig_wait_requests(requests + 2), "one that is not, and not read either");
    close(fd);
    ok(rig_wait_finished(STATUS_CLIENT_GONE, gone + 1), "its client's end is noticed");
    fd = dial();
    say(fd, "PUT /never HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n");
    close(fd);
    ok(rig_wait_finished(STATUS_CLIENT_GONE, gone + 2), "also when it was there before the request was read");

    ok(poll(&(struct pollfd){.fd = whole, .events = POLLIN}, 1, 0) == 0, "half a close behind a whole body is none");
    reset(whole);
    ok(rig_wait_finished(STATUS_CLIENT_GONE, gone + 3), "but a reset is");
}

static void test_vanishing(void)
{
    unsigned gone = rig_finished(STATUS_CLIENT_GONE);
    unsigned requests = rig_requests();
    int fd = dial();
    say(fd, "GET /never HTTP/1.1\r\nHost: a\r\n\r\n");
    ok(rig_wait_requests(requests + 1), "a request that is never answered");
    reset(fd);
    ok(rig_wait_finished(STATUS_CLIENT_GONE, gone + 1), "its client's reset is noticed");

    fd = dial();
    say(fd, "PUT /count HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    ok(rig_wait_requests(requests + 2), "a body that does not come whole");
    close(fd);
    ok(rig_wait_finished(STATUS_CLIENT_GONE, gone + 2), "its client's end is noticed");

    fd = dial();
    say(fd, "GET /mem/500000000 HTTP/1.1\r\nHost: a\r\n\r\n");
    ok(rig_wait_requests(requests + 3), "a large reply");
    close(fd);
    ok(rig_wait_finished(STATUS_CLIENT_GONE, gone + 3), "is broken off when its client goes");

    fd = dial();
    /* Too much read ahead to look further: the error must show all the same. */
    struct strbuf many = {0};
    strbuf_adds(&many, STR("GET /never HTTP/1.1\r\nHost: a\r\n\r\n"));
    for (unsigned i = 0; i < 20000; i++)
        strbuf_adds(&many, STR("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    say(fd, many.ptr);
    ok(rig_wait_requests(requests + 4), "a client that pipelines 600,000 bytes behind a slow request");
    reset(fd);
    ok(rig_wait_finished(STATUS_CLIENT_GONE, gone + 4), "its reset is noticed");
    is_int(rig_requests(), requests + 4, "and none of the others was begun");
    strbuf_free(&many);
}

/* A request and its client's reset at once: the reset comes with the bytes and is told only once. */
static void test_hit_and_run(void)
{
    unsigned requests = rig_requests();
    unsigned gone = rig_finished(STATUS_CLIENT_GONE);
    for (unsigned i = 0; i < 200; i++) {
        int fd = dial();
        say(fd, "GET /never HTTP/1.1\r\nHost: a\r\n\r\n");
        reset(fd);
    }
    ok(rig_wait_connections(0), "200 clients that ask and reset at once: no connection is left");
    is_int(rig_finished(STATUS_CLIENT_GONE) - gone, rig_requests() - requests, "and no exchange of those that began");
}

static void test_slow_reader(void)
{
    uint64_t before = rig_pulled();
    int fd = rig_dial(&rig, 4096);
    size_t held = mem_used();
    say(fd, "GET /mem/100000000 HTTP/1.1\r\nHost: a\r\n\r\n");
    /* Another client's whole exchange on each loop shows that the loops go on. */
    char byte;
    recv(fd, &byte, 1, 0);
    for (unsigned i = 0; i < 20; i++) {
        struct strbuf got = ask("GET /mem/100 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", NULL);
        strbuf_free(&got);
    }
    ok(rig_pulled() - before < 16000000, "a reader that stands still pulls no more than the kernel holds (%llu bytes)",
       (unsigned long long) (rig_pulled() - before));
    ok(mem_used() < held + 4000000, "and costs little memory");
    size_t total = 1;
    uint8_t buffer[65536];
    ssize_t n;
    while (total < 3000000 && (n = recv(fd, buffer, sizeof buffer, 0)) > 0)
        total += (size_t) n;
    ok(total >= 3000000, "then it goes on");
    reset(fd);
}

/* Far less room than one write, and told before the connection is made: a window that shrinks later, below what the
 * client has promised, makes the kernel of a loopback drop what it is sent, whoever sends it. */
static void test_tiny_reader(void)
{
    static const int tiny = 2304;
    int fd = rig_dial(&rig, tiny);
    struct strbuf got = {0};
    say(fd, "GET /mem/3000000 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    enum end end = hear(fd, &got, NULL);
    const char *body = body_of(&got);
    bool right = body != NULL && got.ptr + got.len - body == 3000000;
    for (size_t i = 0; right && i < 3000000; i++)
        right = (uint8_t) body[i] == rig_byte(i);
    ok(right && end == END_FIN, "a client with a receive buffer of %d bytes gets all of a long reply", tiny);
    close(fd);
    strbuf_free(&got);
}

static void test_timeouts(void)
{
    enum end end;
    struct strbuf got = ask("GET / HTTP/1.1\r\nHo", &end);
    ok(has(&got, "HTTP/1.1 408 ") && end == END_FIN, "a head that does not come is answered 408");
    strbuf_free(&got);
    got = ask("", &end);
    ok(got.len == 0 && end == END_FIN, "a connection without a request ends");
    strbuf_free(&got);
    got = ask("GET /mem/1 HTTP/1.1\r\nHost: a\r\n\r\n", &end);
    ok(count(&got, "200 OK") == 1 && end == END_FIN, "an idle one too");
    strbuf_free(&got);
    got = ask("PUT /count HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc", &end);
    ok(has(&got, "HTTP/1.1 408 "), "a body that stops coming");
    strbuf_free(&got);

    unsigned before = rig_finished(STATUS_CLIENT_TIMEOUT);
    int fd = dial();
    say(fd, "GET /mem/100000000 HTTP/1.1\r\nHost: a\r\n\r\n");
    ok(rig_wait_finished(STATUS_CLIENT_TIMEOUT, before + 1), "a client that takes nothing");
    got = (struct strbuf){0};
    is_str(end_names[hear(fd, &got, NULL)], "RST", "is reset");
    close(fd);
    strbuf_free(&got);

    /* A head that trickles: the time is the whole head's. */
    fd = dial();
    got = (struct strbuf){0};
    bool closed = false;
    for (unsigned i = 0; i < 200 && !closed; i++) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        say(fd, i == 0 ? "GET / HTTP/1.1\r\nX: " : "x");
        closed = poll(&wait, 1, 50) == 1;
    }
    ok(closed, "a head that trickles");
    close(fd);
}

static void test_drain(void)
{
    int idle = dial();
    int busy = dial();
    struct strbuf got = {0};
    say(idle, "GET /mem/1 HTTP/1.1\r\nHost: a\r\n\r\n");
    hear(idle, &got, "Content-Length: 1\r\n");
    unsigned requests = rig_requests();
    say(busy, "GET /slow/2000000/500 HTTP/1.1\r\nHost: a\r\n\r\n");
    rig_wait_requests(requests + 1);
    rig_drain();
    is_str(end_names[hear(idle, &got, NULL)], "FIN", "draining: an idle connection ends");
    got.len = 0;
    is_str(end_names[hear(busy, &got, NULL)], "FIN", "a busy one after its reply");
    const char *body = body_of(&got);
    ok(body != NULL && got.ptr + got.len - body == 2000000, "which is whole");
    close(idle);
    close(busy);
    ok(rig_wait_connections(0), "then none is left");
    strbuf_free(&got);
}

/* While memory is short nothing that comes is held: it is answered, and the connection ends. */
static void test_short_memory(void)
{
    static const char *const requests[] = {
        "GET /mem/10 HTTP/1.1\r\nHost: r\r\n\r\n",
        "HEAD /mem/10 HTTP/1.1\r\nHost: r\r\n\r\n",
        "PUT /count HTTP/1.1\r\nHost: r\r\nContent-Length: 5\r\n\r\nhello",
        "GET /mem/10 HTTP/1.1\r\nHo",
    };
    enum { COUNT = sizeof requests / sizeof requests[0] };
    int fds[COUNT];
    unsigned before = 0;
    for (unsigned i = 0; i < COUNT; i++) {
        struct strbuf got = {0};
        fds[i] = dial();
        say(fds[i], "GET /status/204 HTTP/1.1\r\nHost: r\r\n\r\n");
        hear(fds[i], &got, "\r\n\r\n");
        strbuf_free(&got);
    }
    before = rig_requests();
    mem_set_limit(1);
    for (unsigned i = 0; i < COUNT; i++) {
        struct strbuf got = {0};
        say(fds[i], requests[i]);
        enum end end = hear(fds[i], &got, NULL);
        ok(has(&got, "HTTP/1.1 503 ") && has(&got, "Connection: close") && end == END_FIN,
           "memory is short: \"%.12s...\" is refused, and the connection ends (%s)", requests[i], end_names[end]);
        strbuf_free(&got);
        close(fds[i]);
    }
    is_int(rig_requests(), before, "the handler hears of none");
    mem_set_limit(0);
}

/* What is cut at the end of a drain must not look whole. */
static void test_cut(const struct rig_options *options)
{
    static const struct {
        const char *request, *end, *what;
    } rows[] = {
        {"GET /unknown/100000000 HTTP/1.0\r\n\r\n", "RST", "a reply that only the end delimits is reset"},
        {"GET /unknown/100000000 HTTP/1.1\r\nHost: a\r\n\r\n", "FIN", "one in chunks ends without the last"},
        {"GET /mem/100000000 HTTP/1.0\r\n\r\n", "FIN", "one with a length ends before it"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        rig_start(&rig, options);
        struct strbuf got = {0};
        int fd = dial();
        say(fd, rows[i].request);
        hear(fd, &got, "\r\n\r\n");
        rig_stop(&rig);
        enum end end = hear(fd, &got, NULL);
        ok(got.len < 100000000, "cut after %zu bytes", got.len);
        ok(memcmp(got.ptr + got.len - 5, "0\r\n\r\n", 5) != 0, "without a last chunk");
        is_str(end_names[end], rows[i].end, "%s", rows[i].what);
        close(fd);
        strbuf_free(&got);
    }
}

int main(void)
{
    struct rig_options options = {.limits = http_limits_default, .loops = 2};
    rig_start(&rig, &options);
    test_basics();
    test_refused();
    test_pipelining();
    test_continue();
    test_unread_bodies();
    test_broken_replies();
    test_half_close();
    test_vanishing();
    test_leaving_unread();
    test_hit_and_run();
    test_slow_reader();
    test_tiny_reader();
    rig_stop(&rig);

    options.limits.header_timeout = 300;
    options.limits.idle_timeout = 300;
    options.limits.send_timeout = 500;
    rig_start(&rig, &options);
    test_timeouts();
    rig_stop(&rig);

    options.limits = http_limits_default;
    rig_start(&rig, &options);
    test_short_memory();
    test_drain();
    rig_stop(&rig);
    test_cut(&options);
    return done_testing();
}
