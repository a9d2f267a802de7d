/* SPDX-License-Identifier: Apache-2.0 */
/* cache.c: the cache put together, and the questions that need no letter. */
#include "cache/cache.h"

#include "base/clock.h"
#include "base/mem.h"
#include "cache/answer.h"
#include "cache/fill.h"
#include "cache/freshness.h"
#include "cache/inquiry.h"
#include "cache/joins.h"
#include "cache/place.h"
#include "cache/probe.h"
#include "http/precondition.h"

#define CACHE_GRANTS_MAX 65536
/* Blocks that one cache_presence looks up: what a loop does in well under a millisecond. */
#define CACHE_LOOKUPS_MAX 1024

struct cache *cache_new(const struct cache_config *config)
{
    struct cache *cache = mem_calloc(1, sizeof *cache);
    cache->config = *config;
    cache->epochs = epochs_new();
    cache->grants = grants_new(CACHE_GRANTS_MAX);
    cache->block_size = store_block_size(config->store);
    cache->blocks = store_room(config->store);
    places_init(cache);
    room_init(cache);
    probes_init(cache);
    return cache;
}

void cache_free(struct cache *cache)
{
    if (cache == NULL)
        return;
    grants_free(cache->grants);
    epochs_free(cache->epochs);
    admission_class_fini(&cache->places);
    admission_class_fini(&cache->probes);
    mem_free(cache);
}

void cache_loop_init(struct cache *cache, struct loop *loop)
{
    struct cache_loop *home = mem_calloc(1, sizeof *home);
    home->cache = cache;
    home->loop = loop;
    for (unsigned bucket = 0; bucket < CACHE_BUCKETS; bucket++)
        list_init(&home->flights[bucket]);
    list_init(&home->fills);
    admission_queue_init(&home->places, &cache->places, loop);
    inquiries_loop_init(home);
    room_loop_init(home);
    joins_loop_init(home);
    loads_loop_init(home);
    loop_set(loop, LOOP_SLOT_CACHE, home);
}

void cache_loop_stop(struct cache *cache, struct loop *loop)
{
    struct cache_loop *home = cache_loop_of(loop);
    (void) cache;
    inquiry_abort_all(home);
    LIST_FOR_EACH_SAFE(node, &home->fills)
    {
        fill_end(LIST_ENTRY(node, struct fill, on_loop), STATUS_SHUTDOWN);
    }
}

void cache_loop_fini(struct cache *cache, struct loop *loop)
{
    struct cache_loop *home = cache_loop_of(loop);
    cache_loop_stop(cache, loop);
    admission_queue_fini(&home->places);
    inquiries_loop_fini(home);
    room_loop_fini(home);
    joins_loop_fini(home);
    loads_loop_fini(home);
    loop_set(loop, LOOP_SLOT_CACHE, NULL);
    mem_free(home);
}

void cache_result_fini(struct cache_result *result)
{
    if (result->generation != NULL)
        store_generation_unref(&result->generation);
    if (result->answer != NULL) {
        struct answer *answer = (struct answer *) (uintptr_t) result->answer;
        answer_unref(&answer);
    }
    *result = (struct cache_result){.verdict = CACHE_FAILED, .status = STATUS_CANCELLED};
}

/* ---- From what is known. ---- */

static bool view_is_good(struct cache *cache, const struct cache_request *request, const struct cache_query *query,
                         const struct store_view *view)
{
    const struct object *object = view->generation->decoded;
    struct epoch_key key = asker_epoch_key(request);
    int64_t now_s = clock_steady_s();
    int64_t freshness = request->freshness;

    if (query->pin_holds && etag_eq_strong(query->pinned, object->etag))
        return true;
    if (query->validate || view->stamp != epochs_stamp(cache->epochs, &key) || epochs_fenced(cache->epochs, &key))
        return false;
    if (query->pinned.len > 0 && view->validated_s > 0 && etag_eq_strong(query->pinned, object->etag))
        return true;
    return freshness_holds(freshness, view->validated_s, now_s) &&
           (query->want == CACHE_WANT_GET || freshness_holds(freshness, object->head_validated_s, now_s));
}

bool cache_resolve_now(struct cache *cache, const struct cache_request *request, const struct cache_query *query,
                       struct cache_result *result)
{
    struct store_view view;

