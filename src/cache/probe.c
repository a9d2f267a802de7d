/* SPDX-License-Identifier: Apache-2.0 */
/* probe.c: sends a probe, sends another where a 416 leaves the question open, and sorts the outcome. */
#include "cache/probe.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/mem_parts.h"
#include "http/range.h"

/* A handle with its connection and a TLS session (measured: 110 KiB, 11 without TLS), and its read buffer. Answers are
 * short (answer.h bounds them). */
#define PROBE_BYTES (128 * 1024 + (size_t) ORIGIN_MODEST_BYTES)
/* Copies of the asker's texts: its own, in the request, in libcurl. */
#define PROBE_COPIES 3
/* What a question's exchange holds while it waits, besides those texts. */
#define PROBE_READER (16 * 1024)

/* Older than any grant: the longest authorize_ttl is a day. */
#define AGE_MAX_MS (INT64_C(2) * 86400 * 1000)

static void probe_send(struct probe *probe);

/* ---- Room. ---- */

void probes_init(struct cache *cache)
{
    const struct admission_terms terms = {
        .what = "questions to the origin",
        .waiting = METRIC_PROBES_WAITING,
        .part = MEM_PROBES,
        .waiting_part = MEM_PROBES_WAITING,
        .most = {6, 8},
        .patience_ms = cache->config.limits.first_byte_timeout,
    };
    admission_class_init(&cache->probes, &terms);
}

bool probe_admit(struct cache_loop *home, struct admission *admission, const struct asker *asker, bool granted,
                 void (*come)(void *arg, enum status why), void *arg)
{
    struct admission_wish wish = upstream_wish(&asker->request, upstream_record_way(home->cache, &asker->request));
    wish.favoured = granted;
    wish.bytes = PROBE_BYTES + PROBE_COPIES * asker->size;
    wish.held = sizeof(struct cache_resolve) + 2 * asker->size + PROBE_READER;
    wish.come = come;
    wish.arg = arg;
    return admission_has(admission) || admission_ask(admission, &home->probes, &wish);
}

/* ---- The outcome. ---- */

/* What another node tells is as old as what it knows. */
static void probe_inherit(struct probe *probe)
{
    probe->sent_s -= probe->age_s < probe->sent_s ? probe->age_s : probe->sent_s; /* 0: never validated */
    probe->sent_ms -= probe->grant_age_ms < AGE_MAX_MS ? probe->grant_age_ms : AGE_MAX_MS;
}

static void probe_end(struct probe *probe, enum probe_outcome outcome, struct answer *answer, enum status status)
{
    upstream_close(&probe->upstream);
    admission_leave(&probe->admission);
    if (outcome == PROBE_YES)
        probe_inherit(probe);
    probe->outcome = outcome;
    probe->answer = answer;
    probe->status = status;
    probe->done(probe);
}

static void probe_come(void *arg, enum status why)
{
    struct probe *probe = arg;
    if (why == STATUS_OK)
        probe_send(probe);
    else
        probe_end(probe, PROBE_FAILED, NULL, why);
}

/* What was an opening has no place; a patient one has no room yet. */
static void probe_send_again(struct probe *probe)
{
    bool granted = grants_allow(probe->cache->grants, &probe->asker->request, CACHE_WANT_GET);
    if (probe_admit(probe->home, &probe->admission, probe->asker, granted, probe_come, probe))
        probe_send(probe);
}

/* A 416 says that the credential may read, not what the blob is: for an empty blob ask without a range; else the
 * reader's range lay past the end and a range that cannot miss tells the length. */
static bool probe_ask_otherwise(struct probe *probe, const struct http_response *head)
{
    struct content_range range;

    if (head->status != 416 || probe->kind == PROBE_WHOLE || probe->kind == PROBE_HEAD)
        return false;
    bool empty = content_range_parse(http_headers_get(&head->headers, STR("Content-Range")), &range) == STATUS_OK &&
                 range.unsatisfied && range.length == 0;
    if (!empty && probe->kind == PROBE_RANGE)
        return false;
    probe->kind = empty ? PROBE_WHOLE : PROBE_RANGE;
    upstream_close(&probe->upstream);
    probe_send_again(probe);
    return true;
}

