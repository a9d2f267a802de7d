/* SPDX-License-Identifier: Apache-2.0 */
/* moves.c: what moves when a member joins a region or leaves it, and who takes it. */
#include <stdio.h>

#include "base/hash.h"
#include "base/mem.h"
#include "world.h"

/* A joiner takes the extents whose largest u is its own (ring.h; all weights are 1). */
static unsigned takes(const struct world *world, const uint64_t *largest, uint64_t name)
{
    unsigned count = 0;
    for (unsigned i = 0; i < world->extents; i++)
        count += hash_mix(world->keys[i], name) > largest[i];
    return count;
}

/* What it takes by the ring itself: with it, and without. False: something moved elsewhere. */
static bool takes_really(const struct world *world, unsigned joiner, const struct ring_region *joiners, unsigned *count)
{
    const struct ring_region *small = world->regions[0], *large;
    struct ring_row *rows = mem_calloc(small->count + 1, sizeof *rows);
    for (unsigned i = 0; i < small->count; i++)
        rows[i] = (struct ring_row){small->name, small->nodes[i].name, 1};
    rows[small->count] = (struct ring_row){small->name, joiners->nodes[joiner].name, 1};
    struct ring *ring = ring_new(rows, small->count + 1, NULL);
    bool only = true;
    *count = 0;
    ring_regions(ring, &large);
    for (unsigned i = 0; i < world->extents; i++) {
        unsigned before, after;
        ring_order(small, world->keys[i], &before, 1);
        ring_order(large, world->keys[i], &after, 1);
        if (large->nodes[after].row == small->count)
            ++*count;
        else
            only = only && str_eq(small->nodes[before].name, large->nodes[after].name);
    }
    ring_free(&ring);
    mem_free(rows);
    return only;
}

static void joins(struct world *world, const uint64_t *largest)
{
    unsigned count = (unsigned) world->terms.joins, worst = 0, beyond = 0;
    struct ring *made = ring_made(1, count, "joins-");
    const struct ring_region *joiners;
    double *shares = mem_calloc(count, sizeof *shares), sum = 0, most = 0;
    ring_regions(made, &joiners);
    for (unsigned i = 0; i < count; i++) {
        unsigned taken = takes(world, largest, joiners->nodes[i].hash);
        shares[i] = (double) taken / world->extents * (world->members + 1);
        sum += shares[i];
        beyond += shares[i] > 1.2;
        if (shares[i] > most) {
            most = shares[i];
            worst = i;
        }
    }
    unsigned really;
    bool only = takes_really(world, worst, joiners, &really);
    printf(
        "join nodes=%u extents=%u joins=%u mean=%.4f least=%.4f p99=%.4f most=%.4f beyond=%u ring=%.4f elsewhere=%s\n",
        world->members, world->extents, count, sum / count, quantile(shares, count, 0), quantile(shares, count, 0.99),
        most, beyond, (double) really / world->extents * (world->members + 1), only ? "none" : "SOME");
    ring_free(&made);
    mem_free(shares);
}

/* Whoever leaves gives its extents to those that come second for them. */
static void leaves(struct world *world, unsigned zones)
{
    unsigned members = world->members;
    unsigned *first = mem_calloc(members, sizeof *first);
    double *after = mem_calloc(members, sizeof *after), *before = mem_calloc(members, sizeof *before);
    for (unsigned i = 0; i < world->extents; i++)
        before[world_order(world, i)[0]]++;
    unsigned fullest = 0;
    for (unsigned i = 0; i < members; i++)
        fullest = before[i] > before[fullest] ? i : fullest;
    double gets = 0;
    for (unsigned i = 0; i < world->extents; i++)
        if (world_order(world, i)[0] == fullest) {
            unsigned second = world_order(world, i)[1];
            gets = ++first[second] > gets ? first[second] : gets;
        }
    printf("leave nodes=%u moved=%.4f most_to_one=%.0f\n", members, before[fullest] / world->extents * members, gets);

    /* a zone: each third of them */
    unsigned there = 0;
    for (unsigned i = 0; i < world->extents; i++) {
        const uint16_t *order = world_order(world, i);
        unsigned at = 0;
        while (at + 1 < world_width(world) && order[at] % zones == 0)
            at++;
        after[order[at]]++;
    }
    double moved = 0;
    for (unsigned i = 0; i < members; i++) {
        if (i % zones == 0)
            moved += before[i];
        else
            after[there++] = after[i];
    }
    printf("zone_leaves nodes=%u left=%u moved=%.4f hottest_before=%.4f hottest=%.4f\n", members, there,
           moved / world->extents, hottest(before, members), hottest(after, there));
    mem_free(first);
    mem_free(before);
    mem_free(after);
}

static void moved(const struct terms *terms, unsigned nodes, unsigned per_node)
{
    struct terms one = *terms;
    struct world world;
    one.nodes = nodes;
    one.regions = 1;
    world_init(&world, &one, nodes * per_node);
    uint64_t *largest = mem_calloc(world.extents, sizeof *largest);
    for (unsigned i = 0; i < world.extents; i++)
        largest[i] = hash_mix(world.keys[i], world.regions[0]->nodes[world_order(&world, i)[0]].hash);
    joins(&world, largest);
    leaves(&world, (unsigned) terms->zones);
    fflush(stdout);
    mem_free(largest);
    world_fini(&world);
}

void scene_moves(const struct terms *terms)
{
    moved(terms, (unsigned) (terms->nodes / terms->regions), (unsigned) terms->per_node);
    moved(terms, (unsigned) (terms->nodes / terms->regions), 4 * (unsigned) terms->per_node);
    if (terms->regions > 1)
        moved(terms, (unsigned) terms->nodes, (unsigned) terms->per_node);
}
