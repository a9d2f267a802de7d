/* SPDX-License-Identifier: Apache-2.0 */
/*
 * epoch.h: what tells an answer from before a write from one after it (decision 5).
 *
 * Objects, containers and accounts each have an epoch that goes up when a write to them is about to be forwarded and
 * again when it has ended (unless the origin refused it). A stamp is the sum of the three: every validation remembers
 * the stamp it was sent under and is believed only while the stamp still stands. While a write is between its two ends
 * its object is fenced: nothing of it is served unasked and nothing learnt of it is committed.
 *
 * Epochs are counters in fixed tables indexed by hash, so there is nothing to allocate, to free or to forget: two
 * objects that share a counter cost each other a validation now and then, never a wrong answer. Any thread.
 */
#ifndef HEADPOND_CACHE_EPOCH_H
#define HEADPOND_CACHE_EPOCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"

struct epochs;

/* Which blob: its own hash and those of what it lies in. */
struct epoch_key {
    struct hash128 object;
    struct hash128 container;
    struct hash128 account;
};

enum epoch_level { EPOCH_OBJECT, EPOCH_CONTAINER, EPOCH_ACCOUNT, EPOCH_LEVELS };

struct epochs *epochs_new(void);
void epochs_free(struct epochs *epochs);

uint64_t epochs_stamp(const struct epochs *epochs, const struct epoch_key *key);
/* A write to the object, its container or its account is under way. */
bool epochs_fenced(const struct epochs *epochs, const struct epoch_key *key);

/* Nothing learnt so far is believed any more (a fill met another generation, for one). */
void epochs_bump(struct epochs *epochs, const struct epoch_key *key, enum epoch_level level);

/* A write begins; each raise is followed by one lift. */
void epochs_raise(struct epochs *epochs, const struct epoch_key *key, enum epoch_level level);
/* `changed`: it was done, or nobody knows. */
void epochs_lift(struct epochs *epochs, const struct epoch_key *key, enum epoch_level level, bool changed);

#endif
