/* SPDX-License-Identifier: Apache-2.0 */
/*
 * entry.h: the member through which a sidecar reads what is short. A hundred thousand sidecars that read a few blocks
 * here and there would each have a connection to each home, and to none much to say: so one member is a sidecar's
 * entry, which has connections to all homes anyway and keeps what is asked for often. What is long is worth a
 * connection of its own: it comes straight from its home.
 *
 * Which one that is follows from the ring and the sidecar's name by the rule of ring.h: whoever has as many sidecars as
 * its weight says, and a member that comes or goes moves no more than its share of them. One that is down is passed
 * over, and has its sidecars back when it answers again.
 *
 * A member sends a sidecar's request on to the home as if it were its own client's: nobody ever waits for a sidecar, so
 * that nobody waits in a circle. It does so by the sidecar's certificate, and with the credential that the sidecar has
 * brought.
 */
#ifndef HEADPOND_POOL_ENTRY_H
#define HEADPOND_POOL_ENTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "pool/identity.h"
#include "pool/members.h"

/* Of an extent, so many blocks that are wanted at once are long. */
#define ENTRY_LONG_BLOCKS 4

/* Whether a run of so many blocks, 0 for a record or a question, is read through the entry. */
static inline bool entry_suits(unsigned blocks)
{
    return blocks < ENTRY_LONG_BLOCKS;
}

/* A sidecar's place among the others. */
uint64_t entry_key(const struct identity *own);
/* The first in its order, of that region's members, that is up, or has been down for so long that it is to be tried;
 * `asks`: by the caller, now. NULL: there is none; then the home is asked, as for what is long. Costs one hash a
 * member. Registered threads; as good as the view. */
struct member *entry_of(const struct members_view *view, const struct identity *own, uint64_t key, bool asks,
                        int64_t now_ms);

#endif
