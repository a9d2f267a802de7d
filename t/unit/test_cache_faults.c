/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_cache_faults.c: origins that break off, lie, refuse and change; credentials that are refused beside others that
 * are not; writes that cross validations. Nobody reads a byte of two generations, nobody sees another's refusal.
 */
#include "tap.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/conf.h"
#include "base/mem.h"
#include "base/metric.h"
#include "test_cache_rig.h"

#define MIB (UINT64_C(1) << 20)

static struct task reader(const char *blob, uint64_t seed)
{
    return (struct task){.blob = blob, .seed = seed, .last = UINT64_MAX};
}

/* ---- (e) faults ---- */

/* What breaks off goes on from there, pinned. */
static void test_broken_off(void)
{
    static const char *const faults[] = {"truncate_after=3000000", "stall_after=3000000", "reset_after=3000000",
                                         "truncate_after=1", "reset_after=20000000"};
    for (unsigned i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        char name[32];
        struct task tasks[6];
        snprintf(name, sizeof(name), "broken%u", i);
        rig_begin();
        rig_blob(name, 100 + i, 10 * MIB + 17 + (i == 4 ? 14 * MIB : 0), NULL);
        rig_control("PUT fault?path=/acct/c/%s&%s", name, faults[i]);
        for (unsigned t = 0; t < 6; t++) {
            tasks[t] = reader(name, 100 + i);
            tasks[t].loop = t;
        }
        tasks_run(tasks, 6);
        is_int(tasks_good(tasks, 6), 6, "%s: everybody reads on", faults[i]);
        ok(rig_stat("requests") >= 2, "%s: in another request", faults[i]);
    }
    ok(rig_quiet(), "nothing is left in flight");
}

static void test_changes(void)
{
    struct task tasks[8];
    rig_begin();
    rig_blob("change", 200, 200 * MIB, NULL); /* more than is read ahead of who holds still */
    for (unsigned t = 0; t < 8; t++) {
        tasks[t] = reader("change", 200);
        tasks[t].loop = t;
        tasks[t].hold_after = 1000000;
    }
    tasks_start(tasks, 8);
    for (unsigned t = 0; t < 8; t++)
        task_wait_held(&tasks[t]);
    /* It changes: what has not been asked for can only be had of the new one. */
    rig_control("POST touch?path=/acct/c/change&seed=201");
    for (unsigned t = 0; t < 8; t++)
        task_release(&tasks[t]);
    tasks_wait(tasks, 8);
    unsigned told = 0;
    for (unsigned t = 0; t < 8; t++)
        told += tasks[t].wrong_at < 0 && tasks[t].status == STATUS_GENERATION_CHANGED;
    if (!is_int(told, 8, "a blob that changes under its readers: all are told, none reads a byte of both"))
        task_say(&tasks[0]);
    struct task again = reader("change", 201);
    tasks_run(&again, 1);
    ok(!again.now && task_good(&again) && strcmp(again.etag, tasks[0].etag) != 0, "the next one reads the new one");
    ok(rig_quiet(), "nothing is left in flight");
}

