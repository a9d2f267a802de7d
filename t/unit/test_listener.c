/* SPDX-License-Identifier: Apache-2.0 */
/* test_listener.c: addresses, ports that are shared and ports that are taken, and accepting within bounds. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/container.h"
#include "base/mem.h"
#include "base/metric.h"
#include "net/address.h"
#include "net/listener.h"
#include "net/loop.h"
#include "net/mailbox.h"
#include "on_loop.h"
#include "tap.h"

static void test_addresses(void)
{
    static const struct {
        const char *text;
        enum status status;
        const char *shown;
    } rows[] = {
        {"127.0.0.1:8080", STATUS_OK, "127.0.0.1:8080"},
        {"0.0.0.0:0", STATUS_OK, "0.0.0.0:0"},
        {"[::1]:443", STATUS_OK, "[::1]:443"},
        {"[::]:65535", STATUS_OK, "[::]:65535"},
        {"localhost:80", STATUS_OK, NULL},
        {"127.0.0.1", STATUS_INVALID, NULL},
        {":80", STATUS_INVALID, NULL},
        {"127.0.0.1:", STATUS_INVALID, NULL},
        {"127.0.0.1:65536", STATUS_INVALID, NULL},
        {"127.0.0.1:-1", STATUS_INVALID, NULL},
        {"127.0.0.1:80x", STATUS_INVALID, NULL},
        {"::1:80", STATUS_INVALID, NULL},
        {"[::1:80", STATUS_INVALID, NULL},
        {"", STATUS_INVALID, NULL},
        {"256.1.1.1.invalid:80", STATUS_RESOLVE, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sockaddr_storage address;
        socklen_t length;
        struct strbuf error = {0};
        enum status status = address_parse(rows[i].text, &address, &length, &error);
        is_str(status_name(status), status_name(rows[i].status), "\"%s\"", rows[i].text);
        char shown[64] = "";
        if (status == STATUS_OK)
            address_format((struct sockaddr *) &address, shown, sizeof shown);
        else
            ok(error.len > 0 && strstr(error.ptr, rows[i].text) != NULL, "and the line names it: %s", error.ptr);
        if (rows[i].shown != NULL)
            is_str(shown, rows[i].shown, "and is shown again");
        strbuf_free(&error);
    }
}

static void test_binding(void)
{
    struct strbuf error = {0};
    int fds[3];
    unsigned port = 0;
    is_int(listener_bind("127.0.0.1:0", 3, fds, &port, &error), STATUS_OK, "three sockets on a free port");
    ok(port > 0, "which is told");
    for (unsigned i = 0; i < 3; i++) {
        struct sockaddr_in bound;
        socklen_t length = sizeof bound;
        getsockname(fds[i], (struct sockaddr *) &bound, &length);
        is_int(ntohs(bound.sin_port), port, "socket %u has it", i);
    }
    char address[64];
    snprintf(address, sizeof address, "127.0.0.1:%u", port);
    int more[2];
    unsigned same;
    is_int(listener_bind(address, 2, more, &same, &error), STATUS_INVALID, "a port that is taken is refused");
    ok(error.len > 0 && strstr(error.ptr, address) != NULL && strstr(error.ptr, "another process") != NULL,
       "with advice: %s", error.ptr);
    for (unsigned i = 0; i < 3; i++)
        close(fds[i]);
    error.len = 0;
    is_int(listener_bind(address, 2, more, &same, &error), STATUS_OK, "and free again when it is free");
    is_int(same, port, "the port that was asked for");
    close(more[0]);
    close(more[1]);
    error.len = 0;
    is_int(listener_bind("192.0.2.1:0", 1, more, &same, &error), STATUS_INVALID, "an address this machine has not");
    strbuf_free(&error);
}

/* ---- Accepting ---- */

static unsigned accepted;
static int held[64];
static bool flag_ok = true;
static struct listener_budget budget = {.max = 5, .exempt = true};
static struct listener *listener;
static int listening;

/* Whether the next accepting takes every descriptor that is left, as other threads may between two accepts. */
static bool fill;
static int filling[200];
static unsigned filled;

static void on_accept(void *arg, int fd, const struct sockaddr *peer, socklen_t length)
{
    (void) arg;
    if (peer->sa_family != AF_INET || length != sizeof(struct sockaddr_in))
        flag_ok = false;
    held[accepted] = fd;
    while (fill && (filling[filled] = dup(fd)) >= 0)
        filled++;
    count_up(&accepted);
}

static bool wait_accepted(unsigned count)
{
    return count_wait(&accepted, count) && count_now(&accepted) == count;
}

static void init(struct loop *loop, void *arg)
{
    (void) arg;
    listener = listener_open(loop, listening, &budget, on_accept, NULL);
}

static void fini(struct loop *loop, void *arg)
{
    (void) loop;
    (void) arg;
    listener_close(&listener);
}

