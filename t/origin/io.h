/* SPDX-License-Identifier: Apache-2.0 */
/* A non-blocking socket, in the clear or under TLS. */
#ifndef T_ORIGIN_IO_H
#define T_ORIGIN_IO_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct io {
    int fd;
    SSL *ssl;      /* NULL: in the clear */
    uint32_t ipv4; /* the peer, in host order */
};

#define IO_BLOCKED (-2) /* wait for the socket, then call again */

/* A server context, or NULL with a message on stderr. */
SSL_CTX *io_tls_context(const char *certificate, const char *key);

uint32_t io_peer(int fd); /* the IPv4 address at the other end, in host order, or 0 */

int io_handshake(struct io *io); /* 1 done, IO_BLOCKED, -1 failed; waits for either direction */

/* Bytes moved, 0 at the end of input, IO_BLOCKED, or -1. */
ssize_t io_read(struct io *io, void *buf, size_t len);
ssize_t io_writev(struct io *io, const struct iovec *iov, int count);

void io_shutdown(struct io *io); /* says that nothing more will be sent */
void io_close(struct io *io, bool reset);

#endif
