/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See record.h. Counters of a path are zeroed, never freed, so a reply in progress may keep adding
 * to them without the lock. distinct_bytes counts each byte of each generation once: when it equals
 * body_bytes, nothing was fetched twice.
 */
#include "record.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define LOG_SIZE 10000
#define MAX_PATHS 200000
#define MAX_SPANS 65536
#define BUCKETS 16384
#define MAX_METHODS 32

struct span {
    int64_t from, to;
};

struct path_stats {
    struct path_stats *next;
    char *path;
    int64_t requests, gets, heads, puts, deletes, distinct_bytes;
    _Atomic int64_t body_bytes;
    char etag[128];     /* the generation that the spans belong to */
    struct span *spans; /* sorted, disjoint */
    size_t span_count;
};

struct log_entry {
    uint64_t sequence;
    char *method, *target, *range, *if_match, *if_none_match, *version, *names;
    int status;
    bool has_authorization, ended, complete;
    int64_t at_ms, body_bytes;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct path_stats *paths[BUCKETS];
static struct path_stats other_paths = {.path = NULL};
static size_t path_count;
static struct log_entry entries[LOG_SIZE];
static uint64_t next_sequence = 1, log_start = 1;
static int64_t requests, distinct_bytes, probe_requests, inflight, max_inflight;
static int64_t by_status[1000];
static struct {
    char name[16];
    int64_t count;
} by_method[MAX_METHODS];
static _Atomic int64_t data_requests, body_bytes, accepted_connections, open_connections;

void record_connection(int accepted, int open)
{
    accepted_connections += accepted;
    open_connections += open;
}

static struct path_stats *path_find(const char *path)
{
    struct path_stats **bucket = &paths[hash_string(path) % BUCKETS];
    for (struct path_stats *p = *bucket; p; p = p->next)
        if (strcmp(p->path, path) == 0)
            return p;
    if (path_count == MAX_PATHS)
        return &other_paths;
    struct path_stats *p = xcalloc(1, sizeof *p);
    p->path = xstrdup(path);
    p->next = *bucket;
    *bucket = p;
    path_count++;
    return p;
}

static void count_method(struct path_stats *p, const char *method)
{
    p->requests++;
    p->gets += strcmp(method, "GET") == 0;
    p->heads += strcmp(method, "HEAD") == 0;
    p->puts += strcmp(method, "PUT") == 0;
    p->deletes += strcmp(method, "DELETE") == 0;
    for (int i = 0; i < MAX_METHODS; i++) {
        if (by_method[i].name[0] == '\0')
            strncpy(by_method[i].name, method, sizeof by_method[i].name - 1);
        if (strncmp(by_method[i].name, method, sizeof by_method[i].name - 1) == 0) {
            by_method[i].count++;
            return;
        }
    }
}

static char *copy(const char *s)
{
    return s ? xstrdup(s) : NULL;
}

static void entry_free(struct log_entry *e)
{
    free(e->method);
    free(e->target);
    free(e->range);
    free(e->if_match);
    free(e->if_none_match);
    free(e->version);
    free(e->names);
    memset(e, 0, sizeof *e);
}

static const char *effective_range(const struct request *req)
{
    const char *range = request_header(req, "x-ms-range");
    return range ? range : request_header(req, "Range");
}

static void entry_fill(struct log_entry *e, const struct request *req, int status)
{
    struct buf names = {0};
    for (int i = 0; i < req->header_count; i++)
        buf_printf(&names, "%s%s", i ? "\n" : "", req->headers[i].name);
    e->method = xstrdup(req->method);
    e->target = xstrdup(req->target);
    e->range = copy(effective_range(req));
    e->if_match = copy(request_header(req, "If-Match"));
    e->if_none_match = copy(request_header(req, "If-None-Match"));
    e->version = copy(request_header(req, "x-ms-version"));
    e->names = names.data;
    e->has_authorization = request_header(req, "Authorization") != NULL;
    e->status = status;
    e->at_ms = now_ns() / 1000000;
}

void record_begin(struct record *rec, const struct request *req, int status)
{
    const char *range = effective_range(req);
    pthread_mutex_lock(&mutex);
    rec->path = path_find(req->path ? req->path : "(malformed)");
    rec->sequence = next_sequence++;
    rec->body_bytes = 0;
    requests++;
    by_status[status > 0 && status < 1000 ? status : 0]++;
    count_method(rec->path, req->method);
    if (range && strcmp(req->method, "GET") == 0 && strcmp(range, "bytes=0-0") == 0)
        probe_requests++;
    if (++inflight > max_inflight)
        max_inflight = inflight;
    struct log_entry *e = &entries[rec->sequence % LOG_SIZE];
    entry_free(e);
    entry_fill(e, req, status);
    e->sequence = rec->sequence;
    pthread_mutex_unlock(&mutex);
}

void record_body(struct record *rec, int64_t n)
{
    if (!rec->sequence || n <= 0)
        return;
    if (rec->body_bytes == 0)
        data_requests++;
    rec->body_bytes += n;
    rec->path->body_bytes += n;
    body_bytes += n;
}

/* Adds [from, to) to the spans; returns how much of it was new. */
static int64_t span_add(struct path_stats *p, int64_t from, int64_t to)
{
    int64_t fresh = to - from;
    size_t first = 0;
    while (first < p->span_count && p->spans[first].to < from)
        first++;
    size_t last = first;
    for (; last < p->span_count && p->spans[last].from <= to; last++) {
        const struct span *s = &p->spans[last];
        int64_t lo = s->from > from ? s->from : from, hi = s->to < to ? s->to : to;
        fresh -= hi > lo ? hi - lo : 0;
    }
    if (last == first && p->span_count == MAX_SPANS)
        return fresh;
    struct span merged = {from, to};
    if (last > first) {
        if (p->spans[first].from < merged.from)
            merged.from = p->spans[first].from;
        if (p->spans[last - 1].to > merged.to)
            merged.to = p->spans[last - 1].to;
    }
    size_t count = p->span_count - (last - first) + 1;
    if (count > p->span_count)
        p->spans = xrealloc(p->spans, count * sizeof p->spans[0]);
    memmove(p->spans + first + 1, p->spans + last, (p->span_count - last) * sizeof p->spans[0]);
    p->spans[first] = merged;
    p->span_count = count;
    return fresh;
}

void record_end(struct record *rec, const struct reply *r, bool complete)
{
    if (!rec->sequence)
        return;
    pthread_mutex_lock(&mutex);
    struct path_stats *p = rec->path;
    inflight--;
    if (rec->body_bytes > 0 && r->gen && p->path) {
        if (strcmp(p->etag, r->gen->etag) != 0) {
            p->span_count = 0;
            memcpy(p->etag, r->gen->etag, sizeof p->etag);
        }
        int64_t fresh = span_add(p, r->offset, r->offset + rec->body_bytes);
        p->distinct_bytes += fresh;
        distinct_bytes += fresh;
    }
    struct log_entry *e = &entries[rec->sequence % LOG_SIZE];
    if (e->sequence == rec->sequence) {
        e->ended = true;
        e->complete = complete;
        e->body_bytes = rec->body_bytes;
    }
    pthread_mutex_unlock(&mutex);
    rec->sequence = 0;
}

void record_reset(void)
{
    pthread_mutex_lock(&mutex);
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct path_stats *p = paths[i]; p; p = p->next) {
            p->requests = p->gets = p->heads = p->puts = p->deletes = p->distinct_bytes = 0;
            p->body_bytes = 0;
            p->span_count = 0;
        }
    }
    memset(by_status, 0, sizeof by_status);
    memset(by_method, 0, sizeof by_method);
    requests = distinct_bytes = probe_requests = 0;
    max_inflight = inflight;
    data_requests = body_bytes = 0;
    accepted_connections = 0;
    log_start = next_sequence;
    pthread_mutex_unlock(&mutex);
}

