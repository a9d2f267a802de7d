/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metric.c: cells of sharded counters.
 *
 * A thread adds to the shard it was given at its first use; shards are a cache line apart. Cells hang in hash chains
 * that only grow, so looking one up takes no lock; making one does. Cells are never freed.
 */
#include "base/metric.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/process.h"

#define SHARDS 16
#define CHAINS 64
#define CELLS_A_METRIC 1000
#define LABELS_BYTES 256
#define LABELS_MAX 4
#define RENDER_HOOKS 16

enum metric_kind { COUNTER, GAUGE, HISTOGRAM };

static const struct {
    enum metric_kind kind;
    const char *name;
    const char *labels;
    const char *help;
} metric_rows[METRIC_COUNT] = {
#define X(id, kind, name, labels, help) [METRIC_##id] = {kind, name, labels, help},
    METRIC_TABLE(X)
#undef X
};

/* Upper bounds of the histograms' buckets: microseconds, and what Prometheus is shown. */
#define BUCKETS(X)                                                                                                     \
    X(100, "0.0001")                                                                                                   \
    X(250, "0.00025")                                                                                                  \
    X(500, "0.0005")                                                                                                   \
    X(1000, "0.001")                                                                                                   \
    X(2500, "0.0025")                                                                                                  \
    X(5000, "0.005")                                                                                                   \
    X(10000, "0.01")                                                                                                   \
    X(25000, "0.025")                                                                                                  \
    X(50000, "0.05")                                                                                                   \
    X(100000, "0.1")                                                                                                   \
    X(250000, "0.25")                                                                                                  \
    X(500000, "0.5")                                                                                                   \
    X(1000000, "1")                                                                                                    \
    X(2500000, "2.5")                                                                                                  \
    X(5000000, "5")                                                                                                    \
    X(10000000, "10")                                                                                                  \
    X(30000000, "30")                                                                                                  \
    X(INT64_MAX, "+Inf")

static const int64_t bucket_bound[] = {
#define X(bound, text) bound,
    BUCKETS(X)
#undef X
};
static const char *const bucket_text[] = {
#define X(bound, text) text,
    BUCKETS(X)
#undef X
};
#define BUCKET_COUNT (sizeof bucket_bound / sizeof bucket_bound[0])

struct shard {
    alignas(64) atomic_llong sum; /* the value, or a histogram's sum in microseconds */
    atomic_llong bucket[];        /* histograms only: observations by bucket */
};

struct metric_cell {
    struct metric_cell *next; /* in its chain; set before the cell is visible */
    struct metric_cell *next_made;
    enum metric metric;
    size_t stride; /* bytes from one shard to the next */
    unsigned char *shards;
    char labels[];
};

static struct {
    _Atomic(struct metric_cell *) chain[CHAINS];
    _Atomic(struct metric_cell *) first_made;
    struct metric_cell *other; /* under metric_lock */
    _Atomic(struct metric_cell *) plain;
    unsigned count; /* under metric_lock */
} metrics[METRIC_COUNT];

static pthread_mutex_t metric_lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    void (*fill)(void *arg);
    void *arg;
} render_hooks[RENDER_HOOKS];
static atomic_uint render_hook_count;

static struct shard *cell_shard(const struct metric_cell *cell, unsigned index)
{
    return (struct shard *) (void *) (cell->shards + index * cell->stride);
}

static struct shard *own_shard(const struct metric_cell *cell)
{
    static atomic_uint next;
    static _Thread_local unsigned index = UINT32_MAX;
    if (index == UINT32_MAX)
        index = atomic_fetch_add_explicit(&next, 1, memory_order_relaxed) % SHARDS;
    return cell_shard(cell, index);
}

static struct metric_cell *cell_new(enum metric metric, const char *labels)
{
    size_t len = strlen(labels);
    struct metric_cell *cell = mem_alloc(sizeof *cell + len + 1);
    size_t buckets = metric_rows[metric].kind == HISTOGRAM ? BUCKET_COUNT : 0;
    cell->next = cell->next_made = NULL;
    cell->metric = metric;
    cell->stride = (sizeof(struct shard) + buckets * sizeof(atomic_llong) + 63) & ~(size_t) 63;
    cell->shards = mem_aligned(64, cell->stride * SHARDS);
    memset(cell->shards, 0, cell->stride * SHARDS);
    memcpy(cell->labels, labels, len + 1);
    return cell;
}

