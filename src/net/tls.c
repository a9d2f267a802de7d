/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls.c: builds an SSL_CTX and turns OpenSSL's error queue into one line.
 *
 * The server's session cache is off: tickets carry the state, so loops share no lock and no memory grows with clients.
 * Tickets' keys are the SSL_CTX's own: a renewed certificate costs returning clients one full handshake.
 */
#include "net/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <urcu-qsbr.h>

#include "base/file.h"
#include "base/mem.h"
#include "net/ktls.h"

/* The same order in both: AES-128 first, a third cheaper than AES-256 and as far out of reach; ChaCha20 where the
 * client prefers it for want of AES instructions. */
#define TLS13_SUITES "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define TLS12_CIPHERS                                                                                                  \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"                         \
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"

enum { CERTIFICATE, KEY, CA, FILES };

struct tls {
    _Atomic(SSL_CTX *) context;
    struct tls_options options; /* its strings are ours */
    char *files[FILES];
    struct file_stamp seen[FILES]; /* before they were last loaded or refused */
    bool refused;
    int64_t not_after;
};

static const unsigned char alpn_both[] = "\x02h2\x08http/1.1";
static const unsigned char alpn_h2[] = "\x02h2";

/* Ours first (RFC 7301, 3.2: no overlap is a fatal alert). */
static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_length, const unsigned char *in,
                       unsigned in_length, void *arg)
{
    const unsigned char *ours = arg;
    (void) ssl;
    unsigned char *chosen = NULL;
    if (SSL_select_next_proto(&chosen, out_length, ours, (unsigned) strlen((const char *) ours), in, in_length) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* OpenSSL's last reason, for the end of a line. */
static const char *reason(void)
{
    unsigned long code = ERR_peek_last_error();
    const char *text = code == 0 ? NULL : ERR_reason_error_string(code);
    return text == NULL ? "unknown reason" : text;
}

static enum status check_readable(const char *what, const char *file, struct strbuf *error)
{
    if (access(file, R_OK) == 0)
        return STATUS_OK;
    strbuf_addf(error, "%s file %s cannot be read: %s; check the path and that headpond's user may read it", what, file,
                strerror(errno));
    return STATUS_INVALID;
}

/* A key behind a passphrase would make OpenSSL ask on the terminal. */
static int no_passphrase(char *buffer, int size, int writing, void *arg)
{
    (void) buffer;
    (void) size;
    (void) writing;
    (void) arg;
    return -1;
}

static enum status load_certificate(SSL_CTX *context, const struct tls_options *options, struct strbuf *error)
{
    if (options->key == NULL) {
        strbuf_addf(error, "certificate %s has no key: name its PEM key file", options->certificate);
        return STATUS_INVALID;
    }
    enum status status = check_readable("certificate", options->certificate, error);
    if (status == STATUS_OK)
        status = check_readable("key", options->key, error);
    if (status != STATUS_OK)
        return status;
    if (SSL_CTX_use_certificate_chain_file(context, options->certificate) != 1) {
        strbuf_addf(error, "certificate file %s: %s; it must be PEM, the server's certificate first, then its chain",
                    options->certificate, reason());
        return STATUS_INVALID;
    }
    /* A mismatch shows in either call, depending on the types of the two keys. */
    if (SSL_CTX_use_PrivateKey_file(context, options->key, SSL_FILETYPE_PEM) == 1 &&
        SSL_CTX_check_private_key(context) == 1)
        return STATUS_OK;
    int why = ERR_GET_REASON(ERR_peek_last_error());
    if (why == X509_R_KEY_VALUES_MISMATCH || why == X509_R_KEY_TYPE_MISMATCH || why == SSL_R_NO_CERTIFICATE_ASSIGNED)
        strbuf_addf(error, "key file %s does not belong to certificate %s: name the pair that was issued together",
                    options->key, options->certificate);
    else
        strbuf_addf(error, "key file %s: %s; it must be an unencrypted PEM private key", options->key, reason());
    return STATUS_INVALID;
}

static enum status load_ca(SSL_CTX *context, const struct tls_options *options, struct strbuf *error)
{
    if (options->ca == NULL) {
        if (options->server)
            return STATUS_OK;
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
        if (SSL_CTX_set_default_verify_paths(context) == 1)
            return STATUS_OK;
        strbuf_addf(error, "the system's CAs cannot be read: %s", reason());
        return STATUS_INVALID;
    }
    enum status status = check_readable("CA", options->ca, error);
    if (status != STATUS_OK)
        return status;
    STACK_OF(X509_NAME) *names = options->server ? SSL_load_client_CA_file(options->ca) : NULL;
    if (SSL_CTX_load_verify_file(context, options->ca) != 1 || (options->server && names == NULL)) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        strbuf_addf(error, "CA file %s: %s; it must hold PEM certificates", options->ca, reason());
        return STATUS_INVALID;
    }
    if (options->server)
        SSL_CTX_set_client_CA_list(context, names);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    if (options->issued) { /* what is in the file is trusted as it is, be it an intermediate CA */
        SSL_CTX_set_verify_depth(context, 0);
        X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN);
    }
    return STATUS_OK;
}