/* Decision 7: a yes is 200 or 206 (an empty blob's 416 was asked about otherwise). */
static bool probe_says_yes(const struct http_response *head)
{
    return head->status == 200 || head->status == 206;
}

/* The answer has not come whole: if it was another node's, the origin is asked. */
static void probe_break(struct probe *probe, enum status status)
{
    if (probe->way == POOL_ORIGIN) {
        probe_end(probe, PROBE_FAILED, NULL, status);
        return;
    }
    probe->way = POOL_ORIGIN;
    probe_send(probe);
}

/* Another node's yes from before the account's grants were revoked, which that node may not have heard of. */
static bool probe_is_void(const struct probe *probe, const struct http_response *head)
{
    return probe->way != POOL_ORIGIN && probe_says_yes(head) &&
           grants_void(probe->cache->grants, &probe->asker->request, probe->sent_ms - probe->grant_age_ms);
}

static void probe_collected(void *arg, struct answer *answer, enum status status)
{
    struct probe *probe = arg;
    bool yes = probe_says_yes(&answer->shown.head);
    if (status == STATUS_OK || (status == STATUS_TOO_LARGE && yes)) {
        probe_end(probe, yes ? PROBE_YES : PROBE_NO, answer, STATUS_OK);
    } else {
        answer_unref(&answer);
        probe_break(probe, status);
    }
}

static void probe_head(void *arg, const struct http_response *head, enum status why)
{
    struct probe *probe = arg;

    if (head == NULL) {
        probe_end(probe, PROBE_FAILED, NULL, why);
        return;
    }
    if (probe_ask_otherwise(probe, head))
        return;
    probe->way = upstream_came_by(probe->upstream);
    probe->age_s = upstream_age_s(probe->upstream);
    probe->grant_age_ms = upstream_grant_age_ms(probe->upstream);
    if (probe_is_void(probe, head)) {
        upstream_close(&probe->upstream);
        probe_break(probe, STATUS_DENIED);
        return;
    }
    struct answer *answer = answer_new(head);
    /* A range was asked for and everything comes: take the head, cut the rest. */
    if (head->status == 200 && (head->content_length < 0 || head->content_length > ANSWER_BODY_MAX) &&
        probe->kind != PROBE_HEAD)
        probe_end(probe, PROBE_YES, answer, STATUS_OK);
    else
        answer_collect(&probe->collector, &answer, &probe->upstream, probe->cache->config.limits.stall_timeout,
                       probe_collected, probe);
}

/* ---- Openings: the fill runs at the extent's owner. ---- */

/* What was opened at another node is not to be had. */
static void probe_origin_first(struct probe *probe)
{
    if (probe->fill != NULL)
        fill_adopt(&probe->fill, NULL);
    probe->kind = PROBE_RANGE;
    probe->way = POOL_ORIGIN;
    probe_send_again(probe);
}

static void probe_open(struct letter *letter)
{
    struct probe *probe = CONTAINER_OF(letter, struct probe, open);
    fill_open(cache_loop_of(loop_current()), probe->asker, probe->extent, probe->first, probe->last, &probe->opening);
}

static void probe_opened(struct letter *letter)
{
    struct probe *probe = CONTAINER_OF(letter, struct probe, opening.letter);
    struct answer *answer = probe->opening.answer;

    probe->fill = probe->opening.fill;
    if (answer == NULL && probe->opening.status == STATUS_AGAIN) {
        probe->kind = PROBE_RANGE;
        probe_send_again(probe);
    } else if (answer == NULL) {
        probe_end(probe, PROBE_FAILED, NULL, probe->opening.status);
    } else if (probe_ask_otherwise(probe, &answer->shown.head)) {
        answer_unref(&answer);
    } else {
        probe->way = probe->opening.way;
        probe->age_s = probe->opening.age_s;
        probe->grant_age_ms = probe->opening.grant_age_ms;
        if (probe_is_void(probe, &answer->shown.head)) {
            answer_unref(&answer);
            probe_origin_first(probe);
            return;
        }
        probe_end(probe, probe_says_yes(&answer->shown.head) ? PROBE_YES : PROBE_NO, answer, STATUS_OK);
    }
}

