/* SPDX-License-Identifier: Apache-2.0 */
/* inquiry.c: who joins which probe, and what a probe's outcome means for the object and for each who waits. */
#include "cache/inquiry.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/metric.h"
#include "cache/probe.h"
#include "http/precondition.h"

/* How many of those who wait for room are looked at when something is learnt; the others find out in their turn. */
#define LOOKS_MAX 256
#define UNWANTED_LOOK_MS 20
/* Who had a grant may have lost it at the origin, and all that waited for its probe are refused with it. That they wait
 * for another's is worth a trip once more; then each asks for itself. */
#define REFUSALS_MAX 2

struct inquiry {
    struct list node; /* cache_loop.inquiries */
    struct hash128 object;
    struct list probes;
    struct list waiting; /* questions: for room; those with a grant first */
    uint64_t sent;       /* probes so far */
    uint64_t committed;  /* the newest whose answer was committed */
};

static void inquiry_probed(struct probe *probe);

/* ---- The table. ---- */

static struct inquiry *inquiry_get(struct cache_loop *home, struct hash128 object)
{
    struct list *bucket = &home->inquiries[object.hi % CACHE_BUCKETS];
    LIST_FOR_EACH(node, bucket)
    {
        struct inquiry *inquiry = LIST_ENTRY(node, struct inquiry, node);
        if (hash128_eq(inquiry->object, object))
            return inquiry;
    }
    struct inquiry *inquiry = mem_calloc(1, sizeof *inquiry);
    inquiry->object = object;
    list_init(&inquiry->probes);
    list_init(&inquiry->waiting);
    list_add_tail(bucket, &inquiry->node);
    return inquiry;
}

static void inquiry_release(struct inquiry *inquiry)
{
    if (!list_empty(&inquiry->probes) || !list_empty(&inquiry->waiting))
        return;
    list_remove(&inquiry->node);
    mem_free(inquiry);
}

/* ---- Asking. ---- */

static void resolve_answer(struct cache_resolve *resolve)
{
    list_remove(&resolve->node);
    admission_leave(&resolve->admission);
    resolve->answered = true;
    loop_post(resolve->loop, &resolve->letter);
}

/* True: it is answered by what is known by now. */
static bool resolve_known(struct cache_resolve *resolve)
{
    if (!cache_resolve_now(resolve->cache, &resolve->asker->request, &resolve->query, &resolve->result))
        return false;
    resolve->result.how = CACHE_COLLAPSED; /* another's answer came in the meantime */
    resolve_answer(resolve);
    return true;
}

static bool object_known(const struct cache_resolve *resolve)
{
    struct store_view view;
    if (!store_object_find(resolve->cache->config.store, resolve->asker->request.object, &view))
        return false;
    store_generation_unref(&view.generation);
    return true;
}

static void resolve_fail(struct cache_resolve *resolve, enum status status)
{
    resolve->result = (struct cache_result){.verdict = CACHE_FAILED, .status = status};
    /* Only who may read the blob learns that it is here. */
    resolve->result.how = resolve->granted && object_known(resolve) ? CACHE_STALE : CACHE_MISS;
    resolve_answer(resolve);
}

/* Whether this probe's outcome will be good for the question. */
static bool probe_serves(const struct probe *probe, const struct cache_resolve *resolve)
{
    const struct cache_request *request = &resolve->asker->request;
    struct epoch_key key = asker_epoch_key(request);

    if (resolve->query.validate || request->freshness == 0 ||
        probe->stamp != epochs_stamp(resolve->cache->epochs, &key) || probe->way > request->farthest)
        return false;
    /* Another region's word, or a former home's, is good for those who know what they want. */
    if (probe_is_for_pin(probe) && !str_eq(probe->asker->request.pin, request->pin))
        return false;
    /* One that was sent longer ago may answer for a blob that has passed since. */
    if (clock_mono_ms() - probe->sent_ms > request->freshness)
        return false;
    if (resolve->query.want == CACHE_WANT_HEAD && probe->kind != PROBE_HEAD)
        return false;
    if (asker_same_credential(&probe->asker->request, request))
        return resolve->granted || resolve->query.want == CACHE_WANT_HEAD || probe_covers_get(probe);
    return resolve->granted && probe->granted && resolve->refusals < REFUSALS_MAX;
}

static bool opens(const struct cache_resolve *resolve)
{
    const struct cache *cache = resolve->cache;
    return upstream_opens(cache, &resolve->asker->request,
                          resolve->query.first / cache->block_size / STORE_EXTENT_BLOCKS);
}

