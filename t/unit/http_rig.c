/* SPDX-License-Identifier: Apache-2.0 */
/* http_rig.c: see http_rig.h. The handler runs on the loops, the tests on the main thread; they meet in atomics. */
#include "http_rig.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/conn.h"
#include "net/listener.h"
#include "net/loop.h"
#include "net/tls.h"
#include "on_loop.h"

#define MAX_LOOPS 4

struct side {
    struct loop *loop;
    struct http_server *server;
    struct listener *listeners[2];
    int fds[2];
    struct letter drain;
};

static struct {
    struct rig_options options;
    struct side sides[MAX_LOOPS];
    struct tls *tls;
    struct listener_budget budget;
    unsigned finished[STATUS_COUNT];
    unsigned requests;
    unsigned refused;
    atomic_uint_fast64_t pulled;
} rig_state;

/* ---- Sources ---- */

struct seeded {
    struct source source;
    struct timer timer;
    uint64_t at;
    uint64_t length;
    uint64_t fail_at;
    uint64_t piece; /* 0: no waiting */
    uint64_t allowed;
    bool waiting;
    uint8_t bytes[65536];
};

static void on_allow(struct timer *timer)
{
    struct seeded *seeded = (struct seeded *) (void *) ((char *) timer - offsetof(struct seeded, timer));
    seeded->allowed = seeded->at + seeded->piece;
    seeded->source.ready(seeded->source.arg);
}

static enum source_state seeded_peek(struct source *source, struct source_view *view, size_t max)
{
    struct seeded *seeded = (struct seeded *) source;
    if (seeded->at == seeded->fail_at) {
        source->error = STATUS_STALLED;
        return SOURCE_FAILED;
    }
    if (seeded->at == seeded->length)
        return SOURCE_END;
    uint64_t end = seeded->fail_at < seeded->length ? seeded->fail_at : seeded->length;
    if (seeded->piece > 0) {
        if (seeded->allowed <= seeded->at) {
            timer_set(&seeded->timer, 0);
            return SOURCE_WAIT;
        }
        if (seeded->allowed < end)
            end = seeded->allowed;
    }
    size_t n = end - seeded->at < max ? (size_t) (end - seeded->at) : max;
    if (n > sizeof seeded->bytes)
        n = sizeof seeded->bytes;
    for (size_t i = 0; i < n; i++)
        seeded->bytes[i] = rig_byte(seeded->at + i);
    /* In two pieces, so that gathering is exercised. */
    size_t half = n / 3;
    if (half > 0)
        view->pieces[view->count++] = (struct iovec){seeded->bytes, half};
    view->pieces[view->count++] = (struct iovec){seeded->bytes + half, n - half};
    view->bytes = n;
    return SOURCE_DATA;
}

static void seeded_consume(struct source *source, size_t bytes)
{
    struct seeded *seeded = (struct seeded *) source;
    seeded->at += bytes;
    /* What was shown may not be relied on any more. */
    memset(seeded->bytes, 0xee, sizeof seeded->bytes);
    atomic_fetch_add(&rig_state.pulled, bytes);
}

static void seeded_close(struct source *source)
{
    struct seeded *seeded = (struct seeded *) source;
    timer_fini(&seeded->timer);
    mem_free(seeded);
}

static const struct source_class seeded_class = {"seeded", seeded_peek, seeded_consume, seeded_close};

static struct source *seeded_new(uint64_t length, uint64_t fail_at, uint64_t piece)
{
    struct seeded *seeded = mem_calloc(1, sizeof *seeded);
    seeded->source.class = &seeded_class;
    seeded->length = length;
    seeded->fail_at = fail_at;
    seeded->piece = piece;
    timer_init(&seeded->timer, loop_current(), on_allow);
    return &seeded->source;
}

/* ---- The handler ---- */

struct job {
    struct http_exchange *x;
    struct timer timer;
    struct source *body;
    uint64_t number;
    uint64_t bytes;
    uint64_t sum;
    bool answered;
};

static void answer(struct http_exchange *x, int status, int64_t length, struct source *body)
{
    struct http_response head = {.status = status, .content_length = length};
    head.headers.arena = x->arena;
    http_headers_add(&head.headers, STR("X-Rig"), STR("yes"));
    http_reply(x, &head, &body);
}

static void answer_text(struct http_exchange *x, int status, struct str text)
{
    answer(x, status, (int64_t) text.len, source_from_str(text));
}

