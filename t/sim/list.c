/* SPDX-License-Identifier: Apache-2.0 */
/* list.c: lists of objects, threaded through arrays. */
#include "base/mem.h"
#include "sim.h"

void links_init(struct links *links, uint32_t objects)
{
    links->next = mem_alloc(objects * sizeof *links->next);
    links->prev = mem_alloc(objects * sizeof *links->prev);
}

void links_fini(struct links *links)
{
    mem_free(links->next);
    mem_free(links->prev);
}

void chain_init(struct chain *chain)
{
    *chain = (struct chain){SIM_NONE, SIM_NONE, 0};
}

void chain_push(struct links *links, struct chain *chain, uint32_t object)
{
    links->next[object] = SIM_NONE;
    links->prev[object] = chain->newest;
    if (chain->newest == SIM_NONE)
        chain->oldest = object;
    else
        links->next[chain->newest] = object;
    chain->newest = object;
    chain->count++;
}

void chain_unlink(struct links *links, struct chain *chain, uint32_t object)
{
    uint32_t next = links->next[object], prev = links->prev[object];
    if (prev == SIM_NONE)
        chain->oldest = next;
    else
        links->next[prev] = next;
    if (next == SIM_NONE)
        chain->newest = prev;
    else
        links->prev[next] = prev;
    chain->count--;
}

uint32_t chain_pop(struct links *links, struct chain *chain)
{
    uint32_t object = chain->oldest;
    chain_unlink(links, chain, object);
    return object;
}