static void write_path(struct buf *out, const struct path_stats *p, bool first)
{
    if (!first)
        buf_puts(out, ",");
    buf_json(out, p->path);
    buf_printf(out,
               ":{\"requests\":%lld,\"gets\":%lld,\"heads\":%lld,\"puts\":%lld,\"deletes\":%lld,"
               "\"body_bytes\":%lld,\"distinct_bytes\":%lld}",
               (long long) p->requests, (long long) p->gets, (long long) p->heads, (long long) p->puts,
               (long long) p->deletes, (long long) p->body_bytes, (long long) p->distinct_bytes);
}

static void write_counts(struct buf *out)
{
    buf_puts(out, "\"methods\":{");
    const char *comma = "";
    for (int i = 0; i < MAX_METHODS && by_method[i].name[0]; i++, comma = ",") {
        buf_puts(out, comma);
        buf_json(out, by_method[i].name);
        buf_printf(out, ":%lld", (long long) by_method[i].count);
    }
    buf_puts(out, "},\"statuses\":{");
    comma = "";
    for (int i = 0; i < 1000; i++) {
        if (by_status[i] == 0)
            continue;
        buf_printf(out, "%s\"%d\":%lld", comma, i, (long long) by_status[i]);
        comma = ",";
    }
    buf_puts(out, "}");
}

