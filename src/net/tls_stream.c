/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_stream.c: OpenSSL over a BIO of our own.
 *
 * The BIO's write side appends to the connection's queue and always succeeds, so SSL_write never asks to be called
 * again with the same bytes. Its read side goes to the socket and honours the remembered readiness, so a request costs
 * one recv.
 */
#include "net/tls_stream.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"

#define RECORD 16384

struct tls_stream {
    SSL *ssl;
    struct sock *sock;
    struct outq *out;
    struct outq_pool *pool;
    bool reset;  /* the socket failed below OpenSSL */
    bool broken; /* OpenSSL failed: no close_notify may follow */
};

static BIO_METHOD *method;
static pthread_once_t method_once = PTHREAD_ONCE_INIT;

static int bio_write(BIO *bio, const char *data, int size)
{
    struct tls_stream *stream = BIO_get_data(bio);
    if (size <= 0)
        return 0;
    outq_append(stream->out, stream->pool, data, (size_t) size);
    return size;
}

static int bio_read(BIO *bio, char *data, int size)
{
    struct tls_stream *stream = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (size <= 0)
        return 0;
    size_t got;
    switch (sock_read(stream->sock, data, (size_t) size, &got)) {
    case STATUS_OK:
        return (int) got;
    case STATUS_AGAIN:
        BIO_set_retry_read(bio);
        return -1;
    default:
        stream->reset = true;
        return -1;
    }
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    struct tls_stream *stream = BIO_get_data(bio);
    (void) number;
    (void) pointer;
    switch (command) {
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_EOF:
        return stream->sock->ended;
    default:
        return 0;
    }
}

static int bio_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

static void make_method(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "headpond");
    if (method == NULL || !BIO_meth_set_write(method, bio_write) || !BIO_meth_set_read(method, bio_read) ||
        !BIO_meth_set_ctrl(method, bio_control) || !BIO_meth_set_create(method, bio_create))
        abort(); /* out of memory */
}

struct tls_stream *tls_stream_new(struct tls *tls, const char *name, struct sock *sock, struct outq *out,
                                  struct outq_pool *pool)
{
    pthread_once(&method_once, make_method);
    struct tls_stream *stream = mem_calloc(1, sizeof *stream);
    stream->sock = sock;
    stream->out = out;
    stream->pool = pool;
    stream->ssl = SSL_new(tls_context(tls));
    BIO *bio = BIO_new(method);
    if (stream->ssl == NULL || bio == NULL)
        abort(); /* out of memory */
    BIO_set_data(bio, stream);
    SSL_set_bio(stream->ssl, bio, bio);
    if (tls_is_server(tls)) {
        SSL_set_accept_state(stream->ssl);
    } else {
        SSL_set_connect_state(stream->ssl);
        if (name != NULL) {
            SSL_set_tlsext_host_name(stream->ssl, (char *) (uintptr_t) name);
            SSL_set1_host(stream->ssl, name);
        }
    }
    return stream;
}

void tls_stream_free(struct tls_stream *stream)
{
    if (stream == NULL)
        return;
    SSL_free(stream->ssl);
    mem_free(stream);
}

/* What a failed call means. */
static enum status failure(struct tls_stream *stream, int result)
{
    switch (SSL_get_error(stream->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return STATUS_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return STATUS_OK;
    case SSL_ERROR_SYSCALL:
        stream->broken = true;
        return STATUS_RESET;
    default:
        stream->broken = true;
        /* An end without close_notify says nothing about TLS: somebody left, or only looked whether we listen. */
        if (stream->reset || ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
            return STATUS_RESET;
        return STATUS_TLS;
    }
}

enum status tls_stream_handshake(struct tls_stream *stream)
{
    ERR_clear_error();
    int result = SSL_do_handshake(stream->ssl);
    if (result == 1)
        return STATUS_OK;
    enum status status = failure(stream, result);
    return status == STATUS_OK ? STATUS_RESET : status;
}

enum status tls_stream_read(struct tls_stream *stream, void *data, size_t size, size_t *got)
{
    *got = 0;
    ERR_clear_error();
    int result = SSL_read_ex(stream->ssl, data, size, got);
    if (result == 1)
        return STATUS_OK;
    return failure(stream, result);
}

/* The next record's plain text: part of one piece as it lies, or several small ones put together in `scratch`. */
static struct iovec next_record(const struct iovec *pieces, unsigned count, unsigned i, size_t offset, uint8_t *scratch)
{
    uint8_t *from = (uint8_t *) pieces[i].iov_base + offset;
    size_t left = pieces[i].iov_len - offset;
    if (left >= RECORD)
        return (struct iovec){from, RECORD};
    if (i + 1 == count)
        return (struct iovec){from, left};
    size_t filled = 0;
    for (; i < count && filled < RECORD; i++, offset = 0) {
        size_t n = pieces[i].iov_len - offset;
        if (n > RECORD - filled)
            n = RECORD - filled;
        if (n > 0)
            memcpy(scratch + filled, (uint8_t *) pieces[i].iov_base + offset, n);
        filled += n;
    }
    return (struct iovec){scratch, filled};
}

enum status tls_stream_write(struct tls_stream *stream, const struct iovec *pieces, unsigned count, size_t limit,
                             size_t *taken)
{
    uint8_t scratch[RECORD];
    unsigned i = 0;
    size_t offset = 0;
    *taken = 0;
    ERR_clear_error();
    while (stream->out->bytes < limit) {
        while (i < count && offset == pieces[i].iov_len) {
            i++;
            offset = 0;
        }
        if (i == count)
            break;
        struct iovec record = next_record(pieces, count, i, offset, scratch);
        size_t written = 0;
        int result = SSL_write_ex(stream->ssl, record.iov_base, record.iov_len, &written);
        if (result != 1) {
            failure(stream, result);
            stream->broken = true;
            return STATUS_TLS;
        }
        *taken += written;
        while (written > 0) {
            size_t n = pieces[i].iov_len - offset;
            if (written < n) {
                offset += written;
                break;
            }
            written -= n;
            i++;
            offset = 0;
        }
    }
    return STATUS_OK;
}

void tls_stream_shutdown(struct tls_stream *stream)
{
    if (stream->broken || SSL_in_init(stream->ssl))
        return;
    ERR_clear_error();
    SSL_shutdown(stream->ssl);
    ERR_clear_error();
}

struct str tls_stream_alpn(const struct tls_stream *stream)
{
    const unsigned char *name = NULL;
    unsigned length = 0;
    SSL_get0_alpn_selected(stream->ssl, &name, &length);
    return (struct str){(const char *) name, length};
}

const char *tls_stream_error(const struct tls_stream *stream)
{
    unsigned long code = ERR_peek_last_error();
    const char *text = code == 0 ? NULL : ERR_reason_error_string(code);
    if (text != NULL)
        return text;
    return stream->reset ? "the connection broke" : "the connection ended";
}

void *tls_stream_peer_certificate(const struct tls_stream *stream)
{
    return SSL_get1_peer_certificate(stream->ssl);
}
