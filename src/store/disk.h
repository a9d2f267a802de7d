/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk.h: one disk: its queues, its I/O threads, and what is known of its health.
 *
 * Loads come before puts: somebody waits for them. Both queues are bounded, and a put that finds its queue full is
 * refused at once, so a slow disk costs hits and never time. The threads also run eviction (reclaim.h) when free slots
 * run short. They are RCU-registered, and offline while they wait or do I/O.
 */
#ifndef HEADPOND_STORE_DISK_H
#define HEADPOND_STORE_DISK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/metric.h"
#include "store/inside.h"
#include "store/label.h"
#include "store/slot.h"

#define DISK_THREADS 4
#define DISK_PUT_BYTES (64 * 1024 * 1024)
#define DISK_LOADS 1024
/* Write errors in a row after which nothing more is put for a while. */
#define DISK_ERRORS_MAX 16
#define DISK_REST_MS 30000
/* Rounds in a row that could not be synced, after which nothing more is put until one could. */
#define DISK_SYNC_ERRORS_MAX 3

struct index;
struct put_job;

struct disk {
    struct store *store;
    unsigned number;
    char *path;
    int dir;
    int lock; /* descriptor that holds the directory's lock */
    struct label label;
    int64_t weight; /* bytes of data it may hold */
    uint64_t mark;  /* what was begun after it is younger than the index that was loaded */
    bool doubted;   /* an intent stood when the last process ended: no validation of then is believed */
    struct slots slots;
    struct index *index; /* only the index thread, once the store is open */
    struct metric_cell *errors;
    atomic_bool loaded;                /* the index has been read: slots are known */
    atomic_bool broken;                /* the index cannot be written any more: nothing is put */
    atomic_bool index_tight;           /* the index is nearly full: nothing more is packed until objects have gone */
    int64_t full_logged_ms;            /* index thread */
    atomic_bool no_nowait;             /* the file system refuses RWF_NOWAIT */
    atomic_bool no_cachestat;          /* the kernel refuses cachestat */
    atomic_uint write_errors;          /* in a row */
    atomic_uint sync_errors;           /* fdatasyncs that failed in a row */
    atomic_int_fast64_t rest_until_ms; /* after too many of them */
    /* The queues; under `mutex`. */
    pthread_mutex_t mutex;
    pthread_cond_t work;
    pthread_cond_t drained;
    struct store_load *load_first, *load_last; /* linked by the letter */
    struct put_job *put_first, *put_last;
    unsigned load_count;
    size_t put_bytes;
    unsigned outstanding[2]; /* puts queued or running, by the epoch they came in */
    unsigned epoch;
    bool reclaiming;
    bool stopping;
    bool started;
    pthread_t threads[DISK_THREADS];
};

/* What volume.c has filled in is started; the index need not be loaded yet. */
void disk_start(struct disk *disk);
/* Writes what is queued, gives up loads, ends the threads. */
void disk_stop(struct disk *disk);

/* Any loop. Completes by letter, also when BUSY. */
void disk_load(struct disk *disk, struct store_load *load);
/* Any loop. Takes a reference to the buffer and to the generation. */
enum status disk_put(struct disk *disk, const struct store_generation *generation, uint64_t block, struct buf *buf,
                     uint32_t length, struct loop *loop, struct letter *done) STATUS_CHECKED;
/* Waits until every put queued so far has been written or has failed. Index thread only, offline. */
void disk_drain(struct disk *disk);
/* Nothing is put any more, and its index is left alone. Index thread. */
void disk_broken(struct disk *disk);
/* Counts and logs an error that the disk reported. */
void disk_error(struct disk *disk, const char *what, int error);

#endif
