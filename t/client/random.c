/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `ranges` and `mixed`: random requests, each with the one right answer worked out beforehand. The
 * choices lean to where caches go wrong: block boundaries, ends of blobs, empty blobs.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "modes.h"
#include "report.h"

#define BLOCK ((int64_t) 1 << 20)
#define TAIL (8 * BLOCK) /* how far open-ended ranges reach in big blobs */

struct random_load {
    const struct options *options;
    struct report report;
    uint64_t state;
    int64_t left;  /* requests, -1: until the time is up */
    int64_t until; /* ns */
    bool mixed;
};

static uint64_t draw(struct random_load *l)
{
    uint64_t z = l->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* 0 <= result < n; 0 when n is not positive. */
static int64_t below(struct random_load *l, int64_t n)
{
    return n > 0 ? (int64_t) (draw(l) % (uint64_t) n) : 0;
}

static void crossing(struct random_load *l, struct transfer *t)
{
    static const int64_t lengths[] = {1, 2, 3, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 3 * BLOCK + 2};
    int64_t from = below(l, t->target->size / BLOCK + 1) * BLOCK + below(l, 3) - 1;
    int64_t length = lengths[below(l, 8)];
    if (from < 0)
        from = 0;
    if (from >= t->target->size)
        from = t->target->size - 1;
    transfer_set_range(t, from, from + length - 1);
}

static void open_ended(struct random_load *l, struct transfer *t)
{
    int64_t size = t->target->size;
    int64_t reach = size > l->options->big ? TAIL : size;
    transfer_set_range(t, size - 1 - below(l, reach), INT64_MAX);
}

static void past_the_end(struct random_load *l, struct transfer *t)
{
    int64_t from = t->target->size + (below(l, 2) ? 0 : below(l, 5 * BLOCK));
    transfer_set_range(t, from, below(l, 2) ? from + below(l, BLOCK) : INT64_MAX);
}

static void some_range(struct random_load *l, struct transfer *t)
{
    int64_t size = t->target->size, from = below(l, size), kind = below(l, 100);
    t->ms_range = below(l, 2);
    if (size == 0) {
        if (kind < 70)
            transfer_set_range(t, below(l, 2) * below(l, 100), kind < 35 ? INT64_MAX : 100);
        return;
    }
    if (kind < 25)
        transfer_set_range(t, from, from + below(l, 256));
    else if (kind < 60)
        crossing(l, t);
    else if (kind < 72)
        transfer_set_range(t, from, from + below(l, 8 * BLOCK));
    else if (kind < 82)
        open_ended(l, t);
    else if (kind < 86)
        transfer_set_range(t, 0, 0);
    else if (kind < 90)
        transfer_set_range(t, size - 1 - below(l, size < 100 ? size : 100), size + below(l, BLOCK));
    else if (kind < 94)
        past_the_end(l, t);
    else if (size > l->options->big)
        crossing(l, t); /* whole, were it not for its size */
}

/* With a blob that changes under us, the other outcome of a condition is right, too. */
static void conditional(struct random_load *l, struct transfer *t)
{
    const char *etag = target_etag(t->target);
    bool changing = t->target->seed_count > 1 || t->options->new_etags;
    int usual = t->want_status;
    switch (below(l, 4)) {
    case 0:
        if (!etag || t->want_status == 416)
            return;
        snprintf(t->condition, sizeof t->condition, "If-None-Match: %s", etag);
        t->want_status = 304;
        t->or_status = changing ? usual : 0;
        break;
    case 1:
        if (!etag)
            return;
        snprintf(t->condition, sizeof t->condition, "If-Match: %s", etag);
        t->or_status = changing ? 412 : 0;
        break;
    case 2:
        snprintf(t->condition, sizeof t->condition, "If-None-Match: \"0x8D0000000000BAD\"");
        break;
    default:
        snprintf(t->condition, sizeof t->condition, "If-Match: \"0x8D0000000000BAD\"");
        t->want_status = 412;
    }
}

static bool next(void *ctx, struct transfer *t)
{
    struct random_load *l = ctx;
    const struct options *o = l->options;
    if (l->left == 0 || (l->mixed && clock_ns() >= l->until))
        return false;
    if (l->left > 0)
        l->left--;
    transfer_init(t, o, &o->targets[below(l, (int64_t) o->target_count)]);
    int64_t kind = l->mixed ? below(l, 100) : 0;
    if (kind >= 90) {
        t->head = true;
        if (below(l, 3) == 0)
            conditional(l, t);
        return true;
    }
    some_range(l, t);
    if (kind >= 75)
        conditional(l, t);
    else if (kind >= 65 && t->want_status != 416)
        t->abort_after = 1 + below(l, t->want_length);
    return true;
}

static void done(void *ctx, struct transfer *t)
{
    struct random_load *l = ctx;
    report_note(&l->report, t);
}

static int run(const struct options *o, bool mixed)
{
    struct random_load l = {.options = o, .state = (uint64_t) o->rng, .mixed = mixed};
    struct work work = {.ctx = &l, .share = true, .next = next, .done = done};
    for (size_t i = 0; i < o->target_count; i++) {
        if (o->targets[i].size >= 0)
            continue;
        fprintf(stderr, "blob-client: %s: size and seed are needed\n", o->targets[i].name);
        return 2;
    }
    l.left = mixed ? -1 : o->count;
    report_init(&l.report);
    l.until = l.report.started + o->seconds * 1000000000;
    engine_run(o, o->concurrency, &work);
    return report_finish(&l.report, report_json(&l.report));
}

int mode_ranges(const struct options *o)
{
    return run(o, false);
}

int mode_mixed(const struct options *o)
{
    return run(o, true);
}
