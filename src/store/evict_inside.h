/* SPDX-License-Identifier: Apache-2.0 */
/*
 * evict_inside.h: the policy as its own two files see it: evict.c, where slots come, time passes and admission is
 * decided, and evict_victim.c, which says who goes.
 *
 * Slots lie in lists by their place, and each quota (quota.h) has a set of lists of its own, a queue, as has all that
 * has none (number 0): so who goes can be asked of one quota, of a family, or of all but those that are kept.
 */
#ifndef HEADPOND_STORE_EVICT_INSIDE_H
#define HEADPOND_STORE_EVICT_INSIDE_H

#include <stdatomic.h>

#include "store/evict.h"
#include "store/quota.h"
#include "store/sample.h"

struct metric_cell;

enum evict_place { PLACE_NONE, PLACE_FRESH, PLACE_SMALL, PLACE_MAIN, PLACE_DEAD, PLACE_SPARSE, PLACES };

/* Why a slot has to go: room is wanted, or its quota holds its limit. */
enum evict_cause { CAUSE_SPACE, CAUSE_LIMIT, CAUSES };

struct evict_list {
    uint32_t head; /* oldest */
    uint32_t tail;
    uint32_t count;
};

struct evict_slot {
    uint32_t next;
    uint32_t prev;
    uint32_t name;
    unsigned place : 3;
    unsigned chances : 2;
    unsigned proven : 1; /* it was a ghost: from fresh to main */
    unsigned segment : 1;
    unsigned group : 8;
    unsigned stamp : 8; /* when it came or was last found used */
    unsigned quota : 9;
};

struct evict_queue {
    struct evict_list lists[PLACES];
    uint32_t count;
    atomic_uint dead;    /* slots in PLACE_DEAD */
    atomic_bool full;    /* at its limit something had to go, and not much has gone otherwise since */
    struct reuse *reuse; /* of what shares its limit; NULL: it has none */
};

struct evict {
    struct evict_events events;
    uint32_t capacity;
    uint32_t room;
    uint32_t top; /* no slot from here on was ever queued */
    uint32_t queued;
    uint32_t apart; /* slots not at everybody's disposal (quota.h), as of the last tick */
    struct quotas *quotas;
    struct evict_queue *queues; /* by quota */
    struct evict_slot *slots;
    struct ghosts *ghosts;
    struct groups *groups;
    struct reuse *reuse;
    unsigned sample_shift;
    uint64_t used;      /* volume of looks that found a slot used */
    uint64_t looked_at; /* volume missed when looks were last paid for */
    uint64_t ticked_at;
    uint8_t tick;
    uint32_t hand;    /* of the looks */
    atomic_bool full; /* somebody had to go, and not much has gone otherwise since */
    atomic_uint dead; /* slots in PLACE_DEAD that may go for anybody's sake */
    unsigned frozen;  /* groups, as the metric knows */
    struct metric_cell *victims[PLACES][CAUSES];
    struct samples samples;
};

/* The volume that passes while as much is read as there is room for. */
static inline uint64_t evict_room_volume(const struct evict *evict)
{
    return (uint64_t) evict->room * EVICT_SLOT;
}

void evict_move(struct evict *evict, uint32_t slot, enum evict_place place);
/* Whether the slot was used since the last look, which is counted; what has gone unused for too long is given up. */
bool evict_look(struct evict *evict, uint32_t slot);
/* How many slots of the queue may be fresh or in the small queue. */
uint32_t evict_small_most(const struct evict *evict, unsigned quota);
/* The next to go of what lies in that quota, all for 0, still queued; EVICT_NONE: nothing is there. */
uint32_t evict_choose(struct evict *evict, unsigned outer);

#endif
