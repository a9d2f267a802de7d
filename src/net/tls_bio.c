/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_bio.c: a BIO of our own and, for kTLS, OpenSSL's socket BIO below it.
 *
 * OpenSSL gives the kernel its keys by a control call to the BIO it writes to, whose number and argument it keeps to
 * itself. As a filter does, we pass down what we do not know, and the socket BIO there knows. Two rules make that safe.
 * No such call passes while the queue holds records of the handshake: the kernel would encrypt them again. OpenSSL
 * flushes before the call; if the socket does not take all then, the call fails, and that connection goes on without
 * the kernel. And the BIO for reading has nothing below it, so that keys for receiving are never handed over: records
 * that are no data (alerts, key updates) remain OpenSSL's to read.
 */
#include "net/tls_bio.h"

#include <openssl/bio.h>
#include <pthread.h>
#include <stdlib.h>

static BIO_METHOD *method;
static pthread_once_t method_once = PTHREAD_ONCE_INIT;

static bool has_keys(BIO *below)
{
#ifndef OPENSSL_NO_KTLS
    return below != NULL && BIO_get_ktls_send(below);
#else
    (void) below;
    return false;
#endif
}

static int write_below(BIO *bio, struct tls_bio *ends, const char *data, int size)
{
    int written = BIO_write(BIO_next(bio), data, size);
    BIO_copy_next_retry(bio);
    if (written > 0)
        return written;
    if (BIO_should_retry(bio))
        ends->sock->writable = false;
    else
        ends->reset = true;
    return -1;
}

static int bio_write(BIO *bio, const char *data, int size)
{
    struct tls_bio *ends = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (size <= 0)
        return 0;
    if (has_keys(BIO_next(bio)))
        return write_below(bio, ends, data, size);
    outq_append(ends->out, ends->pool, data, (size_t) size);
    return size;
}

static int bio_read(BIO *bio, char *data, int size)
{
    struct tls_bio *ends = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (size <= 0)
        return 0;
    size_t got;
    switch (sock_read(ends->sock, data, (size_t) size, &got)) {
    case STATUS_OK:
        return (int) got;
    case STATUS_AGAIN:
        BIO_set_retry_read(bio);
        return -1;
    default:
        ends->reset = true;
        return -1;
    }
}

static long flush(BIO *bio, struct tls_bio *ends)
{
    if (BIO_next(bio) != NULL && !has_keys(BIO_next(bio)) &&
        outq_send(ends->out, ends->pool, ends->sock, NULL) != STATUS_OK)
        ends->reset = true;
    return 1;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    struct tls_bio *ends = BIO_get_data(bio);
    BIO *below = BIO_next(bio);
    switch (command) {
    case BIO_CTRL_FLUSH:
        return flush(bio, ends);
    case BIO_CTRL_EOF:
        return ends->sock->ended;
    default:
        return below == NULL || (ends->out->bytes > 0 && !has_keys(below)) ? 0
                                                                           : BIO_ctrl(below, command, number, pointer);
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

BIO *tls_bio_new(struct tls_bio *ends)
{
    pthread_once(&method_once, make_method);
    BIO *bio = BIO_new(method);
    if (bio == NULL)
        abort(); /* out of memory */
    BIO_set_data(bio, ends);
    return bio;
}

BIO *tls_bio_new_offloading(struct tls_bio *ends)
{
    BIO *bio = tls_bio_new(ends);
    /* This also asks the kernel for its `tls` protocol on the socket; whether it has, keys will show. */
    BIO *below = BIO_new_socket(ends->sock->fd, BIO_NOCLOSE);
    if (below == NULL)
        abort(); /* out of memory */
    return BIO_push(bio, below);
}
