/* SPDX-License-Identifier: Apache-2.0 */
/* evict.c: two lists threaded through arrays, and a second chance. */
#include "store/evict.h"

#include "base/mem.h"

/* Second chances given in one search: past it the oldest goes, used or not, so that the search stays short. */
#define REPRIEVES 128
/* Sparse segments compared in one search. */
#define SPARSE_LOOK 32

enum evict_place { PLACE_NONE, PLACE_QUEUE, PLACE_SPARSE };

struct evict_list {
    uint32_t head; /* oldest */
    uint32_t tail;
};

struct evict {
    struct evict_events events;
    struct evict_list queue;
    struct evict_list sparse;
    uint32_t *next;
    uint32_t *prev;
    uint8_t *place;
};

struct evict *evict_new(uint32_t capacity, const struct evict_events *events)
{
    struct evict *evict = mem_calloc(1, sizeof *evict);
    evict->events = *events;
    evict->queue = evict->sparse = (struct evict_list){EVICT_NONE, EVICT_NONE};
    evict->next = mem_calloc(capacity, sizeof *evict->next);
    evict->prev = mem_calloc(capacity, sizeof *evict->prev);
    evict->place = mem_calloc(capacity, sizeof *evict->place);
    return evict;
}

void evict_free(struct evict *evict)
{
    mem_free(evict->next);
    mem_free(evict->prev);
    mem_free(evict->place);
    mem_free(evict);
}

static void list_push(struct evict *evict, struct evict_list *list, uint32_t slot)
{
    evict->next[slot] = EVICT_NONE;
    evict->prev[slot] = list->tail;
    if (list->tail == EVICT_NONE)
        list->head = slot;
    else
        evict->next[list->tail] = slot;
    list->tail = slot;
}

static void list_unlink(struct evict *evict, struct evict_list *list, uint32_t slot)
{
    uint32_t next = evict->next[slot], prev = evict->prev[slot];
    if (prev == EVICT_NONE)
        list->head = next;
    else
        evict->next[prev] = next;
    if (next == EVICT_NONE)
        list->tail = prev;
    else
        evict->prev[next] = prev;
}

bool evict_admit(struct evict *evict, struct hash128 object, uint64_t block, uint32_t length)
{
    (void) evict, (void) object, (void) block, (void) length;
    return true;
}

void evict_insert(struct evict *evict, uint32_t slot)
{
    if (evict->place[slot] != PLACE_NONE)
        return;
    list_push(evict, &evict->queue, slot);
    evict->place[slot] = PLACE_QUEUE;
}

void evict_remove(struct evict *evict, uint32_t slot)
{
    if (evict->place[slot] == PLACE_QUEUE)
        list_unlink(evict, &evict->queue, slot);
    else if (evict->place[slot] == PLACE_SPARSE)
        list_unlink(evict, &evict->sparse, slot);
    evict->place[slot] = PLACE_NONE;
}

void evict_sparse(struct evict *evict, uint32_t slot)
{
    if (evict->place[slot] != PLACE_QUEUE)
        return;
    list_unlink(evict, &evict->queue, slot);
    list_push(evict, &evict->sparse, slot);
    evict->place[slot] = PLACE_SPARSE;
}

static uint32_t sparsest(struct evict *evict)
{
    uint32_t best = EVICT_NONE, best_live = UINT32_MAX;
    uint32_t slot = evict->sparse.head;
    for (unsigned i = 0; i < SPARSE_LOOK && slot != EVICT_NONE; i++, slot = evict->next[slot]) {
        uint32_t live = evict->events.live(evict->events.arg, slot);
        if (live < best_live) {
            best = slot;
            best_live = live;
        }
    }
    return best;
}

uint32_t evict_victim(struct evict *evict)
{
    uint32_t slot = sparsest(evict);
    for (unsigned i = 0; slot == EVICT_NONE && evict->queue.head != EVICT_NONE; i++) {
        uint32_t oldest = evict->queue.head;
        if (i < REPRIEVES && evict->events.used(evict->events.arg, oldest)) {
            list_unlink(evict, &evict->queue, oldest);
            list_push(evict, &evict->queue, oldest);
            continue;
        }
        slot = oldest;
    }
    if (slot != EVICT_NONE)
        evict_remove(evict, slot);
    return slot;
}

bool evict_queued(const struct evict *evict, uint32_t slot)
{
    return evict->place[slot] != PLACE_NONE;
}