static int client_socket(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct timeval patience = {10, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return fd;
}

static void dial_from(int fd, unsigned port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t) port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (struct sockaddr *) &to, sizeof to) != 0)
        diag("connect: %s", strerror(errno));
}

static int dial(unsigned port)
{
    int fd = client_socket();
    dial_from(fd, port);
    return fd;
}

/* Short of memory for those who are not exempt. */
static void test_starved(void)
{
    struct strbuf error = {0};
    unsigned port;
    struct metric_cell *pauses = metric_cell(METRIC_ACCEPT_PAUSES, "memory");
    budget = (struct listener_budget){.max = 5};
    accepted = 0;
    is_int(listener_bind("127.0.0.1:0", 1, &listening, &port, &error), STATUS_OK, "another listener");
    struct loop *loop = loop_new(0);
    loop_start(loop, init, fini, NULL);
    mem_set_limit(1);
    is_int(listener_starved(&budget), 0, "while nobody knocks, nobody is known to wait");
    int client = dial(port);
    for (int64_t until = nap_deadline(); metric_cell_value(pauses) == 0 && nap_until(until);) /* counted last */
        ;
    ok(listener_starved(&budget) > 0 && metric_cell_value(pauses) > 0,
       "short of memory, who is not exempt waits, and that is counted");
    is_int(accepted, 0, "outside");
    mem_set_limit(0);
    is_int(listener_starved(&budget), 0, "as long as it lasts");
    ok(wait_accepted(1), "then is accepted");
    loop_stop(loop);
    loop_join(loop);
    loop_free(loop);
    close(held[0]);
    close(client);
    strbuf_free(&error);
}

static void test_accepting(void)
{
    struct strbuf error = {0};
    unsigned port;
    is_int(listener_bind("127.0.0.1:0", 1, &listening, &port, &error), STATUS_OK, "a listener");
    struct loop *loop = loop_new(0);
    int clients[9];
    for (unsigned i = 0; i < 8; i++)
        clients[i] = dial(port); /* into the queue: nobody accepts yet */
    loop_start(loop, init, fini, NULL);
    ok(wait_accepted(5), "max_connections are accepted");
    for (unsigned i = 0; i < 2; i++)
        listener_gone(&budget);
    ok(wait_accepted(7), "and others when some have gone");
    ok(flag_ok, "with the peer's address");
    for (unsigned i = 0; i < 3; i++)
        listener_gone(&budget);
    ok(wait_accepted(8), "until all are in");

    mem_set_limit(1); /* memory is as short as can be */
    clients[8] = dial(port);
    ok(wait_accepted(9), "short of memory, who is exempt is accepted");
    mem_set_limit(0);

    loop_stop(loop);
    loop_join(loop);
    loop_free(loop);
    for (unsigned i = 0; i < 9; i++) {
        close(held[i]);
        close(clients[i]);
    }
    strbuf_free(&error);
}

static void nothing(void *arg)
{
    (void) arg;
}

/* A client is turned away at once, and later ones are served. */
static void test_no_descriptors(void)
{
    struct strbuf error = {0};
    unsigned port;
    struct metric_cell *pauses = metric_cell(METRIC_ACCEPT_PAUSES, "descriptors");
    budget = (struct listener_budget){.max = 5};
    accepted = 0;
    is_int(listener_bind("127.0.0.1:0", 1, &listening, &port, &error), STATUS_OK, "a listener");
    struct loop *loop = loop_new(0);
    int clients[3] = {client_socket(), client_socket(), client_socket()};
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    struct rlimit few = {.rlim_cur = 200, .rlim_max = limit.rlim_max};
    setrlimit(RLIMIT_NOFILE, &few);
    loop_start(loop, init, fini, NULL);
    fill = true;
    dial_from(clients[0], port);
    ok(wait_accepted(1), "a client is given the last descriptor but those in reserve");
    on_loop(loop, nothing, NULL); /* it has gone through the events before that */
    dial_from(clients[1], port);
    char byte;
    ssize_t n = recv(clients[1], &byte, 1, 0);
    ok(n == 0 || (n < 0 && errno == ECONNRESET), "the next one is turned away at once");
    fill = false;
    for (unsigned i = 0; i < filled; i++)
        close(filling[i]);
    setrlimit(RLIMIT_NOFILE, &limit);
    dial_from(clients[2], port);
    ok(wait_accepted(2), "and accepting goes on");
    loop_stop(loop);
    loop_join(loop);
    loop_free(loop);
    is_int(metric_cell_value(pauses), 1, "having paused once, not before there was somebody to turn away");
    for (unsigned i = 0; i < 2; i++)
        close(held[i]);
    for (unsigned i = 0; i < 3; i++)
        close(clients[i]);
    strbuf_free(&error);
}

int main(void)
{
    test_addresses();
    test_binding();
    test_accepting();
    test_no_descriptors();
    test_starved();
    return done_testing();
}
