/* SPDX-License-Identifier: Apache-2.0 */
/*
 * damage.h: how what has rotted on a disk is counted and told: by file and offset, so that an operator can look there,
 * and with what it cost.
 */
#ifndef HEADPOND_STORE_DAMAGE_H
#define HEADPOND_STORE_DAMAGE_H

#include <stdint.h>

struct disk;

/* Counts and logs an entry that failed its check; it begins `offset` bytes into the slot. The text goes on behind
 * `offset=`: further pairs, a colon, and a sentence of what has become of it. Any thread. */
void damage_found(struct disk *disk, uint32_t slot, uint32_t offset, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* The same of a block at that location, which has been dropped; `how` says how it was found. */
void damage_block(struct disk *disk, uint64_t location, uint64_t generation, uint64_t block, const char *how);

#endif