static void on_late(struct timer *timer)
{
    struct job *job = (struct job *) (void *) ((char *) timer - offsetof(struct job, timer));
    answer(job->x, 200, (int64_t) job->number, seeded_new(job->number, UINT64_MAX, 0));
}

static void on_counted(void *arg)
{
    struct job *job = arg;
    for (;;) {
        struct source_view view;
        enum source_state state = source_peek(job->body, &view, 100000);
        if (state == SOURCE_WAIT)
            return;
        if (state == SOURCE_DATA) {
            for (unsigned i = 0; i < view.count; i++)
                for (size_t k = 0; k < view.pieces[i].iov_len; k++)
                    job->sum += ((uint8_t *) view.pieces[i].iov_base)[k] ^ (job->bytes++ & 0xff);
            source_consume(job->body, view.bytes);
            continue;
        }
        int status = state == SOURCE_END ? 200 : job->body->error == STATUS_CLIENT_TIMEOUT ? 408 : 400;
        source_close(&job->body);
        job->answered = true;
        if (job->x != NULL)
            answer_text(job->x, status,
                        arena_printf(job->x->arena, "%llu %llu", (unsigned long long) job->bytes,
                                     (unsigned long long) job->sum));
        return;
    }
}

static void show_request(struct http_exchange *x)
{
    struct strbuf text = {0};
    const struct http_request *request = &x->request;
    strbuf_addf(&text, "%.*s|%.*s|%.*s|%lld|%d\n", STR_ARG(request->method_text), STR_ARG(request->target),
                STR_ARG(request->authority), (long long) request->content_length, request->version);
    for (unsigned i = 0; i < request->headers.count; i++)
        strbuf_addf(&text, "%.*s=%.*s\n", STR_ARG(request->headers.items[i].name),
                    STR_ARG(request->headers.items[i].value));
    answer_text(x, 200, strbuf_str(&text));
    strbuf_free(&text);
}

static bool numbers(struct str target, const char *prefix, uint64_t *a, uint64_t *b)
{
    struct str head = str_from(prefix);
    if (!str_starts(target, head))
        return false;
    char text[64];
    snprintf(text, sizeof text, "%.*s", (int) (target.len - head.len), target.ptr + head.len);
    *a = *b = 0;
    char *end;
    *a = strtoull(text, &end, 10);
    if (*end == '/')
        *b = strtoull(end + 1, NULL, 10);
    return true;
}

static void with_body(struct http_exchange *x, struct job *job, struct str target)
{
    if (str_eq(target, STR("/echo"))) {
        answer(x, 200, x->request.content_length, http_take_body(x));
    } else if (str_eq(target, STR("/count"))) {
        job->body = http_take_body(x);
        if (job->body == NULL) {
            answer_text(x, 200, STR("0 0"));
            return;
        }
        source_listen(job->body, on_counted, job);
        on_counted(job);
    } else if (str_eq(target, STR("/drop"))) {
        struct source *body = http_take_body(x);
        source_close(&body);
        answer_text(x, 200, STR("dropped"));
    } else if (str_eq(target, STR("/ignore"))) {
        answer_text(x, 200, STR("ignored"));
    } else if (str_eq(target, STR("/headers"))) {
        show_request(x);
    } else if (str_eq(target, STR("/abort"))) {
        http_abort(x, STATUS_CANCELLED);
    } else if (rig_state.options.other != NULL) {
        rig_state.options.other(x);
    } else if (!str_eq(target, STR("/never"))) {
        answer_text(x, 404, STR("no such path"));
    }
}

