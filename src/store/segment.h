/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment.h: slots that hold many short entries one after another: tails, small blobs, object records.
 *
 * One segment of a disk is open and filled from front to back by whichever I/O thread has something short; when the
 * next entry does not fit it is sealed and queued for eviction like any slot. Its first page says that it is a segment.
 * A segment counts the bytes in it that the directory still points at; how many go when the count falls is reclaim.c's
 * matter. Large entries begin on a page and end with one (ENTRY_SHARED_MAX), and entries may fail to be written: who
 * walks a segment steps over the holes.
 *
 * The slots' lock is held for everything but segment_walk. */
#ifndef HEADPOND_STORE_SEGMENT_H
#define HEADPOND_STORE_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "store/entry.h"

struct slots;

struct segment_room {
    uint32_t slot;
    uint32_t offset; /* of the entry's header within the slot */
    uint32_t before; /* bytes in front of it, and behind its entry_packed_size, that belong to no entry: less than a */
    uint32_t after;  /* page each, to be written as zeros, so that a walk meets no header of the slot's last content */
    bool fresh;      /* the segment is new: its first page is still to be written */
};
/* Room for one entry of `size` bytes (entry_packed_size): live and being written from now on. false: no slot is
 * free. */
bool segment_reserve(struct slots *slots, uint32_t size, bool spare, struct segment_room *room);
/* The entry was written, or will not be. */
void segment_written(struct slots *slots, uint32_t slot);
/* An entry of that size is not pointed at any more. */
void segment_dead(struct slots *slots, uint32_t slot, uint32_t size);
/* An entry of that size is known from the index: makes the slot a sealed segment. false: it cannot be there. */
bool segment_claim(struct slots *slots, uint32_t slot, uint32_t offset, uint32_t size);
/* After loading: sorts out the sparse ones and those of which nothing is left. */
void segment_sort(struct slots *slots, uint32_t slot);
uint32_t segment_live(const struct slots *slots, uint32_t slot);
/* Whether somebody writes to it. */
bool segment_busy(const struct slots *slots, uint32_t slot);

/* Calls `each` for every entry of the segment's own (entry.h) whose header is right in a whole slot's bytes; `body` has
 * entry->length bytes. Pure. */
void segment_walk(const uint8_t *data, uint32_t size,
                  void (*each)(void *arg, const struct entry *entry, uint32_t offset, const uint8_t *body), void *arg);

#endif
