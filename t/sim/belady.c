/* SPDX-License-Identifier: Apache-2.0 */
/*
 * belady.c: the optimum, which knows the future: whoever is read again last goes, and that may be the newcomer itself
 * (Belady 1966, with bypass). A heap of held objects by their next read; entries that a later read has made untrue stay
 * in it and are passed over.
 */
#include "base/mem.h"
#include "sim.h"

struct entry {
    size_t next;
    uint32_t object;
};

struct belady {
    uint32_t capacity, held_count;
    size_t *after; /* for each read, the next read of the same object */
    size_t *next;  /* for each object that is held, its next read; 0: it is not held */
    struct entry *heap;
    size_t heap_count, heap_room;
};

static void *start(const struct trace *trace, uint32_t capacity)
{
    struct belady *belady = mem_calloc(1, sizeof *belady);
    belady->capacity = capacity;
    belady->after = mem_alloc(trace->count * sizeof *belady->after);
    belady->next = mem_alloc(trace->objects * sizeof *belady->next);
    for (uint32_t i = 0; i < trace->objects; i++)
        belady->next[i] = SIZE_MAX;
    for (size_t i = trace->count; i-- > 0;) {
        belady->after[i] = belady->next[trace->reads[i]];
        belady->next[trace->reads[i]] = i;
    }
    for (uint32_t i = 0; i < trace->objects; i++)
        belady->next[i] = 0;
    return belady;
}

static void stop(void *state)
{
    struct belady *belady = state;
    mem_free(belady->after);
    mem_free(belady->next);
    mem_free(belady->heap);
    mem_free(belady);
}

static void heap_push(struct belady *belady, struct entry entry)
{
    if (belady->heap_count == belady->heap_room) {
        belady->heap_room = belady->heap_room == 0 ? 1024 : belady->heap_room * 2;
        belady->heap = mem_realloc(belady->heap, belady->heap_room * sizeof *belady->heap);
    }
    size_t at = belady->heap_count++;
    for (; at > 0 && belady->heap[(at - 1) / 2].next < entry.next; at = (at - 1) / 2)
        belady->heap[at] = belady->heap[(at - 1) / 2];
    belady->heap[at] = entry;
}

static struct entry heap_pop(struct belady *belady)
{
    struct entry top = belady->heap[0], last = belady->heap[--belady->heap_count];
    size_t at = 0;
    for (;;) {
        size_t child = at * 2 + 1;
        if (child >= belady->heap_count)
            break;
        if (child + 1 < belady->heap_count && belady->heap[child + 1].next > belady->heap[child].next)
            child++;
        if (belady->heap[child].next <= last.next)
            break;
        belady->heap[at] = belady->heap[child];
        at = child;
    }
    belady->heap[at] = last;
    return top;
}

static bool read(void *state, size_t at, uint32_t object)
{
    struct belady *belady = state;
    bool hit = belady->next[object] != 0;
    belady->next[object] = belady->after[at];
    heap_push(belady, (struct entry){belady->after[at], object});
    belady->held_count += !hit;
    while (belady->held_count > belady->capacity) {
        struct entry top = heap_pop(belady);
        if (belady->next[top.object] != top.next)
            continue;
        belady->next[top.object] = 0;
        belady->held_count--;
    }
    return hit;
}

static bool holds(void *state, uint32_t object)
{
    return ((struct belady *) state)->next[object] != 0;
}

const struct policy policy_belady = {"Belady", start, read, holds, stop};
