/* SPDX-License-Identifier: Apache-2.0 */
/* spread.c: see spread.h. Pure but for its table. */
#include "pool/spread.h"

#include "base/hash.h"
#include "base/mem.h"

#define ROWS 4
/* A peer says how wide it asks: no more than this is believed. */
#define MEMBERS_MOST 8192
/* Reads for each cell of a row. */
#define READS 8

struct spread {
    uint64_t seed;
    unsigned window;
    unsigned total;   /* reads */
    unsigned columns; /* cells of a row */
    uint32_t cells[];
};

struct spread *spread_new(unsigned window, uint64_t seed)
{
    unsigned columns = window / READS;
    struct spread *spread = mem_calloc(1, sizeof *spread + (size_t) ROWS * columns * sizeof spread->cells[0]);
    spread->seed = seed;
    spread->window = window;
    spread->columns = columns;
    return spread;
}

void spread_free(struct spread **spread)
{
    mem_free(*spread);
    *spread = NULL;
}

static void halve(struct spread *spread)
{
    for (unsigned i = 0; i < ROWS * spread->columns; i++)
        spread->cells[i] /= 2;
    spread->total /= 2;
}

/* The cell of a key in a row. Columns are a power of two, of 16 bits at the most. */
static uint32_t *cell_of(struct spread *spread, uint64_t hash, unsigned row)
{
    return &spread->cells[row * spread->columns + ((hash >> (row * 16)) & (spread->columns - 1))];
}

/* Adds a read that stands for so many; how many that makes. Only the least cells grow: what others have added to the
 * rest does not add up. */
static uint32_t add(struct spread *spread, uint64_t key, unsigned reads)
{
    if (++spread->total >= spread->window)
        halve(spread);
    uint64_t hash = hash_mix(key, spread->seed);
    uint32_t sum = UINT32_MAX / 2; /* and no more: it is wide enough */
    for (unsigned row = 0; row < ROWS; row++) {
        uint32_t cell = *cell_of(spread, hash, row);
        if (cell + reads < sum)
            sum = cell + reads;
    }
    for (unsigned row = 0; row < ROWS; row++) {
        uint32_t *cell = cell_of(spread, hash, row);
        if (*cell < sum)
            *cell = sum;
    }
    return sum;
}

static unsigned width_of(const struct spread *spread, uint32_t reads, unsigned shares)
{
    if (reads < SPREAD_LEAST)
        return 1;
    uint64_t width = ((uint64_t) reads * shares * SPREAD_MOST + spread->total - 1) / spread->total;
    return width < UINT32_MAX ? (unsigned) width : UINT32_MAX;
}

unsigned spread_asked(struct spread *spread, uint64_t key, unsigned members)
{
    return width_of(spread, add(spread, key, 1), members);
}

unsigned spread_arrived(struct spread *spread, uint64_t key, unsigned width)
{
    return width_of(spread, add(spread, key, width < MEMBERS_MOST ? width : MEMBERS_MOST), 1);
}

unsigned spread_crowd(unsigned under_way, unsigned width)
{
    uint64_t wanted = ((uint64_t) under_way * width + SPREAD_CALM - 1) / SPREAD_CALM;
    return wanted < 1 ? 1 : wanted > SPREAD_MOST ? SPREAD_MOST : (unsigned) wanted;
}

unsigned spread_choose(const uint32_t *outstanding, unsigned count, uint64_t random)
{
    unsigned first = (unsigned) ((random >> 32) * count >> 32);
    if (count == 1)
        return first;
    unsigned second = (unsigned) ((random & UINT32_MAX) * (count - 1) >> 32);
    second += second >= first;
    return outstanding[second] < outstanding[first] ? second : first;
}
