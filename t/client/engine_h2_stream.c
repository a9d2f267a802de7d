/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See engine_h2.h: requests out, replies in. Window is given back by hand (RFC 9113 section 5.2): a connection's as
 * soon as the bytes have come, so that nobody waits for a slow reader; a stream's as fast as its transfer reads.
 */
#include <ctype.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine_h2.h"

#define CONNECTION_WINDOW (4 << 20)
#define MAX_LINES (OPTIONS_MAX_HEADERS + 8)

/* ---- The request. ---- */

struct head {
    nghttp2_nv lines[MAX_LINES];
    char *copies[MAX_LINES]; /* of "name" NUL "value", to be freed; the first few have none */
    size_t count;
    bool has_accept;
};

static void add(struct head *h, const char *name, const char *value, char *copy)
{
    if (h->count == MAX_LINES)
        abort();
    h->copies[h->count] = copy;
    /* nghttp2 does not write there. */
    union {
        const char *from;
        uint8_t *to;
    } n = {.from = name}, v = {.from = value};
    h->lines[h->count++] = (nghttp2_nv){n.to, v.to, strlen(name), strlen(value), NGHTTP2_NV_FLAG_NONE};
}

/* "Name: value" as libcurl takes it: without a value it says nothing; Host is the authority. */
static void add_line(void *ctx, const char *line)
{
    struct head *h = ctx;
    char *name = strdup(line);
    if (!name)
        abort();
    char *value = name + strcspn(name, ":");
    if (*value)
        *value++ = '\0';
    value += strspn(value, " \t");
    for (char *p = name; *p; p++)
        *p = (char) tolower((unsigned char) *p);
    bool host = strcmp(name, "host") == 0;
    h->has_accept = h->has_accept || strcmp(name, "accept") == 0;
    if (*value)
        add(h, host ? ":authority" : name, value, name);
    else
        free(name);
}

/* Fields with a colon come first (RFC 9113 section 8.3); an authority of the caller's takes ours' place. */
static void order(struct head *h, size_t pseudo, size_t authority)
{
    for (size_t i = pseudo; i < h->count; i++) {
        if (h->lines[i].name[0] != ':')
            continue;
        free(h->copies[authority]);
        h->lines[authority] = h->lines[i];
        h->copies[authority] = h->copies[i];
        h->count--;
        memmove(&h->lines[i], &h->lines[i + 1], (h->count - i) * sizeof h->lines[0]);
        memmove(&h->copies[i], &h->copies[i + 1], (h->count - i) * sizeof h->copies[0]);
        i--;
    }
}

void h2_stream_submit(struct h2_stream *s, struct h2_conn *c)
{
    const struct transfer *t = s->transfer;
    struct head h = {.count = 0};
    const char *path = strstr(transfer_url(t), "://") + 3;
    path += strcspn(path, "/");
    add(&h, ":method", t->head ? "HEAD" : "GET", NULL);
    add(&h, ":scheme", t->options->tls ? "https" : "http", NULL);
    add(&h, ":path", path, NULL);
    add(&h, ":authority", c->peer->authority, NULL);
    size_t pseudo = h.count;
    transfer_request_lines(t, add_line, &h);
    if (!h.has_accept)
        add(&h, "accept", "*/*", NULL);
    order(&h, pseudo, pseudo - 1);
    s->conn = c;
    s->end_seen = s->refused = false;
    s->withheld = 0;
    LIST_INSERT_HEAD(&c->streams, s, of_conn);
    c->stream_count++;
    s->id = nghttp2_submit_request(c->session, NULL, h.lines, h.count, NULL, s);
    for (size_t i = 0; i < h.count; i++)
        free(h.copies[i]);
    h2_conn_touch(c);
    if (s->id < 0)
        h2_stream_end(s, CURLE_HTTP2, nghttp2_strerror(s->id));
}

/* ---- Its end. ---- */

void h2_stream_end(struct h2_stream *s, int result, const char *error)
{
    struct h2_conn *c = s->conn;
    if (c->session && s->id > 0)
        nghttp2_session_set_stream_user_data(c->session, s->id, NULL);
    LIST_REMOVE(s, of_conn);
    c->stream_count--;
    h2_conn_touch(c);
    s->conn = NULL;
    s->result = result;
    snprintf(s->error, sizeof s->error, "%s", error);
    TAILQ_INSERT_TAIL(&c->loop->ended, s, in_ended);
}

