/* SPDX-License-Identifier: Apache-2.0 */
/* test_origin_upload.c: bodies that go up: whole, broken, and answered before they are all there. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "tap.h"
#include "test_origin_rig.h"

/* ---- a body of any length that costs nothing ---- */

struct made {
    struct source source;
    uint64_t length;
    uint64_t taken;
    unsigned closed;
    uint8_t piece[40000];
};

static uint8_t byte_at(uint64_t offset)
{
    return (uint8_t) ((offset * 2654435761u) >> 13);
}

static enum source_state made_peek(struct source *source, struct source_view *view, size_t max)
{
    struct made *made = (struct made *) source;
    const uint64_t left = made->length - made->taken;
    if (left == 0)
        return SOURCE_END;
    size_t bytes = left < sizeof made->piece ? (size_t) left : sizeof made->piece;
    bytes = bytes < max ? bytes : max;
    for (size_t i = 0; i < bytes; i++)
        made->piece[i] = byte_at(made->taken + i);
    /* In two pieces, as a ring would show it. */
    const size_t one = bytes / 3;
    view->pieces[0] = (struct iovec){made->piece, one};
    view->pieces[1] = (struct iovec){made->piece + one, bytes - one};
    view->count = 2;
    view->bytes = bytes;
    return SOURCE_DATA;
}

static void made_consume(struct source *source, size_t bytes)
{
    ((struct made *) source)->taken += bytes;
}

static void made_close(struct source *source)
{
    ((struct made *) source)->closed++;
}

static const struct source_class made_class = {
    .name = "made", .peek = made_peek, .consume = made_consume, .close = made_close};

static void made_init(struct made *made, uint64_t length)
{
    *made = (struct made){.source.class = &made_class, .length = length};
}

/* What is known of the body when the head comes. */
static bool sent_all;
static enum status upload_error;

static void look_at_upload(struct probe *probe)
{
    sent_all = origin_fetch_sent_all(probe->fetch);
    upload_error = origin_fetch_upload_error(probe->fetch);
}

/* ---- whole bodies ---- */

struct upload {
    struct strbuf body;
    bool chunked_end;
    bool closed;
};

