/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upstream.h: the requests that headpond makes of its own accord, for a record, a grant or a run of blocks: one pinned
 * x-ms-version, no response overrides (decision 6), the asker's credential or our own, nothing else of the asker's
 * request. They go by the ways that there are for them (pool/pool.h): to the member of the pool where that is at
 * home; from there, for bytes of a known generation, to who was at home before, for what that has, or to the region that
 * asks the account for it; else to the origin. Whoever does not answer is passed over for the next way, and whoever
 * asked does not notice.
 *
 * Who takes longer than mostly is hedged, within what hedges may cost (pool/hedge.h): where bytes are wanted, first by
 * who comes next in order, for what that has; and by the origin once it is as late as the origin would be. What answers
 * first is taken, the other one is given up. Whoever has said that it has to ask somebody itself (102) is waited for.
 *
 * What a member says of the blob is the origin's word, and how long ago the origin said it comes along. What it says of
 * itself (Proxy-Status) is not, nor what a former home or another region says but that it has the bytes: then the next
 * way is taken. Nothing of the asker's goes to another region (decision 9).
 *
 * On the loop that asks.
 */
#ifndef HEADPOND_CACHE_UPSTREAM_H
#define HEADPOND_CACHE_UPSTREAM_H

#include "cache/asker.h"
#include "origin/admission.h"

struct upstream;

struct upstream_ask {
    bool head;
    bool ranged;
    uint64_t first; /* bytes, inclusive */
    uint64_t last;
    struct str if_match;          /* the bytes of one generation are wanted, by who may read it; or a NULL str */
    bool modest;                  /* little will come */
    struct budget_ticket *budget; /* as in origin/client.h; it outlives the request */
    bool own;                     /* signed by our own credential if there is one, though the client's is the asker's */

    /* of whoever is asked in the origin's place */
    uint64_t extent;   /* that home's; 0 for the object's record */
    enum pool_way way; /* by none that is farther */
    bool record;       /* no bytes are: it should not begin with them */
    bool validate;     /* what it knows does not suffice */
    bool granted;      /* the asker is let in, and a member believes us that */
};

struct upstream_events {
    /* As in origin/client.h. */
    void (*head)(void *arg, const struct http_response *head, enum status why);
    void *arg;
};

/* By which way a request for the object's record would go now, and one for an extent of a known generation, or of the
 * one that the asker has pinned, or of none; no farther than the asker may have it go. Any thread that reads members. */
enum pool_way upstream_record_way(const struct cache *cache, const struct cache_request *request);
enum pool_way upstream_extent_way(const struct cache *cache, const struct cache_request *request, uint64_t extent,
                                  bool pinned);
/* Whether the first request for a blob that nobody knows may be for bytes of that extent: they are to be at home where
 * the record is, and either this region is to ask the account for them or the asker has pinned the generation. */
bool upstream_opens(const struct cache *cache, const struct cache_request *request, uint64_t extent);

/* Who waits to make a request that will go by that way, and leaves how much to others; where another node is asked the
 * account is not. */
static inline struct admission_wish upstream_wish(const struct cache_request *asker, enum pool_way way)
{
    return (struct admission_wish){
        .budget = way == POOL_ORIGIN ? asker->budget : NULL,
        .account = asker->account_hash.lo,
        .client = asker->client,
        .leaves = way,
    };
}

/* Whether our own credential signs it. */
static inline bool upstream_signed(const struct cache_request *asker, const struct upstream_ask *ask)
{
    return asker->signer != NULL && (asker->vouched || ask->own);
}

/* Copies what it needs. */
struct upstream *upstream_start(struct cache *cache, struct loop *loop, struct asker *asker,
                                const struct upstream_ask *ask, const struct upstream_events *events);

/* After a head: the body, which lives as long as the request. */
struct source *upstream_body(struct upstream *upstream);
/* After a head: by which way it came. If that was a member, how long ago, in seconds, the origin vouched for what it
 * tells, and in ms for the credential; else both are 0. */
enum pool_way upstream_came_by(const struct upstream *upstream);
int64_t upstream_age_s(const struct upstream *upstream);
int64_t upstream_grant_age_ms(const struct upstream *upstream);

/* No callback follows. Empties the pointer; *upstream may be NULL. Allowed inside `head`. */
void upstream_close(struct upstream **upstream);

#endif
