/* SPDX-License-Identifier: Apache-2.0 */
/* test_origin_client.c: what goes out to an origin, byte for byte, and what comes back. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "tap.h"
#include "test_origin_rig.h"

/* ---- requests ---- */

/* Answers each request with 200 and a short body, after reading what its head announces. */
static void obliging(struct conn *conn)
{
    char *head;
    while ((head = conn_head(conn)) != NULL) {
        const char *length = strstr(head, "Content-Length: ");
        if (length != NULL)
            conn_read(conn, strtoul(length + 16, NULL, 10), server_user(conn->server));
        if (strstr(head, "Transfer-Encoding: chunked") != NULL && !conn_read_chunked(conn, server_user(conn->server)))
            conn_say(conn, "HTTP/1.1 400 Bad chunk\r\nContent-Length: 0\r\n\r\n");
        const bool is_head = strncmp(head, "HEAD ", 5) == 0;
        if (strstr(head, "/chunked ") != NULL)
            conn_say(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n");
        else
            conn_say(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n%s", is_head ? "" : "ok");
        mem_free(head);
    }
}

struct sent {
    const char *method;
    const char *target;
    const char *const *fields;
    const char *body;
    int64_t length;   /* -2: the body's */
    const char *head; /* expected, with @ for the authority */
    const char *got;  /* expected body at the origin */
};

static void is_sent(const struct sent *row)
{
    struct server *server = server_new(obliging);
    struct strbuf got = {0};
    struct probe probe;
    char expected[2048];
    server_set_user(server, &got);
    probe_init(&probe, server_base(server));
    probe.method = row->method;
    probe.target = row->target;
    probe.fields = row->fields;
    probe.send = row->body;
    probe.send_length = row->length;
    probe_run(&probe);
    char *heads = server_heads(server);
    const char *mark = strchr(row->head, '@');
    snprintf(expected, sizeof expected, "%.*s%s%s", (int) (mark - row->head), row->head, server_base(server) + 7,
             mark + 1);
    is_str(heads, expected, "%s %s", row->method, row->target);
    is_int(probe.status, 200, "is answered");
    if (row->got != NULL)
        is_text(strbuf_str(&got), row->got, "with the body");
    probe_fini(&probe);
    server_free(server);
    strbuf_free(&got);
    mem_free(heads);
}

static void requests(void)
{
    static const char *const fields[] = {
        "x-ms-version",  "2021-08-06", "Accept-Encoding", "gzip",  "X-Empty",     "",
        "If-Match",      "\"a\"",      "Connection",      "close", "TE",          "trailers",
        "Host",          "evil",       "Content-Length",  "9",     "x-ms-meta-a", "b; c: d",
        "Authorization", "Bearer t",   "User-Agent",      "sdk/1", NULL};
    static const char *const accept[] = {"accept", "application/xml", "Content-Type", "a/b", NULL};
    static const struct sent rows[] = {
        {"GET", "/c/b", NULL, NULL, -2, "GET /c/b HTTP/1.1\r\nHost: @\r\n\r\n", NULL},
        {"GET", "/c/b?sig=a%2Fb", fields, NULL, -2,
         "GET /c/b?sig=a%2Fb HTTP/1.1\r\nHost: @\r\nx-ms-version: 2021-08-06\r\nAccept-Encoding: gzip\r\nX-Empty:\r\n"
         "If-Match: \"a\"\r\nx-ms-meta-a: b; c: d\r\nAuthorization: Bearer t\r\nUser-Agent: sdk/1\r\n\r\n",
         NULL},
        {"HEAD", "/c/b", accept, NULL, -2,
         "HEAD /c/b HTTP/1.1\r\nHost: @\r\naccept: application/xml\r\nContent-Type: a/b\r\n\r\n", NULL},
        {"PUT", "/c/b", NULL, "hello", -2, "PUT /c/b HTTP/1.1\r\nHost: @\r\nContent-Length: 5\r\n\r\n", "hello"},
        {"PUT", "/c/b", accept, "", 0,
         "PUT /c/b HTTP/1.1\r\nHost: @\r\naccept: application/xml\r\nContent-Type: a/b\r\nContent-Length: 0\r\n\r\n",
         NULL},
        {"PUT", "/c/b", NULL, "hello", -1, "PUT /c/b HTTP/1.1\r\nHost: @\r\nTransfer-Encoding: chunked\r\n\r\n",
         "hello"},
        {"POST", "/?comp=batch", NULL, "x=1", -2, "POST /?comp=batch HTTP/1.1\r\nHost: @\r\nContent-Length: 3\r\n\r\n",
         "x=1"},
        {"POST", "/?comp=list", NULL, NULL, -2, "POST /?comp=list HTTP/1.1\r\nHost: @\r\nContent-Length: 0\r\n\r\n",
         NULL},
        {"PATCH", "/f/p?action=append", NULL, "abc", -2,
         "PATCH /f/p?action=append HTTP/1.1\r\nHost: @\r\nContent-Length: 3\r\n\r\n", "abc"},
        {"DELETE", "/c/b", NULL, NULL, -2, "DELETE /c/b HTTP/1.1\r\nHost: @\r\n\r\n", NULL},
        {"DELETE", "/c/b", NULL, "why", -2, "DELETE /c/b HTTP/1.1\r\nHost: @\r\nContent-Length: 3\r\n\r\n", "why"},
        {"OPTIONS", "/c/b", NULL, NULL, -2, "OPTIONS /c/b HTTP/1.1\r\nHost: @\r\n\r\n", NULL},
        {"PROPFIND", "/c/b", NULL, NULL, -2, "PROPFIND /c/b HTTP/1.1\r\nHost: @\r\n\r\n", NULL},
        {"get", "/c/b", NULL, NULL, -2, "get /c/b HTTP/1.1\r\nHost: @\r\n\r\n", NULL},
        {"GET", "/c/b", NULL, "odd", -2, "GET /c/b HTTP/1.1\r\nHost: @\r\nContent-Length: 3\r\n\r\n", "odd"},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++)
        is_sent(&rows[i]);
}

static void targets(void)
{
    static const char *const rows[] = {
        "",
        "/",
        "//",
        "/c//b",
        "/c/../b",
        "/./c/b/.",
        "/c/%2e%2e/b",
        "/c/a%2Fb%2fc",
        "/c/b?",
        "/c/b?a=b&c=%20",
        "/c/b?a?b=/../",
        "/c/'b'|{}\"<>^`",
        "/c/b#part",
        "/c/%zz%",
        "/c/b+a b",
        "/c/\xc3\xa4",
        "/c/b?x=[1]",
        "/@host:1/b",
        "/c\\b",
        "/http://x/y",
        "/*",
    };
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct server *server = server_new(obliging);
        struct strbuf base = {0};
        struct strbuf line = {0};
        struct probe probe;
        strbuf_addf(&base, "%s/devstoreaccount1", server_base(server));
        strbuf_addf(&line, "GET /devstoreaccount1%s HTTP/1.1\r\n", rows[i]);
        probe_init(&probe, base.ptr);
        probe.target = rows[i];
        probe_run(&probe);
        char *heads = server_heads(server);
        if (strchr(rows[i], ' ') != NULL)
            ok(probe.heads == 1 && probe.status == 0 && probe.why == STATUS_BAD_TARGET && heads[0] == '\0',
               "a blank in a target is refused");
        else
            ok(strncmp(heads, line.ptr, line.len) == 0, "%s goes out as it is", rows[i]);
        probe_fini(&probe);
        server_free(server);
        strbuf_free(&base);
        strbuf_free(&line);
        mem_free(heads);
    }
}

static void refusals(void)
{
    static const char *const injected[] = {"x-a", "1\r\nx-b: 2", NULL};
    static const char *const named[] = {"x a", "1", NULL};
    static const struct {
        const char *base, *method, *target;
        const char *const *fields;
        const char *body;
        enum status why;
    } rows[] = {
        {NULL, "GET", "/c/b", injected, NULL, STATUS_BAD_REQUEST},
        {NULL, "GET", "/c/b", named, NULL, STATUS_BAD_REQUEST},
        {NULL, "GE T", "/c/b", NULL, NULL, STATUS_BAD_REQUEST},
        {NULL, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "/c/b", NULL, NULL, STATUS_BAD_REQUEST},
        {NULL, "HEAD", "/c/b", NULL, "body", STATUS_BAD_REQUEST},
        {NULL, "GET", "c/b", NULL, NULL, STATUS_BAD_TARGET},
        {NULL, "GET", "", NULL, NULL, STATUS_BAD_TARGET},
        {NULL, "GET", "/c/b\r\nX: 1", NULL, NULL, STATUS_BAD_TARGET},
        {"ftp://127.0.0.1", "GET", "/c/b", NULL, NULL, STATUS_INVALID},
        {"127.0.0.1", "GET", "/c/b", NULL, NULL, STATUS_INVALID},
        {"http://", "GET", "/c/b", NULL, NULL, STATUS_INVALID},
        {"http://user:secret@127.0.0.1:1", "GET", "/c/b", NULL, NULL, STATUS_INVALID},
    };
    struct server *server = server_new(obliging);
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct probe probe;
        probe_init(&probe, rows[i].base != NULL ? rows[i].base : server_base(server));
        probe.method = rows[i].method;
        probe.target = rows[i].target;
        probe.fields = rows[i].fields;
        probe.send = rows[i].body;
        probe_run(&probe);
        is_int(probe.why, rows[i].why, "refusal %u: %s", i, status_name(rows[i].why));
        is_int(probe.heads, 1, "by one head");
        probe_fini(&probe);
    }
    is_int(server_connections(server), 0, "nothing was sent");
    server_free(server);
}

