/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_line_crowd.c: what a crowd costs the others that wait for a share of memory, and in which order accounts and kinds
 * have their turns. The waiting itself is test_line.c's.
 */
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/mem_parts.h"
#include "net/line.h"
#include "accounts_apart.h"
#include "on_loop.h"
#include "tap.h"

#define LIMIT (64 << 20)
#define SHARE (LIMIT / 4)
#define UNIT (SHARE / 8)
#define DEADLINE_MS 20000
#define GUESTS 3000
/* So many accounts that are counted apart, the last of which is for one who passes. */
#define APART 200

static const struct share_terms terms = {.part = MEM_WHOLE / 4, .alpha = 7, .client_alpha = 3, .most = {6, 8}};

static struct loop *loop;
static struct line_share share;
static struct line line;
static uint64_t accounts[APART];

/* ---- Guests ---- */

struct guest {
    struct line_ticket ticket;
    bool stays; /* when it has come */
    atomic_uint order;
};

static struct guest guests[GUESTS];
static atomic_uint told;
static atomic_uint offered;

static void come(struct line_ticket *ticket)
{
    struct guest *guest = CONTAINER_OF(ticket, struct guest, ticket);
    guest->order = ++told;
    if (!guest->stays)
        line_leave(ticket);
}

static bool is_never_ready(struct line_ticket *ticket)
{
    (void) ticket;
    offered++;
    return false;
}

static bool ask(unsigned n, bool favoured, uint64_t account, uint64_t client, size_t bytes)
{
    guests[n] = (struct guest){
        .stays = true,
        .ticket = {.favoured = favoured, .account = account, .client = client, .bytes = bytes, .come = come}};
    if (line_try(&line, &guests[n].ticket))
        return true;
    line_wait(&line, &guests[n].ticket);
    return false;
}

static bool is_told(unsigned n)
{
    for (int64_t end = clock_mono_ms() + DEADLINE_MS; guests[n].order == 0 && clock_mono_ms() < end;)
        usleep(1000);
    return guests[n].order > 0;
}

static void open_line(void *arg)
{
    (void) arg;
    line_init(&line, &share, loop);
}

static void leave_all(void *arg)
{
    (void) arg;
    for (unsigned n = 0; n < GUESTS; n++)
        line_leave(&guests[n].ticket);
}

static void close_line(void *arg)
{
    (void) arg;
    line_fini(&line);
}

static void begin(void)
{
    memset(guests, 0, sizeof guests);
    memset(client_slots, 0, sizeof client_slots);
    told = offered = 0;
    line_share_init(&share, &terms, METRIC_FORWARDS_WAITING);
    on_loop(loop, open_line, NULL);
}

static void end(void)
{
    on_loop(loop, leave_all, NULL);
    on_loop(loop, close_line, NULL);
    is_int((long long) (share.room.taken[0] + share.room.taken[1]), 0, "nothing is left behind");
    is_int(metric_cell_value(metric_cell(METRIC_FORWARDS_WAITING, "")), 0, "and nobody");
    line_share_fini(&share);
}

static void first_leaves(void *arg)
{
    (void) arg;
    line_leave(&guests[0].ticket);
}

/* ---- (a) names of accounts, which cost nothing ---- */

static void names_wait(void *arg)
{
    (void) arg;
    uint64_t client = client_apart(accounts[1]);
    ok(ask(0, true, accounts[0], client, SHARE), "all is taken");
    size_t used = mem_used();
    for (unsigned n = 2; n < GUESTS; n++) {
        ask(n, true, 1000000 + n, client, SHARE);
        guests[n].stays = false;
    }
    ask(1, true, accounts[1], client_apart(accounts[1]), SHARE);
    ok(mem_used() < used + 64 * 1024, "those who wait hold nothing but their tickets"); /* it is a little behind */
}

static void test_names(void)
{
    begin();
    on_loop(loop, names_wait, NULL);
    on_loop(loop, first_leaves, NULL);
    ok(is_told(1), "one who comes after thousands of accounts has its turn");
    ok(guests[1].order <= 2 * SHARE_SLOTS, "when each slot of accounts has had two at most (%u)", guests[1].order);
    end();
}

/* ---- (b) offers in vain ---- */

#define LEAVES 50

static uint64_t passer; /* a client of the last account */

static bool comes_and_leaves(void)
{
    struct line_ticket ticket = {.favoured = true, .account = accounts[APART - 1], .client = passer, .bytes = UNIT};
    bool had = line_try(&line, &ticket);
    line_leave(&ticket);
    return had;
}

static void unready_wait(void *arg)
{
    (void) arg;
    for (unsigned n = 0; n < APART - 1; n++) {
        struct line_ticket *ticket = &guests[n].ticket;
        *ticket = (struct line_ticket){.favoured = true, .account = accounts[n], .bytes = 1, .ready = is_never_ready};
        client_slots[share_client_slot(accounts[n], 0)] = true;
        line_wait(&line, ticket);
    }
    passer = client_apart(accounts[APART - 1]);
    ok(comes_and_leaves(), "another account's has room meanwhile");
    offered = 0;
}

/* Each in a round of its own. */
static void again(void *arg)
{
    (void) arg;
    comes_and_leaves();
}

