/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.h: what a listener hands connections to: speaks HTTP/2 or HTTP/1.1 with each client (ALPN under TLS; in clear
 * text HTTP/2 announces itself by its preface, RFC 9113, 3.3) and brings requests to the handler. One per loop, used on
 * that loop only.
 */
#ifndef HEADPOND_HTTP_SERVER_H
#define HEADPOND_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "http/exchange.h"

struct loop;
struct tls;
struct listener_budget;
struct http_server;

struct http_limits {
    int64_t header_timeout; /* ms until a request's head must be whole, the TLS handshake included */
    int64_t idle_timeout;   /* ms between requests */
    int64_t send_timeout;   /* ms a client may take nothing of a reply, or send nothing of a body we want */
    size_t max_head;        /* bytes of a request's head */
    size_t max_target;      /* bytes */
    unsigned max_headers;   /* fields */
    unsigned max_streams;   /* HTTP/2: at the same time on one connection */
    bool uncounted;         /* not among the metrics of clients: the admin listener, and that of other nodes */
    bool exempt;            /* served also when memory is used up: the admin listener */
};

/* 64 KiB, 16 KiB, 200 fields, 256 streams; the times are for whoever has no configuration. */
extern const struct http_limits http_limits_default;

/* Copies limits and handler. `budget` counts connections and may be NULL. */
struct http_server *http_server_new(struct loop *loop, const struct http_limits *limits,
                                    const struct http_handler *handler, struct listener_budget *budget);
/* Takes a connected, non-blocking socket. `listener`: what people call the address it came in by, outlives the server;
 * `tls`: the listener's, NULL for clear text. */
void http_server_accept(struct http_server *server, int fd, const struct sockaddr *peer, socklen_t length,
                        const char *listener, struct tls *tls);
/* No new requests: idle connections end, the others after the replies that are owed (Connection: close, GOAWAY). */
void http_server_drain(struct http_server *server);
/* Cuts what is left: `finished` comes, with SHUTDOWN, for every exchange before this returns. Not from a callback of
 * the handler. Then conn_loop_fini() may be called. Returns how many exchanges were cut. */
unsigned http_server_free(struct http_server *server);

#endif