static void test_lies(void)
{
    static const struct {
        const char *fault;
        bool opening;
        enum cache_verdict verdict;
        enum status status;
    } rows[] = {
        {"no_etag=1", true, CACHE_BYPASS, STATUS_OK},
        {"garbage=1", true, CACHE_FAILED, STATUS_BAD_REPLY},
        {"wrong_content_range=1", false, CACHE_READY, STATUS_BAD_REPLY},
        {"wrong_etag=1", false, CACHE_READY, STATUS_GENERATION_CHANGED},
        {"no_etag=1", false, CACHE_READY, STATUS_GENERATION_CHANGED},
        {"status=500", false, CACHE_READY, STATUS_ORIGIN_ERROR},
        {"status=404", false, CACHE_READY, STATUS_GENERATION_CHANGED},
        {"status=403", false, CACHE_READY, STATUS_DENIED},
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char name[32];
        struct task task;
        snprintf(name, sizeof(name), "lie%u", i);
        rig_begin();
        rig_blob(name, 300, 3 * MIB, NULL);
        task = reader(name, 300);
        if (!rows[i].opening) {
            /* A first question that fetches nothing: the fault then meets the fill. */
            struct task first = reader(name, 300);
            first.conditional = first.only_resolve = true;
            tasks_run(&first, 1);
        }
        rig_control("PUT fault?path=/acct/c/%s&times=-1&%s", name, rows[i].fault);
        tasks_run(&task, 1);
        bool good = task.verdict == rows[i].verdict && task.status == rows[i].status && task.bytes == 0;
        if (!ok(good, "%s, %s: a clean end", rows[i].fault, rows[i].opening ? "first" : "while filling"))
            task_say(&task);
        rig_begin();
        task = reader(name, 300);
        tasks_run(&task, 1);
        if (!ok(task_good(&task), "and then it can be read"))
            task_say(&task);
    }
    struct task task = reader("lie-range", 301);
    rig_begin();
    rig_blob("lie-range", 301, 3 * MIB, NULL);
    rig_control("PUT fault?path=/acct/c/lie-range&times=-1&wrong_content_range=1");
    tasks_run(&task, 1);
    ok(task.wrong_at < 0 && task.bytes == 0 && !task_good(&task), "a first reply about another range: no byte of it");
    task = reader("lie-length", 302);
    rig_begin();
    rig_blob("lie-length", 302, 3 * MIB, NULL);
    rig_control("PUT fault?path=/acct/c/lie-length&times=1&wrong_length=1");
    tasks_run(&task, 1);
    ok(task.wrong_at < 0, "a first reply of another length than it says: no wrong byte");
    rig_begin();
    ok(rig_quiet(), "nothing is left in flight");
}

static void test_answers(void)
{
    struct task tasks[2];

    rig_begin();
    tasks[0] = reader("nowhere", 1);
    tasks_run(tasks, 1);
    ok(tasks[0].verdict == CACHE_ANSWER && tasks[0].answer == 404 && strstr(tasks[0].answer_text, "<Code>") != NULL,
       "no such blob: the origin's own 404");
    rig_blob("later", 310, MIB, NULL);
    rig_control("PUT fault?path=/acct/c/later&times=-1&status=503");
    tasks[0] = reader("later", 310);
    tasks_run(tasks, 1);
    ok(tasks[0].verdict == CACHE_ANSWER && tasks[0].answer == 503, "503: the origin's own, after its retries");
    rig_begin();
    tasks[0] = reader("later", 310);
    tasks_run(tasks, 1);
    ok(task_good(&tasks[0]), "and nothing of it is remembered");

    rig_blob("pending", 311, MIB, "&header-x-ms-copy-status=pending");
    tasks[0] = reader("pending", 311);
    tasks_run(tasks, 1);
    ok(tasks[0].verdict == CACHE_BYPASS && strcmp(tasks[0].detail, "copy-pending") == 0, "a pending copy is bypassed");
    ok(rig_quiet(), "nothing is left in flight");
}

/* What was asked for ahead of a reader failed long before it gets there. */
static void test_ahead(void)
{
    struct task task = reader("ahead", 312);

    rig_begin();
    rig_blob("ahead", 312, 40 * MIB + 1, NULL);
    rig_control("PUT fault?path=/acct/c/ahead&skip=1&times=-1&status=500");
    task.hold_after = 100000;
    task.step = 50000;
    tasks_start(&task, 1);
    ok(task_wait_held(&task), "a reader stands still in the first piece");
    long long before = -1, asked = rig_stat("requests");
    for (unsigned i = 0; i < 20 && asked != before; i++) {
        before = asked;
        usleep(1500000);
        asked = rig_stat("requests");
    }
    ok(asked > 3, "what is asked for ahead of it fails (%lld requests)", asked);
    rig_begin();
    task_release(&task);
    ok(tasks_wait(&task, 1) && task_good(&task), "and is brought when it gets there");
    ok(rig_quiet(), "nothing is left in flight");
}

/* ---- (f) credentials ---- */

