/* SPDX-License-Identifier: Apache-2.0 */
/* leaves.c: the shorter of two ways. */
#include "store/leaves.h"

#include <stdlib.h>

#include "store/directory.h"
#include "store/inside.h"

struct search {
    struct store *store;
    const struct leaves_of *of;
    size_t count;
    void (*each)(struct store *store, struct leaf *leaf);
};

static int compare(const void *left, const void *right)
{
    const struct leaves_of *a = left, *b = right;
    return (a->generation > b->generation) - (a->generation < b->generation);
}

static uint64_t extents_of(const struct store *store, const struct leaves_of *of)
{
    return of->length / store->block_size / STORE_EXTENT_BLOCKS + 1;
}

static void look_up(const struct search *search, const struct leaves_of *of)
{
    uint64_t extents = extents_of(search->store, of);
    for (uint64_t extent = 0; extent < extents; extent++) {
        struct leaf *leaf = directory_find(search->store->directory, of->generation, extent);
        if (leaf != NULL)
            search->each(search->store, leaf);
    }
}

static void look_at(void *arg, struct leaf *leaf)
{
    const struct search *search = arg;
    const struct leaves_of wanted = {.generation = leaf->generation};
    if (bsearch(&wanted, search->of, search->count, sizeof wanted, compare) != NULL)
        search->each(search->store, leaf);
}

void leaves_each(struct store *store, struct leaves_of *of, size_t count,
                 void (*each)(struct store *store, struct leaf *leaf))
{
    struct search search = {store, of, count, each};
    size_t leaves = directory_count(store->directory);
    uint64_t lookups = 0;
    for (size_t i = 0; i < count && lookups <= leaves; i++)
        lookups += extents_of(store, &of[i]);
    if (leaves == 0 || count == 0)
        return;
    if (lookups <= leaves) {
        for (size_t i = 0; i < count; i++)
            look_up(&search, &of[i]);
        return;
    }
    qsort(of, count, sizeof *of, compare);
    directory_each(store->directory, look_at, &search);
}
