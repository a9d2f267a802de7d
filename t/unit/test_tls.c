/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_tls.c: what is said of files that cannot serve, and conn.h's client side against its server side, clear and TLS:
 * handshake, checked names, a stream both ways, a polite end, and failures.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "http_rig.h"
#include "net/address.h"
#include "net/conn.h"
#include "net/listener.h"
#include "net/loop.h"
#include "net/tls.h"
#include "on_loop.h"
#include "tap.h"

static char directory[] = "/tmp/headpond-tls-XXXXXX";
static char cert[80], key[80], cert2[80], key2[80], junk[80];

static void test_files(void)
{
    const struct {
        const char *certificate, *key, *ca;
        enum status status;
        const char *says;
    } rows[] = {
        {cert, key, NULL, STATUS_OK, NULL},
        {cert, key, cert2, STATUS_OK, NULL},
        {"/nowhere/cert.pem", key, NULL, STATUS_INVALID, "/nowhere/cert.pem cannot be read"},
        {cert, "/nowhere/key.pem", NULL, STATUS_INVALID, "/nowhere/key.pem cannot be read"},
        {cert, NULL, NULL, STATUS_INVALID, "has no key"},
        {cert, key2, NULL, STATUS_INVALID, "does not belong to certificate"},
        {junk, key, NULL, STATUS_INVALID, "must be PEM"},
        {cert, junk, NULL, STATUS_INVALID, "unencrypted PEM"},
        {cert, key, junk, STATUS_INVALID, "must hold PEM"},
        {cert, key, "/nowhere/ca.pem", STATUS_INVALID, "/nowhere/ca.pem cannot be read"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct strbuf error = {0};
        struct tls *tls = NULL;
        const struct tls_options options = {
            .server = true, .certificate = rows[i].certificate, .key = rows[i].key, .ca = rows[i].ca};
        enum status status = tls_new(&options, &tls, &error);
        is_int(status, rows[i].status, "files, row %zu", i);
        if (rows[i].says != NULL)
            ok(error.len > 0 && strstr(error.ptr, rows[i].says) != NULL && strchr(error.ptr, '\n') == NULL &&
                   tls == NULL,
               "one line: %s", error.ptr);
        tls_free(tls);
        strbuf_free(&error);
    }
}

/* ---- Two ends on one loop ---- */

#define LENGTH 3000000

struct side {
    struct conn *conn;
    bool sends; /* then it ends; the other one reads, and ends when it has seen the end */
    uint64_t sent;
    uint64_t got;
    bool right;
    bool opened;
    bool ended;
    enum status broken;
    char text[128];
};

static unsigned done;
static unsigned needed;
static struct side server, client;
static struct listener *listener;
static struct listener_budget budget;
static int listening;
static unsigned port;
static struct tls *server_tls, *client_tls;
static const char *name;

static void finish(struct side *side, enum conn_end end)
{
    conn_close(&side->conn, end);
    count_up(&done);
}

static void pump(struct side *side)
{
    static uint8_t bytes[50000];
    while (side->sent < LENGTH) {
        size_t n = LENGTH - side->sent < sizeof bytes ? (size_t) (LENGTH - side->sent) : sizeof bytes;
        for (size_t i = 0; i < n; i++)
            bytes[i] = rig_byte(side->sent + i);
        /* Odd pieces, so that records and chunks are cut everywhere. */
        const struct iovec pieces[] = {{bytes, n / 7}, {bytes + n / 7, 0}, {bytes + n / 7, n - n / 7}};
        size_t taken;
        if (conn_writev(side->conn, pieces, 3, side->sent % 3 == 0 ? CONN_MORE : 0, &taken) != STATUS_OK) {
            finish(side, CONN_RESET);
            return;
        }
        side->sent += taken;
        if (taken < n)
            return;
    }
    finish(side, CONN_GRACEFUL);
}

static void on_opened(void *arg)
{
    struct side *side = arg;
    side->opened = true;
    struct str alpn = conn_alpn(side->conn);
    snprintf(side->text, sizeof side->text, "%.*s", STR_ARG(alpn));
    if (side->sends)
        pump(side);
}

static void on_readable(void *arg)
{
    struct side *side = arg;
    static uint8_t bytes[30000];
    for (;;) {
        size_t got;
        enum status status = conn_read(side->conn, bytes, sizeof bytes, &got);
        if (status == STATUS_AGAIN)
            return;
        if (status != STATUS_OK || got == 0) {
            side->ended = status == STATUS_OK;
            side->broken = status;
            if (!side->sends)
                finish(side, CONN_GRACEFUL);
            return;
        }
        for (size_t i = 0; i < got; i++, side->got++)
            if (bytes[i] != rig_byte(side->got))
                side->right = false;
    }
}

static void on_writable(void *arg)
{
    pump(arg);
}

static void on_timeout(void *arg)
{
    (void) arg;
}

static void on_broken(void *arg, enum status why)
{
    struct side *side = arg;
    side->broken = why;
    snprintf(side->text, sizeof side->text, "%s", conn_error_text(side->conn));
    finish(side, CONN_RESET);
}

static const struct conn_events events = {on_opened, on_readable, on_writable, on_timeout, on_broken};

static void on_accept(void *arg, int fd, const struct sockaddr *peer, socklen_t length)
{
    (void) arg;
    (void) peer;
    (void) length;
    const struct conn_options options = {.tls = server_tls, .send_timeout = 10000};
    server.conn = conn_open(loop_current(), fd, &options, &events, &server);
}

static void init(struct loop *loop, void *arg)
{
    (void) arg;
    listener = listener_open(loop, listening, &budget, on_accept, NULL);
    struct sockaddr_storage to;
    socklen_t length;
    char address[64];
    struct strbuf error = {0};
    snprintf(address, sizeof address, "127.0.0.1:%u", port);
    if (address_parse(address, &to, &length, &error) != STATUS_OK)
        abort();
    const struct conn_options options = {.tls = client_tls, .name = name, .send_timeout = 10000};
    client.conn = conn_connect(loop, (struct sockaddr *) &to, length, &options, &events, &client);
}

static void fini(struct loop *loop, void *arg)
{
    (void) arg;
    listener_close(&listener);
    conn_close(&client.conn, CONN_CUT);
    conn_close(&server.conn, CONN_CUT);
    conn_loop_fini(loop);
}

/* Runs both ends until `ends` of them are done. */
static void run(bool client_sends, unsigned ends)
{
    struct strbuf error = {0};
    server = (struct side){.sends = !client_sends, .right = true};
    client = (struct side){.sends = client_sends, .right = true};
    done = 0;
    needed = ends;
    unsigned bound;
    char address[64];
    snprintf(address, sizeof address, "127.0.0.1:%u", port);
    if (listener_bind(address, 1, &listening, &bound, &error) != STATUS_OK) {
        printf("Bail out! %s\n", error.ptr);
        exit(1);
    }
    port = bound;
    struct loop *loop = loop_new(0);
    loop_start(loop, init, fini, NULL);
    count_wait(&done, needed);
    loop_stop(loop);
    loop_join(loop);
    loop_free(loop);
    port = 0;
    strbuf_free(&error);
}

static struct tls *make(const struct tls_options *options)
{
    struct tls *tls = NULL;
    struct strbuf error = {0};
    if (tls_new(options, &tls, &error) != STATUS_OK)
        diag("%s", error.ptr);
    strbuf_free(&error);
    return tls;
}

static void test_streams(void)
{
    const struct tls_options as_server = {.server = true, .certificate = cert, .key = key};
    const struct tls_options as_client = {.ca = cert};
    for (unsigned secure = 0; secure < 2; secure++) {
        server_tls = secure ? make(&as_server) : NULL;
        client_tls = secure ? make(&as_client) : NULL;
        name = secure ? "localhost" : NULL;
        for (unsigned up = 0; up < 2; up++) {
            run(up, 2);
            struct side *reader = up ? &server : &client;
            const char *way = secure ? "TLS" : "clear";
            ok(client.opened && server.opened, "%s: both ends open", way);
            ok(reader->got == LENGTH && reader->right, "%s: all bytes arrive, %s", way, up ? "up" : "down");
            ok(reader->ended, "%s: and then the end, which is a clean one", way);
            if (secure)
                is_str(client.text, "h2", "ALPN prefers h2");
        }
        tls_free(server_tls);
        tls_free(client_tls);
    }
}

static void test_distrust(void)
{
    const struct tls_options as_server = {.server = true, .certificate = cert, .key = key};
    const struct tls_options trusting = {.ca = cert};
    const struct tls_options distrusting = {.ca = cert2};
    server_tls = make(&as_server);
    client_tls = make(&distrusting);
    name = "localhost";
    run(true, 2);
    ok(!client.opened && client.broken == STATUS_TLS, "a certificate of another CA: %s", client.text);
    tls_free(client_tls);
    client_tls = make(&trusting);
    name = "elsewhere.example";
    run(true, 2);
    ok(!client.opened && client.broken == STATUS_TLS, "another name: %s", client.text);
    char unaskable[300] = "";
    name = unaskable;
    run(true, 2);
    ok(!client.opened && client.broken == STATUS_TLS, "an empty name, which OpenSSL would not check: %s", client.text);
    memset(unaskable, 'a', sizeof unaskable - 1);
    run(true, 2);
    ok(!client.opened && client.broken == STATUS_TLS, "a name too long to be asked for: %s", client.text);
    tls_free(server_tls);

    server_tls = NULL;
    name = "localhost";
    run(false, 2);
    ok(!client.opened && client.broken == STATUS_TLS, "a server that speaks no TLS: %s", client.text);

    const struct tls_options mutual = {.server = true, .certificate = cert, .key = key, .ca = cert};
    const struct tls_options known = {.ca = cert, .certificate = cert, .key = key};
    server_tls = make(&mutual);
    run(true, 2);
    ok(!server.opened && server.broken == STATUS_TLS, "a server that asks for a certificate, and gets none: %s",
       server.text);
    tls_free(client_tls);
    client_tls = make(&known);
    run(true, 2);
    ok(server.opened && server.got == LENGTH, "and one that gets one");
    tls_free(client_tls);
    tls_free(server_tls);
    client_tls = server_tls = NULL;
}

/* ---- Renewal ---- */

/* What tls_renew looks at: a pair that is put there by renaming. */
static char live_cert[80], live_key[80];

static void put(const char *from, const char *to)
{
    char text[4096], next[96];
    snprintf(next, sizeof next, "%s.new", to);
    FILE *in = fopen(from, "r"), *out = fopen(next, "w");
    size_t n = fread(text, 1, sizeof text, in);
    fwrite(text, 1, n, out);
    fclose(in);
    fclose(out);
    rename(next, to);
}

static enum tls_renewal renew(struct tls *tls, bool again, const char *says)
{
    struct strbuf error = {0};
    enum tls_renewal renewal = tls_renew(tls, again, &error);
    if (renewal == TLS_REFUSED)
        ok(error.len > 0 && strstr(error.ptr, says) != NULL && strchr(error.ptr, '\n') == NULL, "one line: %s",
           error.ptr);
    else
        ok(error.len == 0, "nothing to complain of");
    strbuf_free(&error);
    return renewal;
}

static void test_renewal(void)
{
    put(cert, live_cert);
    put(key, live_key);
    const struct tls_options options = {.server = true, .certificate = live_cert, .key = live_key};
    struct tls *tls = make(&options);
    ok(tls_not_after(tls) > time(NULL), "a certificate has an end");
    struct ssl_ctx_st *loaded = tls_context(tls);
    is_int(renew(tls, false, NULL), TLS_UNCHANGED, "nothing has changed");
    is_int(renew(tls, true, NULL), TLS_UNCHANGED, "nor when asked again");
    put(cert2, live_cert);
    is_int(renew(tls, false, "does not belong"), TLS_REFUSED, "half a pair is refused");
    ok(tls_context(tls) == loaded, "what was loaded stays");
    is_int(renew(tls, false, NULL), TLS_UNCHANGED, "that is told once");
    is_int(renew(tls, true, "does not belong"), TLS_REFUSED, "unless asked again");
    put(key2, live_key);
    is_int(renew(tls, false, NULL), TLS_RENEWED, "the other half makes it whole");
    ok(tls_context(tls) != loaded, "and it is used");
    is_int(renew(tls, true, NULL), TLS_UNCHANGED, "until something changes again");
    unlink(live_key);
    is_int(renew(tls, false, "cannot be read"), TLS_REFUSED, "a key that is gone");
    is_int(renew(tls, false, NULL), TLS_UNCHANGED, "is told once, too");
    put(junk, live_key);
    is_int(renew(tls, false, "unencrypted PEM"), TLS_REFUSED, "something else is told anew");
    tls_free(tls);
}

static atomic_bool renewing;
static unsigned renewed;

static void *renew_often(void *arg)
{
    struct strbuf error = {0};
    while (atomic_load(&renewing)) {
        put(cert, live_cert); /* the same again: a new inode */
        if (tls_renew(arg, false, &error) == TLS_RENEWED)
            renewed++;
    }
    strbuf_free(&error);
    return NULL;
}

static void test_renewal_under_load(void)
{
    put(cert, live_cert);
    put(key, live_key);
    const struct tls_options as_server = {.server = true, .certificate = live_cert, .key = live_key};
    const struct tls_options as_client = {.ca = cert};
    server_tls = make(&as_server);
    client_tls = make(&as_client);
    name = "localhost";
    pthread_t thread;
    atomic_store(&renewing, true);
    pthread_create(&thread, NULL, renew_often, server_tls);
    unsigned whole = 0;
    for (unsigned i = 0; i < 20; i++) {
        run(i % 2 == 0, 2);
        whole += (i % 2 == 0 ? server.got : client.got) == LENGTH;
    }
    atomic_store(&renewing, false);
    pthread_join(thread, NULL);
    is_int((int) whole, 20, "connections begin and go on while certificates come and go");
    ok(renewed > 0, "%u renewals", renewed);
    tls_free(client_tls);
    tls_free(server_tls);
    client_tls = server_tls = NULL;
    unlink(live_cert);
    unlink(live_key);
}

static void test_no_connection(void)
{
    /* A port that was just free: bound and left. */
    struct strbuf error = {0};
    int fd;
    unsigned free_port;
    if (listener_bind("127.0.0.1:0", 1, &fd, &free_port, &error) != STATUS_OK)
        return;
    close(fd);
    struct sockaddr_storage to;
    socklen_t length;
    char address[64];
    snprintf(address, sizeof address, "127.0.0.1:%u", free_port);
    if (address_parse(address, &to, &length, &error) != STATUS_OK)
        return;
    /* The loop is not started: its base is turned here. */
    client = (struct side){.right = true, .sends = true};
    done = 0;
    struct loop *loop = loop_new(0);
    const struct conn_options options = {.send_timeout = 1000};
    client.conn = conn_connect(loop, (struct sockaddr *) &to, length, &options, &events, &client);
    ok(done == 0, "a refused connection is told from the loop");
    loop_start(loop, NULL, NULL, NULL);
    count_wait(&done, 1);
    loop_stop(loop);
    loop_join(loop);
    is_int(client.broken, STATUS_CONNECT, "as CONNECT");
    conn_loop_fini(loop);
    loop_free(loop);
    strbuf_free(&error);
}

/* ---- An end that never goes out ---- */

static void on_opened_full(void *arg)
{
    struct side *side = arg;
    static uint8_t bytes[LENGTH];
    const struct iovec piece = {bytes, sizeof bytes};
    for (unsigned i = 0; i < 20; i++) {
        size_t taken = 0;
        if (conn_writev(side->conn, &piece, 1, CONN_ALL, &taken) == STATUS_OK)
            side->sent += taken;
    }
    finish(side, CONN_GRACEFUL);
}

static const struct conn_events full_events = {on_opened_full, on_timeout, on_timeout, on_timeout, on_broken};

static void on_accept_full(void *arg, int fd, const struct sockaddr *peer, socklen_t length)
{
    (void) arg, (void) peer, (void) length;
    const struct conn_options options = {.send_timeout = 60000};
    server.conn = conn_open(loop_current(), fd, &options, &full_events, &server);
}

static void init_full(struct loop *loop, void *arg)
{
    (void) arg;
    listener = listener_open(loop, listening, &budget, on_accept_full, NULL);
}

/* More than the kernel takes is pending when a connection that ends gracefully is cut: its peer must not take that for
 * the end. */
static void test_unsent_end(void)
{
    struct strbuf error = {0};
    struct sockaddr_storage to;
    socklen_t length;
    char address[64];
    if (listener_bind("127.0.0.1:0", 1, &listening, &port, &error) != STATUS_OK)
        return;
    snprintf(address, sizeof address, "127.0.0.1:%u", port);
    if (address_parse(address, &to, &length, &error) != STATUS_OK)
        return;
    server = client = (struct side){.right = true};
    done = 0;
    struct loop *loop = loop_new(0);
    loop_start(loop, init_full, fini, NULL);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    const struct timeval limit = {20, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    is_int(connect(fd, (struct sockaddr *) &to, length), 0, "a peer that does not read yet");
    count_wait(&done, 1);
    loop_stop(loop);
    loop_join(loop);
    loop_free(loop);
    static uint8_t bytes[65536];
    uint64_t total = 0;
    ssize_t n;
    while ((n = recv(fd, bytes, sizeof bytes, 0)) > 0)
        total += (uint64_t) n;
    ok(n < 0 && errno == ECONNRESET && total < server.sent, "an end with bytes pending is a reset, after %llu of %llu",
       (unsigned long long) total, (unsigned long long) server.sent);
    close(fd);
    port = 0;
    strbuf_free(&error);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    if (mkdtemp(directory) == NULL)
        return 1;
    const struct {
        char *path;
        const char *file;
    } files[] = {{cert, "cert"}, {key, "key"}, {cert2, "cert2"}, {key2, "key2"}, {junk, "junk"}};
    for (size_t i = 0; i < 5; i++)
        snprintf(files[i].path, sizeof cert, "%s/%s.pem", directory, files[i].file);
    snprintf(live_cert, sizeof live_cert, "%s/live-cert.pem", directory);
    snprintf(live_key, sizeof live_key, "%s/live-key.pem", directory);
    rig_make_certificate(cert, key);
    rig_make_certificate(cert2, key2);
    FILE *file = fopen(junk, "w");
    fputs("this is not PEM\n", file);
    fclose(file);
    test_files();
    test_streams();
    test_distrust();
    test_renewal();
    test_renewal_under_load();
    test_no_connection();
    test_unsent_end();
    for (size_t i = 0; i < 5; i++)
        unlink(files[i].path);
    rmdir(directory);
    return done_testing();
}
