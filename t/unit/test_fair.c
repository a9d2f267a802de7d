/* SPDX-License-Identifier: Apache-2.0 */
/* test_fair.c: clients take turns, whatever the length of their queues. */
#include "origin/fair.h"

#include <stdlib.h>

#include "tap.h"

#define CROWD 1000

static struct fair fair;

int main(void)
{
    struct fair_node crowd[CROWD], few[3], other;

    fair_init(&fair);
    ok(fair_take(&fair) == NULL, "nobody waits");
    for (unsigned i = 0; i < CROWD; i++)
        fair_add(&fair, &crowd[i], 7);
    for (unsigned i = 0; i < 3; i++)
        fair_add(&fair, &few[i], 8);
    fair_add(&fair, &other, 9);
    is_int(fair.waiting, CROWD + 4, "all wait");
    is_int(fair.sharers, 3, "three clients");
    ok(fair_take(&fair) == &crowd[0] && fair_take(&fair) == &few[0] && fair_take(&fair) == &other,
       "each has its turn before anybody has a second one");
    is_int(fair.sharers, 2, "who has nothing left has no turn");
    ok(fair_take(&fair) == &crowd[1] && fair_take(&fair) == &few[1], "in the order of coming");
    fair_remove(&fair, &few[2]);
    is_int(fair.sharers, 1, "who leaves has none either");
    fair_add(&fair, &few[0], 8);
    ok(fair_take(&fair) == &crowd[2] && fair_take(&fair) == &few[0], "who comes again is the next but one");
    fair_remove(&fair, &crowd[500]);
    bool right = true;
    for (unsigned i = 3; i < CROWD; i++)
        right = right && (i == 500 || fair_take(&fair) == &crowd[i]);
    ok(right && fair_take(&fair) == NULL, "and the rest in order");
    is_int(fair.waiting + fair.sharers, 0, "nothing is left");

    fair_add(&fair, &few[0], 8);
    fair_add(&fair, &few[1], 8 + FAIR_SHARES);
    is_int(fair.sharers, 1, "clients may share a turn");
    ok(fair_take(&fair) == &few[0] && fair_take(&fair) == &few[1], "and are served");
    return done_testing();
}
