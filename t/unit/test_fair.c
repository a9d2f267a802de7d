/* SPDX-License-Identifier: Apache-2.0 */
/* test_fair.c: clients take turns, whatever the length of their queues. */
#include "base/fair.h"

#include "accounts_apart.h"
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
    uint64_t clients[3];

    /* FAIR_SHARES are as many as a share of `memory` has slots, and clients are spread alike. */
    accounts_apart(clients, 3);

    fair_init(&fair);
    ok(take() == NULL, "nobody waits");
    for (unsigned i = 0; i < CROWD; i++)
        fair_add(&fair, &crowd[i], clients[0]);
    for (unsigned i = 0; i < 3; i++)
        fair_add(&fair, &few[i], clients[1]);
    fair_add(&fair, &other, clients[2]);
    is_int(fair.waiting, CROWD + 4, "all wait");
    is_int(fair.sharers, 3, "three clients");
    ok(take() == &crowd[0] && take() == &few[0] && take() == &other,
       "each has its turn before anybody has a second one");
    is_int(fair.sharers, 2, "who has nothing left has no turn");
    ok(take() == &crowd[1] && take() == &few[1], "in the order of coming");
    fair_remove(&fair, &few[2]);
    is_int(fair.sharers, 1, "who leaves has none either");
    fair_add(&fair, &few[0], clients[1]);
    ok(take() == &crowd[2] && take() == &few[0], "who comes again is the next but one");
    fair_remove(&fair, &crowd[500]);
    bool right = true;
    for (unsigned i = 3; i < CROWD; i++)
        right = right && (i == 500 || take() == &crowd[i]);
    ok(right && take() == NULL, "and the rest in order");
    is_int(fair.waiting + fair.sharers, 0, "nothing is left");

    for (unsigned i = 0; i < CROWD; i++)
        fair_add(&fair, &crowd[i], i);
    unsigned served = 0;
    while (take() != NULL)
        served++;
    is_int(served, CROWD, "clients that share a turn are served");
    for (unsigned i = 0; i < FAIR_SHARES; i++)
        fair_add(&fair, &crowd[i], (uint64_t) i * FAIR_SHARES);
    ok(fair.sharers > FAIR_SHARES / 4, "but cannot choose to: those alike in a remainder have turns of their own (%u)",
       fair.sharers);
    while (take() != NULL)
        ;

    for (unsigned i = 0; i < 3; i++)
        fair_add(&fair, &few[i], clients[i]);
    fair_add(&fair, &other, clients[1]);
    struct fair_node *second = fair_next(&fair, fair_first(&fair));
    ok(second == &few[1] && fair_next(&fair, second) == &few[2] && fair_next(&fair, &few[2]) == NULL,
       "the first of each share can be looked at in turn");
    fair_serve(&fair, second);
    ok(take() == &few[0] && take() == &few[2] && take() == &other && take() == NULL,
       "who is served while another passes is the last next time, and the other still the first");
    return done_testing();
}
