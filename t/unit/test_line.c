/* SPDX-License-Identifier: Apache-2.0 */
/* test_line.c: a share of memory, and who waits for it in which order. Crowds are test_line_crowd.c's. */
#include <limits.h>
#include <pthread.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/mem_parts.h"
#include "net/line.h"
#include "accounts_apart.h"
#include "tap.h"

#define LIMIT (64 << 20)
#define SHARE (LIMIT / 4)
#define UNIT (SHARE / 8)
#define GUESTS 32
#define RACERS 8
#define RACE_TURNS 400
#define DEADLINE_MS 20000

static const struct share_terms terms = {.part = MEM_WHOLE / 4, .alpha = 7, .client_alpha = 3, .most = {6, 8}};

static struct loop *loops[2];
static struct line_share share;
static uint64_t accounts[GUESTS + 2 * RACERS];
static struct line lines[2];

/* ---- What runs on a loop, and waiting for it. ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

struct call {
    struct letter letter;
    void (*run)(unsigned loop);
    unsigned loop;
    bool over;
};

static void call_deliver(struct letter *letter)
{
    struct call *call = CONTAINER_OF(letter, struct call, letter);
    call->run(call->loop);
    pthread_mutex_lock(&lock);
    call->over = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void on_loop(unsigned loop, void (*run)(unsigned loop))
{
    struct call call = {.letter.deliver = call_deliver, .run = run, .loop = loop};
    loop_post(loops[loop], &call.letter);
    pthread_mutex_lock(&lock);
    while (!call.over)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

/* ---- Guests: who came, in which order, and how. ---- */

struct guest {
    struct line_ticket ticket;
    bool unready;
    bool told;
    unsigned order;
};

static struct guest guests[GUESTS];
static unsigned told;

static void tell(struct guest *guest)
{
    pthread_mutex_lock(&lock);
    guest->told = true;
    guest->order = told++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void come(struct line_ticket *ticket)
{
    tell(CONTAINER_OF(ticket, struct guest, ticket));
}

static bool is_ready(struct line_ticket *ticket)
{
    return !CONTAINER_OF(ticket, struct guest, ticket)->unready;
}

static bool wait_until(bool (*there)(unsigned n), unsigned n)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += DEADLINE_MS / 1000;
    pthread_mutex_lock(&lock);
    while (!there(n) && pthread_cond_timedwait(&changed, &lock, &until) == 0)
        ;
    bool held = there(n);
    pthread_mutex_unlock(&lock);
    return held;
}

static bool are_told(unsigned count)
{
    return told >= count;
}

static bool is_told(unsigned guest)
{
    return guests[guest].told;
}

/* Until so many have been called. */
static bool wait_told(unsigned count)
{
    return wait_until(are_told, count);
}

static bool ask_line(unsigned loop, struct line_ticket *ticket)
{
    if (line_try(&lines[loop], ticket))
        return true;
    line_wait(&lines[loop], ticket);
    return false;
}

static bool ask_by(unsigned loop, unsigned n, bool favoured, unsigned account, uint64_t client, size_t bytes)
{
    struct guest *guest = &guests[n];
    *guest = (struct guest){.ticket = {.favoured = favoured,
                                       .account = accounts[account],
                                       .client = client,
                                       .bytes = bytes,
                                       .ready = is_ready,
                                       .come = come}};
    return ask_line(loop, &guest->ticket);
}

/* Each by a client of its own. */
static bool ask_of(unsigned loop, unsigned n, bool favoured, unsigned account, size_t bytes)
{
    return ask_by(loop, n, favoured, account, client_apart(accounts[account]), bytes);
}

/* Each of an account of its own. */
static bool ask(unsigned loop, unsigned n, bool favoured, size_t bytes)
{
    return ask_of(loop, n, favoured, n, bytes);
}

static void leave_all(unsigned loop)
{
    for (unsigned n = 0; n < GUESTS; n++)
        if (guests[n].ticket.line == &lines[loop])
            line_leave(&guests[n].ticket);
}

static void begin(unsigned loop)
{
    line_init(&lines[loop], &share, loops[loop]);
}

/* After both have left, so that no letter is under way. */
static void end(unsigned loop)
{
    line_fini(&lines[loop]);
}

static void open_lines(void)
{
    told = 0;
    memset(client_slots, 0, sizeof client_slots);
    line_share_init(&share, &terms, METRIC_FORWARDS_WAITING);
    on_loop(0, begin);
    on_loop(1, begin);
}

