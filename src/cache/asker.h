/* SPDX-License-Identifier: Apache-2.0 */
/*
 * asker.h: a cache_request that outlives the exchange it came from: who asks for which blob, by which credential.
 *
 * Counted; the texts live behind it and are wiped when the last reference goes, since they hold a credential.
 * Immutable; any thread.
 */
#ifndef HEADPOND_CACHE_ASKER_H
#define HEADPOND_CACHE_ASKER_H

#include <stdatomic.h>

#include "cache/cache.h"
#include "cache/epoch.h"

struct asker {
    atomic_uint refs;
    size_t size;
    struct cache_request request; /* its texts are this asker's own */
};

/* A deep copy with one reference. */
struct asker *asker_new(const struct cache_request *request);
struct asker *asker_ref(struct asker *asker);
/* Empties the pointer; *asker may be NULL. */
void asker_unref(struct asker **asker);

/* Whether both are the same credential for the same scope: what one is granted, the other is. */
bool asker_same_credential(const struct cache_request *a, const struct cache_request *b);

static inline struct epoch_key asker_epoch_key(const struct cache_request *request)
{
    return (struct epoch_key){request->object, request->container, request->account_hash};
}

#endif
