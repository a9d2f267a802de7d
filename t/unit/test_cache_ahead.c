/* SPDX-License-Identifier: Apache-2.0 */
/* test_cache_ahead.c: readers that stand still do not keep others from reading ahead: what has come for them counts no
 * more. */
#include "tap.h"

#include "base/clock.h"
#include "cache/context.h"
#include "test_cache_rig.h"

#define MIB (UINT64_C(1) << 20)
#define READERS 6
#define SIZE (60 * MIB)

static uint64_t counted(void)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i <= STORE_QUOTAS_MAX; i++)
        sum += atomic_load(&rig_cache()->ahead.under[i]);
    return sum;
}

static uint64_t counted_of_accounts(void)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < SHARE_SLOTS; i++)
        sum += atomic_load(&rig_cache()->ahead.of_account[i]);
    return sum;
}

/* Whether what they have read ahead counts no more after a while. */
static bool stand_still(unsigned round)
{
    static char names[READERS][24];
    static struct task tasks[READERS];
    unsigned held = 0;
    for (unsigned i = 0; i < READERS; i++) {
        snprintf(names[i], sizeof names[i], "stalled%u-%u", round, i);
        rig_blob(names[i], 10 + i, SIZE, NULL);
        tasks[i] = (struct task){.loop = i, .blob = names[i], .seed = 10 + i, .last = UINT64_MAX};
        tasks[i].hold_after = 3 * MIB;
    }
    tasks_start(tasks, READERS);
    for (unsigned i = 0; i < READERS; i++)
        held += task_wait_held(&tasks[i]);
    uint64_t before = counted();
    ok(held == READERS && before > READERS, "%u readers stand still, and have read ahead (%llu blocks)", held,
       (unsigned long long) before);
    const int64_t until = clock_mono_ms() + 1000 * RIG_DEADLINE_S / 2;
    while (counted() > 0 && clock_mono_ms() < until)
        rig_still();
    bool over = counted() == 0;
    for (unsigned i = 0; i < READERS; i++)
        task_release(&tasks[i]);
    tasks_wait(tasks, READERS);
    is_int(tasks_good(tasks, READERS), READERS, "they go on, and get every byte");
    ok(rig_quiet(), "then nothing is in flight");
    is_int((long long) (counted() | counted_of_accounts()), 0, "and nothing is counted");
    return over;
}

/* A disk that is too busy to take all that comes leaves some of it to wait for its reader, in memory: that still counts. */
static void test_stalled(void)
{
    bool over = false;
    for (unsigned round = 0; round < 4 && !over; round++)
        over = stand_still(round);
    ok(over, "what has come for who stands still counts no more after a while");
}

int main(void)
{
    rig_origin_start();
    rig_start(1, (uint32_t) MIB);
    rig_grant("alice");
    test_stalled();
    rig_stop();
    rig_origin_stop();
    return done_testing();
}
