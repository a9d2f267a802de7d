/* SPDX-License-Identifier: Apache-2.0 */
/* world.c: see world.h. */
#include "world.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"

struct ring *ring_made(unsigned regions, unsigned count, const char *prefix)
{
    struct ring_row *rows = mem_calloc((size_t) regions * count, sizeof *rows);
    char(*names)[2][24] = mem_calloc((size_t) regions * count, sizeof *names);
    for (unsigned i = 0; i < regions * count; i++) {
        snprintf(names[i][0], sizeof names[i][0], "region-%u", i / count);
        snprintf(names[i][1], sizeof names[i][1], "%s%u", prefix, i % count);
        rows[i] = (struct ring_row){str_from(names[i][0]), str_from(names[i][1]), 1};
    }
    struct ring *ring = ring_new(rows, regions * count, NULL);
    mem_free(rows);
    mem_free(names);
    return ring;
}

void world_init(struct world *world, const struct terms *terms, unsigned extents)
{
    const struct ring_region *regions;
    *world = (struct world){.terms = *terms, .extents = extents, .random = (uint64_t) terms->seed};
    world->members = (unsigned) (terms->nodes / terms->regions);
    world->ring = ring_made((unsigned) terms->regions, world->members, "pond-");
    world->less = ring_made(terms->regions > 1 ? (unsigned) terms->regions - 1 : 1, world->members, "pond-");
    world->region_count = ring_regions(world->ring, &regions);
    for (unsigned i = 0; i < world->region_count; i++)
        world->regions[i] = &regions[i];
    struct hash128 object = {world_draw(world), world_draw(world)};
    world->keys = mem_calloc(extents, sizeof *world->keys);
    for (unsigned i = 0; i < extents; i++)
        world->keys[i] = ring_key(object, i);
    world->orders = mem_calloc((size_t) extents * SPREAD_MOST, sizeof *world->orders);
    world_at(world, 0);
}

void world_fini(struct world *world)
{
    ring_free(&world->ring);
    ring_free(&world->less);
    mem_free(world->keys);
    mem_free(world->orders);
}

void world_at(struct world *world, unsigned region)
{
    world->region = region;
    for (unsigned i = 0; i < world->extents; i++)
        world->orders[(size_t) i * SPREAD_MOST] = UINT16_MAX;
}

const uint16_t *world_order(struct world *world, unsigned extent)
{
    uint16_t *order = &world->orders[(size_t) extent * SPREAD_MOST];
    if (order[0] == UINT16_MAX) {
        unsigned nodes[SPREAD_MOST];
        unsigned count = ring_order(world->regions[world->region], world->keys[extent], nodes, SPREAD_MOST);
        for (unsigned i = 0; i < count; i++)
            order[i] = (uint16_t) nodes[i];
    }
    return order;
}

unsigned world_width(const struct world *world)
{
    return world->members < SPREAD_MOST ? world->members : SPREAD_MOST;
}

unsigned world_origin(const struct world *world, unsigned extent, bool less)
{
    const struct ring_region *found = ring_origin_region(less ? world->less : world->ring, world->keys[extent]);
    unsigned region = 0;
    while (!str_eq(world->regions[region]->name, found->name))
        region++;
    return region;
}

unsigned world_home(const struct world *world, unsigned region, unsigned extent)
{
    unsigned node;
    ring_order(world->regions[region], world->keys[extent], &node, 1);
    return node;
}

/* ---- Chance. ---- */

uint64_t world_draw(struct world *world)
{
    return hash_mix(world->random++, UINT64_C(0x706f6f6c));
}

unsigned world_below(struct world *world, unsigned limit)
{
    return (unsigned) ((world_draw(world) >> 32) * limit >> 32);
}

double world_chance(struct world *world)
{
    return ((double) (world_draw(world) >> 11) + 0.5) / 9007199254740992.0; /* 2^53 */
}

/* Box and Muller's way to a normal value. */
double world_hit(struct world *world)
{
    double normal = sqrt(-2 * log(world_chance(world))) * cos(2 * 3.14159265358979 * world_chance(world));
    double us = (double) world->terms.near_us + (double) world->terms.hit_us * exp(0.5 * normal);
    return (us + (world_below(world, 200) == 0 ? (double) world->terms.slow_us : 0)) / 1e6;
}

void ranks_init(struct ranks *ranks, struct world *world, unsigned count)
{
    double sum = 0;
    ranks->count = count;
    ranks->below = mem_calloc(count, sizeof *ranks->below);
    ranks->of_rank = mem_calloc(count, sizeof *ranks->of_rank);
    for (unsigned i = 0; i < count; i++) {
        ranks->below[i] = sum += 1.0 / (i + 1);
        ranks->of_rank[i] = i;
    }
    for (unsigned i = 0; i < count; i++)
        ranks->below[i] /= sum;
    for (unsigned i = count; i > 1; i--) {
        unsigned k = world_below(world, i), extent = ranks->of_rank[i - 1];
        ranks->of_rank[i - 1] = ranks->of_rank[k];
        ranks->of_rank[k] = extent;
    }
}

void ranks_fini(struct ranks *ranks)
{
    mem_free(ranks->below);
    mem_free(ranks->of_rank);
}

unsigned ranks_next(const struct ranks *ranks, struct world *world)
{
    double at = world_chance(world);
    unsigned low = 0, high = ranks->count - 1;
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        if (ranks->below[middle] <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return ranks->of_rank[low];
}

/* ---- Time: a binary heap. ---- */

void events_add(struct events *events, struct event event)
{
    if (events->count == events->room) {
        events->room = events->room == 0 ? 1024 : events->room * 2;
        events->heap = mem_realloc(events->heap, events->room * sizeof *events->heap);
    }
    size_t at = events->count++;
    for (; at > 0 && events->heap[(at - 1) / 2].at > event.at; at = (at - 1) / 2)
        events->heap[at] = events->heap[(at - 1) / 2];
    events->heap[at] = event;
}

bool events_next(struct events *events, struct event *event)
{
    if (events->count == 0)
        return false;
    *event = events->heap[0];
    const struct event last = events->heap[--events->count];
    size_t at = 0;
    for (size_t below = 1; below < events->count; below = 2 * at + 1) {
        if (below + 1 < events->count && events->heap[below + 1].at < events->heap[below].at)
            below++;
        if (last.at <= events->heap[below].at)
            break;
        events->heap[at] = events->heap[below];
        at = below;
    }
    events->heap[at] = last;
    return true;
}

void events_fini(struct events *events)
{
    mem_free(events->heap);
    *events = (struct events){0};
}

/* ---- Figures. ---- */

double hottest(const double *load, unsigned count)
{
    double most = 0, sum = 0;
    for (unsigned i = 0; i < count; i++) {
        sum += load[i];
        most = load[i] > most ? load[i] : most;
    }
    return sum > 0 ? most * count / sum : 0;
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *) left, b = *(const double *) right;
    return (a > b) - (a < b);
}

double quantile(double *values, size_t count, double part)
{
    if (count == 0)
        return 0;
    qsort(values, count, sizeof *values, compare);
    size_t at = (size_t) (part * (double) count);
    return values[at < count ? at : count - 1];
}
