/* SPDX-License-Identifier: Apache-2.0 */
/* joins.c: a reader's joins, and what is asked for ahead of it. */
#include "cache/joins.h"

#include "base/mem.h"

/* Between two times that a reader has more pieces fetched at once: what these bring is to come first. */
#define RAISE_MS 25
/* Who is in the same block for so long stands still; and how often that is looked at. */
#define STALL_MS 2000
#define LOOK_MS 500

static uint64_t first_block(const struct join *join)
{
    return join->extent * STORE_EXTENT_BLOCKS + join->first;
}

static uint64_t last_block(const struct join *join)
{
    return join->extent * STORE_EXTENT_BLOCKS + join->last;
}

static bool stored(const struct joins *joins, uint64_t block)
{
    return store_has_block(joins->cache->config.store, joins->generation->id, block);
}

/* ---- What is counted as asked for ahead. ---- */

static struct ahead_of whose(const struct join *join)
{
    const struct cache_request *request = &join->asker->request;
    return (struct ahead_of){join->generation->group, request->account_hash.lo, request->client};
}

static void count(struct joins *joins, struct join *join)
{
    struct cache_loop *home = cache_loop_of(joins->loop);
    struct ahead_of of = whose(join);
    join->counted = join->last - join->first + 1;
    ahead_take(&joins->cache->ahead, joins->cache->config.store, &of, join->counted);
    if (!list_empty(&joins->node))
        return;
    joins->seen = joins->block;
    joins->seen_ms = loop_now_ms(joins->loop);
    list_add_tail(&home->counted, &joins->node);
    timer_hasten(&home->counted_timer, LOOK_MS);
}

/* Its reader has come to it, or will not. */
static void uncount(struct join *join)
{
    struct ahead_of of = whose(join);
    if (join->counted > 0)
        ahead_give(&join->cache->ahead, join->cache->config.store, &of, join->counted);
    join->counted = 0;
}

/* What has come for a reader that stands still counts no more; what comes yet does. */
static void uncount_stalled(struct joins *joins, int64_t now_ms)
{
    bool left = false;
    if (joins->block != joins->seen) {
        joins->seen = joins->block;
        joins->seen_ms = now_ms;
    }
    bool stalled = now_ms - joins->seen_ms >= STALL_MS;
    for (unsigned i = 0; i < joins->count; i++) {
        struct join *join = joins->items[i];
        if (stalled && join->tied && (join->fill == NULL || !fill_runs(join->fill)))
            uncount(join);
        left = left || join->counted > 0;
    }
    if (!left)
        list_remove(&joins->node);
}

static void look(struct timer *timer)
{
    struct cache_loop *home = CONTAINER_OF(timer, struct cache_loop, counted_timer);
    LIST_FOR_EACH_SAFE(node, &home->counted)
    {
        uncount_stalled(LIST_ENTRY(node, struct joins, node), loop_now_ms(home->loop));
    }
    if (!list_empty(&home->counted))
        timer_set(&home->counted_timer, LOOK_MS);
}

void joins_loop_init(struct cache_loop *home)
{
    list_init(&home->counted);
    timer_init(&home->counted_timer, home->loop, look);
}

void joins_loop_fini(struct cache_loop *home)
{
    timer_fini(&home->counted_timer);
}

/* ---- The joins. ---- */

static void drop(struct joins *joins, unsigned index)
{
    uncount(joins->items[index]);
    flight_leave(&joins->items[index]);
    for (unsigned i = index + 1; i < JOINS_MAX; i++)
        joins->items[i - 1] = joins->items[i];
    joins->items[JOINS_MAX - 1] = NULL;
    joins->count--;
}

static unsigned depth_of(const struct joins *joins)
{
    if (joins->unstored)
        return JOINS_UNSTORED;
    return joins->depth == 0 ? JOINS_FIRST : joins->depth;
}

void joins_drop_first(struct joins *joins)
{
    drop(joins, 0);
}

void joins_init(struct joins *joins, uint64_t block)
{
    list_init(&joins->node);
    joins->block = joins->next = block;
}

void joins_fini(struct joins *joins)
{
    while (joins->count > 0)
        drop(joins, joins->count - 1);
    list_remove(&joins->node);
    asker_unref(&joins->asker);
}

static uint64_t piece_end(const struct joins *joins, uint64_t block)
{
    if (joins->slow)
        return block;
    return fill_piece_end(cache_loop_of(joins->loop), joins->request->account_hash.lo, block, joins->kept);
}

/* Blocks that one request asks for. */
static unsigned piece(const struct joins *joins)
{
    return (unsigned) piece_end(joins, 0) + 1;
}

struct join *joins_ask(struct joins *joins, uint64_t block)
{
    joins->kept = store_put_ahead(joins->cache->config.store, joins->generation->group);
    joins->unstored = !fill_ahead_is_kept(joins->cache, joins->kept);
    joins->slow = joins->unstored && (joins->slow || (block < joins->next && room_wanted(joins->cache)));
    uint64_t extent = block / STORE_EXTENT_BLOCKS, end = piece_end(joins, block);
    if (end > joins->last)
        end = joins->last;
    if (joins->count == JOINS_MAX)
        drop(joins, JOINS_MAX - 1);
    if (joins->asker == NULL)
        joins->asker = asker_new(joins->request);

