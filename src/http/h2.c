/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2.c: an HTTP/2 connection: nghttp2's session between conn_read and conn_writev, the bounds on what a client may do,
 * and the end.
 *
 * Everything happens in h2_run(): read what is there, let nghttp2 answer, send. Requests are handed over from inside
 * nghttp2's callbacks; whatever the floor above does then is submitted to nghttp2 and sent by the h2_run in progress,
 * or by one in the next round. Nothing is read while the client does not take what we have for it.
 */
#include "http/h2.h"

#include <assert.h>

#include "base/mem.h"
#include "base/mem_nghttp2.h"
#include "base/metric.h"
#include "config.h"

/* Body bytes sent, and bytes read, in one event before others get their turn. */
#define BUDGET 262144

static struct h2_stream *stream_of(struct h2 *h2, int32_t id)
{
    return id == 0 ? NULL : nghttp2_session_get_stream_user_data(h2->ng, id);
}

/* How long until somebody should be looked at: all deadlines are coarse. */
static void set_tick(struct h2 *h2)
{
    const struct http_limits *limits = &h2->session.server->limits;
    int64_t shortest = limits->send_timeout < limits->header_timeout ? limits->send_timeout : limits->header_timeout;
    conn_set_timeout(h2->session.conn, h2->stream_count == 0 ? limits->idle_timeout : shortest / 4 + 1);
}

static void leave(struct h2 *h2, uint32_t code)
{
    if (h2->leaving)
        return;
    h2->leaving = true;
    if (code == NGHTTP2_NO_ERROR)
        nghttp2_submit_goaway(h2->ng, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(h2->ng), code, NULL,
                              0);
    else
        nghttp2_session_terminate_session(h2->ng, code);
}

/* ---- nghttp2's callbacks: receiving ---- */

/* Nothing was done for it yet: its client may send it again as it is (RFC 9113, 8.7). */
static void refuse_stream(struct h2 *h2, int32_t id)
{
    nghttp2_submit_rst_stream(h2->ng, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM);
}

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *arg)
{
    struct h2 *h2 = arg;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST || h2->expelled)
        return 0;
    if (session_turns_away(h2->session.server)) {
        h2->refused = frame->hd.stream_id;
        h2->refused_head = 0;
        refuse_stream(h2, frame->hd.stream_id);
        return 0;
    }
    bool first = h2->stream_count == 0;
    nghttp2_session_set_stream_user_data(ng, frame->hd.stream_id, h2_stream_new(h2, frame->hd.stream_id));
    if (first)
        set_tick(h2);
    return 0;
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name, size_t name_length,
                     const uint8_t *value, size_t value_length, uint8_t flags, void *arg)
{
    struct h2 *h2 = arg;
    (void) ng;
    (void) flags;
    struct h2_stream *stream = stream_of(h2, frame->hd.stream_id);
    if (frame->hd.stream_id == h2->refused) {
        h2->refused_head += name_length + value_length;
        if (h2->refused_head <= H2_HEADERS_FATAL)
            return 0;
        h2_expel(h2, H2_OFFENCE_HEADERS);
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    if (stream == NULL || stream->heard) {
        h2_count_trailer(h2, name_length + value_length); /* and dropped */
        return h2->expelled ? NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE : 0;
    }
    if (h2_stream_header(stream, (struct str){(const char *) name, name_length},
                         (struct str){(const char *) value, value_length}))
        return 0;
    h2_expel(h2, H2_OFFENCE_HEADERS);
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int on_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *arg)
{
    struct h2 *h2 = arg;
    (void) ng;
    bool ended = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    struct h2_stream *stream = stream_of(h2, frame->hd.stream_id);
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
    case NGHTTP2_DATA:
        if (stream == NULL)
            break;
        if (!stream->heard) {
            h2_stream_request(stream, ended);
            break;
        }
        if (frame->hd.length == 0 && !ended)
            h2_count_cheap(h2);
        stream->remote_closed = stream->remote_closed || ended;
        h2_body_end(stream->body);
        break;
    case NGHTTP2_RST_STREAM:
        h2_count_reset(h2);
        break;
    case NGHTTP2_PING:
    case NGHTTP2_SETTINGS:
    case NGHTTP2_PRIORITY:
    case NGHTTP2_GOAWAY:
        h2_count_cheap(h2);
        break;
    default:
        break;
    }
    return 0;
}