static struct metric_cell *chain_find(enum metric metric, unsigned chain, const char *labels)
{
    struct metric_cell *cell = atomic_load_explicit(&metrics[metric].chain[chain], memory_order_acquire);
    while (cell != NULL && strcmp(cell->labels, labels) != 0)
        cell = cell->next;
    return cell;
}

/* Under metric_lock. */
static struct metric_cell *cell_make(enum metric metric, unsigned chain, const char *labels)
{
    struct metric_cell *cell = cell_new(metric, labels);
    cell->next = atomic_load_explicit(&metrics[metric].chain[chain], memory_order_relaxed);
    atomic_store_explicit(&metrics[metric].chain[chain], cell, memory_order_release);
    cell->next_made = atomic_load_explicit(&metrics[metric].first_made, memory_order_relaxed);
    atomic_store_explicit(&metrics[metric].first_made, cell, memory_order_release);
    return cell;
}

static unsigned chain_of(const char *labels)
{
    return (unsigned) (hash64(labels, strlen(labels), 0) % CHAINS);
}

/* The cell that takes what is past the bound: "other" for each label. Under metric_lock. */
static struct metric_cell *cell_other(enum metric metric)
{
    if (metrics[metric].other == NULL) {
        char labels[LABELS_MAX * 6 + 1] = "other";
        for (const char *at = metric_rows[metric].labels; (at = strchr(at, ',')) != NULL; at++)
            strcat(labels, "\tother");
        unsigned chain = chain_of(labels);
        struct metric_cell *cell = chain_find(metric, chain, labels);
        metrics[metric].other = cell != NULL ? cell : cell_make(metric, chain, labels);
    }
    return metrics[metric].other;
}

struct metric_cell *metric_cell(enum metric metric, const char *labels)
{
    assert((unsigned) metric < METRIC_COUNT);
    unsigned chain = chain_of(labels);
    struct metric_cell *cell = chain_find(metric, chain, labels);
    if (cell != NULL)
        return cell;
    pthread_mutex_lock(&metric_lock);
    cell = chain_find(metric, chain, labels);
    if (cell == NULL) {
        bool full = metrics[metric].count >= CELLS_A_METRIC || strlen(labels) > LABELS_BYTES;
        if (full) {
            cell = cell_other(metric);
        } else {
            metrics[metric].count++;
            cell = cell_make(metric, chain, labels);
        }
    }
    pthread_mutex_unlock(&metric_lock);
    return cell;
}

struct metric_cell *metric_cell2(enum metric metric, const char *first, const char *second)
{
    char labels[LABELS_BYTES + 2]; /* what is cut is too long all the same */
    snprintf(labels, sizeof labels, "%s\t%s", first, second);
    return metric_cell(metric, labels);
}

void metric_cell_add(struct metric_cell *cell, int64_t value)
{
    atomic_fetch_add_explicit(&own_shard(cell)->sum, value, memory_order_relaxed);
}

void metric_cell_set(struct metric_cell *cell, int64_t value)
{
    assert(metric_rows[cell->metric].kind == GAUGE);
    for (unsigned i = 1; i < SHARDS; i++)
        atomic_store_explicit(&cell_shard(cell, i)->sum, 0, memory_order_relaxed);
    atomic_store_explicit(&cell_shard(cell, 0)->sum, value, memory_order_relaxed);
}

