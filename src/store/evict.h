/* SPDX-License-Identifier: Apache-2.0 */
/*
 * evict.h: who goes when space is needed. A policy and nothing else: it knows slots by number, asks its owner whether
 * one was used, and touches no disk, so a trace can drive it.
 *
 * First form: one queue in the order of filling, with a second chance for slots that were used since the policy last
 * looked; segments with little left in them go first. A better policy (queues with ghosts, admission by reuse distance)
 * replaces what is behind these functions and needs no other face.
 *
 * Not thread-safe, but for evict_admit: the owner calls it under its space lock.
 */
#ifndef HEADPOND_STORE_EVICT_H
#define HEADPOND_STORE_EVICT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"

#define EVICT_NONE UINT32_MAX

struct evict;

struct evict_events {
    /* Whether the slot was used since the last call, which this call forgets. */
    bool (*used)(void *arg, uint32_t slot);
    /* How many live bytes a sparse segment still holds. */
    uint32_t (*live)(void *arg, uint32_t slot);
    void *arg;
};

/* For slots 0 … capacity − 1; 9 bytes each. */
struct evict *evict_new(uint32_t capacity, const struct evict_events *events);
void evict_free(struct evict *evict);

/* Whether this block should be stored at all. Always yes in this form. Any thread, without the lock: loops ask. */
bool evict_admit(struct evict *evict, struct hash128 object, uint64_t block, uint32_t length);
/* The slot now holds something that may be evicted. */
void evict_insert(struct evict *evict, uint32_t slot);
/* It no longer does (dropped otherwise); nothing happens when it is not queued. */
void evict_remove(struct evict *evict, uint32_t slot);
/* A queued segment is mostly dead: it goes before everything else. */
void evict_sparse(struct evict *evict, uint32_t slot);
/* Takes the next victim off the queues, or EVICT_NONE when they are empty. Looks at a bounded number of slots. */
uint32_t evict_victim(struct evict *evict);
bool evict_queued(const struct evict *evict, uint32_t slot);

#endif
