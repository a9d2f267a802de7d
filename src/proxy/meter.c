/* SPDX-License-Identifier: Apache-2.0 */
/*
 * meter.c: cells by (method, outcome, code), found on first use. A table of codes is made when a pair first occurs, so
 * the common loop holds a handful of them.
 */
#include "proxy/meter.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/metric.h"

#define CODES 600
#define METHODS (HTTP_OTHER + 1)

struct codes {
    struct metric_cell *cell[CODES];
};

struct meter {
    struct codes *requests[METHODS][OUTCOME_COUNT];
    struct metric_cell *total[OUTCOME_COUNT];
    struct metric_cell *first[OUTCOME_COUNT];
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
