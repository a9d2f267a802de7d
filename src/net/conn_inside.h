/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn_inside.h: a connection as its own files see it: conn.c (its life, its events, reading), conn_send.c and
 * conn_linger.c. Nobody else includes this.
 */
#ifndef HEADPOND_NET_CONN_INSIDE_H
#define HEADPOND_NET_CONN_INSIDE_H

#include <event2/event_struct.h>

#include "base/list.h"
#include "net/conn.h"
#include "net/loop.h"
#include "net/outq.h"
#include "net/sock.h"
#include "net/tls_stream.h"

/* What a loop keeps for its connections. */
struct conn_loop {
    struct outq_pool pool;
    struct list lingering;
};

enum conn_state { CONN_CONNECTING, CONN_HANDSHAKE, CONN_OPEN, CONN_LINGERING, CONN_CLOSED };

struct conn {
    struct sock sock;
    struct outq out;
    struct tls_stream *tls;
    const struct conn_events *events;
    void *arg;
    struct loop *loop;
    struct conn_loop *shared;
    struct event event;
    struct timer timer;
    struct list link; /* while lingering */
    size_t burst;
    int64_t send_timeout;
    int64_t timeout_at; /* the owner's; 0: none. Times are loop_now_ms */
    int64_t stalled_at; /* the end of the peer's patience with us; 0: it takes what we send */
    size_t drained;     /* while lingering */
    enum conn_state state;
    bool plain;      /* what is written goes to the socket as it is: clear, or encrypted by the kernel */
    bool want_write; /* the owner was refused room */
    bool running;    /* inside a callback of the loop */
    bool notified;   /* while lingering: close_notify is queued or sent, where one is due */
    bool fin_sent;
};

/* ---- conn.c ---- */

/* Closes the socket; frees the connection, or leaves that to the event that runs. */
void conn_end_now(struct conn *conn, bool reset);
/* The timer fires then at the latest. */
void conn_arm(struct conn *conn, int64_t at);

/* ---- conn_send.c ---- */

#define CONN_BURST_START 65536

/* After each attempt to send: is the peer in debt? */
void conn_note_progress(struct conn *conn, bool moved);

/* ---- conn_linger.c ---- */

/* An open connection whose owner is gone begins to end; may free it. */
void conn_linger_begin(struct conn *conn);
/* Goes on with that after an event; may end it. */
void conn_linger_step(struct conn *conn);
/* Time is up: ends it now. */
void conn_linger_cut(struct conn *conn);

#endif