static void take(struct conn *conn)
{
    struct upload *upload = server_user(conn->server);
    char *head = conn_head(conn);
    if (head == NULL)
        return;
    const char *length = strstr(head, "Content-Length: ");
    if (length != NULL)
        conn_read(conn, strtoul(length + 16, NULL, 10), &upload->body);
    else
        upload->chunked_end = conn_read_chunked(conn, &upload->body);
    mem_free(head);
    conn_say(conn, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
    upload->closed = conn_until_closed(conn);
}

#define LONG (24u * 1024 * 1024 + 12345)

static void whole(bool chunked)
{
    struct made made;
    struct upload upload = {0};
    struct probe probe;
    struct server *server = server_new(take);
    server_set_user(server, &upload);
    made_init(&made, LONG);
    probe_init(&probe, server_base(server));
    probe.method = "PUT";
    probe.source = &made.source;
    probe.send_length = chunked ? -1 : (int64_t) LONG;
    probe.on_head = look_at_upload;
    probe_run(&probe);
    bool good = upload.body.len == LONG;
    for (size_t i = 0; good && i < LONG; i++)
        good = (uint8_t) upload.body.ptr[i] == byte_at(i);
    ok(good, "%u bytes went up %s", LONG, chunked ? "chunked" : "with a length");
    is_int(probe.status, 201, "and were answered");
    ok(sent_all && upload_error == STATUS_OK, "they are known to have been sent");
    is_int(made.closed, 1, "their source is closed once");
    probe_fini(&probe);
    server_free(server);
    strbuf_free(&upload.body);
}

static void in_bits(void)
{
    struct feed feed;
    struct upload upload = {0};
    struct probe probe;
    struct server *server = server_new(take);
    server_set_user(server, &upload);
    feed_init(&feed);
    feed.step = 2;
    probe_init(&probe, server_base(server));
    probe.method = "PUT";
    probe.source = &feed.source;
    probe.send_length = -1;
    probe_start(&probe);
    for (unsigned i = 0; i < 100; i++)
        feed_give(&feed, "0123456789", i == 99);
    probe_wait_head(&probe);
    ok(upload.body.len == 1000 && upload.chunked_end, "a body that comes in bits goes up as it is");
    probe_fini(&probe);
    server_free(server);
    strbuf_free(&upload.body);
    feed_fini(&feed);
}

/* ---- broken bodies ---- */

static void broken(bool chunked, bool failed)
{
    struct feed feed;
    struct upload upload = {0};
    struct probe probe;
    struct server *server = server_new(take);
    server_set_user(server, &upload);
    feed_init(&feed);
    probe_init(&probe, server_base(server));
    probe.method = "PUT";
    probe.source = &feed.source;
    probe.send_length = chunked ? -1 : 100;
    probe.retry = true;
    probe.limits.retries = 2;
    probe.on_head = look_at_upload;
    probe_start(&probe);
    feed_give(&feed, "only this", false);
    if (failed)
        feed_fail(&feed);
    else
        feed_give(&feed, "", true);
    probe_wait_head(&probe);
    is_int(probe.why, failed ? STATUS_CLIENT_GONE : STATUS_BAD_LENGTH, "a body that %s, %s",
           failed ? "fails" : "ends early", chunked ? "chunked" : "with a length");
    ok(!sent_all && upload_error == probe.why, "is known not to have been sent, and why");
    probe_close(&probe);
    ok(feed.closed, "is closed");
    server_free(server);
    ok(!upload.chunked_end, "and never looks whole to the origin");
    is_int(upload.body.len, 9, "which got what there was");
    probe_fini(&probe);
    strbuf_free(&upload.body);
    feed_fini(&feed);
}

static void too_long(void)
{
    struct made made;
    struct upload upload = {0};
    struct probe probe;
    struct server *server = server_new(take);
    server_set_user(server, &upload);
    made_init(&made, 1000);
    probe_init(&probe, server_base(server));
    probe.method = "PUT";
    probe.source = &made.source;
    probe.send_length = 10;
    probe_run(&probe);
    is_int(probe.status, 201, "a source longer than its length");
    is_int(made.taken, 10, "is taken up to it");
    probe_fini(&probe);
    server_free(server);
    is_int(upload.body.len, 10, "and sent so far");
    strbuf_free(&upload.body);
}

/* ---- answers before the end ---- */

struct early {
    const char *reply;
    const char *rest; /* of the reply, after the gate; NULL: none */
    bool read_on;
};

static void answer_early(struct conn *conn)
{
    const struct early *early = server_user(conn->server);
    mem_free(conn_head(conn));
    conn_send(conn, early->reply, strlen(early->reply));
    if (early->rest != NULL && rig_wait(server_gate(conn->server)))
        conn_send(conn, early->rest, strlen(early->rest));
    if (early->read_on)
        conn_until_closed(conn);
    else
        rig_wait(server_gate(conn->server)); /* until the test is done */
}

static void nothing(void *arg)
{
    (void) arg;
}

static void refused(const char *what, struct early early, int status, const char *body, bool endless, int64_t length)
{
    struct made made;
    struct feed feed;
    struct probe probe;
    struct server *server = server_new(answer_early);
    server_set_user(server, &early);
    made_init(&made, UINT64_MAX);
    feed_init(&feed);
    probe_init(&probe, server_base(server));
    probe.method = "PUT";
    probe.source = endless ? &made.source : &feed.source;
    probe.send_length = length;
    probe.limits.stall_timeout = 3000;
    probe.on_head = look_at_upload;
    probe_start(&probe);
    ok(probe_wait_head(&probe), "%s: answered while the %s", what,
       endless ? "body is going up" : "client says nothing");
    is_int(probe.status, status, "with %d", status);
    ok(!sent_all && upload_error == STATUS_OK, "with the body neither sent nor wrong");
    for (unsigned i = 0; i < 20; i++)
        rig_call(nothing, NULL); /* what the head has set off is over */
    if (early.rest != NULL)
        sem_post(server_gate(server));
    ok(probe_wait_end(&probe), "to the end");
    is_int(probe.state, SOURCE_END, "which is one");
    is_text(strbuf_str(&probe.body), body, "of the whole reply");
    probe_close(&probe);
    ok(endless ? made.closed == 1 : feed.closed, "and the body is closed");
    sem_post(server_gate(server));
    server_free(server);
    probe_fini(&probe);
    feed_fini(&feed);
}

static void early_answers(void)
{
    static const char short_reply[] = "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno";
    static const char short_close[] = "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno";
    static const char chunked[] = "HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n";
    static const char chunked_close[] =
        "HTTP/1.1 403 No\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n";
    static const char created[] = "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nno";
    const int64_t much = INT64_C(1) << 40;
    for (unsigned i = 0; i < 2; i++) {
        const bool endless = i == 0;
        refused("413", (struct early){short_reply, NULL, false}, 413, "no", endless, much);
        refused("413, read on", (struct early){short_reply, NULL, true}, 413, "no", endless, much);
        refused("413, close", (struct early){short_close, NULL, false}, 413, "no", endless, much);
        refused("413, close, chunked upload", (struct early){short_close, NULL, true}, 413, "no", endless, -1);
        refused("403 chunked", (struct early){chunked, "0\r\n\r\n", false}, 403, "no", endless, much);
        refused("403 chunked, close", (struct early){chunked_close, "0\r\n\r\n", false}, 403, "no", endless, much);
        refused("403 chunked both ways", (struct early){chunked_close, "0\r\n\r\n", true}, 403, "no", endless, -1);
        refused("201", (struct early){created, NULL, true}, 201, "no", endless, much);
    }
}

/* An origin that answers and closes at once, with our bytes unread: the reply races the reset that follows, and libcurl
 * gives up when a send fails. Nobody may hang, and the answer must have its chance. */
static void answer_and_go(struct conn *conn)
{
    mem_free(conn_head(conn));
    conn_say(conn, "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno");
}

static void rude(void)
{
    struct server *server = server_new(answer_and_go);
    unsigned answered = 0;
    unsigned told = 0;
    for (unsigned i = 0; i < 100; i++) {
        struct made made;
        struct probe probe;
        made_init(&made, UINT64_MAX);
        probe_init(&probe, server_base(server));
        probe.method = "PUT";
        probe.source = &made.source;
        probe.send_length = INT64_C(1) << 40;
        probe_start(&probe);
        told += probe_wait_head(&probe) && probe_wait_end(&probe);
        answered += probe.status == 413;
        probe_fini(&probe);
    }
    is_int(told, 100, "an origin that answers and goes leaves nobody hanging");
    diag("%u of 100 saw the 413", answered);
    ok(answered > 10, "many see its answer");
    server_free(server);
}

/* ---- Expect ---- */

static void continue_then_take(struct conn *conn)
{
    char *head = conn_head(conn);
    if (strstr(head, "Expect: 100-continue") != NULL) {
        conn_say(conn, "HTTP/1.1 100 Continue\r\n\r\n");
        conn_read(conn, 5, server_user(conn->server));
        conn_say(conn, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
    }
    mem_free(head);
    conn_until_closed(conn);
}

static void expectation_failed(struct conn *conn)
{
    char *head;
    while ((head = conn_head(conn)) != NULL) {
        conn_say(conn, "HTTP/1.1 417 No\r\nContent-Length: 2\r\n\r\nno");
        mem_free(head);
    }
}

static void expects(void)
{
    static const char *const fields[] = {"Expect", "100-continue", NULL};
    struct strbuf body = {0};
    struct probe probe;
    struct server *server = server_new(continue_then_take);
    server_set_user(server, &body);
    probe_init(&probe, server_base(server));
    probe.method = "PUT";
    probe.send = "hello";
    probe.fields = fields;
    probe_run(&probe);
    ok(probe.status == 201 && body.len == 5, "a client's own Expect goes up and is honoured");
    probe_fini(&probe);
    server_free(server);
    strbuf_free(&body);

    for (unsigned retry = 0; retry < 2; retry++) {
        server = server_new(expectation_failed);
        probe_init(&probe, server_base(server));
        probe.method = "PUT";
        probe.send = "hello";
        probe.fields = fields;
        probe.retry = retry;
        probe.limits.retries = 1;
        probe_run(&probe);
        is_int(probe.status, 417, "417 is handed over");
        is_int(probe.content_length, 0, "without its body");
        ok(probe.state == SOURCE_END && probe.bytes == 0, "and with a clean end");
        probe_fini(&probe);
        is_int(server_requests(server), 1, "and the request is not sent again");
        server_free(server);
    }
}

int main(void)
{
    mem_init();
    signal(SIGPIPE, SIG_IGN);
    rig_start();
    whole(false);
    whole(true);
    in_bits();
    broken(false, false);
    broken(false, true);
    broken(true, true);
    too_long();
    early_answers();
    rude();
    expects();
    rig_stop();
    return done_testing();
}
