/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_store_quota_policy.c: reserves and limits on traces: who holds how much, who goes for whom, and what hits that
 * leaves, in the policy alone.
 */
#include "../sim/scene.h"
#include "base/metric.h"
#include "store/evict.h"
#include "store/quota.h"
#include "tap.h"

enum { CAPACITY = 2000, OBJECTS = 20000, READS = 200000 };

#define CONTAINER(number)                                                                                              \
    {                                                                                                                  \
        .lo = (number) + 1, .hi = 1                                                                                    \
    }
#define FAMILY                                                                                                         \
    {                                                                                                                  \
        .lo = 0, .hi = 1                                                                                               \
    }

static uint32_t held(void *state, uint32_t first, uint32_t count)
{
    uint32_t sum = 0;
    for (uint32_t i = first; i < first + count; i++)
        sum += policy_ours.holds(state, i);
    return sum;
}

static int64_t metric(const char *labels)
{
    return metric_cell_value(metric_cell(METRIC_STORE_QUOTA, labels));
}

/* Two containers of OBJECTS each, and a third. */
static void three(struct trace *trace)
{
    trace_init(trace, 3 * OBJECTS, 64, 11);
    trace_group(trace, OBJECTS, OBJECTS, 1, 1);
    trace_group(trace, 2 * OBJECTS, OBJECTS, 2, 2);
}

static void *start(const struct trace *trace, const struct quota_row *rows, unsigned count)
{
    sim_quotas = rows;
    sim_quota_count = count;
    void *state = policy_ours.start(trace, CAPACITY);
    sim_quota_count = 0;
    return state;
}

/* Objects first … first + count − 1, each once. */
static unsigned read_all(void *state, uint32_t first, uint32_t count)
{
    unsigned hits = 0;
    for (uint32_t i = first; i < first + count; i++)
        hits += policy_ours.read(state, i, i);
    return hits;
}

static void test_limit(void)
{
    static const struct quota_row rows[] = {{CONTAINER(0), 0, 300, "a\tlimit"}};
    struct trace trace;
    three(&trace);
    void *state = start(&trace, rows, 1);
    unsigned most = 0, least = CAPACITY;
    (void) read_all(state, OBJECTS, CAPACITY - 300);
    for (uint32_t i = 0; i < OBJECTS; i += 10) {
        (void) read_all(state, i, 10);
        uint32_t now = held(state, 0, OBJECTS);
        most = now > most ? now : most;
        if (i > CAPACITY)
            least = now < least ? now : least;
    }
    is_int(most, 300, "a limit is never passed");
    is_int(least, 300, "and filled");
    is_int(held(state, OBJECTS, OBJECTS), CAPACITY - 300, "what the rest held has lost nothing");
    is_int(metric("a\tlimit"), 300, "the metric says so");
    ok(policy_ours.holds(state, OBJECTS - 1), "the new displaced the old");
    (void) read_all(state, 2 * OBJECTS, 3 * CAPACITY);
    ok(held(state, 0, OBJECTS) < 150, "under it there is no right to what others want: %u left",
       held(state, 0, OBJECTS));
    policy_ours.stop(state);
    is_int(metric("a\tlimit"), 0, "and the metric is left as it was");
    trace_fini(&trace);
}

/* A container read in rounds over twice its limit hits half, whatever else is read, if it is reserved as well. */
static void test_frozen(void)
{
    static const struct quota_row rows[] = {{CONTAINER(0), 1000, 1000, "b\t"}};
    for (unsigned others = 0; others <= 2; others++) {
        struct trace trace;
        trace_init(&trace, 2000 + OBJECTS, 1, 12);
        trace_group(&trace, 2000, OBJECTS, 1, 1);
        struct trace rounds;
        trace_init(&rounds, 2000, 1, 13);
        void *state = start(&trace, rows, 1);
        struct zipf zipf;
        zipf_init(&zipf, &trace, 2000, OBJECTS, 0.9);
        unsigned hits = 0;
        for (unsigned round = 0; round < 12; round++) {
            rounds.count = 0;
            trace_epoch(&rounds, 0, 2000, true);
            hits = 0;
            for (unsigned i = 0; i < rounds.count; i++) {
                hits += policy_ours.read(state, 0, rounds.reads[i]);
                for (unsigned k = 0; k < others; k++)
                    (void) policy_ours.read(state, 0, zipf_next(&zipf, &trace));
            }
        }
        ok(hits > 2000 * 0.45, "beside %u reads of others each: rounds over twice the limit hit %.3f", others,
           hits / 2000.0);
        policy_ours.stop(state);
        zipf_fini(&zipf);
        trace_fini(&rounds);
        trace_fini(&trace);
    }
}

