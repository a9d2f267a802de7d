/* SPDX-License-Identifier: Apache-2.0 */
/* names.h: a growing array, for the lists of what the index has yet to learn. Zero-initialised is empty. */
#ifndef HEADPOND_STORE_NAMES_H
#define HEADPOND_STORE_NAMES_H

#include <stddef.h>

#include "base/mem.h"

struct names {
    void *items;
    size_t count, room;
};

/* Room for one more of that size, which is the same in each call. */
static inline void *names_add(struct names *names, size_t size)
{
    if (names->count == names->room) {
        names->room = names->room == 0 ? 64 : names->room * 2;
        names->items = mem_realloc(names->items, names->room * size);
    }
    return (char *) names->items + names->count++ * size;
}

static inline void names_free(struct names *names)
{
    mem_free(names->items);
    *names = (struct names){0};
}

#endif
