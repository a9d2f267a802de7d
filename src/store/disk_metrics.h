/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk_metrics.h: a disk's own cells of the metrics that have a `path`, looked up once. They are there from the moment
 * the disk is opened, so that rate() has a start.
 */
#ifndef HEADPOND_STORE_DISK_METRICS_H
#define HEADPOND_STORE_DISK_METRICS_H

#include <stdbool.h>

#include "base/metric.h"

/* X(field, METRIC) */
#define DISK_METRICS(X)                                                                                                \
    X(capacity, STORE_CAPACITY)                                                                                        \
    X(bytes, STORE_BYTES)                                                                                              \
    X(blocks, STORE_BLOCKS)                                                                                            \
    X(written, STORE_WRITTEN)                                                                                          \
    X(disk_written, STORE_DISK_WRITTEN)                                                                                \
    X(evictions, STORE_EVICTIONS)                                                                                      \
    X(corrupt, STORE_CORRUPT)                                                                                          \
    X(stalled, STORE_STALLED)                                                                                          \
    X(errors, STORE_ERRORS)                                                                                            \
    X(scrubbed, STORE_SCRUBBED)                                                                                        \
    X(scrubs, STORE_SCRUBS)

struct disk_metrics {
#define X(field, id) struct metric_cell *field;
    DISK_METRICS(X)
#undef X
    struct metric_cell *used; /* of METRIC_STORE_DISKS: 1 or 0 */
    struct metric_cell *failed;
};

void disk_metrics_init(struct disk_metrics *metrics, const char *path);
/* Whether the disk is used, or failed and left out. Any thread. */
void disk_metrics_state(struct disk_metrics *metrics, bool used);
/* The disk has been closed: it holds nothing, and is neither. */
void disk_metrics_gone(struct disk_metrics *metrics);

#endif
