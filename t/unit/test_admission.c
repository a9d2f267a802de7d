/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_admission.c: who waits for the account's budget and then for room, who leaves meanwhile, and who is sent away.
 * The turns are test_budget.c's and test_line.c's.
 */
#include "origin/admission.h"

#include <unistd.h>

#include "accounts_apart.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/mem_parts.h"
#include "origin/budget_inside.h"
#include "on_loop.h"
#include "tap.h"

#define LIMIT (64 << 20)
#define ROOM (LIMIT / 4)
#define UNIT (ROOM / 8)
#define WAITING (LIMIT / 64)
#define PATIENCE_MS 400
#define GUESTS 16
/* Of an account in a second, which does not bound anything here. */
#define REQUESTS 5000
#define DEADLINE_MS 20000

static struct loop *loop;
static struct admission_class class;
static struct admission_queue queue;
static struct origin_budget *accounts[2];
static uint64_t hashes[2]; /* of the accounts */
static uint64_t clients[2][GUESTS];
static int64_t elsewhere; /* requests of the first account */

struct guest {
    struct admission admission;
    atomic_bool at_once;
    atomic_bool told;
    enum status how;
    int64_t at_ms;
};

static struct guest guests[GUESTS];

/* ---- On the loop ---- */

static void loop_ends(struct loop *ending, void *arg)
{
    (void) arg;
    origin_budget_loop_fini(ending);
}

static void come(void *arg, enum status why)
{
    struct guest *guest = arg;
    guest->how = why;
    guest->at_ms = clock_mono_ms();
    guest->told = true;
}

static bool is_told(unsigned n)
{
    for (int64_t end = clock_mono_ms() + DEADLINE_MS; !guests[n].told && clock_mono_ms() < end;)
        usleep(1000);
    return guests[n].told;
}

static bool ask_as(unsigned n, uint64_t client, unsigned account, size_t bytes, size_t held)
{
    struct guest *guest = &guests[n];
    guest->told = false;
    guest->at_once = admission_ask(&guest->admission, &queue,
                                   &(struct admission_wish){.budget = accounts[account],
                                                            .account = hashes[account],
                                                            .client = client,
                                                            .favoured = true,
                                                            .bytes = bytes,
                                                            .held = held,
                                                            .come = come,
                                                            .arg = guest});
    return guest->at_once;
}

static bool ask_by(unsigned n, unsigned client, unsigned account, size_t bytes, size_t held)
{
    return ask_as(n, clients[account][client], account, bytes, held);
}

/* Each by a client of its own. */
static bool ask(unsigned n, unsigned account, size_t bytes, size_t held)
{
    return ask_by(n, n, account, bytes, held);
}

static void open_queue(void *arg)
{
    (void) arg;
    admission_queue_init(&queue, &class, loop);
}

static void close_queue(void *arg)
{
    (void) arg;
    for (unsigned n = 0; n < GUESTS; n++)
        admission_leave(&guests[n].admission);
    admission_queue_fini(&queue);
}

/* Of the first account so many may ask at once. */
static void begin(int64_t patience_ms, int64_t at_once)
{
    const struct admission_terms terms = {.what = "a test",
                                          .waiting = METRIC_FORWARDS_WAITING,
                                          .part = MEM_WHOLE / 4,
                                          .waiting_part = MEM_WHOLE / 64,
                                          .most = {6, 8},
                                          .patience_ms = patience_ms};
    memset(guests, 0, sizeof guests);
    accounts[0] = origin_budget_new("one", REQUESTS, 0);
    accounts[1] = origin_budget_new("other", REQUESTS, 0);
    budget_count(accounts[0], REQUESTS - at_once, 0);
    elsewhere = REQUESTS - at_once;
    admission_class_init(&class, &terms);
    on_loop(loop, open_queue, NULL);
}

