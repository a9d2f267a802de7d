/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `readers`: many clients read one blob at once, each on its own connection. Slow ones are not
 * waited for: when the others have ended they are cut off, and what they got until then is checked.
 */
#include <stdio.h>
#include <stdlib.h>

#include "engine.h"
#include "modes.h"
#include "report.h"

struct times {
    double *values; /* ms */
    size_t count;
};

struct readers_load {
    const struct options *options;
    struct report report;
    int64_t issued, fast_running;
    int64_t deadline;
    struct times total, first_byte;
    json_t *slow_bytes;
};

static bool next(void *ctx, struct transfer *t)
{
    struct readers_load *l = ctx;
    const struct options *o = l->options;
    if (l->issued == o->readers)
        return false;
    transfer_init(t, o, &o->targets[0]);
    t->own_connection = true;
    t->slow = l->issued++ < o->slow_count;
    if (t->slow)
        t->rate = o->slow_rate;
    else
        l->fast_running++;
    return true;
}

static void add_time(struct times *times, int64_t ns)
{
    times->values[times->count++] = (double) ns / 1e6;
}

static void done(void *ctx, struct transfer *t)
{
    struct readers_load *l = ctx;
    report_note(&l->report, t);
    if (t->slow) {
        json_array_append_new(l->slow_bytes, json_integer(t->body_bytes));
        return;
    }
    l->fast_running--;
    if (t->aborted)
        report_fail(&l->report, t, "timed out");
    add_time(&l->total, t->ended - t->started);
    if (t->first_byte)
        add_time(&l->first_byte, t->first_byte - t->started);
}

static bool stop(void *ctx)
{
    const struct readers_load *l = ctx;
    bool only_slow_ones =
        l->issued == l->options->readers && l->fast_running == 0 && l->options->slow_count < l->options->readers;
    return only_slow_ones || clock_ns() >= l->deadline;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *) a, y = *(const double *) b;
    return (x > y) - (x < y);
}

static json_t *spread(struct times *t)
{
    json_t *json = json_null();
    if (t->count > 0) {
        qsort(t->values, t->count, sizeof t->values[0], ascending);
        json = json_pack("{s:f, s:f, s:f}", "min", t->values[0], "median", t->values[t->count / 2], "max",
                         t->values[t->count - 1]);
    }
    free(t->values);
    return json;
}

int mode_readers(const struct options *o)
{
    struct readers_load l = {.options = o, .slow_bytes = json_array()};
    struct work work = {.ctx = &l, .next = next, .done = done, .stop = stop};
    if (o->targets[0].size < 0) {
        fprintf(stderr, "blob-client: %s: size and seed are needed\n", o->targets[0].name);
        return 2;
    }
    l.total.values = calloc((size_t) o->readers + 1, sizeof(double));
    l.first_byte.values = calloc((size_t) o->readers + 1, sizeof(double));
    if (!l.total.values || !l.first_byte.values)
        abort();
    report_init(&l.report);
    l.deadline = l.report.started + o->timeout * 1000000000;
    engine_run(o, o->readers, &work);
    json_t *json = report_json(&l.report);
    json_object_set_new(json, "readers", json_integer(o->readers));
    json_object_set_new(json, "reader_ms", spread(&l.total));
    json_object_set_new(json, "first_byte_ms", spread(&l.first_byte));
    json_object_set_new(json, "slow_bytes", l.slow_bytes);
    return report_finish(&l.report, json);
}
