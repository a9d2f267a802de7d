/* SPDX-License-Identifier: Apache-2.0 */
/* balance.c: how evenly extents are placed, what decides that, and what bounding a node's load would change. */
#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "world.h"

static unsigned home(const struct ring_region *region, uint64_t key)
{
    unsigned node = 0;
    ring_order(region, key, &node, 1);
    return node;
}

/* ---- As the ring places. ---- */

/* The hottest node of all regions, each of which has all extents, for so many data sets. */
static void placed(const struct terms *terms, unsigned regions, unsigned per_node, unsigned trials)
{
    unsigned members = (unsigned) terms->nodes / regions;
    struct ring *ring = ring_made(regions, members, "pond-");
    const struct ring_region *region;
    double *ratios = mem_calloc(trials, sizeof *ratios), *load = mem_calloc(members, sizeof *load);
    ring_regions(ring, &region);
    for (unsigned trial = 0; trial < trials; trial++) {
        struct hash128 object = {(uint64_t) terms->seed, trial};
        for (unsigned r = 0; r < regions; r++) {
            for (unsigned i = 0; i < members; i++)
                load[i] = 0;
            for (unsigned extent = 0; extent < per_node * members; extent++)
                load[home(&region[r], ring_key(object, extent))]++;
            double ratio = hottest(load, members);
            ratios[trial] = ratio > ratios[trial] ? ratio : ratios[trial];
        }
    }
    unsigned within = 0;
    for (unsigned i = 0; i < trials; i++)
        within += ratios[i] <= 1.25;
    double middle = quantile(ratios, trials, 0.5);
    printf("balance nodes=%u regions=%u per_node=%u trials=%u least=%.4f median=%.4f most=%.4f within=%u\n",
           members * regions, regions, per_node, trials, ratios[0], middle, ratios[trials - 1], within);
    fflush(stdout);
    ring_free(&ring);
    mem_free(ratios);
    mem_free(load);
}

/* ---- As chance has it: the most of so many Poisson variables. ---- */

/* The chance that one is above `limit`. */
static double above(double mean, double limit)
{
    double sum = 0;
    for (double k = floor(limit) + 1; k < limit + 40 * sqrt(mean) + 40; k++)
        sum += exp(k * log(mean) - mean - lgamma(k + 1));
    return sum;
}

static double most_within(unsigned nodes, double mean, double ratio)
{
    return exp(nodes * log1p(-above(mean, mean * ratio)));
}

static void expected(unsigned nodes, unsigned per_node)
{
    double ratio = 1;
    while (most_within(nodes, per_node, ratio) < 0.5)
        ratio += 0.0005;
    printf("chance nodes=%u per_node=%u median=%.4f within=%.6f\n", nodes, per_node, ratio,
           most_within(nodes, per_node, 1.25));
}

/* The least extents a node with which the bound holds by that chance. */
static void needed(unsigned nodes, double chance)
{
    unsigned per_node = 100;
    while (most_within(nodes, per_node, 1.25) < chance)
        per_node++;
    printf("needed nodes=%u chance=%g per_node=%u\n", nodes, chance, per_node);
}

/* ---- With a bound: who is full sends on to the next in order (Mirrokni, Thorup and Zadimoghaddam 2018). ---- */

#define LOOKS 8

/* Extents in the order of coming; at each its node, and how many look further than their home. */
static unsigned bounded(const struct ring_region *region, unsigned extents, uint64_t seed, unsigned bound,
                        uint16_t *node_of, unsigned *load)
{
    unsigned on = 0, order[LOOKS];
    for (unsigned i = 0; i < region->count; i++)
        load[i] = 0;
    for (unsigned extent = 0; extent < extents; extent++) {
        unsigned count = ring_order(region, ring_key((struct hash128){seed, 0}, extent), order, LOOKS);
        unsigned at = 0;
        while (at + 1 < count && load[order[at]] >= bound)
            at++;
        on += at > 0;
        load[order[at]]++;
        node_of[extent] = (uint16_t) order[at];
    }
    return on;
}

/* Names do not change their order by what joins: pond-X sorts last. */
static void spilled(const struct terms *terms, unsigned members, double part)
{
    unsigned extents = members * (unsigned) terms->per_node;
    struct ring *small = ring_made(1, members, "pond-");
    const struct ring_region *region, *larger;
    ring_regions(small, &region);
    struct ring_row *rows = mem_calloc(members + 1, sizeof *rows);
    for (unsigned i = 0; i < members; i++)
        rows[i] = (struct ring_row){region->name, region->nodes[i].name, 1};
    rows[members] = (struct ring_row){region->name, STR("pond-x"), 1};
    struct ring *large = ring_new(rows, members + 1, NULL);
    ring_regions(large, &larger);
    uint16_t *before = mem_calloc(extents, sizeof *before), *after = mem_calloc(extents, sizeof *after);
    unsigned *load = mem_calloc(members + 1, sizeof *load), most = 0, moved = 0;
    unsigned bound = (unsigned) ceil((double) terms->per_node * part);
    unsigned on = bounded(region, extents, (uint64_t) terms->seed, bound, before, load);
    for (unsigned i = 0; i < members; i++)
        most = load[i] > most ? load[i] : most;
    bounded(larger, extents, (uint64_t) terms->seed, bound, after, load);
    for (unsigned i = 0; i < extents; i++)
        moved += before[i] != after[i];
    printf("spill nodes=%u per_node=%u bound=%.2f hottest=%.4f elsewhere=%.4f moved=%.3f\n", members,
           (unsigned) terms->per_node, part, (double) most / (double) terms->per_node, (double) on / extents,
           (double) moved / extents * (members + 1));
    fflush(stdout);
    ring_free(&small);
    ring_free(&large);
    mem_free(rows);
    mem_free(before);
    mem_free(after);
    mem_free(load);
}

void scene_balance(const struct terms *terms)
{
    static const unsigned more[] = {1, 2, 4, 8, 32};
    unsigned nodes = (unsigned) terms->nodes, regions = (unsigned) terms->regions;
    for (unsigned i = 0; i < sizeof more / sizeof *more; i++) {
        unsigned per_node = (unsigned) terms->per_node * more[i], trials = (unsigned) terms->trials / more[i];
        expected(nodes, per_node);
        if (more[i] > 8)
            continue; /* of these the chance is known, and that is all there is to it */
        placed(terms, 1, per_node, trials > 0 ? trials : 1);
        if (regions > 1)
            placed(terms, regions, per_node, trials > 0 ? trials : 1);
    }
    needed(nodes, 0.5);
    needed(nodes, 0.9);
    needed(nodes, 0.99);
    needed(nodes, 0.999);
    static const double bounds[] = {1.05, 1.10, 1.15, 1.20, 10};
    for (unsigned i = 0; i < sizeof bounds / sizeof *bounds; i++)
        spilled(terms, nodes / regions, bounds[i]);
    spilled(terms, nodes, 1.15);
}
