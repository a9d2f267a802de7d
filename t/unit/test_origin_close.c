/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_origin_close.c: fetches closed at every stage, from every place, alone and by the thousand. Run under a
 * sanitizer to see what it is for; without one it still counts descriptors, memory and requests in flight.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/metric.h"
#include "tap.h"
#include "test_origin_rig.h"

#define BIG (4u * 1024 * 1024)

static char big[BIG];

/* What to do is in the target. The gate is posted once a request has been read. */
static void scripted(struct conn *conn)
{
    char *head;
    while ((head = conn_head(conn)) != NULL) {
        const char *length = strstr(head, "Content-Length: ");
        const bool put = strncmp(head, "PUT", 3) == 0;
        bool stay = true;
        sem_post(server_gate(conn->server));
        if (strstr(head, "/silent") != NULL) {
            conn_until_closed(conn);
            stay = false;
        } else if (strstr(head, "/busy") != NULL) {
            conn_say(conn, "HTTP/1.1 503 Busy\r\nRetry-After: 9\r\nContent-Length: 0\r\n\r\n");
        } else if (strstr(head, "/half") != NULL) {
            conn_say(conn, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
            conn_until_closed(conn);
            stay = false;
        } else if (strstr(head, "/cut") != NULL) {
            conn_say(conn, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
            stay = false;
        } else if (strstr(head, "/big") != NULL) {
            conn_say(conn, "HTTP/1.1 200 OK\r\nContent-Length: %u\r\n\r\n", BIG);
            stay = conn_send(conn, big, BIG);
        } else if (strstr(head, "/chunked") != NULL) {
            conn_say(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n", BIG / 4);
            stay = conn_send(conn, big, BIG / 4) && conn_say(conn, "\r\n0\r\n\r\n");
        } else if (put && length != NULL) {
            const size_t bytes = strtoul(length + 16, NULL, 10);
            stay = conn_read(conn, bytes, NULL) == bytes &&
                   conn_say(conn, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
        } else {
            stay = conn_say(conn, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nokay");
        }
        mem_free(head);
        if (!stay)
            break;
    }
}

static int64_t in_flight(void)
{
    return metric_cell_value(metric_cell(METRIC_ORIGIN_INFLIGHT, ""));
}

/* ---- one at a time ---- */

static void start_and_close(void *arg)
{
    struct probe *probe = arg;
    probe_start_here(probe);
    origin_fetch_close(&probe->fetch);
}

static void nothing(void *arg)
{
    (void) arg;
}

static void at_once(const char *base)
{
    struct probe probe;
    probe_init(&probe, base);
    rig_call(start_and_close, &probe);
    rig_call(nothing, NULL);
    is_int(probe.heads, 0, "closed before anything happened: %s", base);
    probe_fini(&probe);

    probe_init(&probe, base);
    probe_start(&probe); /* returns after a round of the loop: connecting or resolving */
    probe_close(&probe);
    rig_call(nothing, NULL);
    is_int(probe.heads, 0, "closed while it was connecting");
    probe_fini(&probe);
}

static void waiting_for_head(struct server *server)
{
    struct probe probe;
    probe_init(&probe, server_base(server));
    probe.target = "/silent";
    probe_start(&probe);
    rig_wait(server_gate(server));
    probe_close(&probe);
    is_int(probe.heads, 0, "closed while the head was awaited");
    probe_fini(&probe);
}

static void in_callbacks(struct server *server)
{
    static const char *const targets[] = {"/small", "/big", "/chunked", "/half", "/cut"};
    for (unsigned i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        for (unsigned at = CLOSE_IN_HEAD; at <= CLOSE_AT_END; at++) {
            struct probe probe;
            if (at == CLOSE_AT_END && i == 3)
                continue; /* never ends */
            probe_init(&probe, server_base(server));
            probe.target = targets[i];
            probe.close_at = (enum close_at) at;
            probe.into_source = i & 1;
            probe_start(&probe);
            const bool told = probe_wait_head(&probe) && (at == CLOSE_IN_HEAD || probe_wait_end(&probe));
            rig_call(nothing, NULL);
            const unsigned readies = probe.readies;
            rig_call(nothing, NULL);
            ok(told && probe.heads == 1 && probe.readies == readies, "%s closed inside %s", targets[i],
               at == CLOSE_IN_HEAD    ? "head"
               : at == CLOSE_IN_READY ? "ready"
                                      : "ready at the end");
            probe_fini(&probe);
        }
    }
}

static void paused(struct server *server)
{
    struct probe probe;
    probe_init(&probe, server_base(server));
    probe.target = "/big";
    probe.idle = true;
    probe_start(&probe);
    probe_wait_head(&probe);
    for (unsigned i = 0; i < 20; i++)
        rig_call(nothing, NULL);
    probe_close(&probe);
    rig_call(nothing, NULL);
    is_int(probe.readies, 0, "closed while its body was held back");
    probe_fini(&probe);
}

static void backing_off(struct server *server)
{
    struct probe probe;
    struct probe clock;
    const int64_t before = metric_cell_value(metric_cell(METRIC_ORIGIN_RETRIES, "acct\t503"));
    probe_init(&probe, server_base(server));
    probe.target = "/busy";
    probe.retry = true;
    probe.limits.retries = 1;
    probe_start(&probe);
    rig_wait(server_gate(server));
    probe_init(&clock, server_base(server));
    clock.target = "/silent";
    clock.limits.first_byte_timeout = 100;
    probe_run(&clock);
    probe_fini(&clock);
    is_int(metric_cell_value(metric_cell(METRIC_ORIGIN_RETRIES, "acct\t503")) - before, 1, "a retry is due");
    probe_close(&probe);
    is_int(probe.heads, 0, "closed between two attempts");
    probe_fini(&probe);
}

static void uploading(struct server *server)
{
    struct feed feed;
    struct probe probe;
    feed_init(&feed);
    probe_init(&probe, server_base(server));
    probe.method = "PUT";
    probe.source = &feed.source;
    probe.send_length = 100;
    probe_start(&probe);
    feed_give(&feed, "some", false);
    rig_wait(server_gate(server));
    probe_close(&probe);
    ok(feed.closed, "closed while its body went up");
    feed_give(&feed, "more", true);
    is_int(probe.heads, 0, "no head");
    probe_fini(&probe);
    feed_fini(&feed);
}

/* ---- from inside another ---- */

static struct probe other;
static struct probe nested;

static void end_other_start_nested(struct probe *probe)
{
    (void) probe;
    origin_fetch_close(&other.fetch);
    other.pulled = NULL;
    probe_start_here(&nested);
}

static void across(struct server *server)
{
    struct probe probe;
    probe_init(&other, server_base(server));
    probe_init(&nested, server_base(server));
    probe_init(&probe, server_base(server));
    other.target = "/half";
    nested.target = "/big";
    probe.on_head = end_other_start_nested;
    probe_start(&other);
    probe_wait_head(&other);
    probe_start(&probe);
    ok(probe_wait_end(&probe), "a fetch may end another and start a third inside its head");
    ok(probe_wait_head(&nested) && probe_wait_end(&nested) && nested.bytes == BIG, "which then runs");
    probe_fini(&other);
    probe_fini(&nested);
    probe_fini(&probe);
}

/* A fetch whose request body is another's reply: both ends live on one multi. */
static void copy_here(void *arg)
{
    struct probe *put = arg;
    put->source = origin_fetch_into_source(&other.fetch);
    other.pulled = NULL;
    probe_start_here(put);
}

static void copied(struct server *server)
{
    struct probe put;
    probe_init(&other, server_base(server));
    probe_init(&put, server_base(server));
    other.target = "/big";
    other.idle = true;
    probe_start(&other);
    probe_wait_head(&other);
    put.method = "PUT";
    put.send_length = BIG;
    rig_call(copy_here, &put);
    probe_wait_head(&put);
    is_int(put.status, 201, "a reply's body can be another request's");
    probe_fini(&put);
    probe_fini(&other);
}

/* ---- by the thousand ---- */

#define AT_ONCE 48u
#define ROUNDS 80u

static unsigned flood(struct server *server, uint64_t *seed)
{
    static const char *const targets[] = {"/small", "/small", "/small", "/half", "/cut", "/big", "/chunked", "/silent"};
    static struct probe probes[AT_ONCE];
    static struct feed feeds[AT_ONCE];
    unsigned open = 0;
    for (unsigned i = 0; i < AT_ONCE; i++) {
        uint64_t x = *seed;
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        *seed = x;
        struct probe *probe = &probes[i];
        probe_init(probe, server_base(server));
        probe->target = targets[x % 8];
        probe->close_at = (enum close_at)((x >> 8) % 4);
        probe->idle = (x >> 16) % 4 == 0;
        probe->into_source = (x >> 20) % 2 == 0;
        probe->step = (x >> 24) % 3 == 0 ? 1000 : 0;
        probe->keep = false;
        feed_init(&feeds[i]);
        if ((x >> 28) % 4 == 0) {
            probe->method = "PUT";
            probe->source = &feeds[i].source;
            probe->send_length = 8;
        }
        rig_post((void (*)(void *)) probe_start_here, probe);
    }
    /* Close them in another order, some after so much as a few rounds of the loop. */
    for (unsigned i = 0; i < AT_ONCE; i++) {
        const unsigned k = (i * 29u + (unsigned) (*seed >> 40)) % AT_ONCE;
        if (i % 3 == 0)
            feed_give(&feeds[k], "12345678", true);
        if (i % 5 == 0)
            rig_call(nothing, NULL);
        probe_fini(&probes[k]);
    }
    for (unsigned i = 0; i < AT_ONCE; i++) {
        open += feeds[i].source.ready != NULL && !feeds[i].closed;
        feed_fini(&feeds[i]);
    }
    return open;
}

/* Until those that linger are gone. */
static void settle(struct server *server)
{
    for (unsigned i = 0; i < 20 && in_flight() > 0; i++) {
        struct probe clock;
        probe_init(&clock, server_base(server));
        clock.target = "/silent";
        clock.limits.first_byte_timeout = 200;
        probe_run(&clock);
        probe_fini(&clock);
        rig_call(nothing, NULL);
    }
}

static void by_the_thousand(void)
{
    struct server *server = server_new(scripted);
    uint64_t seed = 88172645463325252u;
    unsigned descriptors = 0;
    size_t memory = 0;
    unsigned open = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        open += flood(server, &seed);
        if (round == ROUNDS / 4) {
            settle(server);
            descriptors = rig_descriptors();
            memory = mem_used();
        }
    }
    settle(server);
    is_int(in_flight(), 0, "none is in flight after a while");
    const unsigned descriptors_now = rig_descriptors();
    const size_t memory_now = mem_used();
    is_int(open, 0, "every request's body was closed");
    ok(descriptors_now < descriptors + 100, "%u fetches later: %u descriptors, were %u", AT_ONCE * ROUNDS,
       descriptors_now, descriptors);
    ok(memory_now < memory + 4u * 1024 * 1024, "%zu KiB held, were %zu", memory_now / 1024, memory / 1024);
    server_free(server);
}

int main(void)
{
    mem_init();
    signal(SIGPIPE, SIG_IGN);
    rig_start();
    struct server *server = server_new(scripted);
    char tls[64];
    snprintf(tls, sizeof tls, "https%s", server_base(server) + 4);
    at_once(server_base(server));
    at_once(tls);
    at_once("http://no-such-host.invalid");
    while (sem_trywait(server_gate(server)) == 0)
        continue;
    waiting_for_head(server);
    in_callbacks(server);
    paused(server);
    while (sem_trywait(server_gate(server)) == 0)
        continue;
    backing_off(server);
    while (sem_trywait(server_gate(server)) == 0)
        continue;
    uploading(server);
    across(server);
    copied(server);
    by_the_thousand();

    /* The last act: a closed fetch that still lingers when its loop ends. */
    struct probe probe;
    probe_init(&probe, server_base(server));
    probe.target = "/half";
    probe.close_at = CLOSE_IN_HEAD;
    probe_run(&probe);
    probe_fini(&probe);
    rig_stop();
    is_int(in_flight(), 0, "nothing is in flight when the loop has ended");
    server_free(server);
    return done_testing();
}
