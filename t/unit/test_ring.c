/* SPDX-License-Identifier: Apache-2.0 */
/* test_ring.c: values that every program of the ring must find, who takes what from whom, and how even it is. */
#include "pool/ring.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "tap.h"

#define MOST 2001

static const struct hash128 object = {0x0123456789abcdef, 0xfedcba9876543210};
static char names[MOST][24];
static struct ring_row rows[MOST];

/* headpond-0 and on, of one region. */
static struct ring *ring_of(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        snprintf(names[i], sizeof names[i], "headpond-%u", i);
        rows[i] = (struct ring_row){STR("westeurope"), str_from(names[i]), 1};
    }
    return ring_new(rows, count, NULL);
}

static const struct ring_region *only_region(const struct ring *ring)
{
    return ring_region(ring, STR("westeurope"));
}

static unsigned home(const struct ring_region *region, uint64_t key)
{
    unsigned node = 0;
    ring_order(region, key, &node, 1);
    return node;
}

/* The number behind the name of a node. */
static unsigned number_of(const struct ring_region *region, unsigned node)
{
    return (unsigned) atoi(region->nodes[node].name.ptr + strlen("headpond-"));
}

/* ---- Values; t/pool/ring.py finds the same. ---- */

static void values(void)
{
    static const struct {
        uint64_t u, distance;
    } known[] = {{0, 0x4000000000},
                 {1, 0x4000000000},
                 {2, 0x3e6a3fe5c7},
                 {UINT64_C(1) << 63, 0x100000000},
                 {UINT64_MAX, 1},
                 {0x123456789abcdef0, 0x3d053f6d3},
                 {UINT64_C(3) << 62, 0x6a3fe5c7}};
    for (unsigned i = 0; i < sizeof known / sizeof known[0]; i++)
        ok(ring_distance(known[i].u) == known[i].distance, "the distance of %llx", (unsigned long long) known[i].u);
    ok(ring_key(object, 7) == 0x4c8e69232e771ef4, "the key of an extent");

    /* homes by extent: of five nodes of one weight, and with weights 4 and 2 for two of them */
    static const unsigned even[8][3] = {{0, 2, 4}, {2, 1, 4}, {1, 3, 2}, {0, 4, 3},
                                        {2, 4, 3}, {3, 2, 0}, {1, 3, 2}, {1, 3, 4}};
    static const unsigned weighed[8][3] = {{0, 2, 4}, {2, 4, 1}, {2, 1, 3}, {4, 0, 3},
                                           {2, 4, 3}, {3, 2, 0}, {1, 2, 3}, {1, 3, 2}};
    for (unsigned weights = 0; weights < 2; weights++) {
        struct ring *ring = ring_of(5);
        if (weights) {
            ring_free(&ring);
            rows[2].weight = 4;
            rows[4].weight = 2;
            ring = ring_new(rows, 5, NULL);
        }
        for (unsigned extent = 0; extent < 8; extent++) {
            unsigned order[3];
            const unsigned *expected = weights ? weighed[extent] : even[extent];
            is_int(ring_order(only_region(ring), ring_key(object, extent), order, 3), 3, "the first three nodes");
            ok(memcmp(order, expected, sizeof order) == 0, "and which they are, of extent %u%s", extent,
               weights ? " with weights" : "");
        }
        ring_free(&ring);
    }
}

static void regions(void)
{
    static const char *const expected[8] = {"westeurope", "uksouth",    "eastus", "uksouth",
                                            "uksouth",    "westeurope", "eastus", "westeurope"};
    const struct ring_row three[] = {
        {STR("uksouth"), STR("n"), 1}, {STR("eastus"), STR("n"), 3}, {STR("westeurope"), STR("n"), 0}};
    struct ring *ring = ring_new(three, 3, NULL);
    for (unsigned extent = 0; extent < 8; extent++)
        is_text(ring_origin_region(ring, ring_key(object, extent))->name, expected[extent],
                "the region that asks the origin for extent %u", extent);
    ok(ring_region(ring, STR("northeurope")) == NULL, "a region that is not there");
    is_int(ring_region(ring, STR("westeurope"))->nodes[0].weight, 1, "weight 0 counts as 1");
    ring_free(&ring);

    struct ring *none = ring_new(NULL, 0, NULL);
    ok(ring_origin_region(none, 1) == NULL, "a ring of nobody has no region");
    ring_free(&none);
}

