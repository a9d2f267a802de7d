/* SPDX-License-Identifier: Apache-2.0 */
/*
 * epoch.h: what tells an answer from before a write from one after it (decision 5).
 *
 * Objects, containers and accounts each have an epoch. A stamp is the sum of the three: every validation remembers the
 * stamp it was sent under and is believed only while the stamp still stands.
 *
 * A write to one object moves its epoch when it is about to be forwarded and again when it has ended (unless the origin
 * refused it). While it is between its two ends the object is fenced: nothing of it is served unasked and nothing
 * learnt of it is committed. So a stranger's write, which the origin refuses, costs that object one validation.
 *
 * A write that may change a container or an account, as far as its head tells, is not fenced: as many validations as
 * that holds objects would be too high a price for a stranger's, or for one whose body trickles in. Its epoch moves
 * once, when the origin has done it or nobody knows, before anybody is told. (Decision 5 has every epoch move before
 * the write is forwarded; for wide scopes this keeps its promise, not its wording.) That suffices:
 *   - until the writer is told, old and new are equally right for everybody else: the two are concurrent;
 *   - what was asked before the epoch moved carries the older stamp and is not believed afterwards, however late it is
 *     answered, so no answer from before the write blesses an old generation once the writer knows;
 *   - what is asked after it moved was asked after the origin had answered the write, and shows what it did.
 * A crash in between would forget the move; what is durable before the write is forwarded is the intent (store.h),
 * after which a start believes no validation at all.
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
/* A write to the object itself has begun here, or to one that shares its counter, since the start. */
bool epochs_written(const struct epochs *epochs, const struct epoch_key *key);
/* A write to the object is under way. */
bool epochs_fenced(const struct epochs *epochs, const struct epoch_key *key);

/* Nothing learnt so far is believed any more: a wide write was done, or a fill met another generation. */
void epochs_bump(struct epochs *epochs, const struct epoch_key *key, enum epoch_level level);

/* A write to the object begins; each raise is followed by one lift. */
void epochs_raise(struct epochs *epochs, const struct epoch_key *key);
/* `changed`: it was done, or nobody knows. */
void epochs_lift(struct epochs *epochs, const struct epoch_key *key, bool changed);

#endif
