/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring.h: which node of a pool is the home of an extent, and which come after it: weighted rendezvous hashing in whole
 * numbers. Who knows the same nodes places alike, whatever order it learned them in; a node that comes or goes moves
 * only what it takes or leaves, a share of 1/N.
 *
 * So that it can be written again in another language, exactly (all numbers are unsigned and of 64 bits, `+` and `*`
 * wrap around; t/pool/ring.py is such a program, and t/unit/test_ring.c has values that both must find):
 *
 *   mix(a, b)      x = a + (b + 1) * 9e3779b97f4a7c15 (hexadecimal, as are the next two)
 *                  x = (x ^ x >> 30) * bf58476d1ce4e5b9
 *                  x = (x ^ x >> 27) * 94d049bb133111eb
 *                  the value is x ^ x >> 31
 *   name(text)     the first eight bytes, little-endian, of SHA-256 over the text's length, as eight bytes
 *                  little-endian, and the text
 *   key(o, e)      of extent e of the object o, whose name is the two numbers lo and hi (hash.h): mix(mix(lo, hi), e).
 *                  The object's record is at home where its extent 0 is.
 *   u(k, n)        of a key and a node: mix(k, name(n's name))
 *   L(u)           the distance −log2 of u / 2^64, in 32 binary places:
 *                  z = the zero bits that u | 1 begins with; m = (u | 1) << z
 *                  f = 0; 32 times: m = m * m, in 128 bits, >> 63; f = 2 f; if m >= 2^64: m = m >> 1 and f = f + 1
 *                  the value is (z + 1) * 2^32 − f
 *
 * Node a comes before node b if L(u(k, a)) * weight(b) < L(u(k, b)) * weight(a); where they are equal, the one with
 * the larger u; then the one whose name is less, byte by byte. Weights are 1 to 65535, so no product overflows. L falls
 * as u grows, so nodes of one weight are in the order of u, and L need not be worked out.
 *
 * Regions are placed by the same rule with their names, all of weight 1: the first is the one that asks the origin.
 *
 * A ring is made once and never changes; any thread may read it until its owner frees it.
 */
#ifndef HEADPOND_POOL_RING_H
#define HEADPOND_POOL_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/str.h"

#define RING_WEIGHT_MAX 65535
/* Nodes of a region, and regions, at the most. */
#define RING_NODES_MAX 8192
#define RING_REGIONS_MAX 256

struct ring_node {
    struct str name; /* the ring's own copy, ended by a zero byte */
    uint64_t hash;   /* of the name */
    uint32_t weight;
    uint32_t row; /* of those that ring_new was told */
};

struct ring_region {
    struct str name;
    uint64_t hash;
    struct ring_node *nodes; /* by name */
    unsigned count;
};

struct ring;

/* A node, as it is told to ring_new. */
struct ring_row {
    struct str region;
    struct str name;
    uint32_t weight; /* 0 counts as 1, more than RING_WEIGHT_MAX as that */
};

/* Copies what it needs. A name that stands twice in a region counts once, the first time; what is beyond the limits above
 * is left out, and *left_out, if not NULL, says how many rows were. The caller's. */
struct ring *ring_new(const struct ring_row *rows, unsigned count, unsigned *left_out);
/* Empties the pointer; *ring may be NULL. */
void ring_free(struct ring **ring);

/* By name. */
unsigned ring_regions(const struct ring *ring, const struct ring_region **regions);
/* NULL: it is not known, or has no nodes. */
const struct ring_region *ring_region(const struct ring *ring, struct str name);
/* What stands for all of this: two rings of one digest have the same regions, names and weights. */
uint64_t ring_digest(const struct ring *ring);

uint64_t ring_key(struct hash128 object, uint64_t extent);
/* The first `max` nodes of the region in the key's order, as indexes into its nodes: how many. Costs one hash a node. */
unsigned ring_order(const struct ring_region *region, uint64_t key, unsigned *nodes, unsigned max);
/* The region that asks the origin for it, of those that have nodes; NULL: there is none. */
const struct ring_region *ring_origin_region(const struct ring *ring, uint64_t key);

/* L above, for tests and for who shows how a decision came about. */
uint64_t ring_distance(uint64_t u);

#endif
