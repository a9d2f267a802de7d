/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reclaim.h: eviction carried out. evict.h says who goes; this takes the blocks out of the directory, copies what is to
 * be kept out of segments, waits for a grace period and frees the slots.
 *
 * The order is what keeps readers safe: location cleared, then a grace period in which every loop finishes the event it
 * may have seen the location in, then the slot may be written. The index row follows with the next commit; a crash
 * before that leaves a row whose slot holds another header, which is never served.
 */
#ifndef HEADPOND_STORE_RECLAIM_H
#define HEADPOND_STORE_RECLAIM_H

#include <stdbool.h>

#include "base/hash.h"

struct disk;

/* One run: until the reserve is free again or nothing more can go, or one batch for the sake of memory. false: another
 * thread is at it, or nothing could be freed. Registered, online thread, which may pass quiescent states in here. */
bool reclaim_run(struct disk *disk);
/* Whether a run is worth while, for the sake of free slots. Any thread. */
bool reclaim_wanted(struct disk *disk);
/* The same for the sake of memory, where something is put: a batch at a time. Any thread. */
bool reclaim_crowded(const struct disk *disk);
/* Whether the directory is so much of a burden on memory that blocks must go before others come. Any thread. */
bool reclaim_too_crowded(const struct disk *disk);
/* Makes way for a block of that group where it is at its limit: blocks of its own go. true: a slot may be taken for it,
 * and it counts (slots_claim). false: nothing of it can go. Registered, online thread. */
bool reclaim_claim(struct disk *disk, struct hash128 group);

#endif
