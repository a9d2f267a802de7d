/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `blocks`: all blobs in ranges of one block, each once, in order or shuffled: a round. One round, or one after another
 * until the time is up; as fast as it goes, or by a clock that does not wait for replies, so that a slow reply is one
 * and makes no others rare.
 */
#include <stdio.h>
#include <stdlib.h>

#include "engine.h"
#include "modes.h"
#include "report.h"

struct blocks_load {
    const struct options *options;
    struct report report;
    int64_t *before; /* blocks of the blobs before each one */
    int64_t count;   /* of a round */
    uint32_t *order; /* NULL: as they come */
    uint64_t state;
    int64_t issued;
    int64_t until; /* ns; 0: one round */
    int64_t late;  /* ns; how far behind its clock a request was sent, at most */
};

static uint64_t draw(struct blocks_load *l)
{
    uint64_t z = l->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void shuffle(struct blocks_load *l)
{
    for (int64_t i = l->count - 1; i > 0; i--) {
        int64_t j = (int64_t) (draw(l) % (uint64_t) (i + 1));
        uint32_t swapped = l->order[i];
        l->order[i] = l->order[j];
        l->order[j] = swapped;
    }
}

static size_t target_of(const struct blocks_load *l, int64_t block)
{
    size_t low = 0, high = l->options->target_count;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (l->before[middle] <= block)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static bool next(void *ctx, struct transfer *t)
{
    struct blocks_load *l = ctx;
    const struct options *o = l->options;
    int64_t place = l->issued % l->count, due = 0;
    if (o->per_second > 0)
        due = l->report.started + l->issued * 1000000000 / o->per_second;
    if (l->until == 0 ? l->issued == l->count : (due > 0 ? due : clock_ns()) >= l->until)
        return false;
    if (place == 0 && l->order)
        shuffle(l);
    l->issued++;
    int64_t block = l->order ? l->order[place] : place;
    size_t target = target_of(l, block);
    int64_t from = (block - l->before[target]) * o->block;
    transfer_init(t, o, &o->targets[target]);
    transfer_set_range(t, from, from + o->block - 1);
    t->due = due;
    return true;
}

static void done(void *ctx, struct transfer *t)
{
    struct blocks_load *l = ctx;
    if (t->due && t->started - t->due > l->late)
        l->late = t->started - t->due;
    report_note(&l->report, t);
}

/* false: that cannot be read in blocks. */
static bool count_blocks(struct blocks_load *l)
{
    const struct options *o = l->options;
    l->before = calloc(o->target_count, sizeof *l->before);
    if (!l->before)
        abort();
    for (size_t i = 0; i < o->target_count; i++) {
        if (o->targets[i].size < 0) {
            fprintf(stderr, "blob-client: %s: size and seed are needed\n", o->targets[i].name);
            return false;
        }
        l->before[i] = l->count;
        l->count += (o->targets[i].size + o->block - 1) / o->block;
    }
    return l->count > 0 && l->count < UINT32_MAX;
}

int mode_blocks(const struct options *o)
{
    struct blocks_load l = {.options = o, .state = (uint64_t) o->rng};
    struct work work = {.ctx = &l, .share = true, .next = next, .done = done};
    if (o->block < 1 || (o->per_second > 0 && o->http2) || !count_blocks(&l)) {
        fputs("blob-client: blocks: there are none, or HTTP/2 was asked to keep to a clock\n", stderr);
        free(l.before);
        return 2;
    }
    if (o->shuffle) {
        l.order = calloc((size_t) l.count, sizeof *l.order);
        if (!l.order)
            abort();
        for (int64_t i = 0; i < l.count; i++)
            l.order[i] = (uint32_t) i;
    }
    report_init(&l.report);
    if (!o->once)
        l.until = l.report.started + o->seconds * 1000000000;
    engine_run(o, o->concurrency, &work);
    json_t *json = report_json(&l.report);
    json_object_set_new(json, "late_ms", json_real((double) l.late / 1e6));
    free(l.before);
    free(l.order);
    return report_finish(&l.report, json);
}
