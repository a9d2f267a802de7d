/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_h2_wire.c: the HTTP/2 server against a client made of nghttp2 on a plain socket: flow control both ways, streams
 * side by side, refused and malformed requests, resets, floods, time-outs and draining.
 */
#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "http_rig.h"
#include "tap.h"

#define MAX_STREAMS 16

struct stream {
    int32_t id;
    int status;
    bool continued; /* 100 came */
    uint64_t bytes;
    bool right;
    char text[256]; /* the body's beginning */
    bool ended;     /* END_STREAM came */
    bool closed;
    uint32_t code; /* of the RST_STREAM, if any */
    uint64_t put;  /* body bytes to send */
    uint64_t sent;
    uint64_t others; /* what the other streams had when this one ended */
    bool stingy;     /* gives the server no room, whatever its client does */
};

struct client {
    int fd;
    nghttp2_session *ng;
    struct stream streams[MAX_STREAMS];
    unsigned count;
    bool generous; /* gives the server room as data comes */
    bool goaway;
    uint32_t goaway_code;
    bool over;    /* the server closed the connection */
    int32_t last; /* stream that had bytes, */
    uint64_t run; /* how many at once, */
    uint64_t longest;
    unsigned runs;
};

static struct rig rig;

static struct stream *find(struct client *client, int32_t id)
{
    for (unsigned i = 0; i < client->count; i++)
        if (client->streams[i].id == id)
            return &client->streams[i];
    return NULL;
}

/* ---- nghttp2's callbacks ---- */

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name, size_t name_length,
                     const uint8_t *value, size_t value_length, uint8_t flags, void *arg)
{
    (void) ng;
    (void) value_length;
    (void) flags;
    struct stream *stream = find(arg, frame->hd.stream_id);
    if (stream != NULL && name_length == 7 && memcmp(name, ":status", 7) == 0) {
        stream->status = atoi((const char *) value);
        stream->continued = stream->continued || stream->status == 100;
    }
    return 0;
}

static int on_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *data, size_t length, void *arg)
{
    struct client *client = arg;
    (void) flags;
    struct stream *stream = find(client, id);
    client->runs += id != client->last;
    client->run = id == client->last ? client->run + length : length;
    client->last = id;
    if (client->run > client->longest)
        client->longest = client->run;
    for (size_t i = 0; i < length; i++, stream->bytes++) {
        if (data[i] != rig_byte(stream->bytes))
            stream->right = false;
        if (stream->bytes < sizeof stream->text - 1)
            stream->text[stream->bytes] = (char) data[i];
    }
    if (client->generous && !stream->stingy)
        nghttp2_session_consume(ng, id, length);
    return 0;
}

static int on_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *arg)
{
    struct client *client = arg;
    (void) ng;
    struct stream *stream = find(client, frame->hd.stream_id);
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        client->goaway = true;
        client->goaway_code = frame->goaway.error_code;
    } else if (frame->hd.type == NGHTTP2_RST_STREAM && stream != NULL) {
        stream->code = frame->rst_stream.error_code;
    } else if (stream != NULL && frame->hd.type <= NGHTTP2_HEADERS && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) {
        stream->ended = true;
        for (unsigned i = 0; i < client->count; i++)
            stream->others += &client->streams[i] == stream ? 0 : client->streams[i].bytes;
    }
    return 0;
}

static int on_close(nghttp2_session *ng, int32_t id, uint32_t code, void *arg)
{
    (void) ng;
    (void) code;
    struct stream *stream = find(arg, id);
    if (stream != NULL)
        stream->closed = true;
    return 0;
}

static ssize_t give(nghttp2_session *ng, int32_t id, uint8_t *buffer, size_t length, uint32_t *flags,
                    nghttp2_data_source *source, void *arg)
{
    (void) ng;
    (void) source;
    struct stream *stream = find(arg, id);
    uint64_t left = stream->put - stream->sent;
    size_t n = left < length ? (size_t) left : length;
    for (size_t i = 0; i < n; i++)
        buffer[i] = rig_byte(stream->sent + i);
    stream->sent += n;
    if (stream->sent == stream->put)
        *flags = NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t) n;
}

