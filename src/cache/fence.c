/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fence.c: a write's passage through the cache (decision 5). Raising it makes what is known worthless at once (epoch)
 * and after a crash (tombstone); lifting it says whether the write may have changed anything.
 */
#include "base/mem.h"
#include "cache/asker.h"
#include "cache/context.h"

struct cache_fence {
    struct letter letter; /* to the object's owner, then back when the tombstone is durable */
    struct cache *cache;
    struct loop *loop;
    struct epoch_key key;
    enum cache_fence_scope scope;
    void (*raised)(void *arg); /* NULL once lifted */
    void *arg;
    bool durable; /* the letter is home */
    bool lifted;
};

static bool fence_level(const struct cache_fence *fence, enum epoch_level *level)
{
    switch (fence->scope) {
    case CACHE_FENCE_OBJECT:
        *level = EPOCH_OBJECT;
        return true;
    case CACHE_FENCE_CONTAINER:
        *level = EPOCH_CONTAINER;
        return true;
    case CACHE_FENCE_ACCOUNT:
        *level = EPOCH_ACCOUNT;
        return true;
    case CACHE_FENCE_GRANTS:
        break;
    }
    return false;
}

static void fence_raised(struct letter *letter)
{
    struct cache_fence *fence = CONTAINER_OF(letter, struct cache_fence, letter);
    fence->durable = true;
    if (fence->lifted)
        mem_free(fence);
    else
        fence->raised(fence->arg);
}

static void fence_write_tombstone(struct letter *letter)
{
    struct cache_fence *fence = CONTAINER_OF(letter, struct cache_fence, letter);
    struct store *store = fence->cache->config.store;

    fence->letter.deliver = fence_raised;
    switch (fence->scope) {
    case CACHE_FENCE_OBJECT:
        store_tombstone(store, fence->key.object, fence->loop, &fence->letter);
        break;
    case CACHE_FENCE_CONTAINER:
        store_tombstone_group(store, fence->key.container, fence->loop, &fence->letter);
        break;
    case CACHE_FENCE_ACCOUNT:
        store_tombstone_group(store, STORE_EVERY_GROUP, fence->loop, &fence->letter);
        break;
    case CACHE_FENCE_GRANTS: /* grants do not outlive the process */
        loop_post(fence->loop, &fence->letter);
        break;
    }
}

struct cache_fence *cache_fence_raise(struct cache *cache, struct loop *loop, const struct cache_request *request,
                                      enum cache_fence_scope scope, void (*raised)(void *arg), void *arg)
{
    struct cache_fence *fence = mem_calloc(1, sizeof *fence);
    enum epoch_level level;

    fence->cache = cache;
    fence->loop = loop;
    fence->key = asker_epoch_key(request);
    fence->scope = scope;
    fence->raised = raised;
    fence->arg = arg;
    if (fence_level(fence, &level))
        epochs_raise(cache->epochs, &fence->key, level);
    fence->letter.deliver = fence_write_tombstone;
    loop_post(cache_object_owner(cache, request->object), &fence->letter);
    return fence;
}

void cache_fence_lift(struct cache_fence **lifted, bool refused)
{
    struct cache_fence *fence = *lifted;
    enum epoch_level level;

    *lifted = NULL;
    if (fence == NULL)
        return;
    if (fence_level(fence, &level))
        epochs_lift(fence->cache->epochs, &fence->key, level, !refused);
    else if (!refused)
        grants_revoke(fence->cache->grants, fence->key.account);
    fence->lifted = true;
    if (fence->durable)
        mem_free(fence);
}
