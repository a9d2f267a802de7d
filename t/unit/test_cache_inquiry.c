/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_cache_inquiry.c: many readers who may read a blob ask anew what it is, while others ask for it with credentials
 * that are refused: one question for all of the former, and none of them waits for the latter.
 */
#include "tap.h"

#include "base/clock.h"
#include "test_cache_rig.h"

#define FRESH_MS 1000
#define SIZE 1000
#define OWN 10 /* credentials */
#define HERD (3 * OWN)
#define BOGUS 5
#define ROUNDS 3

static char names[OWN][16];
static char made_up[ROUNDS][BOGUS][16];

static struct task asks(unsigned loop, const char *blob, const char *credential)
{
    return (struct task){.loop = loop,
                         .blob = blob,
                         .credential = credential,
                         .seed = 7,
                         .last = UINT64_MAX,
                         .freshness = FRESH_MS,
                         .only_resolve = true};
}

/* Each credential has read the blob before. */
static void learn(const char *blob)
{
    rig_blob(blob, 7, SIZE, NULL);
    for (unsigned i = 0; i < OWN; i++) {
        struct task task = asks(i, blob, names[i]);
        tasks_run(&task, 1);
    }
    ok(rig_quiet(), "%s: %u credentials are known to be good", blob, OWN);
}

static void wait_stale(const char *blob)
{
    struct task task;
    do {
        task = asks(0, blob, names[0]);
        task.only_now = true;
        tasks_run(&task, 1);
    } while (task.now);
}

/* Their requests are at the origin, which takes its time with them. */
static void start_slow(struct task *tasks, unsigned count)
{
    rig_begin();
    rig_control("PUT fault?path=/acct/c/%s&times=%u&first_byte_ms=1500", tasks[0].blob, count);
    tasks_start(tasks, count);
    ok(rig_stat_reaches("requests", count), "%u ask, and wait", count);
}

static unsigned answered(const struct task *tasks, unsigned count, int status)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < count; i++)
        sum += tasks[i].verdict == CACHE_ANSWER && tasks[i].answer == status;
    return sum;
}

static void run_herd(const char *blob)
{
    struct task herd[HERD];
    unsigned ready = 0;
    for (unsigned i = 0; i < HERD; i++)
        herd[i] = asks(i, blob, names[1 + i % (OWN - 1)]);
    tasks_run(herd, HERD);
    for (unsigned i = 0; i < HERD; i++)
        ready += herd[i].verdict == CACHE_READY;
    is_int(ready, HERD, "%u readers learn what the blob is", HERD);
}

static void test_made_up(void)
{
    learn("hot");
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct task bogus[BOGUS];
        unsigned over = 0;
        for (unsigned i = 0; i < BOGUS; i++)
            bogus[i] = asks(i, "hot", made_up[round][i]);
        wait_stale("hot");
        start_slow(bogus, BOGUS);
        run_herd("hot");
        for (unsigned i = 0; i < BOGUS; i++)
            over += task_over(&bogus[i]);
        is_int(over, 0, "before credentials that were made up are refused");
        tasks_wait(bogus, BOGUS);
        is_int(answered(bogus, BOGUS, 403), BOGUS, "as these are");
        is_int(rig_stat("requests"), BOGUS + 1, "one question for all who may read it, and one for each made up");
        ok(rig_quiet(), "then nothing is in flight");
    }
}

/* It may not read the blob any more, and nobody here knows. */
static void test_revoked(void)
{
    struct task first = asks(0, "revoked", names[0]);
    learn("revoked");
    rig_revoke(names[0]);
    wait_stale("revoked");
    start_slow(&first, 1);
    run_herd("revoked");
    tasks_wait(&first, 1);
    is_int(answered(&first, 1, 403), 1, "the first is refused");
    is_int(rig_stat("requests"), 2, "and the next asks for all");
    ok(rig_quiet(), "then nothing is in flight");
}

static void test_all_revoked(void)
{
    struct task tasks[OWN];
    rig_grant(names[0]);
    learn("all");
    for (unsigned i = 0; i < OWN; i++) {
        tasks[i] = asks(i, "all", names[i]);
        rig_revoke(names[i]);
    }
    wait_stale("all");
    start_slow(tasks, 1);
    tasks_start(tasks + 1, OWN - 1);
    tasks_wait(tasks, OWN);
    is_int(answered(tasks, OWN, 403), OWN, "when none may read it any more, each is told");
    is_int(rig_stat("requests"), OWN, "by the answer to its own question");
    ok(rig_quiet(), "then nothing is in flight");
}

/* Who learns first what the blob is waits for the bytes that another has asked for. */
static void test_opening(void)
{
    struct task tasks[2];
    rig_blob("opening", 7, 3 << 20, NULL);
    for (unsigned i = 0; i < 2; i++) {
        rig_grant(names[i]);
        tasks[i] = asks(i, "opening", names[i]);
        tasks[i].only_resolve = false;
    }
    start_slow(tasks, 1);
    tasks_run(tasks + 1, 1);
    tasks_wait(tasks, 1);
    is_int(tasks_good(tasks, 2), 2, "two get a blob that nobody knew");
    ok(rig_quiet() && rig_stat("body_bytes") <= rig_stat("distinct_bytes") + 1, "and its bytes came once");
}

int main(void)
{
    rig_origin_start();
    rig_start(0, 1 << 20);
    for (unsigned i = 0; i < OWN; i++) {
        snprintf(names[i], sizeof names[i], "own%u", i);
        rig_grant(names[i]);
    }
    for (unsigned round = 0; round < ROUNDS; round++)
        for (unsigned i = 0; i < BOGUS; i++)
            snprintf(made_up[round][i], sizeof made_up[round][i], "bogus%u.%u", round, i);
    test_made_up();
    test_revoked();
    test_all_revoked();
    test_opening();
    rig_stop();
    rig_origin_stop();
    return done_testing();
}
