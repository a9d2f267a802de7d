/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_ktls.c: a TLS server's bytes as a client of plain OpenSSL sees them, whoever encrypts: every suite, slow readers
 * and small send buffers, tickets before data, close_notify after it, alerts, new keys. The kernel encrypts exactly
 * when it can; contrib/ktls-check runs this where it can.
 */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/metric.h"
#include "http_rig.h"
#include "net/conn.h"
#include "net/ktls.h"
#include "net/listener.h"
#include "net/loop.h"
#include "net/tls.h"
#include "on_loop.h"
#include "tap.h"

static char directory[] = "/tmp/headpond-ktls-XXXXXX";
static char cert[80], key[80], chain[80];

/* ---- The server: one connection, which sends `length` bytes when it has read one, and ends ---- */

static struct {
    struct listener *listener;
    struct listener_budget budget;
    int listening;
    unsigned port;
    struct tls *tls;
    int send_buffer; /* 0: as the kernel has it */
    uint64_t length;
    struct conn *conn;
    uint64_t sent;
    enum status end; /* how reading ended: OK when the peer's end came, or nothing did */
    char text[128];
    unsigned over;
} server;

static void finish(enum conn_end end)
{
    conn_close(&server.conn, end);
    count_up(&server.over);
}

static void pump(void)
{
    static uint8_t bytes[70000];
    while (server.sent < server.length) {
        uint64_t left = server.length - server.sent;
        size_t n = left < sizeof bytes ? (size_t) left : sizeof bytes;
        for (size_t i = 0; i < n; i++)
            bytes[i] = rig_byte(server.sent + i);
        const struct iovec pieces[] = {{bytes, n / 7}, {bytes + n / 7, 0}, {bytes + n / 7, n - n / 7}};
        size_t taken;
        if (conn_writev(server.conn, pieces, 3, server.sent % 3 == 0 ? CONN_MORE : 0, &taken) != STATUS_OK) {
            finish(CONN_RESET);
            return;
        }
        server.sent += taken;
        if (taken < n)
            return;
    }
    finish(CONN_GRACEFUL);
}

static void on_readable(void *arg)
{
    (void) arg;
    for (;;) {
        char bytes[1000];
        size_t got;
        enum status status = conn_read(server.conn, bytes, sizeof bytes, &got);
        if (status == STATUS_AGAIN)
            return;
        if (status == STATUS_OK && got > 0) {
            pump();
            if (server.conn == NULL)
                return;
            continue;
        }
        server.end = status;
        if (status != STATUS_OK)
            snprintf(server.text, sizeof server.text, "%s", conn_error_text(server.conn));
        finish(CONN_GRACEFUL);
        return;
    }
}

static void on_nothing(void *arg)
{
    (void) arg;
}

static void on_writable(void *arg)
{
    (void) arg;
    pump();
}

static void on_broken(void *arg, enum status why)
{
    (void) arg;
    server.end = why;
    finish(CONN_RESET);
}

static const struct conn_events events = {on_nothing, on_readable, on_writable, on_nothing, on_broken};

static void on_accept(void *arg, int fd, const struct sockaddr *peer, socklen_t length)
{
    (void) arg;
    (void) peer;
    (void) length;
    if (server.send_buffer > 0)
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &server.send_buffer, sizeof server.send_buffer);
    const struct conn_options options = {.tls = server.tls, .send_timeout = 10000};
    server.conn = conn_open(loop_current(), fd, &options, &events, NULL);
}

static void init(struct loop *loop, void *arg)
{
    (void) arg;
    server.listener = listener_open(loop, server.listening, &server.budget, on_accept, NULL);
}

static void fini(struct loop *loop, void *arg)
{
    (void) arg;
    listener_close(&server.listener);
    conn_close(&server.conn, CONN_CUT);
    conn_loop_fini(loop);
}

static struct loop *start(const char *certificate, int send_buffer, uint64_t length)
{
    struct strbuf error = {0};
    const struct tls_options options = {.server = true, .certificate = certificate, .key = key};
    memset(&server, 0, sizeof server);
    server.send_buffer = send_buffer;
    server.length = length;
    if (tls_new(&options, &server.tls, &error) != STATUS_OK ||
        listener_bind("127.0.0.1:0", 1, &server.listening, &server.port, &error) != STATUS_OK) {
        printf("Bail out! %s\n", error.ptr);
        exit(1);
    }
    struct loop *loop = loop_new(0);
    loop_start(loop, init, fini, NULL);
    return loop;
}