static void test_offers(void)
{
    begin();
    on_loop(loop, unready_wait, NULL);
    int64_t began = clock_mono_ms();
    for (unsigned n = 0; n < LEAVES; n++)
        on_loop(loop, again, NULL);
    usleep(30000);
    unsigned looks = (unsigned) (clock_mono_ms() - began) / 20 + 2;
    ok(offered <= (LEAVES + looks) * 32 + looks * APART, "few offers are made for a leave (%u)", offered);
    ok(offered >= APART - 1, "but all are offered some in time");
    end();
}

/* ---- (c) what would help nobody ---- */

static void unready_waits(void *arg)
{
    (void) arg;
    struct line_ticket later = {.favoured = true, .account = accounts[1], .client = client_apart(accounts[1])};
    uint64_t client = client_apart(accounts[1]);
    for (unsigned n = 0; n < 3; n++) {
        guests[n].ticket = (struct line_ticket){.favoured = true,
                                                .account = accounts[1],
                                                .client = n == 2 ? client_apart(accounts[1]) : client,
                                                .bytes = UNIT,
                                                .ready = is_never_ready};
        line_wait(&line, &guests[n].ticket);
    }
    ok(!line_try(&line, &later), "who comes later does not pass those who are not ready");
}

static void nobody_gives(void *arg)
{
    (void) arg;
    ok(!line_full(&share) && !line_contended(&share, accounts[1], guests[0].ticket.client) &&
           !line_contended(&share, accounts[1], guests[2].ticket.client) &&
           !line_contended(&share, accounts[1], passer),
       "but nobody is to give up what these would not have");
}

static void test_not_ready(void)
{
    begin();
    passer = 0;
    on_loop(loop, unready_waits, NULL);
    on_loop(loop, nobody_gives, NULL);
    usleep(50000);
    on_loop(loop, nobody_gives, NULL);
    ok(offered > 1, "although they are offered some");
    end();
}

/* ---- (d) kinds ---- */

/* Each of an account and by a client of its own. */
static bool ask_one(unsigned n, bool favoured, size_t bytes)
{
    return ask(n, favoured, accounts[n], client_apart(accounts[n]), bytes);
}

static void both_have(void *arg)
{
    (void) arg;
    for (unsigned n = 0; n < 8; n++)
        ok(ask_one(n, n < 4, UNIT), "either kind has half");
    ok(!ask_one(10, true, 2 * UNIT), "one of the favoured wants more");
    ok(!ask_one(11, false, UNIT) && !ask_one(12, false, UNIT), "and two of the others");
}

static void second_leaves(void *arg)
{
    (void) arg;
    line_leave(&guests[1].ticket);
}

static void another_comes(void *arg)
{
    (void) arg;
    ok(!ask_one(13, false, UNIT), "nor is it of one who comes");
}

static void one_ends(void *arg)
{
    (void) arg;
    line_leave(&guests[4].ticket);
}

static void test_favoured(void)
{
    begin();
    on_loop(loop, both_have, NULL);
    on_loop(loop, first_leaves, NULL);
    usleep(60000);
    is_int(told, 0, "what is too little for the favoured is not the others'");
    on_loop(loop, another_comes, NULL);
    usleep(60000);
    is_int(told, 0, "whether they look or come");
    on_loop(loop, second_leaves, NULL);
    ok(is_told(10) && guests[10].order == 1, "until there is enough");
    on_loop(loop, one_ends, NULL);
    ok(is_told(11), "then the others have what is free");
    end();
}

static void favoured_have(void *arg)
{
    (void) arg;
    for (unsigned n = 0; n < 8; n++)
        ok(ask_one(n, true, n == 7 ? UNIT - 1 : UNIT), "the favoured have all");
    ok(ask_one(8, false, 1), "but for the first of the others");
    for (unsigned n = 10; n < 13; n++)
        ok(!ask_one(n, true, UNIT), "more come");
    ok(!ask_one(13, false, UNIT) && !ask_one(14, false, UNIT), "of either kind");
}

static void rest_leave(void *arg)
{
    (void) arg;
    for (unsigned n = 10; n < 13; n++)
        line_leave(&guests[n].ticket);
    line_leave(&guests[13].ticket);
    line_leave(&guests[14].ticket);
    ok(!ask_one(15, false, 2 * UNIT), "one of the others wants more than is free");
    line_leave(&guests[2].ticket);
    ok(!ask_one(16, true, UNIT), "and has it before the favoured who come");
}

static void third_leaves(void *arg)
{
    (void) arg;
    line_leave(&guests[3].ticket);
}

static void test_others(void)
{
    begin();
    on_loop(loop, favoured_have, NULL);
    on_loop(loop, first_leaves, NULL);
    ok(is_told(13) && told == 1, "the others go first where they have less than an eighth");
    on_loop(loop, second_leaves, NULL);
    ok(is_told(10) && told == 2 && guests[14].order == 0, "but no further");
    end();
    begin();
    on_loop(loop, favoured_have, NULL);
    on_loop(loop, rest_leave, NULL);
    on_loop(loop, third_leaves, NULL);
    ok(is_told(15) && guests[15].order == 1, "however little each gives back");
    end();
}

int main(void)
{
    mem_set_limit(LIMIT);
    accounts_apart(accounts, APART);
    loop = loop_new(0);
    loop_start(loop, NULL, NULL, NULL);
    test_names();
    test_offers();
    test_not_ready();
    test_favoured();
    test_others();
    loop_stop(loop);
    loop_join(loop);
    loop_free(loop);
    return done_testing();
}
