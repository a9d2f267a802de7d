/* SPDX-License-Identifier: Apache-2.0 */
/*
 * generation.h: the inner side of store_generation: numbers, and what happens to the blocks of one nobody can reach.
 *
 * A number is an opening (24 bits) and a count within it (40 bits). The opening is made durable before the first number
 * is given, so no number comes again after a crash, and none is waited for.
 *
 * A generation that stops being its object's current one is doomed: readers that hold it read on, and when the last
 * lets go its blocks are worth nothing any more, so they are listed here for the index thread to drop.
 */
#ifndef HEADPOND_STORE_GENERATION_H
#define HEADPOND_STORE_GENERATION_H

#include <stdbool.h>
#include <stdint.h>

#include "store/store.h"

#define GENERATION_OPENING_SHIFT 40
#define GENERATION_OPENING_MAX ((UINT64_C(1) << (64 - GENERATION_OPENING_SHIFT)) - 1) /* the minutes to 2051 */

/* What the generations of one store have in common: how their records are decoded, and those nobody can reach any more.
 * Counted: a generation may outlive its store. Any thread. */
struct generations;
struct generations *generations_new(const struct store_record_codec *codec);
void generations_unref(struct generations **generations);

/* With an id that is known (from the index). */
struct store_generation *generation_make(struct generations *generations, uint64_t id, struct hash128 object,
                                         struct hash128 group, uint64_t length, struct str record, void *decoded);
/* The codec's decode; false when the record is unreadable. Without a codec every record is readable and *decoded NULL.
 */
bool generation_decode(const struct generations *generations, struct str record, uint64_t length, void **decoded);
/* Any thread, on a generation it holds. */
void generation_doom(struct store_generation *generation);

struct generation_dead {
    uint64_t id;
    struct hash128 object;
    uint64_t length;
};
/* The next doomed generation that nobody holds any more; false: none. Any thread. */
bool generation_take_dead(struct generations *generations, struct generation_dead *dead);

#endif
