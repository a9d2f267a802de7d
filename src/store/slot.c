/* SPDX-License-Identifier: Apache-2.0 */
/* slot.c: the state of each slot. */
#include "store/slot.h"

#include "base/clock.h"
#include "base/mem.h"
#include "store/segment.h"

/* Free space that is kept ahead of puts: what they write while a grace period passes. It holds nothing, so it is a
 * small part of the store, but not less than what a grace period of some milliseconds takes, unless the store is tiny.
 */
#define RESERVE_MOST_BYTES (128 * 1024 * 1024)
#define RESERVE_LEAST_BYTES (12 * 1024 * 1024)
#define RESERVE_LEAST 12
#define RESERVE_PART 32
#define RESERVE_TINY_PART 8
/* How long one thread waits for another to make more slots. */
#define GROW_WAIT_MS 1000

static bool slot_used(void *arg, uint32_t slot)
{
    struct slots *slots = arg;
    if (slots->state[slot] == SLOT_SEGMENT)
        return segment_busy(slots, slot);
    unsigned number;
    struct leaf *leaf = slots_owner(slots, slot, &number);
    uint64_t location = atomic_load_explicit(&leaf->location[number], memory_order_relaxed);
    if (!(location & LOCATION_USED))
        return false;
    directory_flag(&leaf->location[number], location, 0, LOCATION_USED);
    return true;
}

static uint32_t slot_live(void *arg, uint32_t slot)
{
    return segment_live(arg, slot);
}

