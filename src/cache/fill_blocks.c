/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fill_blocks.c: a fill's buffers: which block is where on its way from the origin into the store, and when the next
 * may be begun. Owner's loop but for fill_take.
 */
#include "base/mem.h"
#include "base/metric.h"
#include "cache/fill.h"
#include "cache/flight.h"

/* A block on its way into the store. */
struct fill_put {
    struct letter letter;
    struct fill *fill; /* counted */
    unsigned block;
};

enum status fill_take(struct fill *fill, unsigned block, struct buf **buf)
{
    enum status ended = (enum status) atomic_load(&fill->ended);
    enum status status = STATUS_OK;

    if (block < fill->first || block > fill->last)
        return STATUS_NOT_FOUND;
    pthread_mutex_lock(&fill->lock);
    if (fill->buffers[block] != NULL)
        *buf = buf_ref(fill->buffers[block]);
    else if (fill->states[block] == FILL_BLOCK_GONE || ended == STATUS_OK)
        status = STATUS_NOT_FOUND;
    else
        status = ended; /* AGAIN while it runs */
    pthread_mutex_unlock(&fill->lock);
    return status;
}

static void fill_set_block(struct fill *fill, unsigned block, enum fill_block_state state, struct buf *buf)
{
    pthread_mutex_lock(&fill->lock);
    struct buf *old = fill->buffers[block];
    fill->states[block] = (uint8_t) state;
    fill->buffers[block] = buf;
    pthread_mutex_unlock(&fill->lock);
    if (old != buf)
        buf_unref(&old);
}

bool fill_covers(struct fill *fill, unsigned block)
{
    enum status ended = (enum status) atomic_load(&fill->ended);
    if (block < fill->first || block > fill->last || (ended != STATUS_AGAIN && ended != STATUS_OK))
        return false;
    switch ((enum fill_block_state) fill->states[block]) {
    case FILL_BLOCK_COMING:
    case FILL_BLOCK_FILLING:
        return ended == STATUS_AGAIN;
    case FILL_BLOCK_PUTTING:
    case FILL_BLOCK_WHOLE:
        return true;
    case FILL_BLOCK_GONE:
        return false;
    }
    return false;
}

void fill_give_up_blocks(struct fill *fill, uint64_t passed)
{
    bool over = !fill_runs(fill); /* what is not whole by now will not be */
    for (unsigned block = fill->first; block <= fill->last; block++)
        if ((fill->states[block] == FILL_BLOCK_WHOLE || (over && fill->states[block] == FILL_BLOCK_FILLING)) &&
            (store_block_number(fill->extent, block) + 1) * fill->cache->block_size <= passed)
            fill_set_block(fill, block, FILL_BLOCK_GONE, NULL);
}

unsigned fill_buffers_held(const struct fill *fill)
{
    unsigned held = 0;
    for (unsigned block = fill->first; block <= fill->last; block++)
        held += fill->buffers[block] != NULL;
    return held;
}

/* Whether the fill may take a buffer for its next block. While memory is short one buffer is all it gets, and one is
 * enough to go on with. */
static bool fill_may_begin(struct fill *fill, unsigned block)
{
    bool tight = mem_pressure() != MEM_EASY || room_is_short(fill->cache);
    uint64_t window = tight ? 1 : FILL_WINDOW;
    uint64_t start = store_block_number(fill->extent, block) * fill->cache->block_size;

    if (list_empty(&fill->joins))
        return block == fill->first && !fill->joined; /* the readers of an opening are still on their way */
    uint64_t fastest = flight_fastest(fill);
    if (start >= fastest + window * fill->cache->block_size || (start > fastest && !room_is_there_ahead(fill->cache)))
        return false;
    if (!tight)
        return true;
    fill_give_up_blocks(fill, fastest);
    return fill_buffers_held(fill) == 0;
}

void fill_set_pause(struct fill *fill, enum fill_pause pause)
{
    bool before = atomic_exchange(&fill->pause, (int) pause) == FILL_PAUSED_FOR_ROOM;
    metric_add(METRIC_FILLS_WAITING, (pause == FILL_PAUSED_FOR_ROOM) - before);
    if (pause == FILL_GOES_ON)
        timer_clear(&fill->linger);
}

