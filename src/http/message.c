/* SPDX-License-Identifier: Apache-2.0 */
/* message.c: header lists, methods and reason phrases. Pure. */
#include "http/message.h"

#include <assert.h>

static const struct str method_names[] = {
#define X(name) STR_INIT(#name),
    HTTP_METHOD_TABLE(X)
#undef X
};

enum http_method http_method_parse(struct str text)
{
    /* Methods are case-sensitive (RFC 9110, 9.1). */
    unsigned method = 0;
    while (method < HTTP_OTHER && !str_eq(text, method_names[method]))
        method++;
    return (enum http_method) method;
}

const char *http_method_name(enum http_method method)
{
    return method < HTTP_OTHER ? method_names[method].ptr : "other";
}

void http_headers_reserve(struct http_headers *headers, unsigned count)
{
    assert(headers->count == 0 && headers->room == 0);
    if (count == 0)
        return;
    headers->items = arena_alloc(headers->arena, count * sizeof headers->items[0]);
    headers->room = count;
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
        STR_INIT("connection"),
        STR_INIT("keep-alive"),
        STR_INIT("proxy-connection"),
        STR_INIT("transfer-encoding"),
        STR_INIT("te"),
        STR_INIT("trailer"),
        STR_INIT("upgrade"),
        STR_INIT("http2-settings"),
        STR_INIT("proxy-authenticate"),
        STR_INIT("proxy-authorization"),
        STR_INIT("proxy-authentication-info"),
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
        {100, STR_INIT("Continue")},
        {101, STR_INIT("Switching Protocols")},
        {200, STR_INIT("OK")},
        {201, STR_INIT("Created")},
        {202, STR_INIT("Accepted")},
        {203, STR_INIT("Non-Authoritative Information")},
        {204, STR_INIT("No Content")},
        {205, STR_INIT("Reset Content")},
        {206, STR_INIT("Partial Content")},
        {207, STR_INIT("Multi-Status")},
        {300, STR_INIT("Multiple Choices")},
        {301, STR_INIT("Moved Permanently")},
        {302, STR_INIT("Found")},
        {303, STR_INIT("See Other")},
        {304, STR_INIT("Not Modified")},
        {307, STR_INIT("Temporary Redirect")},
        {308, STR_INIT("Permanent Redirect")},
        {400, STR_INIT("Bad Request")},
        {401, STR_INIT("Unauthorized")},
        {403, STR_INIT("Forbidden")},
        {404, STR_INIT("Not Found")},
        {405, STR_INIT("Method Not Allowed")},
        {406, STR_INIT("Not Acceptable")},
        {407, STR_INIT("Proxy Authentication Required")},
        {408, STR_INIT("Request Timeout")},
        {409, STR_INIT("Conflict")},
        {410, STR_INIT("Gone")},
        {411, STR_INIT("Length Required")},
        {412, STR_INIT("Precondition Failed")},
        {413, STR_INIT("Content Too Large")},
        {414, STR_INIT("URI Too Long")},
        {415, STR_INIT("Unsupported Media Type")},
        {416, STR_INIT("Range Not Satisfiable")},
        {417, STR_INIT("Expectation Failed")},
        {421, STR_INIT("Misdirected Request")},
        {422, STR_INIT("Unprocessable Content")},
        {425, STR_INIT("Too Early")},
        {426, STR_INIT("Upgrade Required")},
        {428, STR_INIT("Precondition Required")},
        {429, STR_INIT("Too Many Requests")},
        {431, STR_INIT("Request Header Fields Too Large")},
        {500, STR_INIT("Internal Server Error")},
        {501, STR_INIT("Not Implemented")},
        {502, STR_INIT("Bad Gateway")},
        {503, STR_INIT("Service Unavailable")},
        {504, STR_INIT("Gateway Timeout")},
        {505, STR_INIT("HTTP Version Not Supported")},
        {507, STR_INIT("Insufficient Storage")},
        {508, STR_INIT("Loop Detected")},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].status == status)
            return rows[i].text;
    return STR("");
}