static enum probe_kind probe_kind_for(const struct inquiry *inquiry, const struct cache_resolve *resolve)
{
    if (resolve->query.want == CACHE_WANT_HEAD)
        return PROBE_HEAD;
    /* Only one opening at a time, or the same bytes would be fetched twice. */
    if (resolve->query.conditional || !list_empty(&inquiry->probes))
        return PROBE_RANGE;
    return object_known(resolve) || !opens(resolve) ? PROBE_RANGE : PROBE_OPEN;
}

static void probe_join(struct probe *probe, struct cache_resolve *resolve)
{
    admission_leave(&resolve->admission);
    list_remove(&resolve->node);
    list_remove(&probe->unwanted);
    resolve->probe = probe;
    list_add_tail(&probe->waiters, &resolve->node);
}

static void inquiry_send(struct cache_loop *home, struct cache_resolve *resolve, enum probe_kind kind)
{
    struct inquiry *inquiry = resolve->inquiry;
    struct probe *probe = probe_start(home, resolve->asker, kind, &resolve->admission, &resolve->query, inquiry_probed);
    unsigned looks = 0;

    probe->inquiry = inquiry;
    probe->granted = resolve->granted;
    probe->number = ++inquiry->sent;
    list_add_tail(&inquiry->probes, &probe->node);
    probe_join(probe, resolve);
    LIST_FOR_EACH_SAFE(node, &inquiry->waiting)
    {
        struct cache_resolve *other = LIST_ENTRY(node, struct cache_resolve, node);
        if (probe_serves(probe, other))
            probe_join(probe, other);
        if (++looks == LOOKS_MAX)
            break;
    }
}

static void question_come(void *arg, enum status why)
{
    struct cache_resolve *resolve = arg;
    struct inquiry *inquiry = resolve->inquiry;

    list_remove(&resolve->node);
    if (why == STATUS_OK)
        inquiry_ask(cache_loop_of(loop_current()), resolve);
    else
        resolve_fail(resolve, why);
    inquiry_release(inquiry);
}

static bool question_has_room(struct cache_loop *home, struct cache_resolve *resolve)
{
    return probe_admit(home, &resolve->admission, resolve->asker, resolve->granted, question_come, resolve);
}

/* What nobody waits for goes on, for its answer is good for the next, until somebody on any loop wants its room. */
static void look_at_unwanted(struct timer *timer)
{
    struct cache_loop *home = CONTAINER_OF(timer, struct cache_loop, unwanted_timer);
    LIST_FOR_EACH_SAFE(node, &home->unwanted)
    {
        struct probe *probe = LIST_ENTRY(node, struct probe, unwanted);
        struct inquiry *inquiry = probe->inquiry;
        const struct cache_request *request = &probe->asker->request;
        if (!line_contended(&home->cache->probes.room, request->account_hash.lo, request->client))
            continue;
        list_remove(&probe->node);
        probe_free(probe);
        inquiry_release(inquiry);
    }
    if (!list_empty(&home->unwanted))
        timer_set(&home->unwanted_timer, UNWANTED_LOOK_MS);
}

void inquiries_loop_init(struct cache_loop *home)
{
    for (unsigned bucket = 0; bucket < CACHE_BUCKETS; bucket++)
        list_init(&home->inquiries[bucket]);
    list_init(&home->unwanted);
    timer_init(&home->unwanted_timer, home->loop, look_at_unwanted);
    admission_queue_init(&home->probes, &home->cache->probes, home->loop);
}

void inquiries_loop_fini(struct cache_loop *home)
{
    admission_queue_fini(&home->probes);
    timer_fini(&home->unwanted_timer);
}

void inquiry_ask(struct cache_loop *home, struct cache_resolve *resolve)
{
    const struct cache_request *request = &resolve->asker->request;

    if (atomic_load(&resolve->cancelled)) {
        resolve_answer(resolve);
        return;
    }
    if (resolve_known(resolve))
        return;
    if (request->cached) {
        resolve_fail(resolve, STATUS_NOT_CACHED);
        return;
    }
    resolve->granted = grants_allow(home->cache->grants, request, resolve->query.want);
    struct inquiry *inquiry = inquiry_get(home, request->object);
    resolve->inquiry = inquiry;
    LIST_FOR_EACH(node, &inquiry->probes)
    {
        struct probe *probe = LIST_ENTRY(node, struct probe, node);
        if (probe_serves(probe, resolve)) {
            probe_join(probe, resolve);
            return;
        }
    }
    enum probe_kind kind = probe_kind_for(inquiry, resolve);
    if (kind == PROBE_OPEN && resolve->granted) {
        admission_leave_room(&resolve->admission); /* it takes a fill's place instead */
    } else if (!question_has_room(home, resolve)) {
        if (resolve->granted)
            list_add_head(&inquiry->waiting, &resolve->node);
        else
            list_add_tail(&inquiry->waiting, &resolve->node);
        return;
    }
    inquiry_send(home, resolve, kind);
}