static void test_reserve(void)
{
    static const struct quota_row rows[] = {{CONTAINER(0), 500, QUOTA_UNLIMITED, "c\t"}};
    struct trace trace;
    three(&trace);
    void *state = start(&trace, rows, 1);
    (void) read_all(state, 0, 400);
    (void) read_all(state, OBJECTS, OBJECTS);
    (void) read_all(state, 2 * OBJECTS, OBJECTS);
    is_int(held(state, 0, OBJECTS), 400, "what is within a reserve stays, though nobody reads it, under 20 capacities");
    (void) read_all(state, 400, 800);
    uint32_t before = held(state, 0, OBJECTS);
    ok(before > 500, "more than the reserve may be held: %u", before);
    (void) read_all(state, OBJECTS, OBJECTS);
    is_int(held(state, 0, OBJECTS), 500, "what is above it goes, and no more");
    (void) read_all(state, 1200, 2000);
    unsigned old = held(state, 0, 1200);
    ok(old < 250, "by its own reads it turns over: %u of those before are left", old);
    policy_ours.stop(state);
    trace_fini(&trace);
}

/* More is reserved than there is. */
static void test_all_reserved(void)
{
    static const struct quota_row rows[] = {{CONTAINER(0), CAPACITY, QUOTA_UNLIMITED, "d\t0"},
                                            {CONTAINER(1), CAPACITY, QUOTA_UNLIMITED, "d\t1"}};
    struct trace trace;
    three(&trace);
    void *state = start(&trace, rows, 2);
    (void) read_all(state, 0, CAPACITY);
    is_int(held(state, 0, OBJECTS), CAPACITY, "one holds everything by its reserve");
    (void) read_all(state, 2 * OBJECTS, CAPACITY);
    ok(held(state, 2 * OBJECTS, OBJECTS) > 0, "the store goes on for who has none");
    ok(held(state, 0, OBJECTS) > CAPACITY * 9 / 10, "at little cost: %u are left", held(state, 0, OBJECTS));
    (void) read_all(state, OBJECTS, OBJECTS);
    ok(held(state, OBJECTS, OBJECTS) > 100, "and for who has one as well: %u", held(state, OBJECTS, OBJECTS));
    policy_ours.stop(state);
    trace_fini(&trace);
}

/* An account's bounds cover its containers, which have their own within. */
static void test_family(void)
{
    static const struct quota_row rows[] = {{CONTAINER(1), 200, 400, "e\t1"}, {FAMILY, 0, 600, "e\t"}};
    struct trace trace;
    three(&trace);
    void *state = start(&trace, rows, 2);
    (void) read_all(state, OBJECTS, 2000);
    is_int(held(state, OBJECTS, OBJECTS), 400, "a container has its own limit");
    (void) read_all(state, 0, 5000);
    is_int(held(state, 0, 3 * OBJECTS), 600, "all together the account's");
    is_int(held(state, OBJECTS, OBJECTS), 200, "its reserve holds against its siblings");
    (void) read_all(state, OBJECTS, 2000);
    ok(held(state, OBJECTS, OBJECTS) > 200, "it takes from them what is not theirs");
    is_int(held(state, 0, 3 * OBJECTS), 600, "within the account's");
    is_int(metric("e\t"), 600, "which counts all");
    policy_ours.stop(state);
    trace_fini(&trace);
}