/* ---- The client ---- */

static void client_open(struct client *client, bool generous, uint32_t window)
{
    memset(client, 0, sizeof *client);
    client->generous = generous;
    client->fd = rig_dial(&rig, 0);
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_option_new(&option);
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_http_messaging(option, 1);
    nghttp2_option_set_max_send_header_block_length(option, 8000000);
    nghttp2_session_client_new2(&client->ng, callbacks, client, option);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(option);
    const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window},
                                               {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, 32768}};
    nghttp2_submit_settings(client->ng, NGHTTP2_FLAG_NONE, settings, 2);
}

static void client_close(struct client *client)
{
    nghttp2_session_del(client->ng);
    close(client->fd);
}

static nghttp2_nv nv(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *) (uintptr_t) name, (uint8_t *) (uintptr_t) value, strlen(name), strlen(value),
                        NGHTTP2_NV_FLAG_NONE};
}

/* `extra` fields come last. put < 0: no body. */
static struct stream *ask_with(struct client *client, const char *method, const char *path, int64_t put,
                               const nghttp2_nv *extra, size_t extras)
{
    nghttp2_nv *fields = mem_calloc(extras + 4, sizeof *fields);
    fields[0] = nv(":method", method);
    fields[1] = nv(":path", path);
    fields[2] = nv(":scheme", "http");
    fields[3] = nv(":authority", "127.0.0.1");
    if (extras > 0)
        memcpy(fields + 4, extra, extras * sizeof *fields);
    struct stream *stream = &client->streams[client->count++];
    *stream = (struct stream){.right = true, .put = put < 0 ? 0 : (uint64_t) put};
    const nghttp2_data_provider provider = {.read_callback = give};
    stream->id = nghttp2_submit_request(client->ng, NULL, fields, extras + 4, put < 0 ? NULL : &provider, NULL);
    mem_free(fields);
    return stream;
}

static struct stream *ask(struct client *client, const char *path)
{
    return ask_with(client, "GET", path, -1, NULL, 0);
}

static struct stream *upload(struct client *client, const char *path, uint64_t put)
{
    return ask_with(client, "PUT", path, (int64_t) put, NULL, 0);
}