static void test_credentials(void)
{
    enum { MANY = 32, EACH = 3 };
    static char names[MANY][16];
    struct task *tasks = mem_calloc(MANY * EACH, sizeof(*tasks));

    for (unsigned i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof(names[i]), "user%u", i);
        if (i % 2 == 0)
            rig_grant(names[i]);
    }
    for (unsigned round = 0; round < 3; round++) {
        char name[16];
        rig_begin();
        snprintf(name, sizeof(name), "shared%u", round);
        rig_blob(name, 400 + round, 6 * MIB + 3, NULL);
        memset(tasks, 0, MANY * EACH * sizeof(*tasks));
        for (unsigned i = 0; i < MANY * EACH; i++) {
            tasks[i] = reader(name, 400 + round);
            tasks[i].loop = i / 2;
            tasks[i].credential = names[(i * 5 + round) % MANY];
            tasks[i].only_resolve = round == 2;
            tasks[i].head = round == 1 && i % 4 == 0;
        }
        tasks_run(tasks, MANY * EACH);
        unsigned leaks = 0;
        unsigned refused = 0;
        for (unsigned i = 0; i < MANY * EACH; i++) {
            bool allowed = atoi(tasks[i].credential + 4) % 2 == 0;
            bool ready = tasks[i].verdict == CACHE_READY && tasks[i].status == STATUS_OK;
            if (!allowed && (tasks[i].verdict != CACHE_ANSWER || tasks[i].answer != 403 || tasks[i].bytes > 0))
                leaks++;
            if (allowed && !ready) {
                task_say(&tasks[i]);
                refused++;
            }
        }
        is_int(leaks, 0, "%d credentials, half of them refused: no refused one is let in", MANY);
        is_int(refused, 0, "and no allowed one sees a refusal");
    }
    /* Known, fresh and stored for others: still nothing without an own yes. */
    struct task stranger = reader("shared0", 400);
    stranger.credential = "stranger";
    stranger.only_now = true;
    tasks_run(&stranger, 1);
    ok(!stranger.now, "a warm blob tells a stranger nothing");
    /* A HEAD's yes is no GET's. */
    struct task head = reader("shared0", 400);
    head.credential = "header";
    rig_grant("header");
    head.head = true;
    tasks_run(&head, 1);
    ok(head.verdict == CACHE_READY, "a HEAD's yes");
    struct task get = reader("shared0", 400);
    get.credential = "header";
    get.only_now = true;
    tasks_run(&get, 1);
    ok(!get.now, "is none to GET");
    mem_free(tasks);
    ok(rig_quiet(), "nothing is left in flight");
}

/* The fill's credential is refused half-way: another reader's takes its place, and when all are refused it ends. */
static void test_credential_change(bool all)
{
    struct task tasks[2];
    const char *name = all ? "both-refused" : "one-refused";

    rig_begin();
    rig_grant("first");
    rig_grant("second");
    rig_blob(name, 420, 15 * MIB, NULL);
    rig_control("PUT fault?path=/acct/c/%s&truncate_after=12000000", name);
    for (unsigned i = 0; i < 2; i++) {
        tasks[i] = reader(name, 420);
        tasks[i].loop = i;
        tasks[i].credential = i == 0 ? "first" : "second";
        tasks[i].hold_after = 100;
        tasks[i].step = 4096;
    }
    tasks_start(&tasks[0], 1);
    ok(task_wait_held(&tasks[0]), "a first reader begins");
    tasks_start(&tasks[1], 1);
    ok(task_wait_held(&tasks[1]), "a second one joins");
    rig_revoke("first");
    if (all)
        rig_revoke("second");
    task_release(&tasks[0]);
    task_release(&tasks[1]);
    tasks_wait(tasks, 2);
    if (all)
        ok(tasks[0].status == STATUS_DENIED && tasks[1].status == STATUS_DENIED, "both refused: both are told");
    else
        is_int(tasks_good(tasks, 2), 2, "the fill goes on with the second's credential; the first does not notice");
    ok(rig_stat("requests") <= 6, "after few requests (%lld)", rig_stat("requests"));
    ok(rig_quiet(), "nothing is left in flight");
}

