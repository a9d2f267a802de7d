/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buf_room.h: what buffers of one kind may take together, in bytes. A buffer (buf.h) counts from its making until its
 * last reference goes: so they are bounded, however slowly they are read.
 *
 * Who is refused asks again, a few milliseconds later; there is nobody to be told, for the last reference may go on any
 * thread. But small ones that come all the time must not take for ever what a large one waits for: while the one that
 * has waited for the longest asks again and again, its bytes are kept from those who came later.
 *
 * Any thread; no lock.
 */
#ifndef HEADPOND_BASE_BUF_ROOM_H
#define HEADPOND_BASE_BUF_ROOM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* It must outlive what it counts. Whoever makes it sets the first two. */
struct buf_room {
    size_t most;
    size_t least; /* may be taken even while `memory` is nearly used up, so that something goes on */
    atomic_size_t taken;
    atomic_int_fast64_t refused_ms; /* clock_mono_ms when there was none for somebody; 0: never */
    atomic_int_fast64_t first_ms;   /* since when the one that goes first has waited, */
    atomic_size_t first_bytes;      /* for how much, */
    atomic_int_fast64_t seen_ms;    /* and when it asked last; 0: nobody does */
};

/* False: there is none. *since_ms is the caller's, one for each thing that it wants room for: 0 at first, then when it
 * first asked (clock_mono_ms); 0 again with the room. NULL: it will not ask again. */
bool buf_room_take(struct buf_room *room, size_t size, int64_t *since_ms);
void buf_room_give(struct buf_room *room, size_t size);
/* Whether there is room; takes none, but else counts as asking for it. */
bool buf_room_has(struct buf_room *room, size_t size, int64_t *since_ms);
/* The caller does not want it any more: whoever came next goes first now. */
void buf_room_forget(struct buf_room *room, int64_t *since_ms);
/* Whether somebody was refused within the last `ms`. */
bool buf_room_short(const struct buf_room *room, int64_t ms);

#endif