static void close_lines(void)
{
    on_loop(0, leave_all);
    on_loop(1, leave_all);
    on_loop(0, end);
    on_loop(1, end);
    is_int((long long) (share.room.taken[0] + share.room.taken[1]), 0, "nothing is left behind");
    unsigned waiting = line_full(&share);
    for (unsigned account = 0; account < 100 * SHARE_SLOTS; account++)
        waiting += line_contended(&share, account, account);
    is_int(waiting, 0, "and nobody");
    is_int(metric_cell_value(metric_cell(METRIC_FORWARDS_WAITING, "")), 0, "nor in the gauge");
    line_share_fini(&share);
}

/* ---- (a) room, and the order of coming ---- */

static void fill_others(unsigned loop)
{
    for (unsigned n = 0; n < 6; n++)
        ok(ask(loop, n, false, UNIT), "of the others %u finds room", n);
    ok(!ask(loop, 6, false, UNIT), "the seventh waits: a quarter is not for them");
    ok(ask(loop, 7, true, UNIT) && ask(loop, 8, true, UNIT), "but for the favoured");
    ok(!ask(loop, 9, true, UNIT) && !ask(loop, 10, false, UNIT) && !ask(loop, 11, true, UNIT), "until all is taken");
    ok(!ask(loop, 12, false, 1), "who wants little stands in line, too");
    ok(line_full(&share) && line_contended(&share, accounts[20], 0), "all see that");
    is_int(metric_cell_value(metric_cell(METRIC_FORWARDS_WAITING, "")), 5, "five wait");
}

static void give_two(unsigned loop)
{
    (void) loop;
    line_leave(&guests[0].ticket);
    line_leave(&guests[1].ticket);
    ok(!guests[9].told, "nobody is called from inside");
}

static void leave_line(unsigned loop)
{
    (void) loop;
    line_leave(&guests[6].ticket);
    line_leave(&guests[7].ticket);
    line_leave(&guests[8].ticket);
}

static void move_on(unsigned loop)
{
    struct line_ticket other = {0};
    (void) loop;
    line_move(&other, &guests[9].ticket);
    ok(!line_has(&guests[9].ticket) && line_has(&other), "room changes hands");
    line_leave(&guests[9].ticket);
    is_int((long long) share.room.taken[true], 2 * UNIT, "who gave it away gives up nothing");
    line_leave(&other);
    is_int((long long) share.room.taken[true], UNIT, "who has it does");
}

static void test_order(void)
{
    open_lines();
    on_loop(0, fill_others);
    on_loop(0, give_two);
    ok(wait_told(2), "two come");
    ok(guests[9].told && guests[11].told && guests[9].order < guests[11].order, "the favoured, in their order");
    on_loop(0, leave_line);
    ok(wait_told(4), "two more");
    ok(!guests[6].told && guests[10].told && guests[12].told, "he who left is not called");
    on_loop(0, move_on);
    close_lines();
}

/* ---- (b) what another loop gives up ---- */

static void take_all(unsigned loop)
{
    ok(ask(loop, 0, true, SHARE), "one takes it all");
}

static void ask_in_vain(unsigned loop)
{
    ok(!ask(loop, 2, true, UNIT), "another loop's waits");
}

static void give_all(unsigned loop)
{
    (void) loop;
    line_leave(&guests[0].ticket);
}

static void test_loops(void)
{
    open_lines();
    on_loop(0, take_all);
    on_loop(1, ask_in_vain);
    on_loop(0, give_all);
    ok(wait_told(1), "and see what was given up");
    close_lines();
}

/* Others keep coming to the same line. */
static struct timer comer;
static unsigned comers;

static void another_comes(struct timer *timer)
{
    unsigned loop = loop_id(loop_current());
    if (guests[3].told || ++comers == GUESTS - 4) {
        timer_fini(timer);
        tell(&guests[0]);
        return;
    }
    ask(loop, 3 + comers, true, UNIT);
    timer_set(timer, 5);
}

static void let_others_come(unsigned loop)
{
    ok(ask(loop, 2, true, UNIT) && !ask(loop, 3, true, UNIT), "one waits, and others keep coming");
    timer_init(&comer, loops[loop], another_comes);
    timer_set(&comer, 5);
}

static void take_others(unsigned loop)
{
    ok(ask(loop, 0, true, SHARE - UNIT), "all but a little is taken");
}

static void test_comers(void)
{
    memset(guests, 0, sizeof guests);
    comers = 0;
    open_lines();
    on_loop(0, take_others);
    on_loop(1, let_others_come);
    on_loop(0, give_all);
    ok(wait_until(is_told, 0), "they come to an end");
    ok(comers < GUESTS - 4, "that put off nobody: he was called after %u", comers);
    close_lines();
}

/* ---- (c) whatever is asked for ---- */

