/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record.h: object records as entries on the disk, packed in segments like short blocks.
 *
 * The index holds every record as well, and that copy is the one a start reads; the entry is there for the day the
 * index is lost. So an entry that cannot be written or kept is no loss: it is tried again with a later full round.
 */
#ifndef HEADPOND_STORE_RECORD_H
#define HEADPOND_STORE_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/status.h"
#include "store/entry.h"

struct disk;
struct store;

/* Whether records can be written to the disk now, as far as can be told by what went before. Scribe. */
bool record_loggable(const struct disk *disk);
/* Writes the object's record if it does not lie on its home, this disk, yet. OK: it does now, and its row must say
 * where. NOT_FOUND: there is nothing to write. TOO_LARGE: no segment has room for it. Others: it is to be tried again.
 * Scribe, online; offline while it writes. */
enum status record_log(struct disk *disk, struct hash128 object) STATUS_CHECKED;
/* The bytes at that place are not pointed at any more. Online, since the object let go of them. */
void record_dead(struct store *store, uint64_t location, uint32_t length);
/* A segment is emptied: moves the record if it is live and `keep`, else forgets where it lies. Returns the bytes it
 * took elsewhere. I/O thread. */
uint32_t record_out(struct disk *disk, const struct entry *entry, uint64_t from, const uint8_t *body, bool keep);
/* Forgets every place in that slot, whose entries cannot be read. I/O thread. */
void record_lost(struct disk *disk, uint32_t slot);
/* A place read from the index: counts it as live. false: it cannot be. Scribe, while loading. */
bool record_claim(struct disk *disk, uint64_t location, uint32_t length);

#endif
