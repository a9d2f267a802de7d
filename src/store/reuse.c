/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reuse.c: a log of last reads, oldest first, with holes where something was read again later; a tree of the weights in
 * it; and a table from names to places in the log (open addressing). A full log is rewritten without its holes, which
 * are at least half of it.
 */
#include "store/reuse.h"

#include <string.h>

#include "base/mem.h"

struct entry {
    uint32_t tag;
    uint16_t weight; /* 0: a hole */
    uint8_t label;
};

struct reuse {
    uint32_t most;  /* things remembered at most */
    uint32_t count; /* now */
    uint32_t size;  /* of the log */
    uint32_t first; /* nothing before it but holes */
    uint32_t end;
    uint32_t total; /* weight */
    struct entry *log;
    uint32_t *tree;  /* from 1: the weights of the places that its lowest bit spans */
    uint32_t *table; /* places in the log, from 1; 0: none */
    uint32_t mask;
};

struct reuse *reuse_new(uint32_t things)
{
    struct reuse *reuse = mem_calloc(1, sizeof *reuse);
    uint32_t size = 1;
    reuse->most = things;
    reuse->size = things * 2;
    reuse->log = mem_calloc(reuse->size, sizeof *reuse->log);
    reuse->tree = mem_calloc(reuse->size + 1, sizeof *reuse->tree);
    while (size < things + things / 2)
        size *= 2;
    reuse->mask = size - 1;
    reuse->table = mem_calloc(size, sizeof *reuse->table);
    return reuse;
}

void reuse_free(struct reuse *reuse)
{
    mem_free(reuse->log);
    mem_free(reuse->tree);
    mem_free(reuse->table);
    mem_free(reuse);
}

/* ---- The tree. ---- */

/* Modulo 2^32, so that a weight may be negative. */
static void tree_add(struct reuse *reuse, uint32_t place, uint32_t weight)
{
    for (uint32_t i = place + 1; i <= reuse->size; i += i & -i)
        reuse->tree[i] += weight;
    reuse->total += weight;
}

/* Of the places up to this one. */
static uint32_t tree_sum(const struct reuse *reuse, uint32_t place)
{
    uint32_t sum = 0;
    for (uint32_t i = place + 1; i > 0; i -= i & -i)
        sum += reuse->tree[i];
    return sum;
}

/* ---- The table. ---- */

/* Where the search for the tag begins. Names that were sampled have some bits in common. */
static uint32_t home_of(const struct reuse *reuse, uint32_t tag)
{
    return (tag * UINT32_C(0x9e3779b1) >> 7) & reuse->mask;
}

/* The cell of that name, or the free one where it belongs. */
static uint32_t *cell_of(const struct reuse *reuse, uint32_t tag)
{
    uint32_t at = home_of(reuse, tag);
    while (reuse->table[at] != 0 && reuse->log[reuse->table[at] - 1].tag != tag)
        at = (at + 1) & reuse->mask;
    return &reuse->table[at];
}

/* What comes after it moves up, so that every search still ends at its name. */
static void cell_clear(struct reuse *reuse, uint32_t *cell)
{
    uint32_t hole = (uint32_t) (cell - reuse->table);
    for (uint32_t at = (hole + 1) & reuse->mask; reuse->table[at] != 0; at = (at + 1) & reuse->mask) {
        uint32_t home = home_of(reuse, reuse->log[reuse->table[at] - 1].tag);
        if (((at - home) & reuse->mask) < ((at - hole) & reuse->mask))
            continue;
        reuse->table[hole] = reuse->table[at];
        hole = at;
    }
    reuse->table[hole] = 0;
}

/* ---- The log. ---- */

static void entry_drop(struct reuse *reuse, uint32_t place)
{
    tree_add(reuse, place, -(uint32_t) reuse->log[place].weight);
    reuse->log[place].weight = 0;
    reuse->count--;
}

static void forget_oldest(struct reuse *reuse)
{
    while (reuse->log[reuse->first].weight == 0)
        reuse->first++;
    cell_clear(reuse, cell_of(reuse, reuse->log[reuse->first].tag));
    entry_drop(reuse, reuse->first);
}

static void rewrite(struct reuse *reuse)
{
    uint32_t to = 0;
    for (uint32_t from = reuse->first; from < reuse->end; from++) {
        if (reuse->log[from].weight == 0)
            continue;
        uint32_t *cell = cell_of(reuse, reuse->log[from].tag);
        reuse->log[to] = reuse->log[from];
        *cell = ++to;
    }
    reuse->first = 0;
    reuse->end = to;
    memset(&reuse->log[to], 0, (reuse->size - to) * sizeof *reuse->log);
    memset(reuse->tree, 0, (reuse->size + 1) * sizeof *reuse->tree);
    for (uint32_t i = 1; i <= reuse->size; i++) {
        uint32_t above = i + (i & -i);
        reuse->tree[i] += reuse->log[i - 1].weight;
        if (above <= reuse->size)
            reuse->tree[above] += reuse->tree[i];
    }
}

bool reuse_note(struct reuse *reuse, const struct reuse_read *read, bool known_only, uint64_t *distance, uint8_t *label)
{
    uint32_t tag = (uint32_t) (read->name ^ read->name >> 32);
    if (reuse->end == reuse->size)
        rewrite(reuse);
    uint32_t *cell = cell_of(reuse, tag);
    bool known = *cell != 0;
    struct entry entry = {tag, read->weight, read->label};
    if (!known && known_only)
        return false;
    if (known) {
        uint32_t place = *cell - 1;
        *distance = reuse->total - tree_sum(reuse, place);
        *label = reuse->log[place].label;
        if (known_only)
            entry = reuse->log[place];
        entry_drop(reuse, place);
    } else if (reuse->count == reuse->most) {
        forget_oldest(reuse);
        cell = cell_of(reuse, tag);
    }
    reuse->log[reuse->end] = entry;
    tree_add(reuse, reuse->end, entry.weight);
    *cell = ++reuse->end;
    reuse->count++;
    return known;
}