static void probe_send(struct probe *probe)
{
    struct upstream_ask ask = {
        .modest = true,
        .budget = &probe->admission.budget,
        .way = probe->way,
        .record = probe->kind != PROBE_HEAD,
        .validate = probe->validate,
        .own = probe->asker->request.granted,
    };
    const struct upstream_events events = {probe_head, probe};

    switch (probe->kind) {
    case PROBE_OPEN:
        probe->open.deliver = probe_open;
        probe->opening.letter.deliver = probe_opened;
        probe->opening.home = probe->home->loop;
        probe->opening.patient = !admission_has(&probe->admission);
        probe->opening.asked = &probe->admission.budget;
        probe->opening.way = probe->way;
        loop_post(cache_extent_owner(probe->cache, probe->asker->request.object, probe->extent), &probe->open);
        return;
    case PROBE_RANGE:
        ask.ranged = true;
        break;
    case PROBE_HEAD:
        ask.head = true;
        break;
    case PROBE_WHOLE:
        break;
    }
    probe->upstream = upstream_start(probe->cache, probe->home->loop, probe->asker, &ask, &events);
}

/* Something has happened to the blob since it was asked about, or may have before it ever was. The node where its record
 * is at home may not have heard of that. */
static bool probe_knows_more(const struct probe *probe)
{
    const struct epoch_key key = asker_epoch_key(&probe->asker->request);
    struct store_view view;
    if (probe->way == POOL_ORIGIN)
        return false;
    if (!store_object_find(probe->cache->config.store, probe->asker->request.object, &view))
        return epochs_written(probe->cache->epochs, &key);
    store_generation_unref(&view.generation);
    return view.stamp != probe->stamp;
}

/* Whoever an opening goes to would answer by what it knows. */
static void probe_record_first(struct probe *probe)
{
    probe->kind = PROBE_RANGE;
    probe->way = upstream_record_way(probe->cache, &probe->asker->request);
    admission_leave(&probe->admission);
    probe_send_again(probe);
}

struct probe *probe_start(struct cache_loop *home, struct asker *asker, enum probe_kind kind,
                          struct admission *admission, const struct cache_query *query,
                          void (*done)(struct probe *probe))
{
    struct probe *probe = mem_calloc(1, sizeof *probe);
    struct epoch_key key = asker_epoch_key(&asker->request);
    uint64_t first = query->first / home->cache->block_size;
    uint64_t last = query->last / home->cache->block_size;

    list_init(&probe->node);
    list_init(&probe->unwanted);
    list_init(&probe->waiters);
    admission_move(&probe->admission, admission);
    probe->cache = home->cache;
    probe->home = home;
    probe->asker = asker_ref(asker);
    probe->kind = kind;
    /* The stamp before the fence: a write that begins in between is seen by one of them. */
    probe->stamp = epochs_stamp(home->cache->epochs, &key);
    probe->fenced = epochs_fenced(home->cache->epochs, &key);
    probe->extent = first / STORE_EXTENT_BLOCKS;
    bool pinned = asker->request.pin.len > 0;
    probe->way = kind == PROBE_OPEN ? upstream_extent_way(probe->cache, &asker->request, probe->extent, pinned)
                                    : upstream_record_way(probe->cache, &asker->request);
    probe->validate = query->validate || probe->fenced || probe_knows_more(probe);
    probe->grant_stamp = grants_stamp(home->cache->grants, &asker->request);
    probe->sent_s = clock_steady_s();
    probe->sent_ms = clock_mono_ms();
    probe->done = done;
    probe->first = (unsigned) (first % STORE_EXTENT_BLOCKS);
    probe->last =
        last / STORE_EXTENT_BLOCKS > probe->extent ? STORE_EXTENT_BLOCKS - 1 : (unsigned) (last % STORE_EXTENT_BLOCKS);
    if (probe->validate && probe->way != POOL_ORIGIN && kind == PROBE_OPEN)
        probe_record_first(probe);
    else
        probe_send(probe);
    return probe;
}

void probe_free(struct probe *probe)
{
    list_remove(&probe->unwanted);
    answer_collector_cancel(&probe->collector);
    upstream_close(&probe->upstream);
    admission_leave(&probe->admission);
    answer_unref(&probe->answer);
    if (probe->fill != NULL)
        fill_adopt(&probe->fill, NULL);
    asker_unref(&probe->asker);
    mem_free(probe);
}
