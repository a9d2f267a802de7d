/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world.h: a pool to simulate: its ring (the real one), the extents of a data set and their orders, time and chance.
 *
 * Each scene prints rows, `scene name=value ...`, which contrib/pool-sim makes a report of. Runs are alike: all chance comes
 * from terms.seed.
 */
#ifndef HEADPOND_T_SIM_POOL_WORLD_H
#define HEADPOND_T_SIM_POOL_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pool/ring.h"
#include "pool/spread.h"

#define REGIONS_MAX 16
#define EXTENT_BYTES 16777216.0

/* What is assumed; the command line changes it: name=value. */
#define TERMS_TABLE(X)                                                                                                 \
    X(nodes, 2000, "members of all regions")                                                                           \
    X(regions, 4, "regions, each with as many members")                                                                \
    X(zones, 3, "zones of a region, likewise")                                                                         \
    X(sidecars, 100000, "sidecars")                                                                                    \
    X(clusters, 20, "clusters that they are in")                                                                       \
    X(per_node, 200, "extents of 16 MiB of the data set, for each member of a region")                                 \
    X(trials, 10, "data sets that are placed, one after another")                                                      \
    X(joins, 1000, "members that join a region, one at a time, each alone")                                            \
    X(reads, 20000, "reads of an extent each, for each member, of which the second half counts")                       \
    X(rate, 500, "reads a second of 1000 sidecars")                                                                    \
    X(keeps, 64, "extents that a sidecar keeps itself")                                                                \
    X(job, 4096, "ranks of the job that starts, in one region, a sidecar each")                                        \
    X(checkpoint, 512, "extents of the checkpoint that all of them read, from its beginning")                          \
    X(ahead, 4, "extents that a rank asks for at a time")                                                              \
    X(origin_ms, 30, "ms of the storage account to a first byte")                                                      \
    X(origin_mb, 7500, "MB a second of the account, all together")                                                     \
    X(fill_mb, 240, "MB a second of one fill")                                                                         \
    X(node_mb, 3000, "MB a second that a member sends")                                                                \
    X(sidecar_mb, 1500, "MB a second that a sidecar receives")                                                         \
    X(near_us, 500, "µs there and back within a region")                                                               \
    X(hit_us, 300, "µs to a hit's first byte, half of them; the others as lognormal with sigma 0.5")                   \
    X(slow_us, 10000, "µs that one hit of 200 takes longer: from the disk")                                            \
    X(seed, 1, "of all chance")

struct terms {
#define FIELD(name, value, what) int64_t name;
    TERMS_TABLE(FIELD)
#undef FIELD
};

struct world {
    struct terms terms;
    unsigned members; /* of a region */
    unsigned extents;
    struct ring *ring;
    struct ring *less; /* the same without the last region */
    const struct ring_region *regions[REGIONS_MAX];
    unsigned region_count;
    uint64_t *keys;   /* of each extent */
    uint16_t *orders; /* of one region at a time, SPREAD_MOST for each extent; UINT16_MAX first: not asked for yet */
    unsigned region;  /* that one */
    uint64_t random;
};

/* Members of the regions as terms have it; `extents` of one object. */
void world_init(struct world *world, const struct terms *terms, unsigned extents);
void world_fini(struct world *world);
/* Orders are of that region from now on. */
void world_at(struct world *world, unsigned region);
/* The first SPREAD_MOST members, or all if they are fewer, for an extent; how many that are is world_width. */
const uint16_t *world_order(struct world *world, unsigned extent);
unsigned world_width(const struct world *world);
/* The region that asks the origin for an extent; `less`: as one sees it that does not know of the last region. */
unsigned world_origin(const struct world *world, unsigned extent, bool less);
/* An extent's home in a region, whichever orders are of. */
unsigned world_home(const struct world *world, unsigned region, unsigned extent);

/* `count` members, named prefix and number, of each of so many regions. The caller's. */
struct ring *ring_made(unsigned regions, unsigned count, const char *prefix);

uint64_t world_draw(struct world *world);
unsigned world_below(struct world *world, unsigned limit);
/* In (0, 1). */
double world_chance(struct world *world);
/* Seconds to a hit's first byte, by the terms. */
double world_hit(struct world *world);

/* Ranks by Zipf: the chance of rank k, from 0, falls with 1 / (k + 1). */
struct ranks {
    double *below;
    unsigned *of_rank; /* which extent has it, drawn once */
    unsigned count;
};
void ranks_init(struct ranks *ranks, struct world *world, unsigned count);
void ranks_fini(struct ranks *ranks);
unsigned ranks_next(const struct ranks *ranks, struct world *world);

/* ---- Time: events in order. ---- */

struct event {
    double at;
    unsigned kind, who, what, more;
};

struct events {
    struct event *heap;
    size_t count, room;
};

void events_add(struct events *events, struct event event);
/* False: there is none. */
bool events_next(struct events *events, struct event *event);
void events_fini(struct events *events);

/* ---- Figures. ---- */

/* The most beside the mean. */
double hottest(const double *load, unsigned count);
/* Of values that it sorts: the one that so many parts of all are not above. */
double quantile(double *values, size_t count, double part);

/* ---- Scenes. ---- */

void scene_balance(const struct terms *terms);
void scene_moves(const struct terms *terms);
void scene_rounds(const struct terms *terms);
void scene_zipf(const struct terms *terms);
void scene_zipf_one(const struct terms *terms);
void scene_storm(const struct terms *terms);
void scene_zone(const struct terms *terms);
void scene_costs(const struct terms *terms);

#endif
