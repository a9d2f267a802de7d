/* SPDX-License-Identifier: Apache-2.0 */
/* invalidate.c: counts the fences up and takes them down together. */
#include "proxy/invalidate.h"

#include "base/mem.h"

#define FENCES_MAX 3

struct fence_slot {
    struct cache_request request; /* names only */
    enum cache_fence_scope scope;
    struct cache_fence *fence;
};

struct invalidation {
    struct fence_slot slots[FENCES_MAX];
    unsigned count;
    unsigned waiting; /* fences not yet durable */
    void (*raised)(void *arg);
    void *arg;
};

static void on_raised(void *arg)
{
    struct invalidation *invalidation = arg;
    if (--invalidation->waiting == 0)
        invalidation->raised(invalidation->arg);
}

static void add(struct invalidation *invalidation, const struct cache_request *request, enum cache_fence_scope scope)
{
    struct fence_slot *slot = &invalidation->slots[invalidation->count++];
    slot->request = *request;
    slot->request.target = STR_NULL; /* they go with the request */
    slot->request.authorization = slot->request.own_target = STR_NULL;
    slot->scope = scope;
}

static void add_all(struct invalidation *invalidation, const struct route *route)
{
    switch (route->class.touch) {
    case BLOB_TOUCH_NOTHING:
        break;
    case BLOB_TOUCH_OBJECT:
        add(invalidation, &route->cache, CACHE_FENCE_OBJECT);
        if (route->class.touch_base) {
            struct cache_request base = route_base_blob(route);
            add(invalidation, &base, CACHE_FENCE_OBJECT);
        }
        break;
    case BLOB_TOUCH_CONTAINER:
        add(invalidation, &route->cache, CACHE_FENCE_CONTAINER);
        break;
    case BLOB_TOUCH_ACCOUNT:
        add(invalidation, &route->cache, CACHE_FENCE_ACCOUNT);
        break;
    }
    if (route->class.touch_grants)
        add(invalidation, &route->cache, CACHE_FENCE_GRANTS);
}

struct invalidation *invalidation_raise(struct proxy *proxy, struct loop *loop, const struct route *route,
                                        void (*raised)(void *arg), void *arg)
{
    if (route->class.touch == BLOB_TOUCH_NOTHING && !route->class.touch_grants)
        return NULL;
    struct invalidation *invalidation = mem_calloc(1, sizeof *invalidation);
    invalidation->raised = raised;
    invalidation->arg = arg;
    add_all(invalidation, route);
    invalidation->waiting = invalidation->count;
    for (unsigned i = 0; i < invalidation->count; i++) {
        struct fence_slot *slot = &invalidation->slots[i];
        slot->fence = cache_fence_raise(proxy->cache, loop, &slot->request, slot->scope, on_raised, invalidation);
    }
    return invalidation;
}

void invalidation_lift(struct invalidation **invalidation, bool refused)
{
    struct invalidation *gone = *invalidation;
    *invalidation = NULL;
    if (gone == NULL)
        return;
    for (unsigned i = 0; i < gone->count; i++)
        cache_fence_lift(&gone->slots[i].fence, refused);
    mem_free(gone);
}
