/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fill_yield.c: when a fill makes room for others (room.h): one that stands between two blocks for its readers, one
 * that has ended and whose readers do not come, and one whose block under way does not get on. Owner's loop.
 */
#include "base/clock.h"
#include "cache/fill.h"
#include "cache/flight.h"
#include "cache/place.h"

/* Who has given its place up, and is refused another, asks again. */
#define ASK_AGAIN_MS 1000

void fill_watch_blocks(struct fill *fill)
{
    if (fill_runs(fill) || list_empty(&fill->joins) || fill_buffers_held(fill) == 0)
        return;
    room_watch_begin(&fill->watch, flight_fastest(fill), loop_now_ms(fill->loop));
    timer_set(&fill->linger, ROOM_LOOK_MS);
}

static bool fill_stands(struct fill *fill)
{
    uint64_t fastest = flight_fastest(fill);
    int64_t now_ms = loop_now_ms(fill->loop);
    /* Its readers wait for our own disk; or they have come to another of its blocks. */
    if (fill_runs(fill) ? fill->putting > 0 && fill->position <= fastest
                        : fastest / fill->cache->block_size != fill->watch.position / fill->cache->block_size)
        room_watch_begin(&fill->watch, fastest, now_ms);
    return room_watch_look(&fill->watch, fastest, now_ms) &&
           (room_wanted(fill->cache) ||
            line_contended(&fill->cache->places.room, fill->hold.place->account, fill->hold.place->client));
}

/* Its readers have what is in the store, and come back, pinned, for the rest when they are there. */
static void fill_yield(struct fill *given_up)
{
    struct fill *fill = fill_ref(given_up);
    fill_end(fill, STATUS_OK);
    fill_give_up_blocks(fill, UINT64_MAX);
    fill_unref(&fill);
}

/* From the block under way on, when it is its turn again. Its readers stay, and those that have a part of that block in
 * hand find it gone from here (flight_wait). */
static void fill_begin_anew(struct fill *fill)
{
    struct asker *asker = asker_ref(flight_live_asker(fill));
    fill_fetch_stop(fill, STATUS_OK);
    timer_clear(&fill->retry);
    admission_leave(&fill->place);
    fill_block_anew(fill);
    asker_unref(&fill->asker);
    fill->asker = asker;
    fill->patience_ms *= 2;
    fill->anew_ms = loop_now_ms(fill->loop);
    place_ask(fill, NULL);
    flight_wake_all(fill);
}

void fill_no_place(struct fill *fill, enum status why)
{
    const struct origin_limits *limits = &fill->cache->config.limits;
    if (fill->anew_ms == 0 ||
        loop_now_ms(fill->loop) - fill->anew_ms >= limits->stall_timeout + limits->first_byte_timeout)
        fill_end(fill, why);
    else
        timer_set(&fill->retry, ASK_AGAIN_MS);
}

void fill_hold_give_up(struct room_hold *hold)
{
    struct fill *fill = CONTAINER_OF(hold, struct fill, hold);
    uint32_t size = fill->cache->block_size;
    int64_t now_ms = loop_now_ms(fill->loop);
    uint64_t fastest = flight_fastest(fill);
    bool behind = fastest / size < fill->position / size;
    bool stalled = now_ms - hold->watch.moved_ms >= fill->patience_ms;

    fill_give_up_blocks(fill, fastest);
    if (list_empty(&fill->joins) || (behind && now_ms - hold->watch.since_ms >= ROOM_SLOW_MS) ||
        (stalled && fastest < fill->position))
        fill_yield(fill); /* nobody waits for it */
    else if (stalled && fill->patience_ms < FILL_PATIENCE_MS && room_wanted(fill->cache))
        fill_begin_anew(fill); /* and not for others of its account alone: their origin may do the same to them */
}

void fill_linger_over(struct timer *timer)
{
    struct fill *fill = CONTAINER_OF(timer, struct fill, linger);
    bool for_room = atomic_load(&fill->pause) == FILL_PAUSED_FOR_ROOM;
    /* The readers of an opening may still be on their way. */
    bool early = for_room && clock_mono_ms() - fill->wanted_ms < ROOM_IDLE_MS;

    if (list_empty(&fill->joins) ? !early : !for_room && fill_stands(fill)) {
        fill_yield(fill);
    } else if (fill_runs(fill) || fill_buffers_held(fill) > 0) {
        timer_set(&fill->linger, for_room ? ROOM_RETRY_MS : ROOM_LOOK_MS);
        fill_pump(fill); /* what had no room may have some */
    }
}
