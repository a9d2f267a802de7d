/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exchange.h: one request and its reply, as the server side of a protocol (h1.c, h2.c) and the floor above see it. Both
 * protocols fill this small face; nothing above asks which one it is.
 *
 * Life: the protocol parses a head, makes an exchange and calls handler->request (or handler->refused when the head is
 * malformed but can still be answered). The handler answers exactly once with http_reply() or http_abort(), at any
 * later time, on the same loop. handler->finished is the last call for each exchange, whatever happened (all sent,
 * client gone, aborted); it never comes from inside http_reply/http_abort, and after it the exchange and its arena are
 * gone. When the client goes away before the answer, finished comes at once and the handler must forget the exchange.
 */
#ifndef HEADPOND_HTTP_EXCHANGE_H
#define HEADPOND_HTTP_EXCHANGE_H

#include <stdint.h>
#include <sys/socket.h>

#include "base/status.h"
#include "http/message.h"
#include "http/source.h"

struct conn;
struct loop;
struct http_exchange;

/* Filled in by h1.c and h2.c; called through the functions below. */
struct http_transport {
    void (*reply)(struct http_exchange *x, const struct http_response *head, struct source *body);
    void (*abort)(struct http_exchange *x, enum status why);
    void (*processing)(struct http_exchange *x); /* NULL: not said in this protocol */
};

struct http_exchange {
    const struct http_transport *transport;
    struct loop *loop;
    struct arena *arena; /* lives until `finished` returns */
    struct http_request request;
    struct source *body;  /* the request's body, NULL when there is none; belongs to the transport until taken */
    const char *listener; /* the address it came in by, as text; lives as long as the server */
    const struct sockaddr *peer;
    socklen_t peer_length;
    int64_t began_us;  /* clock_mono_us at the head's arrival */
    int64_t head_us;   /* when the reply's head was handed over; 0: not yet */
    uint64_t sent;     /* body bytes handed to the kernel or TLS */
    uint64_t received; /* body bytes taken from the client */
    int status;        /* of the reply; 0: none */
    void *user;        /* the handler's */
    void *caller;      /* what its `admit` has made of the connection, or NULL */
};

struct http_handler {
    void (*request)(void *arg, struct http_exchange *x);
    /* Malformed, or NO_MEMORY: must answer with http_reply. The request's fields may be partly empty. */
    void (*refused)(void *arg, struct http_exchange *x, enum status why);
    void (*finished)(void *arg, struct http_exchange *x, enum status how);
    void *arg;
    /* Both or neither. A connection is there, TLS done: who that is; NULL: nobody who may come in. */
    void *(*admit)(void *arg, const struct conn *conn, const char *listener, const struct sockaddr *peer);
    /* That connection has ended, and its exchanges have. */
    void (*gone)(void *arg, void *caller);
};

/* Sends the head, then pulls the body until its end. Consumes *body (which may hold NULL: no body). The body is closed
 * unread for HEAD, 204 and 304. head->content_length < 0 frames the body by the protocol (chunked, END_STREAM). A body
 * that fails, or gives fewer bytes than announced, ends as a broken reply (I5). `head` is copied before this returns.
 * The transport adds Date if there is none, and what its framing needs. */
static inline void http_reply(struct http_exchange *x, const struct http_response *head, struct source **body)
{
    struct source *taken = body == NULL ? NULL : *body;
    if (body != NULL)
        *body = NULL;
    x->transport->reply(x, head, taken);
}

/* Says before the reply that it takes time: 102 Processing (RFC 2518, 10.1; RFC 9110, 15.2). */
static inline void http_processing(struct http_exchange *x)
{
    if (x->transport->processing != NULL)
        x->transport->processing(x);
}

/* Ends the exchange so that no client can take it for a reply: RST_STREAM, or a closed connection. */
static inline void http_abort(struct http_exchange *x, enum status why)
{
    x->transport->abort(x, why);
}

/* The body becomes the caller's, who must close it. Peeking it for the first time sends 100 Continue when the client
 * waits for that (RFC 9110, 10.1.1). */
static inline struct source *http_take_body(struct http_exchange *x)
{
    struct source *body = x->body;
    x->body = NULL;
    return body;
}

#endif
