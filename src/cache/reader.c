/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reader.c: the bytes of one generation as a source: block by block from where each can be had.
 *
 * For the block at hand, in this order: a buffer already held (a fill's, growing, or one loaded from the disk); the
 * fill that this reader has joined; the store, without waiting; the store, by its I/O threads; and if the block is
 * nowhere, a join of the extent's flight. A block may move from one place to the next under the reader's feet: then it
 * is looked for again, a bounded number of times.
 */
#include <assert.h>

#include "base/mem.h"
#include "cache/joins.h"
#include "cache/loads.h"

/* Looks for one block without a byte of progress before the reader gives up. */
#define READER_LOOKS 32

struct reader {
    struct source source;
    struct cache *cache;
    struct loop *loop;
    struct store_generation *generation;
    uint64_t position; /* next byte to show */
    uint64_t last;     /* inclusive */
    bool plain;
    bool due;              /* the consumer waits for `ready` */
    enum cache_from shown; /* what was shown last */
    uint64_t *counts;      /* consumed bytes, by that; or NULL */

    struct buf *held;
    uint64_t held_block;
    struct join *held_join; /* the fill that the held buffer belongs to; NULL: whole, from the disk */
    struct room_hold hold;  /* while it is held */

    struct joins joins;

    struct load_wish load;
    unsigned looks;
};

static uint64_t reader_block(const struct reader *reader)
{
    return reader->position / reader->cache->block_size;
}

static uint32_t reader_offset(const struct reader *reader)
{
    return (uint32_t) (reader->position % reader->cache->block_size);
}

static uint32_t reader_block_length(const struct reader *reader, uint64_t block)
{
    return store_block_length(reader->generation->length, reader->cache->block_size, block);
}

static void reader_news(void *arg)
{
    struct reader *reader = arg;
    if (reader->due) {
        reader->due = false;
        reader->source.ready(reader->source.arg);
    }
}

static enum source_state reader_wait(struct reader *reader)
{
    reader->due = true;
    return SOURCE_WAIT;
}

static enum source_state reader_fail(struct reader *reader, enum status why)
{
    reader->source.error = why;
    return SOURCE_FAILED;
}

static void reader_release_held(struct reader *reader)
{
    if (reader->held != NULL)
        room_release(&reader->hold);
    buf_unref(&reader->held);
    reader->held_join = NULL;
}

static void reader_hold_give_up(struct room_hold *hold)
{
    struct reader *reader = CONTAINER_OF(hold, struct reader, hold);
    /* Who waits for more of it is not slow, and its fill has it, too. */
    if (buf_filled(reader->held) > reader_offset(reader))
        reader_release_held(reader);
}

/* Takes over the reference. `join`: whose fill's it is, or NULL. */
static void reader_set_held(struct reader *reader, struct buf *buf, uint64_t block, struct join *join)
{
    reader_release_held(reader);
    reader->held = buf;
    reader->held_block = block;
    reader->held_join = join;
    room_hold(cache_loop_of(reader->loop), &reader->hold);
}

/* ---- One look for the block at hand. ---- */

enum reader_look {
    LOOK_SHOW_HELD,  /* `held` has bytes of it */
    LOOK_SHOW_STORE, /* it is stored, as far as is known */
    LOOK_AGAIN,      /* it has moved: look once more */
    LOOK_WAIT,       /* news will come */
    LOOK_FAIL,       /* source.error says why */
};

static enum reader_look look_at_join(struct reader *reader, struct join *join, uint64_t block)
{
    unsigned number = (unsigned) (block % STORE_EXTENT_BLOCKS);

    if (!join->tied)
        return LOOK_WAIT; /* its first wake will come */
    if (join->absent) {
        reader->source.error = STATUS_NOT_CACHED;
        return LOOK_FAIL;
    }
    if (join->fill == NULL) {
        joins_drop_first(&reader->joins); /* stored meanwhile */
        return LOOK_AGAIN;
    }
    struct buf *buf = NULL;
    enum status status = fill_take(join->fill, number, &buf);
    switch (status) {
    case STATUS_OK:
        reader_set_held(reader, buf, block, join);
        return LOOK_AGAIN;
    case STATUS_AGAIN:
        /* It may have come this far by another join or the store: a fill that is paused must know before we wait. */
        flight_advance(join, reader->position);
        return flight_wait(join, number, NULL, 0) ? LOOK_WAIT : LOOK_AGAIN;
    case STATUS_NOT_FOUND:
        /* Mostly it has gone into the store. The join stays: it tells the fill how far its reader is. */
        if (store_has_block(reader->cache->config.store, reader->generation->id, block))
            return loads_wanted(&reader->load) ? LOOK_WAIT : LOOK_SHOW_STORE;
        joins_drop_first(&reader->joins);
        return LOOK_AGAIN;
    case STATUS_SHUTDOWN:
        joins_drop_first(&reader->joins);
        return LOOK_AGAIN;
    default:
        /* What failed before its reader came to it may not fail now, or another may have brought it meanwhile. */
        if (join->early || store_has_block(reader->cache->config.store, reader->generation->id, block)) {
            joins_drop_first(&reader->joins);
            return LOOK_AGAIN;
        }
        reader->source.error = status;
        return LOOK_FAIL;
    }
}

static enum reader_look look_at_held(struct reader *reader)
{
    if (buf_filled(reader->held) > reader_offset(reader))
        return LOOK_SHOW_HELD;
    struct join *join = reader->held_join;
    assert(join != NULL); /* a loaded block is whole */
    if (flight_wait(join, (unsigned) (reader->held_block % STORE_EXTENT_BLOCKS), reader->held, reader_offset(reader))) {
        if (reader_offset(reader) > 0) /* at the first of a block all readers wait, fast or slow */
            joins_want_more(&reader->joins, reader->held_block);
        return LOOK_WAIT;
    }
    if (buf_filled(reader->held) > reader_offset(reader))
        return LOOK_SHOW_HELD;
    enum status ended = (enum status) atomic_load(&join->fill->ended);
    if (ended == STATUS_AGAIN) { /* the fill has begun it anew */
        reader_release_held(reader);
        return look_at_join(reader, join, reader->held_block);
    }
    if (ended == STATUS_OK || ended == STATUS_SHUTDOWN || join->early) {
        reader_release_held(reader);
        joins_drop_first(&reader->joins); /* ended without this block's rest: ask anew */
        return LOOK_AGAIN;
    }
    reader->source.error = ended;
    return LOOK_FAIL;
}

static enum reader_look look_anywhere(struct reader *reader, uint64_t block)
{
    if (loads_wanted(&reader->load))
        return LOOK_WAIT;
    if (store_has_block(reader->cache->config.store, reader->generation->id, block)) {
        joins_look_beyond(&reader->joins, block);
        return LOOK_SHOW_STORE;
    }
    reader->looks++;
    joins_ask(&reader->joins, block);
    joins_read_ahead(&reader->joins, block);
    return LOOK_WAIT;
}

static enum reader_look reader_look(struct reader *reader)
{
    uint64_t block = reader_block(reader);

    if (reader->held != NULL && reader->held_block != block)
        reader_release_held(reader);
    if (reader->held != NULL)
        return look_at_held(reader);
    struct join *join = joins_at(&reader->joins, block);
    if (join != NULL) {
        joins_read_ahead(&reader->joins, block);
        return look_at_join(reader, join, block);
    }
    return look_anywhere(reader, block);
}

static void reader_loaded(struct load_wish *wish, struct buf *buf, bool loaded)
{
    struct reader *reader = CONTAINER_OF(wish, struct reader, load);
    reader->looks += loaded && buf == NULL; /* else it waited for its turn, and another brought the block meanwhile */
    if (buf != NULL)
        reader_set_held(reader, buf, wish->block, NULL);
    reader_news(reader);
}

/* ---- The source's face. ---- */

/* Looks until there is something to show or to wait for. */
static enum source_state reader_find(struct reader *reader, enum reader_look *found)
{
    for (; reader->looks < READER_LOOKS; reader->looks++) {
        *found = reader_look(reader);
        switch (*found) {
        case LOOK_SHOW_HELD:
        case LOOK_SHOW_STORE:
            return SOURCE_DATA;
        case LOOK_WAIT:
            return reader_wait(reader);
        case LOOK_FAIL:
            return SOURCE_FAILED;
        case LOOK_AGAIN:
            break;
        }
    }
    return reader_fail(reader, STATUS_IO);
}

/* A block that a fill brought for this reader may have gone into the store by now: that is no hit. */
static enum cache_from where_from(struct reader *reader)
{
    const struct join *join = joins_at(&reader->joins, reader_block(reader));
    if (join == NULL || !join->tied || join->fill == NULL)
        return CACHE_FROM_STORE;
    return join->leads ? CACHE_FROM_ORIGIN : CACHE_FROM_FLIGHT;
}

static void show_piece(struct reader *reader, struct source_view *view, void *data, size_t length)
{
    view->pieces[0].iov_base = data;
    view->pieces[0].iov_len = length;
    view->count = 1;
    view->bytes = length;
    reader->looks = 0;
    reader->shown = where_from(reader);
}

static enum source_state reader_peek(struct source *source, struct source_view *view, size_t max)
{
    struct reader *reader = (struct reader *) source;
    uint64_t left = reader->last - reader->position + 1;
    enum reader_look found = LOOK_WAIT;

    if (source->error != STATUS_OK)
        return SOURCE_FAILED;
    if (reader->position > reader->last)
        return SOURCE_END;
    if (max > left)
        max = (size_t) left;
    for (;;) {
        enum source_state state = reader_find(reader, &found);
        if (state != SOURCE_DATA)
            return state;
        if (found == LOOK_SHOW_HELD) {
            size_t there = buf_filled(reader->held) - reader_offset(reader);
            show_piece(reader, view, reader->held->data + reader_offset(reader), there < max ? there : max);
            return SOURCE_DATA;
        }
        uint64_t block = reader_block(reader);
        struct iovec piece;
        uint32_t rest = reader_block_length(reader, block) - reader_offset(reader);
        enum status status =
            store_peek_block(reader->cache->config.store, reader->generation->id, block, reader_offset(reader),
                             max < rest ? (uint32_t) max : rest, reader->plain, &piece);
        if (status == STATUS_OK) {
            show_piece(reader, view, piece.iov_base, piece.iov_len);
            return SOURCE_DATA;
        }
        if (status == STATUS_AGAIN) {
            loads_want(&reader->load, block, reader_offset(reader));
            return reader_wait(reader);
        }
        if (++reader->looks >= READER_LOOKS)
            return reader_fail(reader, STATUS_IO);
        /* It has just been evicted: look again. */
    }
}

static void reader_consume(struct source *source, size_t bytes)
{
    struct reader *reader = (struct reader *) source;

    assert(bytes <= reader->last - reader->position + 1);
    if (reader->counts != NULL)
        reader->counts[reader->shown] += bytes;
    if (bytes > 0) {
        uint64_t block = reader_block(reader);
        reader->position += bytes;
        joins_advance(&reader->joins, block, reader->position);
    }
    /* While room is wanted nobody keeps a block between two pulls: who takes its bytes slowly, but takes them, would
     * never count as standing still (room.h). */
    if (reader->held != NULL && (reader_block(reader) != reader->held_block || room_wanted(reader->cache)))
        reader_release_held(reader);
}

static void reader_close(struct source *source)
{
    struct reader *reader = (struct reader *) source;

    reader_release_held(reader);
    joins_fini(&reader->joins);
    loads_forget(&reader->load);
    store_generation_unref(&reader->generation);
    mem_free(reader);
}

static const struct source_class reader_class = {"reader", reader_peek, reader_consume, reader_close};

struct source *cache_read(struct cache *cache, struct loop *loop, const struct cache_request *request,
                          struct store_generation *generation, uint64_t first, uint64_t last, bool plain)
{
    struct reader *reader = mem_calloc(1, sizeof *reader);
    assert(first <= last && last < generation->length);
    reader->source.class = &reader_class;
    reader->cache = cache;
    reader->loop = loop;
    reader->generation = store_generation_ref(generation);
    reader->position = first;
    reader->last = last;
    reader->plain = plain;
    reader->hold.position = &reader->position;
    reader->hold.give_up = reader_hold_give_up;
    reader->load = (struct load_wish){.home = cache_loop_of(loop),
                                      .client = request->client,
                                      .generation = reader->generation,
                                      .come = reader_loaded};
    loads_wish_init(&reader->load);
    reader->joins = (struct joins){.cache = cache,
                                   .loop = loop,
                                   .request = request,
                                   .generation = reader->generation,
                                   .last = last / cache->block_size,
                                   .news = reader_news,
                                   .arg = reader};
    joins_init(&reader->joins, first / cache->block_size);
    return &reader->source;
}

void cache_read_count(struct source *source, uint64_t bytes[CACHE_FROM_COUNT])
{
    assert(source->class == &reader_class);
    ((struct reader *) source)->counts = bytes;
}

enum source_state cache_read_prime(struct source *source)
{
    enum reader_look found = LOOK_WAIT;
    assert(source->class == &reader_class);
    if (source->error != STATUS_OK)
        return SOURCE_FAILED;
    return reader_find((struct reader *) source, &found);
}

bool cache_read_fetches(const struct source *source)
{
    assert(source->class == &reader_class);
    const struct reader *reader = (const struct reader *) (const void *) source;
    const struct join *first = reader->joins.count > 0 ? reader->joins.items[0] : NULL;
    return first != NULL && first->tied && first->fill != NULL;
}

bool cache_read_joined(const struct source *source)
{
    assert(source->class == &reader_class);
    const struct reader *reader = (const struct reader *) (const void *) source;
    return reader->held != NULL && reader->held_join != NULL && !reader->held_join->began;
}
