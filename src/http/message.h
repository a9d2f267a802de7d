/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message.h: a request's and a reply's head, whatever the protocol. Texts point into an arena (or a constant) that
 * outlives the head. Header order and spelling are kept; comparison folds case (RFC 9110, 5.1). Hop-by-hop fields
 * (RFC 9110, 7.6.1) never appear in these lists: the protocol modules take them off and put their own on.
 */
#ifndef HEADPOND_HTTP_MESSAGE_H
#define HEADPOND_HTTP_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"

struct http_header {
    struct str name;
    struct str value;
};

struct http_headers {
    struct arena *arena; /* where the list grows; set before the first add */
    struct http_header *items;
    unsigned count;
    unsigned room;
};

#define HTTP_METHOD_TABLE(X) X(GET) X(HEAD) X(PUT) X(POST) X(DELETE) X(PATCH) X(OPTIONS)

enum http_method {
#define X(name) HTTP_##name,
    HTTP_METHOD_TABLE(X)
#undef X
        HTTP_OTHER /* any other token: see the text */
};

enum http_version { HTTP_1_0, HTTP_1_1, HTTP_2 };

/* A length that is not known: chunked, or until the stream's end. */
#define HTTP_LENGTH_UNKNOWN INT64_C(-1)

struct http_request {
    enum http_method method;
    enum http_version version;
    bool tls;
    struct str method_text;
    struct str target;           /* as sent: "/path?query"; "*" for OPTIONS; absolute-form is reduced to this */
    struct str authority;        /* Host or :authority, as sent, with its port */
    struct http_headers headers; /* without Host and without Content-Length */
    int64_t content_length;      /* bytes; 0: no body; HTTP_LENGTH_UNKNOWN */
};

struct http_response {
    int status;
    struct http_headers headers; /* without Content-Length */
    int64_t content_length;      /* bytes, also for a HEAD's answer; HTTP_LENGTH_UNKNOWN */
};

/* Room for exactly so many in a list that is empty yet, instead of for what a request may grow to. */
void http_headers_reserve(struct http_headers *headers, unsigned count);
/* Adds without copying. */
void http_headers_add(struct http_headers *headers, struct str name, struct str value);
/* The first of that name, or NULL. */
const struct http_header *http_headers_find(const struct http_headers *headers, struct str name);
/* Its value, or a NULL str. */
struct str http_headers_get(const struct http_headers *headers, struct str name);
/* The value of the nth (from 0) of that name, or a NULL str; `headers` is a struct http_headers. The shape that blob/
 * wants, which does not know this floor's types. */
struct str http_headers_lookup(const void *headers, struct str name, unsigned nth);
/* The nth field of any name, likewise; false: there are no more. */
bool http_headers_at(const void *headers, unsigned nth, struct str *name, struct str *value);
/* All of that name; returns how many went. */
unsigned http_headers_remove(struct http_headers *headers, struct str name);
/* A deep copy into `arena`, which becomes the copy's. */
void http_headers_copy(struct http_headers *to, const struct http_headers *from, struct arena *arena);

enum http_method http_method_parse(struct str text);
/* "GET"; "other" for HTTP_OTHER. */
const char *http_method_name(enum http_method method);
/* GET and HEAD, which change nothing. */
static inline bool http_method_reads(enum http_method method)
{
    return method == HTTP_GET || method == HTTP_HEAD;
}

/* The reason phrase, "" when unknown (RFC 9110, 15). */
struct str http_reason(int status);
/* True for fields that must not be forwarded: Connection, Keep-Alive, Proxy-Connection, Transfer-Encoding, TE, Trailer,
 * Upgrade, Proxy-Authenticate, Proxy-Authorization... (RFC 9110, 7.6.1). Names listed in a Connection field are the
 * protocol modules' care. */
bool http_header_hop_by_hop(struct str name);

#endif
