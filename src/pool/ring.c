/* SPDX-License-Identifier: Apache-2.0 */
/* ring.c: nodes sorted by name, and for each key the first few of them. */
#include "pool/ring.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct ring {
    uint64_t digest;
    struct ring_region *regions;
    unsigned count;
    struct ring_node *nodes; /* of all regions, one after another */
    char *text;              /* of all names */
};

/* ---- Distances. ---- */

uint64_t ring_distance(uint64_t u)
{
    unsigned zeros = (unsigned) __builtin_clzll(u | 1);
    uint64_t m = (u | 1) << zeros, fraction = 0;
    for (unsigned i = 0; i < 32; i++) {
        unsigned __int128 square = (unsigned __int128) m * m >> 63;
        bool carry = square >> 64 != 0;
        m = (uint64_t) (carry ? square >> 1 : square);
        fraction = (fraction << 1) | carry;
    }
    return (((uint64_t) zeros + 1) << 32) - fraction;
}

/* No more than ring_distance, at once: −log2(1 − t) is more than t. */
static uint64_t distance_least(uint64_t u)
{
    return ~u >> 32;
}

/* A node on its way into an order. */
struct candidate {
    const struct ring_node *node;
    uint64_t u;
    uint64_t distance; /* 0: not worked out yet */
};

static uint64_t distance_of(struct candidate *candidate)
{
    if (candidate->distance == 0)
        candidate->distance = ring_distance(candidate->u);
    return candidate->distance;
}

static bool comes_before(struct candidate *a, struct candidate *b)
{
    if (a->node->weight != b->node->weight) {
        /* Mostly b is near, and a's least distance is too far already. */
        if (distance_least(a->u) * b->node->weight > distance_of(b) * a->node->weight)
            return false;
        uint64_t left = distance_of(a) * b->node->weight, right = distance_of(b) * a->node->weight;
        if (left != right)
            return left < right;
    }
    if (a->u != b->u)
        return a->u > b->u;
    return str_cmp(a->node->name, b->node->name) < 0;
}

/* ---- Making a ring. ---- */

static int rows_compare(const void *left, const void *right)
{
    const struct ring_row *a = *(const struct ring_row *const *) left, *b = *(const struct ring_row *const *) right;
    int order = str_cmp(a->region, b->region);
    if (order == 0)
        order = str_cmp(a->name, b->name);
    return order != 0 ? order : (a > b) - (a < b); /* as they were given */
}

static uint64_t name_hash(struct str name)
{
    return hash_name(&name, 1).lo;
}

static struct str keep_text(char **at, struct str text)
{
    struct str kept = {*at, text.len};
    memcpy(*at, text.ptr, text.len);
    (*at)[text.len] = '\0';
    *at += text.len + 1;
    return kept;
}

static void region_begin(struct ring *ring, struct str name, struct ring_node *nodes, char **text)
{
    struct ring_region *region = &ring->regions[ring->count++];
    region->name = keep_text(text, name);
    region->hash = name_hash(name);
    region->nodes = nodes;
}

/* What the rows say, in order; how many of them. */
static unsigned fill(struct ring *ring, const struct ring_row *told, const struct ring_row **rows, unsigned count)
{
    char *text = ring->text;
    unsigned used = 0;
    const struct ring_row *last = NULL;
    for (unsigned i = 0; i < count; i++) {
        bool opens = last == NULL || !str_eq(rows[i]->region, last->region);
        if (!opens && str_eq(rows[i]->name, last->name))
            continue;
        if (opens && ring->count == RING_REGIONS_MAX)
            break;
        if (opens)
            region_begin(ring, rows[i]->region, ring->nodes + used, &text);
        last = rows[i];
        struct ring_region *region = &ring->regions[ring->count - 1];
        if (region->count == RING_NODES_MAX)
            continue;
        uint32_t weight = rows[i]->weight == 0 ? 1 : rows[i]->weight;
        region->nodes[region->count++] = (struct ring_node){
            .name = keep_text(&text, rows[i]->name),
            .hash = name_hash(rows[i]->name),
            .weight = weight < RING_WEIGHT_MAX ? weight : RING_WEIGHT_MAX,
            .row = (uint32_t) (rows[i] - told),
        };
        used++;
    }
    return used;
}

