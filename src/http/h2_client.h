/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2_client.h: one HTTP/2 connection that we opened, and the requests on it (calls). Requests have no body.
 *
 * A call's reply comes as an origin's does: its head by callback, its body as a source. What a consumer does not take
 * waits here, no more than a stream's window, H2_CALL_WINDOW, and then the peer sends no more of that stream. The
 * connection's own window is as large as can be: a slow consumer stops no other.
 *
 * A connection whose peer says GOAWAY, or that is told to leave, takes no new calls and goes on with those it has. One
 * from which nothing has come for `silence` ms, though something is owed, is broken: a PING is sent after half of that,
 * so that a peer that only has nothing to say is heard.
 *
 * One loop; callbacks come from the loop, never from inside a call of these functions.
 */
#ifndef HEADPOND_HTTP_H2_CLIENT_H
#define HEADPOND_HTTP_H2_CLIENT_H

#include <stdbool.h>
#include <sys/socket.h>

#include "http/message.h"
#include "http/source.h"
#include "net/conn.h"

/* A call's receive window. */
#define H2_CALL_WINDOW (512 * 1024)
/* A reply's head may have so many bytes and fields. */
#define H2_CALL_HEAD_MAX (64 * 1024)
#define H2_CALL_FIELDS_MAX 200

struct h2_client;
struct h2_call;

struct h2_client_events {
    /* TLS is done: whether this is whom we wanted; false ends it with TLS. Not for clear text. */
    bool (*accept)(void *arg, struct conn *conn);
    /* It is of no more use, and has no calls left: close it. OK: it was told to leave, or the peer had it leave. */
    void (*ended)(void *arg, enum status why);
    void *arg;
};

struct h2_client_options {
    struct conn_options conn; /* clear text: the peer is known to speak HTTP/2 */
    int64_t connect_timeout;  /* ms; TCP and TLS */
    int64_t silence;          /* ms */
};

/* A connection to that address; calls may be started at once, and are sent when it is there. */
struct h2_client *h2_client_open(struct loop *loop, const struct sockaddr *address, socklen_t length,
                                 const struct h2_client_options *options, const struct h2_client_events *events);
/* In `ended`, or when no call is under way; not from a call's own callback. No `ended` follows. Calls that have ended
 * keep what they have. Empties the pointer, which may be NULL. */
void h2_client_close(struct h2_client **client);
/* It takes no more calls and ends when it has none. */
void h2_client_leave(struct h2_client *client);

/* Calls that are under way. */
unsigned h2_client_calls(const struct h2_client *client);
/* Whether one more may be started: it does not leave, and the peer takes as many. */
bool h2_client_takes(const struct h2_client *client);

struct h2_call_events {
    /* The final reply's head, or NULL: then `why` says it (BUSY: the peer has done nothing for it). Once, unless
     * closed before. *head and its texts are good during the call. */
    void (*head)(void *arg, const struct http_response *head, enum status why);
    void *arg;
    /* Or NULL. Before that: it takes time (102). */
    void (*processing)(void *arg);
};

/* Copies the request: method_text, target, authority and headers count, which must be valid. */
struct h2_call *h2_call_start(struct h2_client *client, const struct http_request *request,
                              const struct h2_call_events *events);
/* The reply's body; after a head. It lives as long as the call: close that. */
struct source *h2_call_body(struct h2_call *call);
/* Gives up what is under way. Empties the pointer, which may be NULL. Allowed in `head` and in the body's `ready`. */
void h2_call_close(struct h2_call **call);

#endif