static int on_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *data, size_t length, void *arg)
{
    struct h2 *h2 = arg;
    (void) flags;
    struct h2_stream *stream = stream_of(h2, id);
    /* Who waits for a turn need not wait with a body. */
    if (stream != NULL && stream->how == STATUS_OK && !stream->answered && h2_body_idle(stream->body) &&
        session_turns_away(h2->session.server)) {
        stream->how = STATUS_NO_MEMORY;
        refuse_stream(h2, id);
    } else if (stream != NULL && stream->how == STATUS_OK && h2_body_add(stream->body, data, length)) {
        return 0;
    }
    if (h2_may_waste(h2, length)) {
        nghttp2_session_consume(ng, id, length);
        return 0;
    }
    /* Room on the connection, none on the stream: its client is to stop, at the latest with the reply. */
    nghttp2_session_consume_connection(ng, length);
    if (stream == NULL)
        nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, id, NGHTTP2_NO_ERROR);
    return 0;
}

static void end_exchange(struct h2 *h2, struct h2_stream *stream)
{
    h2_stream_finish(stream);
    if (h2->stream_count == 0)
        set_tick(h2);
}

static int on_stream_close(nghttp2_session *ng, int32_t id, uint32_t code, void *arg)
{
    struct h2 *h2 = arg;
    (void) code;
    struct h2_stream *stream = stream_of(h2, id);
    if (stream == NULL)
        return 0;
    nghttp2_session_set_stream_user_data(ng, id, NULL);
    end_exchange(h2, stream);
    return 0;
}

/* ---- nghttp2's callbacks: sending ---- */

