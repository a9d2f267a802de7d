/* SPDX-License-Identifier: Apache-2.0 */
/* test_ahead.c: how much may be asked for ahead: under a limit and without one, and what one account leaves others. */
#include "cache/ahead.h"

#include "accounts_apart.h"
#include "store_fixture.h"
#include "tap.h"

#define BLOCK (16 * KIB)
#define LIMIT (16 * MIB)
#define PIECE 8

static struct store *store;
static struct ahead ahead;
static uint64_t accounts[3];

static unsigned take_all(struct ahead_of of)
{
    unsigned blocks = 0;
    for (; ahead_may(&ahead, store, &of, PIECE); blocks += PIECE)
        ahead_take(&ahead, store, &of, PIECE);
    return blocks;
}

static void test_counts(const char *path)
{
    const struct store_quota quota = {.group = fixture_hash(1), .limit = LIMIT, .labels = "acct\tlimited"};
    const struct ahead_of limited = {fixture_hash(1), accounts[0]}, free[] = {
                                                                        {fixture_hash(2), accounts[0]},
                                                                        {fixture_hash(3), accounts[1]},
                                                                        {fixture_hash(4), accounts[2]},
                                                                    };
    fixture_quotas = &quota;
    fixture_quota_count = 1;
    store = fixture_open_loaded(path, 256 * MIB, BLOCK);
    unsigned own = (unsigned) (store_put_ahead(store, limited.group) / BLOCK), taken[3];
    unsigned all = (unsigned) (store_put_ahead(store, free[0].group) / BLOCK);
    ok(own >= 4 * PIECE && all > 8 * own, "a limit leaves %u blocks to be read ahead, the disk %u", own, all);
    taken[0] = take_all(free[0]);
    ok(taken[0] <= all * 7 / 8 && taken[0] + 2 * PIECE > all * 7 / 8, "one account may have seven eighths (%u)",
       taken[0]);
    taken[1] = take_all(free[1]);
    ok(taken[1] > all / 16 && taken[0] + taken[1] < all, "then another has most of the rest (%u)", taken[1]);
    taken[2] = take_all(free[2]);
    ok(taken[2] >= PIECE && taken[0] + taken[1] + taken[2] <= all, "and there is some for a third (%u)", taken[2]);
    is_int(take_all(limited), own / PIECE * PIECE, "what is under a limit has all of its own meanwhile");
    ok(!ahead_may(&ahead, store, &limited, PIECE), "and no more");
    ahead_give(&ahead, store, &free[0], taken[0]);
    ok(!ahead_may(&ahead, store, &limited, PIECE), "what others give back is not for it");
    is_int(take_all(free[1]) > 0, true, "but for those without a limit");
    fixture_close(store);
}

int main(void)
{
    accounts_apart(accounts, 3);
    fixture_start();
    fixture_with_directory(test_counts);
    fixture_stop();
    return done_testing();
}
