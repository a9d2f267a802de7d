/* SPDX-License-Identifier: Apache-2.0 */
/* ahead.c: see ahead.h. Two that ask at the same time may get a piece more than there is: nothing depends on it. */
#include "cache/ahead.h"

/* One account leaves an eighth to others. */
#define ACCOUNT_ALPHA 7

bool ahead_may(struct ahead *ahead, const struct store *store, const struct ahead_of *of, unsigned blocks)
{
    unsigned limit = store_limit_over(store, of->group);
    uint64_t all = (uint64_t) store_put_ahead(store, of->group) / store_block_size(store);
    uint64_t taken = atomic_load_explicit(&ahead->under[limit], memory_order_relaxed) + blocks;
    if (taken > all)
        return false;
    atomic_uint_fast64_t *account = &ahead->of_account[share_slot(of->account)];
    return limit != 0 || atomic_load_explicit(account, memory_order_relaxed) + blocks <= ACCOUNT_ALPHA * (all - taken);
}

static void count(struct ahead *ahead, const struct store *store, const struct ahead_of *of, int64_t blocks)
{
    unsigned limit = store_limit_over(store, of->group);
    atomic_fetch_add_explicit(&ahead->under[limit], (uint64_t) blocks, memory_order_relaxed);
    if (limit == 0)
        atomic_fetch_add_explicit(&ahead->of_account[share_slot(of->account)], (uint64_t) blocks, memory_order_relaxed);
}

void ahead_take(struct ahead *ahead, const struct store *store, const struct ahead_of *of, unsigned blocks)
{
    count(ahead, store, of, blocks);
}

void ahead_give(struct ahead *ahead, const struct store *store, const struct ahead_of *of, unsigned blocks)
{
    count(ahead, store, of, -(int64_t) blocks);
}
