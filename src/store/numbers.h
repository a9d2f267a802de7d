/* SPDX-License-Identifier: Apache-2.0 */
/*
 * numbers.h: the numbers that a disk's index keeps beside its rows, by which the next start knows what it finds.
 *
 *   store    lower half of the label's id: whose index this is
 *   version  of its rows
 *   opening  the last one that was given (generation.h), so that no number comes again; the label has it too. A disk
 *            that is behind the others in it has missed what they were told since
 *   mark     everything begun before that sequence is in the rows (lost.h)
 *   intent   1: a write may have been under way (intents.h), or the disk may have missed one, so no time of validation
 *            in it is believed
 *   homes    which disks share the objects, as a sum (homes.h)
 *   disks    how many they are
 *   lost-…   what earlier ends took away (lost.h)
 */
#ifndef HEADPOND_STORE_NUMBERS_H
#define HEADPOND_STORE_NUMBERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

struct disk;

/* What an empty index begins with, in a transaction. IO, NO_SPACE, CORRUPT. Opening thread, later the scribe. */
enum status numbers_begin(struct disk *disk) STATUS_CHECKED;
/* Whether those the store lives by can be read, and are this store's; else CORRUPT, and *why says so. Opening thread.
 * */
enum status numbers_check(struct disk *disk, const char **why) STATUS_CHECKED;

/* What they say of the last opening. */
struct numbers {
    uint64_t opening; /* 0: none, as those below */
    uint64_t homes;
    uint64_t disks;
    bool intent;
};
/* false: the index cannot be read. Opening thread. */
bool numbers_recall(struct disk *disk, struct numbers *numbers);

/* The disk is used in that opening, with the others that are used now: durably in index and label. `intent`: as above.
 * Opening thread. */
enum status numbers_record(struct disk *disk, uint64_t opening, bool intent) STATUS_CHECKED;
/* The same for an index that was emptied to be written anew from memory, all of which is from before `next`. Scribe. */
enum status numbers_renew(struct disk *disk, uint64_t next) STATUS_CHECKED;
/* The process goes on in that opening: within a transaction, and in the label at once, whose number is only a bound.
 * Scribe. */
void numbers_go_on(struct disk *disk, uint64_t opening);

#endif
