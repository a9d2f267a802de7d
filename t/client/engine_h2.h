/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the HTTP/2 engine share: engine_h2.c fills slots and picks connections,
 * engine_h2_stream.c turns a transfer into a stream and frames into its reply, engine_h2_conn.c moves bytes,
 * engine_h2_peer.c knows where to and whom to trust. All of it belongs to one thread.
 *
 * Nothing is freed and no mode is called from within nghttp2: streams that end are put on the loop's `ended`,
 * connections with something to do on its `touched`, and the loop sees to both after its events.
 */
#ifndef T_CLIENT_ENGINE_H2_H
#define T_CLIENT_ENGINE_H2_H

#include <nghttp2/nghttp2.h>
#include <openssl/ssl.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "transfer.h"

/* ---- The server. ---- */

struct h2_peer {
    char host[256], authority[300]; /* without and with brackets and port */
    struct sockaddr_storage address;
    socklen_t address_len;
    SSL_CTX *tls; /* NULL: cleartext, by prior knowledge */
    int result;   /* not 0: it cannot be reached, as `error` says */
    char error[TRANSFER_ERROR_SIZE];
};

/* Resolves the name and loads the CA, which may block. */
void h2_peer_init(struct h2_peer *p, const struct options *o, const char *base);
void h2_peer_fini(struct h2_peer *p);
/* The client's end of a TLS connection on a connected socket. */
SSL *h2_peer_tls(struct h2_peer *p, int fd);
/* After the handshake: whether it speaks HTTP/2 (RFC 9113 section 3.2) and goes by the right name. */
bool h2_peer_accept(const struct h2_peer *p, SSL *tls, const char **why);

/* ---- Streams. ---- */

struct h2_conn;

struct h2_stream {
    struct transfer *transfer;
    struct h2_conn *conn; /* NULL: none under way */
    int32_t id;
    int tries;
    bool end_seen; /* END_STREAM has come */
    bool refused;  /* the server has not looked at it (RFC 9113 section 8.7): may be sent anew */
    int result;    /* once ended */
    char error[TRANSFER_ERROR_SIZE];
    int64_t withheld;                /* bytes that have come but give no window back, for the rate's sake */
    LIST_ENTRY(h2_stream) of_conn;   /* while conn is set */
    TAILQ_ENTRY(h2_stream) in_ended; /* from h2_stream_end() until the loop has taken it */
};

LIST_HEAD(h2_stream_list, h2_stream);
TAILQ_HEAD(h2_stream_queue, h2_stream);

/* Sends the transfer's request on this connection, when that is up. */
void h2_stream_submit(struct h2_stream *s, struct h2_conn *c);
/* It has ended, for nghttp2 too. */
void h2_stream_end(struct h2_stream *s, int result, const char *error);
/* Ends it from our side: RST_STREAM with CANCEL. */
void h2_stream_cancel(struct h2_stream *s, int result, const char *error);
/* Gives back as much window as the transfer's rate allows by now (CLOCK_MONOTONIC, ns). */
void h2_stream_pace(struct h2_stream *s, int64_t now);
/* A client's session whose callbacks find their streams; never NULL. `window`: of each stream, bytes. */
nghttp2_session *h2_stream_session(struct h2_conn *c, int window);

/* ---- Connections. ---- */

struct h2_loop {
    int epoll_fd;
    struct h2_peer *peers; /* one a base */
    TAILQ_HEAD(, h2_conn) touched;
    struct h2_stream_queue ended;
    LIST_HEAD(, h2_conn) conns;
    unsigned char *buffer; /* what has just been read */
};

enum h2_conn_state { H2_CONNECTING, H2_HANDSHAKE, H2_UP, H2_DEAD };

struct h2_conn {
    struct h2_loop *loop;
    struct h2_peer *peer;
    enum h2_conn_state state;
    bool single; /* for one stream only */
    int fd;
    SSL *tls;
    bool tls_wants_write;
    uint32_t events; /* what epoll watches */
    nghttp2_session *session;
    unsigned char *out; /* framed, not yet written */
    size_t out_len, out_sent, out_room;
    char note[TRANSFER_ERROR_SIZE]; /* what nghttp2 said last; empty: nothing */
    struct h2_stream_list streams;
    int64_t stream_count;
    bool is_touched;
    TAILQ_ENTRY(h2_conn) in_touched;
    LIST_ENTRY(h2_conn) in_conns;
};

/* Starts to connect. Never fails: a connection that cannot be made ends its streams. `rate`: of its slow reader in
   bytes/s, 0: of fast ones. */
struct h2_conn *h2_conn_open(struct h2_loop *loop, struct h2_peer *peer, bool single, int64_t rate);
/* Whether it takes another request. */
bool h2_conn_usable(const struct h2_conn *c);
void h2_conn_touch(struct h2_conn *c);
/* epoll has seen these events. */
void h2_conn_event(struct h2_conn *c, uint32_t events);
/* Ends all its streams and itself. */
void h2_conn_fail(struct h2_conn *c, int result, const char *error);
/* Writes what there is to write; closes and frees a connection that has nothing more to do. */
void h2_conn_settle(struct h2_conn *c);
/* Says goodbye (GOAWAY, close_notify) as far as that does not block, and frees. There are no streams. */
void h2_conn_close(struct h2_conn *c);

#endif
