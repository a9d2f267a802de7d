/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_bio.h: what OpenSSL reads from and writes to: the connection's socket and its outgoing queue.
 *
 * Reading goes to the socket and honours the remembered readiness, so a request costs one recv. Writing appends to the
 * queue and always succeeds, until OpenSSL has handed its keys to the kernel (kTLS): from then on the queue is the
 * connection's own, for plain text, and what OpenSSL writes itself (tickets, alerts) goes to the kernel at once.
 */
#ifndef HEADPOND_NET_TLS_BIO_H
#define HEADPOND_NET_TLS_BIO_H

#include <stdbool.h>

#include "net/outq.h"
#include "net/sock.h"

struct bio_st; /* OpenSSL's BIO */

/* Embedded in what owns the BIOs; outlives them. */
struct tls_bio {
    struct sock *sock;
    struct outq *out;
    struct outq_pool *pool;
    bool reset; /* the socket failed below OpenSSL */
};

/* Never NULL; SSL_set_bio() takes them. */
struct bio_st *tls_bio_new(struct tls_bio *ends);
/* For writing only, and only to a connected TCP socket: lets OpenSSL hand over its keys. */
struct bio_st *tls_bio_new_offloading(struct tls_bio *ends);

#endif