static uint32_t lesser(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t greater(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

void slots_reserve(struct slots *slots)
{
    uint32_t least = RESERVE_LEAST_BYTES / slots->stride, most = RESERVE_MOST_BYTES / slots->stride;
    slots->reserve = lesser(slots->high / RESERVE_PART, most);
    slots->reserve = greater(slots->reserve, greater(least, RESERVE_LEAST));
    slots->reserve = lesser(slots->reserve, slots->high / RESERVE_TINY_PART);
    slots->reserve = greater(slots->reserve, SLOT_SPARE + 1);
    uint32_t room = slots_may_grow(slots) ? slots->capacity : slots->high;
    evict_resize(slots->evict, room > slots->reserve ? room - slots->reserve : 0);
}

enum status slots_init(struct slots *slots, const struct slots_config *config)
{
    uint32_t capacity = config->capacity;
    *slots = (struct slots){.path = config->path,
                            .dir = config->dir,
                            .index_max = config->index_max,
                            .errors = config->errors,
                            .stride = ENTRY_PAGE + config->block_size,
                            .capacity = capacity,
                            .free_head = SLOT_NONE,
                            .limbo_head = SLOT_NONE,
                            .held_head = SLOT_NONE,
                            .leaving_head = SLOT_NONE,
                            .segment = SLOT_NONE};
    atomic_init(&slots->emptying, SLOT_NONE);
    pthread_mutex_init(&slots->lock, NULL);
    clock_cond_init(&slots->freed);
    slots->owner = mem_table(capacity, sizeof *slots->owner);
    slots->state = mem_table(capacity, sizeof *slots->state);
    slots->evict = evict_new(capacity, &(struct evict_events){slot_used, slot_live, slots});
    slots->file_count = (capacity + SLOT_PER_FILE - 1) / SLOT_PER_FILE;
    slots->files = mem_calloc(slots->file_count, sizeof *slots->files);
    for (uint32_t i = 0; i < slots->file_count; i++)
        atomic_init(&slots->files[i].fd, -1);
    slot_files_trim(slots);
    enum status status = slot_files_open(slots);
    slots_reserve(slots);
    return status;
}

void slots_fini(struct slots *slots)
{
    slot_files_close(slots);
    evict_free(slots->evict);
    mem_free(slots->files);
    mem_free(slots->owner);
    mem_free(slots->state);
    pthread_cond_destroy(&slots->freed);
    pthread_mutex_destroy(&slots->lock);
}

uint32_t slots_set_quotas(struct slots *slots, const struct quota_row *rows, unsigned count)
{
    pthread_mutex_lock(&slots->lock);
    uint32_t reserved = evict_set_quotas(slots->evict, rows, count, slots->stride - ENTRY_PAGE);
    pthread_mutex_unlock(&slots->lock);
    return reserved;
}

void slots_loaded(struct slots *slots)
{
    pthread_mutex_lock(&slots->lock);
    slots->loaded = true;
    for (uint32_t slot = slots->high; slot-- > 0;)
        if (slots->state[slot] == SLOT_FREE)
            slots_free_unseen(slots, slot);
    pthread_mutex_unlock(&slots->lock);
}

const uint8_t *slots_mapped(struct slots *slots, uint32_t slot)
{
    const uint8_t *map = atomic_load_explicit(&slots->files[slot / SLOT_PER_FILE].map, memory_order_relaxed);
    return map == NULL ? NULL : map + slots_offset(slots, slot);
}

uint32_t slots_grow_behind(struct slots *slots)
{
    pthread_mutex_lock(&slots->lock);
    bool grows = slots->free_count <= SLOT_SPARE && slots_may_grow(slots) && slots->high % SLOT_PER_FILE != 0;
    uint32_t last = grows ? slots->high - 1 : SLOT_NONE;
    pthread_mutex_unlock(&slots->lock);
    return last;
}

void slots_lock_grown(struct slots *slots)
{
    int64_t deadline = clock_mono_ms() + GROW_WAIT_MS;
    pthread_mutex_lock(&slots->lock);
    while (slots->growing && slots->free_count <= SLOT_SPARE)
        if (!clock_cond_wait(&slots->freed, &slots->lock, deadline))
            return;
    if (slots->free_count > SLOT_SPARE || !slots_may_grow(slots))
        return;
    slots->growing = true;
    pthread_mutex_unlock(&slots->lock);
    uint32_t count = slot_files_grow(slots);
    pthread_mutex_lock(&slots->lock);
    slots->growing = false;
    slots->high += count;
    slots_reserve(slots);
    for (uint32_t i = slots->high; i-- > slots->high - count;)
        slots_free_unseen(slots, i);
    pthread_cond_broadcast(&slots->freed);
}

uint32_t slots_alloc(struct slots *slots, bool spare)
{
    if (slots->free_count <= (spare ? 0 : SLOT_SPARE))
        return SLOT_NONE;
    uint32_t slot = slots->free_head;
    slots->free_head = (uint32_t) slots->owner[slot];
    slots->free_count--;
    slots->owner[slot] = 0;
    slots->state[slot] = SLOT_WRITING;
    return slot;
}

void slots_free_unseen(struct slots *slots, uint32_t slot)
{
    slots->state[slot] = SLOT_FREE;
    slots->owner[slot] = slots->free_head;
    slots->free_head = slot;
    slots->free_count++;
}

static void hold_block(struct slots *slots, uint32_t slot, struct leaf *leaf, unsigned number)
{
    slots->owner[slot] = (uint64_t) (uintptr_t) leaf | number;
    slots->state[slot] = SLOT_BLOCK;
}

void slots_settle(struct slots *slots, uint32_t slot, struct leaf *leaf, unsigned number, struct hash128 group)
{
    struct evict_block block = {.generation = leaf->generation,
                                .block = (uint64_t) leaf->extent * STORE_EXTENT_BLOCKS + number,
                                .group = group,
                                .weight = EVICT_SLOT};
    hold_block(slots, slot, leaf, number);
    evict_insert(slots->evict, slot, &block);
}

void slots_found(struct slots *slots, uint32_t slot, struct leaf *leaf, unsigned number, struct evict_whose whose)
{
    hold_block(slots, slot, leaf, number);
    evict_found(slots->evict, slot, leaf->generation, (uint64_t) leaf->extent * STORE_EXTENT_BLOCKS + number, whose);
}

struct leaf *slots_owner(const struct slots *slots, uint32_t slot, unsigned *number)
{
    *number = (unsigned) (slots->owner[slot] & 15);
    return (struct leaf *) (uintptr_t) (slots->owner[slot] & ~UINT64_C(15));
}

void slots_evicted(struct slots *slots, uint32_t slot)
{
    slots->state[slot] = SLOT_LIMBO;
    slots->limbo_head = slots_chain(slots, slots->limbo_head, slot);
    slots->limbo_count++;
}

void slots_drop(struct slots *slots, uint32_t slot)
{
    if (slots->state[slot] != SLOT_BLOCK && slots->state[slot] != SLOT_SEGMENT)
        return;
    evict_remove(slots->evict, slot);
    slots_evicted(slots, slot);
}

uint32_t slots_victim(struct slots *slots, bool *segment)
{
    uint32_t slot = evict_victim(slots->evict);
    if (slot == EVICT_NONE)
        return SLOT_NONE;
    *segment = slots->state[slot] == SLOT_SEGMENT;
    if (*segment && segment_busy(slots, slot)) {
        /* Entries are still being written to the oldest of all: nearly nothing else is there. */
        evict_insert_segment(slots->evict, slot);
        return SLOT_NONE;
    }
    slots->state[slot] = SLOT_VICTIM;
    return slot;
}

static uint32_t block_victim(struct slots *slots, uint32_t slot)
{
    if (slot == EVICT_NONE)
        return SLOT_NONE;
    slots->state[slot] = SLOT_VICTIM;
    return slot;
}

bool slots_claim(struct slots *slots, struct hash128 group, uint32_t *victim)
{
    bool claimed = evict_claim(slots->evict, group, victim);
    *victim = block_victim(slots, *victim);
    return claimed;
}

void slots_disclaim(struct slots *slots, struct hash128 group)
{
    evict_disclaim(slots->evict, group);
}

uint32_t slots_surplus(struct slots *slots)
{
    return block_victim(slots, evict_surplus(slots->evict));
}

uint32_t slots_take_limbo(struct slots *slots)
{
    uint32_t chain = slots->limbo_head;
    slots->limbo_head = SLOT_NONE;
    slots->limbo_count = 0;
    return chain;
}

uint32_t slots_chain(struct slots *slots, uint32_t chain, uint32_t slot)
{
    slots->owner[slot] = chain;
    return slot;
}

void slots_free_chain(struct slots *slots, uint32_t chain)
{
    while (chain != SLOT_NONE) {
        uint32_t next = (uint32_t) slots->owner[chain];
        slots_free_unseen(slots, chain);
        chain = next;
    }
    pthread_cond_broadcast(&slots->freed);
}

void slots_hold(struct slots *slots, uint32_t slot)
{
    slots->held_head = slots_chain(slots, slots->held_head, slot);
    slots->held_count++;
}

void slots_held_leave(struct slots *slots)
{
    while (slots->held_head != SLOT_NONE) {
        uint32_t slot = slots->held_head;
        slots->held_head = (uint32_t) slots->owner[slot];
        slots->leaving_head = slots_chain(slots, slots->leaving_head, slot);
    }
}

void slots_held_free(struct slots *slots)
{
    for (uint32_t slot = slots->leaving_head; slot != SLOT_NONE; slot = (uint32_t) slots->owner[slot])
        slots->held_count--;
    slots_free_chain(slots, slots->leaving_head);
    slots->leaving_head = SLOT_NONE;
}

bool slots_short(const struct slots *slots)
{
    /* What is in limbo comes before what is not there yet: who is held by a limit would else fill the disk. */
    return evict_over(slots->evict) ||
           (slots->free_count < slots->reserve && (!slots_may_grow(slots) || slots->limbo_count >= slots->reserve));
}
