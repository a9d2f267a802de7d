/* SPDX-License-Identifier: Apache-2.0 */
/* invalidate.c: counts the fences up, takes them down together, and then has the same told. */
#include "proxy/invalidate.h"

#include "base/mem.h"
#include "pool/tells.h"

#define FENCES_MAX 3

struct invalidation {
    struct tells *tells; /* or NULL */
    struct cache_fence *fences[FENCES_MAX];
    struct tells_news news[FENCES_MAX]; /* of each, where there are tells; in the arena */
    unsigned count;
    unsigned waiting; /* fences not yet durable */
    struct arena *arena;
    void (*raised)(void *arg);
    void *arg;
};

static void on_raised(void *arg)
{
    struct invalidation *invalidation = arg;
    if (--invalidation->waiting == 0)
        invalidation->raised(invalidation->arg);
}

static struct tells_news news_of(const struct route *route, const struct cache_request *request,
                                 enum cache_fence_scope scope, struct arena *arena)
{
    bool base = !hash128_eq(request->object, route->cache.object);
    switch (scope) {
    case CACHE_FENCE_OBJECT:
        return (struct tells_news){WIRE_CHANGED_OBJECT, request->object,
                                   route_public_target(route, BLOB_LEVEL_BLOB, base, arena)};
    case CACHE_FENCE_CONTAINER:
        return (struct tells_news){WIRE_CHANGED_CONTAINER, request->container,
                                   route_public_target(route, BLOB_LEVEL_CONTAINER, base, arena)};
    case CACHE_FENCE_ACCOUNT:
        return (struct tells_news){WIRE_CHANGED_ACCOUNT, request->account_hash,
                                   route_public_target(route, BLOB_LEVEL_ACCOUNT, base, arena)};
    case CACHE_FENCE_GRANTS:
        break;
    }
    return (struct tells_news){WIRE_CHANGED_GRANTS, request->account_hash,
                               route_public_target(route, BLOB_LEVEL_ACCOUNT, base, arena)};
}

/* No fence calls back from inside its raise. */
static void add(struct invalidation *invalidation, struct proxy_loop *home, const struct route *route,
                const struct cache_request *request, enum cache_fence_scope scope)
{
    unsigned n = invalidation->count++;
    invalidation->fences[n] =
        cache_fence_raise(home->proxy->cache, home->loop, request, scope, on_raised, invalidation);
    invalidation->waiting++;
    if (invalidation->tells != NULL)
        invalidation->news[n] = news_of(route, request, scope, invalidation->arena);
}

struct invalidation *invalidation_raise(struct proxy_loop *home, const struct route *route, void (*raised)(void *arg),
                                        void *arg)
{
    static const enum cache_fence_scope scopes[] = {
        [BLOB_TOUCH_OBJECT] = CACHE_FENCE_OBJECT,
        [BLOB_TOUCH_CONTAINER] = CACHE_FENCE_CONTAINER,
        [BLOB_TOUCH_ACCOUNT] = CACHE_FENCE_ACCOUNT,
    };
    const struct blob_class *class = &route->class;
    if (class->touch == BLOB_TOUCH_NOTHING && !class->touch_grants)
        return NULL;
    struct invalidation *made = mem_calloc(1, sizeof *made);
    made->raised = raised;
    made->arg = arg;
    made->tells = home->tells;
    made->arena = made->tells == NULL ? NULL : arena_new_small();
    if (class->touch != BLOB_TOUCH_NOTHING)
        add(made, home, route, &route->cache, scopes[class->touch]);
    if (class->touch == BLOB_TOUCH_OBJECT && class->touch_base) {
        struct cache_request base = route_base_blob(route);
        add(made, home, route, &base, CACHE_FENCE_OBJECT);
    }
    if (class->touch_grants)
        add(made, home, route, &route->cache, CACHE_FENCE_GRANTS);
    return made;
}

static void tell(const struct invalidation *invalidation, struct tells_wait **wait)
{
    if (wait != NULL)
        *wait = tells_wait_new(invalidation->tells);
    for (unsigned i = 0; i < invalidation->count; i++)
        tells_tell(invalidation->tells, &invalidation->news[i], wait == NULL ? NULL : *wait);
}

void invalidation_lift(struct invalidation **invalidation, bool refused, struct tells_wait **wait)
{
    struct invalidation *gone = *invalidation;
    *invalidation = NULL;
    if (gone == NULL)
        return;
    for (unsigned i = 0; i < gone->count; i++)
        cache_fence_lift(&gone->fences[i], refused);
    if (!refused && gone->tells != NULL)
        tell(gone, wait);
    arena_free(gone->arena);
    mem_free(gone);
}
