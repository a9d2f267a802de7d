/* SPDX-License-Identifier: Apache-2.0 */
/* disk_metrics.c: cells by path. */
#include "store/disk_metrics.h"

void disk_metrics_init(struct disk_metrics *metrics, const char *path)
{
#define X(field, id) metrics->field = metric_cell(METRIC_##id, path);
    DISK_METRICS(X)
#undef X
    metrics->used = metric_cell2(METRIC_STORE_DISKS, path, "used");
    metrics->failed = metric_cell2(METRIC_STORE_DISKS, path, "failed");
}

void disk_metrics_state(struct disk_metrics *metrics, bool used)
{
    metric_cell_set(metrics->used, used);
    metric_cell_set(metrics->failed, !used);
}

void disk_metrics_gone(struct disk_metrics *metrics)
{
    struct metric_cell *const gauges[] = {metrics->capacity, metrics->bytes, metrics->blocks, metrics->used,
                                          metrics->failed};
    for (unsigned i = 0; i < sizeof gauges / sizeof *gauges; i++)
        metric_cell_set(gauges[i], 0);
}
