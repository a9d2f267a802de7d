/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buf.h: a reference-counted body buffer that one thread fills while others read.
 *
 * The writer stores bytes and then publishes `filled`; a reader on any thread that loads it with buf_filled() may read
 * the bytes below it, without a lock. Bytes below `filled` never change. Both are sequentially consistent, not just
 * release and acquire: a reader that says "I wait" and then looks once more relies on it (cache/flight.c).
 */
#ifndef HEADPOND_BASE_BUF_H
#define HEADPOND_BASE_BUF_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What buffers of one kind may take together, in bytes. A buffer counts from its making until its last reference goes,
 * whoever has that: so they are bounded, however slowly they are read. It must outlive them.
 *
 * Who is refused asks again, a few milliseconds later; there is nobody to be told, for the last reference may go on any
 * thread. But small ones that come all the time must not take for ever what a large one waits for: while the one that
 * has waited for the longest asks again and again, its bytes are kept from those who came later. */
struct buf_room {
    size_t most;
    size_t least; /* may be taken even while `memory` is nearly used up, so that something goes on */
    atomic_size_t taken;
    atomic_int_fast64_t refused_ms; /* clock_mono_ms when there was none for somebody; 0: never */
    atomic_int_fast64_t first_ms;   /* since when the one that goes first has waited, */
    atomic_size_t first_bytes;      /* for how much, */
    atomic_int_fast64_t seen_ms;    /* and when it asked last; 0: nobody does */
};

struct buf {
    atomic_uint refs;
    atomic_size_t filled;  /* bytes */
    size_t size;           /* bytes of room at data */
    uint8_t *data;         /* 4 KiB aligned when size >= 4 KiB */
    struct buf_room *room; /* which it counts in; NULL: none */
};

/* One reference, nothing filled. Any thread. */
struct buf *buf_new(size_t size);
/* The same, counted; NULL: there is no room. *since_ms is the caller's, one for each buffer that it wants: 0 at first,
 * then when it first asked (clock_mono_ms); 0 again with the buffer. NULL: it will not ask again. Any thread. */
struct buf *buf_new_in(struct buf_room *room, size_t size, int64_t *since_ms);
/* Whether there is room for it; takes none, but else counts as asking for it. Any thread. */
bool buf_room_has(struct buf_room *room, size_t size, int64_t *since_ms);
/* The caller does not want it any more: whoever came next goes first now. Any thread. */
void buf_room_forget(struct buf_room *room, int64_t *since_ms);
/* Whether somebody was refused within the last `ms`. Any thread. */
bool buf_room_short(const struct buf_room *room, int64_t ms);
struct buf *buf_ref(struct buf *buf);
/* Drops a reference and empties the caller's pointer; *buf may be NULL. Any thread. */
void buf_unref(struct buf **buf);

/* Gives the mappings that are kept for reuse back to the system. Any thread. */
void buf_trim(void);
/* Whether `memory` is used up (MEM_STOP_ACCEPT) though these have been given back. Any thread. */
bool buf_memory_used_up(void);
/* Gives back as many as have not been needed since it was last called. Any thread. */
void buf_tidy(void);
/* How many bytes those are. Any thread. */
size_t buf_kept_bytes(void);

static inline size_t buf_filled(const struct buf *buf)
{
    return atomic_load(&buf->filled);
}

/* Writer only: `filled` bytes are now readable. Never less than before. */
static inline void buf_publish(struct buf *buf, size_t filled)
{
    atomic_store(&buf->filled, filled);
}

#endif
