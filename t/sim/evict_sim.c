/* SPDX-License-Identifier: Apache-2.0 */
/* evict_sim.c: hit ratios from traces, ours beside the field's, as a table. contrib/evict-sim runs it. */
#include <stdio.h>

#include "scene.h"

static const struct policy *const policies[] = {&policy_ours,   &policy_lru,     &policy_fifo,
                                                &policy_s3fifo, &policy_tinylfu, &policy_belady};
enum { POLICIES = sizeof policies / sizeof *policies, CAPACITY = 10000, READS = 2000000, EPOCHS = 40 };

static void heading(const char *what, bool pinned)
{
    printf("\n%-44s", what);
    for (unsigned i = 0; i < POLICIES; i++)
        printf(" %9s", policies[i]->name);
    printf("%s\n", pinned ? "    pinned" : "");
}

/* Of one group, or of all when `group` is SIM_GROUPS. */
static void row(struct scene scene, unsigned group)
{
    printf("%-44s", scene.name);
    for (unsigned i = 0; i < POLICIES; i++) {
        struct tally tally = sim_run(policies[i], &scene.trace, scene.capacity, scene.from);
        printf(" %9.4f", group == SIM_GROUPS ? tally_total(&tally) : tally_ratio(&tally, group));
    }
    if (scene.pinned > 0)
        printf(" %9.4f", scene.pinned);
    printf("\n");
    fflush(stdout);
    scene_fini(&scene);
}

static void epochs(void)
{
    static const double parts[] = {0.2, 0.35, 0.5, 0.8, 0.95};
    heading("rounds over a data set, from the 11th on", true);
    for (unsigned shuffled = 2; shuffled-- > 0;)
        for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++)
            row(scene_epochs(CAPACITY, parts[i], shuffled, EPOCHS, 10), SIM_GROUPS);
    printf("\nours, round by round (1st, 2nd, …)\n");
    for (unsigned shuffled = 2; shuffled-- > 0;)
        for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++) {
            struct scene scene = scene_epochs(CAPACITY, parts[i], shuffled, 10, 0);
            double ratios[10];
            scene_rounds(&policy_ours, &scene, (uint32_t) (scene.trace.count / 10), ratios);
            printf("%-44s", scene.name);
            for (unsigned k = 0; k < 10; k++)
                printf(" %.3f", ratios[k]);
            printf("\n");
            scene_fini(&scene);
        }
}

static void skewed(void)
{
    static const double parts[] = {0.01, 0.1, 0.3};
    heading("skewed reads of 100,000 objects", false);
    for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++)
        for (unsigned skew = 7; skew <= 11; skew++)
            row(scene_zipf(CAPACITY * 10, skew / 10.0, parts[i], READS), SIM_GROUPS);
    heading("ranks drawn anew", false);
    for (unsigned skew = 7; skew <= 11; skew += 2)
        row(scene_shift(CAPACITY * 10, skew / 10.0, 0.1, READS, 4), SIM_GROUPS);
}

static void together(void)
{
    heading("a skewed reader's ratio beside one scan", false);
    for (unsigned skew = 7; skew <= 11; skew += 2) {
        row(scene_scan(CAPACITY * 10, skew / 10.0, 0.1, READS, false, true), 0);
        row(scene_scan(CAPACITY * 10, skew / 10.0, 0.1, READS, true, true), 0);
        row(scene_scan(CAPACITY * 10, skew / 10.0, 0.1, READS, true, false), 0);
    }
    for (unsigned group = 0; group <= SIM_GROUPS; group += group < 1 ? 1 : SIM_GROUPS - 1) {
        heading(group == 0 ? "two containers: the skewed" : group == 1 ? "the rounds" : "both", false);
        for (unsigned skew = 7; skew <= 11; skew += 2) {
            row(scene_pair(CAPACITY * 5, skew / 10.0, CAPACITY, CAPACITY * 2, READS), group);
            row(scene_pair(CAPACITY * 5, skew / 10.0, CAPACITY, CAPACITY / 2, READS), group);
        }
    }
}

static void successions(void)
{
    heading("new data, in capacities, until the old is gone", false);
    for (unsigned i = 0; i < 16; i++) {
        struct succession it = {.capacity = CAPACITY,
                                .old = i & 1 ? CAPACITY * 2 : CAPACITY * 9 / 10,
                                .young = i & 2 ? CAPACITY * 2 : CAPACITY * 5,
                                .old_rounds = i & 4 || i & 1,
                                .young_rounds = i & 2,
                                .apart = !(i & 8),
                                .reads = READS / 2};
        if (i & 4 && i & 1)
            continue;
        struct scene scene = scene_succession(&it);
        printf("%-44s", scene.name);
        for (unsigned k = 0; k < POLICIES; k++)
            printf(" %9.2f", scene_gone(policies[k], &scene, it.old));
        printf("\n");
        fflush(stdout);
        scene_fini(&scene);
    }
}

int main(void)
{
    epochs();
    skewed();
    together();
    successions();
    return 0;
}
