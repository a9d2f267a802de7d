/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leaves.h: what the directory holds of some generations, found in whichever way is shorter: by a look-up for each
 * extent that their blobs have, or by a look at every leaf. A blob may be of any length, 8 TiB of nothing among them,
 * and become another as often as a client likes, so who goes by lengths alone is kept busy for hours.
 */
#ifndef HEADPOND_STORE_LEAVES_H
#define HEADPOND_STORE_LEAVES_H

#include <stddef.h>
#include <stdint.h>

struct leaf;
struct store;

struct leaves_of {
    uint64_t generation;
    uint64_t length; /* of the blob, bytes */
};

/* Every leaf of these generations, which it sorts. `each` may change the leaf and take it out. Online RCU thread. */
void leaves_each(struct store *store, struct leaves_of *of, size_t count,
                 void (*each)(struct store *store, struct leaf *leaf));

#endif
