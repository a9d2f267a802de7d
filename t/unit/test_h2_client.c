/* SPDX-License-Identifier: Apache-2.0 */
/* test_h2_client.c: requests of ours over HTTP/2, to our own server, and to peers that are silent, gone or talk
 * nonsense. */
#include "http/h2_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "http_rig.h"
#include "net/conn.h"
#include "net/tls.h"
#include "on_loop.h"
#include "tap.h"

static struct loop *own;
static struct rig rig;
static struct h2_client *client;
static unsigned over; /* fetches that have come to their end */
static unsigned ended;
static enum status ended_why;
static bool accepts = true;

/* ---- A request, and what came of it. ---- */

struct fetch {
    const char *path;
    size_t step;   /* bytes of a pull; 0: what there is */
    uint64_t stop; /* closes after so many bytes; 0: does not */
    struct h2_call *call;
    int status;
    int64_t length;
    enum status why; /* OK: it came whole */
    uint64_t got;
    bool good;  /* every byte */
    bool stays; /* its owner has not begun to take it */
};

static void finish(struct fetch *fetch, enum status why)
{
    fetch->why = why;
    h2_call_close(&fetch->call);
    count_up(&over);
}

static void take(void *arg)
{
    struct fetch *fetch = arg;
    struct source *body = h2_call_body(fetch->call);
    struct source_view view;
    for (;;) {
        switch (source_peek(body, &view, fetch->step == 0 ? SIZE_MAX : fetch->step)) {
        case SOURCE_DATA:
            for (unsigned i = 0; i < view.count; i++)
                for (size_t n = 0; n < view.pieces[i].iov_len; n++)
                    if (((const uint8_t *) view.pieces[i].iov_base)[n] != rig_byte(fetch->got++))
                        fetch->good = false;
            source_consume(body, view.bytes);
            if (fetch->stop == 0 || fetch->got < fetch->stop)
                continue;
            finish(fetch, STATUS_CANCELLED);
            return;
        case SOURCE_WAIT:
            return;
        case SOURCE_END:
            finish(fetch, STATUS_OK);
            return;
        case SOURCE_FAILED:
            finish(fetch, body->error);
            return;
        }
    }
}

static void on_head(void *arg, const struct http_response *head, enum status why)
{
    struct fetch *fetch = arg;
    if (head == NULL) {
        finish(fetch, why);
        return;
    }
    fetch->status = head->status;
    fetch->length = head->content_length;
    source_listen(h2_call_body(fetch->call), take, fetch);
    if (!fetch->stays)
        take(fetch);
}

static void start_one(void *arg)
{
    struct fetch *fetch = arg;
    struct http_request request = {
        .method_text = STR("GET"), .target = str_from(fetch->path), .authority = STR("localhost")};
    const struct h2_call_events events = {.head = on_head, .arg = fetch};
    request.headers.arena = arena_new();
    http_headers_add(&request.headers, STR("X-Ms-Version"), STR("2021-08-06"));
    http_headers_add(&request.headers, STR("Authorization"), STR("Bearer abc"));
    fetch->good = true;
    fetch->call = h2_call_start(client, &request, &events);
    arena_free(request.headers.arena);
}

/* Starts them, and waits for all. */
static bool run(struct fetch *fetches, unsigned count)
{
    unsigned before = count_now(&over);
    for (unsigned i = 0; i < count; i++)
        on_loop(own, start_one, &fetches[i]);
    return count_wait(&over, before + count);
}

static bool whole(const struct fetch *fetch, uint64_t bytes)
{
    return fetch->why == STATUS_OK && fetch->status == 200 && fetch->good && fetch->got == bytes;
}

/* ---- The connection. ---- */

static bool on_accept(void *arg, struct conn *conn)
{
    (void) arg;
    (void) conn;
    return accepts;
}

static void on_ended(void *arg, enum status why)
{
    (void) arg;
    ended_why = why;
    h2_client_close(&client);
    count_up(&ended);
}

struct target {
    unsigned port;
    struct tls *tls;
    int64_t silence;
    struct fetch *fetch; /* begun at once, before the connection can have ended; or NULL */
};