void record_stats(struct buf *out)
{
    pthread_mutex_lock(&mutex);
    buf_printf(out,
               "{\"requests\":%lld,\"data_requests\":%lld,\"probe_requests\":%lld,"
               "\"body_bytes\":%lld,\"distinct_bytes\":%lld,\"connections\":%lld,"
               "\"open_connections\":%lld,\"inflight\":%lld,\"max_inflight\":%lld,",
               (long long) requests, (long long) data_requests, (long long) probe_requests, (long long) body_bytes,
               (long long) distinct_bytes, (long long) accepted_connections, (long long) open_connections,
               (long long) inflight, (long long) max_inflight);
    write_counts(out);
    buf_puts(out, ",\"paths\":{");
    bool first = true;
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct path_stats *p = paths[i]; p; p = p->next) {
            if (p->requests == 0 && p->body_bytes == 0)
                continue;
            write_path(out, p, first);
            first = false;
        }
    }
    buf_puts(out, "}}\n");
    pthread_mutex_unlock(&mutex);
}

static void write_member(struct buf *out, const char *name, const char *value)
{
    buf_printf(out, ",\"%s\":", name);
    if (value)
        buf_json(out, value);
    else
        buf_puts(out, "null");
}

static void write_entry(struct buf *out, const struct log_entry *e)
{
    buf_printf(out, "{\"sequence\":%llu,\"at_ms\":%lld,\"status\":%d", (unsigned long long) e->sequence,
               (long long) e->at_ms, e->status);
    write_member(out, "method", e->method);
    write_member(out, "target", e->target);
    write_member(out, "range", e->range);
    write_member(out, "if_match", e->if_match);
    write_member(out, "if_none_match", e->if_none_match);
    write_member(out, "x_ms_version", e->version);
    buf_printf(out, ",\"has_authorization\":%s,\"body_bytes\":%lld,\"ended\":%s,\"complete\":%s",
               e->has_authorization ? "true" : "false", (long long) e->body_bytes, e->ended ? "true" : "false",
               e->complete ? "true" : "false");
    buf_puts(out, ",\"headers\":[");
    const char *name = e->names;
    while (name && *name) {
        size_t n = strcspn(name, "\n");
        char *one = xstrndup(name, n);
        buf_json(out, one);
        free(one);
        name += n + (name[n] == '\n');
        if (*name)
            buf_puts(out, ",");
    }
    buf_puts(out, "]}");
}

static bool target_is(const char *target, const char *path)
{
    char *decoded = percent_decode(target, strcspn(target, "?"));
    bool same = decoded && strcmp(decoded, path) == 0;
    free(decoded);
    return same;
}

void record_log(struct buf *out, const char *path)
{
    pthread_mutex_lock(&mutex);
    uint64_t from = next_sequence > LOG_SIZE ? next_sequence - LOG_SIZE : 1;
    const char *comma = "[";
    for (uint64_t s = from > log_start ? from : log_start; s < next_sequence; s++) {
        const struct log_entry *e = &entries[s % LOG_SIZE];
        if (e->sequence != s || (path && !target_is(e->target, path)))
            continue;
        buf_puts(out, comma);
        write_entry(out, e);
        comma = ",\n";
    }
    buf_puts(out, *comma == '[' ? "[]\n" : "]\n");
    pthread_mutex_unlock(&mutex);
}
