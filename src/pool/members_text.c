/* SPDX-License-Identifier: Apache-2.0 */
/*
 * members_text.c: a view's document, made once however many ask for it: by a hundred thousand sidecars that start
 * together nothing is worked out. Where two loops are the first, both make it, and one is kept.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/hash.h"
#include "base/mem.h"
#include "pool/members.h"
#include "pool/ring_text.h"

static void describe(struct member *member, struct member_told *told)
{
    told->name = str_from(member->name);
    told->address_count = member_addresses(member, told->addresses);
}

/* As the ring has it: its order, and the weights that count there. */
static void describe_region(const struct members_view *view, const struct ring_region *region,
                            struct member_told *members, struct members_told *told)
{
    *told = (struct members_told){region->name, members, region->count};
    for (unsigned i = 0; i < region->count; i++) {
        describe(members_at(view, &region->nodes[i]), &members[i]);
        members[i].weight = region->nodes[i].weight;
    }
}

static struct members_text *make(const struct members_view *view, const char *pool)
{
    const struct ring_region *regions;
    struct members_text *made = mem_calloc(1, sizeof *made);
    struct strbuf text = {0};
    struct ring_text said = {.pool = str_from(pool), .digest = ring_digest(view->ring)};
    said.count = ring_regions(view->ring, &regions);
    said.regions = mem_calloc(said.count + 1, sizeof said.regions[0]);
    struct member_told *members = mem_calloc(view->count + 1, sizeof *members), *next = members;
    for (unsigned i = 0; i < said.count; i++) {
        describe_region(view, &regions[i], next, &said.regions[i]);
        next += regions[i].count;
    }
    if (ring_text_write(&said, &text) == STATUS_OK) {
        struct hash128 hash = hash128(text.ptr, text.len);
        snprintf(made->etag, sizeof made->etag, "\"%016" PRIx64 "%016" PRIx64 "\"", hash.hi, hash.lo);
        made->text = (struct str){mem_strndup(text.ptr, text.len), text.len};
    }
    mem_free(members);
    mem_free(said.regions);
    strbuf_free(&text);
    return made;
}

const struct members_text *members_text(const struct members_view *view, const char *pool)
{
    _Atomic(struct members_text *) *place = &((struct members_view *) (uintptr_t) view)->text;
    struct members_text *text = atomic_load_explicit(place, memory_order_acquire);
    if (text != NULL)
        return text;
    struct members_text *made = make(view, pool);
    if (atomic_compare_exchange_strong(place, &text, made))
        return made;
    members_text_free(made);
    return text;
}

void members_text_free(struct members_text *text)
{
    if (text == NULL)
        return;
    mem_free((char *) (uintptr_t) text->text.ptr);
    mem_free(text);
}
