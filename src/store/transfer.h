/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transfer.h: blocks between memory and a disk: one write, one checked read, one packed entry. I/O threads, scribes
 * for records. The calling thread is RCU-registered and online; these take it offline while they wait.
 */
#ifndef HEADPOND_STORE_TRANSFER_H
#define HEADPOND_STORE_TRANSFER_H

#include <stdint.h>

#include "base/buf.h"
#include "store/disk.h"
#include "store/entry.h"

/* Finds a place, writes header and body, makes the block visible. OK also when it was there already. BUSY: its group
 * is at its limit and nothing of it can go; NO_SPACE: no room could be made in time, or the disk is full; IO. */
enum status transfer_put(struct disk *disk, const struct store_generation *generation, uint64_t block,
                         const uint8_t *body, uint32_t length) STATUS_CHECKED;

/* Reads the block, checks header and body. OK with a counted buffer; NOT_FOUND when another block lies there by now;
 * IO, CORRUPT: it was dropped. */
enum status transfer_load(struct disk *disk, const struct store_load *load, struct buf **buf) STATUS_CHECKED;

/* Whether header and body are those of the block that is wanted. NOT_FOUND: a good header of something else. An object
 * that is left out: the generation names it well enough, somebody has compared it before. Pure; any thread. */
enum status transfer_check(const struct disk *disk, const uint8_t *header, const uint8_t *body,
                           const struct store_load *wanted) STATUS_CHECKED;

/* Appends an entry to the open segment: *location is where it lies, live and, until transfer_packed_done, being
 * written. `spare`: for eviction's own copies. NO_SPACE: no slot is free now. On an error nothing is held. */
enum status transfer_pack(struct disk *disk, const struct entry *entry, const uint8_t *body, bool spare,
                          uint64_t *location) STATUS_CHECKED;
/* Afterwards; `kept`: the directory points at it. */
void transfer_packed_done(struct disk *disk, uint64_t location, uint32_t length, bool kept);

/* Whether the slot of that location, whose first bytes these are, was filled anew after the last commit before a start,
 * so that the index spoke of an earlier content (lost.h): then what is not where it said, or was cut short, is no
 * damage. */
bool transfer_superseded(const struct disk *disk, uint64_t location, const uint8_t *first);

#endif