static void end(void)
{
    on_loop(loop, close_queue, NULL);
    is_int(accounts[0]->asking - elsewhere + accounts[0]->deferred + accounts[1]->asking + accounts[1]->deferred, 0,
           "no right to ask is left behind");
    is_int((long long) (class.room.room.taken[1] + class.waiting.taken[1]), 0, "and nothing of either share");
    origin_budget_free(&accounts[0]);
    origin_budget_free(&accounts[1]);
    admission_class_fini(&class);
}

/* ---- (a) one after the other ---- */

static void crowd_asks(void *arg)
{
    (void) arg;
    for (unsigned n = 0; n < 7; n++)
        ok(ask(n, 0, UNIT, 1), "there is a right to ask, and room, %u", n);
    for (unsigned n = 0; n < 7; n++)
        budget_answered(&guests[n].admission.budget);
    for (unsigned n = 7; n < 14; n++)
        ok(!ask(n, 0, UNIT, 1), "then there is no room, %u", n);
}

static void validation_asks(void *arg)
{
    (void) arg;
    struct budget_ticket ticket;
    budget_ticket_init(&ticket, loop, accounts[0], 99, NULL);
    ok(budget_try(&ticket), "those who wait for it keep nobody from asking");
    budget_leave(&ticket);
    ok(ask(14, 1, UNIT / 2, 1) || admission_has(&guests[14].admission), "another account asks");
}

static void two_end(void *arg)
{
    (void) arg;
    admission_leave(&guests[0].admission);
    admission_leave(&guests[1].admission);
    admission_leave(&guests[14].admission);
}

static void test_both(void)
{
    begin(60000, 8);
    on_loop(loop, crowd_asks, NULL);
    on_loop(loop, validation_asks, NULL);
    ok(guests[14].at_once || is_told(14), "and has its room");
    on_loop(loop, two_end, NULL);
    ok(is_told(7) && guests[7].how == STATUS_OK, "room that is given back is the next one's");
    ok(guests[7].admission.budget.asking, "with the right to ask");
    end();
}

/* ---- (b) who is sent away ---- */

static void none_may_ask(void *arg)
{
    (void) arg;
    ok(ask(0, 0, UNIT, 1), "one may ask at once");
    ok(!ask(1, 0, UNIT, 1), "another waits for that");
    ok(ask(2, 1, 7 * UNIT, 1), "another account has all room");
    ok(!ask(3, 1, UNIT, 1), "one more of it waits for room");
}

static void test_patience(void)
{
    begin(PATIENCE_MS, 1);
    int64_t began = clock_mono_ms();
    on_loop(loop, none_may_ask, NULL);
    ok(is_told(1) && guests[1].how == STATUS_OVER_BUDGET, "who is not let ask is told so");
    ok(is_told(3) && guests[3].how == STATUS_NO_MEMORY, "as is who finds no room");
    ok(guests[1].at_ms - began >= PATIENCE_MS && guests[3].at_ms - began >= PATIENCE_MS, "after a while");
    ok(!admission_has(&guests[1].admission) && !admission_has(&guests[3].admission), "and neither has anything");
    end();
}

static void many_wait(void *arg)
{
    (void) arg;
    ok(ask(0, 0, UNIT, 1), "one asks");
    for (unsigned n = 1; n < 9; n++)
        ask(n, 0, UNIT, WAITING / 8);
    ok(!guests[8].told, "nobody is told from inside");
    ok(ask(9, 1, 7 * UNIT, 1), "another account's has all room");
    ok(!ask(10, 1, UNIT, WAITING / 16), "and one waits for some");
}

static void one_goes(void *arg)
{
    (void) arg;
    admission_leave(&guests[9].admission);
    budget_answered(&guests[0].admission.budget);
}

static void one_client_waits(void *arg)
{
    (void) arg;
    ok(ask(0, 0, UNIT, 1), "one asks");
    for (unsigned n = 1; n < 8; n++)
        ask_by(n, 1, 0, UNIT, WAITING / 8);
    ok(!ask_by(8, 2, 0, UNIT, WAITING / 16), "another client comes to the same account");
}