/* Sends and receives once. False: the connection is over. */
static bool turn(struct client *client, int wait_ms)
{
    const uint8_t *data;
    ssize_t n;
    while (!client->over && (n = nghttp2_session_mem_send(client->ng, &data)) > 0) {
        while (n > 0) {
            ssize_t sent = send(client->fd, data, (size_t) n, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (sent > 0) {
                data += sent;
                n -= sent;
                continue;
            }
            if (errno != EAGAIN) {
                n = 0; /* what came before the reset may still be read */
                break;
            }
            /* Both sides are full: let the server's bytes in. */
            struct pollfd both = {.fd = client->fd, .events = POLLOUT};
            if (poll(&both, 1, 20000) != 1)
                return false;
        }
    }
    struct pollfd wait = {.fd = client->fd, .events = POLLIN};
    if (poll(&wait, 1, wait_ms) != 1)
        return true;
    uint8_t buffer[65536];
    n = recv(client->fd, buffer, sizeof buffer, 0);
    if (n <= 0) {
        client->over = true;
        return false;
    }
    nghttp2_session_mem_recv(client->ng, buffer, (size_t) n);
    return true;
}

/* Goes on until *flag is set, the connection is over, or 20 seconds have passed. */
static bool until(struct client *client, const bool *flag)
{
    int64_t end = clock_mono_ms() + 20000;
    while (!*flag && clock_mono_ms() < end && turn(client, 100))
        ;
    return *flag;
}

/* Goes on until nothing more has come for a moment. */
static void settle(struct client *client, const uint64_t *counter)
{
    uint64_t before;
    do {
        before = *counter;
        for (unsigned i = 0; i < 20; i++)
            turn(client, 10);
    } while (*counter != before);
}

/* ---- The tests ---- */

static void test_exchanges(void)
{
    struct client client;
    client_open(&client, true, 200000);
    struct stream *stream = ask(&client, "/mem/3000000");
    ok(until(&client, &stream->closed) && stream->status == 200 && stream->bytes == 3000000 && stream->right,
       "a reply larger than the windows");
    stream = ask(&client, "/unknown/100000");
    ok(until(&client, &stream->closed) && stream->bytes == 100000 && stream->right && stream->ended,
       "without a length");
    stream = upload(&client, "/echo", 3000000);
    ok(until(&client, &stream->closed) && stream->status == 200 && stream->bytes == 3000000 && stream->right,
       "3,000,000 bytes up and down at once");
    stream = upload(&client, "/ignore", 3000000);
    ok(until(&client, &stream->closed) && stream->status == 200 && strcmp(stream->text, "ignored") == 0 &&
           stream->code == NGHTTP2_NO_ERROR && stream->sent == 3000000,
       "a body nobody reads: the reply comes, the body is received");
    stream = upload(&client, "/drop", 500000);
    ok(until(&client, &stream->closed) && strcmp(stream->text, "dropped") == 0, "a body that is closed unread");
    const nghttp2_nv expect = nv("expect", "100-continue");
    stream = ask_with(&client, "PUT", "/count", 10, &expect, 1);
    ok(until(&client, &stream->closed) && stream->continued && stream->status == 200, "100-continue");
    stream = ask(&client, "/fail/1000000/300000");
    ok(until(&client, &stream->closed) && !stream->ended && stream->code == NGHTTP2_INTERNAL_ERROR &&
           stream->bytes <= 300000,
       "a body that fails is reset");
    stream = ask(&client, "/failunknown/300000");
    ok(until(&client, &stream->closed) && !stream->ended && stream->code == NGHTTP2_INTERNAL_ERROR,
       "without a length too");
    stream = ask(&client, "/abort");
    ok(until(&client, &stream->closed) && !stream->ended && stream->status == 0, "http_abort");
    const nghttp2_nv fields[] = {nv("x-a", "1"), nv("te", "trailers"), nv("host", "b")};
    stream = ask_with(&client, "GET", "/headers", -1, fields, 3);
    ok(until(&client, &stream->closed), "what the handler sees");
    is_str(stream->text, "GET|/headers|127.0.0.1|0|2\nx-a=1\n", "is the request without the connection's own");
    client_close(&client);
}

static void test_side_by_side(void)
{
    struct client client;
    struct stream *streams[4];
    client_open(&client, true, 65535);
    for (unsigned i = 0; i < 4; i++)
        streams[i] = ask(&client, "/mem/2000000");
    bool all = true;
    uint64_t least = UINT64_MAX;
    for (unsigned i = 0; i < 4; i++) {
        all = until(&client, &streams[i]->closed) && streams[i]->right && streams[i]->bytes == 2000000 && all;
        if (streams[i]->others < least)
            least = streams[i]->others;
    }
    ok(all, "four streams side by side");
    ok(least > 3000000, "which share the connection (%llu bytes of the others when the first ended)",
       (unsigned long long) least);
    client_close(&client);
}

/* Bytes of a reply that come in one go, while others wait. */
static void test_turns(void)
{
    enum { TURN = 65536 };
    struct client client;
    struct stream *streams[3];
    client_open(&client, true, 0);
    nghttp2_session_set_local_window_size(client.ng, NGHTTP2_FLAG_NONE, 0, 1 << 30);
    for (unsigned i = 0; i < 3; i++)
        streams[i] = ask(&client, "/mem/3000000");
    settle(&client, &streams[0]->bytes); /* all have been heard, and begin together */
    const nghttp2_settings_entry window = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 30};
    nghttp2_submit_settings(client.ng, NGHTTP2_FLAG_NONE, &window, 1);
    until(&client, &streams[0]->closed);
    ok(client.longest > 32768 && client.longest <= 2 * TURN, "replies take turns of some frames (%llu bytes)",
       (unsigned long long) client.longest);
    ok(client.runs > 100, "again and again (%u times)", client.runs);
    ok(until(&client, &streams[1]->closed) && until(&client, &streams[2]->closed) && streams[0]->right &&
           streams[1]->right && streams[2]->right,
       "and each gets its own bytes");
    client_close(&client);

    client_open(&client, true, 40000);
    nghttp2_session_set_local_window_size(client.ng, NGHTTP2_FLAG_NONE, 0, 1 << 20);
    streams[0] = ask(&client, "/mem/3000000");
    streams[0]->stingy = true;
    streams[1] = ask(&client, "/mem/3000000");
    ok(until(&client, &streams[1]->closed) && streams[1]->right, "one whose client takes nothing holds up no other");
    is_int((long long) streams[0]->bytes, 40000, "and gets no more than its client takes");
    streams[2] = ask(&client, "/unknown/1000000");
    nghttp2_submit_rst_stream(client.ng, NGHTTP2_FLAG_NONE, streams[0]->id, NGHTTP2_CANCEL);
    ok(until(&client, &streams[2]->closed) && streams[2]->right && streams[2]->bytes == 1000000,
       "nor does one that is reset in its turn");
    client_close(&client);

    client_open(&client, true, 1 << 20);
    streams[0] = ask(&client, "/fail/1000000/300000");
    streams[1] = ask(&client, "/mem/3000000");
    streams[2] = upload(&client, "/echo", 300000);
    ok(until(&client, &streams[1]->closed) && streams[1]->right && until(&client, &streams[2]->closed) &&
           streams[2]->bytes == 300000,
       "nor one that fails, or waits for its source");
    ok(until(&client, &streams[0]->closed) && streams[0]->code == NGHTTP2_INTERNAL_ERROR, "which ends by itself");
    client_close(&client);
}

