/* SPDX-License-Identifier: Apache-2.0 */
/*
 * homes.h: which disk is whose: rendezvous hashing over the disks by size, so that one disk more or less moves only its
 * share. An object's home is the disk whose index has its row (rows.h); its blocks are spread by extents.
 *
 * Any thread, without waiting.
 */
#ifndef HEADPOND_STORE_HOMES_H
#define HEADPOND_STORE_HOMES_H

#include "store/inside.h"

/* NULL without disks. */
struct disk *home_of(const struct store *store, struct hash128 object);
bool home_is(const struct disk *disk, struct hash128 object);
/* Where a new block goes: to its name's disk, or to the one after that while the first is not used, or has much queued
 * and the other has not: so a slow disk gets fewer. What an object begins with lies with its record, so that a small
 * one is lost with one disk, and has no copies. Where no disk takes blocks now it is the first all the same, which
 * counts why not. NULL without disks. */
struct disk *home_of_block(const struct store *store, struct hash128 object, uint64_t block);
/* Tells apart the sets of disks, and their sizes, that share objects differently. */
uint64_t homes_sum(const struct store *store);

#endif