static void test_client(void)
{
    begin(60000, 1);
    on_loop(loop, one_client_waits, NULL);
    ok(is_told(7) && guests[7].how == STATUS_OVER_BUDGET, "a client has no more than its part of those who wait");
    usleep(50000);
    ok(!guests[6].told && !guests[8].told, "which leaves some for another");
    end();
}

/* With both accounts. */
static void one_client_asks(void *arg)
{
    (void) arg;
    uint64_t client = clients[0][1];
    ok(ask(0, 0, UNIT, 1), "one asks");
    for (unsigned n = 1; n < 7; n++)
        ask_as(n, client, 0, UNIT, WAITING / 8);
    ok(ask(9, 1, 7 * UNIT, 1), "another account's has all room");
    ask_as(10, client, 1, UNIT, WAITING / 8);
    ask_as(11, client, 1, UNIT, WAITING / 16);
    ok(!ask(12, 1, UNIT, WAITING / 32), "another client comes");
}

static void test_client_whole(void)
{
    begin(60000, 1);
    on_loop(loop, one_client_asks, NULL);
    ok(is_told(11) && guests[11].how == STATUS_NO_MEMORY, "nor with two accounts, by a little more");
    usleep(50000);
    ok(!guests[6].told && !guests[10].told && !guests[12].told, "which leaves some for another");
    end();
}

static void one_client_has(void *arg)
{
    (void) arg;
    for (unsigned n = 0; n < 6; n++)
        ok(ask_by(n, 1, 0, UNIT, 1), "a client has its part of the room, %u", n);
    ok(!ask_by(6, 1, 0, UNIT, 1), "and waits for more");
    ok(ask_by(7, 2, 0, UNIT, 1), "which leaves some for another of its account");
}

static void test_client_room(void)
{
    begin(60000, 100);
    on_loop(loop, one_client_has, NULL);
    end();
}

static void test_full(void)
{
    begin(60000, 1);
    on_loop(loop, many_wait, NULL);
    ok(is_told(8) && guests[8].how == STATUS_OVER_BUDGET, "who would make those that wait hold too much is sent away");
    usleep(50000);
    ok(!guests[7].told && !guests[10].told, "the others stay, another account's, too");
    on_loop(loop, one_goes, NULL);
    ok(is_told(10) && guests[10].how == STATUS_OK, "and get what they wait for");
    end();
}

/* ---- (c) at once or not at all ---- */

static void try_some(void *arg)
{
    (void) arg;
    const struct admission_wish wish = {.budget = accounts[0], .account = hashes[0], .favoured = true, .bytes = UNIT};
    struct admission_wish large = wish, handed = wish;
    struct admission one, moved, other = {0};
    struct budget_ticket asked;
    large.bytes = 2 * ROOM;
    ok(admission_try(&one, &queue, &wish), "there is both");
    ok(!admission_try(&other, &queue, &wish) && !admission_has(&other), "then no right to ask, and nothing is kept");
    budget_answered(&one.budget);
    budget_ticket_init(&asked, loop, accounts[1], 0, NULL);
    ok(budget_try(&asked), "who has the right to ask");
    handed.budget = large.budget = accounts[1];
    handed.asked = large.asked = &asked;
    ok(!admission_try(&other, &queue, &large) && asked.asking, "keeps it where there is no room");
    ok(admission_try(&other, &queue, &handed) && !asked.asking, "and hands it over where there is");
    admission_move(&moved, &other);
    ok(!admission_has(&other) && admission_has(&moved) && moved.budget.asking, "both change hands");
    admission_leave(&other);
    is_int((long long) class.room.room.taken[1], 2 * UNIT, "who gave them away has nothing to give up");
    admission_leave(&moved);
    admission_leave(&one);
}

static void test_try(void)
{
    begin(60000, 1);
    on_loop(loop, try_some, NULL);
    end();
}

/* ---- (d) two loops: one takes up the right to ask of those who wait on the other, while some of them leave ---- */

