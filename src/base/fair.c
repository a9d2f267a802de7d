/* SPDX-License-Identifier: Apache-2.0 */
/* fair.c: see fair.h. */
#include "base/fair.h"

#include <stddef.h>

#include "base/hash.h"

void fair_init(struct fair *fair)
{
    list_init(&fair->turns);
    fair->sharers = fair->waiting = 0;
    for (unsigned i = 0; i < FAIR_SHARES; i++) {
        list_init(&fair->shares[i].turn);
        list_init(&fair->shares[i].nodes);
    }
}

void fair_add(struct fair *fair, struct fair_node *node, uint64_t client)
{
    node->share = (uint32_t) (hash_hidden(client) % FAIR_SHARES);
    struct fair_share *share = &fair->shares[node->share];
    if (list_empty(&share->nodes)) {
        list_add_tail(&fair->turns, &share->turn);
        fair->sharers++;
    }
    list_add_tail(&share->nodes, &node->link);
    fair->waiting++;
}

void fair_remove(struct fair *fair, struct fair_node *node)
{
    struct fair_share *share = &fair->shares[node->share];
    list_remove(&node->link);
    fair->waiting--;
    if (!list_empty(&share->nodes))
        return;
    list_remove(&share->turn);
    fair->sharers--;
}

static struct fair_node *first_of(struct fair *fair, struct list *turn)
{
    if (turn == &fair->turns)
        return NULL;
    struct fair_share *share = LIST_ENTRY(turn, struct fair_share, turn);
    return LIST_ENTRY(share->nodes.next, struct fair_node, link);
}

struct fair_node *fair_first(struct fair *fair)
{
    return first_of(fair, fair->turns.next);
}

struct fair_node *fair_next(struct fair *fair, const struct fair_node *node)
{
    return first_of(fair, fair->shares[node->share].turn.next);
}

void fair_serve(struct fair *fair, struct fair_node *node)
{
    struct fair_share *share = &fair->shares[node->share];
    /* To the end of the turns first: removing the last node takes it off from there. */
    list_remove(&share->turn);
    list_add_tail(&fair->turns, &share->turn);
    fair_remove(fair, node);
}
