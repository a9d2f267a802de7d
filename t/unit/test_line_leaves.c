/* SPDX-License-Identifier: Apache-2.0 */
/* test_line_leaves.c: who has to leave room to others waits for it without keeping those others waiting. */
#include "net/line.h"

#include "accounts_apart.h"
#include "base/mem.h"
#include "base/mem_parts.h"
#include "on_loop.h"
#include "tap.h"

#define LIMIT (64 << 20)
#define UNIT (LIMIT / 4 / 8)
#define GUESTS 11

static const struct share_terms terms = {.part = MEM_WHOLE / 4, .alpha = 7, .client_alpha = 7, .most = {8, 8}};

static struct loop *loop;
static struct line_share share;
static struct line line;
static struct line_ticket tickets[GUESTS];
static uint64_t accounts[GUESTS], clients[GUESTS];
static unsigned called; /* of them; the loop's, as is the next one */
static unsigned order[GUESTS];
static unsigned told;

static void come(struct line_ticket *ticket)
{
    order[called++] = (unsigned) (ticket - tickets);
    count_up(&told);
}

static bool ask_as(unsigned n, unsigned who, unsigned leaves)
{
    tickets[n] = (struct line_ticket){.favoured = true,
                                      .leaves = leaves,
                                      .account = accounts[who],
                                      .client = clients[who],
                                      .bytes = UNIT,
                                      .come = come};
    if (line_try(&line, &tickets[n]))
        return true;
    line_wait(&line, &tickets[n]);
    return false;
}

/* Each of an account of its own, so that no other bound counts. */
static bool ask(unsigned n, unsigned leaves)
{
    return ask_as(n, n, leaves);
}

static void begin(void *arg)
{
    (void) arg;
    line_init(&line, &share, loop);
    for (unsigned n = 0; n < 6; n++)
        ok(ask(n, 2), "of those who leave two eighths %u finds room", n);
    ok(!ask(6, 2), "the seventh waits");
    ok(ask(7, 1), "who leaves one does not wait for it");
    ok(!ask(8, 1), "but the next one does");
    ok(ask(9, 0), "nor who leaves nothing");
    ok(!ask_as(10, 6, 0), "until nothing is left: the seventh's client, with what leaves nothing, waits");
    ok(line_full(&share) && line_contended(&share, accounts[9], clients[9]), "whoever can do without gives up");
    line_leave(&tickets[9]);
    line_leave(&tickets[0]);
}

static void give(void *arg)
{
    (void) arg;
    for (unsigned n = 1; n < 5; n++)
        line_leave(&tickets[n]);
}

static void end(void *arg)
{
    (void) arg;
    for (unsigned n = 0; n < GUESTS; n++)
        line_leave(&tickets[n]);
    ok(!line_full(&share) && !line_contended(&share, accounts[9], clients[9]), "nobody waits any more");
    line_fini(&line);
}

int main(void)
{
    mem_set_limit(LIMIT);
    accounts_apart(accounts, GUESTS);
    for (unsigned n = 0; n < GUESTS; n++)
        clients[n] = client_apart(accounts[n]);
    line_share_init(&share, &terms, METRIC_FORWARDS_WAITING);
    loop = loop_new(0);
    loop_start(loop, NULL, NULL, NULL);
    on_loop(loop, begin, NULL);
    ok(count_wait(&told, 1) && order[0] == 10, "who leaves nothing has one of two, whoever of its client came before");
    on_loop(loop, give, NULL);
    ok(count_wait(&told, 3) && order[1] + order[2] == 14, "those who leave more have some in time");
    on_loop(loop, end, NULL);
    loop_stop(loop);
    loop_join(loop);
    loop_free(loop);
    line_share_fini(&share);
    return done_testing();
}
