/* SPDX-License-Identifier: Apache-2.0 */
/* test_pace.c: how much a request asks for, by what is known of an account's storage. */
#include <stddef.h>

#include "cache/pace.h"
#include "tap.h"

#define MIB (UINT64_C(1) << 20)

/* A fill of 4 MiB: the first byte after `ms`, then at that many MB/s. */
static void learn(struct paces *paces, uint64_t account, int64_t ms, int64_t rate)
{
    pace_learn(paces, account, ms * 1000, 4 * MIB, (int64_t) (4 * MIB) / rate);
}

int main(void)
{
    static const struct {
        int64_t ms, rate;
        uint32_t block;
        unsigned blocks;
        const char *what;
    } rows[] = {
        {1, 100, 1 << 20, 4, "a storage near by: 4 MiB"},
        {20, 60, 1 << 20, 8, "one that lets wait for 20 ms: 4.8 MB, and so 8 blocks"},
        {20, 10, 1 << 20, 4, "unless its connections are slow"},
        {100, 60, 1 << 20, 8, "no more than 8 blocks, however far"},
        {100, 60, 64 << 10, 8, "of whatever size"},
        {1, 100, 16 << 20, 1, "and one at least"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct paces paces = {0};
        is_int(pace_blocks(&paces, 7, 1 << 20, 8), 4, "nothing is known: 4 MiB");
        for (unsigned k = 0; k < 3; k++)
            learn(&paces, 7, rows[i].ms, rows[i].rate);
        is_int(pace_blocks(&paces, 7, rows[i].block, 8), rows[i].blocks, "%s", rows[i].what);
    }
    struct paces paces = {0};
    for (unsigned k = 0; k < 3; k++)
        learn(&paces, 7, 100, 60);
    is_int(pace_blocks(&paces, 8, 1 << 20, 8), 4, "of another account nothing is known");
    for (unsigned k = 0; k < 20; k++)
        learn(&paces, 7, 1, 60);
    is_int(pace_blocks(&paces, 7, 1 << 20, 8), 4, "it is followed when it changes");
    learn(&paces, 7 + PACE_ACCOUNTS, 100, 60);
    is_int(pace_blocks(&paces, 7 + PACE_ACCOUNTS, 1 << 20, 8), 8, "an account in the same place takes it over");
    learn(&paces, 7, 0, 1000000);
    is_int(pace_blocks(&paces, 7, 1 << 20, 8), 4, "numbers beyond measure do no harm");
    return done_testing();
}