/* How much has been pulled, when the server stands still. */
static uint64_t pulled(void)
{
    uint64_t seen = UINT64_MAX;
    while (rig_pulled() != seen) {
        seen = rig_pulled();
        poll(NULL, 0, 100);
    }
    return seen;
}

static void test_flow_control(void)
{
    struct client client;
    client_open(&client, false, 65535);
    uint64_t before = pulled();
    unsigned gone = rig_finished(STATUS_CLIENT_GONE);
    struct stream *stream = ask(&client, "/mem/100000000");
    settle(&client, &stream->bytes);
    is_int(stream->bytes, 65535, "a window that stays shut: that much and no more");
    is_int(pulled() - before, 65535, "and no more is pulled");
    nghttp2_submit_rst_stream(client.ng, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_CANCEL);
    turn(&client, 0);
    ok(rig_wait_finished(STATUS_CLIENT_GONE, gone + 1), "the client's reset ends the exchange");

    stream = upload(&client, "/never", 10000000);
    settle(&client, &stream->sent);
    is_int(stream->sent, 65535, "a body nobody takes: one window of it");
    client_close(&client);
    ok(rig_wait_finished(STATUS_CLIENT_GONE, gone + 2), "the connection's end ends the exchange");

    /* A client that does not read at all, yet resets: the server must hear it. */
    client_open(&client, true, 1 << 30);
    nghttp2_session_set_local_window_size(client.ng, NGHTTP2_FLAG_NONE, 0, 1 << 30);
    stream = ask(&client, "/mem/1000000000");
    before = pulled();
    const uint8_t *data;
    for (ssize_t n; (n = nghttp2_session_mem_send(client.ng, &data)) > 0;)
        send(client.fd, data, (size_t) n, MSG_NOSIGNAL);
    ok(pulled() - before < 50000000, "a client that does not read stops the server");
    nghttp2_submit_rst_stream(client.ng, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_CANCEL);
    for (ssize_t n; (n = nghttp2_session_mem_send(client.ng, &data)) > 0;)
        send(client.fd, data, (size_t) n, MSG_NOSIGNAL);
    ok(rig_wait_finished(STATUS_CLIENT_GONE, gone + 3), "its reset is heard all the same");
    client_close(&client);
}

