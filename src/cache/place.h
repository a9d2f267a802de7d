/* SPDX-License-Identifier: Apache-2.0 */
/*
 * place.h: how many fills may be under way at once (I8). A fill holds at least a block's buffer and its connection's
 * windows, so their number follows from `memory`: half of it is theirs. Who finds no place waits in the order of coming
 * on its owner's loop, without a request to the origin; who has waited for too long ends with NO_MEMORY.
 *
 * Places are one number for all loops; the queues are each loop's own. While somebody waits, readers read nothing ahead
 * and a fill whose readers do not move gives its place up (fill.c). Owner's loop unless said.
 */
#ifndef HEADPOND_CACHE_PLACE_H
#define HEADPOND_CACHE_PLACE_H

#include <stdbool.h>

struct cache;
struct cache_loop;
struct fill;

void places_loop_init(struct cache_loop *home);
/* All fills have ended. */
void places_loop_fini(struct cache_loop *home);

/* Starts the fill's request, now or when there is a place. */
void place_ask(struct fill *fill);
/* The fill has ended: its place, or its turn, is another's. */
void place_leave(struct fill *fill);

/* Somebody waits. Any thread. */
bool places_contended(const struct cache *cache);

#endif