static void open_client(void *arg)
{
    const struct target *target = arg;
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t) target->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct h2_client_options options = {
        .conn = {.tls = target->tls, .name = target->tls == NULL ? NULL : "localhost"},
        .connect_timeout = 5000,
        .silence = target->silence == 0 ? 20000 : target->silence};
    const struct h2_client_events events = {on_accept, on_ended, NULL};
    client = h2_client_open(own, (const struct sockaddr *) &address, sizeof address, &options, &events);
    if (target->fetch != NULL)
        start_one(target->fetch);
}

static void leave(void *arg)
{
    (void) arg;
    h2_client_leave(client);
}

static void leave_and_wait(const char *what)
{
    unsigned before = count_now(&ended);
    on_loop(own, leave, NULL);
    ok(count_wait(&ended, before + 1), "%s: the connection ends when it is told to leave", what);
    is_int(ended_why, STATUS_OK, "and for nothing else");
}

/* ---- Our own server. ---- */

static void replies(const char *what, struct tls *tls)
{
    struct target target = {.port = tls != NULL ? rig.tls_port : rig.clear_port, .tls = tls};
    on_loop(own, open_client, &target);
    struct fetch one[] = {{.path = "/mem/100"},
                          {.path = "/mem/0"},
                          {.path = "/status/404"},
                          {.path = "/late/10"},
                          {.path = "/unknown/70000"}};
    ok(run(one, 5), "%s: replies of several kinds come", what);
    ok(whole(&one[0], 100) && one[0].length == 100 && whole(&one[1], 0), "whole, and as long as they were said to be");
    is_int(one[2].status, 404, "whatever their status");
    ok(whole(&one[3], 10) && whole(&one[4], 70000) && one[4].length == HTTP_LENGTH_UNKNOWN, "late, and of no length");

    struct fetch many[40];
    for (unsigned i = 0; i < 40; i++)
        many[i] =
            (struct fetch){.path = i % 2 == 0 ? "/mem/3000000" : "/slow/200000/3000", .step = i % 3 == 0 ? 5000 : 0};
    ok(run(many, 40), "%s: forty at once", what);
    bool good = true;
    for (unsigned i = 0; i < 40; i++)
        good = good && whole(&many[i], i % 2 == 0 ? 3000000 : 200000);
    ok(good, "every byte of them");

    struct fetch broken[] = {{.path = "/fail/100000/40000"},
                             {.path = "/short/100000/40000"},
                             {.path = "/abort"},
                             {.path = "/failunknown/40000"}};
    ok(run(broken, 4), "%s: replies that break off", what);
    ok(broken[0].why != STATUS_OK && broken[0].got == 40000 && broken[0].good, "fail after what came (%s)",
       status_name(broken[0].why));
    ok(broken[1].why != STATUS_OK && broken[2].why != STATUS_OK && broken[3].why != STATUS_OK,
       "none passes for whole (%s, %s, %s)", status_name(broken[1].why), status_name(broken[2].why),
       status_name(broken[3].why));
    struct fetch after = {.path = "/mem/5000000", .stop = 100000};
    ok(run(&after, 1) && after.why == STATUS_CANCELLED, "%s: one is given up in the middle", what);
    after = (struct fetch){.path = "/mem/1000"};
    ok(run(&after, 1) && whole(&after, 1000), "the connection goes on");
    leave_and_wait(what);
}

static void take_it(void *arg)
{
    struct fetch *fetch = arg;
    fetch->stays = false;
    take(fetch);
}

static void slow_reader(void)
{
    struct target target = {.port = rig.clear_port};
    on_loop(own, open_client, &target);
    struct fetch still[4];
    unsigned before = count_now(&over);
    size_t used = mem_used();
    for (unsigned i = 0; i < 4; i++) {
        still[i] = (struct fetch){.path = "/mem/8000000", .stays = true};
        on_loop(own, start_one, &still[i]);
    }
    struct fetch quick = {.path = "/mem/20000000"};
    ok(run(&quick, 1) && whole(&quick, 20000000), "who takes nothing holds no other up");
    ok(mem_used() - used < 4 * H2_CALL_WINDOW * 3 / 2 + 40 * 1024 * 1024, "and is sent no more than its window");
    for (unsigned i = 0; i < 4; i++)
        on_loop(own, take_it, &still[i]);
    bool good = count_wait(&over, before + 5);
    for (unsigned i = 0; i < 4; i++)
        good = good && whole(&still[i], 8000000);
    ok(good, "and has every byte when it does");

    struct fetch running = {.path = "/slow/50000/1000"};
    before = count_now(&over);
    on_loop(own, start_one, &running);
    leave_and_wait("with a reply on its way");
    ok(count_wait(&over, before + 1) && whole(&running, 50000), "which comes whole before");
}

