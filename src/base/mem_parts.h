/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mem_parts.h: what may go to what of `memory`, in MEM_WHOLE parts of it.
 *
 * These are ceilings, not a partition: together they are about three times `memory`, for what one kind of work leaves
 * another may have, and seldom do all want much at once. What bounds their sum is mem_pressure(): the less is left, the
 * more is given up, at last new fills and new connections, whoever may still take of his part.
 */
#ifndef HEADPOND_BASE_MEM_PARTS_H
#define HEADPOND_BASE_MEM_PARTS_H

#include "base/mem.h"

enum mem_parts {
    MEM_WHOLE = 192,

    /* Fills, from when they are made until all is read, and what those hold who wait to be made (origin/admission.h). */
    MEM_FILLS = 96,
    MEM_FILLS_WAITING = 32,
    /* So for questions: whether a client may read, and whether a blob has changed. */
    MEM_PROBES = 24,
    MEM_PROBES_WAITING = 32,
    /* And for what passes through. */
    MEM_FORWARDS = 48,
    MEM_FORWARDS_WAITING = 48,
    /* Blocks in memory on their way to clients, however slowly these read (cache/room.h). */
    MEM_BLOCKS = 72,
    /* Blocks that wait to be written, of all disks together. */
    MEM_PUTS = 24,
    /* Tables that grow with the size of the disks: with more than that the start is refused. */
    MEM_STORE_TABLES = 96,
    /* Records of objects and what is kept with them; those that are not in memory are in the index. */
    MEM_STORE_OBJECTS = 48,
    /* Buffers that nobody uses, kept for the next use until memory is short (base/buf.c). */
    MEM_BUFFERS_KEPT = 48,

    /* With less left than this there is no read-ahead, no splitting, new fills queue, accepting stops (mem_pressure). */
    MEM_LEFT_AHEAD = 48,
    MEM_LEFT_SPLIT = 32,
    MEM_LEFT_FILLS = 16,
    MEM_LEFT_ACCEPT = 6,
};

/* So many parts of so many bytes. */
static inline size_t mem_parts_of(size_t whole, unsigned parts)
{
    return whole / MEM_WHOLE * parts + whole % MEM_WHOLE * parts / MEM_WHOLE;
}

/* So many parts of `memory`; `unbounded` where that has no bound. */
static inline size_t mem_part(unsigned parts, size_t unbounded)
{
    return mem_limit() == 0 ? unbounded : mem_parts_of(mem_limit(), parts);
}

#endif
