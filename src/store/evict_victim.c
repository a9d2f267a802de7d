/* SPDX-License-Identifier: Apache-2.0 */
/*
 * evict_victim.c: who goes. Without quotas there is one queue, and the ways below are taken in their order. With them
 * each way is tried on the queues that lie in the quota asked for and are not kept by a reserve within it; only when
 * all that are left are kept, on those as well.
 *
 * Among queues the one goes first whose small queue is too long by the largest part, or whose main queue has waited
 * longest at its head: what one queue for all would do, but for the order within a tick.
 */
#include "store/evict_inside.h"

/* Second chances given in one search: past that the oldest goes, used or not, so that the search stays short. */
#define REPRIEVES 128
/* Sparse segments compared in one search. */
#define SPARSE_LOOK 32
#define NOBODY UINT32_MAX

struct choice {
    struct evict *evict;
    unsigned outer;
    bool kept_too;
};

static bool offered(const struct choice *choice, unsigned quota, enum evict_place place)
{
    struct quotas *quotas = choice->evict->quotas;
    return choice->evict->queues[quota].lists[place].count > 0 && quotas_within(quotas, quota, choice->outer) &&
           (choice->kept_too || !quotas_kept(quotas, quota, choice->outer));
}

static uint32_t sparsest(const struct choice *choice)
{
    struct evict *evict = choice->evict;
    uint32_t best = EVICT_NONE, best_live = UINT32_MAX;
    if (choice->outer != 0)
        return EVICT_NONE;
    uint32_t slot = evict->queues[0].lists[PLACE_SPARSE].head;
    for (unsigned i = 0; i < SPARSE_LOOK && slot != EVICT_NONE; i++, slot = evict->slots[slot].next) {
        uint32_t live = evict->events.live(evict->events.arg, slot);
        if (live < best_live) {
            best = slot;
            best_live = live;
        }
    }
    return best;
}

static uint32_t dead_one(const struct choice *choice)
{
    struct evict *evict = choice->evict;
    for (unsigned i = 0; i <= quotas_count(evict->quotas); i++) {
        while (offered(choice, i, PLACE_DEAD)) {
            uint32_t slot = evict->queues[i].lists[PLACE_DEAD].head;
            if (!evict_look(evict, slot))
                return slot;
            evict_move(evict, slot, PLACE_MAIN);
        }
    }
    return EVICT_NONE;
}

/* Whether what has come to the end of a queue is to go. */
static bool falls(struct evict *evict, uint32_t slot)
{
    (void) evict_look(evict, slot);
    if (evict->slots[slot].chances == 0 || evict->slots[slot].place == PLACE_DEAD)
        return true;
    evict->slots[slot].chances--;
    evict_move(evict, slot, PLACE_MAIN);
    return false;
}

/* The queue whose small part is the most too long. */
static unsigned longest(const struct choice *choice)
{
    const struct evict *evict = choice->evict;
    unsigned best = NOBODY;
    uint64_t best_length = 1, best_most = 1;
    for (unsigned i = 0; i <= quotas_count(evict->quotas); i++) {
        if (!offered(choice, i, PLACE_SMALL))
            continue;
        const struct evict_list *lists = evict->queues[i].lists;
        uint64_t length = lists[PLACE_SMALL].count + lists[PLACE_FRESH].count, most = evict_small_most(evict, i);
        if (length > most && length * best_most > best_length * most) {
            best = i;
            best_length = length;
            best_most = most;
        }
    }
    return best;
}

static uint32_t small_one(const struct choice *choice)
{
    struct evict *evict = choice->evict;
    for (unsigned queue; (queue = longest(choice)) != NOBODY;) {
        uint32_t slot = evict->queues[queue].lists[PLACE_SMALL].head;
        if (falls(evict, slot))
            return slot;
    }
    return EVICT_NONE;
}

/* The queue whose head has not been used for longest; of several the one that holds most. */
static unsigned stalest(const struct choice *choice)
{
    const struct evict *evict = choice->evict;
    unsigned best = NOBODY;
    uint8_t best_idle = 0;
    for (unsigned i = 0; i <= quotas_count(evict->quotas); i++) {
        if (!offered(choice, i, PLACE_MAIN))
            continue;
        uint8_t idle = (uint8_t) (evict->tick - evict->slots[evict->queues[i].lists[PLACE_MAIN].head].stamp);
        if (best == NOBODY || idle > best_idle ||
            (idle == best_idle && evict->queues[i].count > evict->queues[best].count)) {
            best = i;
            best_idle = idle;
        }
    }
    return best;
}

static uint32_t main_one(const struct choice *choice)
{
    struct evict *evict = choice->evict;
    unsigned queue;
    for (unsigned i = 0; (queue = stalest(choice)) != NOBODY; i++) {
        uint32_t slot = evict->queues[queue].lists[PLACE_MAIN].head;
        if (i >= REPRIEVES || falls(evict, slot))
            return slot;
    }
    return EVICT_NONE;
}

/* Nothing is old. */
static uint32_t young_one(const struct choice *choice)
{
    static const enum evict_place places[] = {PLACE_SMALL, PLACE_FRESH};
    const struct evict *evict = choice->evict;
    for (unsigned k = 0; k < sizeof places / sizeof *places; k++) {
        unsigned best = NOBODY;
        for (unsigned i = 0; i <= quotas_count(evict->quotas); i++)
            if (offered(choice, i, places[k]) && (best == NOBODY || evict->queues[i].count > evict->queues[best].count))
                best = i;
        if (best != NOBODY)
            return evict->queues[best].lists[places[k]].head;
    }
    return EVICT_NONE;
}

uint32_t evict_choose(struct evict *evict, unsigned outer)
{
    uint32_t (*const ways[])(const struct choice *choice) = {sparsest, dead_one, small_one, main_one, young_one};
    struct choice choice = {evict, outer, false};
    for (;;) {
        for (unsigned i = 0; i < sizeof ways / sizeof *ways; i++) {
            uint32_t slot = ways[i](&choice);
            if (slot != EVICT_NONE)
                return slot;
        }
        if (choice.kept_too)
            return EVICT_NONE;
        choice.kept_too = true;
    }
}