    if (!grants_allow(cache->grants, request, query->want) ||
        !store_object_find(cache->config.store, request->object, &view))
        return false;
    if (!view_is_good(cache, request, query, &view)) {
        store_generation_unref(&view.generation);
        return false;
    }
    *result = (struct cache_result){
        .verdict = CACHE_READY,
        .how = CACHE_HIT,
        .generation = view.generation,
        .object = view.generation->decoded,
        .validated_s = view.validated_s,
    };
    return true;
}

int64_t cache_grant_age_ms(struct cache *cache, const struct cache_request *request, enum cache_want want)
{
    return grants_age_ms(cache->grants, request, want);
}

/* ---- By asking the owner. ---- */

/* A letter is back; the last takes it along. */
static void resolve_unref(struct cache_resolve *resolve)
{
    if (--resolve->letters > 0)
        return;
    asker_unref(&resolve->asker);
    mem_free(resolve);
}

static void resolve_back(struct letter *letter)
{
    struct cache_resolve *resolve = CONTAINER_OF(letter, struct cache_resolve, letter);
    struct cache_result result = resolve->result;
    void (*done)(void *, struct cache_result *) = resolve->done;
    void *arg = resolve->arg;

    resolve_unref(resolve);
    if (done != NULL)
        done(arg, &result);
    else
        cache_result_fini(&result);
}

static void resolve_arrive(struct letter *letter)
{
    struct cache_resolve *resolve = CONTAINER_OF(letter, struct cache_resolve, letter);
    resolve->letter.deliver = resolve_back;
    inquiry_ask(cache_loop_of(loop_current()), resolve);
}

struct cache_resolve *cache_resolve_start(struct cache *cache, struct loop *loop, const struct cache_request *request,
                                          const struct cache_query *query,
                                          void (*done)(void *arg, struct cache_result *result), void *arg)
{
    struct cache_resolve *resolve = mem_calloc(1, sizeof *resolve);
    resolve->cache = cache;
    resolve->loop = loop;
    resolve->asker = asker_new(request);
    resolve->query = *query;
    /* Its text is the caller's. Where it only counts while the generation is fresh it has been looked at already. */
    if (query->pin_holds)
        strbuf_adds(&resolve->pin, query->pinned);
    resolve->query.pinned = query->pin_holds ? strbuf_str(&resolve->pin) : STR_NULL;
    resolve->done = done;
    resolve->arg = arg;
    resolve->result = (struct cache_result){.verdict = CACHE_FAILED, .status = STATUS_CANCELLED};
    list_init(&resolve->node);
    resolve->letter.deliver = resolve_arrive;
    resolve->letters = 1;
    loop_post(cache_object_owner(cache, request->object), &resolve->letter);
    return resolve;
}

static void cancel_back(struct letter *letter)
{
    resolve_unref(CONTAINER_OF(letter, struct cache_resolve, cancel));
}

static void cancel_arrive(struct letter *letter)
{
    struct cache_resolve *resolve = CONTAINER_OF(letter, struct cache_resolve, cancel);
    inquiry_forget(cache_loop_of(loop_current()), resolve);
    resolve->cancel.deliver = cancel_back;
    loop_post(resolve->loop, &resolve->cancel);
}

void cache_resolve_cancel(struct cache_resolve **resolve)
{
    struct cache_resolve *gone = *resolve;
    *resolve = NULL;
    if (gone == NULL)
        return;
    gone->done = NULL;
    atomic_store(&gone->cancelled, true);
    gone->cancel.deliver = cancel_arrive;
    gone->letters++;
    loop_post(cache_object_owner(gone->cache, gone->asker->request.object), &gone->cancel);
}

enum cache_presence cache_presence(struct cache *cache, const struct store_generation *generation, uint64_t first,
                                   uint64_t last)
{
    uint64_t from = first / cache->block_size;
    uint64_t to = last / cache->block_size;
    bool there = false;
    bool missing = false;

    if (to - from > CACHE_LOOKUPS_MAX)
        to = from + CACHE_LOOKUPS_MAX;
    for (uint64_t block = from; block <= to && !(there && missing); block++) {
        bool stored = store_has_block(cache->config.store, generation->id, block);
        there = there || stored;
        missing = missing || !stored;
    }
    return !missing ? CACHE_ALL : there ? CACHE_SOME : CACHE_NONE;
}

bool cache_would_keep(struct cache *cache, const struct store_generation *generation, uint64_t first, uint64_t last)
{
    return store_would_keep(cache->config.store, generation, first / cache->block_size, last / cache->block_size);
}