/* It is looked at again: `linger` fires while it stands between two blocks. */
static void fill_pause(struct fill *fill, enum fill_pause why)
{
    fill->head_us = 0;
    if (atomic_load(&fill->pause) == (int) why)
        return;
    fill_set_pause(fill, why);
    /* Readers that come and go do not make those that stay any faster. */
    if (fill->watch.position != flight_fastest(fill))
        room_watch_begin(&fill->watch, flight_fastest(fill), loop_now_ms(fill->loop));
    timer_set(&fill->linger, why == FILL_PAUSED_FOR_ROOM ? ROOM_RETRY_MS
                             : !list_empty(&fill->joins) ? ROOM_LOOK_MS
                             : fill->joined              ? FILL_LINGER_MS
                                                         : FILL_JOIN_MS);
}

struct buf *fill_buffer(struct fill *fill, unsigned block)
{
    if (fill->states[block] == FILL_BLOCK_FILLING)
        return fill->buffers[block];
    if (!fill_may_begin(fill, block)) {
        /* Say so first, then look again: a reader that moved on in between has seen one or the other. */
        fill_pause(fill, FILL_PAUSED_FOR_READERS);
        if (!fill_may_begin(fill, block)) {
            buf_room_forget(fill->cache->blocks, &fill->wanted_ms);
            return NULL;
        }
    }
    uint64_t number = store_block_number(fill->extent, block);
    size_t size = store_block_length(fill->generation->length, fill->cache->block_size, number);
    struct buf *buf = buf_new_in(fill->cache->blocks, size, &fill->wanted_ms);
    if (buf == NULL) {
        fill_pause(fill, FILL_PAUSED_FOR_ROOM);
        return NULL;
    }
    fill_set_pause(fill, FILL_GOES_ON);
    fill->watch.position = UINT64_MAX;
    fill_set_block(fill, block, FILL_BLOCK_FILLING, buf);
    room_hold(cache_loop_of(fill->loop), &fill->hold);
    return buf;
}

void fill_block_anew(struct fill *fill)
{
    unsigned block = fill_block_at(fill, fill->position);
    room_release(&fill->hold);
    fill_set_block(fill, block, FILL_BLOCK_COMING, NULL);
    fill->position = store_block_number(fill->extent, block) * fill->cache->block_size;
}

static void fill_put_done(struct letter *letter)
{
    struct fill_put *put = CONTAINER_OF(letter, struct fill_put, letter);
    struct fill *fill = put->fill;
    uint64_t block = store_block_number(fill->extent, put->block);

    if (!fill->holds && store_has_block(fill->cache->config.store, fill->generation->id, block))
        fill_set_block(fill, put->block, FILL_BLOCK_GONE, NULL);
    else
        fill_set_block(fill, put->block, FILL_BLOCK_WHOLE, fill->buffers[put->block]);
    fill->putting--;
    mem_free(put);
    fill_watch_blocks(fill);
    fill_pump(fill);
    fill_settle(fill);
    fill_unref(&fill);
}

void fill_block_whole(struct fill *fill, unsigned block)
{
    struct epoch_key key = asker_epoch_key(&fill->asker->request);
    struct buf *buf = fill->buffers[block];

    room_release(&fill->hold);
    if (epochs_stamp(fill->cache->epochs, &key) == fill->stamp && !epochs_fenced(fill->cache->epochs, &key)) {
        struct fill_put *put = mem_calloc(1, sizeof *put);
        put->letter.deliver = fill_put_done;
        put->fill = fill_ref(fill);
        put->block = block;
        fill->putting++;
        fill_set_block(fill, block, FILL_BLOCK_PUTTING, buf);
        if (store_put_block(fill->cache->config.store, fill->generation, store_block_number(fill->extent, block), buf,
                            (uint32_t) buf->size, fill->loop, &put->letter) == STATUS_OK)
            return;
        fill->putting--;
        fill_unref(&put->fill);
        mem_free(put);
    }
    fill_set_block(fill, block, FILL_BLOCK_WHOLE, buf);
}