void metric_cell_observe(struct metric_cell *cell, int64_t microseconds)
{
    assert(metric_rows[cell->metric].kind == HISTOGRAM);
    struct shard *shard = own_shard(cell);
    unsigned bucket = 0;
    if (microseconds < 0)
        microseconds = 0;
    while (microseconds > bucket_bound[bucket])
        bucket++;
    atomic_fetch_add_explicit(&shard->bucket[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&shard->sum, microseconds, memory_order_relaxed);
}

int64_t metric_cell_value(struct metric_cell *cell)
{
    int64_t sum = 0;
    for (unsigned i = 0; i < SHARDS; i++)
        sum += atomic_load_explicit(&cell_shard(cell, i)->sum, memory_order_relaxed);
    return sum;
}

static struct metric_cell *plain_cell(enum metric metric)
{
    struct metric_cell *cell = atomic_load_explicit(&metrics[metric].plain, memory_order_acquire);
    if (cell == NULL) {
        cell = metric_cell(metric, "");
        atomic_store_explicit(&metrics[metric].plain, cell, memory_order_release);
    }
    return cell;
}

void metric_add(enum metric metric, int64_t value)
{
    metric_cell_add(plain_cell(metric), value);
}

void metric_set(enum metric metric, int64_t value)
{
    metric_cell_set(plain_cell(metric), value);
}

void metric_on_render(void (*fill)(void *arg), void *arg)
{
    pthread_mutex_lock(&metric_lock);
    unsigned count = atomic_load_explicit(&render_hook_count, memory_order_relaxed);
    assert(count < RENDER_HOOKS);
    render_hooks[count].fill = fill;
    render_hooks[count].arg = arg;
    atomic_store_explicit(&render_hook_count, count + 1, memory_order_release);
    pthread_mutex_unlock(&metric_lock);
}

/* ---- Prometheus text ---- */

static void render_value_escaped(struct strbuf *out, struct str value)
{
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];
        if (c == '\\' || c == '"')
            strbuf_add(out, "\\", 1);
        if ((unsigned char) c < 0x20 || (unsigned char) c >= 0x7f)
            c = '?'; /* the format wants UTF-8, a label from the wire may be anything */
        strbuf_add(out, &c, 1);
    }
}

/* `{a="x",le="1"}`, or nothing when there is no label. */
static void render_labels(struct strbuf *out, const struct metric_cell *cell, const char *le)
{
    struct str names = str_from(metric_rows[cell->metric].labels), values = str_from(cell->labels);
    bool first = true;
    while (names.len > 0) {
        struct str name = str_split(names, ',', &names), value = str_split(values, '\t', &values);
        strbuf_addf(out, "%s%.*s=\"", first ? "{" : ",", STR_ARG(name));
        render_value_escaped(out, value);
        strbuf_adds(out, STR("\""));
        first = false;
    }
    if (le != NULL) {
        strbuf_addf(out, "%sle=\"%s\"", first ? "{" : ",", le);
        first = false;
    }
    if (!first)
        strbuf_adds(out, STR("}"));
}

static void render_seconds(struct strbuf *out, int64_t us)
{
    strbuf_addf(out, " %" PRId64 ".%06d\n", us / 1000000, (int) (us % 1000000));
}

static void render_histogram(struct strbuf *out, struct metric_cell *cell)
{
    const char *name = metric_rows[cell->metric].name;
    int64_t sum = metric_cell_value(cell), count = 0;
    for (unsigned b = 0; b < BUCKET_COUNT; b++) {
        for (unsigned i = 0; i < SHARDS; i++)
            count += atomic_load_explicit(&cell_shard(cell, i)->bucket[b], memory_order_relaxed);
        strbuf_addf(out, "%s_bucket", name);
        render_labels(out, cell, bucket_text[b]);
        strbuf_addf(out, " %" PRId64 "\n", count);
    }
    strbuf_addf(out, "%s_sum", name);
    render_labels(out, cell, NULL);
    render_seconds(out, sum);
    strbuf_addf(out, "%s_count", name);
    render_labels(out, cell, NULL);
    strbuf_addf(out, " %" PRId64 "\n", count);
}

void metric_render(struct strbuf *out)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    metric_set(METRIC_MEMORY_BYTES, (int64_t) mem_used());
    metric_set(METRIC_MEMORY_LIMIT, (int64_t) mem_limit());
    metric_set(METRIC_PROCESS_RESIDENT, process_resident_bytes());
    unsigned hooks = atomic_load_explicit(&render_hook_count, memory_order_acquire);
    for (unsigned i = 0; i < hooks; i++)
        render_hooks[i].fill(render_hooks[i].arg);
    for (unsigned m = 0; m < METRIC_COUNT; m++) {
        if (metric_rows[m].labels[0] == '\0')
            plain_cell((enum metric) m); /* shown as 0 before the first event, so that rate() has a start */
        strbuf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", metric_rows[m].name, metric_rows[m].help, metric_rows[m].name,
                    kinds[metric_rows[m].kind]);
        struct metric_cell *cell = atomic_load_explicit(&metrics[m].first_made, memory_order_acquire);
        for (; cell != NULL; cell = cell->next_made) {
            if (metric_rows[m].kind == HISTOGRAM) {
                render_histogram(out, cell);
                continue;
            }
            strbuf_adds(out, str_from(metric_rows[m].name));
            render_labels(out, cell, NULL);
            strbuf_addf(out, " %" PRId64 "\n", metric_cell_value(cell));
        }
    }
}
