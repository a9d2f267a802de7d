/* SPDX-License-Identifier: Apache-2.0 */
/* buf_room.c: see buf_room.h. */
#include "base/buf_room.h"

#include "base/clock.h"
#include "base/mem.h"

/* Who has not asked again for so long has gone, and lets others pass. */
#define FIRST_MS 100

/* Of those who ask at the same time one may miss what another says here: the next time it does not. */
static bool room_has(struct buf_room *room, size_t taken, size_t size, int64_t *since_ms)
{
    size_t most = mem_pressure() < MEM_QUEUE_FILLS ? room->most : room->least;
    int64_t now_ms = clock_mono_ms();
    if (since_ms != NULL && *since_ms == 0)
        *since_ms = now_ms;
    int64_t came_ms = since_ms == NULL ? now_ms : *since_ms;
    bool behind = now_ms - atomic_load_explicit(&room->seen_ms, memory_order_relaxed) <= FIRST_MS &&
                  came_ms > atomic_load_explicit(&room->first_ms, memory_order_relaxed);
    size_t kept = behind ? atomic_load_explicit(&room->first_bytes, memory_order_relaxed) : 0;
    if (taken + size + kept <= most)
        return true;
    if (!behind && since_ms != NULL) {
        atomic_store_explicit(&room->first_ms, came_ms, memory_order_relaxed);
        atomic_store_explicit(&room->first_bytes, size, memory_order_relaxed);
        atomic_store_explicit(&room->seen_ms, now_ms, memory_order_relaxed);
    }
    atomic_store_explicit(&room->refused_ms, now_ms, memory_order_relaxed);
    return false;
}

void buf_room_forget(struct buf_room *room, int64_t *since_ms)
{
    if (*since_ms != 0 && *since_ms == atomic_load_explicit(&room->first_ms, memory_order_relaxed))
        atomic_store_explicit(&room->seen_ms, 0, memory_order_relaxed);
    *since_ms = 0;
}

bool buf_room_has(struct buf_room *room, size_t size, int64_t *since_ms)
{
    return room_has(room, atomic_load_explicit(&room->taken, memory_order_relaxed), size, since_ms);
}

bool buf_room_take(struct buf_room *room, size_t size, int64_t *since_ms)
{
    size_t taken = atomic_load_explicit(&room->taken, memory_order_relaxed);
    do {
        if (!room_has(room, taken, size, since_ms))
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&room->taken, &taken, taken + size, memory_order_relaxed,
                                                    memory_order_relaxed));
    if (since_ms != NULL)
        buf_room_forget(room, since_ms);
    return true;
}

void buf_room_give(struct buf_room *room, size_t size)
{
    atomic_fetch_sub_explicit(&room->taken, size, memory_order_relaxed);
}

bool buf_room_short(const struct buf_room *room, int64_t ms)
{
    int64_t refused = atomic_load_explicit(&room->refused_ms, memory_order_relaxed);
    return refused != 0 && clock_mono_ms() - refused <= ms;
}
