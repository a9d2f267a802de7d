/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hedges.h: a loop's own account of how long members take to answer, and of what it may send a second time because one
 * takes longer (hedge.h has the rules). Times are kept of as many members as fit; whoever is met anew begins anew.
 *
 * Owning loop.
 */
#ifndef HEADPOND_POOL_HEDGES_H
#define HEADPOND_POOL_HEDGES_H

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct member;

void hedges_loop_init(struct loop *loop);
void hedges_loop_fini(struct loop *loop);

/* A call to a member is made that asks for so many bytes: how long after it, in ms, it is to be hedged. */
int64_t hedges_call(struct loop *loop, const struct member *member, int64_t bytes);
/* It had what it was asked for, and took so long to say so. */
void hedges_learn(struct loop *loop, const struct member *member, int64_t first_byte_us);
/* True: a hedge for so many bytes may be sent, and has been paid for. */
bool hedges_spend(struct loop *loop, int64_t bytes);

#endif
