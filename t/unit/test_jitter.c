/* SPDX-License-Identifier: Apache-2.0 */
/* test_jitter.c: pauses stay within their bounds, and are not all the same. */
#include "base/jitter.h"

#include <unistd.h>

#include "tap.h"

#define DRAWS 200

/* Whether all of so many draws are in the bounds, and not all of them one. */
static bool spreads(unsigned failures, int64_t least, int64_t most)
{
    int64_t first = jitter_backoff(failures, 1000, 60000);
    bool within = true, varied = false;
    for (unsigned i = 0; i < DRAWS; i++) {
        int64_t pause = jitter_backoff(failures, 1000, 60000);
        within = within && pause >= least && pause <= most;
        varied = varied || pause != first;
        usleep(2); /* it is drawn from the clock */
    }
    return within && varied;
}

int main(void)
{
    ok(spreads(0, 500, 1000), "the first pause");
    ok(spreads(1, 1000, 2000), "twice that");
    ok(spreads(5, 16000, 32000), "and so on");
    ok(spreads(6, 30000, 60000), "up to the last");
    ok(spreads(4000000000u, 30000, 60000), "and no longer");
    int64_t least = 7, most = 0;
    for (unsigned i = 0; i < DRAWS; i++) {
        int64_t drawn = jitter_below(7);
        least = drawn < least ? drawn : least;
        most = drawn > most ? drawn : most;
        usleep(2);
    }
    is_int(least, 0, "none at all may be drawn");
    is_int(most, 7, "and the most");
    is_int(jitter_below(0), 0, "of nothing nothing");
    return done_testing();
}
