/* SPDX-License-Identifier: Apache-2.0 */
/*
 * own_request.h: the requests that headpond makes of its own accord, for a record, a grant or a run of blocks: one
 * pinned x-ms-version, no response overrides (decision 6), the asker's credential or our own, nothing else of the
 * asker's request. The loop that asks.
 */
#ifndef HEADPOND_CACHE_OWN_REQUEST_H
#define HEADPOND_CACHE_OWN_REQUEST_H

#include "cache/asker.h"

struct own_request {
    bool head;
    bool ranged;
    uint64_t first; /* bytes, inclusive */
    uint64_t last;
    struct str if_match;          /* or a NULL str */
    bool modest;                  /* little will come */
    struct budget_ticket *budget; /* as in origin/client.h */
    bool own;                     /* signed by our own credential if there is one, though the client's is the asker's */
};

/* Whether our own credential signs it. */
static inline bool own_request_signed(const struct cache_request *asker, const struct own_request *what)
{
    return asker->signer != NULL && (asker->vouched || what->own);
}

/* Starts it on the loop; the reply's head comes to `head` (origin/client.h). */
struct origin_fetch *own_request_start(struct cache *cache, struct loop *loop, const struct cache_request *asker,
                                       const struct own_request *what, const struct origin_events *events);

#endif
