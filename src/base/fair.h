/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fair.h: those who wait for something that is handed out piece by piece, each client in its turn (stochastic fair
 * queueing, McKenney 1990: clients share FAIR_SHARES shares by a hash that none of them can foresee; who shares one
 * with a crowd waits longer, which costs no table of clients). One thread's at a time; nothing is allocated.
 */
#ifndef HEADPOND_BASE_FAIR_H
#define HEADPOND_BASE_FAIR_H

#include <stdint.h>

#include "base/list.h"

#define FAIR_SHARES 256

/* Embedded in whoever waits; on no list: it does not. */
struct fair_node {
    struct list link;
    uint32_t share;
};

struct fair {
    struct list turns; /* the shares in which somebody waits, the next one first */
    unsigned sharers;  /* how many these are */
    unsigned waiting;
    struct fair_share {
        struct list turn;
        struct list nodes; /* in the order of coming */
    } shares[FAIR_SHARES];
};

void fair_init(struct fair *fair);
/* `client`: a hash of who it is for. */
void fair_add(struct fair *fair, struct fair_node *node, uint64_t client);
/* Whose turn it is, and who would be the next if it let that pass: the first of each share, in turn. NULL: nobody. */
struct fair_node *fair_first(struct fair *fair);
struct fair_node *fair_next(struct fair *fair, const struct fair_node *node);
/* It has its turn and waits no more; its share comes last now. It is the first of its share. */
void fair_serve(struct fair *fair, struct fair_node *node);
/* Takes out a node that waits. */
void fair_remove(struct fair *fair, struct fair_node *node);

#endif
