/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lost.h: what the indexes of earlier processes did not live to learn.
 *
 * A place may have been filled anew after the last commit before a process ended; then a row speaks of what lay there
 * before, and what is found there instead is no damage. It is told by its sequence, which lies between the mark of that
 * commit and the next start. Such a row may be met much later, after further ends, so the spans of the last few are
 * kept in the index.
 */
#ifndef HEADPOND_STORE_LOST_H
#define HEADPOND_STORE_LOST_H

#include <stdbool.h>
#include <stdint.h>

#define LOST_SPANS 8

struct disk;

/* Sequences from one to before the other; empty at first. */
struct lost_span {
    uint64_t from;
    uint64_t to;
};

/* Reads the spans, and the mark the newest begins with. A disk whose index is being made anew has none: that one will
 * know. false: the index cannot be read. Opening thread. */
bool lost_recall(struct disk *disk);
/* The newest ends at this start's first sequence. Opening thread. */
void lost_end(struct disk *disk, uint64_t first);
/* Writes them, within a transaction. Opening thread, later the scribe. */
void lost_put(struct disk *disk);
/* Whether something of that sequence is in one of them. Any thread. */
bool lost_covers(const struct disk *disk, uint64_t sequence);

#endif