static void wait_over(void)
{
    ok(count_wait(&server.over, 1), "the server's side is over");
}

static void stop(struct loop *loop)
{
    loop_stop(loop);
    loop_join(loop);
    loop_free(loop);
    tls_free(server.tls);
}

/* ---- The client: blocking, OpenSSL's own BIO ---- */

struct client {
    SSL_CTX *context;
    SSL *ssl;
    int fd;
};

static bool dial(struct client *client, int version, const char *suite, int receive_buffer)
{
    client->context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(client->context, version);
    SSL_CTX_set_max_proto_version(client->context, version);
    if (suite != NULL && version == TLS1_3_VERSION)
        SSL_CTX_set_ciphersuites(client->context, suite);
    else if (suite != NULL)
        SSL_CTX_set_cipher_list(client->context, suite);
    client->ssl = SSL_new(client->context);
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct timeval patience = {10, 0};
    setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (receive_buffer > 0)
        setsockopt(client->fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t) server.port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    SSL_set_fd(client->ssl, client->fd);
    return connect(client->fd, (struct sockaddr *) &to, sizeof to) == 0 && SSL_connect(client->ssl) == 1;
}

static void hang_up(struct client *client)
{
    SSL_free(client->ssl);
    SSL_CTX_free(client->context);
    close(client->fd);
}

struct received {
    uint64_t bytes;
    bool right;
    int error;  /* SSL_get_error() of the read that ended it */
    int reason; /* and OpenSSL's reason, if it gave one */
};

static struct received read_all(struct client *client, size_t step)
{
    struct received received = {.right = true};
    static uint8_t bytes[65536];
    for (;;) {
        ERR_clear_error();
        int n = SSL_read(client->ssl, bytes, (int) step);
        if (n <= 0) {
            received.error = SSL_get_error(client->ssl, n);
            received.reason = ERR_GET_REASON(ERR_peek_error());
            return received;
        }
        for (int i = 0; i < n; i++, received.bytes++)
            if (bytes[i] != rig_byte(received.bytes))
                received.right = false;
    }
}

static int64_t count(const char *offload)
{
    return metric_cell_value(metric_cell(METRIC_TLS_CONNECTIONS, offload));
}

/* ---- Tests ---- */

