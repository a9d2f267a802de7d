/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reuse.h: how much else was read between two reads of the same thing: reuse distances, as an LRU of unlimited size
 * would see them.
 *
 * Things are remembered in the order of their last read, and a Fenwick tree over that order says how much lies behind
 * any of them; so a read costs the logarithm of what is remembered. Fed with a sample of all names (those whose hash
 * falls into a part of the whole), distances come out in that part: the spatial sampling of SHARDS (Waldspurger et al.,
 * FAST'15). What was not read for longest is forgotten when there are too many. 32 bits of a name are kept. About
 * 32 bytes a thing. All weights together must fit 32 bits.
 *
 * The owner's lock.
 */
#ifndef HEADPOND_STORE_REUSE_H
#define HEADPOND_STORE_REUSE_H

#include <stdbool.h>
#include <stdint.h>

struct reuse;

/* Remembers that many things. */
struct reuse *reuse_new(uint32_t things);
void reuse_free(struct reuse *reuse);

struct reuse_read {
    uint64_t name;   /* well mixed */
    uint16_t weight; /* not 0 */
    uint8_t label;   /* kept with it, the caller's; not looked at with `known_only` */
};
/* A thing was read. true: it was remembered; *distance is the weight of what was read since, without itself, and *label
 * what was kept with it. With `known_only` nothing new is remembered. */
bool reuse_note(struct reuse *reuse, const struct reuse_read *read, bool known_only, uint64_t *distance,
                uint8_t *label);

#endif
