/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fill.c: a fill's life and its progress. fill_blocks.c has its buffers, fill_fetch.c its requests, fill_yield.c when it
 * makes room for others. Everything runs on the owner's loop but fill_take, fill_poke, fill_adopt and the counting of
 * references.
 */
#include "cache/fill.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/metric.h"
#include "cache/flight.h"
#include "cache/place.h"

static void fill_deliver_poke(struct letter *letter);
static void fill_deliver_adopt(struct letter *letter);
static void fill_retry(struct timer *timer);

/* ---- Life. ---- */

bool fill_ahead_is_kept(const struct cache *cache, int64_t kept)
{
    return kept >= (int64_t) FILL_AHEAD_LEAST * cache->block_size;
}

uint64_t fill_piece_end(const struct cache_loop *home, uint64_t account, uint64_t block, int64_t kept)
{
    if (!fill_ahead_is_kept(home->cache, kept))
        return block | (STORE_EXTENT_BLOCKS - 1);
    uint32_t size = home->cache->block_size;
    unsigned most = FILL_WINDOW;
    while (most > 1 && (int64_t) most * size * FILL_PIECES > kept)
        most /= 2;
    return block | (pace_blocks(&home->paces, account, size, most) - 1);
}

/* `kept`: as for fill_ahead_is_kept. */
static struct fill *fill_new(struct cache_loop *home, struct asker *asker, uint64_t extent, unsigned first,
                             unsigned last, int64_t kept, bool pinned)
{
    struct fill *fill = mem_calloc(1, sizeof *fill);
    struct epoch_key key = asker_epoch_key(&asker->request);

    atomic_init(&fill->refs, 2); /* the owner's table, and the caller */
    fill->cache = home->cache;
    fill->loop = home->loop;
    fill->extent = extent;
    fill->first = first;
    fill->last = last;
    fill->asker = asker_ref(asker);
    fill->way = upstream_way(fill->cache, &asker->request, extent, pinned);
    fill->stamp = epochs_stamp(fill->cache->epochs, &key);
    fill->holds = !fill_ahead_is_kept(fill->cache, kept);
    fill->position = store_block_number(extent, first) * fill->cache->block_size;
    fill->end = (store_block_number(extent, last) + 1) * fill->cache->block_size;
    fill->poke.deliver = fill_deliver_poke;
    fill->adopt.deliver = fill_deliver_adopt;
    atomic_init(&fill->ended, STATUS_AGAIN);
    atomic_init(&fill->pause, FILL_GOES_ON);
    pthread_mutex_init(&fill->lock, NULL);
    fill->watch.position = UINT64_MAX;
    list_init(&fill->hold.node);
    fill->hold.position = &fill->position;
    fill->hold.place = &fill->place.room;
    fill->hold.give_up = fill_hold_give_up;
    fill->patience_ms = ROOM_SLOW_MS;
    list_init(&fill->joins);
    list_init(&fill->parked);
    list_init(&fill->on_flight);
    list_add_tail(&home->fills, &fill->on_loop);
    timer_init(&fill->retry, fill->loop, fill_retry);
    timer_init(&fill->linger, fill->loop, fill_linger_over);
    timer_init(&fill->stall, fill->loop, fill_look_at_peer);
    metric_add(METRIC_FILLS_INFLIGHT, 1);
    return fill;
}

static void fill_set_generation(struct fill *fill, struct store_generation *generation)
{
    fill->generation = store_generation_ref(generation);
    if (fill->end > generation->length) {
        fill->end = generation->length;
        fill->last = fill_block_at(fill, fill->end - 1);
    }
    flight_add(fill);
}

struct fill *fill_start(struct cache_loop *home, struct asker *asker, struct store_generation *generation,
                        uint64_t extent, unsigned first, unsigned last)
{
    int64_t kept = store_put_ahead(home->cache->config.store, asker->request.container);
    struct fill *fill = fill_new(home, asker, extent, first, last, kept, true);
    fill_set_generation(fill, generation);
    place_ask(fill, NULL);
    return fill;
}