static void on_request(void *arg, struct http_exchange *x)
{
    (void) arg;
    struct str target = x->request.target;
    struct job *job = mem_calloc(1, sizeof *job);
    job->x = x;
    x->user = job;
    count_up(&rig_state.requests);
    uint64_t a, b;
    if (numbers(target, "/mem/", &a, &b)) {
        answer(x, 200, (int64_t) a, seeded_new(a, UINT64_MAX, 0));
    } else if (numbers(target, "/unknown/", &a, &b)) {
        answer(x, 200, HTTP_LENGTH_UNKNOWN, seeded_new(a, UINT64_MAX, 0));
    } else if (numbers(target, "/slow/", &a, &b)) {
        answer(x, 200, (int64_t) a, seeded_new(a, UINT64_MAX, b));
    } else if (numbers(target, "/fail/", &a, &b)) {
        answer(x, 200, (int64_t) a, seeded_new(a, b, 0));
    } else if (numbers(target, "/failunknown/", &a, &b)) {
        answer(x, 200, HTTP_LENGTH_UNKNOWN, seeded_new(UINT64_MAX, a, 0));
    } else if (numbers(target, "/short/", &a, &b)) {
        answer(x, 200, (int64_t) a, seeded_new(b, UINT64_MAX, 0));
    } else if (numbers(target, "/status/", &a, &b)) {
        answer(x, (int) a, 0, NULL);
    } else if (numbers(target, "/hold/", &a, &b)) {
        usleep((useconds_t) a * 1000);
        answer(x, 204, 0, NULL);
    } else if (numbers(target, "/late/", &a, &b)) {
        job->number = a;
        timer_init(&job->timer, x->loop, on_late);
        timer_set(&job->timer, 1);
    } else {
        with_body(x, job, target);
    }
}

static void on_refused(void *arg, struct http_exchange *x, enum status why)
{
    (void) arg;
    struct job *job = mem_calloc(1, sizeof *job);
    job->x = x;
    x->user = job;
    count_up(&rig_state.refused);
    int status = 400;
    switch (why) {
    case STATUS_URI_TOO_LONG:
        status = 414;
        break;
    case STATUS_HEADERS_TOO_LARGE:
        status = 431;
        break;
    case STATUS_BAD_VERSION:
        status = 505;
        break;
    case STATUS_NOT_IMPLEMENTED:
        status = 501;
        break;
    case STATUS_NO_MEMORY:
        status = 503;
        break;
    case STATUS_METHOD_NOT_ALLOWED:
        status = 405;
        break;
    case STATUS_EXPECTATION_FAILED:
        status = 417;
        break;
    case STATUS_CLIENT_TIMEOUT:
        status = 408;
        break;
    default:
        break;
    }
    answer_text(x, status, str_from(status_name(why)));
}

static void on_finished(void *arg, struct http_exchange *x, enum status how)
{
    (void) arg;
    struct job *job = x->user;
    assert(job != NULL && job->x == x);
    source_close(&job->body);
    if (job->timer.event != NULL)
        timer_fini(&job->timer);
    mem_free(job);
    x->user = NULL;
    count_up(&rig_state.finished[how]);
}

/* ---- Start and stop ---- */

static void on_accept(void *arg, int fd, const struct sockaddr *peer, socklen_t length)
{
    struct side *side = arg;
    http_server_accept(side->server, fd, peer, length, "rig", NULL);
}

static void on_accept_tls(void *arg, int fd, const struct sockaddr *peer, socklen_t length)
{
    struct side *side = arg;
    http_server_accept(side->server, fd, peer, length, "rig", rig_state.tls);
}

static void side_init(struct loop *loop, void *arg)
{
    struct side *side = arg;
    const struct http_handler handler = {.request = on_request, .refused = on_refused, .finished = on_finished};
    side->server = http_server_new(loop, &rig_state.options.limits, &handler, &rig_state.budget);
    side->listeners[0] = listener_open(loop, side->fds[0], &rig_state.budget, on_accept, side);
    side->listeners[1] = listener_open(loop, side->fds[1], &rig_state.budget, on_accept_tls, side);
}

static void side_fini(struct loop *loop, void *arg)
{
    struct side *side = arg;
    listener_close(&side->listeners[0]);
    listener_close(&side->listeners[1]);
    http_server_free(side->server);
    conn_loop_fini(loop);
}

static void on_drain(struct letter *letter)
{
    struct side *side = (struct side *) (void *) ((char *) letter - offsetof(struct side, drain));
    listener_close(&side->listeners[0]);
    listener_close(&side->listeners[1]);
    http_server_drain(side->server);
}

unsigned rig_free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(fd, (struct sockaddr *) &address, length) != 0 ||
        getsockname(fd, (struct sockaddr *) &address, &length) != 0)
        printf("Bail out! no port\n");
    close(fd);
    return ntohs(address.sin_port);
}

int rig_dial(const struct rig *rig, int room)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (room > 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room); /* before it connects: later, loopback crawls */
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t) rig->clear_port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const struct timeval limit = {20, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (connect(fd, (struct sockaddr *) &to, sizeof to) != 0) {
        printf("Bail out! connect: %s\n", strerror(errno));
        exit(1);
    }
    return fd;
}

