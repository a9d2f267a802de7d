/* SPDX-License-Identifier: Apache-2.0 */
/* flight.c: the owner's table of fills, and both ends of a join. What runs where is in flight.h. */
#include "cache/flight.h"

#include "base/mem.h"

/* ---- The table, on the owner's loop: fills by generation and extent, openings by object and extent. ---- */

static struct list *flight_bucket(struct cache_loop *home, uint64_t name, uint64_t extent)
{
    return &home->flights[hash_mix(name, extent) % CACHE_BUCKETS];
}

void flight_add(struct fill *fill)
{
    uint64_t name = fill->generation != NULL ? fill->generation->id : fill->asker->request.object.lo;
    list_remove(&fill->on_flight);
    list_add_tail(flight_bucket(cache_loop_of(fill->loop), name, fill->extent), &fill->on_flight);
}

void flight_remove(struct fill *fill)
{
    list_remove(&fill->on_flight);
}

/* Another node's request joins none that may wait for that node: where two do not agree on who is at home, each would
 * wait for the other. */
static bool may_join(const struct fill *fill, const struct join *join)
{
    return fill->way <= join->asker->request.farthest;
}

static struct fill *flight_find(struct cache_loop *home, const struct join *join, unsigned block)
{
    uint64_t generation = join->generation->id;
    LIST_FOR_EACH(node, flight_bucket(home, generation, join->extent))
    {
        struct fill *fill = LIST_ENTRY(node, struct fill, on_flight);
        if (fill->generation != NULL && fill->generation->id == generation && fill->extent == join->extent &&
            may_join(fill, join) && fill_covers(fill, block))
            return fill;
    }
    return NULL;
}

/* ---- The owner's side of a join. ---- */

static void join_wake(struct join *join)
{
    if (atomic_exchange(&join->waiting, false))
        loop_post(join->loop, &join->wake);
}

void flight_wake_all(struct fill *fill)
{
    LIST_FOR_EACH(node, &fill->joins)
    {
        join_wake(LIST_ENTRY(node, struct join, node));
    }
}

uint64_t flight_fastest(const struct fill *fill)
{
    uint64_t fastest = 0;
    LIST_FOR_EACH(node, &fill->joins)
    {
        uint64_t position = atomic_load(&LIST_ENTRY(node, struct join, node)->position);
        if (position > fastest)
            fastest = position;
    }
    return fastest;
}

struct asker *flight_other_asker(struct fill *fill, const struct asker *refused)
{
    struct asker *other = NULL;
    LIST_FOR_EACH(node, &fill->joins)
    {
        struct join *join = LIST_ENTRY(node, struct join, node);
        if (asker_same_credential(&join->asker->request, &refused->request))
            join->refused = true;
        else if (other == NULL && !join->refused)
            other = join->asker;
    }
    return other;
}

struct asker *flight_live_asker(struct fill *fill)
{
    LIST_FOR_EACH(node, &fill->joins)
    {
        struct join *join = LIST_ENTRY(node, struct join, node);
        if (asker_same_credential(&join->asker->request, &fill->asker->request))
            return fill->asker;
    }
    return LIST_ENTRY(fill->joins.next, struct join, node)->asker;
}

/* The blocks from the first that are missing and that nobody brings: one origin request. */
static unsigned flight_run_end(struct cache_loop *home, const struct join *join)
{
    uint64_t base = join->extent * STORE_EXTENT_BLOCKS;
    unsigned block = join->first;
    while (block < join->last && !store_has_block(join->cache->config.store, join->generation->id, base + block + 1) &&
           flight_find(home, join, block + 1) == NULL)
        block++;
    return block;
}

/* An opening that may turn out to bring the join's first block. */
static struct fill *flight_opening(struct cache_loop *home, const struct join *join)
{
    LIST_FOR_EACH(node, flight_bucket(home, join->generation->object.lo, join->extent))
    {
        struct fill *fill = LIST_ENTRY(node, struct fill, on_flight);
        if (fill->generation == NULL && fill->extent == join->extent && may_join(fill, join) &&
            fill_covers(fill, join->first) && hash128_eq(fill->asker->request.object, join->generation->object))
            return fill;
    }
    return NULL;
}

