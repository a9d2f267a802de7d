/* SPDX-License-Identifier: Apache-2.0 */
/*
 * health.h: whether a disk answers, and what follows when it does not.
 *
 * Whoever waits for a disk says so and for how long it has by now (health_wait). A disk that has kept somebody waiting
 * longer than a well one ever would, or that fails one read after another, is *out*: its blocks count as missing, so
 * that they are fetched and stored elsewhere; nothing is read from it or put on it; its queues are emptied. Nothing of
 * it is forgotten: when what hung has come back and a probe (a small file written, synced and read) ends well, it is
 * taken back with what it held.
 *
 * The watch (watch.h) looks at each disk five times a second; a probe is an I/O thread's work, as everything is that
 * may hang.
 */
#ifndef HEADPOND_STORE_HEALTH_H
#define HEADPOND_STORE_HEALTH_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

struct disk;

/* How long a read may take, waiting in the queue included, before who asked is told that it will not come: the most
 * that a hanging disk adds to a reply, once. */
#define HEALTH_LOAD_MS 1000
/* Reads that failed in a row before the disk is out. */
#define HEALTH_READ_ERRORS 8
/* A disk that is out is probed no more often. */
#define HEALTH_PROBE_MS 2000

/* What a probe writes, in the disk's directory. */
#define HEALTH_PROBE_FILE "probe"

/* What somebody waits for. */
enum health_kind { HEALTH_READ, HEALTH_WRITE, HEALTH_SYNC };

/* Seats of those who may wait at once: the I/O threads and the disk's scribe. */
#define HEALTH_SEATS 8

struct health {
    atomic_int_fast64_t seats[HEALTH_SEATS]; /* since when, and for what; 0: nobody waits there */
    atomic_uint read_errors;                 /* in a row */
    atomic_bool out;
    bool probe_wanted;   /* under the disk's mutex: an I/O thread is to probe */
    int64_t probe_at_ms; /* under the disk's mutex */
};

/* The calling thread waits for disks on that seat from now on. */
void health_sit(unsigned seat);

/* Around everything that may wait for the disk: the thread is offline for RCU in between. A thread without a seat (one
 * that opens the store) is not watched. */
void health_wait(struct disk *disk, enum health_kind kind);
void health_waited(struct disk *disk);

/* Whether it is out. Any thread, without waiting. */
bool health_out(const struct disk *disk);
/* How a read ended; counts those that fail in a row. I/O threads. */
void health_read(struct disk *disk, bool good);

/* Whether somebody has waited for too long. Any thread. */
bool health_stalled(const struct disk *disk, int64_t now_ms);
/* Takes the disk out, if it is in: queued work is given up. `why` for the log. Registered, online thread. */
void health_take_out(struct disk *disk, const char *why);
/* Whether a small file can be written, synced and read. I/O thread, scribe. */
bool health_probe(struct disk *disk);
/* Takes it back, if it is out. I/O thread. */
void health_take_back(struct disk *disk);

/* Waits for a thread of the disk to end. false: it hangs in the disk. */
bool health_join(struct disk *disk, pthread_t thread);

#endif
