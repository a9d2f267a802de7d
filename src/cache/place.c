/* SPDX-License-Identifier: Apache-2.0 */
/* place.c: what a fill costs, and what it is told. */
#include "cache/place.h"

#include "base/mem_parts.h"
#include "cache/fill.h"

/* What a fill costs besides one block: libcurl's buffer, the body's window, and what a connection holds. */
#define PLACE_OVERHEAD (768 * 1024)
/* What it counts for at least, in blocks. Who has a place has a block under way, for as long as its origin likes. All
 * places together are half of `memory`, so those blocks are a quarter of it at most, which is two thirds of the room
 * that there is for blocks (room.h). The rest is left to whoever reads what is stored, or is ahead of a slower one; and
 * an account may have seven eighths of the places, and so no more than seven twelfths of the room. */
#define PLACE_BLOCKS 2
/* What an opening's reader holds meanwhile, besides the texts that the asker has copied from it. */
#define PLACE_READER (16 * 1024)

static size_t place_bytes(const struct cache *cache)
{
    size_t one = (size_t) cache->block_size + PLACE_OVERHEAD, least = (size_t) PLACE_BLOCKS * cache->block_size;
    return one > least ? one : least;
}

void places_init(struct cache *cache)
{
    const struct admission_terms terms = {
        .what = "fills",
        .waiting = METRIC_FILLS_WAITING,
        .part = MEM_FILLS,
        .least = cache->config.loop_count * place_bytes(cache), /* each loop can go on; room.c has blocks for these */
        .waiting_part = MEM_FILLS_WAITING,
        .most = {6, 6},
        .patience_ms = cache->config.limits.first_byte_timeout,
    };
    admission_class_init(&cache->places, &terms);
}

static void place_come(void *arg, enum status why)
{
    struct fill *fill = arg;
    if (why == STATUS_OK)
        fill_fetch_start(fill);
    else
        fill_no_place(fill, why);
}

static struct admission_wish place_wish(const struct cache *cache, const struct cache_request *request,
                                        enum pool_way way, struct budget_ticket *asked)
{
    struct admission_wish wish = upstream_wish(request, way);
    wish.asked = asked != NULL && asked->budget == wish.budget ? asked : NULL;
    wish.bytes = place_bytes(cache);
    return wish;
}

void place_ask(struct fill *fill, struct budget_ticket *asked)
{
    struct admission_wish wish = place_wish(fill->cache, &fill->asker->request, fill->way, asked);
    wish.favoured = fill->generation != NULL;
    wish.held = sizeof *fill + 2 * fill->asker->size + PLACE_READER;
    wish.come = place_come;
    wish.arg = fill;
    if (admission_ask(&fill->place, &cache_loop_of(fill->loop)->places, &wish))
        fill_fetch_start(fill);
}

bool place_now(struct cache_loop *home, const struct cache_request *request, enum pool_way way,
               struct budget_ticket *asked, struct admission *place)
{
    struct admission_wish wish = place_wish(home->cache, request, way, asked);
    return admission_try(place, &home->places, &wish);
}

bool place_try(struct cache_loop *home, const struct cache_request *request, struct line_ticket *ticket)
{
    *ticket = (struct line_ticket){.account = request->account_hash.lo,
                                   .client = request->client,
                                   .bytes = (size_t) PLACE_BLOCKS * home->cache->block_size};
    return line_try(&home->places.line, ticket);
}
