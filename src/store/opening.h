/* SPDX-License-Identifier: Apache-2.0 */
/*
 * opening.h: the number of a start, the same on all disks, and what a start learns of the one before by it: which disks
 * were away meanwhile, and whether homes have moved. What may have missed a write is doubted: no time of validation in
 * it is believed.
 */
#ifndef HEADPOND_STORE_OPENING_H
#define HEADPOND_STORE_OPENING_H

struct store;

/* Numbers this opening on all disks that are open; those that cannot be read or written are left out, and the others
 * move up. Opening thread. */
void opening_begin(struct store *store);
/* The numbers of this process go on in another opening, which the other indexes are told of: at a start the one that
 * was not is behind. Index thread. */
void opening_next(struct store *store);

#endif