void rig_drain(void)
{
    for (unsigned i = 0; i < rig_state.options.loops; i++) {
        rig_state.sides[i].drain.deliver = on_drain;
        loop_post(rig_state.sides[i].loop, &rig_state.sides[i].drain);
    }
}

void rig_start(struct rig *rig, const struct rig_options *options)
{
    signal(SIGPIPE, SIG_IGN); /* as headpond does, see conn.h */
    rig_state.options = *options;
    assert(options->loops > 0 && options->loops <= MAX_LOOPS);
    snprintf(rig->directory, sizeof rig->directory, "/tmp/headpond-rig-XXXXXX");
    if (mkdtemp(rig->directory) == NULL)
        abort();
    snprintf(rig->certificate, sizeof rig->certificate, "%s/cert.pem", rig->directory);
    snprintf(rig->key, sizeof rig->key, "%s/key.pem", rig->directory);
    rig_make_certificate(rig->certificate, rig->key);
    struct strbuf error = {0};
    const struct tls_options made = {.server = true, .certificate = rig->certificate, .key = rig->key};
    int clear[MAX_LOOPS], secure[MAX_LOOPS];
    if (tls_new(options->tls != NULL ? options->tls : &made, &rig_state.tls, &error) != STATUS_OK ||
        listener_bind("127.0.0.1:0", options->loops, clear, &rig->clear_port, &error) != STATUS_OK ||
        listener_bind("127.0.0.1:0", options->loops, secure, &rig->tls_port, &error) != STATUS_OK) {
        printf("Bail out! %s\n", error.ptr);
        exit(1);
    }
    for (unsigned i = 0; i < options->loops; i++) {
        struct side *side = &rig_state.sides[i];
        memset(side, 0, sizeof *side);
        side->fds[0] = clear[i];
        side->fds[1] = secure[i];
        side->loop = loop_new(i);
        loop_start(side->loop, side_init, side_fini, side);
    }
}

void rig_stop(struct rig *rig)
{
    for (unsigned i = 0; i < rig_state.options.loops; i++) {
        loop_stop(rig_state.sides[i].loop);
        loop_join(rig_state.sides[i].loop);
        loop_free(rig_state.sides[i].loop);
    }
    tls_free(rig_state.tls);
    rig_state.tls = NULL;
    unlink(rig->certificate);
    unlink(rig->key);
    rmdir(rig->directory);
    memset(rig_state.finished, 0, sizeof rig_state.finished);
    rig_state.requests = rig_state.refused = 0;
    rig_state.pulled = 0;
}

/* ---- What the tests ask ---- */

unsigned rig_finished(enum status how)
{
    return count_now(&rig_state.finished[how]);
}

bool rig_wait_finished(enum status how, unsigned count)
{
    return count_wait(&rig_state.finished[how], count);
}

unsigned rig_requests(void)
{
    return count_now(&rig_state.requests);
}

unsigned rig_refused(void)
{
    return count_now(&rig_state.refused);
}

bool rig_wait_requests(unsigned count)
{
    return count_wait(&rig_state.requests, count);
}

uint64_t rig_pulled(void)
{
    return atomic_load(&rig_state.pulled);
}

/* Connections end on the loops, which tell nobody. */
bool rig_wait_connections(unsigned count)
{
    for (int64_t until = nap_deadline(); (unsigned) atomic_load(&rig_state.budget.open) != count;)
        if (!nap_until(until))
            return false;
    return true;
}

void rig_make_certificate(const char *certificate, const char *key)
{
    EVP_PKEY *pair = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_set_version(cert, 2);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
    X509_set_pubkey(cert, pair);
    X509_NAME *name = X509_get_subject_name(cert);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *) "localhost", -1, -1, 0);
    X509_set_issuer_name(cert, name);
    X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
    X509_add_ext(cert, names, -1);
    X509_EXTENSION_free(names);
    X509_sign(cert, pair, EVP_sha256());
    FILE *file = fopen(certificate, "w");
    PEM_write_X509(file, cert);
    fclose(file);
    file = fopen(key, "w");
    PEM_write_PrivateKey(file, pair, NULL, NULL, 0, NULL, NULL);
    fclose(file);
    X509_free(cert);
    EVP_PKEY_free(pair);
}
