/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_rig.h: the API server of a Kubernetes cluster, played by the test's own thread: it takes the next request, looks
 * at what is asked, and answers as it likes. One connection at a time; over TLS, by a certificate of
 * pool_certificates.h. The environment and a folder say where it is and by what token, as they do in a pod.
 */
#ifndef HEADPOND_T_UNIT_API_RIG_H
#define HEADPOND_T_UNIT_API_RIG_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pool_certificates.h"

#define API_WAIT_MS 30000
#define API_BYTES 65536

static struct {
    char account[64]; /* the service account's folder */
    SSL_CTX *context;
    struct sockaddr_in address;
    int listener, fd;
    SSL *ssl;          /* of the connection there is, or NULL */
    char head[8192];   /* of the request that was taken last */
    unsigned accepted; /* connections so far */
} api = {.listener = -1, .fd = -1};

static inline void api_put(const char *name, const char *text)
{
    char path[128], fresh[128];
    snprintf(path, sizeof path, "%s/%s", api.account, name);
    snprintf(fresh, sizeof fresh, "%s/new", api.account);
    FILE *file = fopen(fresh, "w");
    fputs(text, file);
    fclose(file);
    if (rename(fresh, path) != 0)
        abort();
}

static inline void api_put_token(const char *token)
{
    api_put("token", token);
}

/* At the address it had, if any. */
static inline void api_listen(void)
{
    socklen_t length = sizeof api.address;
    int yes = 1;
    api.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(api.listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(api.listener, (struct sockaddr *) &api.address, length) != 0 || listen(api.listener, 8) != 0 ||
        getsockname(api.listener, (struct sockaddr *) &api.address, &length) != 0)
        abort();
}

/* Breaks the connection off. */
static inline void api_break(void)
{
    SSL_free(api.ssl);
    api.ssl = NULL;
    if (api.fd >= 0)
        close(api.fd);
    api.fd = -1;
}

/* Nobody is there any more. */
static inline void api_down(void)
{
    api_break();
    close(api.listener);
    api.listener = -1;
}

static inline void api_start(struct pool_ca *ca)
{
    struct pool_pair pair;
    char port[8], path[128];
    signal(SIGPIPE, SIG_IGN);
    snprintf(api.account, sizeof api.account, "/tmp/headpond-account-XXXXXX");
    if (mkdtemp(api.account) == NULL)
        abort();
    pool_pair_make(ca, "IP:127.0.0.1", &pair);
    api.context = SSL_CTX_new(TLS_server_method());
    if (SSL_CTX_use_certificate_file(api.context, pair.certificate, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_use_PrivateKey_file(api.context, pair.key, SSL_FILETYPE_PEM) != 1)
        abort();
    snprintf(path, sizeof path, "%s/ca.crt", api.account);
    if (symlink(ca->file, path) != 0)
        abort();
    api_put_token("first-token\n");
    api.address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    api_listen();
    snprintf(port, sizeof port, "%u", ntohs(api.address.sin_port));
    setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1", 1);
    setenv("KUBERNETES_SERVICE_PORT", port, 1);
}

static inline void api_stop(void)
{
    static const char *const names[] = {"token", "ca.crt"};
    char path[128];
    api_down();
    SSL_CTX_free(api.context);
    for (unsigned i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", api.account, names[i]);
        unlink(path);
    }
    rmdir(api.account);
}

/* ---- A request. ---- */

static inline void api_must(bool good, const char *what)
{
    if (good)
        return;
    printf("Bail out! the API server: %s\n", what);
    fflush(stdout);
    abort();
}

static inline bool api_readable(int fd, int ms)
{
    struct pollfd poll_for = {.fd = fd, .events = POLLIN};
    return poll(&poll_for, 1, ms) == 1;
}

/* A handshake that the client gives up is none. */
static inline void api_accept(void)
{
    struct timeval patience = {.tv_sec = API_WAIT_MS / 1000};
    while (api.ssl == NULL) {
        api_must(api_readable(api.listener, API_WAIT_MS), "nobody connects");
        api.fd = accept4(api.listener, NULL, NULL, SOCK_CLOEXEC);
        setsockopt(api.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        api.ssl = SSL_new(api.context);
        SSL_set_fd(api.ssl, api.fd);
        api.accepted++;
        if (SSL_accept(api.ssl) != 1)
            api_break();
    }
}

/* False: the connection has ended before. */
static inline bool api_read_head(void)
{
    size_t used = 0;
    api.head[0] = '\0';
    while (strstr(api.head, "\r\n\r\n") == NULL) {
        api_must(used + 1 < sizeof api.head, "a long head");
        int got = SSL_read(api.ssl, api.head + used, (int) (sizeof api.head - 1 - used));
        if (got <= 0)
            return false;
        used += (size_t) got;
        api.head[used] = '\0';
    }
    return true;
}

/* Takes the next one. */
static inline void api_take(void)
{
    for (;;) {
        api_accept();
        if (api_read_head())
            return;
        api_break();
    }
}

static inline bool api_asked(const char *words)
{
    return strstr(api.head, words) != NULL;
}

/* ---- Its reply. ---- */

/* Whether it went out is not asked: the client may have gone. */
static inline void api_write(const char *text)
{
    if (api.ssl != NULL && text[0] != '\0')
        (void) SSL_write(api.ssl, text, (int) strlen(text));
}

static inline void api_reply(int status, const char *body)
{
    char head[128];
    snprintf(head, sizeof head, "HTTP/1.1 %d Said\r\nContent-Length: %zu\r\n\r\n", status, strlen(body));
    api_write(head);
    api_write(body);
}

/* A watch: its head, then pieces of it, and its end. */
static inline void api_watch(void)
{
    api_write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
}

static inline void api_piece(const char *text)
{
    char head[32];
    snprintf(head, sizeof head, "%zx\r\n", strlen(text));
    api_write(head);
    api_write(text);
    api_write("\r\n");
}

static inline void api_end(void)
{
    api_write("0\r\n\r\n");
}

/* ---- What it tells of. ---- */

#define API_POD(name, address) "{\"hostname\":\"" name "\",\"addresses\":[\"" address "\"]}"
#define API_SLICE(name, version, endpoints)                                                                            \
    "{\"metadata\":{\"name\":\"" name "\",\"resourceVersion\":\"" version                                              \
    "\"},\"ports\":[{\"name\":\"peer\",\"port\":8444}],\"endpoints\":[" endpoints "]}"
/* `more`: "" or ",\"continue\":\"TOKEN\"". */
#define API_LIST(version, more, slices)                                                                                \
    "{\"metadata\":{\"resourceVersion\":\"" version "\"" more "},\"items\":[" slices "]}\n"
#define API_EVENT(type, object) "{\"type\":\"" type "\",\"object\":" object "}\n"
#define API_BOOKMARK(version) API_EVENT("BOOKMARK", "{\"metadata\":{\"resourceVersion\":\"" version "\"}}")
#define API_GONE API_EVENT("ERROR", "{\"kind\":\"Status\",\"metadata\":{},\"code\":410,\"reason\":\"Expired\"}")

#endif
