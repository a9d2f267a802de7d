/* SPDX-License-Identifier: Apache-2.0 */
/* message.c: header lists, methods and reason phrases. Pure. */
#include "http/message.h"

#include <assert.h>

static const struct {
    struct str text;
    enum http_method method;
} method_rows[] = {
    {{"GET", 3}, HTTP_GET},       {{"HEAD", 4}, HTTP_HEAD},   {{"PUT", 3}, HTTP_PUT},         {{"POST", 4}, HTTP_POST},
    {{"DELETE", 6}, HTTP_DELETE}, {{"PATCH", 5}, HTTP_PATCH}, {{"OPTIONS", 7}, HTTP_OPTIONS},
};

enum http_method http_method_parse(struct str text)
{
    /* Methods are case-sensitive (RFC 9110, 9.1). */
    for (unsigned i = 0; i < sizeof method_rows / sizeof method_rows[0]; i++)
        if (str_eq(text, method_rows[i].text))
            return method_rows[i].method;
    return HTTP_OTHER;
}

void http_headers_add(struct http_headers *headers, struct str name, struct str value)
{
    if (headers->count == headers->room) {
        assert(headers->arena != NULL);
        unsigned room = headers->room < 16 ? 32 : headers->room * 2;
        struct http_header *items = arena_alloc(headers->arena, room * sizeof items[0]);
        if (headers->count > 0)
            memcpy(items, headers->items, headers->count * sizeof items[0]);
        headers->items = items;
        headers->room = room;
    }
    headers->items[headers->count++] = (struct http_header){name, value};
}

const struct http_header *http_headers_find(const struct http_headers *headers, struct str name)
{
    for (unsigned i = 0; i < headers->count; i++)
        if (str_ieq(headers->items[i].name, name))
            return &headers->items[i];
    return NULL;
}

struct str http_headers_get(const struct http_headers *headers, struct str name)
{
    const struct http_header *found = http_headers_find(headers, name);
    return found == NULL ? STR_NULL : found->value;
}

struct str http_headers_lookup(const void *headers, struct str name, unsigned nth)
{
    const struct http_headers *list = headers;
    for (unsigned i = 0; i < list->count; i++)
        if (str_ieq(list->items[i].name, name) && nth-- == 0)
            return list->items[i].value;
    return STR_NULL;
}

bool http_headers_at(const void *headers, unsigned nth, struct str *name, struct str *value)
{
    const struct http_headers *list = headers;
    if (nth >= list->count)
        return false;
    *name = list->items[nth].name;
    *value = list->items[nth].value;
    return true;
}

unsigned http_headers_remove(struct http_headers *headers, struct str name)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < headers->count; i++)
        if (!str_ieq(headers->items[i].name, name))
            headers->items[kept++] = headers->items[i];
    unsigned gone = headers->count - kept;
    headers->count = kept;
    return gone;
}

void http_headers_copy(struct http_headers *to, const struct http_headers *from, struct arena *arena)
{
    *to = (struct http_headers){.arena = arena};
    if (from->count == 0)
        return;
    to->items = arena_alloc(arena, from->count * sizeof to->items[0]);
    to->room = to->count = from->count;
    for (unsigned i = 0; i < from->count; i++) {
        to->items[i].name = arena_str(arena, from->items[i].name);
        to->items[i].value = arena_str(arena, from->items[i].value);
    }
}

bool http_header_hop_by_hop(struct str name)
{
    static const struct str names[] = {
        {"connection", 10},
        {"keep-alive", 10},
        {"proxy-connection", 16},
        {"transfer-encoding", 17},
        {"te", 2},
        {"trailer", 7},
        {"upgrade", 7},
        {"http2-settings", 14},
        {"proxy-authenticate", 18},
        {"proxy-authorization", 19},
        {"proxy-authentication-info", 25},
    };
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        if (str_ieq(name, names[i]))
            return true;
    return false;
}

struct str http_reason(int status)
{
    static const struct {
        int status;
        struct str text;
    } rows[] = {
#define ROW(status, text)                                                                                              \
    {                                                                                                                  \
        status,                                                                                                        \
        {                                                                                                              \
            text, sizeof text - 1                                                                                      \
        }                                                                                                              \
    }
        ROW(100, "Continue"),
        ROW(101, "Switching Protocols"),
        ROW(200, "OK"),
        ROW(201, "Created"),
        ROW(202, "Accepted"),
        ROW(203, "Non-Authoritative Information"),
        ROW(204, "No Content"),
        ROW(205, "Reset Content"),
        ROW(206, "Partial Content"),
        ROW(207, "Multi-Status"),
        ROW(300, "Multiple Choices"),
        ROW(301, "Moved Permanently"),
        ROW(302, "Found"),
        ROW(303, "See Other"),
        ROW(304, "Not Modified"),
        ROW(307, "Temporary Redirect"),
        ROW(308, "Permanent Redirect"),
        ROW(400, "Bad Request"),
        ROW(401, "Unauthorized"),
        ROW(403, "Forbidden"),
        ROW(404, "Not Found"),
        ROW(405, "Method Not Allowed"),
        ROW(406, "Not Acceptable"),
        ROW(407, "Proxy Authentication Required"),
        ROW(408, "Request Timeout"),
        ROW(409, "Conflict"),
        ROW(410, "Gone"),
        ROW(411, "Length Required"),
        ROW(412, "Precondition Failed"),
        ROW(413, "Content Too Large"),
        ROW(414, "URI Too Long"),
        ROW(415, "Unsupported Media Type"),
        ROW(416, "Range Not Satisfiable"),
        ROW(417, "Expectation Failed"),
        ROW(421, "Misdirected Request"),
        ROW(422, "Unprocessable Content"),
        ROW(425, "Too Early"),
        ROW(426, "Upgrade Required"),
        ROW(428, "Precondition Required"),
        ROW(429, "Too Many Requests"),
        ROW(431, "Request Header Fields Too Large"),
        ROW(500, "Internal Server Error"),
        ROW(501, "Not Implemented"),
        ROW(502, "Bad Gateway"),
        ROW(503, "Service Unavailable"),
        ROW(504, "Gateway Timeout"),
        ROW(505, "HTTP Version Not Supported"),
        ROW(507, "Insufficient Storage"),
        ROW(508, "Loop Detected"),
#undef ROW
    };
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].status == status)
            return rows[i].text;
    return STR("");
}
