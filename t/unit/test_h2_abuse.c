/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_h2_abuse.c: what a client makes an HTTP/2 server do for nothing: resets that it provokes (CVE-2025-8671),
 * answers that it does not take. Frames are made by hand, for no library would send them.
 */
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/metric.h"
#include "http_rig.h"
#include "tap.h"

#define ROUND 50 /* fewer than the concurrent streams */

static struct rig rig;

struct wire {
    int fd;
    uint32_t next; /* stream */
    uint8_t out[262144];
    size_t out_size;
    uint8_t in[65536];
    size_t in_size;
    unsigned resets;
    unsigned refused; /* of these, with REFUSED_STREAM */
    unsigned heads;
    bool goaway;
    uint32_t goaway_code;
};

/* ---- The client ---- */

static void put_frame(struct wire *wire, uint8_t type, uint8_t flags, uint32_t id, const void *payload, size_t size)
{
    const uint8_t head[9] = {(uint8_t) (size >> 16), (uint8_t) (size >> 8), (uint8_t) size,      type,        flags,
                             (uint8_t) (id >> 24),   (uint8_t) (id >> 16),  (uint8_t) (id >> 8), (uint8_t) id};
    memcpy(wire->out + wire->out_size, head, sizeof head);
    if (size > 0)
        memcpy(wire->out + wire->out_size + sizeof head, payload, size);
    wire->out_size += sizeof head + size;
}