static int on_frame_sent(nghttp2_session *ng, const nghttp2_frame *frame, void *arg)
{
    struct h2 *h2 = arg;
    if (frame->hd.type == NGHTTP2_RST_STREAM)
        h2_count_reset_sent(h2, stream_of(h2, frame->hd.stream_id), frame->rst_stream.error_code);
    if ((frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS) ||
        !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return 0;
    struct h2_stream *stream = stream_of(h2, frame->hd.stream_id);
    if (stream == NULL)
        return 0;
    stream->local_closed = true;
    if (stream->remote_closed)
        return 0; /* on_stream_close follows */
    /* The reply is whole, the request is not. RFC 9113 (8.1) allows a reset with NO_ERROR, which some clients take for
     * a failure: what is left is received and dropped, up to a bound. */
    if (h2->waste > H2_WASTE_MAX) {
        nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
        return 0;
    }
    nghttp2_session_set_stream_user_data(ng, frame->hd.stream_id, NULL);
    end_exchange(h2, stream);
    return 0;
}

static ssize_t frame_length(nghttp2_session *ng, uint8_t type, int32_t id, int32_t connection_window,
                            int32_t stream_window, uint32_t max_frame, void *arg)
{
    (void) ng;
    (void) type;
    (void) id;
    (void) connection_window;
    (void) stream_window;
    (void) arg;
    if (max_frame > H2_FRAME_MAX)
        max_frame = H2_FRAME_MAX;
    /* With its head of 9 bytes a frame of 16 KiB would need two TLS records. */
    return max_frame == 16384 ? 16384 - 9 : (ssize_t) max_frame;
}

/* ---- Running ---- */

static void die(struct h2 *h2, enum conn_end end)
{
    conn_close(&h2->session.conn, end);
    h2->dead = true;
}

static void free_h2(struct h2 *h2)
{
    h2->dead = true;
    while (!list_empty(&h2->streams)) {
        struct h2_stream *stream = LIST_ENTRY(h2->streams.next, struct h2_stream, link);
        h2_stream_finish(stream);
    }
    nghttp2_session_del(h2->ng);
    session_fini(&h2->session, true);
    mem_free(h2);
}

static void feed(struct h2 *h2, const uint8_t *data, size_t size)
{
    ssize_t n = nghttp2_session_mem_recv(h2->ng, data, size);
    /* Not HTTP/2 at all, or a flood; frames that are merely wrong nghttp2 answers by itself. */
    if (n == NGHTTP2_ERR_FLOODED)
        h2_expel(h2, H2_OFFENCE_BACKLOG);
    else if (n < 0)
        leave(h2, NGHTTP2_PROTOCOL_ERROR);
    else
        h2_check_backlog(h2);
}

static void receive(struct h2 *h2)
{
    struct http_server *server = h2->session.server;
    if (!h2->unread)
        return;
    uint8_t *input = session_input_take(server);
    size_t total = 0;
    while (h2->unread && !h2->expelled && total < BUDGET && nghttp2_session_want_read(h2->ng)) {
        size_t got;
        enum status status = conn_read(h2->session.conn, input, SESSION_INPUT, &got);
        if (status == STATUS_OK && got > 0) {
            total += got;
            feed(h2, input, got);
            continue;
        }
        h2->unread = false;
        if (status != STATUS_AGAIN) {
            /* An end from the client is the end of all: it could not even open a window. */
            h2->end = STATUS_CLIENT_GONE;
            die(h2, CONN_CUT);
        }
    }
    session_input_give(server, input);
    if (!h2->dead && h2->unread)
        session_task(&h2->session);
}

static enum status send_while_there_is_room(struct h2 *h2)
{
    for (;;) {
        const uint8_t *data;
        h2->paused = false;
        ssize_t n = nghttp2_session_mem_send(h2->ng, &data);
        if (n < 0)
            return STATUS_PROTOCOL;
        if (n > 0) {
            const struct iovec piece = {(void *) (uintptr_t) data, (size_t) n};
            size_t taken;
            enum status status = conn_writev(h2->session.conn, &piece, 1, CONN_MORE | CONN_ALL, &taken);
            if (status != STATUS_OK)
                return status;
        } else if (!h2->paused) {
            if (h2_turn_skip(h2))
                continue;
            return conn_flush(h2->session.conn);
        }
        if (!conn_room(h2->session.conn)) {
            enum status status = conn_flush(h2->session.conn);
            if (status != STATUS_OK)
                return status;
            if (!conn_room(h2->session.conn))
                return STATUS_OK; /* `writable` goes on */
        }
        if (h2->sent >= BUDGET && (h2->turn == NULL || h2->turn->view.bytes == 0)) {
            session_task(&h2->session);
            return conn_flush(h2->session.conn);
        }
    }
}

static enum status send_frames(struct h2 *h2)
{
    enum status status = send_while_there_is_room(h2);
    h2_turn_pause(h2);
    return status;
}

static void h2_run(struct h2 *h2)
{
    if (h2->running) {
        h2->again = true;
        return;
    }
    h2->running = true;
    h2->sent = 0;
    do {
        h2->again = false;
        receive(h2);
        if (!h2->dead && h2->expelled && !conn_room(h2->session.conn)) {
            /* It would not take the GOAWAY either. */
            h2->end = STATUS_CLIENT_GONE;
            die(h2, CONN_RESET);
        }
        if (!h2->dead && send_frames(h2) != STATUS_OK) {
            h2->end = STATUS_CLIENT_GONE;
            die(h2, CONN_CUT);
        }
    } while (h2->again && !h2->dead && h2->sent < BUDGET);
    if (!h2->dead && conn_check(h2->session.conn) != STATUS_OK) {
        h2->end = STATUS_CLIENT_GONE;
        die(h2, CONN_RESET);
    }
    if (h2->sent > 0 && !h2->session.server->limits.uncounted)
        metric_add(METRIC_CLIENT_BYTES, (int64_t) h2->sent);
    if (!h2->dead) {
        bool over = !nghttp2_session_want_read(h2->ng) && !nghttp2_session_want_write(h2->ng);
        if (over || (h2->leaving && h2->stream_count == 0 && !nghttp2_session_want_write(h2->ng)))
            die(h2, CONN_GRACEFUL);
    }
    /* Sending may have made the room that reading waited for; no event would tell. */
    if (!h2->dead && (h2->again || (h2->unread && conn_room(h2->session.conn))))
        session_task(&h2->session);
    h2->running = false;
    if (h2->dead)
        free_h2(h2);
}

void h2_kick(struct h2 *h2)
{
    if (h2->running)
        h2->again = true;
    else if (!h2->dead)
        session_task(&h2->session);
}

/* ---- Events ---- */

static void on_opened(void *arg)
{
    (void) arg; /* the session before this one heard it */
}

static void on_readable(void *arg)
{
    struct h2 *h2 = arg;
    h2->unread = true;
    h2_run(h2);
}

static void on_writable(void *arg)
{
    h2_run(arg);
}

/* A stream whose client neither takes the reply nor sends the body we wait for. */
static void check_stream(struct h2_stream *stream, int64_t now)
{
    struct h2 *h2 = stream->h2;
    const struct http_limits *limits = &h2->session.server->limits;
    int64_t waiting = h2_body_waiting_since(stream->body);
    if (!stream->heard) {
        if (now - stream->moved_ms >= limits->header_timeout)
            h2_expel(h2, H2_OFFENCE_SLOW_HEAD);
    } else if (waiting != 0 && now - waiting >= limits->send_timeout) {
        h2_body_fail(stream->body, STATUS_CLIENT_TIMEOUT);
    } else if (stream->answered && !stream->deferred && stream->source != NULL && stream->how == STATUS_OK &&
               list_empty(&stream->turn) && now - stream->moved_ms >= limits->send_timeout) {
        stream->how = STATUS_CLIENT_TIMEOUT;
        nghttp2_submit_rst_stream(h2->ng, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_CANCEL);
    }
}

static void on_timeout(void *arg)
{
    struct h2 *h2 = arg;
    if (h2->stream_count == 0) {
        leave(h2, NGHTTP2_NO_ERROR);
        h2_run(h2);
        return;
    }
    int64_t now = loop_now_ms(h2->session.server->loop);
    h2->running = true; /* a body that fails calls out */
    LIST_FOR_EACH_SAFE(node, &h2->streams)
    {
        check_stream(LIST_ENTRY(node, struct h2_stream, link), now);
    }
    h2->running = false;
    set_tick(h2);
    h2_run(h2);
}

static void end_session(struct h2 *h2, enum status how, enum conn_end end)
{
    h2->end = how;
    conn_close(&h2->session.conn, end);
    free_h2(h2);
}

static void on_broken(void *arg, enum status why)
{
    end_session(arg, why == STATUS_CLIENT_TIMEOUT ? why : STATUS_CLIENT_GONE, CONN_RESET);
}

static const struct conn_events h2_events = {on_opened, on_readable, on_writable, on_timeout, on_broken};

static void h2_task(struct session *session)
{
    h2_run((struct h2 *) session);
}

static void h2_drain(struct session *session)
{
    struct h2 *h2 = (struct h2 *) session;
    leave(h2, NGHTTP2_NO_ERROR);
    session_task(session);
}

static unsigned h2_kill(struct session *session)
{
    struct h2 *h2 = (struct h2 *) session;
    unsigned cut = h2->stream_count;
    end_session(h2, STATUS_SHUTDOWN, CONN_RESET);
    return cut;
}

static const struct session_class h2_class = {h2_task, h2_drain, h2_kill};

/* ---- The beginning ---- */

static nghttp2_session *new_session(struct h2 *h2)
{
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    nghttp2_session *ng;
    if (nghttp2_session_callbacks_new(&callbacks) != 0 || nghttp2_option_new(&option) != 0)
        mem_die("nghttp2");
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, h2_stream_send);
    nghttp2_session_callbacks_set_data_source_read_length_callback(callbacks, frame_length);
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
#ifdef HAVE_NGHTTP2_OPTION_SET_STREAM_RESET_RATE_LIMIT
    /* Ours counts first: it says so to the client, the log and the metrics. */
    nghttp2_option_set_stream_reset_rate_limit(option, (uint64_t) 4 * H2_MAX_RESETS, (uint64_t) 2 * H2_MAX_RESETS);
#endif
    if (nghttp2_session_server_new3(&ng, callbacks, h2, option, mem_nghttp2()) != 0)
        mem_die("nghttp2");
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return ng;
}

void h2_start(struct session *from, const uint8_t *data, size_t size)
{
    struct h2 *h2 = mem_calloc(1, sizeof *h2);
    session_take_over(&h2->session, &h2_class, from);
    list_init(&h2->streams);
    list_init(&h2->turns);
    h2->ng = new_session(h2);
    h2->unread = true;
    const struct http_limits *limits = &h2->session.server->limits;
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits->max_streams},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_WINDOW_START},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t) limits->max_head},
    };
    int failed = nghttp2_submit_settings(h2->ng, NGHTTP2_FLAG_NONE, settings, sizeof settings / sizeof settings[0]);
    assert(failed == 0);
    (void) failed;
    nghttp2_session_set_local_window_size(h2->ng, NGHTTP2_FLAG_NONE, 0, H2_WINDOW_CONNECTION);
    conn_listen(h2->session.conn, &h2_events, h2);
    if (h2->session.server->draining)
        leave(h2, NGHTTP2_NO_ERROR);
    if (size > 0) {
        h2->running = true;
        feed(h2, data, size);
        h2->running = false;
    }
    session_task(&h2->session);
}
