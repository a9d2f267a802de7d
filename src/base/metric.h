/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metric.h: counters, gauges and histograms, declared once in metric_table.h and rendered as Prometheus text.
 *
 * A cell is one (metric, label values) pair. Cells are made on first use and live for ever; their number per metric is
 * bounded (1,000; past it everything falls into the cell whose label values are "other"), so that no client can grow
 * them. Adding is one relaxed atomic on the calling thread's own cache line; rendering adds the lines up. Any thread.
 */
#ifndef HEADPOND_BASE_METRIC_H
#define HEADPOND_BASE_METRIC_H

#include <stdint.h>

#include "base/metric_table.h"
#include "base/str.h"

enum metric {
#define X(id, kind, name, labels, help) METRIC_##id,
    METRIC_TABLE(X)
#undef X
        METRIC_COUNT
};

struct metric_cell;

/* The cell for these label values, in the table's order, separated by '\t' ("" when the metric has none). Takes a lock
 * and hashes: keep the pointer on a hot path. Never NULL. */
struct metric_cell *metric_cell(enum metric metric, const char *labels);
/* The same for a metric with two labels. */
struct metric_cell *metric_cell2(enum metric metric, const char *first, const char *second);

void metric_cell_add(struct metric_cell *cell, int64_t value);
/* Gauges only: replaces the sum over all threads. */
void metric_cell_set(struct metric_cell *cell, int64_t value);
/* Histograms only: one observation, in microseconds. */
void metric_cell_observe(struct metric_cell *cell, int64_t microseconds);
int64_t metric_cell_value(struct metric_cell *cell);

/* For metrics without labels; the cell is looked up once a metric, not once a call. */
void metric_add(enum metric metric, int64_t value);
void metric_set(enum metric metric, int64_t value);

/* Asks before rendering: `fill` sets gauges that are read, not counted. At most 16 may be registered. */
void metric_on_render(void (*fill)(void *arg), void *arg);

/* All metrics as Prometheus text exposition format 0.0.4, appended to *out. */
void metric_render(struct strbuf *out);

#endif
