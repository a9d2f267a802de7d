/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scribe.h: a disk's own thread for its index. Once the store is open it alone touches that LMDB, so that a disk that
 * hangs holds up nobody else: the index thread (commit.h) gives each scribe its part of a round and waits for those
 * that answer.
 *
 * One errand at a time. It is run registered and online for RCU, on the scribe's seat (health.h).
 */
#ifndef HEADPOND_STORE_SCRIBE_H
#define HEADPOND_STORE_SCRIBE_H

#include <stdbool.h>

struct disk;
struct scribe;

typedef void (*scribe_errand_f)(struct disk *disk, void *arg);

struct scribe *scribe_start(struct disk *disk);
/* Index thread. What was given before is finished. Frees it. false: it hangs, and goes on using the disk. */
bool scribe_stop(struct scribe **scribe);

/* ---- Index thread. ---- */

/* Whether there is nothing it does. */
bool scribe_idle(struct scribe *scribe);
/* To an idle one. */
void scribe_give(struct scribe *scribe, scribe_errand_f errand, void *arg);
/* Waits until it is idle or its disk is out; whether it is idle. Offline. */
bool scribe_wait(struct scribe *scribe);

#endif
