/* SPDX-License-Identifier: Apache-2.0 */
/*
 * turn.h: how many requests may pass through at once (I8, origin/admission.h). Each holds buffers of libcurl's and of
 * the protocol's for as long as its client and its origin like, so their sum is bounded: a quarter of `memory`. Who
 * finds no room waits, before anything is sent or fenced.
 *
 * Reads and large bodies may not take all of it: some is left for what is soon over, so that a crowd of slow readers
 * does not keep everybody from writing. Own loop.
 */
#ifndef HEADPOND_PROXY_TURN_H
#define HEADPOND_PROXY_TURN_H

#include <stdbool.h>

#include "cache/cache.h"
#include "http/exchange.h"
#include "origin/admission.h"

struct proxy;
struct proxy_loop;

/* Before the loops start; what the origins are allowed is known. */
void turns_init(struct proxy *proxy);
/* True: it is this request's turn now. False: `come` will be called once, from the loop: OK, NO_MEMORY or OVER_BUDGET.
 * `turn` is zero; admission_leave and admission_move are for what becomes of it. */
bool turn_ask(struct admission *turn, struct proxy_loop *home, const struct http_exchange *x,
              const struct cache_request *request, void (*come)(void *arg, enum status why), void *arg);

#endif
