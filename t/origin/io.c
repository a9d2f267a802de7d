/* SPDX-License-Identifier: Apache-2.0 */
/* See io.h. */
#include "io.h"

#include <errno.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
                       unsigned in_len, void *arg)
{
    (void) ssl;
    (void) arg;
    for (unsigned i = 0; i < in_len && i + 1 + in[i] <= in_len; i += 1u + in[i]) {
        if (in[i] == 8 && memcmp(in + i + 1, "http/1.1", 8) == 0) {
            *out = in + i + 1;
            *out_len = 8;
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_NOACK;
}

uint32_t io_peer(int fd)
{
    struct sockaddr_in sa = {0};
    socklen_t len = sizeof sa;
    bool known = getpeername(fd, (struct sockaddr *) &sa, &len) == 0 && sa.sin_family == AF_INET;
    return known ? ntohl(sa.sin_addr.s_addr) : 0;
}

SSL_CTX *io_tls_context(const char *certificate, const char *key)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx || SSL_CTX_use_certificate_chain_file(ctx, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1) {
        ERR_print_errors_fp(stderr);
        SSL_CTX_free(ctx);
        return NULL;
    }
    SSL_CTX_set_mode(ctx,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(ctx, SSL_OP_ENABLE_KTLS | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_alpn_select_cb(ctx, choose_alpn, NULL);
    return ctx;
}

static int tls_result(struct io *io, int result)
{
    switch (SSL_get_error(io->ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return IO_BLOCKED;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default:
        ERR_clear_error();
        return -1;
    }
}

int io_handshake(struct io *io)
{
    int result = SSL_accept(io->ssl);
    if (result == 1)
        return 1;
    result = tls_result(io, result);
    return result == IO_BLOCKED ? IO_BLOCKED : -1;
}

ssize_t io_read(struct io *io, void *buf, size_t len)
{
    if (io->ssl) {
        int n = SSL_read(io->ssl, buf, len > 1 << 20 ? 1 << 20 : (int) len);
        return n > 0 ? n : tls_result(io, n);
    }
    ssize_t n = recv(io->fd, buf, len, MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? IO_BLOCKED : -1;
    return n;
}

static ssize_t tls_writev(struct io *io, const struct iovec *iov, int count)
{
    ssize_t total = 0;
    for (int i = 0; i < count; i++) {
        const char *p = iov[i].iov_base;
        size_t left = iov[i].iov_len;
        while (left > 0) {
            int n = SSL_write(io->ssl, p, left > 1 << 20 ? 1 << 20 : (int) left);
            if (n <= 0) {
                int result = tls_result(io, n);
                return total > 0 && result == IO_BLOCKED ? total : result == 0 ? -1 : result;
            }
            p += n;
            left -= (size_t) n;
            total += n;
        }
    }
    return total;
}

ssize_t io_writev(struct io *io, const struct iovec *iov, int count)
{
    if (io->ssl)
        return tls_writev(io, iov, count);
    ssize_t n = writev(io->fd, iov, count);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? IO_BLOCKED : -1;
    return n;
}

void io_shutdown(struct io *io)
{
    if (io->ssl)
        SSL_shutdown(io->ssl);
    shutdown(io->fd, SHUT_WR);
}

void io_close(struct io *io, bool reset)
{
    if (reset) {
        struct linger hard = {.l_onoff = 1, .l_linger = 0};
        setsockopt(io->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    }
    SSL_free(io->ssl);
    ERR_clear_error();
    close(io->fd);
    io->ssl = NULL;
    io->fd = -1;
}
