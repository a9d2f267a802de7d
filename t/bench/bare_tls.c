/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bare_tls.c: OpenSSL writes its records to a BIO that gathers them in memory, and a batch of them goes to the socket
 * by one call: a call of its own for each would cost more than encrypting it. What the socket does not take is copied
 * to the connection, so that all others can share the memory.
 */
#include "bare_tls.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define RECORD ((size_t) 16384)
/* Of plaintext. More makes it no cheaper, and would not stay in the caches between encrypting and sending. */
#define BATCH (16 * RECORD)
/* What records add to a batch, and what OpenSSL may want to say in between. */
#define ADDED 4096

struct bare_tls {
    SSL *ssl;
    int fd;
    bool ready; /* the handshake is over, and it is known who encrypts */
    bool in_kernel;
    uint8_t *left; /* records that the socket had no room for, or NULL */
    size_t left_at, left_end;
};

static SSL_CTX *context;
static BIO_METHOD *gathering;
static uint8_t gathered[BATCH + ADDED];
static size_t gathered_size;

static void die(const char *what)
{
    fprintf(stderr, "%s: ", what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

/* ---- Gathering. ---- */

static int gather(BIO *bio, const char *data, int size)
{
    (void) bio;
    if (size <= 0)
        return 0;
    if ((size_t) size > sizeof gathered - gathered_size)
        die("more than a batch");
    memcpy(gathered + gathered_size, data, (size_t) size);
    gathered_size += (size_t) size;
    return size;
}

static long control(BIO *bio, int command, long number, void *pointer)
{
    (void) bio;
    (void) number;
    (void) pointer;
    return command == BIO_CTRL_FLUSH;
}

static int create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

void bare_tls_start(const char *certificate, const char *key)
{
    context = SSL_CTX_new(TLS_server_method());
    gathering = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "gathering");
    if (!context || !gathering || !BIO_meth_set_write(gathering, gather) || !BIO_meth_set_ctrl(gathering, control) ||
        !BIO_meth_set_create(gathering, create))
        die("OpenSSL");
    if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1)
        die(certificate);
    SSL_CTX_set_options(context, SSL_OP_ENABLE_KTLS);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context, 1);
    /* One recv for a whole record instead of one for its head and one for its body. */
    SSL_CTX_set_read_ahead(context, 1);
}

/* ---- Connections. ---- */

struct bare_tls *bare_tls_new(int fd)
{
    struct bare_tls *tls = calloc(1, sizeof *tls);
    if (!tls || !(tls->ssl = SSL_new(context)) || SSL_set_fd(tls->ssl, fd) != 1)
        die("a connection");
    tls->fd = fd;
    SSL_set_accept_state(tls->ssl);
    return tls;
}

void bare_tls_free(struct bare_tls *tls)
{
    if (!tls)
        return;
    SSL_free(tls->ssl);
    free(tls->left);
    free(tls);
}

bool bare_tls_in_kernel(const struct bare_tls *tls)
{
    return tls->in_kernel;
}

bool bare_tls_waits(const struct bare_tls *tls)
{
    return tls->left;
}

/* Sends what waits. false: some still does, or the connection is over: errno. */
static bool send_left(struct bare_tls *tls)
{
    while (tls->left_at < tls->left_end) {
        ssize_t sent = send(tls->fd, tls->left + tls->left_at, tls->left_end - tls->left_at, MSG_NOSIGNAL);
        if (sent < 0)
            return false;
        tls->left_at += (size_t) sent;
    }
    free(tls->left);
    tls->left = NULL;
    return true;
}

/* Sends what was gathered, or keeps it. false: the connection is over: errno. */
static bool send_gathered(struct bare_tls *tls)
{
    size_t size = gathered_size;
    gathered_size = 0;
    ssize_t sent = send(tls->fd, gathered, size, MSG_NOSIGNAL);
    if (sent == (ssize_t) size)
        return true;
    if (sent < 0 && errno != EAGAIN && errno != EINTR)
        return false;
    sent = sent < 0 ? 0 : sent;
    tls->left_at = 0;
    tls->left_end = size - (size_t) sent;
    tls->left = malloc(tls->left_end);
    if (!tls->left)
        die("malloc");
    memcpy(tls->left, gathered + sent, tls->left_end);
    return true;
}

/* The handshake writes to the socket itself, which has room for it: from there OpenSSL gives the kernel its keys. */
static void handshake_over(struct bare_tls *tls)
{
    tls->ready = true;
    tls->in_kernel = BIO_get_ktls_send(SSL_get_wbio(tls->ssl));
    BIO *bio = tls->in_kernel ? NULL : BIO_new(gathering);
    if (!tls->in_kernel && !bio)
        die("a connection");
    if (bio)
        SSL_set0_wbio(tls->ssl, bio);
}

ssize_t bare_tls_read(struct bare_tls *tls, void *data, size_t size)
{
    int got = SSL_read(tls->ssl, data, (int) size);
    if (!tls->ready && SSL_is_init_finished(tls->ssl))
        handshake_over(tls);
    /* An answer to the client's change of keys, say. */
    if (gathered_size > 0 && !send_gathered(tls))
        return -1;
    if (got > 0)
        return got;
    int error = SSL_get_error(tls->ssl, got);
    ERR_clear_error();
    if (error == SSL_ERROR_ZERO_RETURN)
        return 0;
    errno = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? EAGAIN : ECONNRESET;
    return -1;
}

/* ---- Writing. ---- */

static bool encrypt(struct bare_tls *tls, const char *data, size_t size)
{
    while (size > 0) {
        int taken = SSL_write(tls->ssl, data, size < RECORD ? (int) size : (int) RECORD);
        if (taken <= 0) {
            ERR_clear_error();
            errno = ECONNRESET;
            return false;
        }
        data += taken;
        size -= (size_t) taken;
    }
    return true;
}

/* The head, with so much of the body that all other records are full ones: no more records than there must be, and no
 * more copied than one of them. *taken of the body. */
static bool encrypt_head(struct bare_tls *tls, const char *head, size_t head_size, const char *body, size_t body_size,
                         size_t *taken)
{
    char first[RECORD];
    size_t with = body_size % RECORD, room = RECORD - head_size;
    *taken = with < room ? with : room;
    memcpy(first, head, head_size);
    memcpy(first + head_size, body, *taken);
    return encrypt(tls, first, head_size + *taken);
}

ssize_t bare_tls_write(struct bare_tls *tls, const char *head, size_t head_size, const char *body, size_t body_size)
{
    size_t done = 0;
    if (tls->left && !send_left(tls))
        return -1;
    if (head_size > 0 && !encrypt_head(tls, head, head_size, body, body_size, &done))
        return -1;
    do {
        size_t room = gathered_size > 0 ? BATCH - RECORD : BATCH; /* the head's is there */
        size_t size = body_size - done < room ? body_size - done : room;
        if (!encrypt(tls, body + done, size) || (gathered_size > 0 && !send_gathered(tls)))
            return -1;
        done += size;
    } while (done < body_size && !tls->left);
    return (ssize_t) (head_size + done);
}