/* ---- (g) validations ---- */

static void test_validations(void)
{
    enum { MANY = 200 };
    struct task *tasks = mem_calloc(MANY, sizeof(*tasks));

    rig_begin();
    rig_blob("valid", 500, MIB, NULL);
    struct task first = reader("valid", 500);
    first.freshness = 1000;
    tasks_run(&first, 1);
    ok(task_good(&first) && first.how == CACHE_MISS, "a miss");
    int64_t known = clock_wall_s();
    struct task now = reader("valid", 500);
    now.only_now = true;
    tasks_run(&now, 1);
    ok(now.now, "then a hit, unasked, to one who is content with older news");
    while (clock_wall_s() < known + 1)
        rig_still();
    rig_begin();
    for (unsigned i = 0; i < MANY; i++) {
        tasks[i] = reader("valid", 500);
        tasks[i].freshness = 1000;
        tasks[i].loop = i;
        tasks[i].only_resolve = true;
    }
    tasks_run(tasks, MANY);
    unsigned ready = 0;
    for (unsigned i = 0; i < MANY; i++)
        ready += tasks[i].verdict == CACHE_READY;
    is_int(ready, MANY, "freshness has passed: %d questions are answered", MANY);
    ok(rig_stat("requests") <= 4, "by %lld probes", rig_stat("requests"));
    mem_free(tasks);
    ok(rig_quiet(), "nothing is left in flight");
}

/* A probe that has been under way for longer than one's freshness is not joined. */
static void test_old_probe(void)
{
    struct task tasks[2];

    rig_begin();
    rig_blob("tardy", 501, 1000, NULL);
    struct task first = reader("tardy", 501);
    tasks_run(&first, 1);
    rig_control("PUT fault?path=/acct/c/tardy&first_byte_ms=700");
    for (unsigned i = 0; i < 2; i++) {
        tasks[i] = reader("tardy", 501);
        tasks[i].freshness = 100;
        tasks[i].only_resolve = true;
    }
    rig_control("DELETE stats");
    tasks_start(&tasks[0], 1);
    ok(rig_stat_reaches("inflight", 1), "a slow validation is under way");
    int64_t from = clock_mono_ms();
    while (clock_mono_ms() - from < 150)
        rig_still();
    tasks_start(&tasks[1], 1);
    tasks_wait(tasks, 2);
    is_int(rig_stat("requests"), 2, "one who wants newer news than that asks for himself");
    ok(rig_quiet(), "nothing is left in flight");
}

/* ---- (h) writes ---- */

struct fence {
    struct cache_fence *fence;
    struct cache_request request;
    char target[RIG_TEXT];
    enum cache_fence_scope scope;
    bool refused;
    atomic_bool raised;
};

static void fence_raised(void *arg)
{
    ((struct fence *) arg)->raised = true;
}

static void fence_raise(void *arg)
{
    struct fence *fence = arg;
    fence->fence = cache_fence_raise(rig_cache(), loop_current(), &fence->request, fence->scope, fence_raised, fence);
}

static void fence_lift(void *arg)
{
    struct fence *fence = arg;
    cache_fence_lift(&fence->fence, fence->refused);
}

/* In one event: the tombstone cannot be durable in between. */
static void fence_raise_and_lift(void *arg)
{
    fence_raise(arg);
    fence_lift(arg);
}

static void fence_look(void *arg)
{
    (void) arg;
}

static void raise_and_wait(struct fence *fence)
{
    fence->raised = false;
    rig_on_loop(0, fence_raise, fence);
    int64_t until = clock_mono_ms() + RIG_DEADLINE_S * 1000;
    while (!fence->raised && clock_mono_ms() < until)
        rig_on_loop(0, fence_look, NULL);
    ok(fence->raised, "the write may be forwarded");
}

static bool known_now(const char *name, int64_t freshness)
{
    struct task now = reader(name, 0);
    now.only_now = now.only_resolve = true;
    now.freshness = freshness;
    tasks_run(&now, 1);
    return now.now;
}

