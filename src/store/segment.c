/* SPDX-License-Identifier: Apache-2.0 */
/* segment.c: the open segment, and counting what is live in all of them. */
#include "store/segment.h"

#include <assert.h>

#include "store/slot.h"

/* A segment slot's owner word: bytes that are live, and in the upper half how many entries are being written. */
#define LIVE(word) ((uint32_t) (word))
#define WRITER (UINT64_C(1) << 32)
#define PAGE_UP(bytes) (((bytes) + ENTRY_PAGE - 1) & ~(uint32_t) (ENTRY_PAGE - 1))

uint32_t segment_live(const struct slots *slots, uint32_t slot)
{
    return LIVE(slots->owner[slot]);
}

bool segment_busy(const struct slots *slots, uint32_t slot)
{
    return slots->owner[slot] >= WRITER;
}

void segment_sort(struct slots *slots, uint32_t slot)
{
    /* One that is being loaded may yet be found to hold more. */
    if (slots->state[slot] != SLOT_SEGMENT || !slots->loaded || segment_busy(slots, slot))
        return;
    if (segment_live(slots, slot) == 0)
        slots_drop(slots, slot);
    else if (segment_live(slots, slot) < slots->stride / 2)
        evict_sparse(slots->evict, slot);
}

static void segment_seal(struct slots *slots)
{
    uint32_t slot = slots->segment;
    slots->segment = SLOT_NONE;
    slots->state[slot] = SLOT_SEGMENT;
    evict_insert_segment(slots->evict, slot);
    segment_sort(slots, slot);
}

static struct segment_room room_at(const struct slots *slots, uint32_t used, uint32_t size)
{
    struct segment_room room = {.slot = slots->segment, .offset = used};
    if (size > ENTRY_SHARED_MAX) {
        room.offset = PAGE_UP(used);
        room.before = room.offset - used;
        room.after = PAGE_UP(size) - size;
    }
    return room;
}

bool segment_reserve(struct slots *slots, uint32_t size, bool spare, struct segment_room *room)
{
    assert(size <= slots->stride - ENTRY_PAGE);
    *room = room_at(slots, slots->segment_used, size);
    if (slots->segment != SLOT_NONE && room->offset + size + room->after > slots->stride)
        segment_seal(slots);
    if (slots->segment == SLOT_NONE) {
        uint32_t taken = slots_alloc(slots, spare);
        if (taken == SLOT_NONE)
            return false;
        slots->state[taken] = SLOT_OPEN;
        slots->segment = taken;
        *room = room_at(slots, ENTRY_PAGE, size);
        room->fresh = true;
    }
    slots->segment_used = room->offset + size + room->after;
    slots->owner[room->slot] += WRITER + size;
    return true;
}

void segment_written(struct slots *slots, uint32_t slot)
{
    assert(segment_busy(slots, slot));
    slots->owner[slot] -= WRITER;
    segment_sort(slots, slot);
}

void segment_dead(struct slots *slots, uint32_t slot, uint32_t size)
{
    assert(segment_live(slots, slot) >= size);
    slots->owner[slot] -= size;
    segment_sort(slots, slot);
}

bool segment_claim(struct slots *slots, uint32_t slot, uint32_t offset, uint32_t size)
{
    if (slot >= slots->high || offset < ENTRY_PAGE || offset > slots->stride || size > slots->stride - offset)
        return false;
    if (slots->state[slot] == SLOT_FREE) {
        slots->state[slot] = SLOT_SEGMENT;
        slots->owner[slot] = 0;
        evict_insert_segment(slots->evict, slot);
    }
    if (slots->state[slot] != SLOT_SEGMENT || segment_live(slots, slot) + size > slots->stride - ENTRY_PAGE)
        return false;
    slots->owner[slot] += size;
    return true;
}

void segment_walk(const uint8_t *data, uint32_t size,
                  void (*each)(void *arg, const struct entry *entry, uint32_t offset, const uint8_t *body), void *arg)
{
    uint32_t offset = ENTRY_PAGE;
    struct entry first;
    uint64_t own = entry_decode(data, &first) == STATUS_OK && first.kind == ENTRY_SEGMENT ? first.sequence : 0;
    while (offset + ENTRY_HEADER_SIZE <= size) {
        struct entry entry;
        uint32_t step = ENTRY_ALIGN;
        if (entry_decode(data + offset, &entry) == STATUS_OK && entry.length <= size - offset - ENTRY_HEADER_SIZE &&
            (entry.segment == own || entry.segment == 0 || own == 0)) {
            each(arg, &entry, offset, data + offset + ENTRY_HEADER_SIZE);
            step = entry_packed_size(entry.length);
        }
        offset += step;
    }
}
