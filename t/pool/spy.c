/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spy: a node of a pool, by its certificate, that has nothing but what the names of blobs say, writes down what it is
 * asked, and is not always honest.
 *
 *     spy ADDRESS CERTIFICATE KEY CA
 *
 * Prints `listening ADDRESS`, then for each request a line: method, target and fields, apart by tabs. The last part of
 * the target is WAY-SIZE-SEED; of such a blob (t/origin/content.h) it answers a range:
 *
 *     whole    as a member that has it             half     so, but breaks off in the middle
 *     absent   504: it has not                     mute     never
 *     shifted  with a range that begins one later  other    with another ETag
 *     changed  412                                 failed   500, as an origin might
 *     refused  403, likewise
 */
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../origin/content.h"
#include "base/mem.h"
#include "http/range.h"
#include "http/server.h"
#include "net/conn.h"
#include "net/listener.h"
#include "net/loop.h"
#include "net/tls.h"

/* ---- Bytes. ---- */

struct bytes {
    struct source source;
    uint64_t seed;
    uint64_t at;
    uint64_t end;
    uint64_t breaks; /* there it fails */
};

static enum source_state bytes_peek(struct source *source, struct source_view *view, size_t max)
{
    struct bytes *bytes = (struct bytes *) source;
    if (bytes->at == bytes->end)
        return SOURCE_END;
    if (bytes->at == bytes->breaks) {
        source->error = STATUS_STALLED;
        return SOURCE_FAILED;
    }
    uint64_t end = bytes->breaks < bytes->end ? bytes->breaks : bytes->end;
    uint64_t length = end - bytes->at < max ? end - bytes->at : max;
    view->count =
        (unsigned) content_iov(bytes->seed, (int64_t) bytes->at, (int64_t) length, view->pieces, SOURCE_MAX_PIECES);
    for (unsigned i = 0; i < view->count; i++)
        view->bytes += view->pieces[i].iov_len;
    return SOURCE_DATA;
}

static void bytes_consume(struct source *source, size_t count)
{
    ((struct bytes *) source)->at += count;
}

static void bytes_close(struct source *source)
{
    mem_free(source);
}

static const struct source_class bytes_class = {"spy", bytes_peek, bytes_consume, bytes_close};

static struct source *bytes_of(uint64_t seed, uint64_t first, uint64_t last, bool breaks)
{
    struct bytes *bytes = mem_calloc(1, sizeof *bytes);
    *bytes = (struct bytes){.source = {.class = &bytes_class}, .seed = seed, .at = first, .end = last + 1};
    bytes->breaks = breaks ? first + (last + 1 - first) / 2 : bytes->end;
    return &bytes->source;
}

/* ---- Requests. ---- */

static void write_down(const struct http_request *request)
{
    printf("%.*s\t%.*s", STR_ARG(request->method_text), STR_ARG(request->target));
    for (unsigned i = 0; i < request->headers.count; i++)
        printf("\t%.*s: %.*s", STR_ARG(request->headers.items[i].name), STR_ARG(request->headers.items[i].value));
    printf("\n");
    fflush(stdout);
}

static void say(struct http_exchange *x, int status, bool own)
{
    struct http_response head = {.status = status, .headers = {.arena = x->arena}};
    if (own)
        http_headers_add(&head.headers, STR("Proxy-Status"), STR("headpond; error=destination_unavailable"));
    http_reply(x, &head, NULL);
}

