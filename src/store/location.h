/* SPDX-License-Identifier: Apache-2.0 */
/*
 * location.h: where a block lies, in 64 bits that are read and replaced as one.
 *
 *   63 present | 62 verified | 61 packed | 60 used | 59–56 disk | 55–48 incarnation | 47–0 position
 *
 * Of the disk's incarnation (label.h) these are the low bits. A full block's position is its slot. A packed entry's is
 * its segment's slot (29 bits) and its offset within the slot in units of ENTRY_ALIGN (19 bits, so slots are at most 32
 * MiB). `verified`: its bytes in the page cache are those that were written or checked. `used`: read since eviction
 * last looked. 0: no such block.
 */
#ifndef HEADPOND_STORE_LOCATION_H
#define HEADPOND_STORE_LOCATION_H

#include <stdbool.h>
#include <stdint.h>

#include "store/entry.h"

#define LOCATION_PRESENT (UINT64_C(1) << 63)
#define LOCATION_VERIFIED (UINT64_C(1) << 62)
#define LOCATION_PACKED (UINT64_C(1) << 61)
#define LOCATION_USED (UINT64_C(1) << 60)
/* What may change while the block stays where it is. */
#define LOCATION_FLAGS (LOCATION_VERIFIED | LOCATION_USED)
/* What the index keeps: neither flags nor the disk's number, which is another one after a change of configuration. */
#define LOCATION_STORED ~(LOCATION_FLAGS | (UINT64_C(15) << 56))

#define LOCATION_OFFSET_BITS 19
#define LOCATION_SLOT_MAX (UINT32_C(1) << 29)

static inline uint64_t location_make(unsigned disk, uint32_t incarnation, uint64_t position)
{
    return LOCATION_PRESENT | (uint64_t) disk << 56 | (uint64_t) (incarnation & 255) << 48 | position;
}

static inline uint64_t location_packed(unsigned disk, uint32_t incarnation, uint32_t slot, uint32_t offset)
{
    uint64_t position = (uint64_t) slot << LOCATION_OFFSET_BITS | offset / ENTRY_ALIGN;
    return location_make(disk, incarnation, position) | LOCATION_PACKED;
}

static inline unsigned location_disk(uint64_t location)
{
    return (unsigned) (location >> 56) & 15;
}

static inline unsigned location_incarnation(uint64_t location)
{
    return (unsigned) (location >> 48) & 255;
}

static inline uint32_t location_slot(uint64_t location)
{
    uint64_t position = location & ((UINT64_C(1) << 48) - 1);
    return (uint32_t) (location & LOCATION_PACKED ? position >> LOCATION_OFFSET_BITS : position);
}

/* Whether it is a packed entry in that segment. */
static inline bool location_in_segment(uint64_t location, unsigned disk, uint32_t slot)
{
    return (location & LOCATION_PRESENT) && (location & LOCATION_PACKED) && location_disk(location) == disk &&
           location_slot(location) == slot;
}

/* Where its header begins within the slot, in bytes. */
static inline uint32_t location_offset(uint64_t location)
{
    if (!(location & LOCATION_PACKED))
        return 0;
    return (uint32_t) (location & ((UINT64_C(1) << LOCATION_OFFSET_BITS) - 1)) * ENTRY_ALIGN;
}

/* Where its body begins within the slot, in bytes. */
static inline uint32_t location_body(uint64_t location)
{
    return location & LOCATION_PACKED ? location_offset(location) + ENTRY_HEADER_SIZE : ENTRY_PAGE;
}

/* The same place, whatever its flags. */
static inline bool location_same(uint64_t a, uint64_t b)
{
    return ((a ^ b) & ~LOCATION_FLAGS) == 0;
}

#endif