/* False: OpenSSL does not take what we ask for, and would go on with something else. */
static bool set_protocol(SSL_CTX *context, const struct tls_options *options)
{
    static const unsigned char id[] = "headpond";
    const unsigned char *alpn = options->only_h2 ? alpn_h2 : alpn_both;
    bool taken = SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
                 SSL_CTX_set_cipher_list(context, TLS12_CIPHERS) == 1 &&
                 SSL_CTX_set_ciphersuites(context, TLS13_SUITES) == 1;
    SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                     SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(context,
                     SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_default_passwd_cb(context, no_passphrase);
    /* One recv for a whole record instead of one for its head and one for its body. */
    SSL_CTX_set_read_ahead(context, 1);
    if (!options->server) /* 0: this one is the other way round */
        return taken && SSL_CTX_set_alpn_protos(context, alpn, (unsigned) strlen((const char *) alpn)) == 0;
    if (ktls_available())
        SSL_CTX_set_options(context, SSL_OP_ENABLE_KTLS);
    SSL_CTX_set_alpn_select_cb(context, choose_alpn, (void *) (uintptr_t) alpn);
    return taken && SSL_CTX_set_session_id_context(context, id, sizeof id - 1) == 1 &&
           SSL_CTX_set_num_tickets(context, 1) == 1;
}

static enum status build(const struct tls_options *options, SSL_CTX **built, struct strbuf *error)
{
    ERR_clear_error();
    SSL_CTX *context = SSL_CTX_new(options->server ? TLS_server_method() : TLS_client_method());
    if (context == NULL || !set_protocol(context, options)) {
        strbuf_addf(error, "OpenSSL cannot start: %s; check its configuration file", reason());
        SSL_CTX_free(context);
        return STATUS_INVALID;
    }
    enum status status = STATUS_OK;
    if (options->certificate != NULL)
        status = load_certificate(context, options, error);
    if (status == STATUS_OK)
        status = load_ca(context, options, error);
    ERR_clear_error();
    if (status == STATUS_OK)
        *built = context;
    else
        SSL_CTX_free(context);
    return status;
}

static int64_t end_of(const SSL_CTX *context)
{
    const X509 *certificate = SSL_CTX_get0_certificate(context);
    struct tm end;
    if (certificate == NULL || ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) != 1)
        return 0;
    return timegm(&end);
}

/* True: a file is not as it was last seen. */
static bool look(struct tls *tls)
{
    bool changed = false;
    for (unsigned i = 0; i < FILES; i++) {
        struct file_stamp now = tls->files[i] == NULL ? (struct file_stamp){0} : file_stamp_of(tls->files[i]);
        changed = changed || !file_stamp_eq(&now, &tls->seen[i]);
        tls->seen[i] = now;
    }
    return changed;
}

enum status tls_new(const struct tls_options *options, struct tls **tls, struct strbuf *error)
{
    *tls = NULL;
    struct tls *made = mem_calloc(1, sizeof *made);
    const char *const names[FILES] = {options->certificate, options->key, options->ca};
    for (unsigned i = 0; i < FILES; i++)
        made->files[i] = names[i] == NULL ? NULL : mem_strdup(names[i]);
    made->options = *options;
    made->options.certificate = made->files[CERTIFICATE];
    made->options.key = made->files[KEY];
    made->options.ca = made->files[CA];
    /* Before they are read: what changes meanwhile is then seen as changed. */
    (void) look(made);
    SSL_CTX *context = NULL;
    enum status status = build(&made->options, &context, error);
    if (status != STATUS_OK) {
        tls_free(made);
        return status;
    }
    atomic_init(&made->context, context);
    made->not_after = end_of(context);
    *tls = made;
    return STATUS_OK;
}

enum tls_renewal tls_renew(struct tls *tls, bool again, struct strbuf *error)
{
    if (!look(tls) && !(again && tls->refused))
        return TLS_UNCHANGED;
    SSL_CTX *context;
    tls->refused = build(&tls->options, &context, error) != STATUS_OK;
    if (tls->refused)
        return TLS_REFUSED;
    tls->not_after = end_of(context);
    SSL_CTX *old = atomic_exchange_explicit(&tls->context, context, memory_order_acq_rel);
    synchronize_rcu();
    SSL_CTX_free(old);
    return TLS_RENEWED;
}

int64_t tls_not_after(const struct tls *tls)
{
    return tls->not_after;
}

void tls_free(struct tls *tls)
{
    if (tls == NULL)
        return;
    SSL_CTX_free(atomic_load_explicit(&tls->context, memory_order_relaxed));
    for (unsigned i = 0; i < FILES; i++)
        mem_free(tls->files[i]);
    mem_free(tls);
}

bool tls_is_server(const struct tls *tls)
{
    return tls->options.server;
}

SSL_CTX *tls_context(const struct tls *tls)
{
    return atomic_load_explicit(&tls->context, memory_order_acquire);
}
