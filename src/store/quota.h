/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quota.h: which groups may hold no more than so many of a disk's slots, and which are left at least so many.
 *
 * A quota is a group's (a container's), or a family's: all containers of an account together. A block counts for its
 * group's and for its family's, so the former lies in the latter: its parent. Quotas are numbered from 1; number 0 is
 * what has none, and has no bounds.
 *
 *   limit    what a group claims beyond it takes a slot of its own away, never another's (evict.h)
 *   reserve  as long as it holds no more, its slots do not go for others' sake, unless nothing else is left
 *
 * Slots that are being written count, so a limit is never passed: only by what a start finds when it was higher before,
 * and that goes then.
 *
 * The owner's lock, but for what says otherwise.
 */
#ifndef HEADPOND_STORE_QUOTA_H
#define HEADPOND_STORE_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "store/store.h"

#define QUOTA_UNLIMITED UINT32_MAX
/* A number fits beside a slot (evict_inside.h). */
#define QUOTAS_MAX STORE_QUOTAS_MAX

struct quotas;

struct quota_row {
    struct hash128 group; /* or a family (store.h) */
    uint32_t reserve;     /* slots */
    uint32_t limit;       /* slots, or QUOTA_UNLIMITED */
    const char *labels;   /* of the metric that says what it holds */
};

/* No group twice, and at most QUOTAS_MAX; `unit`: the bytes that a slot counts for in the metric. */
struct quotas *quotas_new(const struct quota_row *rows, unsigned count, uint32_t unit);
/* What is still held leaves the metric. */
void quotas_free(struct quotas *quotas);
unsigned quotas_count(const struct quotas *quotas);
/* How many slots are reserved in all. */
uint32_t quotas_reserved(struct quotas *quotas);

/* ---- Any thread. ---- */

/* The group's own, or else its family's. */
unsigned quotas_find(const struct quotas *quotas, struct hash128 group);
/* 0: none. */
unsigned quotas_parent(const struct quotas *quotas, unsigned number);
/* The nearest, itself or its parent, that has a limit; or 0. */
unsigned quotas_limited(const struct quotas *quotas, unsigned number);
uint32_t quotas_limit(const struct quotas *quotas, unsigned number);
uint32_t quotas_held(struct quotas *quotas, unsigned number);
/* Whether what it holds, or its parent, is less than what is reserved. */
bool quotas_entitled(struct quotas *quotas, unsigned number);
/* Whether it may hold nothing at all. */
bool quotas_barred(const struct quotas *quotas, unsigned number);

/* ---- Under the lock. ---- */

/* Slots of it, and so of its parent, came or went. */
void quotas_hold(struct quotas *quotas, unsigned number, int slots);
/* The nearest, itself or its parent, that holds its limit; or 0. */
unsigned quotas_at_limit(struct quotas *quotas, unsigned number);
/* One that holds more than its limit, or 0. */
unsigned quotas_over(struct quotas *quotas);
/* Whether its slots lie in that quota; everything does in 0. */
bool quotas_within(const struct quotas *quotas, unsigned number, unsigned outer);
/* Whether its slots are reserved, seen from `outer`: by a quota that lies within that one. */
bool quotas_kept(struct quotas *quotas, unsigned number, unsigned outer);
/* What is not at everybody's disposal: slots held under a limit, or reserved. */
uint32_t quotas_apart(struct quotas *quotas);
/* Its part of that, if it has no limit: what it holds of its reserve. */
uint32_t quotas_own(struct quotas *quotas, unsigned number);

#endif
