/* SPDX-License-Identifier: Apache-2.0 */
/* epoch.c: all sequentially consistent: writes are rare, and a stamp is three loads. */
#include "cache/epoch.h"

#include <assert.h>
#include <stdatomic.h>

#include "base/mem.h"

/* With a thousand writes under way, one read in sixty-five asks once more than it had to. */
#define EPOCH_SLOTS 65536

struct epochs {
    atomic_uint_fast64_t moved[EPOCH_LEVELS][EPOCH_SLOTS];
    atomic_uint_fast64_t fences[EPOCH_SLOTS]; /* writes to objects under way */
};

struct epochs *epochs_new(void)
{
    return mem_calloc(1, sizeof(struct epochs));
}

void epochs_free(struct epochs *epochs)
{
    mem_free(epochs);
}

/* Containers of an account share their hash' other half. */
static size_t slot_of(const struct epoch_key *key, enum epoch_level level)
{
    const struct hash128 *hash = level == EPOCH_OBJECT      ? &key->object
                                 : level == EPOCH_CONTAINER ? &key->container
                                                            : &key->account;
    return hash->lo % EPOCH_SLOTS;
}

uint64_t epochs_stamp(const struct epochs *epochs, const struct epoch_key *key)
{
    uint64_t stamp = 0;
    for (int level = 0; level < EPOCH_LEVELS; level++)
        stamp += atomic_load(&epochs->moved[level][slot_of(key, (enum epoch_level) level)]);
    return stamp;
}

bool epochs_written(const struct epochs *epochs, const struct epoch_key *key)
{
    return atomic_load(&epochs->moved[EPOCH_OBJECT][slot_of(key, EPOCH_OBJECT)]) != 0;
}

bool epochs_fenced(const struct epochs *epochs, const struct epoch_key *key)
{
    return atomic_load(&epochs->fences[slot_of(key, EPOCH_OBJECT)]) != 0;
}

void epochs_bump(struct epochs *epochs, const struct epoch_key *key, enum epoch_level level)
{
    atomic_fetch_add(&epochs->moved[level][slot_of(key, level)], 1);
}

void epochs_raise(struct epochs *epochs, const struct epoch_key *key)
{
    /* The fence first: whoever sees the new epoch and no fence must be after the write. */
    atomic_fetch_add(&epochs->fences[slot_of(key, EPOCH_OBJECT)], 1);
    epochs_bump(epochs, key, EPOCH_OBJECT);
}

void epochs_lift(struct epochs *epochs, const struct epoch_key *key, bool changed)
{
    if (changed)
        epochs_bump(epochs, key, EPOCH_OBJECT);
    uint64_t before = atomic_fetch_sub(&epochs->fences[slot_of(key, EPOCH_OBJECT)], 1);
    assert(before > 0);
    (void) before;
}
