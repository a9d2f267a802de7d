/* SPDX-License-Identifier: Apache-2.0 */
/* h2_call.c: a request of ours, its reply's head, and its body as a source. */
#include <assert.h>

#include "base/mem.h"
#include "http/field.h"
#include "http/h2_client_inside.h"

/* ---- The reply. ---- */

bool h2_call_field(struct h2_call *call, struct str name, struct str value)
{
    call->head_bytes += name.len + value.len + 4;
    if (call->head_bytes > H2_CALL_HEAD_MAX || call->head.headers.count >= H2_CALL_FIELDS_MAX)
        return false;
    int64_t number;
    if (str_eq(name, STR(":status"))) {
        if (!str_to_int(value, &number) || number < 100 || number > 599)
            return false;
        call->head.status = (int) number;
    } else if (str_eq(name, STR("content-length"))) {
        return str_to_int(value, &call->head.content_length);
    } else if (name.len > 0 && name.ptr[0] != ':' && !http_header_hop_by_hop(name)) {
        http_headers_add(&call->head.headers, arena_str(call->arena, name), arena_str(call->arena, value));
    }
    return true;
}

static void news(struct h2_call *call)
{
    if (list_empty(&call->news))
        list_add_tail(&call->client->news, &call->news);
    h2_client_kick(call->client);
}

void h2_call_head(struct h2_call *call)
{
    if (call->head.status < 200) {
        call->processing = call->head.status == 102 && call->events.processing != NULL;
        if (call->processing)
            news(call);
        call->head.headers.count = 0;
        call->head.content_length = HTTP_LENGTH_UNKNOWN;
        return;
    }
    call->whole = true;
    news(call);
}

void h2_call_data(struct h2_call *call, const uint8_t *data, size_t size)
{
    chunks_add(&call->chunks, data, size);
    if (call->waits)
        news(call);
}

void h2_call_over(struct h2_call *call, enum status why)
{
    call->id = -1;
    call->client->count--;
    if (why == STATUS_OK && call->whole)
        call->ended = true;
    else
        call->why = why == STATUS_OK ? STATUS_PROTOCOL : why;
    news(call);
}

void h2_call_tell(struct h2_call *call)
{
    list_remove(&call->news);
    if (!call->told && (call->whole || call->why != STATUS_OK)) {
        call->told = true;
        call->events.head(call->events.arg, call->whole ? &call->head : NULL, call->whole ? STATUS_OK : call->why);
        return; /* who has closed it, perhaps */
    }
    if (call->processing && !call->told) {
        call->processing = false;
        call->events.processing(call->events.arg);
        return;
    }
    if (!call->waits)
        return;
    call->waits = false;
    if (call->source.ready != NULL)
        call->source.ready(call->source.arg);
}

/* ---- The body. ---- */

static enum source_state call_peek(struct source *source, struct source_view *view, size_t max)
{
    struct h2_call *call = (struct h2_call *) source;
    if (call->chunks.bytes > 0) {
        chunks_view(&call->chunks, view, max);
        return SOURCE_DATA;
    }
    if (call->ended)
        return SOURCE_END;
    if (call->why != STATUS_OK) {
        source->error = call->why;
        return SOURCE_FAILED;
    }
    call->waits = true;
    return SOURCE_WAIT;
}

static void call_consume(struct source *source, size_t bytes)
{
    struct h2_call *call = (struct h2_call *) source;
    if (bytes == 0)
        return;
    chunks_drop(&call->chunks, bytes);
    if (call->id < 0)
        return;
    nghttp2_session_consume_stream(call->client->ng, call->id, bytes);
    h2_client_kick(call->client);
}

static void call_close(struct source *source)
{
    (void) source; /* the call is closed, which it is a part of */
}

static const struct source_class call_class = {"h2-call", call_peek, call_consume, call_close};

struct source *h2_call_body(struct h2_call *call)
{
    assert(call->whole);
    return &call->source;
}

/* ---- The request. ---- */

static nghttp2_nv field(struct str name, struct str value)
{
    return (nghttp2_nv){(uint8_t *) (uintptr_t) name.ptr, (uint8_t *) (uintptr_t) value.ptr, name.len, value.len,
                        NGHTTP2_NV_FLAG_NONE};
}

/* What must not be kept in a table of the peer's, where a guess could be tried against it (RFC 7541, 7.1.3). */
static bool secret(struct str name)
{
    return str_ieq(name, STR("authorization"));
}

static void submit(struct h2_call *call, const struct http_request *request)
{
    struct h2_client *client = call->client;
    const struct http_headers *headers = &request->headers;
    nghttp2_nv *fields = mem_calloc(headers->count + 4, sizeof *fields);
    size_t count = 0;
    fields[count++] = field(STR(":method"), request->method_text);
    fields[count++] = field(STR(":scheme"), client->options.conn.tls != NULL ? STR("https") : STR("http"));
    fields[count++] = field(STR(":authority"), request->authority);
    fields[count] = field(STR(":path"), request->target);
    fields[count++].flags = NGHTTP2_NV_FLAG_NO_INDEX; /* each its own */
    for (unsigned i = 0; i < headers->count; i++) {
        struct str name = headers->items[i].name;
        char *lower = arena_alloc(call->arena, name.len);
        str_put_lower(lower, name);
        fields[count] = field((struct str){lower, name.len}, headers->items[i].value);
        if (secret(name))
            fields[count].flags = NGHTTP2_NV_FLAG_NO_INDEX;
        count++;
    }
    call->id = nghttp2_submit_request(client->ng, NULL, fields, count, NULL, call);
    mem_free(fields);
}

struct h2_call *h2_call_start(struct h2_client *client, const struct http_request *request,
                              const struct h2_call_events *events)
{
    struct h2_call *call = mem_calloc(1, sizeof *call);
    call->source.class = &call_class;
    call->client = client;
    call->events = *events;
    call->arena = arena_new();
    call->head.headers.arena = call->arena;
    call->head.content_length = HTTP_LENGTH_UNKNOWN;
    list_init(&call->news);
    list_add_tail(&client->calls, &call->link);
    if (client->count++ == 0)
        client->heard_ms = loop_now_ms(client->loop); /* nothing was owed before */
    if (!client->over)
        submit(call, request);
    if (client->over || call->id < 0)
        h2_call_over(call, client->over ? client->why : STATUS_BUSY);
    h2_client_kick(client);
    return call;
}

void h2_call_close(struct h2_call **closed)
{
    struct h2_call *call = *closed;
    *closed = NULL;
    if (call == NULL)
        return;
    struct h2_client *client = call->client;
    if (client != NULL) { /* else that has gone before it */
        list_remove(&call->link);
        list_remove(&call->news);
        if (call->id >= 0) {
            nghttp2_session_set_stream_user_data(client->ng, call->id, NULL);
            nghttp2_submit_rst_stream(client->ng, NGHTTP2_FLAG_NONE, call->id, NGHTTP2_CANCEL);
            client->count--;
        }
        h2_client_kick(client);
    }
    chunks_free(&call->chunks);
    arena_free(call->arena);
    mem_free(call);
}
