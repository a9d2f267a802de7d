/* SPDX-License-Identifier: Apache-2.0 */
/* test_origin_faults.c: origins that fail, stall, lie or ask to come again. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/metric.h"
#include "tap.h"
#include "test_origin_rig.h"

#define OK_REPLY "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define BUSY_REPLY "HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 4\r\n\r\nbusy"

static int64_t metric_of(enum metric metric, const char *labels)
{
    return metric_cell_value(metric_cell(metric, labels));
}

/* Lets so many ms go by: a request that nobody answers. */
static void silent(struct conn *conn)
{
    mem_free(conn_head(conn));
    conn_until_closed(conn);
}

static void let_pass(int64_t ms)
{
    struct server *server = server_new(silent);
    struct probe probe;
    probe_init(&probe, server_base(server));
    probe.limits.first_byte_timeout = ms;
    probe_run(&probe);
    probe_fini(&probe);
    server_free(server);
}

/* ---- no connection ---- */

static void hold(struct conn *conn)
{
    conn_until_closed(conn);
}

static void no_connection(void)
{
    struct probe probe;
    struct server *server = server_new(hold);
    char base[64];
    snprintf(base, sizeof base, "%s", server_base(server));
    server_free(server); /* nobody listens there any more */

    const int64_t before = metric_of(METRIC_ORIGIN_RETRIES, "acct\tconnect");
    probe_init(&probe, base);
    probe.limits.retries = 2;
    probe_run(&probe);
    is_int(probe.why, STATUS_CONNECT, "refused");
    is_int(metric_of(METRIC_ORIGIN_RETRIES, "acct\tconnect") - before, 0, "and not tried again unless allowed");
    probe_fini(&probe);

    probe_init(&probe, base);
    probe.limits.retries = 2;
    probe.retry = true;
    probe.send = "body";
    probe.method = "PUT";
    probe_run(&probe);
    is_int(probe.why, STATUS_CONNECT, "refused again and again");
    is_int(probe.heads, 1, "told once");
    is_int(metric_of(METRIC_ORIGIN_RETRIES, "acct\tconnect") - before, 2, "after two further attempts");
    probe_fini(&probe);

    probe_init(&probe, "http://no-such-host.invalid");
    probe_run(&probe);
    is_int(probe.why, STATUS_RESOLVE, "no such name");
    probe_fini(&probe);

    server = server_new(hold);
    snprintf(base, sizeof base, "https%s", server_base(server) + 4);
    probe_init(&probe, base);
    probe.limits.connect_timeout = 150;
    probe_run(&probe);
    is_int(probe.why, STATUS_CONNECT, "a handshake that does not move on");
    probe_fini(&probe);
    server_free(server);
}

static void no_tls(struct conn *conn)
{
    char byte[1];
    if (recv(conn->fd, byte, 1, 0) == 1)
        conn_say(conn, "HTTP/1.1 400 This is not TLS\r\n\r\n");
}

static void bad_tls(void)
{
    struct server *server = server_new(no_tls);
    struct probe probe;
    char base[64];
    snprintf(base, sizeof base, "https%s", server_base(server) + 4);
    probe_init(&probe, base);
    probe_run(&probe);
    is_int(probe.why, STATUS_TLS, "no TLS over there");
    probe_fini(&probe);
    probe_init(&probe, base);
    probe.ca_file = "/nonexistent/ca.pem";
    probe_run(&probe);
    is_int(probe.why, STATUS_TLS, "no CA here");
    probe_fini(&probe);
    server_free(server);
}

/* ---- time ---- */

