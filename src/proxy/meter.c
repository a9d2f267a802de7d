/* SPDX-License-Identifier: Apache-2.0 */
/*
 * meter.c: cells by (method, outcome, code), found on first use. A table of codes is made when a pair first occurs, so
 * the common loop holds a handful of them.
 */
#include "proxy/meter.h"

#include <stdbool.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/metric.h"

#define CODES 600
#define METHODS (HTTP_OTHER + 1)
/* Containers told apart, a power of two; at most half of the places are taken. What a metric holds is bounded further.
 */
#define CONTAINERS 512

static const char *const from_labels[CACHE_FROM_COUNT] = {
    [CACHE_FROM_STORE] = "store", [CACHE_FROM_FLIGHT] = "flight", [CACHE_FROM_ORIGIN] = "origin"};

struct codes {
    struct metric_cell *cell[CODES];
};

struct container_cells {
    struct hash128 name;
    bool taken;
    struct metric_cell *requests[OUTCOME_COUNT];
    struct metric_cell *bytes[CACHE_FROM_COUNT];
};

struct meter {
    struct codes *requests[METHODS][OUTCOME_COUNT];
    struct metric_cell *total[OUTCOME_COUNT];
    struct metric_cell *first[OUTCOME_COUNT];
    struct container_cells *containers; /* found by open addressing; made with the first read */
    unsigned container_count;
};

struct meter *meter_new(void)
{
    struct meter *meter = mem_calloc(1, sizeof *meter);
    for (unsigned o = 0; o < OUTCOME_COUNT; o++) {
        meter->total[o] = metric_cell(METRIC_REQUEST_SECONDS, outcome_label((enum outcome) o));
        meter->first[o] = metric_cell(METRIC_FIRST_BYTE_SECONDS, outcome_label((enum outcome) o));
    }
    return meter;
}

void meter_free(struct meter **meter)
{
    struct meter *gone = *meter;
    *meter = NULL;
    if (gone == NULL)
        return;
    for (unsigned m = 0; m < METHODS; m++) {
        for (unsigned o = 0; o < OUTCOME_COUNT; o++)
            mem_free(gone->requests[m][o]);
    }
    mem_free(gone->containers);
    mem_free(gone);
}

void meter_count(struct meter *meter, enum http_method method, enum outcome outcome, int status, int64_t first_us,
                 int64_t total_us)
{
    struct codes **codes = &meter->requests[method][outcome];
    if (*codes == NULL)
        *codes = mem_calloc(1, sizeof **codes);
    unsigned code = status >= 0 && status < CODES ? (unsigned) status : 0;
    struct metric_cell **cell = &(*codes)->cell[code];
    if (*cell == NULL) {
        char labels[64];
        snprintf(labels, sizeof labels, "%s\t%s\t%03u", http_method_name(method), outcome_label(outcome), code);
        *cell = metric_cell(METRIC_REQUESTS, labels);
    }
    metric_cell_add(*cell, 1);
    metric_cell_observe(meter->total[outcome], total_us);
    if (first_us >= 0)
        metric_cell_observe(meter->first[outcome], first_us);
}

/* NULL: too many. */
static struct container_cells *container_cells(struct meter *meter, struct hash128 name)
{
    if (meter->containers == NULL)
        meter->containers = mem_calloc(CONTAINERS, sizeof *meter->containers);
    uint64_t at = name.lo;
    for (;; at++) {
        struct container_cells *cells = &meter->containers[at & (CONTAINERS - 1)];
        if (cells->taken && hash128_eq(cells->name, name))
            return cells;
        if (cells->taken)
            continue;
        if (meter->container_count == CONTAINERS / 2)
            return NULL;
        meter->container_count++;
        *cells = (struct container_cells){.name = name, .taken = true};
        return cells;
    }
}

static struct metric_cell *container_cell(enum metric metric, const char *account, struct str container,
                                          const char *label)
{
    struct strbuf labels = {0};
    strbuf_addf(&labels, "%s\t%.*s\t%s", account, STR_ARG(container), label);
    struct metric_cell *cell = metric_cell(metric, labels.ptr);
    strbuf_free(&labels);
    return cell;
}

void meter_read(struct meter *meter, const char *account, struct str container, struct hash128 name,
                enum outcome outcome, const uint64_t bytes[CACHE_FROM_COUNT])
{
    struct container_cells *cells = container_cells(meter, name);
    if (cells == NULL || str_find(container, '\t') >= 0) /* which is no name, and parts labels */
        return;
    if (cells->requests[outcome] == NULL)
        cells->requests[outcome] =
            container_cell(METRIC_CONTAINER_REQUESTS, account, container, outcome_label(outcome));
    metric_cell_add(cells->requests[outcome], 1);
    for (unsigned from = 0; from < CACHE_FROM_COUNT; from++) {
        if (cells->bytes[from] == NULL)
            cells->bytes[from] = container_cell(METRIC_CONTAINER_BYTES, account, container, from_labels[from]);
        metric_cell_add(cells->bytes[from], (int64_t) bytes[from]);
    }
}