/* `may_park`: an opening may be waited for. */
static void join_tie(struct join *join, bool may_park)
{
    struct cache_loop *home = cache_loop_of(join->owner);
    uint64_t block = join->extent * STORE_EXTENT_BLOCKS + join->first;

    /* The table before the store: a block leaves the table only when the store has it. */
    struct fill *fill = flight_find(home, join, join->first);
    if (fill != NULL) {
        join->fill = fill_ref(fill);
    } else if (!store_has_block(join->cache->config.store, join->generation->id, block)) {
        struct fill *opening = may_park && !join->asker->request.cached ? flight_opening(home, join) : NULL;
        if (opening != NULL) {
            list_add_tail(&opening->parked, &join->node);
            return;
        }
        if (join->asker->request.cached) {
            join->absent = true;
            loop_post(join->loop, &join->wake);
            return;
        }
        join->fill =
            fill_start(home, join->asker, join->generation, join->extent, join->first, flight_run_end(home, join));
        join->began = true;
    }
    if (join->fill != NULL) {
        join->leads = !join->fill->joined;
        join->fill->joined = true;
        list_add_tail(&join->fill->joins, &join->node);
        fill_readers_changed(join->fill);
    }
    loop_post(join->loop, &join->wake);
}

static void join_want(struct letter *letter)
{
    join_tie(CONTAINER_OF(letter, struct join, want), true);
}

void flight_unpark(struct fill *fill, bool tie)
{
    while (!list_empty(&fill->parked)) {
        struct join *join = LIST_ENTRY(fill->parked.next, struct join, node);
        list_remove(&join->node);
        if (tie)
            join_tie(join, false);
    }
}

static void join_leave(struct letter *letter)
{
    struct join *join = CONTAINER_OF(letter, struct join, leave);
    struct fill *fill = join->fill;

    list_remove(&join->node);
    atomic_store(&join->waiting, false);
    if (fill != NULL)
        fill_readers_changed(fill);
    loop_post(join->loop, &join->gone);
}

/* ---- The reader's side. ---- */

static void join_woken(struct letter *letter)
{
    struct join *join = CONTAINER_OF(letter, struct join, wake);
    join->wake_due = false;
    join->tied = true;
    if (join->news != NULL)
        join->news(join->arg);
}

static void join_gone(struct letter *letter)
{
    struct join *join = CONTAINER_OF(letter, struct join, gone);
    fill_unref(&join->fill);
    asker_unref(&join->asker);
    store_generation_unref(&join->generation);
    mem_free(join);
}

struct join *flight_join(struct cache *cache, struct loop *loop, struct asker *asker,
                         struct store_generation *generation, uint64_t extent, unsigned first, unsigned last,
                         void (*news)(void *arg), void *arg)
{
    struct join *join = mem_calloc(1, sizeof *join);
    join->cache = cache;
    join->loop = loop;
    join->owner = cache_extent_owner(cache, generation->object, extent);
    join->asker = asker_ref(asker);
    join->generation = store_generation_ref(generation);
    join->extent = extent;
    join->first = first;
    join->last = last;
    join->news = news;
    join->arg = arg;
    join->wake_due = true;
    atomic_init(&join->position, (extent * STORE_EXTENT_BLOCKS + first) * cache->block_size);
    list_init(&join->node);
    join->want.deliver = join_want;
    join->wake.deliver = join_woken;
    join->leave.deliver = join_leave;
    join->gone.deliver = join_gone;
    loop_post(join->owner, &join->want);
    return join;
}

/* More of the block has come; or what the reader has of it, if anything, is not the fill's any more. */
static bool is_news(enum status status, const struct buf *now, const struct buf *held, size_t have)
{
    if (status == STATUS_AGAIN)
        return held != NULL;
    return status != STATUS_OK || buf_filled(now) > have || (held != NULL && held != now);
}

bool flight_wait(struct join *join, unsigned block, const struct buf *held, size_t have)
{
    struct buf *buf = NULL;

    if (join->wake_due)
        return true;
    atomic_store(&join->waiting, true);
    /* Say so first, then look again: either this look sees the news or the owner sees `waiting`. */
    enum status status = fill_take(join->fill, block, &buf);
    bool news = is_news(status, buf, held, have);
    if (!news && status == STATUS_OK && !fill_runs(join->fill) && buf_filled(buf) < buf->size)
        news = true; /* it ended in the middle of the block */
    buf_unref(&buf);
    if (news && atomic_exchange(&join->waiting, false))
        return false;
    join->wake_due = true; /* now, or already on its way */
    return true;
}

void flight_advance(struct join *join, uint64_t position)
{
    atomic_store(&join->position, position);
    if (join->tied && join->fill != NULL)
        fill_poke(join->fill);
}

void flight_leave(struct join **join)
{
    struct join *gone = *join;
    *join = NULL;
    if (gone == NULL)
        return;
    gone->news = NULL;
    loop_post(gone->owner, &gone->leave);
}