static void same_and_other(void)
{
    struct ring *ring = ring_of(5);
    uint64_t digest = ring_digest(ring);
    ring_free(&ring);
    struct ring_row turned[6];
    for (unsigned i = 0; i < 5; i++)
        turned[i] = rows[4 - i];
    turned[5] = (struct ring_row){STR("westeurope"), STR("headpond-3"), 9};
    unsigned left_out = 0;
    ring = ring_new(turned, 6, &left_out);
    is_int(left_out, 1, "a name that stands twice counts once");
    ok(ring_digest(ring) == digest, "in whatever order they are told, the ring is the same");
    ring_free(&ring);
    turned[0].weight = 2;
    ring = ring_new(turned, 5, NULL);
    ok(ring_digest(ring) != digest, "another weight is another ring");
    ring_free(&ring);

    struct ring_row *many = mem_calloc(RING_NODES_MAX + 2, sizeof *many);
    char(*texts)[8] = mem_calloc(RING_NODES_MAX + 2, sizeof *texts);
    for (unsigned i = 0; i < RING_NODES_MAX + 2; i++) {
        snprintf(texts[i], sizeof texts[i], "%u", i);
        many[i] = (struct ring_row){STR("one"), str_from(texts[i]), 100000};
    }
    ring = ring_new(many, RING_NODES_MAX + 2, &left_out);
    is_int(left_out, 2, "there is a most of nodes");
    is_int(ring_region(ring, STR("one"))->count, RING_NODES_MAX, "which may be there");
    is_int(ring_region(ring, STR("one"))->nodes[0].weight, RING_WEIGHT_MAX, "and of weights");
    ring_free(&ring);
    mem_free(many);
    mem_free(texts);
}

/* ---- How it behaves. ---- */

static void distances(void)
{
    double worst = 0;
    bool falls = true;
    uint64_t before = UINT64_MAX;
    for (uint64_t u = 1; u < UINT64_MAX - (UINT64_MAX >> 16); u += UINT64_MAX >> 16) {
        uint64_t distance = ring_distance(u);
        double exact = (64 - log2((double) (u | 1))) * 4294967296.0;
        if (fabs((double) distance - exact) > worst)
            worst = fabs((double) distance - exact);
        falls = falls && distance <= before && distance >= ~u >> 32;
        before = distance;
    }
    ok(worst <= 2, "a distance is the logarithm to 32 binary places (%.2f)", worst);
    ok(falls, "falls as u grows, and is no less than what orders are pruned by");
}

/* The share of keys whose home changes when one node joins, and that none changes but to it. */
static void join_moves(unsigned count)
{
    struct ring *small = ring_of(count), *large = ring_of(count + 1);
    unsigned keys = 200 * count, moved = 0, elsewhere = 0;
    for (unsigned extent = 0; extent < keys; extent++) {
        uint64_t key = ring_key(object, extent);
        unsigned from = number_of(only_region(small), home(only_region(small), key));
        unsigned to = number_of(only_region(large), home(only_region(large), key));
        moved += from != to;
        elsewhere += from != to && to != count;
    }
    double share = (double) moved / keys * (count + 1);
    is_int(elsewhere, 0, "a node that joins %u takes, and moves nothing else", count);
    ok(share > 0.8 && share < 1.2, "it takes its part (%.3f of 1/N)", share);
    ring_free(&small);
    ring_free(&large);
}

/* The node with most extents beside the mean, with 200 extents a node. */
static void evenness(unsigned count)
{
    struct ring *ring = ring_of(count);
    unsigned *extents = mem_calloc(count, sizeof *extents), most = 0;
    for (unsigned extent = 0; extent < 200 * count; extent++) {
        unsigned node = home(only_region(ring), ring_key(object, extent));
        if (++extents[node] > most)
            most = extents[node];
    }
    ok(most < 200 * 1.3, "of %u nodes the one with most has %.3f of the mean", count, most / 200.0);
    mem_free(extents);
    ring_free(&ring);
}

static void weights(void)
{
    struct ring *ring = ring_of(4);
    ring_free(&ring);
    for (unsigned i = 0; i < 4; i++)
        rows[i].weight = 100 * (i + 1);
    ring = ring_new(rows, 4, NULL);
    unsigned extents[4] = {0};
    for (unsigned extent = 0; extent < 100000; extent++)
        extents[home(only_region(ring), ring_key(object, extent))]++;
    for (unsigned i = 0; i < 4; i++)
        ok(abs((int) extents[i] - 10000 * (int) (i + 1)) < 600, "a node of weight %u has its part (%u of 100000)",
           100 * (i + 1), extents[i]);
    ring_free(&ring);
}

/* Pruning must not change an order: the first few are those of the whole. */
static void prefixes(void)
{
    struct ring *ring = ring_of(24);
    ring_free(&ring);
    for (unsigned i = 0; i < 24; i++)
        rows[i].weight = 1 + i % 5 * 50;
    ring = ring_new(rows, 24, NULL);
    bool same = true;
    for (unsigned extent = 0; extent < 2000; extent++) {
        unsigned all[24], few[3];
        same = same && ring_order(only_region(ring), ring_key(object, extent), all, 24) == 24;
        ring_order(only_region(ring), ring_key(object, extent), few, 3);
        same = same && memcmp(all, few, sizeof few) == 0;
    }
    ok(same, "the first three are the first three of all");
    ring_free(&ring);
}

int main(void)
{
    values();
    regions();
    same_and_other();
    distances();
    prefixes();
    weights();
    join_moves(5);
    join_moves(100);
    evenness(100);
    evenness(400);
    return done_testing();
}
