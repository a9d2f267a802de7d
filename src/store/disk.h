/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk.h: one disk: its queues, its I/O threads, and what is known of its health.
 *
 * Loads come before puts: somebody waits for them, and half of the threads are for them alone. Both queues are bounded,
 * and a put that finds its queue full is refused at once, so a slow disk costs hits and never time. A load that takes
 * too long is answered without its block (health.h). The threads also run eviction (reclaim.h) when free slots run
 * short. They are RCU-registered, and offline while they wait or do I/O.
 */
#ifndef HEADPOND_STORE_DISK_H
#define HEADPOND_STORE_DISK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "store/disk_metrics.h"
#include "store/health.h"
#include "store/inside.h"
#include "store/label.h"
#include "store/lost.h"
#include "store/names.h"
#include "store/slot.h"

#define DISK_THREADS 4
/* Of them may write at once, so that a disk that is slow to take what is filled keeps nobody from reading. */
#define DISK_PUT_THREADS 2
/* What may wait to be written: so much at most, and an eighth of `memory` over all disks, but some blocks. */
#define DISK_PUT_BYTES (64 * 1024 * 1024)
#define DISK_PUT_BLOCKS_MIN 4
#define DISK_LOADS 1024
/* Write errors in a row after which nothing more is put for a while. */
#define DISK_ERRORS_MAX 16
#define DISK_REST_MS 30000
/* Rounds in a row that could not be synced, after which nothing more is put until one could. */
#define DISK_SYNC_ERRORS_MAX 3

struct index;
struct load_job;
struct put_job;
struct scribe;
struct scrub;

struct disk {
    struct store *store;
    unsigned number;
    char *path;
    int dir;
    int lock; /* descriptor that holds the directory's lock */
    struct label label;
    int64_t weight; /* bytes of data it may hold */
    struct lost_span lost[LOST_SPANS];
    bool rebuild; /* its index was lost: it is made anew from what lies on the disk */
    bool fresh;   /* its directory held no store */
    bool moved;   /* some rows may be of objects that had their home here at the last start */
    bool doubted; /* it may have missed a write before this start: no validation of then is believed (opening.h) */
    struct health health;
    struct slots slots;
    struct index *index; /* only the scribe, once the store is open */
    struct scribe *scribe;
    struct scrub *scrub; /* NULL: none */
    int64_t scrub_rate;
    int64_t scrub_period_ms;
    struct disk_metrics metrics;
    atomic_bool loaded;                /* the index has been read: slots are known */
    atomic_bool broken;                /* the index cannot be written: nothing is put */
    atomic_bool cramped;               /* there was no room for the last put */
    atomic_bool index_tight;           /* the index is nearly full: nothing more is packed until objects have gone */
    int64_t full_logged_ms;            /* scribe */
    atomic_size_t index_load;          /* how full the index is, in 1/1024 of what it should hold at most */
    atomic_uint_least32_t fit;         /* slots that the file system had room for when it was last asked */
    struct names unlogged;             /* struct hash128: their records are to be written yet; scribe */
    atomic_bool no_nowait;             /* the file system refuses RWF_NOWAIT */
    atomic_bool no_cachestat;          /* the kernel refuses cachestat */
    atomic_uint write_errors;          /* in a row */
    atomic_uint sync_errors;           /* fdatasyncs that failed in a row */
    atomic_int_fast64_t rest_until_ms; /* nothing is put before: too many writes failed, or one found no room */
    /* The queues; under `mutex`. */
    pthread_mutex_t mutex;
    pthread_cond_t work;
    pthread_cond_t drained;
    struct load_job *load_first, *load_last;
    struct load_job *loading[DISK_THREADS]; /* what each thread reads */
    struct put_job *put_first, *put_last;
    unsigned putting; /* threads that write */
    unsigned load_count;
    atomic_size_t load_bytes; /* of them; changed under the mutex */
    atomic_size_t put_bytes;  /* changed under the mutex */
    size_t put_most;          /* bytes of them */
    unsigned outstanding[2];  /* puts queued or running, by the epoch they came in */
    unsigned epoch;
    bool reclaiming;
    bool look_at_space; /* a thread is to look whether slots are to be freed */
    bool stopping;
    bool started;
    pthread_t threads[DISK_THREADS];
};

/* What volume.c has filled in is started; the index need not be loaded yet. */
void disk_start(struct disk *disk);
/* Writes what is queued, gives up loads, ends the threads. false: one of them hangs, and goes on using the disk. */
bool disk_stop(struct disk *disk);

/* Any loop. Completes by letter, also when BUSY. */
void disk_load(struct disk *disk, struct store_load *load);
/* Any loop. Takes a reference to the buffer and to the generation. */
enum status disk_put(struct disk *disk, const struct store_generation *generation, uint64_t block, struct buf *buf,
                     uint32_t length, struct loop *loop, struct letter *done) STATUS_CHECKED;
/* Whether a put would be taken now, but for a full queue. Any thread. */
bool disk_takes(struct disk *disk);
/* Whether a put of such a block is likely to be taken and to end well, as far as can be told by what went before. Any
 * thread, without waiting. */
bool disk_expects(struct disk *disk, const struct store_generation *generation, uint32_t length);
/* Waits until every put queued so far has been written or has failed, or the disk is out. Index thread, offline. */
void disk_drain(struct disk *disk);
/* Answers loads whose time is over, STALLED, and drops their blocks. The watch. */
void disk_expire(struct disk *disk, int64_t now_ms);
/* Has an I/O thread probe a disk that is out, if it is time. The watch. */
void disk_want_probe(struct disk *disk, int64_t now_ms);
/* Has an I/O thread look whether slots are to be freed. Any thread. */
void disk_want_space(struct disk *disk);
/* The disk is out: what is queued is given up. Registered, online thread. */
void disk_give_up(struct disk *disk);
/* Bytes that wait to be written. Any thread. */
static inline size_t disk_queued(struct disk *disk)
{
    return atomic_load_explicit(&disk->put_bytes, memory_order_relaxed);
}
/* Tells the metrics whether the disk is used. Any thread. */
void disk_counted(struct disk *disk);
/* Nothing is put while it is. Index thread, scribe. */
void disk_set_broken(struct disk *disk, bool broken);
/* Counts and logs an error that the disk reported. */
void disk_error(struct disk *disk, const char *what, int error);

#endif
