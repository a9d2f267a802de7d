/* SPDX-License-Identifier: Apache-2.0 */
/* keep.c: the copying source, and what becomes of the copy. */
#include "cache/keep.h"

#include "base/mem.h"
#include "base/metric.h"
#include "cache/asker.h"
#include "cache/context.h"
#include "cache/place.h"

/* Put Blob's, since 2019-12-12 (Azure: scale targets for Blob storage). A client may say what it likes. */
#define LENGTH_MAX (UINT64_C(5000) << 20)

struct cache_keep {
    struct source source;
    struct cache *cache;
    struct loop *loop;
    struct source *body;
    struct source_view view; /* what the consumer was shown last */
    struct hash128 object;
    struct hash128 group;
    struct epoch_key key;
    uint64_t length;
    uint64_t taken;
    struct buf *block; /* that is being filled, or NULL */
    struct line_ticket place;
    struct room_hold hold;               /* on both */
    struct store_generation *generation; /* to be, without a record */
    bool lost;                           /* nothing more is kept */
    bool closed;                         /* the source */
    bool ended;                          /* the write */
};

static void keep_settle(struct cache_keep *keep)
{
    if (!keep->closed || !keep->ended)
        return;
    if (keep->generation != NULL)
        store_generation_discard(&keep->generation);
    mem_free(keep);
}

/* Nothing more is kept; what is written goes on. */
static void lose(struct cache_keep *keep)
{
    keep->lost = true;
    room_release(&keep->hold);
    buf_unref(&keep->block);
    line_leave(&keep->place);
}

/* A byte now and then is no reason to stay: what others want is the room of a whole block. */
static void hold_give_up(struct room_hold *hold)
{
    struct cache_keep *keep = CONTAINER_OF(hold, struct cache_keep, hold);
    if (loop_now_ms(keep->loop) - hold->watch.since_ms >= ROOM_SLOW_MS)
        lose(keep);
}

/* ---- The source ---- */

/* The block is whole: the store's, if it will have it; if not, it has counted that. */
static void put_block(struct cache_keep *keep, uint64_t number, size_t size)
{
    (void) !store_put_block(keep->cache->config.store, keep->generation, number, keep->block, (uint32_t) size,
                            keep->loop, NULL);
    buf_unref(&keep->block);
    room_watch_begin(&keep->hold.watch, keep->taken, loop_now_ms(keep->loop));
}

static void copy(struct cache_keep *keep, const uint8_t *bytes, size_t size)
{
    uint32_t block_size = keep->cache->block_size;
    while (size > 0) {
        uint64_t number = keep->taken / block_size;
        uint64_t begin = number * block_size;
        size_t whole = keep->length - begin < block_size ? (size_t) (keep->length - begin) : block_size;
        size_t at = (size_t) (keep->taken - begin);
        size_t n = size < whole - at ? size : whole - at;
        if (keep->block == NULL && (keep->block = buf_new_in(keep->cache->blocks, whole, NULL)) == NULL) {
            lose(keep);
            return;
        }
        memcpy(keep->block->data + at, bytes, n);
        buf_publish(keep->block, at + n);
        keep->taken += n;
        bytes += n;
        size -= n;
        if (at + n == whole)
            put_block(keep, number, whole);
    }
}

static enum source_state keep_peek(struct source *source, struct source_view *view, size_t max)
{
    struct cache_keep *keep = (struct cache_keep *) source;
    enum source_state state = source_peek(keep->body, view, max);
    keep->view = *view;
    if (state == SOURCE_FAILED)
        source->error = keep->body->error;
    return state;
}

static void keep_consume(struct source *source, size_t bytes)
{
    struct cache_keep *keep = (struct cache_keep *) source;
    size_t left = bytes < keep->length - keep->taken ? bytes : (size_t) (keep->length - keep->taken);
    for (unsigned i = 0; i < keep->view.count && left > 0 && !keep->lost; i++) {
        size_t n = keep->view.pieces[i].iov_len < left ? keep->view.pieces[i].iov_len : left;
        copy(keep, keep->view.pieces[i].iov_base, n);
        left -= n;
    }
    keep->view.count = 0;
    source_consume(keep->body, bytes);
}

