/* SPDX-License-Identifier: Apache-2.0 */
/* place.c: what a fill costs, and what it is told. */
#include "cache/place.h"

#include "cache/fill.h"

/* What a fill costs besides one block: libcurl's buffer, the body's window, and what a connection holds. */
#define PLACE_OVERHEAD (768 * 1024)
/* What an opening's reader holds meanwhile, besides the texts that the asker has copied from it. */
#define PLACE_READER (16 * 1024)
#define PLACE_WAIT_MS 10000

static size_t place_bytes(const struct cache *cache)
{
    return cache->block_size + PLACE_OVERHEAD;
}

void places_init(struct cache *cache)
{
    const struct line_terms terms = {
        .what = "fills",
        .waiting = METRIC_FILLS_WAITING,
        .part = 2,
        .least = 2 * (size_t) cache->config.loop_count * place_bytes(cache), /* each loop can always go on */
        .most = {6, 6},
        .waiting_part = 8,
        .patience_ms = PLACE_WAIT_MS,
    };
    line_share_init(&cache->places, &terms);
}

bool places_contended(const struct cache *cache)
{
    return line_contended(&cache->places);
}

static void place_come(void *arg, enum status why)
{
    struct fill *fill = arg;
    if (why == STATUS_OK)
        fill_fetch_start(fill);
    else
        fill_end(fill, why);
}

static struct admission_terms place_terms(struct cache_loop *home, const struct cache_request *request)
{
    return (struct admission_terms){
        .budget = request->budget,
        .client = request->client,
        .line = &home->places,
        .wish.bytes = place_bytes(home->cache),
    };
}

void place_ask(struct fill *fill)
{
    struct admission_terms terms = place_terms(cache_loop_of(fill->loop), &fill->asker->request);
    terms.wish.favoured = fill->generation != NULL;
    terms.wish.held = sizeof *fill + 2 * fill->asker->size + PLACE_READER;
    terms.wish.come = place_come;
    terms.wish.arg = fill;
    if (admission_ask(&fill->place, &terms))
        fill_fetch_start(fill);
}

bool place_now(struct cache_loop *home, const struct cache_request *request, struct budget_ticket *asked,
               struct admission *place)
{
    struct admission_terms terms = place_terms(home, request);
    terms.asked = asked;
    return admission_try(place, &terms);
}

bool place_try(struct cache_loop *home, struct line_ticket *ticket)
{
    return line_try(&home->places, ticket, &(struct line_ticket){.bytes = home->cache->block_size});
}

void place_leave(struct fill *fill)
{
    admission_leave(&fill->place);
}
