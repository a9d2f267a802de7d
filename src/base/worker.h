/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker.h: a few threads for what would stall a loop (long checksums, name resolution). One pool a process with a
 * bounded queue. This floor knows no loop: completion is a function called on the worker, which may post a letter.
 *
 * The threads are not registered with RCU: work touches nothing that RCU protects.
 */
#ifndef HEADPOND_BASE_WORKER_H
#define HEADPOND_BASE_WORKER_H

#include "base/status.h"

/* Embedded in what the work is about; belongs to the pool from worker_submit until `done` is called. */
struct work {
    struct work *next;
    void (*run)(struct work *work); /* on a worker */
    void (*done)(
        struct work *work); /* on the same worker, right after run; may free or submit the work again, must not wait */
};

/* Starts `threads` (at least one) workers that take work from a queue of at most `queue` entries. Once, before any
 * submit. */
void worker_start(unsigned threads, unsigned queue);
/* BUSY: the queue is full; SHUTDOWN: not started, or stopping. In both cases the work stays the caller's. Any thread.
 */
enum status worker_submit(struct work *work) STATUS_CHECKED;
/* Runs what is queued, then ends the threads and waits for them. Not from a worker. May be started again after it. */
void worker_stop(void);

#endif
