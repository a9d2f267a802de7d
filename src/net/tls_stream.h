/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_stream.h: one TLS connection between a socket (read directly) and an outgoing queue (written, never sent here).
 *
 * Records are appended to the queue as they are made; the connection sends many of them with one system call. Writing
 * therefore never blocks, and the caller bounds what the queue holds. Owning loop only.
 */
#ifndef HEADPOND_NET_TLS_STREAM_H
#define HEADPOND_NET_TLS_STREAM_H

#include <sys/uio.h>

#include "base/status.h"
#include "base/str.h"
#include "net/outq.h"
#include "net/sock.h"
#include "net/tls.h"

/* Received and not yet read at the most: a record in the clear, and another one of which some has come. */
#define TLS_STREAM_HELD_MAX (2 * 18 * 1024)

struct tls_stream;

/* `name`: for a client, the host to ask for and to check in the certificate, or NULL. sock, out and pool outlive it. */
struct tls_stream *tls_stream_new(struct tls *tls, const char *name, struct sock *sock, struct outq *out,
                                  struct outq_pool *pool);
void tls_stream_free(struct tls_stream *stream);

/* OK: done; AGAIN: when the socket is readable again; TLS or RESET. What was queued must be sent in any case. */
enum status tls_stream_handshake(struct tls_stream *stream) STATUS_CHECKED;
/* As sock_read. The peer's close_notify is an end; an end without it is RESET. */
enum status tls_stream_read(struct tls_stream *stream, void *data, size_t size, size_t *got) STATUS_CHECKED;
/* Makes records until all is taken or the queue holds `limit` bytes or more. Small pieces share records. OK (*taken may
 * be 0) or TLS. */
enum status tls_stream_write(struct tls_stream *stream, const struct iovec *pieces, unsigned count, size_t limit,
                             size_t *taken) STATUS_CHECKED;
/* Queues close_notify. */
void tls_stream_shutdown(struct tls_stream *stream);

/* The protocol ALPN chose, or an empty str. Points into the stream. */
struct str tls_stream_alpn(const struct tls_stream *stream);
/* Why the last call failed, for the log; valid until the next call on this thread. */
const char *tls_stream_error(const struct tls_stream *stream);
/* The peer's leaf certificate as DER-encoded X509 object reference of OpenSSL (X509 *), or NULL; the caller frees it.
 */
void *tls_stream_peer_certificate(const struct tls_stream *stream);

#endif
