/* SPDX-License-Identifier: Apache-2.0 */
/* test_share.c: what one account, one client, and one kind, leave the others of a share of `memory`. */
#include "base/share.h"

#include <limits.h>
#include <string.h>

#include "accounts_apart.h"
#include "base/mem.h"
#include "base/mem_parts.h"
#include "tap.h"

#define LIMIT (64 << 20)
#define SHARE (LIMIT / 4)
#define UNIT (SHARE / 64)

/* Clients are bounded in test_clients only. */
static const struct share_terms terms = {.part = MEM_WHOLE / 4, .alpha = 7, .client_alpha = UINT_MAX, .most = {6, 8}};
static struct share share;
static uint64_t accounts[200];

static enum share_answer take(bool favoured, unsigned account, size_t bytes)
{
    return share_take(&share, favoured, 0, accounts[account], 0, bytes);
}

static void give(bool favoured, unsigned account, size_t bytes)
{
    share_give(&share, favoured, accounts[account], 0, bytes);
}

/* As many units as it gets. */
static unsigned take_all_of(bool favoured, unsigned account, uint64_t client)
{
    unsigned count = 0;
    while (count < 1000 && share_take(&share, favoured, 0, accounts[account], client, UNIT) == SHARE_TAKEN)
        count++;
    return count;
}

static unsigned take_all(bool favoured, unsigned account)
{
    return take_all_of(favoured, account, 0);
}

static void test_accounts(void)
{
    share_init(&share, &terms);
    is_int(take_all(true, 1), 56, "one account has seven eighths");
    is_int(take(true, 1, UNIT), SHARE_NOT_YOURS, "what is left is not its");
    is_int(take_all(true, 2), 7, "the next has seven eighths of what is left");
    is_int(take_all(true, 3), 1, "and so on");
    is_int(take(true, 4, UNIT), SHARE_FULL, "until nothing is");
    give(true, 3, UNIT);
    for (unsigned i = 0; i < 30; i++)
        give(true, 1, UNIT);
    is_int(take_all(true, 2), 26, "another has what one gives back");
    is_int(take_all(true, 1), 1, "who then has little more");
    share_fini(&share);
}

static void test_two(void)
{
    unsigned had[2] = {0, 0}, in_vain = 0;
    share_init(&share, &terms);
    for (unsigned turn = 0; in_vain < 2; turn++) {
        bool got = take(true, turn % 2, UNIT) == SHARE_TAKEN;
        had[turn % 2] += got;
        in_vain = got ? 0 : in_vain + 1;
    }
    ok(had[0] == 30 && had[1] == 29, "two that want all have seven fifteenths each (%u, %u)", had[0], had[1]);
    share_fini(&share);
}

static void test_clients(void)
{
    const struct share_terms less = {.part = MEM_WHOLE / 4, .alpha = 7, .client_alpha = 3, .most = {6, 8}};
    uint64_t one = client_apart(accounts[1]), other = client_apart(accounts[1]), third = client_apart(accounts[1]);
    share_init(&share, &less);
    is_int(take_all_of(true, 1, one), 48, "one client has three quarters");
    is_int(share_take(&share, true, 0, accounts[1], one, UNIT), SHARE_NOT_CLIENTS, "what is left is not its");
    is_int(take_all_of(true, 1, other), 8, "but another's, up to what their account may have");
    is_int(share_take(&share, true, 0, accounts[1], third, UNIT), SHARE_NOT_YOURS, "which is all clients' bound");
    for (unsigned i = 0; i < 48; i++)
        share_give(&share, true, accounts[1], one, UNIT);
    is_int(take_all_of(true, 1, other), 40, "who then has what the first gives back");
    share_fini(&share);
}

/* The same client, with two accounts. */
static void test_client_accounts(void)
{
    const struct share_terms less = {.part = MEM_WHOLE / 4, .alpha = 7, .client_alpha = 3, .most = {6, 8}};
    uint64_t client = 0;
    while (share_client_slot(accounts[1], client) == share_client_slot(accounts[2], client))
        client++;
    share_init(&share, &less);
    is_int(take_all_of(true, 1, client), 48, "a client has its part of one account");
    is_int(take_all_of(true, 2, client), 12, "and that of another, whatever it has of the first");
    share_fini(&share);
}

static void test_client_whole(void)
{
    const struct share_terms less = {
        .part = MEM_WHOLE / 4, .alpha = 7, .client_alpha = 3, .whole_alpha = 7, .most = {6, 8}};
    uint64_t client = 0, other;
    share_init(&share, &less);
    unsigned had = 0;
    for (unsigned account = 1; account < 100; account++)
        had += take_all_of(true, account, client);
    is_int(had, 56, "with many accounts a client has seven eighths");
    is_int(share_take(&share, true, 0, accounts[150], client, UNIT), SHARE_NOT_CLIENTS, "what is left is not its");
    for (other = 1; share.of_whole[true][share_slot(other)] > 0 ||
                    share.of_client[true][share_client_slot(accounts[150], other)] > 0;)
        other++;
    is_int(take_all_of(true, 150, other), 6, "but another's");
    for (unsigned i = 0; i < 6; i++)
        share_give(&share, true, accounts[150], other, UNIT);
    is_int(share_take(&share, true, 0, accounts[150], other, UNIT), SHARE_TAKEN, "who gives it back");
    share_fini(&share);
}