static void ask_two(unsigned loop)
{
    ok(ask(loop, 0, false, 2 * SHARE), "the first finds room whatever it takes");
    ok(ask(loop, 1, true, 2 * SHARE), "and the first of the others' kind");
    ok(!ask(loop, 2, false, 1), "the next does not");
}

static void test_large(void)
{
    open_lines();
    on_loop(0, ask_two);
    close_lines();
}

/* ---- (d) accounts, and what else is needed ---- */

static void one_account(unsigned loop)
{
    for (unsigned n = 0; n < 7; n++)
        ok(ask_of(loop, n, true, 1, UNIT), "an account has its part");
    for (unsigned n = 7; n < 9; n++)
        ok(!ask_of(loop, n, true, 1, UNIT), "and waits for more");
    ok(line_contended(&share, accounts[1], client_apart(accounts[1])) &&
           !line_contended(&share, accounts[2], client_apart(accounts[2])) && !line_full(&share),
       "which is its own affair");
    struct line_ticket other = {
        .favoured = true, .account = accounts[2], .client = client_apart(accounts[2]), .bytes = UNIT};
    ok(line_try(&lines[loop], &other), "another does not see it");
    line_leave(&other);
    ok(!line_try(&lines[loop], &(struct line_ticket){.favoured = true, .account = accounts[1], .bytes = 1}),
       "its own do");
    ok(ask_of(loop, 9, true, 2, UNIT), "another passes those who wait");
}

static void give_one(unsigned loop)
{
    (void) loop;
    line_leave(&guests[0].ticket);
}

static void give_another(unsigned loop)
{
    (void) loop;
    line_leave(&guests[1].ticket);
}

static void other_goes(unsigned loop)
{
    (void) loop;
    line_leave(&guests[9].ticket);
}

static void test_accounts(void)
{
    memset(guests, 0, sizeof guests);
    open_lines();
    on_loop(0, one_account);
    usleep(100000);
    is_int((long long) told, 0, "they still do");
    on_loop(0, give_one);
    usleep(100000);
    is_int((long long) told, 0, "also when there is as much as they want, for one more is to be left");
    on_loop(0, other_goes);
    ok(wait_told(1) && guests[7].told, "until it is");
    close_lines();
}

static void one_client(unsigned loop)
{
    uint64_t client = client_apart(accounts[1]);
    for (unsigned n = 0; n < 6; n++)
        ok(ask_by(loop, n, true, 1, client, UNIT), "a client has its part");
    for (unsigned n = 6; n < 9; n++)
        ok(!ask_by(loop, n, true, 1, client, UNIT), "and waits for more");
    ok(line_contended(&share, accounts[1], client) && !line_contended(&share, accounts[1], client_apart(accounts[1])),
       "which is its own affair");
    ok(ask_of(loop, 9, true, 1, UNIT), "another of its account passes");
    ok(!ask_of(loop, 10, true, 1, UNIT), "up to what the account may have");
    ok(ask_of(loop, 11, true, 2, UNIT), "another account has the rest");
}

static void other_client_goes(unsigned loop)
{
    (void) loop;
    line_leave(&guests[11].ticket);
    line_leave(&guests[9].ticket);
}

static void test_clients(void)
{
    memset(guests, 0, sizeof guests);
    open_lines();
    on_loop(0, one_client);
    uint64_t stranger = client_apart(accounts[1]);
    for (int64_t until = clock_mono_ms() + DEADLINE_MS;
         !line_contended(&share, accounts[1], stranger) && clock_mono_ms() < until;)
        usleep(1000);
    ok(line_contended(&share, accounts[1], stranger), "which is its affair");
    on_loop(0, other_client_goes);
    ok(wait_told(1) && guests[10].told, "and in the queue, too, another client is the next");
    usleep(100000);
    is_int((long long) told, 1, "while those who were there before wait");
    on_loop(0, give_one);
    on_loop(0, give_another);
    ok(wait_told(2) && guests[6].told, "for what their own client gives back");
    close_lines();
}

static void ask_unready(unsigned loop)
{
    ok(ask(loop, 0, true, SHARE), "all is taken");
    for (unsigned n = 1; n < 4; n++) {
        ask(loop, n, true, UNIT);
        guests[n].unready = n < 3;
    }
}

static void get_ready(unsigned loop)
{
    (void) loop;
    ok(!guests[1].told && !guests[2].told, "who is not ready lets the next go first");
    is_int((long long) share.room.taken[true], UNIT, "and takes nothing");
    guests[2].unready = false;
}

static void test_ready(void)
{
    memset(guests, 0, sizeof guests);
    open_lines();
    on_loop(0, ask_unready);
    on_loop(0, give_all);
    ok(wait_told(1), "room is given back");
    on_loop(0, get_ready);
    ok(wait_told(2) && guests[2].told && !guests[1].told, "who gets ready is found");
    close_lines();
}

