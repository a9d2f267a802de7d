/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_store_policy.c: how well eviction and admission do on traces, beside other policies: a short form of what
 * contrib/evict-sim prints.
 */
#include "../sim/scene.h"
#include "tap.h"

enum { CAPACITY = 2000, OBJECTS = 20000, READS = 200000 };

static const struct policy *const others[] = {&policy_lru, &policy_fifo, &policy_s3fifo, &policy_tinylfu};

static double ratio(const struct policy *policy, const struct scene *scene)
{
    struct tally tally = sim_run(policy, &scene->trace, scene->capacity, scene->from);
    return tally_total(&tally);
}

static double best_other(const struct scene *scene, const char **name)
{
    double best = -1;
    for (unsigned i = 0; i < sizeof others / sizeof *others; i++) {
        double one = ratio(others[i], scene);
        if (one > best) {
            best = one;
            *name = others[i]->name;
        }
    }
    return best;
}

/* The optimum is one, and the others are what they are known for. */
static void test_others(void)
{
    struct scene scene = scene_zipf(OBJECTS, 0.9, 0.1, READS / 4);
    double optimum = ratio(&policy_belady, &scene), lru = ratio(&policy_lru, &scene);
    for (unsigned i = 0; i < sizeof others / sizeof *others; i++)
        ok(ratio(others[i], &scene) < optimum, "Belady's is above %s's", others[i]->name);
    ok(ratio(&policy_ours, &scene) < optimum, "and above ours");
    ok(ratio(&policy_fifo, &scene) < lru && ratio(&policy_s3fifo, &scene) > lru && ratio(&policy_tinylfu, &scene) > lru,
       "skewed reads: FIFO is below LRU, S3-FIFO and W-TinyLFU above");
    scene_fini(&scene);
    scene = scene_epochs(CAPACITY, 0.5, false, 6, 2);
    is_int(ratio(&policy_lru, &scene) * 1e6, 0, "LRU hits nothing of rounds in fixed order");
    ok(ratio(&policy_belady, &scene) > 0.49, "the optimum half");
    scene_fini(&scene);
    scene = scene_epochs(CAPACITY, 0.5, true, 20, 2);
    double expected = 0.5 - 0.5 * 0.693147, got = ratio(&policy_lru, &scene);
    ok(got > expected - 0.01 && got < expected + 0.01, "LRU hits c + (1 - c) ln (1 - c) in fresh order: %.3f", got);
    scene_fini(&scene);
}

static void test_epochs(void)
{
    static const double parts[] = {0.2, 0.35, 0.5, 0.8};
    enum { EPOCHS = 10, WARM = 2 };
    for (unsigned shuffled = 0; shuffled < 2; shuffled++)
        for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++) {
            struct scene scene = scene_epochs(CAPACITY, parts[i], shuffled, EPOCHS, 0);
            double ratios[EPOCHS], least = 1;
            scene_rounds(&policy_ours, &scene, (uint32_t) (scene.trace.count / EPOCHS), ratios);
            for (unsigned k = WARM; k < EPOCHS; k++)
                least = ratios[k] < least ? ratios[k] : least;
            ok(least >= 0.95 * parts[i], "%s: from the 3rd round on at least %.3f", scene.name, least);
            scene_fini(&scene);
        }
}

static void test_skewed(void)
{
    for (unsigned skew = 7; skew <= 11; skew += 2)
        for (unsigned shifts = 0; shifts <= 4; shifts += 4) {
            const char *name = "";
            struct scene scene = shifts == 0 ? scene_zipf(OBJECTS, skew / 10.0, 0.1, READS)
                                             : scene_shift(OBJECTS, skew / 10.0, 0.1, READS, shifts);
            double ours = ratio(&policy_ours, &scene), best = best_other(&scene, &name);
            ok(ours > best - 0.01, "%s: %.4f, the best of the others is %s's %.4f", scene.name, ours, name, best);
            scene_fini(&scene);
        }
}

static double reader(bool scan, bool apart)
{
    struct scene scene = scene_scan(OBJECTS, 0.8, 0.1, READS, scan, apart);
    struct tally tally = sim_run(&policy_ours, &scene.trace, scene.capacity, scene.from);
    scene_fini(&scene);
    return tally_ratio(&tally, 0);
}

static void test_scan(void)
{
    double alone = reader(false, true), beside = reader(true, true), within = reader(true, false);
    ok(beside > 0.98 * alone, "a scan costs a skewed reader little: %.4f, alone %.4f", beside, alone);
    ok(within > 0.98 * alone, "in the same container as well: %.4f", within);
}

static void test_gone(void)
{
    for (unsigned i = 0; i < 8; i++) {
        struct succession it = {.capacity = CAPACITY,
                                .old = i & 1 ? CAPACITY * 2 : CAPACITY * 9 / 10,
                                .young = i & 2 ? CAPACITY * 2 : CAPACITY * 5,
                                .old_rounds = i & 1,
                                .young_rounds = i & 2,
                                .apart = !(i & 4),
                                .reads = READS / 2};
        struct scene scene = scene_succession(&it);
        double gone = scene_gone(&policy_ours, &scene, it.old);
        ok(gone > 0 && gone < (it.apart ? 3 : 12), "%s: the old has gone after %.2f capacities of new data", scene.name,
           gone);
        scene_fini(&scene);
    }
}

static void test_pair(void)
{
    const char *name = "";
    struct scene scene = scene_pair(OBJECTS / 2, 0.9, CAPACITY, CAPACITY * 2, READS / 2);
    double ours = ratio(&policy_ours, &scene), best = best_other(&scene, &name);
    ok(ours > best - 0.02, "%s: %.4f, the best of the others is %s's %.4f", scene.name, ours, name, best);
    scene_fini(&scene);
}

int main(void)
{
    test_others();
    test_epochs();
    test_skewed();
    test_scan();
    test_gone();
    test_pair();
    return done_testing();
}