void fill_open(struct cache_loop *home, struct asker *asker, uint64_t extent, unsigned first, unsigned last,
               struct fill_opening *opening)
{
    struct admission place;
    int64_t kept = store_put_ahead(home->cache->config.store, asker->request.container);
    unsigned end = (unsigned) fill_piece_end(home, asker->request.account_hash.lo, first, kept);
    if (last > end)
        last = end;
    enum pool_way way = upstream_way(home->cache, &asker->request, extent, opening->pin.len > 0);
    if (!opening->patient && !place_now(home, &asker->request, way, opening->asked, &place)) {
        opening->status = STATUS_AGAIN;
        loop_post(opening->home, &opening->letter);
        return;
    }
    struct fill *fill = fill_new(home, asker, extent, first, last, kept, opening->pin.len > 0);
    opening->fill = fill;
    fill->opening = opening;
    flight_add(fill);
    if (opening->patient) {
        place_ask(fill, opening->asked);
    } else {
        admission_move(&fill->place, &place);
        fill_fetch_start(fill);
    }
}

struct fill *fill_ref(struct fill *fill)
{
    atomic_fetch_add_explicit(&fill->refs, 1, memory_order_relaxed);
    return fill;
}

void fill_unref(struct fill **fill)
{
    struct fill *gone = *fill;
    *fill = NULL;
    if (gone == NULL || atomic_fetch_sub_explicit(&gone->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (unsigned block = 0; block < STORE_EXTENT_BLOCKS; block++)
        buf_unref(&gone->buffers[block]);
    asker_unref(&gone->asker);
    if (gone->generation != NULL)
        store_generation_unref(&gone->generation);
    pthread_mutex_destroy(&gone->lock);
    mem_free(gone);
}

void fill_settle(struct fill *fill)
{
    if (fill_runs(fill) || fill->putting > 0 || !list_empty(&fill->joins) || list_empty(&fill->on_loop))
        return;
    flight_remove(fill);
    list_remove(&fill->on_loop);
    timer_fini(&fill->retry);
    timer_fini(&fill->linger);
    timer_fini(&fill->stall);
    metric_add(METRIC_FILLS_INFLIGHT, -1);
    fill_unref(&fill);
}

void fill_end(struct fill *fill, enum status status)
{
    if (!fill_runs(fill))
        return;
    fill_fetch_stop(fill, status);
    room_release(&fill->hold);
    buf_room_forget(fill->cache->blocks, &fill->wanted_ms);
    timer_clear(&fill->retry);
    fill_set_pause(fill, FILL_GOES_ON);
    admission_leave(&fill->place);
    if (status != STATUS_OK)
        flight_remove(fill);
    atomic_store(&fill->ended, (int) status);
    metric_cell_add(metric_cell(METRIC_FILLS, status_name(status)), 1);
    flight_wake_all(fill);
    flight_unpark(fill, status != STATUS_SHUTDOWN);
    fill_watch_blocks(fill);
    fill_settle(fill);
}

void fill_adopt(struct fill **fill, struct store_generation *generation)
{
    struct fill *adopted = *fill;
    *fill = NULL;
    /* The reference travels with the letter. */
    adopted->adopted = generation == NULL ? NULL : store_generation_ref(generation);
    loop_post(adopted->loop, &adopted->adopt);
}

static void fill_deliver_adopt(struct letter *letter)
{
    struct fill *fill = CONTAINER_OF(letter, struct fill, adopt);
    if (fill_runs(fill)) {
        if (fill->adopted == NULL) {
            fill_end(fill, STATUS_CANCELLED);
        } else {
            fill_set_generation(fill, fill->adopted);
            flight_unpark(fill, true);
            fill_pump(fill);
        }
    }
    if (fill->adopted != NULL)
        store_generation_unref(&fill->adopted);
    fill_unref(&fill);
}

/* ---- Progress. ---- */

/* Moves what the source shows into the buffer. */
static void fill_copy(struct fill *fill, struct buf *buf, const struct source_view *view)
{
    size_t filled = buf_filled(buf);
    for (unsigned i = 0; i < view->count; i++) {
        memcpy(buf->data + filled, view->pieces[i].iov_base, view->pieces[i].iov_len);
        filled += view->pieces[i].iov_len;
    }
    buf_publish(buf, filled);
    fill->position += view->bytes;
    fill->attempts = 0;
}

/* The last byte has come, and nobody but the origin has kept it waiting. */
static void fill_learn(struct fill *fill)
{
    if (fill->head_us != 0 && !fill->by_peer)
        pace_learn(&cache_loop_of(fill->loop)->paces, fill->asker->request.account_hash.lo,
                   fill->head_us - fill->sent_us, fill->position - fill->began, clock_mono_us() - fill->head_us);
}

/* One step; true: go on at once. */
static bool fill_pump_step(struct fill *fill)
{
    unsigned block = fill_block_at(fill, fill->position);
    struct source_view view;

    if (fill->position >= fill->end) {
        fill_learn(fill);
        fill_end(fill, STATUS_OK);
        return false;
    }
    struct buf *buf = fill_buffer(fill, block);
    if (buf == NULL)
        return false;
    switch (source_peek(fill->body, &view, buf->size - buf_filled(buf))) {
    case SOURCE_DATA:
        fill_copy(fill, buf, &view);
        source_consume(fill->body, view.bytes);
        if (buf_filled(buf) == buf->size)
            fill_block_whole(fill, block);
        return true;
    case SOURCE_WAIT:
        return false;
    case SOURCE_END:
        fill_broken(fill, STATUS_TRUNCATED);
        return false;
    case SOURCE_FAILED:
        fill_broken(fill, fill->body->error);
        return false;
    }
    return false;
}

void fill_pump(void *arg)
{
    struct fill *fill = fill_ref(arg); /* an end inside must not take it away */
    uint64_t before = fill->position;

    while (fill->body != NULL && fill->generation != NULL && fill_pump_step(fill))
        ;
    if (fill->position != before) {
        if (fill->by_peer)
            metric_add(METRIC_PEER_BYTES, (int64_t) (fill->position - before));
        flight_wake_all(fill);
    }
    fill_unref(&fill);
}

static void fill_deliver_poke(struct letter *letter)
{
    struct fill *fill = CONTAINER_OF(letter, struct fill, poke);
    atomic_store(&fill->poked, false);
    fill_pump(fill);
    fill_unref(&fill);
}

void fill_poke(struct fill *fill)
{
    if (atomic_load(&fill->pause) != FILL_PAUSED_FOR_READERS || atomic_exchange(&fill->poked, true))
        return;
    loop_post(fill->loop, &fill_ref(fill)->poke);
}

void fill_readers_changed(struct fill *fill)
{
    if (fill_runs(fill))
        fill_set_pause(fill, FILL_GOES_ON);
    /* While it waits for its turn or its reply nothing else would end it. */
    if (fill_runs(fill) && list_empty(&fill->joins) && fill->generation != NULL && fill->body == NULL)
        timer_set(&fill->linger, FILL_LINGER_MS);
    fill_pump(fill);
    fill_settle(fill);
}

static void fill_retry(struct timer *timer)
{
    struct fill *fill = CONTAINER_OF(timer, struct fill, retry);
    if (list_empty(&fill->joins)) {
        fill_end(fill, STATUS_OK);
        return;
    }
    struct asker *live = flight_live_asker(fill);
    if (live != fill->asker) {
        asker_unref(&fill->asker);
        fill->asker = asker_ref(live);
    }
    if (admission_has(&fill->place))
        fill_fetch_start(fill);
    else
        place_ask(fill, NULL);
}
