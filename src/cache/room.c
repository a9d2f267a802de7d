/* SPDX-License-Identifier: Apache-2.0 */
/* room.c: the bound, and the looks at those who have a block in hand. */
#include "cache/room.h"

#include "base/mem.h"
#include "cache/context.h"
#include "cache/place.h"

/* Of `memory`: three parts of eight. */
#define PARTS 3
#define PART 8
/* Blocks a loop that can always be had, so that each can go on. */
#define LEAST 2

void room_init(struct cache *cache)
{
    struct buf_room *blocks = &cache->blocks;
    blocks->least = (size_t) LEAST * cache->config.loop_count * cache->block_size;
    blocks->most = mem_limit() == 0 ? SIZE_MAX / 2 : mem_limit() / PART * PARTS;
    if (blocks->most < blocks->least)
        blocks->most = blocks->least;
}

bool room_wanted(const struct cache *cache)
{
    return places_contended(cache) || mem_pressure() >= MEM_NO_SPLIT || buf_room_short(&cache->blocks, ROOM_IDLE_MS);
}

void room_pace_begin(struct room_pace *pace, uint64_t position, int64_t now_ms)
{
    *pace = (struct room_pace){.position = position, .since_ms = now_ms, .moved_ms = now_ms};
}

bool room_pace_stands(struct room_pace *pace, uint64_t position, int64_t now_ms)
{
    if (position != pace->position)
        pace->moved_ms = now_ms;
    pace->position = position;
    return now_ms - pace->moved_ms >= ROOM_IDLE_MS || now_ms - pace->since_ms >= ROOM_SLOW_MS;
}

/* ---- Readers with a block in hand. ---- */

static void look(struct timer *timer)
{
    struct cache_loop *home = CONTAINER_OF(timer, struct cache_loop, look);
    bool wanted = room_wanted(home->cache);
    int64_t now_ms = loop_now_ms(home->loop);
    LIST_FOR_EACH_SAFE(node, &home->holds)
    {
        struct room_hold *hold = LIST_ENTRY(node, struct room_hold, node);
        if (room_pace_stands(&hold->pace, hold->position(hold), now_ms) && wanted)
            hold->give_up(hold);
    }
    home->looking = !list_empty(&home->holds);
    if (home->looking)
        timer_set(&home->look, ROOM_LOOK_MS);
}

void room_loop_init(struct cache_loop *home)
{
    list_init(&home->holds);
    timer_init(&home->look, home->loop, look);
}

void room_loop_fini(struct cache_loop *home)
{
    timer_fini(&home->look);
}

void room_hold(struct cache_loop *home, struct room_hold *hold)
{
    room_pace_begin(&hold->pace, hold->position(hold), loop_now_ms(home->loop));
    list_add_tail(&home->holds, &hold->node);
    if (home->looking)
        return;
    home->looking = true;
    timer_set(&home->look, ROOM_LOOK_MS);
}

void room_release(struct room_hold *hold)
{
    list_remove(&hold->node);
}
