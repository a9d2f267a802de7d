/* SPDX-License-Identifier: Apache-2.0 */
/*
 * context.h: what the rooms of cache/ share: the tables that every loop reads, and each loop's own part.
 */
#ifndef HEADPOND_CACHE_CONTEXT_H
#define HEADPOND_CACHE_CONTEXT_H

#include "base/buf.h"
#include "base/list.h"
#include "cache/ahead.h"
#include "cache/cache.h"
#include "cache/epoch.h"
#include "cache/grant.h"
#include "cache/loads.h"
#include "cache/pace.h"
#include "cache/room.h"
#include "net/loop.h"
#include "origin/admission.h"

struct cache {
    struct cache_config config;
    struct epochs *epochs;
    struct grants *grants;
    uint32_t block_size;
    struct buf_room *blocks;       /* room.c: in memory; the store's */
    struct admission_class places; /* place.c: fills */
    struct admission_class probes; /* probe.c */
    struct ahead ahead;            /* what readers have asked for ahead of them */
};

/* Intrusive hash tables of what is under way on one loop; short chains, never iterated on a hot path. */
#define CACHE_BUCKETS 1024

struct cache_loop {
    struct cache *cache;
    struct loop *loop;
    struct list inquiries[CACHE_BUCKETS]; /* inquiry.c: by object */
    struct list flights[CACHE_BUCKETS];   /* flight.c: fills by generation, openings by object, and by extent */
    struct list fills;                    /* fill.c: every fill that this loop owns */
    struct timer unwanted_timer;
    struct admission_queue places;
    struct admission_queue probes;
    struct list unwanted; /* inquiry.c: probes nobody waits for any more */
    struct list holds;    /* room.c */
    struct timer holds_timer;
    struct list counted; /* joins.c: readers some of whose joins are counted in `ahead` */
    struct timer counted_timer;
    struct loads loads;
    struct paces paces;
};

static inline struct cache_loop *cache_loop_of(struct loop *loop)
{
    return loop_get(loop, LOOP_SLOT_CACHE);
}

/* Who owns an object's inquiries, and who an extent's flights. Any thread. */
static inline struct loop *cache_object_owner(const struct cache *cache, struct hash128 object)
{
    return cache->config.loops[object.lo % cache->config.loop_count];
}

static inline struct loop *cache_extent_owner(const struct cache *cache, struct hash128 object, uint64_t extent)
{
    return cache->config.loops[hash_mix(object.lo, extent) % cache->config.loop_count];
}

#endif