/* ---- (e) loops race for it ---- */

#define RACER_TURNS (RACE_TURNS / RACERS)

struct racer {
    struct line_ticket ticket;
    struct timer timer;
    unsigned loop;
    unsigned account;
    uint64_t client;
    atomic_uint turns;
};

/* What they want, and which kind they are: every second turn of the favoured, or always. */
static size_t race_bytes;
static bool race_favoured;

static struct racer racers[2][RACERS];
static atomic_int inside;
static atomic_int most_inside;
static atomic_uint fewest; /* turns of any racer when the first had all of its own; UINT_MAX: none has */

static void racer_go(struct racer *racer);

static void racer_in(struct line_ticket *ticket)
{
    struct racer *racer = CONTAINER_OF(ticket, struct racer, ticket);
    int now = atomic_fetch_add(&inside, 1) + 1;
    int most = atomic_load(&most_inside);
    while (now > most && !atomic_compare_exchange_weak(&most_inside, &most, now))
        ;
    timer_set(&racer->timer, 0);
}

static void note_fewest(void)
{
    unsigned least = UINT_MAX, none = UINT_MAX;
    for (unsigned n = 0; n < 2 * RACERS; n++) {
        unsigned turns = racers[n / RACERS][n % RACERS].turns;
        least = turns < least ? turns : least;
    }
    atomic_compare_exchange_strong(&fewest, &none, least);
}

static void racer_out(struct timer *timer)
{
    struct racer *racer = CONTAINER_OF(timer, struct racer, timer);
    atomic_fetch_sub(&inside, 1);
    line_leave(&racer->ticket);
    if (++racer->turns < RACER_TURNS) {
        racer_go(racer);
        return;
    }
    note_fewest();
    timer_fini(&racer->timer);
    tell(&guests[0]);
}

static void racer_go(struct racer *racer)
{
    racer->ticket = (struct line_ticket){.favoured = race_favoured || racer->turns % 2,
                                         .account = accounts[racer->account],
                                         .client = racer->client,
                                         .bytes = race_bytes,
                                         .come = racer_in};
    if (ask_line(racer->loop, &racer->ticket))
        racer_in(&racer->ticket);
}

static void race(unsigned loop)
{
    for (unsigned n = 0; n < RACERS; n++) {
        racers[loop][n] = (struct racer){.loop = loop, .account = GUESTS + loop * RACERS + n};
        racers[loop][n].client = client_apart(accounts[racers[loop][n].account]);
        timer_init(&racers[loop][n].timer, loops[loop], racer_out);
        racer_go(&racers[loop][n]);
    }
}

static void begin_race(size_t bytes, bool favoured)
{
    memset(guests, 0, sizeof guests);
    race_bytes = bytes;
    race_favoured = favoured;
    most_inside = 0;
    fewest = UINT_MAX;
    open_lines();
}

static void test_race(void)
{
    begin_race(SHARE / 4, false);
    on_loop(0, race);
    on_loop(1, race);
    ok(wait_told(2 * RACERS), "all have had their turns");
    /* The first of a kind is always let in. */
    ok(atomic_load(&most_inside) <= 5, "never more than fit (%d)", atomic_load(&most_inside));
    close_lines();
}

/* One has all of it, for a moment; the loop on which it is given back is not the one that has it next. */
static void test_turns(void)
{
    begin_race(SHARE, true);
    on_loop(0, take_all);
    on_loop(0, race);
    on_loop(1, race);
    on_loop(0, give_all);
    ok(wait_told(2 * RACERS), "all have had their turns");
    is_int(atomic_load(&most_inside), 1, "one at a time");
    ok(fewest >= RACER_TURNS - 2, "the loops in turn: when the first had %d of them nobody had less than %u",
       RACER_TURNS, fewest);
    close_lines();
}

int main(void)
{
    mem_set_limit(LIMIT);
    accounts_apart(accounts, sizeof accounts / sizeof accounts[0]);
    for (unsigned i = 0; i < 2; i++) {
        loops[i] = loop_new(i);
        loop_start(loops[i], NULL, NULL, NULL);
    }
    test_order();
    test_loops();
    test_comers();
    test_large();
    test_accounts();
    test_clients();
    test_ready();
    test_race();
    test_turns();
    for (unsigned i = 0; i < 2; i++)
        loop_stop(loops[i]);
    for (unsigned i = 0; i < 2; i++)
        loop_join(loops[i]);
    for (unsigned i = 0; i < 2; i++)
        loop_free(loops[i]);
    return done_testing();
}