/* ---- replies ---- */

static void one_reply(struct conn *conn)
{
    char *head = conn_head(conn);
    if (head != NULL) {
        const char *text = server_user(conn->server);
        conn_send(conn, text, strlen(text));
    }
    mem_free(head);
}

static void replies(void)
{
    static const struct {
        const char *method, *text, *fields, *body;
        int status;
        int64_t length;
        enum source_state end;
        enum status error;
    } rows[] = {
        {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \"1\"\r\n\r\nhello", "ETag: \"1\"\n", "hello", 200, 5,
         SOURCE_END, STATUS_OK},
        {"GET",
         "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nX: 1\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
         NULL, "x", 200, 1, SOURCE_END, STATUS_OK},
        {"GET",
         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;e=1\r\nhello\r\n3\r\n, w\r\n0\r\nX-T: 1\r\n\r\n", NULL,
         "hello, w", 200, -1, SOURCE_END, STATUS_OK},
        {"GET", "HTTP/1.1 200 OK\r\nX: 1\r\n\r\nuntil the end", "X: 1\n", "until the end", 200, -1, SOURCE_END,
         STATUS_OK},
        {"GET", "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold", NULL, "old", 200, 3, SOURCE_END, STATUS_OK},
        {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 123456789012\r\n\r\n", NULL, "", 200, 123456789012, SOURCE_END,
         STATUS_OK},
        {"GET", "HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n", "ETag: \"1\"\n", "", 304, -1, SOURCE_END,
         STATUS_OK},
        {"GET", "HTTP/1.1 204 No Content\r\n\r\n", NULL, "", 204, -1, SOURCE_END, STATUS_OK},
        {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", NULL, "", 200, 0, SOURCE_END, STATUS_OK},
        {"GET", "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/x\r\nContent-Length: 2\r\n\r\nno",
         "Location: http://127.0.0.1:1/x\n", "no", 302, 2, SOURCE_END, STATUS_OK},
        {"GET", "HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer a=b\r\nContent-Length: 2\r\n\r\nno",
         "WWW-Authenticate: Bearer a=b\n", "no", 401, 2, SOURCE_END, STATUS_OK},
        {"GET", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnot!",
         "Content-Encoding: gzip\n", "not!", 200, 4, SOURCE_END, STATUS_OK},
        {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef", NULL, "abc", 200, 3, SOURCE_END, STATUS_OK},
        {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabcdef", NULL, "abcdef", 200, 9, SOURCE_FAILED,
         STATUS_TRUNCATED},
        {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", NULL, "hello", 200, -1,
         SOURCE_FAILED, STATUS_TRUNCATED},
        {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", NULL, "hello", 200, -1,
         SOURCE_FAILED, STATUS_TRUNCATED},
        {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n", NULL, "hello", 200, -1,
         SOURCE_FAILED, STATUS_RESET},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (unsigned way = 0; way < 3; way++) {
            struct server *server = server_new(one_reply);
            struct probe probe;
            char text[1024];
            snprintf(text, sizeof text, "%s", rows[i].text);
            server_set_user(server, text);
            probe_init(&probe, server_base(server));
            probe.method = rows[i].method;
            probe.into_source = way == 1;
            probe.step = way == 2 ? 1 : 0;
            probe.close_at = way == 1 ? CLOSE_AT_END : CLOSE_NEVER;
            probe_run(&probe);
            const bool fields =
                rows[i].fields == NULL || (probe.head.ptr != NULL && strcmp(probe.head.ptr, rows[i].fields) == 0);
            const bool body = str_eq(strbuf_str(&probe.body), str_from(rows[i].body));
            ok(probe.status == rows[i].status && probe.content_length == rows[i].length && fields && body,
               "reply %u, way %u: head and body", i, way);
            ok(probe.state == rows[i].end && probe.error == rows[i].error, "and its end (%s)",
               status_name(probe.error));
            probe_fini(&probe);
            server_free(server);
        }
    }
}

/* ---- connections ---- */

static void reuse(void)
{
    struct server *server = server_new(obliging);
    for (unsigned i = 0; i < 8; i++) {
        struct probe probe;
        probe_init(&probe, server_base(server));
        probe.target = i < 6 ? "/c/b" : "/c/chunked";
        probe.method = i == 4 ? "HEAD" : "GET";
        probe.close_at = i % 2 == 0 ? CLOSE_IN_HEAD : CLOSE_AT_END;
        probe.into_source = i == 3;
        probe_run(&probe);
        probe_fini(&probe);
    }
    struct probe probe;
    probe_init(&probe, server_base(server));
    probe.idle = true;
    probe_start(&probe);
    probe_wait_head(&probe);
    probe_close(&probe);
    probe_fini(&probe);
    is_int(server_requests(server), 9, "nine requests");
    is_int(server_connections(server), 1, "on one connection, however early they are closed");
    server_free(server);
}

int main(void)
{
    mem_init();
    signal(SIGPIPE, SIG_IGN);
    rig_start();
    requests();
    targets();
    refusals();
    replies();
    reuse();
    rig_stop();
    return done_testing();
}
