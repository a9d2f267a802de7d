/* SPDX-License-Identifier: Apache-2.0 */
/* group.c: histograms of reuse distances, and what follows from them. */
#include "store/group.h"

#include <stdatomic.h>

#include "base/mem.h"

/* Reuse distances are told apart by the eighth of the space, up to eight times the space. */
#define BINS_A_ROOM 8
#define BINS (8 * BINS_A_ROOM)
/* Reads again that are needed to conclude anything, and after which older ones count half. */
#define READS_MIN 48
#define READS_MOST 2048
/* Places that a group may be found in. */
#define PROBES 8
/* The line must be above the curve by so much to freeze, and still by so much to stay frozen. */
#define FREEZE 1.15
#define THAW 1.05

struct group {
    atomic_uint_fast64_t key; /* 0: free */
    atomic_bool frozen;
    atomic_uint_fast64_t missed;
    /* Under the lock. */
    uint64_t used;
    uint64_t missed_before, used_before; /* at the last judgement */
    uint64_t asked_at;                   /* volume when it was last read in any way */
    uint64_t frozen_at, frozen_clock;    /* volume, of all and by its own clock, when it was frozen */
    uint64_t watched_at;                 /* by its own clock, when the next three were begun */
    uint64_t watched_missed, watched_used;
    bool stale; /* what it holds is not what is read */
    uint32_t held;
    uint64_t patience;
    struct group_space space;
    float reads[BINS];
    float reads_all;
};

struct groups {
    struct group group[GROUPS_MAX];
    atomic_uint_fast64_t missed;
    unsigned frozen;
};

struct groups *groups_new(void)
{
    struct groups *groups = mem_calloc(1, sizeof *groups);
    for (unsigned i = 0; i < GROUPS_MAX; i++)
        groups->group[i].patience = UINT64_MAX;
    return groups;
}

void groups_free(struct groups *groups)
{
    mem_free(groups);
}

/* ---- Without the lock. ---- */

unsigned groups_find(struct groups *groups, struct hash128 group)
{
    uint64_t key = hash_mix(group.lo, group.hi) | 1;
    unsigned free = GROUP_OTHERS, home = (unsigned) (key >> 32);
    for (unsigned i = 0; i < PROBES; i++) {
        unsigned number = (home + i) % (GROUPS_MAX - 1) + 1;
        uint64_t there = atomic_load_explicit(&groups->group[number].key, memory_order_relaxed);
        if (there == key)
            return number;
        if (there == 0 && free == GROUP_OTHERS)
            free = number;
    }
    /* Two loops may give one group two places: the second is found by nobody, and goes. */
    uint64_t none = 0;
    if (free != GROUP_OTHERS &&
        !atomic_compare_exchange_strong_explicit(&groups->group[free].key, &none, key, memory_order_relaxed,
                                                 memory_order_relaxed) &&
        none != key)
        return GROUP_OTHERS;
    return free;
}

bool groups_frozen(struct groups *groups, unsigned number)
{
    return atomic_load_explicit(&groups->group[number].frozen, memory_order_relaxed);
}

void groups_missed(struct groups *groups, unsigned number, uint32_t weight)
{
    atomic_fetch_add_explicit(&groups->group[number].missed, weight, memory_order_relaxed);
    atomic_fetch_add_explicit(&groups->missed, weight, memory_order_relaxed);
}

uint64_t groups_misses(struct groups *groups)
{
    return atomic_load_explicit(&groups->missed, memory_order_relaxed);
}

/* ---- Under the lock. ---- */

void groups_reused(struct groups *groups, unsigned number, uint64_t distance, struct group_space space)
{
    struct group *group = &groups->group[number];
    uint64_t bin = distance * BINS_A_ROOM / space.volume;
    group->space = space;
    if (bin >= BINS || number == GROUP_OTHERS)
        return;
    group->reads[bin]++;
    if (++group->reads_all < READS_MOST)
        return;
    group->reads_all = 0;
    for (unsigned i = 0; i < BINS; i++)
        group->reads_all += group->reads[i] /= 2;
}

void groups_used(struct groups *groups, unsigned number)
{
    groups->group[number].used += GROUP_UNIT;
}

void groups_hold(struct groups *groups, unsigned number, int slots)
{
    groups->group[number].held += (uint32_t) slots;
}

/* What a cache of this room would answer if everything is let in, what it would if a fixed part is, and the distance
 * that nearly all reads again lie within, in bins. */
struct verdict {
    float all, part;
    unsigned reach;
};

