/* SPDX-License-Identifier: Apache-2.0 */
/* hedges.c: see hedges.h. */
#include "pool/hedges.h"

#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "net/loop.h"
#include "pool/hedge.h"
#include "pool/members.h"

/* Powers of two. Two that fall into one place take turns in forgetting each other. */
#define MEMBERS 512
#define REGIONS 16

struct known {
    uint64_t name; /* a hash */
    struct hedge_times times;
};

struct hedges {
    struct hedge_budget budget;
    struct known regions[REGIONS];
    struct known members[MEMBERS];
};

static struct hedges *hedges_of(struct loop *loop)
{
    return loop_get(loop, LOOP_SLOT_HEDGES);
}

static uint64_t hash_of(const char *text)
{
    return hash64(text, strlen(text), 0);
}

static struct hedge_times *times_of(struct known *places, unsigned count, uint64_t name)
{
    struct known *known = &places[name % count];
    if (known->name != name)
        *known = (struct known){.name = name};
    return &known->times;
}

static struct hedge_times *of_region(struct hedges *hedges, const struct member *member)
{
    return times_of(hedges->regions, REGIONS, hash_of(member->region));
}

static struct hedge_times *of_member(struct hedges *hedges, const struct member *member)
{
    return times_of(hedges->members, MEMBERS, hash_mix(hash_of(member->region), hash_of(member->name)));
}

void hedges_loop_init(struct loop *loop)
{
    struct hedges *hedges = mem_calloc(1, sizeof *hedges);
    hedge_budget_init(&hedges->budget);
    loop_set(loop, LOOP_SLOT_HEDGES, hedges);
}

void hedges_loop_fini(struct loop *loop)
{
    mem_free(hedges_of(loop));
    loop_set(loop, LOOP_SLOT_HEDGES, NULL);
}

int64_t hedges_call(struct loop *loop, const struct member *member, int64_t bytes)
{
    struct hedges *hedges = hedges_of(loop);
    hedge_earn(&hedges->budget, bytes);
    return (hedge_deadline_us(of_member(hedges, member), of_region(hedges, member)) + 999) / 1000;
}

void hedges_learn(struct loop *loop, const struct member *member, int64_t first_byte_us)
{
    struct hedges *hedges = hedges_of(loop);
    hedge_learn(of_member(hedges, member), first_byte_us);
    hedge_learn(of_region(hedges, member), first_byte_us);
}

bool hedges_spend(struct loop *loop, int64_t bytes)
{
    return hedge_spend(&hedges_of(loop)->budget, bytes);
}
