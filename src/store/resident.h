/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resident.h: what the page cache holds of a data file, asked without bringing anything in.
 *
 * By cachestat, 0.4 µs whatever the size, measured; where that sees something missing, the kernel has none (before 6.5)
 * or a filter forbids it, by mincore on the file's mapping: 1.3 µs for a page, 2.8 µs for 16. cachestat also counts
 * pages that are being read this moment; RWF_NOWAIT does not take those.
 */
#ifndef HEADPOND_STORE_RESIDENT_H
#define HEADPOND_STORE_RESIDENT_H

#include <stdbool.h>
#include <stdint.h>

struct disk;

/* Whether all of those bytes of the slot are in memory now. false when nothing can tell. Any thread, never waits. */
bool resident(struct disk *disk, uint32_t slot, uint32_t from, uint32_t size);

#endif
