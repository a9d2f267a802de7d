/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.h: what the disks held brought into memory after a start (recover.h), all disks side by side, a step of each
 * between two rounds, so that tombstones go on meanwhile. A disk that does not answer holds up the end, and nothing
 * else.
 *
 * Index thread only.
 */
#ifndef HEADPOND_STORE_LOAD_H
#define HEADPOND_STORE_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"

struct load;
struct store;

/* The disks' scribes have been started. */
struct load *load_new(struct store *store);
void load_free(struct load *load);
/* Objects of the group with a sequence up to this one are not to be believed, wherever they are still found. */
void load_group(struct load *load, struct hash128 group, uint64_t sequence);
/* One step on every disk that is not read yet and answers; true: all have been read. */
bool load_step(struct load *load);
/* Whether no disk that is to be read answered the last step. */
bool load_stuck(const struct load *load);
/* The process ends before everything was read. */
void load_give_up(struct load *load);

#endif
