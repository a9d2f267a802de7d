/* SPDX-License-Identifier: Apache-2.0 */
/* place.c: a counter for all loops, a queue for each; a loop with a queue looks for places that others gave up. */
#include "cache/place.h"

#include <limits.h>

#include "base/mem.h"
#include "cache/fill.h"

/* What a fill costs besides one block: libcurl's buffer, the body's window, and what a connection holds. */
#define PLACE_OVERHEAD (768 * 1024)
#define PLACE_WAIT_MS 10000
#define PLACE_LOOK_MS 20

/* Half of `memory`; each loop can always go on. */
static int places_most(const struct cache *cache)
{
    size_t each = cache->block_size + PLACE_OVERHEAD;
    size_t least = 2 * (size_t) cache->config.loop_count;
    size_t places = mem_limit() == 0 ? INT_MAX : mem_limit() / 2 / each;
    return places < least ? (int) least : places > INT_MAX ? INT_MAX : (int) places;
}

bool places_contended(const struct cache *cache)
{
    return atomic_load_explicit(&((struct cache *) (uintptr_t) cache)->places_wanted, memory_order_relaxed) > 0;
}

static bool place_take(struct cache *cache)
{
    int most = places_most(cache);
    int taken = atomic_load(&cache->places_taken);
    while (taken < most)
        if (atomic_compare_exchange_weak(&cache->places_taken, &taken, taken + 1))
            return true;
    return false;
}

static void place_unqueue(struct fill *fill)
{
    list_remove(&fill->on_queue);
    atomic_fetch_sub(&fill->cache->places_wanted, 1);
}

static void places_serve(struct cache_loop *home)
{
    int64_t now = loop_now_ms(home->loop);

    while (!list_empty(&home->queue)) {
        struct fill *fill = LIST_ENTRY(home->queue.next, struct fill, on_queue);
        if (place_take(home->cache)) {
            place_unqueue(fill);
            fill->placed = true;
            fill_fetch_start(fill);
        } else if (now - fill->queued_ms > PLACE_WAIT_MS) {
            fill_end(fill, STATUS_NO_MEMORY);
        } else {
            timer_set(&home->places_timer, PLACE_LOOK_MS);
            return;
        }
    }
}

static void places_look(struct timer *timer)
{
    places_serve(CONTAINER_OF(timer, struct cache_loop, places_timer));
}

void places_loop_init(struct cache_loop *home)
{
    list_init(&home->queue);
    timer_init(&home->places_timer, home->loop, places_look);
}

void places_loop_fini(struct cache_loop *home)
{
    timer_fini(&home->places_timer);
}

void place_ask(struct fill *fill)
{
    struct cache_loop *home = cache_loop_of(fill->loop);

    fill->queued_ms = loop_now_ms(fill->loop);
    atomic_fetch_add(&fill->cache->places_wanted, 1);
    list_add_tail(&home->queue, &fill->on_queue);
    places_serve(home);
}

void place_leave(struct fill *fill)
{
    if (!list_empty(&fill->on_queue))
        place_unqueue(fill);
    if (!fill->placed)
        return;
    fill->placed = false;
    atomic_fetch_sub(&fill->cache->places_taken, 1);
    /* Not from here: this fill is in the middle of its end. */
    struct cache_loop *home = cache_loop_of(fill->loop);
    if (!list_empty(&home->queue))
        timer_set(&home->places_timer, 0);
}