/* Who may wait for another node's work leaves some to those who wait for nobody's. */
static void test_leaves(void)
{
    unsigned far = 0, near = 0;
    share_init(&share, &terms);
    memset(client_slots, 0, sizeof client_slots);
    while (share_take(&share, true, 3, accounts[far], client_apart(accounts[far]), UNIT) == SHARE_TAKEN)
        far++;
    is_int(far, 40, "who leaves three eighths has five");
    is_int(share_take(&share, true, 3, accounts[101], 101, UNIT), SHARE_RESERVED, "and no more");
    while (share_take(&share, true, 1, accounts[60 + near], client_apart(accounts[60 + near]), UNIT) == SHARE_TAKEN)
        near++;
    is_int(near, 16, "who leaves one has two more");
    is_int(share_take(&share, true, 1, accounts[101], 101, UNIT), SHARE_RESERVED, "and no more");
    is_int(take_all(true, 102), 7, "who leaves nothing has the rest, but for an account's bound");
    share_fini(&share);
}

/* What is left is so for the same account and the same client, too: it is the one whose own work another node waits for. */
static void test_leaves_own(void)
{
    const struct share_terms less = {.part = MEM_WHOLE / 4, .alpha = 7, .client_alpha = 3, .most = {6, 6}};
    unsigned far = 0, near = 0, own = 0;
    share_init(&share, &less);
    memset(client_slots, 0, sizeof client_slots);
    uint64_t client = client_apart(accounts[1]);
    while (share_take(&share, true, 3, accounts[1], client, UNIT) == SHARE_TAKEN)
        far++;
    ok(far >= 16, "a client that leaves three eighths has much (%u)", far);
    while (share_take(&share, true, 3, accounts[1], client_apart(accounts[1]), UNIT) == SHARE_TAKEN)
        near++;
    ok(near > 0, "its account has some for others (%u)", near);
    while (share_take(&share, true, 0, accounts[1], client, UNIT) == SHARE_TAKEN)
        own++;
    ok(own >= 3, "and it has more for what leaves nothing (%u)", own);
    share_fini(&share);
}

static void test_kinds(void)
{
    share_init(&share, &terms);
    is_int(take_all(false, 1), 42, "of three quarters seven eighths");
    is_int(take_all(true, 1), 19, "another kind's bound is another's");
    for (unsigned account = 2; account < 100; account++)
        take_all(false, account);
    is_int((long long) (share.taken[0] + share.taken[1]), SHARE, "all is taken");
    is_int(take(true, 150, UNIT), SHARE_FULL, "then there is nothing");
    for (unsigned i = 0; i < 19; i++)
        give(true, 1, UNIT);
    is_int((long long) share.taken[true], 0, "one kind has gone");
    is_int(take(true, 1, 2 * SHARE), SHARE_TAKEN, "and its first one finds room in any case");
    share_fini(&share);
}

static void test_full(void)
{
    share_init(&share, &terms);
    ok(share_is_idle(&share, false) && share_is_low(&share, false), "a kind has nothing");
    take(false, 1, 7 * UNIT);
    ok(!share_is_idle(&share, false) && share_is_low(&share, false), "or little");
    take(false, 2, UNIT);
    ok(!share_is_low(&share, false) && share_is_low(&share, true), "which is less than an eighth");
    for (unsigned account = 1; account < 100; account++)
        take_all(false, account);
    is_int(take(false, 150, UNIT), SHARE_KIND_FULL, "what is free is not for every kind");
    is_int(take(false, 150, 17 * UNIT), SHARE_FULL, "nor is what is not");
    share_fini(&share);
}

static void test_bounds(void)
{
    const struct share_terms more = {
        .part = MEM_WHOLE / 4, .least = LIMIT, .alpha = 7, .client_alpha = 7, .most = {8, 8}};
    share_init(&share, &more);
    take(true, 1, 1);
    is_int(take(true, 2, LIMIT - 1), SHARE_TAKEN, "it is not less than the least");
    is_int(take(true, 3, 1), SHARE_FULL, "nor more");
    share_fini(&share);
    mem_set_limit(0);
    share_init(&share, &terms);
    take(true, 1, 1);
    is_int(take(true, 1, SIZE_MAX / 4), SHARE_TAKEN, "without a bound of `memory` there is none");
    is_int(take(false, 1, SIZE_MAX / 4), SHARE_TAKEN, "for either");
    share_fini(&share);
    mem_set_limit(LIMIT);
}

static void test_parts(void)
{
    ok(mem_parts_of(SIZE_MAX, MEM_WHOLE) == SIZE_MAX, "parts of anything can be told");
    ok(mem_parts_of(LIMIT, MEM_WHOLE / 4) == SHARE, "to the byte");
    ok(mem_part(MEM_WHOLE / 4, 1) == SHARE, "and of `memory`");
    mem_set_limit(0);
    is_int((long long) mem_part(MEM_WHOLE / 4, 1), 1, "if that has a bound");
    mem_set_limit(LIMIT);
}

int main(void)
{
    mem_set_limit(LIMIT);
    test_parts();
    accounts_apart(accounts, sizeof accounts / sizeof accounts[0]);
    test_accounts();
    test_two();
    test_clients();
    test_client_accounts();
    test_client_whole();
    test_leaves();
    test_leaves_own();
    test_kinds();
    test_full();
    test_bounds();
    return done_testing();
}
