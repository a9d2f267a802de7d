/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h1.h: an HTTP/1.1 connection's parts, for h1.c (life, input, requests), h1_body.c (the request's body as a source)
 * and h1_reply.c (the reply). Outside these only session.h's h1_start is called.
 */
#ifndef HEADPOND_HTTP_H1_H
#define HEADPOND_HTTP_H1_H

#include "http/exchange.h"
#include "http/h1_chunked.h"
#include "http/h1_parse.h"
#include "http/session.h"

/* A body that nobody wanted is read away for the next request's sake up to this; else the connection ends. */
#define H1_DRAIN_MAX (256 * 1024)

struct h1_exchange;
struct h1_body;

/* How the request's body ends. DONE: there is none, or all of it was taken. */
enum h1_body_mode { H1_BODY_DONE, H1_BODY_LENGTH, H1_BODY_CHUNKED };

struct h1 {
    struct session session;
    struct h1_exchange *exchange; /* NULL: between requests */

    /* Input that nobody has taken: in[in_start..in_end). No buffer is held when there is none. */
    uint8_t *in;
    size_t in_start;
    size_t in_end;
    size_t in_size;
    struct h1_scan scan;
    bool eof;         /* the client's end was read; it may still be reading */
    bool clear_start; /* clear text and nothing parsed yet: HTTP/2's preface may come */
    bool head_begun;  /* header_timeout runs */

    enum h1_body_mode body_mode;
    uint64_t body_left; /* H1_BODY_LENGTH: bytes to come */
    struct h1_chunked chunked;
    struct h1_body *body;   /* the source, while somebody holds it */
    enum status body_error; /* OK, or why the body will not come whole */
    bool continue_owed;     /* the client waits for 100 Continue */
    size_t drained;         /* bytes of the body thrown away after the reply */

    bool running; /* h1_run is on the stack */
    bool again;   /* something happened meanwhile: run once more */
    bool dead;    /* freed when h1_run ends */
    bool moved;   /* HTTP/2 took over: dead, but the connection is not */
    bool last;    /* no request after this one */
};

enum h1_framing_out { H1_OUT_NONE, H1_OUT_LENGTH, H1_OUT_CHUNKED, H1_OUT_CLOSE };

struct h1_exchange {
    struct http_exchange x; /* first */
    struct h1 *h1;
    struct h1_framing framing;
    bool answered;
    bool aborted;
    /* The reply. */
    struct str head; /* what is left to send of it */
    char lead[32];   /* what goes before the next body byte: chunk framing */
    unsigned lead_start;
    unsigned lead_end;
    struct source *source;
    enum h1_framing_out out;
    bool ended;        /* the source has ended as announced; only head and lead may be left */
    uint64_t left;     /* H1_OUT_LENGTH: body bytes to send */
    size_t chunk_left; /* H1_OUT_CHUNKED: of the chunk announced */
};

/* ---- h1.c ---- */
/* Does what can be done now; called whenever something happened. */
void h1_run(struct h1 *h1);
/* Reads once, behind what is there. OK, AGAIN (also when there is no room), SHUTDOWN: the client's end; RESET, TLS. */
enum status h1_fill(struct h1 *h1) STATUS_CHECKED;
/* Drops `bytes` from the front of the input. */
void h1_eat(struct h1 *h1, size_t bytes);

/* ---- h1_body.c ---- */
struct source *h1_body_open(struct h1 *h1);
/* More input may be there, or body_error was set: tells a waiting consumer. */
void h1_body_wake(struct h1 *h1);
/* The exchange is over: whoever still holds the source sees body_error. */
void h1_body_detach(struct h1 *h1);
bool h1_body_waiting(const struct h1 *h1);
/* Shows body bytes at the front of the input, reading if there are none. DATA, WAIT, END or FAILED (body_error). */
enum source_state h1_body_front(struct h1 *h1, const uint8_t **data, size_t *size);
void h1_body_eat(struct h1 *h1, size_t bytes);

/* ---- h1_reply.c ---- */
extern const struct http_transport h1_transport;
/* Sends what can be sent. AGAIN: an event will go on; OK: all is handed over; else the reply is broken. */
enum status h1_reply_pump(struct h1_exchange *exchange) STATUS_CHECKED;

#endif
