/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls.h: what one TLS listener (or, later, one kind of outgoing connection) shares: certificate, key, protocol choices.
 *
 * TLS 1.2 and 1.3, forward-secret AEAD suites, ALPN h2 before http/1.1, stateless session tickets, no renegotiation. A
 * context is made at start and only read afterwards: any loop may use it.
 */
#ifndef HEADPOND_NET_TLS_H
#define HEADPOND_NET_TLS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "base/str.h"

struct tls;
struct ssl_ctx_st; /* OpenSSL's SSL_CTX */

struct tls_options {
    bool server;
    const char *certificate; /* PEM file, leaf first; a client may have none (NULL) */
    const char *key;         /* PEM file, unencrypted */
    const char *ca;          /* PEM file: the peer must show a certificate of these; NULL: a server asks for none, a
                                client takes the system's */
    bool only_h2;            /* offer or accept nothing but h2 */
};

/* On failure INVALID, and *error holds one line that names the file and says what to do. The caller frees both. */
enum status tls_new(const struct tls_options *options, struct tls **tls, struct strbuf *error) STATUS_CHECKED;
/* Connections made with it may outlive it. NULL is allowed. */
void tls_free(struct tls *tls);

bool tls_is_server(const struct tls *tls);
struct ssl_ctx_st *tls_context(const struct tls *tls);

#endif