static uint64_t digest(const struct ring *ring)
{
    uint64_t digest = ring->count;
    for (unsigned i = 0; i < ring->count; i++) {
        const struct ring_region *region = &ring->regions[i];
        digest = hash_mix(hash_mix(digest, region->hash), region->count);
        for (unsigned j = 0; j < region->count; j++)
            digest = hash_mix(hash_mix(digest, region->nodes[j].hash), region->nodes[j].weight);
    }
    return digest;
}

struct ring *ring_new(const struct ring_row *rows, unsigned count, unsigned *left_out)
{
    struct ring *ring = mem_calloc(1, sizeof *ring);
    const struct ring_row **sorted = mem_calloc(count + 1, sizeof *sorted);
    size_t text = 1;
    for (unsigned i = 0; i < count; i++) {
        sorted[i] = &rows[i];
        text += rows[i].region.len + rows[i].name.len + 2;
    }
    qsort(sorted, count, sizeof *sorted, rows_compare);
    ring->regions = mem_calloc(RING_REGIONS_MAX, sizeof *ring->regions);
    ring->nodes = mem_calloc(count + 1, sizeof *ring->nodes);
    ring->text = mem_alloc(text);
    unsigned used = fill(ring, rows, sorted, count);
    ring->digest = digest(ring);
    mem_free(sorted);
    if (left_out != NULL)
        *left_out = count - used;
    return ring;
}

void ring_free(struct ring **pointer)
{
    struct ring *ring = *pointer;
    *pointer = NULL;
    if (ring == NULL)
        return;
    mem_free(ring->regions);
    mem_free(ring->nodes);
    mem_free(ring->text);
    mem_free(ring);
}

/* ---- Asking it. ---- */

unsigned ring_regions(const struct ring *ring, const struct ring_region **regions)
{
    *regions = ring->regions;
    return ring->count;
}

const struct ring_region *ring_region(const struct ring *ring, struct str name)
{
    for (unsigned i = 0; i < ring->count; i++)
        if (str_eq(ring->regions[i].name, name))
            return &ring->regions[i];
    return NULL;
}

uint64_t ring_digest(const struct ring *ring)
{
    return ring->digest;
}

uint64_t ring_key(struct hash128 object, uint64_t extent)
{
    return hash_mix(hash_mix(object.lo, object.hi), extent);
}

/* The most that an order is asked for. */
#define ORDER_MAX 32

unsigned ring_order(const struct ring_region *region, uint64_t key, unsigned *nodes, unsigned max)
{
    struct candidate best[ORDER_MAX];
    unsigned count = 0;
    assert(max > 0 && max <= ORDER_MAX);
    for (unsigned i = 0; i < region->count; i++) {
        struct candidate next = {&region->nodes[i], hash_mix(key, region->nodes[i].hash), 0};
        if (count == max && !comes_before(&next, &best[count - 1]))
            continue;
        unsigned place = count < max ? count++ : count - 1;
        while (place > 0 && comes_before(&next, &best[place - 1])) {
            best[place] = best[place - 1];
            place--;
        }
        best[place] = next;
    }
    for (unsigned i = 0; i < count; i++)
        nodes[i] = (unsigned) (best[i].node - region->nodes);
    return count;
}

const struct ring_region *ring_origin_region(const struct ring *ring, uint64_t key)
{
    const struct ring_region *first = NULL;
    uint64_t most = 0;
    for (unsigned i = 0; i < ring->count; i++) { /* by name, so the first of equal ones has the lesser */
        uint64_t u = hash_mix(key, ring->regions[i].hash);
        if (first == NULL || u > most) {
            first = &ring->regions[i];
            most = u;
        }
    }
    return first;
}