static void give(struct http_exchange *x, const char *way, uint64_t size, uint64_t seed)
{
    struct http_response head = {.status = 206, .headers = {.arena = x->arena}};
    struct range_span span;
    char text[CONTENT_RANGE_MAX];
    if (range_resolve(range_parse(http_headers_get(&x->request.headers, STR("Range"))), size, &span) != RANGE_PARTIAL) {
        say(x, 416, false);
        return;
    }
    struct content_range range = {.first = span.first, .last = span.last, .length_known = true, .length = size};
    if (strcmp(way, "shifted") == 0)
        range.first++, range.last++, range.length++;
    content_range_format(&range, text);
    struct str etag = http_headers_get(&x->request.headers, STR("If-Match"));
    http_headers_add(&head.headers, STR("ETag"), strcmp(way, "other") == 0 ? STR("\"0x0\"") : etag);
    http_headers_add(&head.headers, STR("Content-Range"), arena_str(x->arena, str_from(text)));
    head.content_length = (int64_t) span.bytes;
    struct source *body = bytes_of(seed, span.first, span.last, strcmp(way, "half") == 0);
    http_reply(x, &head, &body);
}

static void on_request(void *arg, struct http_exchange *x)
{
    static const struct {
        const char *way;
        int status;
    } words[] = {{"changed", 412}, {"failed", 500}, {"refused", 403}};
    char name[1024], way[16] = "";
    unsigned long long size = 0, seed = 0;
    (void) arg;
    write_down(&x->request);
    snprintf(name, sizeof name, "%.*s", STR_ARG(x->request.target));
    const char *last = strrchr(name, '/');
    if (last == NULL || sscanf(last, "/%15[a-z]-%llu-%llu", way, &size, &seed) != 3 || strcmp(way, "absent") == 0) {
        say(x, 504, true);
        return;
    }
    for (unsigned i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(way, words[i].way) == 0) {
            say(x, words[i].status, false);
            return;
        }
    }
    if (strcmp(way, "mute") != 0)
        give(x, way, size, seed);
}

static void on_refused(void *arg, struct http_exchange *x, enum status why)
{
    (void) arg;
    (void) why;
    say(x, 400, true);
}

static void on_finished(void *arg, struct http_exchange *x, enum status how)
{
    (void) arg;
    (void) x;
    (void) how;
}

/* ---- Its life. ---- */

static struct {
    const char *address;
    int fd;
    struct tls *tls;
    struct http_server *server;
    struct listener *listener;
    struct listener_budget budget;
} spy;

static void on_accept(void *arg, int fd, const struct sockaddr *peer, socklen_t length)
{
    (void) arg;
    http_server_accept(spy.server, fd, peer, length, spy.address, spy.tls);
}

static void begin(struct loop *loop, void *arg)
{
    const struct http_handler handler = {.request = on_request, .refused = on_refused, .finished = on_finished};
    (void) arg;
    spy.server = http_server_new(loop, &http_limits_default, &handler, &spy.budget);
    spy.listener = listener_open(loop, spy.fd, &spy.budget, on_accept, NULL);
}

static void end(struct loop *loop, void *arg)
{
    (void) arg;
    listener_close(&spy.listener);
    http_server_free(spy.server);
    conn_loop_fini(loop);
}

/* Until it is asked to end. */
int main(int argc, char **argv)
{
    struct strbuf error = {0};
    unsigned port;
    int signal_number;
    sigset_t ending;
    if (argc != 5) {
        fputs("usage: spy ADDRESS CERTIFICATE KEY CA\n", stderr);
        return 2;
    }
    const struct tls_options options = {
        .server = true, .certificate = argv[2], .key = argv[3], .ca = argv[4], .issued = true, .only_h2 = true};
    spy.address = argv[1];
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&ending);
    sigaddset(&ending, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ending, NULL);
    content_init();
    if (tls_new(&options, &spy.tls, &error) != STATUS_OK ||
        listener_bind(spy.address, 1, &spy.fd, &port, &error) != STATUS_OK) {
        fprintf(stderr, "spy: %s\n", error.ptr);
        return 1;
    }
    struct loop *loop = loop_new(0);
    loop_start(loop, begin, end, NULL);
    printf("listening %s\n", spy.address);
    fflush(stdout);
    sigwait(&ending, &signal_number);
    loop_stop(loop);
    loop_join(loop);
    loop_free(loop);
    tls_free(spy.tls);
    return 0;
}