/* While an object is written nothing of it is believed, nor what was asked before the write's end. A write that may
 * change a container or an account moves nothing before it has ended, and when it was refused nothing at all; what was
 * asked before its end is not believed after it was done. */
static void test_fence(enum cache_fence_scope scope, bool refused, int64_t freshness, const char *what)
{
    static unsigned number;
    const bool wide = scope != CACHE_FENCE_OBJECT, stands = wide && refused;
    char name[32];
    struct fence fence = {.scope = scope, .refused = refused};

    rig_begin();
    snprintf(name, sizeof(name), "fence%u", number++);
    rig_blob(name, 600, 4 * MIB, NULL);
    rig_request(&fence.request, name, "writer", fence.target);
    struct task read = reader(name, 600), validation = reader(name, 600);
    read.freshness = validation.freshness = freshness;
    tasks_run(&read, 1);
    ok(known_now(name, freshness), "%s: known", what);

    rig_control("PUT fault?path=/acct/c/%s&first_byte_ms=300", name);
    validation.validate = validation.only_resolve = true;
    if (wide)
        raise_and_wait(&fence);
    rig_control("DELETE stats");
    tasks_start(&validation, 1);
    ok(rig_stat_reaches("inflight", 1), "%s: a validation is in flight", what);
    if (!wide)
        raise_and_wait(&fence);
    is_int(known_now(name, freshness), wide, "%s: believed during the write", what);
    rig_on_loop(0, fence_lift, &fence);
    is_int(known_now(name, freshness), stands, "%s: once it has ended", what);
    tasks_wait(&validation, 1);
    ok(validation.verdict == CACHE_READY, "%s: who asked before its end is answered", what);
    is_int(known_now(name, freshness), stands, "%s: and that answer is believed", what);

    rig_begin();
    read = reader(name, 600);
    read.freshness = freshness;
    tasks_run(&read, 1);
    long long requests = rig_stat("requests"), most = stands ? 0 : !wide && rig_stat("body_bytes") > 1 ? 2 : 1;
    ok(task_good(&read) && requests <= most && (!wide || requests == most), "%s: costs %d validations", what, !stands);
    ok(known_now(name, freshness), "%s: then it is known again", what);
    ok(rig_quiet(), "%s: nothing is left in flight", what);
}

/* Readers of a cold blob while a long write is under way share what is fetched. */
static void test_fenced_readers(void)
{
    struct task tasks[12];
    struct fence fence = {.scope = CACHE_FENCE_OBJECT};

    rig_begin();
    rig_blob("writing", 610, 12 * MIB, NULL);
    rig_request(&fence.request, "writing", "writer", fence.target);
    raise_and_wait(&fence);
    struct task first = reader("writing", 610);
    first.hold_after = 10;
    first.step = 1000;
    tasks_start(&first, 1);
    ok(task_wait_held(&first), "a reader during a write");
    for (unsigned i = 0; i < 12; i++) {
        tasks[i] = reader("writing", 610);
        tasks[i].loop = i;
    }
    tasks_run(tasks, 12);
    is_int(tasks_good(tasks, 12), 12, "and more: all right");
    task_release(&first);
    tasks_wait(&first, 1);
    ok(task_good(&first), "and the first one");
    ok(first.generation == tasks[0].generation && first.generation == tasks[11].generation, "all of one generation");
    ok(rig_stat("body_bytes") - rig_stat("distinct_bytes") <= 14, "fetched once (%lld bytes again)",
       rig_stat("body_bytes") - rig_stat("distinct_bytes"));
    ok(!known_now("writing", 60000), "nothing of it is believed unasked");
    rig_on_loop(0, fence_lift, &fence);
    ok(!known_now("writing", 60000), "nor after the write");
    ok(rig_quiet(), "nothing is left in flight");
}