static void test_nothing(void)
{
    static const struct quota_row rows[] = {{CONTAINER(0), 0, 0, "f\t"}};
    struct trace trace;
    three(&trace);
    void *state = start(&trace, rows, 1);
    (void) read_all(state, 0, 1000);
    is_int(held(state, 0, OBJECTS), 0, "a limit of nothing lets nothing in");
    policy_ours.stop(state);
    trace_fini(&trace);
}

/* A skewed reader with a reserve of all it needs, beside who floods: as if it were alone. And one without quotas beside
 * a limited flood. */
static void test_flood(void)
{
    static const struct quota_row reserve[] = {{CONTAINER(0), CAPACITY * 3 / 4, QUOTA_UNLIMITED, "g\t"}};
    static const struct quota_row limit[] = {{CONTAINER(1), 0, CAPACITY / 4, "h\t"}};
    const struct {
        const char *name;
        const struct quota_row *rows;
    } cases[] = {{"a reserve", reserve}, {"a limit on the flood", limit}};
    struct scene scene = scene_scan(OBJECTS, 0.8, CAPACITY * 0.75 / OBJECTS, READS, false, true);
    struct tally tally = sim_run(&policy_ours, &scene.trace, scene.capacity, scene.from);
    double alone = tally_ratio(&tally, 0);
    scene_fini(&scene);
    scene = scene_scan(OBJECTS, 0.8, CAPACITY / (double) OBJECTS, READS, true, true);
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        sim_quotas = cases[i].rows;
        sim_quota_count = 1;
        tally = sim_run(&policy_ours, &scene.trace, scene.capacity, scene.from);
        sim_quota_count = 0;
        ok(tally_ratio(&tally, 0) > 0.98 * alone, "with %s: %.4f, alone in that part %.4f", cases[i].name,
           tally_ratio(&tally, 0), alone);
    }
    scene_fini(&scene);
}

static bool not_used(void *arg, uint32_t slot)
{
    (void) arg, (void) slot;
    return false;
}

static uint32_t no_bytes(void *arg, uint32_t slot)
{
    (void) arg, (void) slot;
    return 0;
}

/* A start finds what a higher limit let in, and claims are given back. */
static void test_claims(void)
{
    static const struct quota_row rows[] = {{CONTAINER(0), 0, 5, "i\t"}};
    struct evict *evict = evict_new(100, &(struct evict_events){not_used, no_bytes, NULL});
    struct evict_block block = {.generation = 1, .group = CONTAINER(0), .weight = EVICT_SLOT};
    uint32_t victim, gone = 0;
    is_int(evict_set_quotas(evict, rows, 1, 1), 0, "nothing is reserved");
    for (block.block = 0; block.block < 20; block.block++)
        evict_found(evict, (uint32_t) block.block, block.generation, block.block, evict_whose(evict, block.group));
    ok(evict_over(evict), "more than the limit was found");
    for (uint32_t slot; (slot = evict_surplus(evict)) != EVICT_NONE; gone++)
        is_int(slot, gone, "the oldest goes: %u", slot);
    is_int(gone, 15, "until it is kept");
    ok(!evict_over(evict) && !evict_claim(evict, block.group, &victim) && victim == 15, "the next needs a victim");
    ok(evict_claim(evict, block.group, &victim), "then there is a place");
    for (unsigned i = 0; i < 4; i++)
        ok(!evict_claim(evict, block.group, &victim) && victim == 16 + i && evict_claim(evict, block.group, &victim),
           "claim %u", i + 2);
    ok(!evict_claim(evict, block.group, &victim) && victim == EVICT_NONE, "what is being written cannot go");
    evict_disclaim(evict, block.group);
    ok(evict_claim(evict, block.group, &victim), "a claim that was given back is there for another");
    evict_insert(evict, 50, &block);
    for (unsigned i = 0; i < 4; i++)
        evict_disclaim(evict, block.group);
    is_int(metric("i\t"), 1, "one is left");
    evict_free(evict);
}

int main(void)
{
    test_limit();
    test_frozen();
    test_reserve();
    test_all_reserved();
    test_family();
    test_nothing();
    test_flood();
    test_claims();
    return done_testing();
}
