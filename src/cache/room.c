/* SPDX-License-Identifier: Apache-2.0 */
/* room.c: the bound, and the looks at those who have a block in hand or under way. */
#include "cache/room.h"

#include "base/mem.h"
#include "base/mem_parts.h"
#include "cache/context.h"

/* Blocks that can always be had: so many a loop, so that each can go on, and one more. Half of the former is for those
 * who have a place (place.c); on one loop that may be one of each kind, which would leave no block to anybody else. */
#define LEAST 2

void room_init(struct cache *cache)
{
    struct buf_room *blocks = cache->blocks;
    blocks->least = ((size_t) LEAST * cache->config.loop_count + 1) * cache->block_size;
    blocks->most = mem_part(MEM_BLOCKS, SIZE_MAX / 2);
    if (blocks->most < blocks->least)
        blocks->most = blocks->least;
}

size_t room_left(const struct cache *cache)
{
    const struct buf_room *blocks = cache->blocks;
    size_t most = mem_pressure() < MEM_QUEUE_FILLS ? blocks->most : blocks->least;
    size_t taken = atomic_load_explicit(&blocks->taken, memory_order_relaxed);
    return taken < most ? most - taken : 0;
}

bool room_is_short(const struct cache *cache)
{
    return buf_room_short(cache->blocks, ROOM_IDLE_MS);
}

bool room_wanted(const struct cache *cache)
{
    return line_full(&cache->places.room) || mem_pressure() >= MEM_NO_SPLIT || room_is_short(cache);
}

bool room_is_there_ahead(const struct cache *cache)
{
    return atomic_load_explicit(&cache->blocks->taken, memory_order_relaxed) < cache->blocks->most / 2;
}

void room_watch_begin(struct room_watch *watch, uint64_t position, int64_t now_ms)
{
    *watch = (struct room_watch){.position = position, .since_ms = now_ms, .moved_ms = now_ms};
}

bool room_watch_look(struct room_watch *watch, uint64_t position, int64_t now_ms)
{
    if (position != watch->position)
        watch->moved_ms = now_ms;
    watch->position = position;
    return now_ms - watch->moved_ms >= ROOM_IDLE_MS || now_ms - watch->since_ms >= ROOM_SLOW_MS;
}

/* ---- Who has a block in hand, or under way. ---- */

static bool wanted_of(const struct cache *cache, const struct line_ticket *place)
{
    if (place == NULL)
        return !room_is_there_ahead(cache);
    return line_contended(&cache->places.room, place->account, place->client);
}

static void look(struct timer *timer)
{
    struct cache_loop *home = CONTAINER_OF(timer, struct cache_loop, holds_timer);
    struct cache *cache = home->cache;
    if (list_empty(&home->holds))
        return;
    bool wanted = room_wanted(cache);
    int64_t now_ms = loop_now_ms(home->loop);
    LIST_FOR_EACH_SAFE(node, &home->holds)
    {
        struct room_hold *hold = LIST_ENTRY(node, struct room_hold, node);
        if (room_watch_look(&hold->watch, *hold->position, now_ms) && (wanted || wanted_of(cache, hold->place)))
            hold->give_up(hold);
    }
    timer_set(&home->holds_timer, ROOM_LOOK_MS);
}

void room_loop_init(struct cache_loop *home)
{
    list_init(&home->holds);
    timer_init(&home->holds_timer, home->loop, look);
}

void room_loop_fini(struct cache_loop *home)
{
    timer_fini(&home->holds_timer);
}

void room_hold(struct cache_loop *home, struct room_hold *hold)
{
    room_watch_begin(&hold->watch, *hold->position, loop_now_ms(home->loop));
    timer_hasten(&home->holds_timer, ROOM_LOOK_MS);
    list_add_tail(&home->holds, &hold->node);
}

void room_release(struct room_hold *hold)
{
    list_remove(&hold->node);
}
