/* SPDX-License-Identifier: Apache-2.0 */
/* test_fair.c: clients take turns, whatever the length of their queues. */
#include "base/fair.h"

#include <stdlib.h>

#include "tap.h"

#define CROWD 1000

static struct fair fair;

static struct fair_node *take(void)
{
    struct fair_node *node = fair_first(&fair);
    if (node != NULL)
        fair_serve(&fair, node);
    return node;
}

int main(void)
{
    struct fair_node crowd[CROWD], few[3], other;

    fair_init(&fair);
    ok(take() == NULL, "nobody waits");
    for (unsigned i = 0; i < CROWD; i++)
        fair_add(&fair, &crowd[i], 7);
    for (unsigned i = 0; i < 3; i++)
        fair_add(&fair, &few[i], 8);
    fair_add(&fair, &other, 9);
    is_int(fair.waiting, CROWD + 4, "all wait");
    is_int(fair.sharers, 3, "three clients");
    ok(take() == &crowd[0] && take() == &few[0] && take() == &other,
       "each has its turn before anybody has a second one");
    is_int(fair.sharers, 2, "who has nothing left has no turn");
    ok(take() == &crowd[1] && take() == &few[1], "in the order of coming");
    fair_remove(&fair, &few[2]);
    is_int(fair.sharers, 1, "who leaves has none either");
    fair_add(&fair, &few[0], 8);
    ok(take() == &crowd[2] && take() == &few[0], "who comes again is the next but one");
    fair_remove(&fair, &crowd[500]);
    bool right = true;
    for (unsigned i = 3; i < CROWD; i++)
        right = right && (i == 500 || take() == &crowd[i]);
    ok(right && take() == NULL, "and the rest in order");
    is_int(fair.waiting + fair.sharers, 0, "nothing is left");

    fair_add(&fair, &few[0], 8);
    fair_add(&fair, &few[1], 8 + FAIR_SHARES);
    is_int(fair.sharers, 1, "clients may share a turn");
    ok(take() == &few[0] && take() == &few[1], "and are served");

    for (unsigned i = 0; i < 3; i++)
        fair_add(&fair, &few[i], i);
    fair_add(&fair, &other, 1);
    struct fair_node *second = fair_next(&fair, fair_first(&fair));
    ok(second == &few[1] && fair_next(&fair, second) == &few[2] && fair_next(&fair, &few[2]) == NULL,
       "the first of each share can be looked at in turn");
    fair_serve(&fair, second);
    ok(take() == &few[0] && take() == &few[2] && take() == &other && take() == NULL,
       "who is served while another passes is the last next time, and the other still the first");
    return done_testing();
}
