/* SPDX-License-Identifier: Apache-2.0 */
/* ahead.c: see ahead.h. Two that ask at the same time may get a piece more than there is: nothing depends on it. */
#include "cache/ahead.h"

/* One account leaves an eighth to others, and one client a quarter. */
#define ACCOUNT_ALPHA 7
#define CLIENT_ALPHA 3

static atomic_uint_fast64_t *account_of(struct ahead *ahead, const struct ahead_of *of)
{
    return &ahead->of_account[share_slot(of->account)];
}

static atomic_uint_fast64_t *client_of(struct ahead *ahead, const struct ahead_of *of)
{
    return &ahead->of_client[share_client_slot(of->account, of->client)];
}

bool ahead_may(struct ahead *ahead, const struct store *store, const struct ahead_of *of, unsigned blocks)
{
    unsigned limit = store_limit_over(store, of->group);
    uint64_t all = (uint64_t) store_put_ahead(store, of->group) / store_block_size(store);
    uint64_t taken = atomic_load_explicit(&ahead->under[limit], memory_order_relaxed) + blocks;
    if (taken > all)
        return false;
    if (limit != 0)
        return true;
    uint64_t account = atomic_load_explicit(account_of(ahead, of), memory_order_relaxed) + blocks;
    uint64_t client = atomic_load_explicit(client_of(ahead, of), memory_order_relaxed) + blocks;
    return account <= ACCOUNT_ALPHA * (all - taken) && client <= CLIENT_ALPHA * (all - taken);
}

static void count(struct ahead *ahead, const struct store *store, const struct ahead_of *of, int64_t blocks)
{
    unsigned limit = store_limit_over(store, of->group);
    atomic_fetch_add_explicit(&ahead->under[limit], (uint64_t) blocks, memory_order_relaxed);
    if (limit != 0)
        return;
    atomic_fetch_add_explicit(account_of(ahead, of), (uint64_t) blocks, memory_order_relaxed);
    atomic_fetch_add_explicit(client_of(ahead, of), (uint64_t) blocks, memory_order_relaxed);
}

void ahead_take(struct ahead *ahead, const struct store *store, const struct ahead_of *of, unsigned blocks)
{
    count(ahead, store, of, blocks);
}

void ahead_give(struct ahead *ahead, const struct store *store, const struct ahead_of *of, unsigned blocks)
{
    count(ahead, store, of, -(int64_t) blocks);
}
