/* SPDX-License-Identifier: Apache-2.0 */
/* ghost.c: a table of small sets; in a full set the oldest makes way. */
#include "store/ghost.h"

#include "base/mem.h"

#define WAYS 8

struct ghost {
    uint32_t name;
    uint32_t born; /* the clock then; 0: none */
};

struct ghosts {
    struct ghost (*sets)[WAYS];
    uint32_t set_count;
    uint32_t clock; /* ghosts made so far */
};

struct ghosts *ghosts_new(uint32_t count)
{
    struct ghosts *ghosts = mem_calloc(1, sizeof *ghosts);
    ghosts->set_count = count / WAYS + 1;
    ghosts->sets = mem_table(ghosts->set_count, sizeof *ghosts->sets);
    return ghosts;
}

void ghosts_free(struct ghosts *ghosts)
{
    mem_free(ghosts->sets);
    mem_free(ghosts);
}

static struct ghost *set_of(struct ghosts *ghosts, uint32_t name)
{
    return ghosts->sets[(uint64_t) name * ghosts->set_count >> 32];
}

void ghosts_add(struct ghosts *ghosts, uint32_t name)
{
    struct ghost *set = set_of(ghosts, name), *oldest = set;
    ghosts->clock += ghosts->clock == UINT32_MAX ? 2 : 1;
    for (unsigned i = 0; i < WAYS; i++) {
        if (set[i].born == 0 || set[i].name == name) {
            oldest = &set[i];
            break;
        }
        if (ghosts->clock - set[i].born > ghosts->clock - oldest->born)
            oldest = &set[i];
    }
    *oldest = (struct ghost){name, ghosts->clock};
}

bool ghosts_take(struct ghosts *ghosts, uint32_t name, uint32_t span)
{
    struct ghost *set = set_of(ghosts, name);
    for (unsigned i = 0; i < WAYS; i++)
        if (set[i].born != 0 && set[i].name == name) {
            bool recent = ghosts->clock - set[i].born <= span;
            set[i].born = 0;
            return recent;
        }
    return false;
}
