/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tinylfu.c: W-TinyLFU (Einziger, Friedman, Manes, "TinyLFU: a highly efficient cache admission policy", 2017): an LRU
 * window of 1 %, then a segmented LRU (80 % protected) that what leaves the window enters only if a sketch has seen it
 * more often than what would have to go. The sketch: four rows of 4-bit counters, 4 per object of capacity in each,
 * halved after ten times the capacity.
 */
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "sim.h"

#define ROWS 4

enum place { NOWHERE, WINDOW, PROBATION, PROTECTED };

struct tinylfu {
    uint32_t window_most, protected_most, main_most;
    struct links links;
    struct chain window, probation, protected;
    uint8_t *place;
    uint8_t *counters[ROWS]; /* up to 15 */
    uint32_t mask;
    uint64_t seen, sample;
};

static void *start(const struct trace *trace, uint32_t capacity)
{
    struct tinylfu *lfu = mem_alloc(sizeof *lfu);
    lfu->window_most = capacity / 100 > 0 ? capacity / 100 : 1;
    lfu->main_most = capacity - lfu->window_most;
    lfu->protected_most = lfu->main_most / 5 * 4;
    lfu->place = mem_calloc(trace->objects, sizeof *lfu->place);
    links_init(&lfu->links, trace->objects);
    chain_init(&lfu->window);
    chain_init(&lfu->probation);
    chain_init(&lfu->protected);
    uint32_t width = 64;
    while (width < capacity * 4)
        width *= 2;
    lfu->mask = width - 1;
    for (unsigned i = 0; i < ROWS; i++)
        lfu->counters[i] = mem_calloc(width, 1);
    lfu->seen = 0;
    lfu->sample = (uint64_t) capacity * 10;
    return lfu;
}

static void stop(void *state)
{
    struct tinylfu *lfu = state;
    links_fini(&lfu->links);
    mem_free(lfu->place);
    for (unsigned i = 0; i < ROWS; i++)
        mem_free(lfu->counters[i]);
    mem_free(lfu);
}

static uint8_t *counter(struct tinylfu *lfu, unsigned row, uint32_t object)
{
    return &lfu->counters[row][hash_mix(object, row + 1) & lfu->mask];
}

static uint8_t estimate(struct tinylfu *lfu, uint32_t object)
{
    uint8_t least = UINT8_MAX;
    for (unsigned i = 0; i < ROWS; i++) {
        uint8_t n = *counter(lfu, i, object);
        least = n < least ? n : least;
    }
    return least;
}

/* Only the least of an object's counters count: fewer collisions (conservative update, as Caffeine does not, in its
 * favour). */
static void count(struct tinylfu *lfu, uint32_t object)
{
    uint8_t least = estimate(lfu, object);
    for (unsigned i = 0; i < ROWS && least < 15; i++)
        if (*counter(lfu, i, object) == least)
            *counter(lfu, i, object) = least + 1;
    if (++lfu->seen < lfu->sample)
        return;
    lfu->seen /= 2;
    for (unsigned i = 0; i < ROWS; i++)
        for (uint32_t k = 0; k <= lfu->mask; k++)
            lfu->counters[i][k] /= 2;
}

static struct chain *chain_of(struct tinylfu *lfu, uint32_t object)
{
    switch (lfu->place[object]) {
    case WINDOW:
        return &lfu->window;
    case PROBATION:
        return &lfu->probation;
    default:
        return &lfu->protected;
    }
}

static void move(struct tinylfu *lfu, uint32_t object, enum place place)
{
    if (lfu->place[object] != NOWHERE)
        chain_unlink(&lfu->links, chain_of(lfu, object), object);
    lfu->place[object] = (uint8_t) place;
    if (place != NOWHERE)
        chain_push(&lfu->links, chain_of(lfu, object), object);
}

static void hit(struct tinylfu *lfu, uint32_t object)
{
    enum place place = lfu->place[object];
    move(lfu, object, place == WINDOW ? WINDOW : PROTECTED);
    if (lfu->protected.count > lfu->protected_most)
        move(lfu, lfu->protected.oldest, PROBATION);
}

/* What leaves the window against the oldest on probation. */
static void contest(struct tinylfu *lfu)
{
    uint32_t candidate = lfu->window.oldest;
    if (lfu->probation.count + lfu->protected.count < lfu->main_most) {
        move(lfu, candidate, PROBATION);
        return;
    }
    uint32_t victim = lfu->probation.count > 0 ? lfu->probation.oldest : lfu->protected.oldest;
    if (estimate(lfu, candidate) > estimate(lfu, victim)) {
        move(lfu, victim, NOWHERE);
        move(lfu, candidate, PROBATION);
    } else {
        move(lfu, candidate, NOWHERE);
    }
}

static bool read(void *state, size_t at, uint32_t object)
{
    struct tinylfu *lfu = state;
    (void) at;
    count(lfu, object);
    if (lfu->place[object] != NOWHERE) {
        hit(lfu, object);
        return true;
    }
    move(lfu, object, WINDOW);
    if (lfu->window.count > lfu->window_most)
        contest(lfu);
    return false;
}

static bool holds(void *state, uint32_t object)
{
    return ((struct tinylfu *) state)->place[object] != NOWHERE;
}

const struct policy policy_tinylfu = {"W-TinyLFU", start, read, holds, stop};
