/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pace.h: how long an account's storage takes to the first byte, and how fast one connection to it is; from that, how
 * much one request should ask for.
 *
 * A long run is fetched by several requests side by side (joins.h), each over a connection of its own. The shorter they
 * are, the sooner the bytes that are wanted next are there, and the larger the share of the time in which a connection
 * carries nothing: for the first byte of each. So a request asks for what takes four times as long as waiting for it,
 * and for 4 MiB at least, in powers of two, so that pieces of different sizes end together.
 *
 * Each loop learns from its own fills. Loop's own.
 */
#ifndef HEADPOND_CACHE_PACE_H
#define HEADPOND_CACHE_PACE_H

#include <stdint.h>

#define PACE_ACCOUNTS 64

struct pace {
    uint64_t account; /* its hash */
    int64_t latency_us;
    int64_t rate; /* bytes a second; 0: not known yet, nor is the other */
};

struct paces {
    struct pace accounts[PACE_ACCOUNTS]; /* by hash; the last one that came stays */
};

/* Bytes came at the pace of their connection: the first after `first_us` of waiting, `bytes` in the `us` after that. */
void pace_learn(struct paces *paces, uint64_t account, int64_t first_us, uint64_t bytes, int64_t us);
/* How many blocks of that size a request should ask for: a power of two up to `most`, which is one. */
unsigned pace_blocks(const struct paces *paces, uint64_t account, uint32_t block_size, unsigned most);

#endif
