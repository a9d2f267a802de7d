/* SPDX-License-Identifier: Apache-2.0 */
/*
 * place.h: how many fills may be under way at once (I8, origin/admission.h). A fill holds at least a block's buffer and
 * its connection's windows; half of `memory` is theirs, and it counts for so much that the blocks under way leave room
 * for others (place.c). Who finds no place waits on its owner's loop, without a request to the origin.
 *
 * Fills of a known generation are for readers who may read it; an opening is for whoever asks. Those go first, and
 * neither kind may take everything: guesses at names do not keep readers from their bytes, nor readers newcomers. Who
 * may not have been let in does not wait for an opening (probe.h).
 *
 * A fill may wait for another node's that goes by a nearer way (pool.h), and so do those by that way leave some: where
 * two nodes wait for each other with all they have, those that wait for neither go on.
 *
 * While somebody waits because none is free, or somebody of the same account waits, its readers read nothing ahead, and
 * a fill whose readers do not move gives its place up (fill_yield.c). Owner's loop unless said.
 */
#ifndef HEADPOND_CACHE_PLACE_H
#define HEADPOND_CACHE_PLACE_H

#include <stdbool.h>

#include "pool/pool.h"

struct admission;
struct budget_ticket;
struct cache;
struct cache_loop;
struct cache_request;
struct fill;
struct line_ticket;

/* Before the loops start. */
void places_init(struct cache *cache);

/* Starts the fill's request, now or when there is a place; admission_leave gives up that, or its turn. `asked`: had the
 * right to make it; or NULL. */
void place_ask(struct fill *fill, struct budget_ticket *asked);
/* A fill's place for the request that `asked` had the right to make, only if there is one now. The loop's own. */
bool place_now(struct cache_loop *home, const struct cache_request *request, enum pool_way way,
               struct budget_ticket *asked, struct admission *place);
/* A place for something that can be done without: what a fill holds but its connection. line_leave gives it up. The
 * loop's own. */
bool place_try(struct cache_loop *home, const struct cache_request *request, struct line_ticket *ticket);

#endif