static struct wire *wire_open(void)
{
    struct wire *wire = mem_calloc(1, sizeof *wire);
    wire->fd = rig_dial(&rig, 0);
    const struct timeval limit = {15, 0};
    setsockopt(wire->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    wire->next = 1;
    memcpy(wire->out, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
    wire->out_size = NGHTTP2_CLIENT_MAGIC_LEN;
    put_frame(wire, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
    return wire;
}

static void wire_close(struct wire *wire)
{
    close(wire->fd);
    mem_free(wire);
}

static uint32_t u32(const uint8_t *at)
{
    return (uint32_t) at[0] << 24 | (uint32_t) at[1] << 16 | (uint32_t) at[2] << 8 | at[3];
}

/* Takes what has come as frames. False: the connection has ended. */
static bool wire_read(struct wire *wire)
{
    ssize_t n = recv(wire->fd, wire->in + wire->in_size, sizeof wire->in - wire->in_size, 0);
    if (n <= 0)
        return false;
    wire->in_size += (size_t) n;
    size_t at = 0;
    while (wire->in_size - at >= 9) {
        const uint8_t *frame = wire->in + at;
        size_t size = (size_t) frame[0] << 16 | (size_t) frame[1] << 8 | frame[2];
        if (wire->in_size - at < 9 + size)
            break;
        if (frame[3] == NGHTTP2_RST_STREAM) {
            wire->resets++;
            wire->refused += u32(frame + 9) == NGHTTP2_REFUSED_STREAM;
        } else if (frame[3] == NGHTTP2_GOAWAY) {
            wire->goaway = true;
            wire->goaway_code = u32(frame + 13);
        } else if (frame[3] == NGHTTP2_HEADERS) {
            wire->heads++;
        }
        at += 9 + size;
    }
    memmove(wire->in, wire->in + at, wire->in_size - at);
    wire->in_size -= at;
    return true;
}

static void wire_send(struct wire *wire)
{
    send(wire->fd, wire->out, wire->out_size, MSG_NOSIGNAL);
    wire->out_size = 0;
}

/* HPACK: fields of the static table, and literals by its names or new ones; none enters the dynamic table. */
#define HEAD_GET "\x82\x86\x04\x06/never\x01\x01r"
#define HEAD_PUT "\x02\x03PUT\x86\x04\x06/never\x01\x01r"
#define END_HEADERS NGHTTP2_FLAG_END_HEADERS
#define END_BOTH (NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM)
#define TEXT(literal) literal, sizeof(literal) - 1

struct provocation {
    const char *what;
    struct {
        uint8_t type;
        uint8_t flags;
        const char *payload;
        size_t size;
    } frames[2];
};

static const struct provocation provocations[] = {
    {"a malformed head",
     {{NGHTTP2_HEADERS, END_BOTH,
       TEXT(HEAD_GET "\x00\x0a"
                     "connection"
                     "\x05"
                     "close")}}},
    {"a window beyond its bound",
     {{NGHTTP2_HEADERS, END_BOTH, TEXT(HEAD_GET)}, {NGHTTP2_WINDOW_UPDATE, 0, TEXT("\x7f\xff\xff\xff")}}},
    {"a body longer than announced",
     {{NGHTTP2_HEADERS, END_HEADERS,
       TEXT(HEAD_PUT "\x0f\x0d\x01"
                     "1")},
      {NGHTTP2_DATA, 0, TEXT("ab")}}},
    {"a body shorter than announced",
     {{NGHTTP2_HEADERS, END_HEADERS,
       TEXT(HEAD_PUT "\x0f\x0d\x01"
                     "5")},
      {NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, TEXT("a")}}},
    {"trailers that do not end the stream",
     {{NGHTTP2_HEADERS, END_HEADERS, TEXT(HEAD_PUT)},
      {NGHTTP2_HEADERS, END_HEADERS,
       TEXT("\x00\x01"
            "a\x01"
            "b")}}},
};

/* Each stream asks for something and breaks the rules at once, in rounds that wait for the resets. */
static void provoke(const struct provocation *row)
{
    struct wire *wire = wire_open();
    unsigned sent = 0;
    unsigned before = rig_requests();
    int64_t expelled = metric_cell_value(metric_cell(METRIC_EXPELLED, "resets"));
    bool alive = true;
    while (alive && !wire->goaway && sent < 2000) {
        for (unsigned i = 0; i < ROUND; i++, wire->next += 2)
            for (unsigned k = 0; k < 2 && row->frames[k].size > 0; k++)
                put_frame(wire, row->frames[k].type, row->frames[k].flags, wire->next, row->frames[k].payload,
                          row->frames[k].size);
        sent += ROUND;
        wire_send(wire);
        while (alive && !wire->goaway && wire->resets < sent)
            alive = wire_read(wire);
    }
    ok(wire->goaway && wire->goaway_code == NGHTTP2_ENHANCE_YOUR_CALM && wire->resets > 100,
       "%s, again and again: the connection ends, after %u resets", row->what, wire->resets);
    ok(rig_requests() - before <= 400 + 2 * ROUND, "%s: %u requests reached the handler", row->what,
       rig_requests() - before);
    is_int(metric_cell_value(metric_cell(METRIC_EXPELLED, "resets")) - expelled, 1, "%s: and is counted", row->what);
    wire_close(wire);
}

static void test_provoked_resets(void)
{
    for (size_t i = 0; i < sizeof provocations / sizeof provocations[0]; i++)
        provoke(&provocations[i]);

    /* Our own failures are not the client's. */
    struct wire *wire = wire_open();
    unsigned sent = 0;
    for (bool alive = true; alive && sent < 600;) {
        for (unsigned i = 0; i < ROUND; i++, wire->next += 2)
            put_frame(wire, NGHTTP2_HEADERS, END_BOTH, wire->next, TEXT("\x82\x86\x04\x06/abort\x01\x01r"));
        sent += ROUND;
        wire_send(wire);
        while (alive && wire->resets < sent)
            alive = wire_read(wire);
    }
    ok(wire->resets == 600 && !wire->goaway, "600 resets for reasons of our own: the connection goes on");
    wire_close(wire);

    /* Before it knows how many streams it may open at a time. */
    wire = wire_open();
    for (unsigned i = 0; i < 900; i++, wire->next += 2)
        put_frame(wire, NGHTTP2_HEADERS, END_BOTH, wire->next, TEXT("\x82\x86\x04\x07/late/1\x01\x01r"));
    wire_send(wire);
    while (wire->heads + wire->resets < 900 && !wire->goaway && wire_read(wire))
        ;
    ok(!wire->goaway && wire->refused > 0 && wire->heads >= 256 && wire->heads + wire->refused == 900,
       "900 streams at once: %u are answered, the others refused", wire->heads);
    wire_close(wire);
}

/* As many resets a second as are allowed, for as long as it takes nghttp2 to have counted more than it would allow. */
static void test_lasting_resets(void)
{
    struct wire *wire = wire_open();
    unsigned asked = 0;
    bool alive = true;
    for (unsigned second = 0; alive && second < 4; second++) {
        int64_t until = clock_mono_ms() + 1100;
        for (unsigned sent = 0; alive && sent < 350; sent += ROUND) {
            for (unsigned i = 0; i < ROUND; i++, wire->next += 2) {
                put_frame(wire, NGHTTP2_HEADERS, END_BOTH, wire->next, TEXT(HEAD_GET));
                put_frame(wire, NGHTTP2_RST_STREAM, 0, wire->next, TEXT("\x00\x00\x00\x08"));
            }
            put_frame(wire, NGHTTP2_HEADERS, END_BOTH, wire->next, TEXT("\x82\x86\x04\x06/mem/1\x01\x01r"));
            wire->next += 2;
            wire_send(wire);
            asked++;
            while (alive && !wire->goaway && wire->heads < asked)
                alive = wire_read(wire);
            alive = alive && !wire->goaway;
        }
        while (alive && clock_mono_ms() < until)
            poll(NULL, 0, 20); /* the server's second is to be over */
    }
    ok(alive && wire->heads == 28, "1,400 resets in four seconds, no second with too many: %u answers between them",
       wire->heads);
    wire_close(wire);
}

/* Many heads, each within its bound, that nobody is done with. */
static void test_heads(void)
{
    static char head[16000];
    struct wire *wire = wire_open();
    memcpy(head, "\x82\x86\x04\x06/never", 10);
    memcpy(head + 10, "\x01\x01r\x00\x01y\x7f\x81\x74", 9); /* a value of 127 + 0x01 + (0x74 << 7) bytes */
    memset(head + 19, 'v', sizeof head - 19);
    const size_t all = 19 + 127 + 1 + (0x74 << 7);
    size_t held = mem_used();
    for (unsigned sent = 0; sent < 200; sent += 10) {
        for (unsigned i = 0; i < 10; i++, wire->next += 2)
            put_frame(wire, NGHTTP2_HEADERS, END_BOTH, wire->next, head, all);
        wire_send(wire);
    }
    while (wire->heads < 50 && !wire->goaway && wire_read(wire))
        ;
    ok(wire->heads >= 50 && !wire->goaway, "heads of 3 MB on one connection: some are refused");
    ok(mem_used() < held + 2 * 2 * 1024 * 1024, "and no more than their bound is held");
    wire_close(wire);
}

/* One byte on the wire for a field of 4,000, on a stream whose head is done. */
static void test_trailers(void)
{
    static uint8_t indexed[15000];
    static char field[4100];
    struct wire *wire = wire_open();
    memcpy(field, "\x40\x01z\x7f\x81\x1e", 6); /* indexed from now on: 127 + 1 + (0x1e << 7) bytes */
    memset(field + 6, 'z', 127 + 1 + (0x1e << 7));
    memset(indexed, 0xbe, sizeof indexed); /* the newest of the dynamic table */
    put_frame(wire, NGHTTP2_HEADERS, END_HEADERS, wire->next, TEXT(HEAD_PUT));
    put_frame(wire, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, wire->next, field, 6 + 127 + 1 + (0x1e << 7));
    put_frame(wire, NGHTTP2_CONTINUATION, END_HEADERS, wire->next, indexed, sizeof indexed);
    wire_send(wire);
    while (!wire->goaway && wire_read(wire))
        ;
    ok(wire->goaway && wire->goaway_code == NGHTTP2_ENHANCE_YOUR_CALM, "trailers of 60 MB in 15 KB end the connection");
    wire_close(wire);
}

/* It takes nothing of what it makes us say. */
static void test_backlog(void)
{
    struct wire *wire = wire_open();
    unsigned gone = rig_finished(STATUS_CLIENT_GONE);
    put_frame(wire, NGHTTP2_SETTINGS, 0, 0, TEXT("\x00\x04\x7f\xff\xff\xff"));
    put_frame(wire, NGHTTP2_WINDOW_UPDATE, 0, 0, TEXT("\x7f\xff\x00\x00"));
    put_frame(wire, NGHTTP2_HEADERS, END_BOTH, wire->next, TEXT("\x82\x86\x04\x0f/mem/1000000000\x01\x01r"));
    wire->next += 2;
    wire_send(wire);
    for (uint64_t seen = 0, now; (now = rig_pulled()) != seen || now == 0; seen = now)
        poll(NULL, 0, 100); /* until the server stands still */
    for (unsigned i = 0; i < 6000; i++, wire->next += 2)
        put_frame(wire, NGHTTP2_HEADERS, END_BOTH, wire->next,
                  TEXT(HEAD_GET "\x00\x01"
                                "A\x01"
                                "b"));
    wire_send(wire);
    ok(rig_wait_finished(STATUS_CLIENT_GONE, gone + 1), "who makes us answer and takes no answer is cut off");
    wire_close(wire);
}

/* What comes while memory is short is refused so that it can be sent again; what is under way goes on. */
static void test_short_memory(void)
{
    static const char body[1000];
    struct wire *wire = wire_open();
    unsigned before = rig_requests();
    int64_t counted = metric_cell_value(metric_cell(METRIC_REFUSED, "no-memory"));
    put_frame(wire, NGHTTP2_HEADERS, END_HEADERS, 1, TEXT(HEAD_PUT)); /* nobody takes its body */
    put_frame(wire, NGHTTP2_HEADERS, END_HEADERS, 3, TEXT("\x02\x03PUT\x86\x04\x06/count\x01\x01r"));
    wire_send(wire);
    ok(rig_wait_requests(before + 2), "two requests come");

    mem_set_limit(1);
    put_frame(wire, NGHTTP2_HEADERS, END_HEADERS, 5, TEXT(HEAD_PUT));
    put_frame(wire, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 5, body, sizeof body);
    wire_send(wire);
    while (wire->resets < 1 && wire_read(wire))
        ;
    is_int(wire->refused, 1, "when memory is short the next is refused");
    put_frame(wire, NGHTTP2_DATA, 0, 1, body, sizeof body);
    put_frame(wire, NGHTTP2_DATA, 0, 1, body, sizeof body);
    wire_send(wire);
    while (wire->resets < 2 && wire_read(wire))
        ;
    is_int(wire->refused, 2, "and one whose body nobody takes, at its next bytes");
    ok(rig_wait_finished(STATUS_NO_MEMORY, 1), "which ends it");
    put_frame(wire, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 3, body, sizeof body);
    wire_send(wire);
    while (wire->heads < 1 && wire_read(wire))
        ;
    is_int(wire->heads, 1, "one whose body is taken is answered");
    is_int(rig_requests() - before, 2, "the handler hears of no other");
    is_int(metric_cell_value(metric_cell(METRIC_REFUSED, "no-memory")) - counted, 2, "both are counted");

    mem_set_limit(0);
    put_frame(wire, NGHTTP2_HEADERS, END_BOTH, 7, TEXT("\x82\x86\x04\x07/late/1\x01\x01r"));
    wire_send(wire);
    while (wire->heads < 2 && wire_read(wire))
        ;
    ok(wire->heads == 2 && wire->resets == 2 && !wire->goaway, "afterwards the connection serves as before");
    wire_close(wire);
}

/* A reset that the loop hears of together with the last bytes before it is told by no event of its own. */
static void test_reset_behind_bytes(void)
{
    static const char hold[] = "GET /hold/200 HTTP/1.1\r\nHost: r\r\nConnection: close\r\n\r\n";
    const struct linger now = {1, 0};
    char answer[200];
    struct wire *wire = wire_open();
    put_frame(wire, NGHTTP2_HEADERS, END_BOTH, 1, TEXT("\x82\x86\x04\x06/mem/1\x01\x01r"));
    wire_send(wire);
    while (wire->heads < 1 && wire_read(wire))
        ;
    is_int(wire->heads, 1, "a connection serves, and may idle now");

    int other = rig_dial(&rig, 0);
    unsigned before = rig_requests();
    ok(send(other, hold, sizeof hold - 1, MSG_NOSIGNAL) > 0 && rig_wait_requests(before + 1), "the loop is held up");
    put_frame(wire, NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, NULL, 0); /* nothing is sent in return */
    wire_send(wire);
    setsockopt(wire->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    wire_close(wire);
    while (recv(other, answer, sizeof answer, 0) > 0)
        ;
    close(other);
    ok(rig_wait_connections(0), "a reset right behind bytes ends the connection");
}

int main(void)
{
    struct rig_options options = {.limits = http_limits_default, .loops = 1};
    rig_start(&rig, &options);
    test_provoked_resets();
    test_lasting_resets();
    test_heads();
    test_trailers();
    test_backlog();
    test_short_memory();
    ok(rig_wait_connections(0), "no connection is left");
    test_reset_behind_bytes();
    rig_stop(&rig);
    return done_testing();
}
