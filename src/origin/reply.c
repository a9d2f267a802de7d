/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reply.c: libcurl has split the lines and obeys the framing; here they become a struct http_response. What libcurl
 * would let through and a proxy must not pass on is refused: folded lines, names that are no tokens, control bytes,
 * lengths that contradict each other.
 */
#include "origin/reply.h"

#include "http/field.h"

void origin_reply_init(struct origin_reply *reply)
{
    *reply = (struct origin_reply){.head.content_length = HTTP_LENGTH_UNKNOWN};
}

void origin_reply_fini(struct origin_reply *reply)
{
    arena_free(reply->arena);
    reply->arena = NULL;
}

void origin_reply_reset(struct origin_reply *reply)
{
    struct arena *arena = reply->arena;
    if (arena != NULL)
        arena_reset(arena);
    origin_reply_init(reply);
    reply->arena = arena;
}

static bool status_line(struct origin_reply *reply, struct str line)
{
    /* "HTTP/1.1 200" and then a space and a reason, or nothing. */
    if (line.len < 12 || !str_starts(line, STR("HTTP/1.")) || line.ptr[8] != ' ')
        return false;
    if (line.ptr[7] < '0' || line.ptr[7] > '9' || (line.len > 12 && line.ptr[12] != ' '))
        return false;
    int64_t status;
    if (!str_to_int((struct str){line.ptr + 9, 3}, &status) || status < 100 || status > 599)
        return false;
    reply->head.status = (int) status;
    return true;
}

/* A list of equal lengths is one length (RFC 9112, 6.3). */
static bool take_length(struct origin_reply *reply, struct str value)
{
    struct str rest = value;
    while (rest.ptr != NULL) {
        int64_t length;
        if (!str_to_int(str_trim(str_split(rest, ',', &rest)), &length))
            return false;
        if (reply->has_length && length != reply->head.content_length)
            return false;
        reply->head.content_length = length;
        reply->has_length = true;
    }
    return true;
}

static bool field_line(struct origin_reply *reply, struct str line)
{
    struct str value;
    struct str name = str_split(line, ':', &value);
    if (value.ptr == NULL || !field_token_valid(name))
        return false;
    value = str_trim(value);
    if (!field_value_valid(value))
        return false;
    if (str_ieq(name, STR("Content-Length")))
        return take_length(reply, value);
    if (str_ieq(name, STR("Transfer-Encoding"))) {
        /* Nobody asked for another coding, and libcurl might undo some of them. */
        if (reply->chunked || !str_ieq(value, STR("chunked")))
            return false;
        reply->chunked = true;
    }
    http_headers_add(&reply->head.headers, arena_str(reply->arena, name), arena_str(reply->arena, value));
    return true;
}

/* What a Connection field names goes with it (RFC 9110, 7.6.1). */
static void drop_hop_by_hop(struct http_headers *headers)
{
    struct str rest;
    for (unsigned i = 0; i < headers->count; i++) {
        if (!str_ieq(headers->items[i].name, STR("Connection")))
            continue;
        rest = headers->items[i].value;
        while (rest.ptr != NULL) {
            const struct str named = str_trim(str_split(rest, ',', &rest));
            if (named.len == 0 || str_ieq(named, STR("Connection")))
                continue;
            /* Marked, not removed: the list stays in place while it is walked. */
            for (unsigned k = 0; k < headers->count; k++)
                if (str_ieq(headers->items[k].name, named))
                    headers->items[k].name = STR_NULL;
        }
    }
    unsigned kept = 0;
    for (unsigned i = 0; i < headers->count; i++)
        if (headers->items[i].name.ptr != NULL && !http_header_hop_by_hop(headers->items[i].name))
            headers->items[kept++] = headers->items[i];
    headers->count = kept;
}

static enum origin_reply_step head_ended(struct origin_reply *reply, enum status *why)
{
    reply->in_head = false;
    if (reply->head.status == 101) {
        *why = STATUS_BAD_REPLY; /* nobody asked to switch */
        return ORIGIN_REPLY_BAD;
    }
    if (reply->head.status < 200)
        return ORIGIN_REPLY_MORE;
    if (reply->chunked)
        reply->head.content_length = HTTP_LENGTH_UNKNOWN; /* RFC 9112, 6.3: the coding overrides */
    drop_hop_by_hop(&reply->head.headers);
    reply->complete = true;
    return ORIGIN_REPLY_HEAD;
}

enum origin_reply_step origin_reply_line(struct origin_reply *reply, struct str line, enum status *why)
{
    reply->bytes += line.len;
    if (reply->bytes > ORIGIN_REPLY_MAX_BYTES) {
        *why = STATUS_HEADERS_TOO_LARGE;
        return ORIGIN_REPLY_BAD;
    }
    if (line.len > 0 && line.ptr[line.len - 1] == '\n')
        line.len--;
    if (line.len > 0 && line.ptr[line.len - 1] == '\r')
        line.len--;
    *why = STATUS_BAD_REPLY;
    if (reply->complete) {
        /* Trailers; but another head means that libcurl repeats the request, which only prepared callers allow. */
        return str_starts(line, STR("HTTP/")) ? ORIGIN_REPLY_BAD : ORIGIN_REPLY_MORE;
    }
    if (!reply->in_head) {
        const size_t bytes = reply->bytes;
        const unsigned fields = reply->fields;
        origin_reply_reset(reply); /* of an interim reply's fields */
        reply->bytes = bytes;
        reply->fields = fields;
        if (reply->arena == NULL)
            reply->arena = arena_new();
        reply->head.headers.arena = reply->arena;
        if (!status_line(reply, line))
            return ORIGIN_REPLY_BAD;
        reply->in_head = true;
        return ORIGIN_REPLY_MORE;
    }
    if (line.len == 0)
        return head_ended(reply, why);
    if (++reply->fields > ORIGIN_REPLY_MAX_FIELDS) {
        *why = STATUS_HEADERS_TOO_LARGE;
        return ORIGIN_REPLY_BAD;
    }
    return field_line(reply, line) ? ORIGIN_REPLY_MORE : ORIGIN_REPLY_BAD;
}

int64_t origin_reply_body_length(const struct origin_reply *reply, bool head_request)
{
    const int64_t length = reply->chunked ? HTTP_LENGTH_UNKNOWN : reply->head.content_length;
    const enum http_method method = head_request ? HTTP_HEAD : HTTP_GET; /* no other has its own rule */
    return http_reply_framing(method, reply->head.status, length).body == HTTP_BODY_NONE ? 0 : length;
}