void h2_stream_cancel(struct h2_stream *s, int result, const char *error)
{
    nghttp2_submit_rst_stream(s->conn->session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_CANCEL);
    h2_stream_end(s, result, error);
}

void h2_stream_pace(struct h2_stream *s, int64_t now)
{
    struct transfer *t = s->transfer;
    int64_t allowed = (int64_t) ((double) t->rate * (double) (now - t->started) / 1e9);
    int64_t given = t->body_bytes - s->withheld, more = allowed - given;
    if (more > s->withheld)
        more = s->withheld;
    if (more <= 0)
        return;
    nghttp2_session_consume_stream(s->conn->session, s->id, (size_t) more);
    s->withheld -= more;
    t->last_progress = now;
    h2_conn_touch(s->conn);
}

/* ---- What nghttp2 calls. ---- */

/* NULL: one that has ended for us. Its slot may be busy with another by now. */
static struct h2_stream *find(nghttp2_session *session, int32_t id, const struct h2_conn *c)
{
    struct h2_stream *s = nghttp2_session_get_stream_user_data(session, id);
    return s && s->conn == c && s->id == id ? s : NULL;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
                     const uint8_t *value, size_t value_len, uint8_t flags, void *arg)
{
    struct h2_stream *s = find(session, frame->hd.stream_id, arg);
    (void) flags;
    if (!s)
        return 0;
    s->transfer->http_major = 2;
    if (name_len == 7 && memcmp(name, ":status", 7) == 0) {
        transfer_got_status(s->transfer, atoi((const char *) value));
        return 0;
    }
    char *line = malloc(name_len + value_len + 2);
    if (!line)
        abort();
    memcpy(line, name, name_len);
    memcpy(line + name_len, ": ", 2);
    memcpy(line + name_len + 2, value, value_len);
    transfer_got_field(s->transfer, line, name_len + value_len + 2);
    free(line);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t n, void *arg)
{
    struct h2_stream *s = find(session, id, arg);
    (void) flags;
    nghttp2_session_consume_connection(session, n);
    if (!s)
        return 0;
    bool more = transfer_got_body(s->transfer, (const char *) data, n);
    if (s->transfer->rate > 0)
        s->withheld += (int64_t) n;
    else
        nghttp2_session_consume_stream(session, id, n);
    if (!more)
        h2_stream_cancel(s, CURLE_WRITE_ERROR, "aborted");
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct h2_conn *c = arg;
    if (frame->hd.type == NGHTTP2_GOAWAY)
        snprintf(c->note, sizeof c->note, "GOAWAY with %s", nghttp2_http2_strerror(frame->goaway.error_code));
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
        return 0;
    struct h2_stream *s = find(session, frame->hd.stream_id, c);
    if (s && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        s->end_seen = true;
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *arg)
{
    struct h2_conn *c = arg;
    struct h2_stream *s = find(session, id, c);
    char error[TRANSFER_ERROR_SIZE];
    if (!s)
        return 0;
    if (s->end_seen && code == NGHTTP2_NO_ERROR) {
        h2_stream_end(s, 0, "");
        return 0;
    }
    s->refused = code == NGHTTP2_REFUSED_STREAM && s->transfer->status == 0;
    snprintf(error, sizeof error, "the stream was reset with %s%s%.150s", nghttp2_http2_strerror(code),
             c->note[0] ? "; before: " : "", c->note);
    h2_stream_end(s, CURLE_HTTP2_STREAM, error);
    return 0;
}

static int on_error(nghttp2_session *session, int code, const char *text, size_t n, void *arg)
{
    struct h2_conn *c = arg;
    (void) session;
    (void) code;
    snprintf(c->note, sizeof c->note, "%.*s", (int) n, text);
    return 0;
}

nghttp2_session *h2_stream_session(struct h2_conn *c, int window)
{
    nghttp2_session *session;
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
                                         {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, (uint32_t) window}};
    if (nghttp2_session_callbacks_new(&callbacks) != 0 || nghttp2_option_new(&option) != 0)
        abort();
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_session_callbacks_set_error_callback2(callbacks, on_error);
    nghttp2_option_set_no_auto_window_update(option, 1);
    if (nghttp2_session_client_new2(&session, callbacks, c, option) != 0 ||
        nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, 2) != 0 ||
        nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW) != 0)
        abort();
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return session;
}
