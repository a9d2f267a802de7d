/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spread.h: over how many of the first in its order the reads of a hot extent go, and which of them one takes.
 *
 * How many, its width: an extent that alone would load its home with a node's fair share of all reads goes to SPREAD_MOST
 * of them, one of half a fair share to half as many, so that none has more than 1/SPREAD_MOST of a fair share for it. One
 * of more than a fair share is everybody's: whoever is asked for it keeps it. Both sides can tell:
 *
 *   who asks   counts all it reads, of whatever extent. All members together would have a read of `members`: so an
 *              extent whose part of the reads is p loads its home with p * members fair shares. Needs nobody's word, and
 *              many reads: of what thousands of homes are asked it sees a small part.
 *   a home     counts the reads that arrive. All of them together are about one fair share. Each says over how many
 *              nodes its kind is spread (its width, 1 at first), and stands for so many. What a home finds it tells
 *              the askers, who go by it the next time. It finds out as many times sooner as there are members, and
 *              where each asker reads an extent once, as sidecars do, no other can.
 *
 * And a home that has a crowd, many reads of one extent at a time, can tell at once (spread_crowd), before anything has
 * been counted: when a job starts.
 *
 * Counts are a count-min sketch with conservative update (Cormode and Muthukrishnan 2005, Estan and Varghese 2002) that
 * is halved whenever so many reads have been counted: 2 bytes for each of these, whatever is read. It errs upwards, by a
 * width of one or two in a pool of thousands. A loop's own.
 */
#ifndef HEADPOND_POOL_SPREAD_H
#define HEADPOND_POOL_SPREAD_H

#include <stdint.h>

/* All that an order has. A width beyond it: everybody's. */
#define SPREAD_MOST 32
/* Reads of an extent that are too few to go by. */
#define SPREAD_LEAST 8
/* Reads of one extent at a time that are no crowd, of each node. */
#define SPREAD_CALM 8

struct spread;

/* How many reads are counted: an asker's (512 KiB) and a home's (32 KiB). */
#define SPREAD_ASKER (1 << 18)
#define SPREAD_HOME (1 << 14)

/* `window`: a power of two, 64 or more. `seed`: hash_hidden(0), so that nobody can choose names that are counted as one;
 * a number, where runs are to be alike. */
struct spread *spread_new(unsigned window, uint64_t seed);
/* Empties the pointer; *spread may be NULL. */
void spread_free(struct spread **spread);

/* Counts a read of that key (ring_key), and gives its width, 1 or more. The asker's, one of `members` of its region that
 * are asked alike: all reads count, also those of what it has itself. The home's, and that of any other of the first in
 * order: of what it is asked by others, which have spread it over `width`; for what is everybody's that is all members. */
unsigned spread_asked(struct spread *spread, uint64_t key, unsigned members);
unsigned spread_arrived(struct spread *spread, uint64_t key, unsigned width);

/* The width, 1 to SPREAD_MOST, that an extent with so many reads under way at each of `width` nodes should have. */
unsigned spread_crowd(unsigned under_way, unsigned width);

/* Which of the first `count` (1 or more) to ask: of two of them, drawn by chance, the one that has fewer calls of ours
 * outstanding (Mitzenmacher 2001); the one that was drawn first if they are alike. `random`: 64 random bits. */
unsigned spread_choose(const uint32_t *outstanding, unsigned count, uint64_t random);

#endif
