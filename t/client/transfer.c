/* SPDX-License-Identifier: Apache-2.0 */
/* See transfer.h. */
#include "transfer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "../origin/content.h"

int64_t clock_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t) ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void drop_fields(struct transfer *t)
{
    while (t->field_count > 0)
        free(t->fields[--t->field_count]);
}

void transfer_fini(struct transfer *t)
{
    drop_fields(t);
}

void transfer_init(struct transfer *t, const struct options *o, struct target *target)
{
    transfer_fini(t);
    memset(t, 0, sizeof *t);
    t->options = o;
    t->target = target;
    t->abort_after = -1;
    t->want_status = 200;
    t->want_length = target->size;
    t->mismatch_at = -1;
    t->seeds = target_all_seeds(target);
}

void transfer_set_range(struct transfer *t, int64_t from, int64_t to)
{
    int64_t size = t->target->size;
    if (to == INT64_MAX)
        snprintf(t->range, sizeof t->range, "bytes=%" PRId64 "-", from);
    else
        snprintf(t->range, sizeof t->range, "bytes=%" PRId64 "-%" PRId64, from, to);
    t->want_status = from >= size ? 416 : 206;
    t->want_from = from;
    t->want_length = (to < size ? to + 1 : size) - from;
}

const char *transfer_field(const struct transfer *t, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = t->field_count; i-- > 0;) {
        const char *f = t->fields[i];
        if (strncasecmp(f, name, n) == 0 && f[n] == ':')
            return f + n + 1 + strspn(f + n + 1, " \t");
    }
    return NULL;
}

void transfer_got_status(struct transfer *t, int status)
{
    t->last_progress = clock_ns();
    drop_fields(t);
    t->status = status;
}

void transfer_got_field(struct transfer *t, const char *line, size_t n)
{
    t->last_progress = clock_ns();
    if (t->field_count < TRANSFER_MAX_FIELDS && (t->fields[t->field_count] = strndup(line, n)) != NULL)
        t->field_count++;
}

static void check(struct transfer *t, const char *data, size_t n)
{
    const struct target *target = t->target;
    int64_t deepest = -1;
    for (int i = 0; i < target->seed_count; i++) {
        if (!(t->seeds & (1u << i)))
            continue;
        int64_t bad = content_check(target->seeds[i], t->offset, data, n);
        if (bad < 0)
            continue;
        t->seeds &= ~(1u << i);
        if (bad > deepest)
            deepest = bad;
    }
    if (target->seed_count > 0 && t->seeds == 0 && t->mismatch_at < 0)
        t->mismatch_at = deepest;
    t->offset += (int64_t) n;
    t->checked_bytes += (int64_t) n;
}

bool transfer_got_body(struct transfer *t, const char *data, size_t n)
{
    t->last_progress = clock_ns();
    if (t->body_bytes == 0 && t->status == 206) {
        const char *range = transfer_field(t, "Content-Range");
        t->offset = range && strncmp(range, "bytes ", 6) == 0 ? strtoll(range + 6, NULL, 10) : 0;
    }
    if (t->body_bytes == 0)
        t->first_byte = t->last_progress;
    t->body_bytes += (int64_t) n;
    if (t->status == 200 || t->status == 206) {
        check(t, data, n);
    } else {
        size_t room = sizeof t->error_body - 1 - t->error_len, take = n < room ? n : room;
        memcpy(t->error_body + t->error_len, data, take);
        t->error_len += take;
    }
    t->aborted = t->abort_after >= 0 && t->body_bytes >= t->abort_after;
    return !t->aborted;
}

void transfer_request_lines(const struct transfer *t, void (*add)(void *ctx, const char *line), void *ctx)
{
    char line[128];
    const struct options *o = t->options;
    for (size_t i = 0; i < o->header_count; i++)
        add(ctx, o->headers[i]);
    if (t->range[0]) {
        snprintf(line, sizeof line, "%s: %s", t->ms_range ? "x-ms-range" : "Range", t->range);
        add(ctx, line);
    }
    if (t->condition[0])
        add(ctx, t->condition);
}

void transfer_begin(struct transfer *t)
{
    t->started = t->last_progress = clock_ns();
}