    struct join *join = flight_join(joins->cache, joins->loop, joins->asker, joins->generation, extent,
                                    (unsigned) (block % STORE_EXTENT_BLOCKS), (unsigned) (end % STORE_EXTENT_BLOCKS),
                                    joins->news, joins->arg);
    unsigned place = joins->count++;
    while (place > 0 && first_block(joins->items[place - 1]) > block) {
        joins->items[place] = joins->items[place - 1];
        place--;
    }
    joins->items[place] = join;
    if (end + 1 > joins->next)
        joins->next = end + 1;
    return join;
}

/* A piece may have been tied to a fill of another reader's, which ends before: the rest is to be asked for. */
static void trim(struct joins *joins)
{
    for (unsigned i = 0; i < joins->count; i++) {
        struct join *join = joins->items[i];
        if (join->tied && !join->began)
            uncount(join); /* another reader's piece, who counts it */
        if (!join->tied || join->fill == NULL || join->fill->last >= join->last)
            continue;
        join->last = join->fill->last;
        if (joins->next > last_block(join) + 1)
            joins->next = last_block(join) + 1;
    }
}

static bool asked_for(const struct joins *joins, uint64_t block)
{
    for (unsigned i = 0; i < joins->count; i++)
        if (block >= first_block(joins->items[i]) && block <= last_block(joins->items[i]))
            return true;
    return false;
}

/* One piece each is always theirs. */
static bool may_ask_ahead(const struct joins *joins)
{
    struct cache *cache = joins->cache;
    const struct ahead_of of = {joins->generation->group, joins->request->account_hash.lo, joins->request->client};
    if (mem_pressure() >= MEM_NO_READAHEAD || room_is_short(cache) || origin_budget_contended(joins->request->budget) ||
        line_contended(&cache->places.room, of.account, of.client))
        return false;
    return joins->unstored || joins->count < 2 || ahead_may(&cache->ahead, cache->config.store, &of, piece(joins));
}

static void ask_ahead(struct joins *joins, uint64_t block)
{
    struct join *join = joins_ask(joins, block);
    join->early = true;
    count(joins, join);
}

/* Pieces that are not whole yet. */
static unsigned under_way(const struct joins *joins)
{
    unsigned count = 0;
    for (unsigned i = 0; i < joins->count; i++) {
        const struct join *join = joins->items[i];
        count += !join->tied || (join->fill != NULL && fill_runs(join->fill));
    }
    return count;
}

/* Who has all at once that there may be reads faster than they come, and may have more of them whole ahead of it. */
static uint64_t limit_of(const struct joins *joins, uint64_t block)
{
    unsigned depth = depth_of(joins);
    return block + (uint64_t) (depth == JOINS_AT_ONCE ? JOINS_MAX : depth) * piece(joins);
}

void joins_read_ahead(struct joins *joins, uint64_t block)
{
    uint64_t limit = limit_of(joins, block);
    trim(joins);
    while (joins->next < limit && joins->next <= joins->last) {
        if (asked_for(joins, joins->next) || stored(joins, joins->next)) {
            joins->next++;
            continue;
        }
        if (joins->count == JOINS_MAX || under_way(joins) >= depth_of(joins) || !may_ask_ahead(joins))
            return;
        ask_ahead(joins, joins->next);
    }
}

void joins_look_beyond(struct joins *joins, uint64_t block)
{
    if (joins->next > block + 1)
        return;
    joins->next = block + 1;
    if (joins->next > joins->last || joins->count == JOINS_MAX)
        return;
    if (stored(joins, joins->next))
        joins->next++;
    else
        joins_ask(joins, joins->next)->early = true;
}

void joins_want_more(struct joins *joins, uint64_t block)
{
    int64_t now_ms = loop_now_ms(joins->loop);
    unsigned depth = depth_of(joins);
    if (joins->unstored)
        return;
    if (joins->count >= depth && depth < JOINS_AT_ONCE && now_ms - joins->raised_ms >= RAISE_MS) {
        joins->depth = depth < JOINS_AT_ONCE / 2 ? 2 * depth : JOINS_AT_ONCE;
        joins->raised_ms = now_ms;
    }
    joins_read_ahead(joins, block);
}

struct join *joins_at(struct joins *joins, uint64_t block)
{
    while (joins->count > 0 && last_block(joins->items[0]) < block)
        drop(joins, 0);
    if (joins->count == 0 || first_block(joins->items[0]) > block)
        return NULL;
    struct join *join = joins->items[0];
    uncount(join);
    if (join->tied && join->fill != NULL && fill_runs(join->fill))
        join->early = false;
    return join;
}

void joins_advance(struct joins *joins, uint64_t block, uint64_t position)
{
    joins->block = block;
    if (joins->count > 0 && first_block(joins->items[0]) <= block)
        flight_advance(joins->items[0], position);
}