static void test_refused(void)
{
    struct client client;
    client_open(&client, true, 65535);
    char path[20001];
    memset(path, 'a', sizeof path - 1);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    struct stream *stream = ask(&client, path);
    ok(until(&client, &stream->closed) && stream->status == 414, "a path of 20,000 bytes");
    stream = ask(&client, "/a#b");
    ok(until(&client, &stream->closed) && stream->status == 400, "a fragment");
    stream = ask(&client, "*");
    ok(until(&client, &stream->closed) && (stream->status == 400 || stream->code != 0), "* without OPTIONS");
    nghttp2_nv many[250];
    for (size_t i = 0; i < 250; i++)
        many[i] = nv("x-many", "y");
    stream = ask_with(&client, "GET", "/mem/1", -1, many, 250);
    ok(until(&client, &stream->closed) && stream->status == 431, "250 fields");
    static const char *const bad[][2] = {
        {"connection", "close"}, {"transfer-encoding", "chunked"}, {"x-nul", "a\nb"}, {"te", "gzip"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const nghttp2_nv field = nv(bad[i][0], bad[i][1]);
        stream = ask_with(&client, "GET", "/mem/1", -1, &field, 1);
        ok(until(&client, &stream->closed) && stream->status != 200, "%s: is refused", bad[i][0]);
    }
    client_close(&client);

    client_open(&client, true, 65535);
    const nghttp2_nv length = nv("content-length", "5");
    stream = ask_with(&client, "PUT", "/count", 6, &length, 1);
    ok(until(&client, &stream->closed) && stream->status != 200, "a body longer than announced");
    stream = ask(&client, "/mem/10");
    ok(until(&client, &stream->closed) && stream->status == 200, "the connection goes on");
    client_close(&client);
}

static void test_floods(void)
{
    struct client client;
    client_open(&client, true, 65535);
    for (unsigned i = 0; i < 1500 && !client.goaway && !client.over; i++) {
        client.count = 0;
        struct stream *stream = ask(&client, "/never");
        turn(&client, 0);
        nghttp2_submit_rst_stream(client.ng, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_CANCEL);
        turn(&client, 0);
    }
    ok(until(&client, &client.goaway) && client.goaway_code == NGHTTP2_ENHANCE_YOUR_CALM,
       "rapid resets end the connection");
    until(&client, &client.over);
    client_close(&client);

    client_open(&client, true, 65535);
    struct stream *stream = ask(&client, "/mem/10");
    until(&client, &stream->closed);
    for (unsigned i = 0; i < 5000 && !client.goaway && !client.over; i++) {
        nghttp2_submit_ping(client.ng, NGHTTP2_FLAG_NONE, NULL);
        turn(&client, 0);
    }
    until(&client, &client.over);
    ok(client.goaway || client.over, "so does a flood of PINGs");
    client_close(&client);

    /* Indexed fields that unfold: few bytes on the wire, many in memory. */
    client_open(&client, true, 65535);
    char value[2001];
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    nghttp2_nv bomb[500];
    for (size_t i = 0; i < 500; i++)
        bomb[i] = nv("x-bomb", value);
    size_t held = mem_used();
    stream = ask_with(&client, "GET", "/mem/1", -1, bomb, 500);
    until(&client, &client.goaway);
    ok(stream->status != 200 && client.goaway && client.goaway_code == NGHTTP2_ENHANCE_YOUR_CALM,
       "1 MB of fields in one request end the connection");
    ok(mem_used() < held + 4000000, "and are not kept");
    client_close(&client);
}

static void send_raw(const char *bytes, size_t size, const char *what)
{
    int fd = rig_dial(&rig, 0);
    send(fd, bytes, size, MSG_NOSIGNAL);
    uint8_t buffer[4096];
    const struct timeval limit = {15, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ssize_t n;
    while ((n = recv(fd, buffer, sizeof buffer, 0)) > 0)
        ;
    ok(n == 0 || errno == ECONNRESET, "%s: the connection ends", what);
    close(fd);
}

static void test_malformed(void)
{
#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    static const char bad_magic[] = "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n";
    send_raw(bad_magic, sizeof bad_magic - 1, "half a preface");
    static const char garbage[] = PREFACE "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    send_raw(garbage, sizeof garbage - 1, "HTTP/1 behind the preface");
    static const char huge[] = PREFACE "\0\0\0\4\0\0\0\0\0"
                                       "\xff\xff\xff\0\0\0\0\0\1";
    send_raw(huge, sizeof huge - 1, "a frame of 16 MiB");
    static const char data[] = PREFACE "\0\0\0\4\0\0\0\0\0"
                                       "\0\0\1\0\0\0\0\0\1x";
    send_raw(data, sizeof data - 1, "DATA on a stream that is idle");
}

static void test_timeouts(void)
{
    struct client client;
    client_open(&client, false, 65535);
    unsigned before = rig_finished(STATUS_CLIENT_TIMEOUT);
    struct stream *stream = ask(&client, "/mem/1000000");
    ok(until(&client, &stream->closed) && stream->code == NGHTTP2_CANCEL && stream->bytes == 65535,
       "a window that stays shut too long: the stream is reset");
    ok(rig_wait_finished(STATUS_CLIENT_TIMEOUT, before + 1), "and the handler told");
    ok(until(&client, &client.goaway) && client.goaway_code == NGHTTP2_NO_ERROR, "an idle connection: GOAWAY");
    until(&client, &client.over);
    ok(client.over, "and its end");
    client_close(&client);

    client_open(&client, true, 65535);
    const nghttp2_nv length = nv("content-length", "100");
    stream = ask_with(&client, "PUT", "/count", -1, &length, 1);
    until(&client, &stream->closed);
    ok(stream->status != 200, "a length without a body");
    client_close(&client);
}

static void test_drain(void)
{
    struct client client;
    client_open(&client, true, 65535);
    struct stream *stream = ask(&client, "/slow/1000000/500");
    bool some = false;
    while (!some && turn(&client, 100))
        some = stream->bytes > 0;
    rig_drain();
    ok(until(&client, &client.goaway) && client.goaway_code == NGHTTP2_NO_ERROR, "draining: GOAWAY");
    ok(until(&client, &stream->closed) && stream->bytes == 1000000 && stream->right && stream->ended,
       "the stream in progress comes to its end");
    until(&client, &client.over);
    ok(client.over, "then the connection ends");
    client_close(&client);
    ok(rig_wait_connections(0), "and none is left");
}

int main(void)
{
    struct rig_options options = {.limits = http_limits_default, .loops = 2};
    rig_start(&rig, &options);
    test_exchanges();
    test_side_by_side();
    test_turns();
    test_flow_control();
    test_refused();
    test_floods();
    test_malformed();
    ok(rig_wait_connections(0), "no connection is left");
    rig_stop(&rig);

    options.limits.header_timeout = 300;
    options.limits.idle_timeout = 300;
    options.limits.send_timeout = 500;
    rig_start(&rig, &options);
    test_timeouts();
    rig_stop(&rig);

    options.limits = http_limits_default;
    rig_start(&rig, &options);
    test_drain();
    rig_stop(&rig);
    return done_testing();
}