static void half(struct conn *conn)
{
    mem_free(conn_head(conn));
    conn_say(conn, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    conn_until_closed(conn);
}

static void interim(struct conn *conn)
{
    mem_free(conn_head(conn));
    conn_say(conn, "HTTP/1.1 103 Early Hints\r\n\r\n");
    conn_until_closed(conn);
}

#define BIG (8u * 1024 * 1024)

static void big(struct conn *conn)
{
    mem_free(conn_head(conn));
    char *bytes = mem_alloc(BIG);
    for (size_t i = 0; i < BIG; i++)
        bytes[i] = (char) (i * 2654435761u >> 24);
    conn_say(conn, "HTTP/1.1 200 OK\r\nContent-Length: %u\r\n\r\n", BIG);
    conn_send(conn, bytes, BIG);
    mem_free(bytes);
    conn_until_closed(conn);
}

static void timeouts(void)
{
    struct probe probe;
    struct server *server = server_new(silent);
    probe_init(&probe, server_base(server));
    probe.limits.first_byte_timeout = 100;
    probe.limits.retries = 2;
    probe.retry = true;
    probe_run(&probe);
    is_int(probe.why, STATUS_FIRST_BYTE_TIMEOUT, "no answer");
    is_int(server_requests(server), 1, "is asked for once");
    probe_fini(&probe);
    server_free(server);

    server = server_new(interim);
    probe_init(&probe, server_base(server));
    probe.limits.first_byte_timeout = 100;
    probe_run(&probe);
    is_int(probe.why, STATUS_FIRST_BYTE_TIMEOUT, "an interim answer is none");
    probe_fini(&probe);
    server_free(server);

    server = server_new(half);
    probe_init(&probe, server_base(server));
    probe.limits.stall_timeout = 100;
    probe_run(&probe);
    is_int(probe.status, 200, "an answer that stands still");
    is_text(strbuf_str(&probe.body), "half", "gives what came");
    is_int(probe.error, STATUS_STALLED, "and fails");
    probe_fini(&probe);
    server_free(server);
}

static void slow_reader(void)
{
    struct probe probe;
    struct server *server = server_new(big);
    probe_init(&probe, server_base(server));
    probe.limits.stall_timeout = 400;
    probe.idle = true;
    probe_start(&probe);
    probe_wait_head(&probe);
    let_pass(1300);
    probe_pull(&probe);
    probe_wait_end(&probe);
    is_int(probe.state, SOURCE_END, "a reader that pauses for three stall time-outs is no stalled origin");
    bool good = probe.body.len == BIG;
    for (size_t i = 0; good && i < BIG; i++)
        good = probe.body.ptr[i] == (char) (i * 2654435761u >> 24);
    ok(good, "and gets every byte in its place");
    probe_fini(&probe);
    server_free(server);
}

static void accept_put(struct conn *conn)
{
    char *head;
    while ((head = conn_head(conn)) != NULL) {
        conn_read(conn, 5, NULL);
        conn_say(conn, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
        mem_free(head);
    }
}

static void slow_sender(void)
{
    struct probe probe;
    struct feed feed;
    struct server *server = server_new(accept_put);
    feed_init(&feed);
    probe_init(&probe, server_base(server));
    probe.method = "PUT";
    probe.source = &feed.source;
    probe.send_length = 5;
    probe.limits.stall_timeout = 200;
    probe_start(&probe);
    let_pass(600);
    is_int(probe.heads, 0, "a client that is slow to send is no stalled origin");
    feed_give(&feed, "he", false);
    let_pass(600);
    feed_give(&feed, "llo", true);
    probe_wait_head(&probe);
    is_int(probe.status, 201, "and is answered in the end");
    probe_fini(&probe);
    ok(feed.closed, "its body is closed");
    server_free(server);
    feed_fini(&feed);
}

/* ---- broken replies ---- */

static void say_and_go(struct conn *conn)
{
    mem_free(conn_head(conn));
    const char *text = server_user(conn->server);
    conn_send(conn, text, strlen(text));
}

static void say_and_reset(struct conn *conn)
{
    mem_free(conn_head(conn));
    const char *text = server_user(conn->server);
    conn_send(conn, text, strlen(text));
    if (!rig_wait(server_gate(conn->server)))
        return;
    conn_reset(conn);
}

static void broken(void)
{
    static const struct {
        const char *text;
        enum status why;
    } rows[] = {
        {"", STATUS_RESET},
        {"HTTP/1.1 200", STATUS_RESET},
        {"HTTP/1.1 200 OK\r\nA: 1\r\n", STATUS_RESET},
        {"HTTP/1.1 100 Continue\r\n\r\n", STATUS_RESET},
        {"garbage\r\n\r\nmore of it", STATUS_BAD_REPLY},
        {"SSH-2.0-x\r\n", STATUS_BAD_REPLY},
        {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", STATUS_BAD_REPLY},
        {"HTTP/1.1 200 OK\r\nBad Field: 1\r\n\r\n", STATUS_BAD_REPLY},
        {"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\nabc", STATUS_BAD_REPLY},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: rot13\r\n\r\nabc", STATUS_BAD_REPLY},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct probe probe;
        char text[256];
        struct server *server = server_new(say_and_go);
        snprintf(text, sizeof text, "%s", rows[i].text);
        server_set_user(server, text);
        probe_init(&probe, server_base(server));
        probe_run(&probe);
        const bool none = probe.status == 0 && probe.why == rows[i].why;
        ok(none && probe.heads == 1, "broken reply %u: %s, got %d %s", i, status_name(rows[i].why), probe.status,
           status_name(probe.why));
        probe_fini(&probe);
        server_free(server);
    }
}

static void reset_in_body(void)
{
    struct probe probe;
    char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf";
    struct server *server = server_new(say_and_reset);
    server_set_user(server, text);
    probe_init(&probe, server_base(server));
    probe_start(&probe);
    probe_wait_head(&probe);
    sem_post(server_gate(server));
    probe_wait_end(&probe);
    is_int(probe.state, SOURCE_FAILED, "a reset in the body");
    is_int(probe.error, STATUS_RESET, "is one");
    probe_fini(&probe);
    server_free(server);
}

static void endless_head(struct conn *conn)
{
    mem_free(conn_head(conn));
    conn_say(conn, "HTTP/1.1 200 OK\r\n");
    for (unsigned i = 0; i < 100000; i++)
        if (!conn_say(conn, "X-Padding-%u: 0123456789012345678901234567890123456789\r\n", i))
            break;
}

static void too_large(void)
{
    struct probe probe;
    struct server *server = server_new(endless_head);
    probe_init(&probe, server_base(server));
    probe_run(&probe);
    is_int(probe.why, STATUS_HEADERS_TOO_LARGE, "a head without end");
    probe_fini(&probe);
    server_free(server);
}

/* ---- come again ---- */

/* Busy for the first requests, all connections counted together. The user is the count, as a pointer. */
static void busy_first(struct conn *conn)
{
    char *head;
    while ((head = conn_head(conn)) != NULL) {
        mem_free(head);
        if (server_requests(conn->server) <= (unsigned) (uintptr_t) server_user(conn->server))
            conn_say(conn, BUSY_REPLY);
        else
            conn_say(conn, OK_REPLY);
    }
}

static void busy(unsigned count, unsigned retries, const char *method, int expected, unsigned requests)
{
    struct probe probe;
    struct server *server = server_new(busy_first);
    server_set_user(server, (void *) (uintptr_t) count);
    probe_init(&probe, server_base(server));
    probe.retry = true;
    probe.limits.retries = retries;
    probe.method = method;
    probe_run(&probe);
    is_int(probe.status, expected, "%s, busy %u times, %u retries", method, count, retries);
    is_text(strbuf_str(&probe.body), expected == 503 ? "busy" : "ok", "the body of that reply only");
    is_int(probe.heads, 1, "one head");
    is_int(server_requests(server), requests, "the origin saw %u requests", requests);
    is_int(server_connections(server), 1, "on one connection");
    probe_fini(&probe);
    server_free(server);
}

static void busy_at_length(struct conn *conn)
{
    mem_free(conn_head(conn));
    if (server_requests(conn->server) > 1) {
        conn_say(conn, OK_REPLY);
        conn_until_closed(conn);
        return;
    }
    static char padding[4096];
    conn_say(conn, "HTTP/1.1 500 Sorry\r\nTransfer-Encoding: chunked\r\n\r\n");
    do
        conn_say(conn, "1000\r\n");
    while (conn_send(conn, padding, sizeof padding) && conn_say(conn, "\r\n"));
}

static void busy_and_silent(struct conn *conn)
{
    mem_free(conn_head(conn));
    if (server_requests(conn->server) > 1)
        conn_say(conn, OK_REPLY);
    else
        conn_say(conn, "HTTP/1.1 503 Busy\r\nContent-Length: 10\r\n\r\nbu");
    conn_until_closed(conn);
}

static void come_in_a_second(struct conn *conn)
{
    char *head;
    while ((head = conn_head(conn)) != NULL) {
        mem_free(head);
        if (server_requests(conn->server) == 1)
            conn_say(conn, "HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n");
        else
            conn_say(conn, OK_REPLY);
    }
}

static void go_first(struct conn *conn)
{
    mem_free(conn_head(conn));
    if (server_requests(conn->server) <= 2)
        return;
    conn_say(conn, OK_REPLY);
    conn_until_closed(conn);
}

static void again(void)
{
    const int64_t before = metric_of(METRIC_ORIGIN_RETRIES, "acct\t503");
    const int64_t busies = metric_of(METRIC_ORIGIN_REQUESTS, "acct\t503");
    busy(2, 3, "GET", 200, 3);
    is_int(metric_of(METRIC_ORIGIN_RETRIES, "acct\t503") - before, 2, "two retries counted");
    is_int(metric_of(METRIC_ORIGIN_REQUESTS, "acct\t503") - busies, 2, "and two 503");
    busy(9, 2, "GET", 503, 3);
    busy(9, 0, "GET", 503, 1);
    busy(9, 3, "DELETE", 503, 1);

    struct probe probe;
    struct server *server = server_new(busy_at_length);
    probe_init(&probe, server_base(server));
    probe.retry = true;
    probe.limits.retries = 1;
    probe_run(&probe);
    is_int(probe.status, 200, "an error's endless body is not waited for");
    probe_fini(&probe);
    server_free(server);

    server = server_new(busy_and_silent);
    probe_init(&probe, server_base(server));
    probe.retry = true;
    probe.limits.retries = 1;
    probe_run(&probe);
    is_int(probe.status, 200, "nor one that stands still");
    probe_fini(&probe);
    server_free(server);

    server = server_new(come_in_a_second);
    probe_init(&probe, server_base(server));
    probe.retry = true;
    probe.limits.retries = 1;
    const int64_t began = clock_mono_ms();
    probe_run(&probe);
    const int64_t took = clock_mono_ms() - began;
    ok(probe.status == 200 && took >= 1000 && took < 8000, "Retry-After: 1 is kept to (%lld ms)", (long long) took);
    probe_fini(&probe);
    server_free(server);

    server = server_new(go_first);
    probe_init(&probe, server_base(server));
    probe.retry = true;
    probe.limits.retries = 2;
    probe_run(&probe);
    is_int(probe.status, 200, "a read whose connections break is tried again");
    is_int(server_requests(server), 3, "twice");
    probe_fini(&probe);
    server_free(server);
}

/* ---- a reused connection that breaks ---- */

/* The first connection serves one request and breaks on the second; later ones serve. */
static void breaks_on_second(struct conn *conn)
{
    char *head;
    unsigned served = 0;
    while ((head = conn_head(conn)) != NULL) {
        const char *length = strstr(head, "Content-Length: ");
        if (length != NULL)
            conn_read(conn, strtoul(length + 16, NULL, 10), NULL);
        mem_free(head);
        if (conn->number == 0 && served++ == 1)
            return;
        conn_say(conn, OK_REPLY);
    }
}

static void second_request(const char *method, const char *body, bool retry, int expected, enum status why,
                           unsigned requests)
{
    struct server *server = server_new(breaks_on_second);
    struct probe probe;
    for (unsigned i = 0; i < 2; i++) {
        probe_init(&probe, server_base(server));
        probe.method = i == 0 ? "GET" : method;
        probe.send = i == 0 ? NULL : body;
        probe.retry = retry;
        probe.limits.retries = 2;
        probe_run(&probe);
        if (i == 0)
            probe_fini(&probe);
    }
    ok(probe.status == expected && probe.why == why, "%s%s on a dying connection, retry %s: %d %s", method,
       body == NULL ? "" : " with a body", retry ? "allowed" : "forbidden", probe.status, status_name(probe.why));
    is_int(server_requests(server), requests, "the origin saw %u requests", requests);
    probe_fini(&probe);
    server_free(server);
}

static void dying(void)
{
    const int64_t before = metric_of(METRIC_ORIGIN_RETRIES, "acct\treused");
    second_request("GET", NULL, true, 200, STATUS_OK, 3);
    is_int(metric_of(METRIC_ORIGIN_RETRIES, "acct\treused") - before, 1, "counted");
    second_request("GET", NULL, false, 0, STATUS_RESET, 2);
    second_request("DELETE", NULL, true, 200, STATUS_OK, 3);
    second_request("DELETE", NULL, false, 0, STATUS_RESET, 2);
    second_request("PUT", "some bytes", true, 0, STATUS_RESET, 2);
    second_request("PUT", "some bytes", false, 0, STATUS_RESET, 2);
    second_request("POST", "some bytes", true, 0, STATUS_RESET, 2);
}

/* ---- the log ---- */

static void log_is_clean(FILE *log)
{
    static char text[1 << 20];
    rewind(log);
    size_t len = fread(text, 1, sizeof text - 1, log);
    text[len] = '\0';
    ok(strstr(text, "origin-failed account=acct host=127.0.0.1:") != NULL, "failures are logged");
    ok(strstr(text, "status=stalled") != NULL, "by name");
    ok(strstr(text, "origin-retry account=acct") != NULL, "retries too");
    ok(strstr(text, "/c/b") == NULL, "no target is in the log");
}

int main(void)
{
    mem_init();
    signal(SIGPIPE, SIG_IGN);
    FILE *log = tmpfile();
    const int err = dup(2);
    dup2(fileno(log), 2);
    rig_start();
    no_connection();
    bad_tls();
    timeouts();
    slow_reader();
    slow_sender();
    broken();
    reset_in_body();
    too_large();
    again();
    dying();
    rig_stop();
    is_int(metric_of(METRIC_ORIGIN_INFLIGHT, ""), 0, "nothing is in flight any more");
    dup2(err, 2);
    close(err);
    log_is_clean(log);
    fclose(log);
    return done_testing();
}
