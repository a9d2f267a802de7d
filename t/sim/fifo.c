/* SPDX-License-Identifier: Apache-2.0 */
/* fifo.c: out in the order of coming in; and LRU, where a hit counts as coming in. */
#include "base/mem.h"
#include "sim.h"

struct fifo {
    uint32_t capacity;
    struct links links;
    struct chain chain;
    bool *held;
};

static void *start(const struct trace *trace, uint32_t capacity)
{
    struct fifo *fifo = mem_alloc(sizeof *fifo);
    fifo->capacity = capacity;
    fifo->held = mem_calloc(trace->objects, sizeof *fifo->held);
    links_init(&fifo->links, trace->objects);
    chain_init(&fifo->chain);
    return fifo;
}

static void stop(void *state)
{
    struct fifo *fifo = state;
    links_fini(&fifo->links);
    mem_free(fifo->held);
    mem_free(fifo);
}

static bool read_fifo(void *state, size_t at, uint32_t object)
{
    struct fifo *fifo = state;
    (void) at;
    if (fifo->held[object])
        return true;
    if (fifo->chain.count == fifo->capacity)
        fifo->held[chain_pop(&fifo->links, &fifo->chain)] = false;
    chain_push(&fifo->links, &fifo->chain, object);
    fifo->held[object] = true;
    return false;
}

static bool read_lru(void *state, size_t at, uint32_t object)
{
    struct fifo *fifo = state;
    if (!read_fifo(state, at, object))
        return false;
    chain_unlink(&fifo->links, &fifo->chain, object);
    chain_push(&fifo->links, &fifo->chain, object);
    return true;
}

static bool holds(void *state, uint32_t object)
{
    return ((struct fifo *) state)->held[object];
}

const struct policy policy_fifo = {"FIFO", start, read_fifo, holds, stop};
const struct policy policy_lru = {"LRU", start, read_lru, holds, stop};
