/* SPDX-License-Identifier: Apache-2.0 */
/*
 * turn.h: how many requests may pass through at once (I8). Each holds buffers of libcurl's and of the protocol's for as
 * long as its client and its origin like, so their sum is bounded: a quarter of `memory`. Who finds no room waits in
 * the order of coming, on its own loop, before anything is sent or fenced; who has waited for too long is told to come
 * again.
 *
 * Reads and large bodies may not take all of it: some is left for what is soon over, so that a crowd of slow readers
 * does not keep everybody from writing. Own loop; the sum is all loops'.
 */
#ifndef HEADPOND_PROXY_TURN_H
#define HEADPOND_PROXY_TURN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/status.h"
#include "http/exchange.h"

struct proxy_loop;

/* Embedded in whoever has, or waits for, a turn. */
struct turn {
    struct proxy_loop *home; /* NULL: neither */
    struct list link;        /* while it waits */
    size_t bytes;            /* what is set aside */
    bool brief;              /* soon over */
    int64_t since_ms;
    void (*come)(void *arg, enum status why);
    void *arg;
};

void turns_loop_init(struct proxy_loop *home);
/* Nobody waits any more. */
void turns_loop_fini(struct proxy_loop *home);

/* True: it is this request's turn now. False: `come` will be called once, from the loop: OK, or NO_MEMORY after too
 * long. `turn` is zero. */
bool turn_ask(struct turn *turn, struct proxy_loop *home, const struct http_exchange *x,
              void (*come)(void *arg, enum status why), void *arg);
/* Gives up a turn, or the waiting for it. A zero turn has nothing to give up. */
void turn_leave(struct turn *turn);
/* Hands a turn that has come to another owner. */
void turn_move(struct turn *to, struct turn *from);

#endif
