/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grant.h: the origin's yes, remembered: (credential, exact scope, operation), decision 7. Only a yes is kept; a
 * refusal belongs to the reader who got it.
 *
 * A set-associative table of a fixed number of places, read on every loop without a lock (RCU); a full set gives up its
 * oldest grant, which costs a probe. A grant ends with its TTL, with its credential's own expiry, and when the grants
 * of its account are revoked (a container's ACL changed): by a counter, which voids what was asked by this node, and by
 * the time, since a yes that another node had remembered may come here after that (pool/wire.h: grant-age). Look-ups on RCU-registered threads only; changes on any of
 * them.
 */
#ifndef HEADPOND_CACHE_GRANT_H
#define HEADPOND_CACHE_GRANT_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/cache.h"

struct grants;

/* `max`: how many are kept, rounded up to a power of two. */
struct grants *grants_new(unsigned max);
/* When no thread looks any more. */
void grants_free(struct grants *grants);

/* A yes to GET is a yes to HEAD; a yes to HEAD is only that. Also true for whom the proxy vouches for, or another node;
 * of those nothing is kept. */
bool grants_allow(struct grants *grants, const struct cache_request *request, enum cache_want operation);

/* How long ago that yes was asked for, in ms; 0: there is none. */
int64_t grants_age_ms(struct grants *grants, const struct cache_request *request, enum cache_want operation);

/* Take this before a probe is sent, and hand it to grants_add: a revocation in between makes the yes void. */
uint64_t grants_stamp(struct grants *grants, const struct cache_request *request);
/* `asked_ms`: clock_mono_ms when the origin was asked, from which the TTL counts. A void yes is not kept. */
void grants_add(struct grants *grants, const struct cache_request *request, enum cache_want operation, uint64_t stamp,
                int64_t asked_ms);
/* Whether the account's grants have been revoked since: another node's yes of then says nothing of now. */
bool grants_void(struct grants *grants, const struct cache_request *request, int64_t asked_ms);
/* The origin has said no to a credential that we thought was allowed. */
void grants_drop(struct grants *grants, const struct cache_request *request);
/* All of the account's, and those of probes under way. */
void grants_revoke(struct grants *grants, struct hash128 account);

#endif
