/* SPDX-License-Identifier: Apache-2.0 */
/* invalidate.c: counts the fences up and takes them down together. */
#include "proxy/invalidate.h"

#include "base/mem.h"

#define FENCES_MAX 3

struct invalidation {
    struct cache_fence *fences[FENCES_MAX];
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

/* No fence calls back from inside its raise. */
static void add(struct invalidation *invalidation, struct cache *cache, struct loop *loop,
                const struct cache_request *request, enum cache_fence_scope scope)
{
    invalidation->fences[invalidation->count++] =
        cache_fence_raise(cache, loop, request, scope, on_raised, invalidation);
    invalidation->waiting++;
}

struct invalidation *invalidation_raise(struct proxy *proxy, struct loop *loop, const struct route *route,
                                        void (*raised)(void *arg), void *arg)
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
    if (class->touch != BLOB_TOUCH_NOTHING)
        add(made, proxy->cache, loop, &route->cache, scopes[class->touch]);
    if (class->touch == BLOB_TOUCH_OBJECT && class->touch_base) {
        struct cache_request base = route_base_blob(route);
        add(made, proxy->cache, loop, &base, CACHE_FENCE_OBJECT);
    }
    if (class->touch_grants)
        add(made, proxy->cache, loop, &route->cache, CACHE_FENCE_GRANTS);
    return made;
}

void invalidation_lift(struct invalidation **invalidation, bool refused)
{
    struct invalidation *gone = *invalidation;
    *invalidation = NULL;
    if (gone == NULL)
        return;
    for (unsigned i = 0; i < gone->count; i++)
        cache_fence_lift(&gone->fences[i], refused);
    mem_free(gone);
}