void inquiry_forget(struct cache_loop *home, struct cache_resolve *resolve)
{
    struct probe *probe = resolve->probe;

    if (resolve->answered)
        return;
    resolve_answer(resolve);
    if (probe == NULL) {
        inquiry_release(resolve->inquiry);
    } else if (probe->kind != PROBE_OPEN && list_empty(&probe->waiters)) {
        timer_hasten(&home->unwanted_timer, UNWANTED_LOOK_MS);
        list_add_tail(&home->unwanted, &probe->unwanted);
    }
}

/* ---- What a probe has learnt. ---- */

/* The generation that the object describes: the one that is known if it is that, with the record brought up to date,
 * else a new one. Takes the object. */
static struct store_generation *generation_for(struct cache *cache, const struct cache_request *request,
                                               struct object *object, struct str record)
{
    struct store_view view;
    uint64_t id = 0;

    if (store_object_find(cache->config.store, request->object, &view)) {
        const struct object *known = view.generation->decoded;
        if (view.generation->length == object->length && etag_eq_strong(known->etag, object->etag)) {
            if (str_eq(view.generation->record, record)) {
                object_free(object);
                return view.generation;
            }
            id = view.generation->id;
        }
        store_generation_unref(&view.generation);
    }
    return store_generation_new(cache->config.store, request->object, request->container, id, object->length, record,
                                object);
}

/* Whether a write has begun, or was under way when the probe was sent: it cannot know of that. */
static bool probe_overtaken(const struct probe *probe)
{
    struct epoch_key key = asker_epoch_key(&probe->asker->request);
    return probe->fenced || epochs_fenced(probe->cache->epochs, &key) ||
           epochs_stamp(probe->cache->epochs, &key) != probe->stamp;
}

/* Whether what is known of the object is believed now. */
static bool known_is_believed(const struct probe *probe)
{
    struct epoch_key key = asker_epoch_key(&probe->asker->request);
    struct store_view view;
    if (!store_object_find(probe->cache->config.store, probe->asker->request.object, &view))
        return false;
    store_generation_unref(&view.generation);
    return view.validated_s > 0 && view.stamp == epochs_stamp(probe->cache->epochs, &key) &&
           !epochs_fenced(probe->cache->epochs, &key);
}

/* Makes it what everybody sees, if nothing has happened since the probe was sent that it cannot know of, and it was the
 * record's home or the origin that said so. Else it is kept as never validated, so that readers during a long write share one generation, and each byte comes once. */
static void inquiry_commit(struct probe *probe, struct store_generation *generation)
{
    struct store *store = probe->cache->config.store;

    if (probe->number < probe->inquiry->committed)
        return;
    if (!probe_is_for_pin(probe) && !probe_overtaken(probe)) {
        probe->inquiry->committed = probe->number;
        store_object_set(store, generation, probe->sent_s, probe->stamp);
        /* A container's or account's write may have begun on another loop in between; its tombstone may be before us.
         */
        if (probe_overtaken(probe))
            store_object_set(store, generation, 0, probe->stamp);
    } else if (!known_is_believed(probe)) {
        store_object_set(store, generation, 0, probe->stamp);
    }
}

static struct store_generation *inquiry_learn(struct probe *probe, const char **detail, bool *known)
{
    struct cache *cache = probe->cache;
    const struct cache_request *request = &probe->asker->request;
    struct store_view view;
    const struct object *before = NULL;
    struct object *object = NULL;
    struct strbuf record = {0};
    struct store_generation *generation = NULL;

    *known = store_object_find(cache->config.store, request->object, &view);
    /* A write that has come since may have changed what only a HEAD tells, the tier among it, and left the ETag. So may
     * one before this start of what counts as never validated. */
    if (*known && view.stamp == probe->stamp && view.validated_s > 0)
        before = view.generation->decoded;
    enum status status =
        object_from_reply(&probe->answer->shown.head, probe->kind == PROBE_HEAD, probe->sent_s, before, &object);
    if (status == STATUS_OK)
        status = object_encode(object, &record);
    if (status == STATUS_OK) {
        generation = generation_for(cache, request, object, strbuf_str(&record));
        inquiry_commit(probe, generation);
    } else {
        object_free(object);
        *detail = status == STATUS_NOT_IMPLEMENTED ? "copy-pending"
                  : status == STATUS_TOO_LARGE     ? "large-record"
                                                   : "no-validators";
    }
    strbuf_free(&record);
    if (*known)
        store_generation_unref(&view.generation);
    return generation;
}

