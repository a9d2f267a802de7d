/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn.h: a byte stream over a non-blocking socket, clear or TLS, server or client side.
 *
 * Readiness is edge-like: `readable` says that conn_read may have something new, and whoever does not read until AGAIN
 * has to remember that. conn_writev takes what it can; when that is less than all, `writable` follows. What it has
 * taken it sends: as TLS records gathered so that one system call carries many, or, with CONN_MORE, together with what
 * comes later in the same event. A server's TLS is the kernel's to encrypt where that can (kTLS): then what is written
 * goes the way clear text goes. A connection with nothing pending holds no buffer.
 *
 * A connection lives on one loop and every call is made there. Callbacks come from the loop, never from inside a call.
 * The process ignores SIGPIPE.
 */
#ifndef HEADPOND_NET_CONN_H
#define HEADPOND_NET_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/status.h"
#include "base/str.h"

struct loop;
struct tls;
struct conn;

struct conn_events {
    /* Once, before all others: connected, and the TLS handshake is done. */
    void (*opened)(void *arg);
    /* There may be bytes, or the peer's end, or a failure, for conn_read to tell. */
    void (*readable)(void *arg);
    /* After conn_writev took less than it was given, or conn_room said no: there is room again. */
    void (*writable)(void *arg);
    /* What conn_set_timeout asked for. */
    void (*timeout)(void *arg);
    /* The connection is of no more use (RESET, TLS, CLIENT_TIMEOUT: nothing taken for send_timeout, CONNECT):
     * conn_close it. No other callback follows. */
    void (*broken)(void *arg, enum status why);
};

struct conn_options {
    struct tls *tls;      /* NULL: clear; its side decides server or client */
    const char *name;     /* TLS clients: whom to ask for and to check, or NULL */
    int64_t send_timeout; /* ms without a byte taken by a peer that owes us room; 0: none */
};

/* Takes `fd`, which is connected or connecting and non-blocking. `events` outlives the connection. */
struct conn *conn_open(struct loop *loop, int fd, const struct conn_options *options, const struct conn_events *events,
                       void *arg);
/* A client connection to that address; failures come through `broken`. */
struct conn *conn_connect(struct loop *loop, const struct sockaddr *address, socklen_t length,
                          const struct conn_options *options, const struct conn_events *events, void *arg);
/* Changes who is called. */
void conn_listen(struct conn *conn, const struct conn_events *events, void *arg);

enum conn_end {
    CONN_GRACEFUL, /* send what is pending, close_notify, FIN, then read away for a bounded while what still comes in,
                      so that the peer can read our last bytes; the connection goes on by itself */
    CONN_CUT,      /* close now, no close_notify: what the kernel has goes out, what is pending here does not */
    CONN_RESET     /* RST: the peer cannot take it for an end */
};
/* No callback follows, also when called from one. Empties the pointer; *conn may be NULL. */
void conn_close(struct conn **conn, enum conn_end end);

/* OK with *got > 0; OK with *got == 0: the peer will send no more (it may still read); AGAIN; RESET or TLS. */
enum status conn_read(struct conn *conn, void *data, size_t size, size_t *got) STATUS_CHECKED;

/* For an owner that has read what there was and now waits for something else than this connection: RESET when an error
 * lies behind what it read, of which no event would tell. Costs nothing unless the last event may have meant one. */
enum status conn_check(struct conn *conn) STATUS_CHECKED;

/* Whether the peer's end has come, and then how many bytes before it may still be read at the most. Does not read. */
bool conn_ended(const struct conn *conn, size_t *unread);

#define CONN_MAX_PIECES 48
enum {
    CONN_MORE = 1, /* more follows in this event, then conn_flush or a write without this flag */
    CONN_ALL = 2   /* take everything, copying what the socket does not (bound it by conn_room) */
};
/* At most CONN_MAX_PIECES pieces. OK with *taken bytes (0: none now); RESET or TLS. */
enum status conn_writev(struct conn *conn, const struct iovec *pieces, unsigned count, unsigned flags,
                        size_t *taken) STATUS_CHECKED;
/* Sends what is gathered as far as the socket takes it. OK also when some is left; RESET. */
enum status conn_flush(struct conn *conn) STATUS_CHECKED;
/* Whether more should be handed over now; when not even after conn_flush, `writable` will be called. */
bool conn_room(struct conn *conn);

/* (Re)sets the owner's one timer, which is called `timeout`; cheap to call often. 0: none. */
void conn_set_timeout(struct conn *conn, int64_t ms);

bool conn_is_tls(const struct conn *conn);
/* The protocol ALPN chose, or an empty str. */
struct str conn_alpn(const struct conn *conn);
/* The peer's certificate (OpenSSL's X509 *) or NULL; the caller frees it. */
void *conn_peer_certificate(const struct conn *conn);
/* For the log: why TLS failed. Only inside `broken`. */
const char *conn_error_text(const struct conn *conn);

/* Last thing on a loop: cuts connections that are still ending gracefully, frees what the loop kept for connections.
 * All others must be closed. */
void conn_loop_fini(struct loop *loop);

#endif
