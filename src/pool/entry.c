/* SPDX-License-Identifier: Apache-2.0 */
/* entry.c: see entry.h. */
#include "pool/entry.h"

#include "base/hash.h"

uint64_t entry_key(const struct identity *own)
{
    const struct str parts[] = {STR("entry"), str_from(own->region), str_from(own->node)};
    return hash_name(parts, sizeof parts / sizeof parts[0]).lo;
}

struct member *entry_of(const struct members_view *view, const struct identity *own, uint64_t key, bool asks,
                        int64_t now_ms)
{
    const struct members_look order = {
        .view = view,
        .region = ring_region(view->ring, str_from(own->region)),
        .key = key,
        .past_own = true,
        .asks = asks,
        .now_ms = now_ms,
    };
    return members_first(&order);
}