#define RACERS 6
#define RACER_TURNS 60

struct racer {
    struct admission admission;
    struct timer timer;
    struct admission_queue *queue;
    unsigned number;
    unsigned turns;
};

static struct loop *other_loop;
static struct admission_queue other_queue;
static struct racer racers[2][RACERS];
static atomic_uint racers_done;
static atomic_uint admitted;
static atomic_uint without; /* the right to ask */

static void racer_admitted(void *arg, enum status why)
{
    struct racer *racer = arg;
    admitted += why == STATUS_OK;
    without += !racer->admission.budget.asking || racer->admission.budget.deferred;
    timer_set(&racer->timer, 0);
}

static void racer_asks(struct racer *racer)
{
    const struct admission_wish wish = {.budget = accounts[0],
                                        .account = hashes[0],
                                        .client = clients[0][racer->number],
                                        .favoured = racer->turns % 2,
                                        .bytes = ROOM / 4,
                                        .held = 1,
                                        .come = racer_admitted,
                                        .arg = racer};
    if (admission_ask(&racer->admission, racer->queue, &wish))
        racer_admitted(racer, STATUS_OK);
    else if (racer->turns % 3 == 0)
        timer_set(&racer->timer, 1);
}

static void racer_leaves(struct timer *timer)
{
    struct racer *racer = CONTAINER_OF(timer, struct racer, timer);
    admission_leave(&racer->admission);
    if (++racer->turns < RACER_TURNS) {
        racer_asks(racer);
        return;
    }
    timer_fini(timer);
    racers_done++;
}

static void race(unsigned which, struct admission_queue *where)
{
    for (unsigned n = 0; n < RACERS; n++) {
        struct racer *racer = &racers[which][n];
        *racer = (struct racer){.queue = where, .number = which * RACERS + n};
        timer_init(&racer->timer, where->loop, racer_leaves);
        racer_asks(racer);
    }
}

static void race_here(void *arg)
{
    (void) arg;
    race(0, &queue);
}

static void race_there(void *arg)
{
    (void) arg;
    admission_queue_init(&other_queue, &class, other_loop);
    race(1, &other_queue);
}

static void race_ends(void *arg)
{
    (void) arg;
    admission_queue_fini(&other_queue);
}

static void test_loops(void)
{
    begin(60000, 2);
    other_loop = loop_new(1);
    loop_start(other_loop, NULL, loop_ends, NULL);
    on_loop(loop, race_here, NULL);
    on_loop(other_loop, race_there, NULL);
    for (int64_t until = clock_mono_ms() + DEADLINE_MS; racers_done < 2 * RACERS && clock_mono_ms() < until;)
        usleep(1000);
    is_int(racers_done, 2 * RACERS, "all have had their turns, on either loop");
    ok(admitted >= 2 * RACERS * RACER_TURNS / 2, "most of them (%u)", admitted);
    is_int(without, 0, "with the right to ask");
    on_loop(other_loop, race_ends, NULL);
    loop_stop(other_loop);
    loop_join(other_loop);
    end();
    loop_free(other_loop);
}

int main(void)
{
    mem_set_limit(LIMIT);
    accounts_apart(hashes, sizeof hashes / sizeof hashes[0]);
    bool used[SHARE_SLOTS] = {false}; /* apart in what one has with all accounts, too */
    for (unsigned n = 0; n < 2 * GUESTS; n++) {
        uint64_t *client = &clients[n % 2][n / 2];
        do {
            *client = client_apart(hashes[n % 2]);
        } while (used[share_slot(*client)]);
        used[share_slot(*client)] = true;
    }
    loop = loop_new(0);
    loop_start(loop, NULL, loop_ends, NULL);
    test_both();
    test_patience();
    test_full();
    test_client();
    test_client_whole();
    test_client_room();
    test_try();
    test_loops();
    loop_stop(loop);
    loop_join(loop);
    loop_free(loop);
    return done_testing();
}
