/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_stream.h: one TLS connection between a socket (read directly) and an outgoing queue.
 *
 * Records are appended to the queue as they are made; the connection sends many of them with one system call. Writing
 * therefore never blocks, and the caller bounds what the queue holds. Where the kernel makes the records
 * (tls_stream_offloaded), the queue and the socket take plain text, and only what is no data goes through here. Owning
 * loop only; SIGPIPE must be ignored.
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

/* OK: done; AGAIN: when the socket is readable or writable again; TLS or RESET. What was queued must be sent in any
 * case. */
enum status tls_stream_handshake(struct tls_stream *stream) STATUS_CHECKED;
/* After a handshake that failed by TLS: whether the client has sent an HTTP request instead. */
bool tls_stream_met_http(const struct tls_stream *stream);
/* After the handshake: whether the kernel encrypts, so that data is written to the socket as it is. */
bool tls_stream_offloaded(const struct tls_stream *stream);
/* As sock_read. The peer's close_notify is an end; an end without it is RESET. TLS also when the peer asks for new keys
 * and the kernel has the old ones. */
enum status tls_stream_read(struct tls_stream *stream, void *data, size_t size, size_t *got) STATUS_CHECKED;
/* Not offloaded: makes records until all is taken or the queue holds `limit` bytes or more. Small pieces share records.
 * OK (*taken may be 0) or TLS. */
enum status tls_stream_write(struct tls_stream *stream, const struct iovec *pieces, unsigned count, size_t limit,
                             size_t *taken) STATUS_CHECKED;
/* Queues close_notify; offloaded, sends it, past what the queue holds: OK, or AGAIN when the socket is writable again.
 */
enum status tls_stream_shutdown(struct tls_stream *stream) STATUS_CHECKED;

/* The protocol ALPN chose, or an empty str. Points into the stream. */
struct str tls_stream_alpn(const struct tls_stream *stream);
/* Why the last call failed, for the log; valid until the next call on this thread. */
const char *tls_stream_error(const struct tls_stream *stream);
/* The peer's leaf certificate as DER-encoded X509 object reference of OpenSSL (X509 *), or NULL; the caller frees it.
 */
void *tls_stream_peer_certificate(const struct tls_stream *stream);

#endif
