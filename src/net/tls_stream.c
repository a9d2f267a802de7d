/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_stream.c: OpenSSL over BIOs of our own.
 *
 * Until the kernel has the keys, writing appends to the connection's queue and always succeeds, so SSL_write never asks
 * to be called again with the same bytes. When it has them, SSL_write is not used at all.
 */
#include "net/tls_stream.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/metric.h"
#include "net/tls_bio.h"

#define RECORD 16384

struct tls_stream {
    SSL *ssl;
    struct tls_bio ends;
    const char *reason; /* for tls_stream_error, when it is not OpenSSL's; static */
    bool offloaded;     /* the kernel makes the records that are sent */
    bool met_http;      /* in place of a handshake */
    bool broken;        /* OpenSSL failed: no close_notify may follow */
};

/* OpenSSL takes an empty name for none to check. */
static bool name_peer(SSL *ssl, const char *name)
{
    return name[0] != '\0' && SSL_set1_host(ssl, name) == 1 &&
           SSL_set_tlsext_host_name(ssl, (char *) (uintptr_t) name) == 1;
}

struct tls_stream *tls_stream_new(struct tls *tls, const char *name, struct sock *sock, struct outq *out,
                                  struct outq_pool *pool)
{
    struct tls_stream *stream = mem_calloc(1, sizeof *stream);
    stream->ends = (struct tls_bio){.sock = sock, .out = out, .pool = pool};
    stream->ssl = SSL_new(tls_context(tls));
    if (stream->ssl == NULL)
        abort(); /* out of memory */
    BIO *reader = tls_bio_new(&stream->ends);
    bool offload = (SSL_get_options(stream->ssl) & SSL_OP_ENABLE_KTLS) != 0;
    SSL_set_bio(stream->ssl, reader, offload ? tls_bio_new_offloading(&stream->ends) : reader);
    if (tls_is_server(tls)) {
        SSL_set_accept_state(stream->ssl);
    } else {
        SSL_set_connect_state(stream->ssl);
        if (name != NULL && !name_peer(stream->ssl, name)) {
            stream->broken = true; /* no handshake without the check of the name */
            stream->reason = "the server's name cannot be asked for";
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
    case SSL_ERROR_WANT_WRITE:
        return STATUS_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return STATUS_OK;
    case SSL_ERROR_SYSCALL:
        stream->broken = true;
        return STATUS_RESET;
    default:
        stream->broken = true;
        /* An end without close_notify says nothing about TLS: somebody left, or only looked whether we listen. */
        if (stream->ends.reset || ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
            return STATUS_RESET;
        stream->met_http = ERR_GET_REASON(ERR_peek_error()) == SSL_R_HTTP_REQUEST;
        if (stream->met_http)
            stream->reason = "an HTTP request on a TLS port";
        return STATUS_TLS;
    }
}

static void note_open(struct tls_stream *stream)
{
#ifndef OPENSSL_NO_KTLS
    stream->offloaded = BIO_get_ktls_send(SSL_get_wbio(stream->ssl));
#endif
    if (SSL_is_server(stream->ssl))
        metric_cell_add(metric_cell(METRIC_TLS_CONNECTIONS, stream->offloaded ? "kernel" : "none"), 1);
}

enum status tls_stream_handshake(struct tls_stream *stream)
{
    ERR_clear_error();
    if (stream->broken)
        return STATUS_TLS;
    int result = SSL_do_handshake(stream->ssl);
    if (result == 1) {
        note_open(stream);
        return STATUS_OK;
    }
    enum status status = failure(stream, result);
    return status == STATUS_OK ? STATUS_RESET : status;
}

bool tls_stream_met_http(const struct tls_stream *stream)
{
    return stream->met_http;
}

bool tls_stream_offloaded(const struct tls_stream *stream)
{
    return stream->offloaded;
}

/* TLS 1.3 (RFC 8446, 4.6.3): a peer may ask for new keys before our next data. OpenSSL would answer in its next
 * SSL_write and has no way to give the kernel new keys, so there can be no more data. */
static enum status check_keys(struct tls_stream *stream, enum status status)
{
    if (!stream->offloaded || SSL_get_key_update_type(stream->ssl) == SSL_KEY_UPDATE_NONE)
        return status;
    stream->broken = true;
    stream->reason = "the peer asks for new keys, which cannot be changed in the kernel";
    return STATUS_TLS;
}

enum status tls_stream_read(struct tls_stream *stream, void *data, size_t size, size_t *got)
{
    *got = 0;
    ERR_clear_error();
    int result = SSL_read_ex(stream->ssl, data, size, got);
    return check_keys(stream, result == 1 ? STATUS_OK : failure(stream, result));
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
    while (stream->ends.out->bytes < limit) {
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

enum status tls_stream_shutdown(struct tls_stream *stream)
{
    if (stream->broken || SSL_in_init(stream->ssl))
        return STATUS_OK;
    ERR_clear_error();
    int result = SSL_shutdown(stream->ssl);
    bool full = result < 0 && SSL_get_error(stream->ssl, result) == SSL_ERROR_WANT_WRITE;
    ERR_clear_error();
    return full ? STATUS_AGAIN : STATUS_OK;
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
    if (stream->reason != NULL)
        return stream->reason;
    unsigned long code = ERR_peek_last_error();
    const char *text = code == 0 ? NULL : ERR_reason_error_string(code);
    if (text != NULL)
        return text;
    return stream->ends.reset ? "the connection broke" : "the connection ended";
}

void *tls_stream_peer_certificate(const struct tls_stream *stream)
{
    return SSL_get1_peer_certificate(stream->ssl);
}
