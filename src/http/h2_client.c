/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2_client.c: nghttp2's session between conn_read and conn_writev, as in h2.c, at the client's end.
 *
 * nghttp2 is entered from run() alone, but for submitting; what it tells by its callbacks is kept with the calls, and
 * their owners are told when it has returned, so that they may close and start calls.
 */
#include <assert.h>

#include "base/container.h"
#include "base/mem.h"
#include "base/mem_nghttp2.h"
#include "http/h2_client_inside.h"

#define INPUT 65536
/* Read in one event before others get their turn. */
#define BUDGET 524288
/* A DATA frame may be as large. */
#define FRAME_MAX 65536

/* ---- The end. ---- */

/* Of no more use: all calls fail. */
static void give_up(struct h2_client *client, enum status why)
{
    if (client->over)
        return;
    client->over = true;
    client->why = why;
    LIST_FOR_EACH(node, &client->calls)
    {
        struct h2_call *call = LIST_ENTRY(node, struct h2_call, link);
        if (call->id >= 0)
            h2_call_over(call, why == STATUS_OK ? STATUS_RESET : why);
    }
    h2_client_kick(client);
}

/* ---- nghttp2's callbacks. ---- */

static struct h2_call *call_of(struct h2_client *client, int32_t id)
{
    return id == 0 ? NULL : nghttp2_session_get_stream_user_data(client->ng, id);
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name, size_t name_length,
                     const uint8_t *value, size_t value_length, uint8_t flags, void *arg)
{
    struct h2_call *call = call_of(arg, frame->hd.stream_id);
    (void) ng;
    (void) flags;
    if (call == NULL || call->whole) /* nobody's, or a trailer */
        return 0;
    return h2_call_field(call, (struct str){(const char *) name, name_length},
                         (struct str){(const char *) value, value_length})
               ? 0
               : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* the stream is reset */
}

static int on_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *arg)
{
    struct h2_client *client = arg;
    struct h2_call *call = call_of(client, frame->hd.stream_id);
    (void) ng;
    if (frame->hd.type == NGHTTP2_GOAWAY)
        client->leaving = true;
    if (call == NULL || (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA))
        return 0;
    if (frame->hd.type == NGHTTP2_HEADERS && !call->whole)
        h2_call_head(call);
    if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
        call->last = true;
    return 0;
}

static int on_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *data, size_t length, void *arg)
{
    struct h2_call *call = call_of(arg, id);
    (void) flags;
    nghttp2_session_consume_connection(ng, length);
    if (call != NULL)
        h2_call_data(call, data, length);
    return 0;
}

static enum status why_closed(const struct h2_call *call, uint32_t code)
{
    switch (code) {
    case NGHTTP2_NO_ERROR:
        return call->last ? STATUS_OK : STATUS_RESET;
    case NGHTTP2_REFUSED_STREAM:
        return STATUS_BUSY;
    case NGHTTP2_PROTOCOL_ERROR:
        return STATUS_PROTOCOL;
    default:
        return STATUS_RESET;
    }
}

static int on_stream_close(nghttp2_session *ng, int32_t id, uint32_t code, void *arg)
{
    struct h2_call *call = call_of(arg, id);
    (void) ng;
    if (call != NULL)
        h2_call_over(call, why_closed(call, code));
    return 0;
}

static nghttp2_session *new_session(struct h2_client *client)
{
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    nghttp2_session *ng;
    if (nghttp2_session_callbacks_new(&callbacks) != 0 || nghttp2_option_new(&option) != 0)
        mem_die("nghttp2");
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    if (nghttp2_session_client_new3(&ng, callbacks, client, option, mem_nghttp2()) != 0)
        mem_die("nghttp2");
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return ng;
}

/* ---- Running. ---- */

static void receive(struct h2_client *client)
{
    static _Thread_local uint8_t input[INPUT];
    size_t total = 0;
    while (client->unread && !client->over && total < BUDGET) {
        size_t got;
        enum status status = conn_read(client->conn, input, sizeof input, &got);
        if (status == STATUS_AGAIN) {
            client->unread = false;
            return;
        }
        if (status != STATUS_OK || got == 0) {
            give_up(client, status == STATUS_OK ? STATUS_RESET : status);
            return;
        }
        total += got;
        client->heard_ms = loop_now_ms(client->loop);
        client->pinged = false;
        if (nghttp2_session_mem_recv(client->ng, input, got) < 0)
            give_up(client, STATUS_PROTOCOL);
    }
}

static enum status send_frames(struct h2_client *client)
{
    while (conn_room(client->conn)) {
        const uint8_t *data;
        size_t taken;
        ssize_t n = nghttp2_session_mem_send(client->ng, &data);
        if (n < 0)
            return STATUS_PROTOCOL;
        if (n == 0)
            break;
        const struct iovec piece = {(void *) (uintptr_t) data, (size_t) n};
        enum status status = conn_writev(client->conn, &piece, 1, CONN_MORE | CONN_ALL, &taken);
        if (status != STATUS_OK)
            return status;
    }
    return conn_flush(client->conn);
}

/* Owners may close their calls and start others. */
static void tell_news(struct h2_client *client)
{
    while (!list_empty(&client->news))
        h2_call_tell(LIST_ENTRY(client->news.next, struct h2_call, news));
}

