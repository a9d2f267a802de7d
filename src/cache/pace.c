/* SPDX-License-Identifier: Apache-2.0 */
/* pace.c: moving averages, and the size that follows. */
#include "cache/pace.h"

/* At least, and where nothing is known: 4 MiB. */
#define LEAST_BYTES (INT64_C(4) << 20)
#define WAITS 4
/* Each new value counts for so much of the average. */
#define PART 4

static int64_t moved(int64_t average, int64_t value)
{
    return average + (value - average) / PART;
}

void pace_learn(struct paces *paces, uint64_t account, int64_t first_us, uint64_t bytes, int64_t us)
{
    struct pace *pace = &paces->accounts[account % PACE_ACCOUNTS];
    int64_t rate = (int64_t) (bytes * 1000000 / (uint64_t) (us > 0 ? us : 1));
    if (pace->account != account || pace->rate == 0)
        *pace = (struct pace){account, first_us, rate};
    pace->latency_us = moved(pace->latency_us, first_us);
    pace->rate = moved(pace->rate, rate > 0 ? rate : 1);
}

unsigned pace_blocks(const struct paces *paces, uint64_t account, uint32_t block_size, unsigned most)
{
    const struct pace *pace = &paces->accounts[account % PACE_ACCOUNTS];
    int64_t bytes = LEAST_BYTES;
    if (pace->account == account && pace->latency_us * WAITS * (pace->rate / 1000) / 1000 > bytes)
        bytes = pace->latency_us * WAITS * (pace->rate / 1000) / 1000;
    unsigned blocks = 1;
    while (blocks < most && (int64_t) blocks * block_size < bytes)
        blocks *= 2;
    return blocks;
}
