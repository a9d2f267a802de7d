/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls.h: what one TLS listener (or, later, one kind of outgoing connection) shares: certificate, key, protocol choices.
 *
 * TLS 1.2 and 1.3, forward-secret AEAD suites, ALPN h2 before http/1.1, stateless session tickets, no renegotiation.
 * Any loop may make connections with it while another thread renews it: what OpenSSL has loaded is replaced as a whole
 * and freed when no loop can still be about to use it (RCU). Connections keep what they began with.
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
    bool issued;             /* by one in `ca` itself: whoever has a certificate of theirs can issue none that counts */
    bool only_h2;            /* offer or accept nothing but h2 */
};

/* On failure INVALID, and *error holds one line that names the file and says what to do. The caller frees both. */
enum status tls_new(const struct tls_options *options, struct tls **tls, struct strbuf *error) STATUS_CHECKED;
/* Connections made with it may outlive it. NULL is allowed. */
void tls_free(struct tls *tls);

enum tls_renewal {
    TLS_UNCHANGED,
    TLS_RENEWED, /* what is in the files now is used from now on */
    TLS_REFUSED  /* the files have changed and do not load; what was loaded stays */
};
/* Looks at the files again (device, inode, times, size). What was refused is tried again when the files change once
 * more, or with `again`. When REFUSED, *error holds one line as from tls_new. May wait for the disk, and for each loop
 * to come round once: not for loops. One thread at a time. */
enum tls_renewal tls_renew(struct tls *tls, bool again, struct strbuf *error);
/* When its own certificate ends, in seconds since 1970; 0 without one. On the thread that renews. */
int64_t tls_not_after(const struct tls *tls);

bool tls_is_server(const struct tls *tls);
/* On a loop, and good for the event that runs; SSL_new() takes a reference. */
struct ssl_ctx_st *tls_context(const struct tls *tls);

#endif