static void set_tick(struct h2_client *client)
{
    if (client->opened && !client->over)
        conn_set_timeout(client->conn, client->count == 0 ? 0 : client->options.silence / 4 + 1);
}

static void talk(struct h2_client *client)
{
    do {
        client->again = false;
        receive(client);
        enum status status = client->over ? STATUS_OK : send_frames(client);
        if (status != STATUS_OK)
            give_up(client, status);
    } while (client->again && !client->over);
    if (!client->over && !nghttp2_session_want_read(client->ng) && !nghttp2_session_want_write(client->ng))
        give_up(client, STATUS_PROTOCOL); /* it has said GOAWAY to a peer that broke the protocol */
}

static void run(struct h2_client *client)
{
    client->running = true;
    if (client->opened && !client->over)
        talk(client);
    tell_news(client);
    client->running = false;
    if (client->leaving && client->count == 0)
        give_up(client, STATUS_OK);
    if (client->over && list_empty(&client->news) && client->count == 0) {
        client->events.ended(client->events.arg, client->why);
        return;
    }
    set_tick(client);
    if (client->again || client->unread || !list_empty(&client->news))
        timer_hasten(&client->task, 0);
}

static void on_task(struct timer *timer)
{
    run(CONTAINER_OF(timer, struct h2_client, task));
}

void h2_client_kick(struct h2_client *client)
{
    if (client->running)
        client->again = true;
    else
        timer_hasten(&client->task, 0);
}

/* ---- The connection's events. ---- */

static void on_opened(void *arg)
{
    struct h2_client *client = arg;
    if (client->options.conn.tls != NULL &&
        (!str_eq(conn_alpn(client->conn), STR("h2")) || !client->events.accept(client->events.arg, client->conn)))
        give_up(client, STATUS_TLS);
    client->opened = true;
    client->heard_ms = loop_now_ms(client->loop);
    client->unread = true;
    run(client);
}

static void on_readable(void *arg)
{
    struct h2_client *client = arg;
    client->unread = true;
    run(client);
}

static void on_writable(void *arg)
{
    run(arg);
}

static void on_timeout(void *arg)
{
    struct h2_client *client = arg;
    int64_t silent = loop_now_ms(client->loop) - client->heard_ms;
    if (!client->opened) {
        give_up(client, STATUS_CONNECT);
    } else if (client->count > 0 && silent >= client->options.silence) {
        give_up(client, STATUS_STALLED);
    } else if (client->count > 0 && silent >= client->options.silence / 2 && !client->pinged) {
        client->pinged = true;
        nghttp2_submit_ping(client->ng, NGHTTP2_FLAG_NONE, NULL);
    }
    run(client);
}

static void on_broken(void *arg, enum status why)
{
    struct h2_client *client = arg;
    give_up(client, why == STATUS_CLIENT_TIMEOUT ? STATUS_STALLED : why);
    run(client);
}

static const struct conn_events conn_events = {on_opened, on_readable, on_writable, on_timeout, on_broken};

/* ---- Its owner. ---- */

struct h2_client *h2_client_open(struct loop *loop, const struct sockaddr *address, socklen_t length,
                                 const struct h2_client_options *options, const struct h2_client_events *events)
{
    struct h2_client *client = mem_calloc(1, sizeof *client);
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_CALL_WINDOW},
        {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, FRAME_MAX},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, H2_CALL_HEAD_MAX},
    };
    client->loop = loop;
    client->options = *options;
    client->events = *events;
    client->why = STATUS_OK;
    list_init(&client->calls);
    list_init(&client->news);
    timer_init(&client->task, loop, on_task);
    client->ng = new_session(client);
    int failed = nghttp2_submit_settings(client->ng, NGHTTP2_FLAG_NONE, settings, sizeof settings / sizeof settings[0]);
    assert(failed == 0);
    (void) failed;
    nghttp2_session_set_local_window_size(client->ng, NGHTTP2_FLAG_NONE, 0, INT32_MAX);
    client->conn = conn_connect(loop, address, length, &options->conn, &conn_events, client);
    conn_set_timeout(client->conn, options->connect_timeout);
    return client;
}

void h2_client_close(struct h2_client **closed)
{
    struct h2_client *client = *closed;
    *closed = NULL;
    if (client == NULL)
        return;
    assert(!client->running && client->count == 0);
    while (!list_empty(&client->calls)) {
        struct h2_call *call = LIST_ENTRY(client->calls.next, struct h2_call, link);
        list_remove(&call->link);
        list_remove(&call->news);
        call->client = NULL;
    }
    conn_close(&client->conn, client->why == STATUS_OK ? CONN_GRACEFUL : CONN_CUT);
    nghttp2_session_del(client->ng);
    timer_fini(&client->task);
    mem_free(client);
}

void h2_client_leave(struct h2_client *client)
{
    client->leaving = true;
    h2_client_kick(client);
}

unsigned h2_client_calls(const struct h2_client *client)
{
    return client->count;
}

bool h2_client_takes(const struct h2_client *client)
{
    return !client->over && !client->leaving &&
           client->count < nghttp2_session_get_remote_settings(client->ng, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}
