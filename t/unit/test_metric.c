/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics: sums over threads, the bound on cells, and the text. */
#include "tap.h"

#include <pthread.h>

#include "base/metric.h"

static void *adds(void *arg)
{
    for (int i = 0; i < 100000; i++) {
        metric_cell_add(arg, 1);
        metric_cell_add(metric_cell(METRIC_REFUSED, i % 2 == 0 ? "even" : "odd"), 1);
    }
    return NULL;
}

static bool has(const struct strbuf *text, const char *line)
{
    return strstr(text->ptr, line) != NULL;
}

static void sums(void)
{
    pthread_t thread[4];
    struct metric_cell *cell = metric_cell(METRIC_CLIENT_BYTES, "");
    for (int i = 0; i < 4; i++)
        pthread_create(&thread[i], NULL, adds, cell);
    for (int i = 0; i < 4; i++)
        pthread_join(thread[i], NULL);
    is_int(metric_cell_value(cell), 400000, "four threads add to one counter");
    is_int(metric_cell_value(metric_cell(METRIC_REFUSED, "odd")), 200000,
           "and to cells that they make at the same time");
    ok(metric_cell(METRIC_REFUSED, "odd") == metric_cell(METRIC_REFUSED, "odd"), "a cell is made once");
    ok(metric_cell2(METRIC_ORIGIN_RETRIES, "acct", "reset") == metric_cell(METRIC_ORIGIN_RETRIES, "acct\treset"),
       "two labels are joined");
    metric_add(METRIC_CLIENT_BYTES, 5);
    is_int(metric_cell_value(cell), 400005, "metric_add finds the same cell");
    metric_add(METRIC_GRANTS, 3);
    metric_add(METRIC_GRANTS, -2);
    is_int(metric_cell_value(metric_cell(METRIC_GRANTS, "")), 1, "a gauge goes down");
    metric_set(METRIC_GRANTS, 77);
    is_int(metric_cell_value(metric_cell(METRIC_GRANTS, "")), 77, "and can be set");
}

static void bound(void)
{
    char labels[400];
    for (int i = 0; i < 3000; i++) {
        snprintf(labels, sizeof labels, "GET\tc%d\t200", i);
        metric_cell_add(metric_cell(METRIC_REQUESTS, labels), 1);
    }
    memset(labels, 'x', sizeof labels - 1);
    labels[sizeof labels - 1] = '\0';
    ok(metric_cell2(METRIC_ORIGIN_RETRIES, "acct", labels) == metric_cell(METRIC_ORIGIN_RETRIES, "other\tother"),
       "what is too long is other");
    metric_cell_add(metric_cell(METRIC_REQUESTS, labels), 1);
    is_int(metric_cell_value(metric_cell(METRIC_REQUESTS, "other\tother\tother")), 2001,
           "past 1000 cells all is other");
    struct strbuf out = {0};
    metric_render(&out);
    unsigned count = 0;
    for (const char *at = out.ptr; (at = strstr(at, "headpond_requests_total{")) != NULL; at++)
        count++;
    is_int(count, 1001, "no more lines than that");
    ok(has(&out, "headpond_requests_total{method=\"other\",cache=\"other\",code=\"other\"} 2001\n"), "other is shown");
    strbuf_free(&out);
}

static void before_render(void *arg)
{
    metric_set(METRIC_STORE_OBJECTS, *(int *) arg);
}

static void text(void)
{
    static int objects = 4321;
    metric_on_render(before_render, &objects);
    metric_cell_add(metric_cell(METRIC_ORIGIN_REQUESTS, "a\"b\\c\n\xc3\xa9\t503"), 2);
    struct metric_cell *cell = metric_cell(METRIC_REQUEST_SECONDS, "hit");
    metric_cell_observe(cell, 100);
    metric_cell_observe(cell, 101);
    metric_cell_observe(cell, 1500000);
    metric_cell_observe(cell, INT64_MAX / 4);
    metric_cell_observe(cell, -5);
    struct strbuf out = {0};
    metric_render(&out);
    ok(has(&out, "# HELP headpond_client_bytes_total Body bytes sent to clients\n# TYPE headpond_client_bytes_total "
                 "counter\n"),
       "help and type");
    ok(has(&out, "\nheadpond_client_bytes_total 400005\n"), "a counter without labels");
    ok(has(&out, "\nheadpond_accepted_total 0\n"), "one that was never touched is 0");
    ok(has(&out, "\nheadpond_store_objects 4321\n"), "hooks run before rendering");
    ok(has(&out, "{account=\"a\\\"b\\\\c???\",code=\"503\"} 2\n"), "label values are escaped");
    ok(has(&out, "headpond_request_seconds_bucket{cache=\"hit\",le=\"0.0001\"} 2\n"), "a bucket's bound belongs to it");
    ok(has(&out, "headpond_request_seconds_bucket{cache=\"hit\",le=\"0.00025\"} 3\n"), "buckets are cumulative");
    ok(has(&out, "headpond_request_seconds_bucket{cache=\"hit\",le=\"30\"} 4\n"), "up to 30 s");
    ok(has(&out, "headpond_request_seconds_bucket{cache=\"hit\",le=\"+Inf\"} 5\n"), "and beyond");
    ok(has(&out, "headpond_request_seconds_count{cache=\"hit\"} 5\n"), "count");
    ok(!has(&out, "headpond_memory_bytes 0\n") && has(&out, "\nheadpond_memory_bytes "), "memory is filled in");
    bool whole = out.ptr[out.len - 1] == '\n';
    for (size_t i = 0; i < out.len; i++)
        whole = whole && (unsigned char) out.ptr[i] < 0x7f;
    ok(whole, "ASCII, and the last line ends");
    strbuf_free(&out);
}

int main(void)
{
    sums();
    bound();
    text();
    return done_testing();
}
