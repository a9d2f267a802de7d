/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_ahead.c: how much may be asked for ahead: under a limit and without one, and what one account leaves others, and
 * one client.
 */
#include "cache/ahead.h"

#include "accounts_apart.h"
#include "store_fixture.h"
#include "tap.h"

#define BLOCK (16 * KIB)
#define LIMIT (16 * MIB)
#define PIECE 8
#define ACCOUNTS 3
#define CLIENTS 8

static struct store *store;
static struct ahead ahead;
static uint64_t accounts[ACCOUNTS], clients[ACCOUNTS][CLIENTS];

static unsigned take_all(struct ahead_of of)
{
    unsigned blocks = 0;
    for (; ahead_may(&ahead, store, &of, PIECE); blocks += PIECE)
        ahead_take(&ahead, store, &of, PIECE);
    return blocks;
}

/* As many clients as may have some; what each of them has goes there. */
static unsigned take_all_clients(struct ahead_of of, const uint64_t *clients_of, unsigned each[CLIENTS])
{
    unsigned blocks = 0;
    for (unsigned i = 0; i < CLIENTS; i++) {
        of.client = clients_of[i];
        each[i] = take_all(of);
        blocks += each[i];
    }
    return blocks;
}

static void test_counts(const char *path)
{
    const struct store_quota quota = {.group = fixture_hash(1), .limit = LIMIT, .labels = "acct\tlimited"};
    const struct ahead_of limited = {fixture_hash(1), accounts[0], clients[0][0]};
    const struct ahead_of free[ACCOUNTS] = {
        {fixture_hash(2), accounts[0], clients[0][0]},
        {fixture_hash(3), accounts[1], clients[1][0]},
        {fixture_hash(4), accounts[2], clients[2][0]},
    };
    fixture_quotas = &quota;
    fixture_quota_count = 1;
    store = fixture_open_loaded(path, 256 * MIB, BLOCK);
    unsigned own = (unsigned) (store_put_ahead(store, limited.group) / BLOCK), taken[3], given[CLIENTS], each[CLIENTS];
    unsigned all = (unsigned) (store_put_ahead(store, free[0].group) / BLOCK);
    ok(own >= 4 * PIECE && all > 8 * own, "a limit leaves %u blocks to be read ahead, the disk %u", own, all);
    taken[0] = take_all_clients(free[0], clients[0], given);
    ok(given[0] <= all * 3 / 4 && given[0] + 2 * PIECE > all * 3 / 4, "one client may have three quarters (%u)",
       given[0]);
    ok(given[1] >= PIECE, "another of its account has some of the rest (%u)", given[1]);
    ok(taken[0] <= all * 7 / 8 && taken[0] + 3 * PIECE > all * 7 / 8, "one account may have seven eighths (%u)",
       taken[0]);
    taken[1] = take_all_clients(free[1], clients[1], each);
    ok(taken[1] > all / 16 && taken[0] + taken[1] < all, "then another has most of the rest (%u)", taken[1]);
    taken[2] = take_all(free[2]);
    ok(taken[2] >= PIECE && taken[0] + taken[1] + taken[2] <= all, "and there is some for a third (%u)", taken[2]);
    is_int(take_all(limited), own / PIECE * PIECE, "what is under a limit has all of its own meanwhile");
    ok(!ahead_may(&ahead, store, &limited, PIECE), "and no more");
    for (unsigned i = 0; i < CLIENTS; i++) {
        const struct ahead_of of = {free[0].group, free[0].account, clients[0][i]};
        ahead_give(&ahead, store, &of, given[i]);
    }
    ok(!ahead_may(&ahead, store, &limited, PIECE), "what others give back is not for it");
    is_int(take_all(free[1]) > 0, true, "but for those without a limit");
    fixture_close(store);
}

int main(void)
{
    accounts_apart(accounts, ACCOUNTS);
    for (unsigned i = 0; i < ACCOUNTS * CLIENTS; i++)
        clients[i / CLIENTS][i % CLIENTS] = client_apart(accounts[i / CLIENTS]);
    fixture_start();
    fixture_with_directory(test_counts);
    fixture_stop();
    return done_testing();
}