static struct verdict weigh(const struct group *group)
{
    struct verdict verdict = {0, 0, BINS};
    float sum = 0;
    for (unsigned i = 0; i < BINS; i++) {
        sum += group->reads[i];
        float line = sum * BINS_A_ROOM / (float) (i + 1);
        if (i + 1 == BINS_A_ROOM)
            verdict.all = sum;
        else if (i + 1 > BINS_A_ROOM && line > verdict.part)
            verdict.part = line;
        if (verdict.reach == BINS && sum >= group->reads_all * 0.98F)
            verdict.reach = i + 1;
    }
    return verdict;
}

/* The volume by which its own distances are counted; `now` is that of all. */
static uint64_t clock_of(struct group *group, uint64_t now)
{
    return group->space.alone ? atomic_load_explicit(&group->missed, memory_order_relaxed) + group->used : now;
}

static void watch_anew(struct group *group, uint64_t clock)
{
    group->watched_at = clock;
    group->watched_missed = atomic_load_explicit(&group->missed, memory_order_relaxed);
    group->watched_used = group->used;
}

/* Whether far less of what is read is held than the size of what is held lets expect: other blocks are read now. */
static void watch(struct group *group, uint64_t clock, unsigned reach)
{
    uint64_t room = group->space.volume;
    if (clock - group->watched_at < room * reach / BINS_A_ROOM + room / 4)
        return; /* in fixed order what is held comes all at once */
    double used = (double) (group->used - group->watched_used);
    double missed = (double) (atomic_load_explicit(&group->missed, memory_order_relaxed) - group->watched_missed);
    double expected = (double) group->held * GROUP_UNIT / ((double) room * reach / BINS_A_ROOM);
    group->stale = used < (used + missed) * expected / 4;
    watch_anew(group, clock);
}

/* What a slot of a frozen group is given. In fresh order a block may come first in one round and last in the next. */
static uint64_t patience(struct group *group, uint64_t now, uint64_t room, unsigned reach)
{
    uint64_t own = group->space.volume, clock = clock_of(group, now);
    uint64_t span = group->stale ? own : own + own * reach * 2 / BINS_A_ROOM;
    if (!group->space.alone)
        return span;
    /* Slots are stamped by the volume of all, and by eighths of the room. */
    double pace = (double) (now - group->frozen_at) / ((double) (clock - group->frozen_clock) + 1);
    double scaled = (double) span * (pace < 1 ? 1 : pace) + (double) (room / 8);
    return scaled < 0x1p62 ? (uint64_t) scaled : UINT64_MAX;
}

static void judge(struct groups *groups, struct group *group, uint64_t now, uint64_t room)
{
    struct verdict verdict = weigh(group);
    bool was = atomic_load_explicit(&group->frozen, memory_order_relaxed);
    bool frozen = group->reads_all >= READS_MIN && verdict.part > verdict.all * (float) (was ? THAW : FREEZE);
    uint64_t missed = atomic_load_explicit(&group->missed, memory_order_relaxed);
    if (missed != group->missed_before || group->used != group->used_before)
        group->asked_at = now;
    group->missed_before = missed;
    group->used_before = group->used;
    if (frozen && !was) {
        group->stale = false;
        group->frozen_at = now;
        group->frozen_clock = clock_of(group, now);
        watch_anew(group, group->frozen_clock);
    } else if (frozen) {
        watch(group, clock_of(group, now), verdict.reach);
    }
    atomic_store_explicit(&group->frozen, frozen, memory_order_relaxed);
    groups->frozen += frozen;
    /* Read by nobody while as much else was read as there is room: nobody's any more. */
    if (now - group->asked_at >= room)
        group->patience = 0;
    else
        group->patience = frozen ? patience(group, now, room, verdict.reach) : UINT64_MAX;
}

/* Under another key it begins anew. Loops that still believe in it do no harm. */
static void vacate(struct group *group)
{
    for (unsigned i = 0; i < BINS; i++)
        group->reads[i] = 0;
    group->reads_all = 0;
    group->space = (struct group_space){0, false};
    group->stale = false;
    atomic_store_explicit(&group->frozen, false, memory_order_relaxed);
    atomic_store_explicit(&group->key, 0, memory_order_relaxed);
}

void groups_judge(struct groups *groups, uint64_t now, uint64_t room)
{
    groups->frozen = 0;
    for (unsigned i = 1; i < GROUPS_MAX; i++) {
        struct group *group = &groups->group[i];
        if (atomic_load_explicit(&group->key, memory_order_relaxed) == 0)
            continue;
        judge(groups, group, now, room);
        if (group->held == 0 && now - group->asked_at > 8 * room)
            vacate(group);
    }
}

uint64_t groups_patience(const struct groups *groups, unsigned number)
{
    return groups->group[number].patience;
}

unsigned groups_frozen_count(const struct groups *groups)
{
    return groups->frozen;
}
