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

#include "base/buf_room.h"

struct buf {
    atomic_uint refs;
    atomic_size_t filled;  /* bytes */
    size_t size;           /* bytes of room at data */
    uint8_t *data;         /* 4 KiB aligned when size >= 4 KiB */
    struct buf_room *room; /* which it counts in; NULL: none */
};

/* One reference, nothing filled. Any thread. */
struct buf *buf_new(size_t size);
/* The same, counted in a room until its last reference goes, whoever has that; NULL: there is no room. `since_ms`: see
 * buf_room_take. Any thread. */
struct buf *buf_new_in(struct buf_room *room, size_t size, int64_t *since_ms);
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
