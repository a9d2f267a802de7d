/* SPDX-License-Identifier: Apache-2.0 */
/* test_loop.c: threads, letters between loops, timers, slots and RCU grace periods. */
#include <event2/event.h>
#include <stdatomic.h>
#include <urcu-qsbr.h>

#include "base/clock.h"
#include "net/loop.h"
#include "on_loop.h"
#include "tap.h"

#define HOPS 10000

static unsigned reached;

static struct loop *loops[2];
static bool init_ran[2];
static bool fini_ran[2];
static bool own[2];

static void init(struct loop *loop, void *arg)
{
    (void) arg;
    init_ran[loop_id(loop)] = true;
    own[loop_id(loop)] = loop_current() == loop;
    loop_set(loop, LOOP_SLOT_PROXY, &init_ran[loop_id(loop)]);
}

static void fini(struct loop *loop, void *arg)
{
    (void) arg;
    fini_ran[loop_id(loop)] = loop_get(loop, LOOP_SLOT_PROXY) == &init_ran[loop_id(loop)];
}

/* A letter that goes to and fro. */
static unsigned hops;
static bool at_home = true;

static void hop(struct letter *letter)
{
    if (loop_current() != loops[hops % 2])
        at_home = false;
    if (++hops == HOPS)
        count_up(&reached);
    else
        loop_post(loops[hops % 2], letter);
}

/* Timers, on the first loop. */
#define TIMERS 5
static struct timer timers[TIMERS];
static unsigned order[TIMERS];
static unsigned fired;
static int64_t began;
static int64_t took;

static void fire(struct timer *timer)
{
    order[fired++] = (unsigned) (timer - timers);
    if (timer == &timers[1]) {
        took = clock_mono_ms() - began;
        for (unsigned i = 0; i < TIMERS; i++)
            timer_fini(&timers[i]);
        count_up(&reached);
    }
}

static void set_timers(struct letter *letter)
{
    struct loop *loop = loop_current();
    (void) letter;
    began = clock_mono_ms();
    for (unsigned i = 0; i < TIMERS; i++)
        timer_init(&timers[i], loop, fire);
    timer_set(&timers[1], 60);
    timer_set(&timers[0], 5000);
    timer_set(&timers[0], 0);       /* moved nearer */
    timer_hasten(&timers[1], 4000); /* not moved */
    timer_set(&timers[2], 20);
    timer_clear(&timers[2]);
    timer_set(&timers[3], 5000);
    timer_hasten(&timers[3], 20);
    timer_hasten(&timers[4], 40);
}

int main(void)
{
    is_int(loop_current() == NULL, 1, "the main thread is no loop");
    struct letter letter = {NULL, hop};
    for (unsigned i = 0; i < 2; i++)
        loops[i] = loop_new(i);
    loop_post(loops[0], &letter); /* before the start */
    for (unsigned i = 0; i < 2; i++)
        loop_start(loops[i], init, fini, NULL);
    count_wait(&reached, 1);
    is_int(hops, HOPS, "a letter goes to and fro between two loops");
    ok(at_home, "and is always delivered on the thread it was posted to");

    struct letter second = {NULL, set_timers};
    loop_post(loops[0], &second);
    count_wait(&reached, 2);
    is_int(fired, 4, "a cleared timer does not fire");
    ok(order[0] == 0 && order[1] == 3 && order[2] == 4 && order[3] == 1,
       "timers fire in the order of their times, moved and hastened ones too");
    ok(took >= 55, "and not early (%lld ms)", (long long) took);

    rcu_register_thread();
    rcu_thread_offline();
    int64_t start = clock_mono_ms();
    synchronize_rcu();
    ok(clock_mono_ms() - start < 5000, "a grace period ends though both loops are idle");
    rcu_thread_online();
    rcu_unregister_thread();

    for (unsigned i = 0; i < 2; i++) {
        loop_stop(loops[i]);
        loop_join(loops[i]);
        ok(init_ran[i] && own[i], "init ran on loop %u", i);
        ok(fini_ran[i], "fini ran on loop %u and its slot was kept", i);
        loop_free(loops[i]);
    }
    return done_testing();
}
