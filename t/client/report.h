/* SPDX-License-Identifier: Apache-2.0 */
/* What a run has seen, summed up and printed as one JSON object. One thread at a time. */
#ifndef T_CLIENT_REPORT_H
#define T_CLIENT_REPORT_H

#include <jansson.h>

#include "transfer.h"

/* Buckets grow by 2 % from 1 µs on, which reaches 20 minutes. */
#define HISTOGRAM_BUCKETS 1060

struct histogram {
    int64_t counts[HISTOGRAM_BUCKETS], total;
};

void histogram_add(struct histogram *h, int64_t ns);
double histogram_ms(const struct histogram *h, double quantile); /* 0 when empty */

enum cache_kind {
    CACHE_HIT,
    CACHE_COLLAPSED,
    CACHE_MISS,
    CACHE_PARTIAL,
    CACHE_STALE,
    CACHE_BYPASS,
    CACHE_OTHER,
    CACHE_NONE, /* no Cache-Status */
    CACHE_KINDS
};

/* By the last member of Cache-Status: that of the cache next to us. */
enum cache_kind cache_kind(const struct transfer *t);

struct report {
    int64_t requests, bytes, mismatches, failures, errors, aborted, started;
    int64_t by_status[1000], by_cache[CACHE_KINDS];
    int64_t moved;                                               /* from a base to another */
    int64_t asked[OPTIONS_MAX_BASES], failed[OPTIONS_MAX_BASES]; /* of each base: requests, and those that went wrong */
    size_t base_count;
    struct histogram total, first_byte;
    json_t *explained; /* the first few failures */
};

void report_init(struct report *r);
/* Verifies the finished transfer and counts it. */
void report_note(struct report *r, struct transfer *t);
/* Counts a failure that is not a reply's; `why` may be NULL. */
void report_fail(struct report *r, const struct transfer *t, const char *why);
/* The counters as an object to be added to; a new reference. */
json_t *report_json(struct report *r);
/* Prints and releases; returns the exit status. */
int report_finish(struct report *r, json_t *json);

#endif
