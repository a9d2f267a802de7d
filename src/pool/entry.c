/* SPDX-License-Identifier: Apache-2.0 */
/* entry.c: see entry.h. */
#include "pool/entry.h"

#include "base/hash.h"

/* Of the order, how many are looked at for one that is up. */
#define LOOKS 8

uint64_t entry_key(const struct identity *own)
{
    const struct str parts[] = {STR("entry"), str_from(own->region), str_from(own->node)};
    return hash_name(parts, sizeof parts / sizeof parts[0]).lo;
}

static bool answers(struct member *member, bool asks, int64_t now_ms)
{
    return reach_up(&member->reach) || (asks ? reach_probe_due(&member->reach, now_ms, (uint32_t) now_ms)
                                             : reach_probe_waits(&member->reach, now_ms));
}

struct member *entry_of(const struct members_view *view, const struct identity *own, uint64_t key, bool asks,
                        int64_t now_ms)
{
    const struct ring_region *region = ring_region(view->ring, str_from(own->region));
    unsigned nodes[LOOKS];
    unsigned count = region == NULL ? 0 : ring_order(region, key, nodes, LOOKS);
    for (unsigned i = 0; i < count; i++) {
        struct member *member = members_at(view, &region->nodes[nodes[i]]);
        if (!member->own && answers(member, asks, now_ms))
            return member;
    }
    return NULL;
}