static void inquiry_yes(struct probe *probe)
{
    struct cache_result result = {.verdict = CACHE_BYPASS};
    bool known;
    bool first = true;

    grants_add(probe->cache->grants, &probe->asker->request, probe_covers_get(probe) ? CACHE_WANT_GET : CACHE_WANT_HEAD,
               probe->grant_stamp, probe->sent_ms);
    struct store_generation *generation = inquiry_learn(probe, &result.detail, &known);
    if (probe->fill != NULL)
        fill_adopt(&probe->fill, generation);
    if (generation != NULL) {
        result.verdict = CACHE_READY;
        result.object = generation->decoded;
        result.validated_s = probe->sent_s;
    }
    LIST_FOR_EACH_SAFE(node, &probe->waiters)
    {
        struct cache_resolve *resolve = LIST_ENTRY(node, struct cache_resolve, node);
        resolve->result = result;
        resolve->result.how = !first ? CACHE_COLLAPSED : known ? CACHE_STALE : CACHE_MISS;
        if (generation != NULL)
            resolve->result.generation = store_generation_ref(generation);
        resolve_answer(resolve);
        first = false;
    }
    if (generation != NULL)
        store_generation_unref(&generation);
}

/* The answer goes to those of the same credential; the others ask anew: the first of them for all. */
static void inquiry_no(struct probe *probe)
{
    int status = probe->answer->shown.head.status;
    const struct cache_request *asker = &probe->asker->request;
    struct list others;

    list_init(&others);
    if (status == 401 || status == 403)
        grants_drop(probe->cache->grants, asker);
    LIST_FOR_EACH_SAFE(node, &probe->waiters)
    {
        struct cache_resolve *resolve = LIST_ENTRY(node, struct cache_resolve, node);
        if (!asker_same_credential(&resolve->asker->request, asker)) {
            list_remove(node);
            list_add_tail(&others, node);
            continue;
        }
        answer_ref(probe->answer);
        resolve->result =
            (struct cache_result){.verdict = CACHE_ANSWER, .how = CACHE_MISS, .answer = &probe->answer->shown};
        resolve_answer(resolve);
    }
    LIST_FOR_EACH_SAFE(node, &others)
    {
        struct cache_resolve *resolve = LIST_ENTRY(node, struct cache_resolve, node);
        list_remove(node);
        resolve->probe = NULL;
        resolve->refusals++;
        inquiry_ask(probe->home, resolve);
    }
}

static void inquiry_failed(struct probe *probe, enum status status)
{
    LIST_FOR_EACH_SAFE(node, &probe->waiters)
    {
        struct cache_resolve *resolve = LIST_ENTRY(node, struct cache_resolve, node);
        if (status == STATUS_TOO_LARGE) {
            resolve->result = (struct cache_result){.verdict = CACHE_BYPASS, .detail = "large-answer"};
            resolve_answer(resolve);
        } else {
            resolve_fail(resolve, status);
        }
    }
}

/* Those who wait for room and need it no more. */
static void inquiry_tell_waiting(struct inquiry *inquiry)
{
    unsigned looks = 0;
    LIST_FOR_EACH_SAFE(node, &inquiry->waiting)
    {
        resolve_known(LIST_ENTRY(node, struct cache_resolve, node));
        if (++looks == LOOKS_MAX)
            break;
    }
}

static void inquiry_probed(struct probe *probe)
{
    static const char *const results[] = {[PROBE_YES] = "yes", [PROBE_NO] = "no", [PROBE_FAILED] = "failed"};
    struct inquiry *inquiry = probe->inquiry;

    metric_cell_add(metric_cell(METRIC_VALIDATIONS, results[probe->outcome]), 1);
    list_remove(&probe->node); /* nobody joins it any more */
    switch (probe->outcome) {
    case PROBE_YES:
        inquiry_yes(probe);
        inquiry_tell_waiting(inquiry);
        break;
    case PROBE_NO:
        inquiry_no(probe);
        break;
    case PROBE_FAILED:
        inquiry_failed(probe, probe->status);
        break;
    }
    probe_free(probe);
    inquiry_release(inquiry);
}

void inquiry_abort_all(struct cache_loop *home)
{
    for (unsigned bucket = 0; bucket < CACHE_BUCKETS; bucket++)
        LIST_FOR_EACH_SAFE(node, &home->inquiries[bucket])
        {
            struct inquiry *inquiry = LIST_ENTRY(node, struct inquiry, node);
            LIST_FOR_EACH_SAFE(waiting_node, &inquiry->waiting)
            {
                resolve_fail(LIST_ENTRY(waiting_node, struct cache_resolve, node), STATUS_SHUTDOWN);
            }
            LIST_FOR_EACH_SAFE(probe_node, &inquiry->probes)
            {
                struct probe *probe = LIST_ENTRY(probe_node, struct probe, node);
                inquiry_failed(probe, STATUS_SHUTDOWN);
                if (probe->kind == PROBE_OPEN)
                    continue; /* its letter is still to come, and ends it */
                list_remove(&probe->node);
                probe_free(probe);
            }
            inquiry_release(inquiry);
        }
}
