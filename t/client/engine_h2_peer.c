/* SPDX-License-Identifier: Apache-2.0 */
/* See engine_h2.h: the server's address and certificate. */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine_h2.h"

static void fail(struct h2_peer *p, int result, const char *what, const char *detail)
{
    p->result = result;
    snprintf(p->error, sizeof p->error, "%.100s: %.120s", what, detail);
}

static const char *tls_problem(void)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    return reason ? reason : "an unknown error";
}

/* HOST, HOST:PORT or [IPv6]:PORT. false: not a server's name. */
static bool split(struct h2_peer *p, char *port, size_t port_size)
{
    const char *host = p->authority, *end;
    if (*host == '[') {
        end = strchr(++host, ']');
        if (!end)
            return false;
    } else {
        end = host + strcspn(host, ":");
    }
    const char *colon = *end == ']' ? end + 1 : end;
    snprintf(p->host, sizeof p->host, "%.*s", (int) (end - host), host);
    if (*colon == ':')
        snprintf(port, port_size, "%s", colon + 1);
    return p->host[0] && (*colon == ':' || !*colon);
}

/* Names below localhost are the host itself (RFC 6761 section 6.3), whatever its resolver knows. */
static bool is_localhost(const char *host)
{
    static const char name[] = "localhost";
    size_t n = strlen(host), m = sizeof name - 1;
    return n >= m && strcmp(host + n - m, name) == 0 && (n == m || host[n - m - 1] == '.');
}

static void resolve(struct h2_peer *p, const char *port)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *found = NULL;
    int rc = getaddrinfo(is_localhost(p->host) ? "127.0.0.1" : p->host, port, &hints, &found);
    if (rc != 0) {
        fail(p, CURLE_COULDNT_RESOLVE_HOST, p->host, gai_strerror(rc));
        return;
    }
    memcpy(&p->address, found->ai_addr, found->ai_addrlen);
    p->address_len = found->ai_addrlen;
    freeaddrinfo(found);
}

static void set_up_tls(struct h2_peer *p, const char *ca)
{
    static const unsigned char h2[] = {2, 'h', '2'};
    p->tls = SSL_CTX_new(TLS_client_method());
    if (!p->tls)
        abort();
    SSL_CTX_set_min_proto_version(p->tls, TLS1_2_VERSION);
    SSL_CTX_set_mode(p->tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_alpn_protos(p->tls, h2, sizeof h2);
    if (!ca)
        return;
    SSL_CTX_set_verify(p->tls, SSL_VERIFY_PEER, NULL);
    /* A certificate that is trusted need not be a root. */
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(p->tls), X509_V_FLAG_PARTIAL_CHAIN);
    if (SSL_CTX_load_verify_locations(p->tls, ca, NULL) != 1)
        fail(p, CURLE_SSL_CACERT_BADFILE, ca, tls_problem());
}

void h2_peer_init(struct h2_peer *p, const struct options *o, const char *base)
{
    char port[16];
    const char *start = base + (o->tls ? 8 : 7);
    memset(p, 0, sizeof *p);
    snprintf(port, sizeof port, "%d", o->tls ? 443 : 80);
    size_t n = strcspn(start, "/?#");
    snprintf(p->authority, sizeof p->authority, "%.*s", (int) n, start);
    if (n >= sizeof p->authority || !split(p, port, sizeof port))
        fail(p, CURLE_URL_MALFORMAT, "not a server's name", p->authority);
    else
        resolve(p, port);
    if (o->tls)
        set_up_tls(p, o->ca);
}

void h2_peer_fini(struct h2_peer *p)
{
    SSL_CTX_free(p->tls);
}

static bool is_address(const char *host)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

SSL *h2_peer_tls(struct h2_peer *p, int fd)
{
    SSL *tls = SSL_new(p->tls);
    if (!tls || SSL_set_fd(tls, fd) != 1)
        abort();
    if (!is_address(p->host))
        SSL_set_tlsext_host_name(tls, p->host);
    SSL_set_connect_state(tls);
    return tls;
}

bool h2_peer_accept(const struct h2_peer *p, SSL *tls, const char **why)
{
    const unsigned char *protocol;
    unsigned length;
    X509 *certificate = SSL_get0_peer_certificate(tls);
    bool named = certificate && (is_address(p->host) ? X509_check_ip_asc(certificate, p->host, 0)
                                                     : X509_check_host(certificate, p->host, 0, 0, NULL)) == 1;
    SSL_get0_alpn_selected(tls, &protocol, &length);
    bool spoken = length == 2 && memcmp(protocol, "h2", 2) == 0;
    *why = !named ? "the certificate is another server's" : !spoken ? "ALPN did not give HTTP/2" : NULL;
    return named && spoken;
}