static void test_suites(void)
{
    static const struct {
        int version;
        const char *suite;
        bool sure; /* a kernel with TLS has it */
    } rows[] = {
        {TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256", true},
        {TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384", true},
        {TLS1_3_VERSION, "TLS_CHACHA20_POLY1305_SHA256", false},
        {TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256", true},
        {TLS1_2_VERSION, "ECDHE-ECDSA-AES256-GCM-SHA384", true},
        {TLS1_2_VERSION, "ECDHE-ECDSA-CHACHA20-POLY1305", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t kernel = count("kernel"), none = count("none");
        struct loop *loop = start(cert, 0, 3000000);
        struct client client;
        ok(dial(&client, rows[i].version, rows[i].suite, 0), "%s: the handshake", rows[i].suite);
        is_int(SSL_write(client.ssl, "x", 1), 1, "it asks");
        struct received received = read_all(&client, 30000);
        ok(received.bytes == 3000000 && received.right, "%llu bytes come, and the right ones",
           (unsigned long long) received.bytes);
        is_int(received.error, SSL_ERROR_ZERO_RETURN, "then close_notify");
        char byte;
        is_int((int) recv(client.fd, &byte, 1, 0), 0, "then FIN");
        ok(SSL_SESSION_has_ticket(SSL_get_session(client.ssl)), "a ticket came, too");
        is_int((int) (count("kernel") - kernel + count("none") - none), 1, "the handshake is counted once");
        if (rows[i].sure)
            is_int((int) (count("kernel") - kernel), ktls_available(), "the kernel encrypts exactly when it can");
        hang_up(&client);
        wait_over();
        stop(loop);
    }
}

/* The end of what a small send buffer holds: records cut by a full socket, and a graceful end behind them. */
static void test_slow(void)
{
    static const struct {
        int send_buffer, receive_buffer;
        size_t step;
        uint64_t length;
    } rows[] = {
        {0, 2000, 30000, 2000000},   {4000, 2000, 700, 300000}, {20000, 0, 50000, 1000000},
        {60000, 4000, 16384, 16385}, {60000, 4000, 999, 90000}, {0, 4000, 100, 100000},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct loop *loop = start(cert, rows[i].send_buffer, rows[i].length);
        struct client client;
        ok(dial(&client, TLS1_3_VERSION, NULL, rows[i].receive_buffer), "a slow reader, row %zu", i);
        is_int(SSL_write(client.ssl, "x", 1), 1, "it asks");
        struct received received = read_all(&client, rows[i].step);
        ok(received.bytes == rows[i].length && received.right, "%llu bytes come, and the right ones",
           (unsigned long long) received.bytes);
        is_int(received.error, SSL_ERROR_ZERO_RETURN, "then close_notify");
        hang_up(&client);
        wait_over();
        stop(loop);
    }
}

/* A flight of the server's that its socket does not take at once: the handshake must not wait, nor go wrong. */
static void test_long_handshake(void)
{
    int64_t kernel = count("kernel");
    struct loop *loop = start(chain, 4000, 100000);
    struct client client;
    ok(dial(&client, TLS1_3_VERSION, NULL, 2000), "a chain that is longer than the socket's buffer");
    is_int(SSL_write(client.ssl, "x", 1), 1, "it asks");
    struct received received = read_all(&client, 5000);
    ok(received.bytes == 100000 && received.right, "all bytes come");
    is_int(received.error, SSL_ERROR_ZERO_RETURN, "then close_notify");
    is_int((int) (count("kernel") - kernel), 0, "without the kernel");
    hang_up(&client);
    wait_over();
    stop(loop);
}

static void test_new_keys(void)
{
    struct loop *loop = start(cert, 0, 100000);
    struct client client;
    ok(dial(&client, TLS1_3_VERSION, NULL, 0), "a client");
    is_int(SSL_key_update(client.ssl, SSL_KEY_UPDATE_REQUESTED), 1, "asks for new keys");
    is_int(SSL_write(client.ssl, "x", 1), 1, "and for bytes");
    struct received received = read_all(&client, 30000);
    wait_over();
    if (ktls_available()) {
        is_int((int) received.bytes, 0, "no byte comes under the old ones");
        is_int(received.reason, SSL_R_UNEXPECTED_EOF_WHILE_READING, "the connection ends without close_notify");
        is_int(server.end, STATUS_TLS, "as a failure of TLS");
        ok(strstr(server.text, "new keys") != NULL, "with a reason: %s", server.text);
    } else {
        ok(received.bytes == 100000 && received.right, "they come under the new ones");
        is_int(received.error, SSL_ERROR_ZERO_RETURN, "then close_notify");
    }
    hang_up(&client);
    stop(loop);
}

static void test_alert(void)
{
    struct loop *loop = start(cert, 0, 0);
    struct client client;
    ok(dial(&client, TLS1_3_VERSION, NULL, 0), "a client");
    static const uint8_t forged[] = {23, 3, 3, 0, 32, [36] = 0};
    is_int((int) send(client.fd, forged, sizeof forged, 0), (int) sizeof forged, "whose record is forged");
    struct received received = read_all(&client, 1000);
    is_int(received.reason, SSL_AD_REASON_OFFSET + SSL_AD_BAD_RECORD_MAC, "gets the alert for that");
    wait_over();
    is_int(server.end, STATUS_TLS, "and we know");
    hang_up(&client);
    stop(loop);
}

/* A chain of some 30 KB: the certificate and copies of it. */
static void make_chain(void)
{
    char text[4096];
    FILE *in = fopen(cert, "r"), *out = fopen(chain, "w");
    size_t n = fread(text, 1, sizeof text, in);
    for (unsigned i = 0; i < 60; i++)
        fwrite(text, 1, n, out);
    fclose(in);
    fclose(out);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    if (mkdtemp(directory) == NULL)
        return 1;
    snprintf(cert, sizeof cert, "%s/cert.pem", directory);
    snprintf(key, sizeof key, "%s/key.pem", directory);
    snprintf(chain, sizeof chain, "%s/chain.pem", directory);
    rig_make_certificate(cert, key);
    make_chain();
    diag("the kernel %s TLS records", ktls_available() ? "makes" : "makes no");
    test_suites();
    test_slow();
    test_long_handshake();
    test_new_keys();
    test_alert();
    unlink(cert);
    unlink(key);
    unlink(chain);
    rmdir(directory);
    return done_testing();
}
