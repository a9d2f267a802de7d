/* SPDX-License-Identifier: Apache-2.0 */
/* See report.h. */
#include "report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define EXPLAINED 5
#define GROWTH 1.02

void histogram_add(struct histogram *h, int64_t ns)
{
    double us = (double) ns / 1000;
    int i = us <= 1 ? 0 : (int) (log(us) / log(GROWTH));
    h->counts[i < HISTOGRAM_BUCKETS ? i : HISTOGRAM_BUCKETS - 1]++;
    h->total++;
}

double histogram_ms(const struct histogram *h, double quantile)
{
    int64_t want = (int64_t) ceil(quantile * (double) h->total), seen = 0;
    for (int i = 0; i < HISTOGRAM_BUCKETS && h->total > 0; i++) {
        seen += h->counts[i];
        if (seen >= want)
            return pow(GROWTH, i + 0.5) / 1000;
    }
    return 0;
}

static const char *const cache_names[CACHE_KINDS] = {
    [CACHE_HIT] = "hit",         [CACHE_COLLAPSED] = "collapsed",
    [CACHE_MISS] = "fwd=miss",   [CACHE_PARTIAL] = "fwd=partial",
    [CACHE_STALE] = "fwd=stale", [CACHE_BYPASS] = "fwd=bypass",
    [CACHE_OTHER] = "other",     [CACHE_NONE] = "none",
};

/* The start of the list's last member; commas within quotes do not count. */
static const char *last_member(const char *list)
{
    const char *start = list;
    bool quoted = false;
    for (; *list; list++) {
        if (*list == '"')
            quoted = !quoted;
        else if (*list == ',' && !quoted)
            start = list + 1;
    }
    return start;
}

/* Whether "; word" is one of the member's parameters. */
static bool has_parameter(const char *member, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = strchr(member, ';'); at; at = strchr(at, ';')) {
        at += 1 + strspn(at + 1, " \t");
        if (strncmp(at, word, n) == 0 && (at[n] == '\0' || strchr("; \t,", at[n])))
            return true;
    }
    return false;
}

enum cache_kind cache_kind(const struct transfer *t)
{
    const char *value = transfer_field(t, "Cache-Status");
    if (!value)
        return CACHE_NONE;
    const char *member = last_member(value);
    if (has_parameter(member, "detail=collapsed") || has_parameter(member, "collapsed"))
        return CACHE_COLLAPSED;
    for (int k = 0; k < CACHE_OTHER; k++)
        if (has_parameter(member, cache_names[k]))
            return (enum cache_kind) k;
    return has_parameter(member, "fwd=uri-miss") ? CACHE_MISS : CACHE_OTHER;
}

void report_init(struct report *r)
{
    memset(r, 0, sizeof *r);
    r->explained = json_array();
    r->started = clock_ns();
}

void report_fail(struct report *r, const struct transfer *t, const char *why)
{
    r->failures++;
    if (json_array_size(r->explained) >= EXPLAINED)
        return;
    const char *cache = transfer_field(t, "Cache-Status");
    json_t *text =
        json_sprintf("%s %s %s%s%s: %s [base %zu, %d, %lld bytes, Cache-Status: %s]", t->head ? "HEAD" : "GET",
                     t->target->name, t->range, t->condition[0] ? " " : "", t->condition, why, t->base, t->status,
                     (long long) t->body_bytes, cache ? cache : "(none)");
    /* A server's odd bytes are no UTF-8, and then there is no text. */
    json_array_append_new(r->explained, text ? text : json_string("(not UTF-8)"));
}

void report_note(struct report *r, struct transfer *t)
{
    const char *bad = transfer_verify(t);
    r->requests++;
    r->bytes += t->checked_bytes;
    r->aborted += t->aborted;
    r->moved += (int64_t) t->moves;
    r->base_count = t->options->base_count;
    r->asked[t->base]++;
    r->failed[t->base] += bad != NULL;
    r->by_status[t->status > 0 && t->status < 1000 ? t->status : 0]++;
    if (t->status)
        r->by_cache[cache_kind(t)]++;
    if (!t->aborted)
        histogram_add(&r->total, t->ended - t->started);
    if (t->first_byte)
        histogram_add(&r->first_byte, t->first_byte - t->started);
    bool broken = (t->result != 0 && !t->aborted) || t->status >= 500 || t->status == 429;
    if (t->mismatch_at >= 0)
        r->mismatches++;
    if (bad && t->mismatch_at < 0 && broken && t->options->tolerate)
        r->errors++;
    else if (bad)
        report_fail(r, t, bad);
}

static double rounded(double value)
{
    return round(value * 1000) / 1000;
}

json_t *report_json(struct report *r)
{
    double wall = (double) (clock_ns() - r->started) / 1e9;
    json_t *cache = json_object(), *statuses = json_object(), *bases = json_array();
    for (size_t i = 0; i < r->base_count; i++)
        json_array_append_new(
            bases, json_pack("{s:I, s:I}", "requests", (json_int_t) r->asked[i], "failed", (json_int_t) r->failed[i]));
    for (int k = 0; k < CACHE_KINDS; k++)
        json_object_set_new(cache, cache_names[k], json_integer(r->by_cache[k]));
    for (int i = 0; i < 1000; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        if (r->by_status[i])
            json_object_set_new(statuses, name, json_integer(r->by_status[i]));
    }
    return json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:O, s:o, s:o, s:o, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "requests",
        (json_int_t) r->requests, "bytes", (json_int_t) r->bytes, "mismatches", (json_int_t) r->mismatches, "failures",
        (json_int_t) r->failures, "errors", (json_int_t) r->errors, "aborted", (json_int_t) r->aborted, "moved",
        (json_int_t) r->moved, "explained", r->explained, "bases", bases, "cache", cache, "statuses", statuses,
        "wall_s", rounded(wall), "p50_ms", rounded(histogram_ms(&r->total, 0.5)), "p99_ms",
        rounded(histogram_ms(&r->total, 0.99)), "first_byte_p50_ms", rounded(histogram_ms(&r->first_byte, 0.5)),
        "first_byte_p99_ms", rounded(histogram_ms(&r->first_byte, 0.99)), "gib_per_s",
        rounded((double) r->bytes / wall / (1 << 30)), "requests_per_s", rounded((double) r->requests / wall));
}

int report_finish(struct report *r, json_t *json)
{
    bool bad = r->mismatches > 0 || r->failures > 0;
    json_dumpf(json, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(10));
    putchar('\n');
    json_decref(json);
    json_decref(r->explained);
    return bad ? 1 : 0;
}
