/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ghost.h: the names of blocks that have gone, for a while: one that is asked for again soon after was evicted too
 * early. 8 bytes a ghost. Names are 32 bits, so of 10^6 ghosts one stranger in 4000 meets its like.
 *
 * The owner's lock.
 */
#ifndef HEADPOND_STORE_GHOST_H
#define HEADPOND_STORE_GHOST_H

#include <stdbool.h>
#include <stdint.h>

struct ghosts;

/* Remembers about that many, the youngest. */
struct ghosts *ghosts_new(uint32_t count);
void ghosts_free(struct ghosts *ghosts);
void ghosts_add(struct ghosts *ghosts, uint32_t name);
/* Whether it went not more than `span` others ago; it is forgotten. */
bool ghosts_take(struct ghosts *ghosts, uint32_t name, uint32_t span);

#endif
