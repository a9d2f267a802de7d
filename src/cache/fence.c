/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fence.c: a write's passage through the cache (decision 5; epoch.h says why it is right).
 *
 * One object's fence makes what is known of it worthless when it is raised, at once (epoch) and after a crash
 * (tombstone); lifting it says whether the write may have changed anything. A wide one leaves everything as it is until
 * the write has ended: raising it records an intent, and only a write that may have been done moves the epoch and
 * writes the tombstone, which ends the intent. Grants do not outlive the process: there is nothing to record of them.
 */
#include "base/mem.h"
#include "cache/asker.h"
#include "cache/context.h"

struct cache_fence {
    struct letter letter; /* to where it is recorded, then back when that is durable */
    struct cache *cache;
    struct loop *loop;
    struct epoch_key key;
    enum cache_fence_scope scope;
    void (*raised)(void *arg); /* not called once lifted */
    void *arg;
    bool durable; /* the letter is home */
    bool lifted;
};

static bool fence_wide(const struct cache_fence *fence)
{
    return fence->scope == CACHE_FENCE_CONTAINER || fence->scope == CACHE_FENCE_ACCOUNT;
}

/* A wide write that was never forwarded changed nothing. */
static void fence_raised(struct letter *letter)
{
    struct cache_fence *fence = CONTAINER_OF(letter, struct cache_fence, letter);
    fence->durable = true;
    if (!fence->lifted) {
        fence->raised(fence->arg);
        return;
    }
    if (fence_wide(fence))
        store_intent_end(fence->cache->config.store);
    mem_free(fence);
}

/* On the object's owner. */
static void fence_write_tombstone(struct letter *letter)
{
    struct cache_fence *fence = CONTAINER_OF(letter, struct cache_fence, letter);
    fence->letter.deliver = fence_raised;
    store_tombstone(fence->cache->config.store, fence->key.object, fence->loop, &fence->letter);
}

struct cache_fence *cache_fence_raise(struct cache *cache, struct loop *loop, const struct cache_request *request,
                                      enum cache_fence_scope scope, void (*raised)(void *arg), void *arg)
{
    struct cache_fence *fence = mem_calloc(1, sizeof *fence);

    fence->cache = cache;
    fence->loop = loop;
    fence->key = asker_epoch_key(request);
    fence->scope = scope;
    fence->raised = raised;
    fence->arg = arg;
    fence->letter.deliver = fence_raised;
    switch (scope) {
    case CACHE_FENCE_OBJECT:
        epochs_raise(cache->epochs, &fence->key);
        fence->letter.deliver = fence_write_tombstone;
        loop_post(cache_object_owner(cache, request->object), &fence->letter);
        break;
    case CACHE_FENCE_CONTAINER:
    case CACHE_FENCE_ACCOUNT:
        store_intent_begin(cache->config.store, loop, &fence->letter);
        break;
    case CACHE_FENCE_GRANTS:
        loop_post(loop, &fence->letter);
        break;
    }
    return fence;
}

static void lift_wide(struct cache_fence *fence, enum epoch_level level, struct hash128 group, bool refused)
{
    struct store *store = fence->cache->config.store;
    if (!fence->durable)
        return; /* never forwarded: the letter ends it */
    if (refused) {
        store_intent_end(store);
        return;
    }
    /* First: its tombstone takes what was committed under the older stamp. */
    epochs_bump(fence->cache->epochs, &fence->key, level);
    store_tombstone_group(store, group, NULL, NULL);
}

void cache_fence_lift(struct cache_fence **lifted, bool refused)
{
    struct cache_fence *fence = *lifted;

    *lifted = NULL;
    if (fence == NULL)
        return;
    switch (fence->scope) {
    case CACHE_FENCE_OBJECT:
        epochs_lift(fence->cache->epochs, &fence->key, !refused);
        break;
    case CACHE_FENCE_CONTAINER:
        lift_wide(fence, EPOCH_CONTAINER, fence->key.container, refused);
        break;
    case CACHE_FENCE_ACCOUNT:
        lift_wide(fence, EPOCH_ACCOUNT, store_group_family(fence->key.account.hi), refused);
        break;
    case CACHE_FENCE_GRANTS:
        if (!refused)
            grants_revoke(fence->cache->grants, fence->key.account);
        break;
    }
    fence->lifted = true;
    if (fence->durable)
        mem_free(fence);
}
