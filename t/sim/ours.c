/* SPDX-License-Identifier: Apache-2.0 */
/* ours.c: store/evict.h driven as the store drives it: a hit sets a bit, a miss is put if admission lets it. */
#include "store/evict.h"

#include "base/mem.h"
#include "sim.h"
#include "store/quota.h"

const struct quota_row *sim_quotas;
unsigned sim_quota_count;

struct ours {
    const struct trace *trace;
    struct evict *evict;
    uint32_t *slot_of;   /* each object's */
    uint32_t *object_of; /* each slot's */
    bool *used;          /* of each slot */
    uint32_t *free;
    uint32_t free_count;
};

static bool slot_used(void *arg, uint32_t slot)
{
    struct ours *ours = arg;
    bool used = ours->used[slot];
    ours->used[slot] = false;
    return used;
}

static uint32_t slot_live(void *arg, uint32_t slot)
{
    (void) arg, (void) slot;
    return 0;
}

static void *start(const struct trace *trace, uint32_t capacity)
{
    struct ours *ours = mem_calloc(1, sizeof *ours);
    ours->trace = trace;
    ours->evict = evict_new(capacity, &(struct evict_events){slot_used, slot_live, ours});
    (void) evict_set_quotas(ours->evict, sim_quotas, sim_quota_count, 1);
    ours->slot_of = mem_alloc(trace->objects * sizeof *ours->slot_of);
    for (uint32_t i = 0; i < trace->objects; i++)
        ours->slot_of[i] = SIM_NONE;
    ours->object_of = mem_alloc(capacity * sizeof *ours->object_of);
    ours->used = mem_calloc(capacity, sizeof *ours->used);
    ours->free = mem_alloc(capacity * sizeof *ours->free);
    for (uint32_t i = capacity; i-- > 0;)
        ours->free[ours->free_count++] = i;
    return ours;
}

static void stop(void *state)
{
    struct ours *ours = state;
    evict_free(ours->evict);
    mem_free(ours->slot_of);
    mem_free(ours->object_of);
    mem_free(ours->used);
    mem_free(ours->free);
    mem_free(ours);
}

static struct evict_block block_of(const struct ours *ours, uint32_t object)
{
    uint32_t blob = ours->trace->blob;
    return (struct evict_block){.generation = object / blob + 1,
                                .block = object % blob,
                                .group = {.lo = ours->trace->container[object] + 1u, .hi = 1},
                                .weight = EVICT_SLOT};
}

/* What lay there has gone. */
static void give_back(struct ours *ours, uint32_t slot)
{
    ours->slot_of[ours->object_of[slot]] = SIM_NONE;
    ours->free[ours->free_count++] = slot;
}

static bool read(void *state, size_t at, uint32_t object)
{
    struct ours *ours = state;
    struct evict_block block = block_of(ours, object);
    uint32_t slot = ours->slot_of[object];
    (void) at;
    if (slot != SIM_NONE) {
        if (!ours->used[slot]) {
            ours->used[slot] = true;
            if (evict_sampled(ours->evict, block.generation, block.block))
                evict_read(ours->evict, block.generation, block.block, slot);
        }
        return true;
    }
    if (!evict_admit(ours->evict, &block))
        return false;
    while (!evict_claim(ours->evict, block.group, &slot)) {
        if (slot == EVICT_NONE)
            return false;
        give_back(ours, slot);
    }
    if (ours->free_count == 0)
        give_back(ours, evict_victim(ours->evict));
    slot = ours->free[--ours->free_count];
    ours->slot_of[object] = slot;
    ours->object_of[slot] = object;
    ours->used[slot] = true; /* whoever waits for a fill may come to the block late: no use yet */
    evict_insert(ours->evict, slot, &block);
    return false;
}

static bool holds(void *state, uint32_t object)
{
    return ((struct ours *) state)->slot_of[object] != SIM_NONE;
}

const struct policy policy_ours = {"headpond", start, read, holds, stop};