static void refused(void)
{
    const struct tls_options options = {.ca = rig.certificate, .only_h2 = true};
    struct strbuf error = {0};
    struct tls *tls;
    if (tls_new(&options, &tls, &error) != STATUS_OK)
        printf("Bail out! %s\n", error.ptr);
    struct fetch fetch = {.path = "/mem/10"};
    struct target target = {.port = rig.tls_port, .tls = tls, .fetch = &fetch};
    unsigned before = count_now(&ended), were = count_now(&over);
    accepts = false;
    on_loop(own, open_client, &target);
    ok(count_wait(&over, were + 1) && fetch.why == STATUS_TLS && fetch.status == 0,
       "a peer that is not whom we wanted is sent nothing");
    ok(count_wait(&ended, before + 1) && ended_why == STATUS_TLS, "and the connection is over");
    accepts = true;
    replies("TLS", tls);
    tls_free(tls);
}

/* ---- Others. ---- */

static int listen_on(unsigned *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (struct sockaddr *) &address, length) != 0 || listen(fd, 8) != 0 ||
        getsockname(fd, (struct sockaddr *) &address, &length) != 0)
        printf("Bail out! listen\n");
    *port = ntohs(address.sin_port);
    return fd;
}

/* One connection to a peer that says that (NULL: nothing), and then ends it if `ends`: how a call ends. */
static enum status peer_says(const char *text, size_t size, bool ends)
{
    struct fetch fetch = {.path = "/mem/10"};
    struct target target = {.silence = 300, .fetch = &fetch};
    int listener = listen_on(&target.port), fd = -1;
    unsigned before = count_now(&ended), were = count_now(&over);
    on_loop(own, open_client, &target);
    if (text != NULL || ends)
        fd = accept(listener, NULL, NULL);
    if (text != NULL && write(fd, text, size) != (ssize_t) size)
        printf("Bail out! write\n");
    if (ends)
        shutdown(fd, SHUT_RDWR);
    if (!count_wait(&over, were + 1) || !count_wait(&ended, before + 1))
        fetch.why = STATUS_COUNT;
    close(listener);
    if (fd >= 0)
        close(fd);
    return fetch.why;
}

static void strangers(void)
{
    static const char goaway[] = "\0\0\0\4\0\0\0\0\0"                    /* SETTINGS */
                                 "\0\0\x08\7\0\0\0\0\0\0\0\0\0\0\0\0\0"; /* GOAWAY, nothing was done */
    struct fetch fetch = {.path = "/mem/10"};
    struct target nobody = {.fetch = &fetch};
    unsigned before = count_now(&ended), were = count_now(&over);
    close(listen_on(&nobody.port));
    on_loop(own, open_client, &nobody);
    bool came = count_wait(&over, were + 1);
    ok(came && fetch.why == STATUS_CONNECT, "nobody there (%s)", status_name(fetch.why));
    ok(count_wait(&ended, before + 1), "the connection is over");
    is_int(peer_says(NULL, 0, false), STATUS_STALLED, "a peer that is silent");
    is_int(peer_says(NULL, 0, true), STATUS_RESET, "one that goes");
    enum status why = peer_says("HTTP/1.1 400 Bad Request\r\n\r\n", 28, false);
    /* It may be heard before the request has left. */
    ok(why == STATUS_PROTOCOL || why == STATUS_BUSY, "one of another protocol (%s)", status_name(why));
    is_int(peer_says(goaway, sizeof goaway - 1, false), STATUS_BUSY, "one that says GOAWAY has done nothing");
}

static void loop_ends(struct loop *loop, void *arg)
{
    (void) arg;
    conn_loop_fini(loop);
}

int main(void)
{
    const struct rig_options options = {.limits = http_limits_default, .loops = 2};
    rig_start(&rig, &options);
    own = loop_new(9);
    loop_start(own, NULL, loop_ends, NULL);
    replies("clear text", NULL);
    slow_reader();
    refused();
    strangers();
    loop_stop(own);
    loop_join(own);
    loop_free(own);
    rig_stop(&rig);
    return done_testing();
}