static void keep_close(struct source *source)
{
    struct cache_keep *keep = (struct cache_keep *) source;
    source_close(&keep->body);
    lose(keep);
    keep->closed = true;
    keep_settle(keep);
}

static const struct source_class keep_class = {"keep", keep_peek, keep_consume, keep_close};

static void on_ready(void *arg)
{
    struct cache_keep *keep = arg;
    keep->source.ready(keep->source.arg);
}

struct cache_keep *cache_keep_start(struct cache *cache, struct loop *loop, const struct cache_request *request,
                                    uint64_t length, struct source **body)
{
    if (length > LENGTH_MAX)
        return NULL;
    struct cache_keep *keep = mem_calloc(1, sizeof *keep);
    if (!place_try(cache_loop_of(loop), request, &keep->place)) {
        mem_free(keep);
        return NULL;
    }
    keep->source.class = &keep_class;
    keep->cache = cache;
    keep->loop = loop;
    keep->object = request->object;
    keep->group = request->container;
    keep->key = asker_epoch_key(request);
    keep->length = length;
    keep->generation =
        store_generation_new(cache->config.store, request->object, request->container, 0, length, STR_NULL, NULL);
    keep->hold.position = &keep->taken;
    keep->hold.place = &keep->place;
    keep->hold.give_up = hold_give_up;
    room_hold(cache_loop_of(loop), &keep->hold);
    keep->body = *body;
    source_listen(keep->body, on_ready, keep);
    *body = &keep->source;
    return keep;
}

/* ---- The end ---- */

struct created {
    struct letter letter; /* to the object's owner */
    struct cache *cache;
    struct store_generation *generation;
    struct epoch_key key;
};

static void created_arrive(struct letter *letter)
{
    struct created *created = CONTAINER_OF(letter, struct created, letter);
    uint64_t stamp = epochs_stamp(created->cache->epochs, &created->key);
    store_object_set(created->cache->config.store, created->generation, 0, stamp);
    store_generation_unref(&created->generation);
    mem_free(created);
}

/* The generation with a record of what little the reply to a write tells; a validation brings the rest. */
static struct store_generation *with_record(const struct cache_keep *keep, const struct http_response *reply)
{
    struct arena *arena = arena_new();
    struct http_response head = {.status = 200, .content_length = (int64_t) keep->length, .headers.arena = arena};
    static const struct str names[] = {STR_INIT("ETag"), STR_INIT("Last-Modified")};
    struct object *object = NULL;
    struct strbuf record = {0};
    struct store_generation *generation = NULL;
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct str value = http_headers_get(&reply->headers, names[i]);
        if (value.ptr != NULL)
            http_headers_add(&head.headers, names[i], value);
    }
    if (object_from_reply(&head, false, 0, NULL, &object) == STATUS_OK) {
        if (object_encode(object, &record) == STATUS_OK)
            generation = store_generation_new(keep->cache->config.store, keep->object, keep->group,
                                              keep->generation->id, keep->length, strbuf_str(&record), object);
        else
            object_free(object);
    }
    strbuf_free(&record);
    arena_free(arena);
    return generation;
}

static bool commit(struct cache_keep *keep, const struct http_response *reply)
{
    struct store_generation *generation = with_record(keep, reply);
    if (generation == NULL)
        return false;
    store_generation_unref(&keep->generation); /* its blocks are the other's now */
    struct created *created = mem_calloc(1, sizeof *created);
    created->cache = keep->cache;
    created->generation = generation;
    created->key = keep->key;
    created->letter.deliver = created_arrive;
    loop_post(cache_object_owner(keep->cache, keep->object), &created->letter);
    return true;
}

void cache_keep_end(struct cache_keep **ended, const struct http_response *created)
{
    struct cache_keep *keep = *ended;
    *ended = NULL;
    if (keep == NULL)
        return;
    bool kept = created != NULL && keep->taken == keep->length && commit(keep, created);
    metric_cell_add(metric_cell(METRIC_WRITES_KEPT, kept ? "kept" : "dropped"), 1);
    keep->ended = true;
    keep_settle(keep);
}
