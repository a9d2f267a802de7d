/* SPDX-License-Identifier: Apache-2.0 */
/* test_access_log.c: a line is JSON, holds no signature however it was written, and never blocks a loop. */
#include "proxy/access_log.h"

#include <fcntl.h>
#include <jansson.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/metric.h"
#include "net/loop.h"
#include "proxy/access_line.h"
#include "tap.h"

static struct access_entry entry_for(const char *target)
{
    static const struct sockaddr_in peer = {.sin_family = AF_INET};
    return (struct access_entry){
        .peer = (const struct sockaddr *) &peer,
        .version = HTTP_2,
        .tls = true,
        .method = STR("GET"),
        .target = str_from(target),
        .account = STR("acct"),
        .request_id = STR("c0ffee00-0000"),
        .client_request_id = STR("theirs"),
        .range = STR("bytes=0-99"),
        .agent = STR("azsdk/1.0 (\"x\")"),
        .retries = 2,
        .status = 206,
        .sent = 1234567890123,
        .received = 7,
        .cache = "hit",
        .detail = "a-detail",
        .first_us = 1234,
        .total_us = 5678901,
        .end = STATUS_CLIENT_GONE,
    };
}

static char line[ACCESS_LINE_MAX];
static struct access_clock own_clock;

static json_t *parse(const struct access_entry *entry)
{
    size_t len = access_line(&own_clock, entry, line);
    ok(len > 0 && len <= ACCESS_LINE_MAX && line[len - 1] == '\n', "a line of %zu bytes", len);
    json_t *json = json_loadb(line, len, 0, NULL);
    ok(json_is_object(json), "is JSON");
    return json;
}

static void test_fields(void)
{
    struct access_entry entry = entry_for("/acct/c/b?x=1");
    json_t *json = parse(&entry);
    is_str(json_string_value(json_object_get(json, "target")), "/acct/c/b?x=1", "target");
    is_str(json_string_value(json_object_get(json, "client")), "0.0.0.0", "client");
    is_int(json_integer_value(json_object_get(json, "sent")), 1234567890123, "sent");
    ok(json_real_value(json_object_get(json, "first_ms")) == 1.234, "first byte");
    ok(json_real_value(json_object_get(json, "total_ms")) == 5678.901, "total");
    is_str(json_string_value(json_object_get(json, "request_id")), "c0ffee00-0000", "the reply's name");
    is_str(json_string_value(json_object_get(json, "client_request_id")), "theirs", "the client's");
    is_str(json_string_value(json_object_get(json, "range")), "bytes=0-99", "range");
    is_str(json_string_value(json_object_get(json, "agent")), "azsdk/1.0 (\"x\")", "agent");
    is_int(json_integer_value(json_object_get(json, "retries")), 2, "retries");
    is_str(json_string_value(json_object_get(json, "end")), "client-gone", "end");
    is_str(json_string_value(json_object_get(json, "protocol")), "h2", "protocol");
    json_decref(json);
    entry.client_request_id = entry.range = entry.agent = STR_NULL;
    entry.retries = 0;
    json = parse(&entry);
    ok(json_object_get(json, "client_request_id") == NULL && json_object_get(json, "range") == NULL &&
           json_object_get(json, "agent") == NULL && json_object_get(json, "retries") == NULL,
       "what was not there is left out");
    json_decref(json);
}

static void test_secrets(void)
{
    static const char *const targets[] = {
        "/a/c/b?sp=r&sig=SECRET&se=x", "/a/c/b?SIG=SECRET",
        "/a/c/b?%73ig=SECRET&sv=1",    "/a/c/b?%2573ig=SECRET",
        "/a/c/b?%53%49%47=SECRET&x",   "/a/c/b?x=https%3A%2F%2Fh%2F%3Fsig%3DSECRET",
        "/a/c/b?x?sig=SECRET",         "/a/c/b?sig=SECRET?x&sig=SECRET",
    };
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        struct access_entry entry = entry_for(targets[i]);
        size_t len = access_line(&own_clock, &entry, line);
        ok(memmem(line, len, "SECRET", 6) == NULL, "no signature of %s", targets[i]);
    }
    struct access_entry entry = entry_for("/a/c/b");
    entry.agent = STR("x Bearer SECRET");
    entry.client_request_id = STR("?sig=SECRET");
    entry.range = STR("sig=SECRET");
    size_t len = access_line(&own_clock, &entry, line);
    ok(memmem(line, len, "SECRET", 6) == NULL, "nor one that strayed into a header");
}

