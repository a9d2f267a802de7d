/* SPDX-License-Identifier: Apache-2.0 */
/* epoch.c: two counters a slot, all sequentially consistent: writes are rare, and a stamp is three loads. */
#include "cache/epoch.h"

#include <assert.h>
#include <stdatomic.h>

#include "base/mem.h"

/* 64 Ki counters of 16 bytes: with a thousand writes under way, one read in sixty-five asks once more than it had to.
 */
#define EPOCH_SLOTS 65536

struct epoch_slot {
    atomic_uint_fast64_t epoch;
    atomic_uint_fast64_t fences;
};

struct epochs {
    struct epoch_slot slots[EPOCH_LEVELS][EPOCH_SLOTS];
};

struct epochs *epochs_new(void)
{
    return mem_calloc(1, sizeof(struct epochs));
}

void epochs_free(struct epochs *epochs)
{
    mem_free(epochs);
}

static const struct epoch_slot *slot_of(const struct epochs *epochs, const struct epoch_key *key,
                                        enum epoch_level level)
{
    const struct hash128 *hash = level == EPOCH_OBJECT      ? &key->object
                                 : level == EPOCH_CONTAINER ? &key->container
                                                            : &key->account;
    return &epochs->slots[level][hash->hi % EPOCH_SLOTS];
}

static struct epoch_slot *slot_to_change(struct epochs *epochs, const struct epoch_key *key, enum epoch_level level)
{
    return &epochs->slots[level][slot_of(epochs, key, level) - epochs->slots[level]];
}

uint64_t epochs_stamp(const struct epochs *epochs, const struct epoch_key *key)
{
    uint64_t stamp = 0;
    for (int level = 0; level < EPOCH_LEVELS; level++)
        stamp += atomic_load(&slot_of(epochs, key, (enum epoch_level) level)->epoch);
    return stamp;
}

bool epochs_fenced(const struct epochs *epochs, const struct epoch_key *key)
{
    for (int level = 0; level < EPOCH_LEVELS; level++)
        if (atomic_load(&slot_of(epochs, key, (enum epoch_level) level)->fences) != 0)
            return true;
    return false;
}

void epochs_bump(struct epochs *epochs, const struct epoch_key *key, enum epoch_level level)
{
    atomic_fetch_add(&slot_to_change(epochs, key, level)->epoch, 1);
}

void epochs_raise(struct epochs *epochs, const struct epoch_key *key, enum epoch_level level)
{
    struct epoch_slot *slot = slot_to_change(epochs, key, level);
    /* The fence first: whoever sees the new epoch and no fence must be after the write. */
    atomic_fetch_add(&slot->fences, 1);
    atomic_fetch_add(&slot->epoch, 1);
}

void epochs_lift(struct epochs *epochs, const struct epoch_key *key, enum epoch_level level, bool changed)
{
    struct epoch_slot *slot = slot_to_change(epochs, key, level);
    if (changed)
        atomic_fetch_add(&slot->epoch, 1);
    uint64_t before = atomic_fetch_sub(&slot->fences, 1);
    assert(before > 0);
    (void) before;
}
