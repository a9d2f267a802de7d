/* SPDX-License-Identifier: Apache-2.0 */
/* joins.c: a reader's joins, and what is asked for ahead of it. */
#include "cache/joins.h"

#include "base/mem.h"
#include "cache/place.h"

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

static void drop(struct joins *joins, unsigned index)
{
    flight_leave(&joins->items[index]);
    for (unsigned i = index + 1; i < JOINS_MAX; i++)
        joins->items[i - 1] = joins->items[i];
    joins->items[JOINS_MAX - 1] = NULL;
    joins->count--;
}

void joins_drop_first(struct joins *joins)
{
    drop(joins, 0);
}

void joins_fini(struct joins *joins)
{
    while (joins->count > 0)
        drop(joins, joins->count - 1);
    asker_unref(&joins->asker);
}

void joins_ask(struct joins *joins, uint64_t block)
{
    uint64_t extent = block / STORE_EXTENT_BLOCKS;
    uint64_t end = extent * STORE_EXTENT_BLOCKS + STORE_EXTENT_BLOCKS - 1;
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
    if (end + 1 > joins->ahead)
        joins->ahead = end + 1;
}

void joins_read_ahead(struct joins *joins, uint64_t block)
{
    uint64_t limit = (block / STORE_EXTENT_BLOCKS + JOINS_MAX) * STORE_EXTENT_BLOCKS;
    while (joins->count < JOINS_MAX && mem_pressure() < MEM_NO_READAHEAD && !places_contended(joins->cache)) {
        while (joins->ahead < limit && joins->ahead <= joins->last && stored(joins, joins->ahead))
            joins->ahead++;
        if (joins->ahead >= limit || joins->ahead > joins->last)
            return;
        joins_ask(joins, joins->ahead);
    }
}

void joins_look_beyond(struct joins *joins, uint64_t block)
{
    if (joins->ahead > block + 1)
        return;
    joins->ahead = block + 1;
    if (joins->ahead > joins->last || joins->count == JOINS_MAX)
        return;
    if (stored(joins, joins->ahead))
        joins->ahead++;
    else
        joins_ask(joins, joins->ahead);
}

struct join *joins_at(struct joins *joins, uint64_t block)
{
    while (joins->count > 0 && last_block(joins->items[0]) < block)
        drop(joins, 0);
    return joins->count == 0 || first_block(joins->items[0]) > block ? NULL : joins->items[0];
}

void joins_advance(struct joins *joins, uint64_t block, uint64_t position)
{
    if (joins->count > 0 && first_block(joins->items[0]) <= block)
        flight_advance(joins->items[0], position);
}
