/* SPDX-License-Identifier: Apache-2.0 */
/*
 * s3fifo.c: S3-FIFO as published (Yang et al., "FIFO queues are all you need for cache eviction", SOSP'23, algorithm
 * 1): a small queue of 10 %, a main one with counters up to 3, and a ghost queue of as many names as main has objects.
 */
#include "base/mem.h"
#include "sim.h"

enum place { NOWHERE, SMALL, MAIN, GHOST };

struct s3fifo {
    uint32_t capacity;
    uint32_t small_most;
    struct links links;
    struct chain small, main, ghost;
    uint8_t *place;
    uint8_t *freq;
};

static void *start(const struct trace *trace, uint32_t capacity)
{
    struct s3fifo *s3 = mem_alloc(sizeof *s3);
    s3->capacity = capacity;
    s3->small_most = capacity / 10;
    s3->place = mem_calloc(trace->objects, sizeof *s3->place);
    s3->freq = mem_calloc(trace->objects, sizeof *s3->freq);
    links_init(&s3->links, trace->objects);
    chain_init(&s3->small);
    chain_init(&s3->main);
    chain_init(&s3->ghost);
    return s3;
}

static void stop(void *state)
{
    struct s3fifo *s3 = state;
    links_fini(&s3->links);
    mem_free(s3->place);
    mem_free(s3->freq);
    mem_free(s3);
}

static void put(struct s3fifo *s3, struct chain *chain, enum place place, uint32_t object)
{
    chain_push(&s3->links, chain, object);
    s3->place[object] = (uint8_t) place;
}

static void evict_main(struct s3fifo *s3)
{
    for (;;) {
        uint32_t object = chain_pop(&s3->links, &s3->main);
        if (s3->freq[object] == 0) {
            s3->place[object] = NOWHERE;
            return;
        }
        s3->freq[object]--;
        put(s3, &s3->main, MAIN, object);
    }
}

static void evict_small(struct s3fifo *s3)
{
    while (s3->small.count > 0) {
        uint32_t object = chain_pop(&s3->links, &s3->small);
        if (s3->freq[object] > 1) {
            s3->freq[object] = 0;
            put(s3, &s3->main, MAIN, object);
            if (s3->main.count > s3->capacity - s3->small_most)
                evict_main(s3);
            continue;
        }
        put(s3, &s3->ghost, GHOST, object);
        if (s3->ghost.count > s3->capacity - s3->small_most)
            s3->place[chain_pop(&s3->links, &s3->ghost)] = NOWHERE;
        return;
    }
}

static bool holds(void *state, uint32_t object)
{
    const struct s3fifo *s3 = state;
    return s3->place[object] == SMALL || s3->place[object] == MAIN;
}

static bool read(void *state, size_t at, uint32_t object)
{
    struct s3fifo *s3 = state;
    (void) at;
    if (holds(s3, object)) {
        s3->freq[object] += s3->freq[object] < 3;
        return true;
    }
    bool ghost = s3->place[object] == GHOST;
    while (s3->small.count + s3->main.count >= s3->capacity) {
        if (s3->small.count >= s3->small_most && s3->small.count > 0)
            evict_small(s3);
        else
            evict_main(s3);
    }
    if (ghost && s3->place[object] == GHOST)
        chain_unlink(&s3->links, &s3->ghost, object);
    s3->freq[object] = 0;
    if (ghost)
        put(s3, &s3->main, MAIN, object);
    else
        put(s3, &s3->small, SMALL, object);
    return false;
}

const struct policy policy_s3fifo = {"S3-FIFO", start, read, holds, stop};