static void test_hostile(void)
{
    struct access_entry entry = entry_for("/a\"\\\x01\xff\x80/b");
    json_decref(parse(&entry));
    char *huge = malloc(100001);
    memset(huge, '\x01', 100000);
    huge[100000] = '\0';
    entry = entry_for(huge);
    entry.method = str_from(huge);
    entry.account = entry.request_id = entry.client_request_id = entry.range = entry.agent = str_from(huge);
    entry.cache = entry.detail = huge;
    json_decref(parse(&entry));
    memset(huge, '?', 100000);
    entry = entry_for(huge);
    json_decref(parse(&entry));
    free(huge);
}

/* A pipe nobody reads: lines are dropped, the loop is not held up. */
static void flood(struct loop *loop, void *arg)
{
    struct access_feed *feed = access_feed_new(arg, loop);
    struct access_entry entry = entry_for("/a/c/b");
    for (unsigned i = 0; i < 100000; i++)
        access_feed_add(feed, &entry);
    access_feed_free(&feed);
    loop_stop(loop);
}

static void test_stuck_reader(void)
{
    int ends[2];
    struct strbuf error = {0};
    struct access_log *log = NULL;
    char path[64];
    ok(pipe(ends) == 0, "a pipe");
    snprintf(path, sizeof path, "/proc/self/fd/%d", ends[1]);
    if (ok(access_log_open(path, &log, &error) == STATUS_OK, "opens")) {
        struct loop *loop = loop_new(0);
        loop_start(loop, flood, NULL, log);
        loop_join(loop);
        loop_free(loop);
        ok(metric_cell_value(metric_cell(METRIC_ACCESS_LOG_DROPPED, "queue-full")) > 0,
           "lines were dropped, and counted");
        close(ends[0]); /* the writer gets EPIPE and ends */
        access_log_close(&log);
        ok(metric_cell_value(metric_cell(METRIC_ACCESS_LOG_DROPPED, "unwritable")) > 0,
           "those that nobody could be given, by another name");
    }
    close(ends[1]);
    strbuf_free(&error);
    ok(access_log_open("/nonexistent/x", &log, &error) == STATUS_IO && error.len > 0, "a file that cannot be: %s",
       error.ptr);
    strbuf_free(&error);
}

static void some(struct loop *loop, void *arg)
{
    struct access_feed *feed = access_feed_new(arg, loop);
    struct access_entry entry = entry_for("/a/c/b");
    for (unsigned i = 0; i < 1000; i++)
        access_feed_add(feed, &entry);
    access_feed_free(&feed);
    loop_stop(loop);
}

static void test_file(void)
{
    char path[] = "/tmp/headpond-access-XXXXXX";
    int fd = mkstemp(path);
    struct strbuf error = {0};
    struct access_log *log = NULL;
    ok(access_log_open(path, &log, &error) == STATUS_OK, "a file");
    struct loop *loop = loop_new(0);
    loop_start(loop, some, NULL, log);
    loop_join(loop);
    loop_free(loop);
    access_log_close(&log);
    unsigned lines = 0;
    FILE *file = fdopen(fd, "r");
    while (fgets(line, sizeof line, file) != NULL)
        lines++;
    is_int(lines, 1000, "every line is there after the close");
    fclose(file);
    unlink(path);
    strbuf_free(&error);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    test_fields();
    test_secrets();
    test_hostile();
    test_stuck_reader();
    test_file();
    return done_testing();
}