/* A lift that comes before the tombstone is durable, and a raise of grants. */
static void test_fence_ends(void)
{
    struct fence fence = {.scope = CACHE_FENCE_OBJECT};
    struct fence grants = {.scope = CACHE_FENCE_GRANTS};

    rig_begin();
    rig_blob("ends", 620, 1000, NULL);
    struct task task = reader("ends", 620);
    tasks_run(&task, 1);
    rig_request(&fence.request, "ends", "writer", fence.target);
    rig_on_loop(0, fence_raise_and_lift, &fence);
    ok(!known_now("ends", 60000), "a write whose client left at once: not believed");
    task = reader("ends", 620);
    tasks_run(&task, 1);
    ok(known_now("ends", 60000), "known again");
    rig_request(&grants.request, "ends", "writer", grants.target);
    raise_and_wait(&grants);
    ok(known_now("ends", 60000), "a container's ACL is being written: grants still hold");
    rig_on_loop(0, fence_lift, &grants);
    ok(!known_now("ends", 60000), "it is written: they do not");
    task = reader("ends", 620);
    tasks_run(&task, 1);
    ok(task_good(&task) && known_now("ends", 60000), "until the origin says yes again");
}

/* ---- (i) HEAD ---- */

static void test_head(void)
{
    rig_begin();
    rig_blob("head", 700, 2 * MIB, NULL);
    struct task get = reader("head", 700);
    tasks_run(&get, 1);
    ok(task_good(&get) && get.head_validated_s == 0 && get.tier[0] == '\0', "a GET does not tell the tier");
    struct task head = reader("head", 700);
    head.head = true;
    tasks_run(&head, 1);
    ok(!head.now && head.verdict == CACHE_READY && head.tier[0] != '\0' && head.head_validated_s > 0,
       "a HEAD asks and does (%s)", head.tier);
    is_int(head.generation, get.generation, "of the same generation");
    head = reader("head", 700);
    head.head = true;
    tasks_run(&head, 1);
    ok(head.now && head.tier[0] != '\0', "and then it is known");
    int64_t learnt = head.head_validated_s;
    get = reader("head", 700);
    get.validate = true;
    tasks_run(&get, 1);
    ok(task_good(&get) && get.tier[0] != '\0' && get.head_validated_s == learnt,
       "a GET's validation keeps it, and its age");
    long long sent = rig_stat("body_bytes");
    /* On a busy machine a disk that does not answer for seconds is left out meanwhile: what it has is fetched again. */
    unsigned times = rig_disk_troubles() == 0 ? 1 : 2;
    ok(sent <= (long long) (times * 2 * MIB + 1), "the bytes came once (%lld, %u)", sent, times);
    ok(rig_quiet(), "nothing is left in flight");
}

int main(void)
{
    rig_origin_start();
    /* Without a disk every reader must join the fill. */
    rig_start(0, (uint32_t) MIB);
    rig_grant("alice");
    test_credential_change(false);
    test_credential_change(true);
    test_fenced_readers();
    rig_stop();

    rig_start(1, (uint32_t) MIB);
    test_broken_off();
    test_changes();
    test_lies();
    test_answers();
    test_ahead();
    test_credentials();
    test_validations();
    test_old_probe();
    test_fence(CACHE_FENCE_OBJECT, false, 60000, "a write");
    test_fence(CACHE_FENCE_OBJECT, true, 60000, "a refused write");
    test_fence(CACHE_FENCE_CONTAINER, false, 60000, "a container's");
    test_fence(CACHE_FENCE_CONTAINER, true, 60000, "a container's, refused");
    test_fence(CACHE_FENCE_ACCOUNT, false, CONF_IMMUTABLE, "an account's, immutable");
    test_fence(CACHE_FENCE_ACCOUNT, true, CONF_IMMUTABLE, "an account's, immutable, refused");
    test_fence(CACHE_FENCE_OBJECT, false, CONF_IMMUTABLE, "immutable");
    test_fence(CACHE_FENCE_OBJECT, true, CONF_IMMUTABLE, "immutable, refused");
    test_fence_ends();
    test_head();
    is_int(metric_cell_value(metric_cell(METRIC_FILLS_INFLIGHT, "")), 0, "no fill is left");
    rig_stop();
    rig_origin_stop();
    return done_testing();
}
