/* SPDX-License-Identifier: Apache-2.0 */
/* jitter.c: see jitter.h. */
#include "base/jitter.h"

#include "base/clock.h"
#include "base/hash.h"

int64_t jitter_below(int64_t most)
{
    return (int64_t) (hash_hidden((uint64_t) clock_mono_us()) % ((uint64_t) most + 1));
}

int64_t jitter_backoff(unsigned failures, int64_t first, int64_t last)
{
    int64_t pause = first;
    for (; failures > 0 && pause < last; failures--)
        pause *= 2;
    pause = pause < last ? pause : last;
    return pause - jitter_below(pause / 2);
}
