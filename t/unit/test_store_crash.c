/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_store_crash.c: a process that ends without closing. Children fill stores and _exit at some instant; the parent
 * then opens what they left: what was committed is there and right, nothing is ever wrong, and no tombstone is
 * forgotten.
 *
 * All children run before the parent starts its first thread, since a fork keeps only the calling one.
 */
#include <signal.h>
#include <sys/wait.h>

#include "store_fixture.h"
#include "tap.h"

#define BLOCK (64 * KIB)
#define SIZE (24 * MIB)
#define OBJECTS 40
/* Bytes of a blob of which four fill a segment, but for their records and one more. */
#define PACKED 16000
#define LONG_RECORD 2000
#define GROUP(object) fixture_hash((object) % 10 + 1000000)

/* Runs `work` in a child with a store on `path`, which is left as it is when the work returns. */
static bool leave(const char *path, void (*work)(struct store *store))
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        fixture_start();
        work(fixture_open_loaded(path, SIZE, BLOCK));
        _exit(0);
    }
    int status = -1;
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static uint64_t length_of(uint64_t object)
{
    return object % 3 == 0 ? object * 100 : object * BLOCK / 8 + object;
}

static void work_committed(struct store *store)
{
    for (uint64_t object = 1; object <= OBJECTS; object++)
        fixture_put_object(store, object, length_of(object), 1000 + (int64_t) object);
    fixture_flush(store);
    /* These are not waited for. */
    for (uint64_t object = 100; object < 130; object++)
        fixture_put_object(store, object, length_of(object % 20), 1000);
}

/* Eviction all the time and no flush: index rows that speak of slots long written over. */
static void work_churn(struct store *store)
{
    for (uint64_t object = 1; object < 400; object++) {
        fixture_put_object(store, object, length_of(object % 97), 1000);
        if (object % 150 == 0)
            fixture_flush(store);
    }
}

static void wait_tombstone(struct store *store, struct hash128 name, bool group)
{
    struct arrival arrival;
    arrival_init(&arrival);
    if (group) {
        store_intent_begin(store, fixture_loop, &arrival.letter);
        arrival_wait(&arrival, 1);
        store_tombstone_group(store, name, fixture_loop, &arrival.letter);
    } else
        store_tombstone(store, name, fixture_loop, &arrival.letter);
    arrival_wait(&arrival, 1);
}

static void begin_intent(struct store *store)
{
    struct arrival arrival;
    arrival_init(&arrival);
    store_intent_begin(store, fixture_loop, &arrival.letter);
    arrival_wait(&arrival, 1);
}

/* Two wide writes of which one is refused while the other is under way. */
static void work_intent(struct store *store)
{
    for (uint64_t object = 1; object <= OBJECTS; object++)
        fixture_put_object(store, object, 1000, 5000);
    fixture_flush(store);
    begin_intent(store);
    begin_intent(store);
    store_intent_end(store);
    fixture_put_object(store, 41, 1000, 5000); /* what is validated meanwhile is not believed either */
    fixture_flush(store);
}

/* Each end is told of: refused ones in a row, and one that was done. */
static void work_intents_ended(struct store *store)
{
    for (uint64_t object = 1; object <= OBJECTS; object++)
        fixture_put_object(store, object, 1000, 5000);
    for (unsigned i = 0; i < 100; i++) {
        begin_intent(store);
        store_intent_end(store);
    }
    wait_tombstone(store, GROUP(2), true);
    fixture_flush(store);
}

static void work_tombstones(struct store *store)
{
    for (uint64_t object = 1; object <= OBJECTS; object++)
        fixture_put_object(store, object, 1000, 5000);
    fixture_flush(store);
    wait_tombstone(store, fixture_hash(1), false);
    wait_tombstone(store, GROUP(2), true);
    fixture_flush(store); /* the intent's mark goes with a full round: a crash before it would cost all of them */
    wait_tombstone(store, fixture_hash(999), false); /* unknown: answered at once */
    fixture_put_object(store, 500, 1000, 5000);      /* not committed, but its tombstone is durable all the same */
    wait_tombstone(store, fixture_hash(500), false);
    struct store_generation *again = fixture_object(store, 1, 1000, 0);
    store_generation_unref(&again);
    wait_tombstone(store, fixture_hash(3), false);
}

static void set_long_record(struct store *store, uint64_t object)
{
    char record[LONG_RECORD];
    memset(record, 'l', sizeof record);
    struct store_generation *generation = store_generation_new(store, fixture_hash(object), GROUP(object), 0, 1000,
                                                               (struct str){record, sizeof record}, NULL);
    store_object_set(store, generation, 1000, 7);
    store_generation_unref(&generation);
}

/* A segment full of blocks, but for a short record. A tombstone's round then writes the row of a longer one that lies
 * nowhere yet. */
static void work_longer_record(struct store *store)
{
    struct store_generation *generation = fixture_object(store, 1, 1000, 1000);
    store_generation_unref(&generation);
    fixture_flush(store);
    for (uint64_t object = 2; object <= 5; object++)
        fixture_put_object(store, object, PACKED, 1000);
    fixture_flush(store);
    set_long_record(store, 1);
    wait_tombstone(store, fixture_hash(1), false);
}

/* A tombstone before the objects are loaded. */
static void early_tombstone(const char *path)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        fixture_start();
        struct store *store = fixture_open(path, SIZE, BLOCK, NULL);
        wait_tombstone(store, fixture_hash(4), false);
        wait_tombstone(store, GROUP(5), true);
        fixture_flush(store);
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
}

/* Killed from outside while it works. */
static void killed(const char *path, useconds_t after)
{
    int started[2];
    if (pipe(started) != 0)
        abort();
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        fixture_start();
        struct store *store = fixture_open(path, SIZE, BLOCK, NULL);
        if (write(started[1], "x", 1) != 1)
            _exit(1);
        for (uint64_t object = 1;; object++) {
            fixture_put_object(store, object % 300, length_of(object % 300 % 97), 1000);
            if (object % 37 == 0)
                fixture_flush(store);
        }
    }
    char byte;
    if (read(started[0], &byte, 1) != 1)
        abort();
    close(started[0]);
    close(started[1]);
    usleep(after); /* any instant will do: this is the campaign's dice, not a wait for something */
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

static void test_committed(const char *path)
{
    struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
    struct found found = fixture_inspect(store, 1, OBJECTS);
    is_int(found.objects, OBJECTS, "all committed objects are there");
    is_int(found.missing, 0, "with all their blocks");
    is_int(found.wrong, 0, "which are right");
    is_int(found.validated, OBJECTS, "and their times");
    found = fixture_inspect(store, 100, 130);
    is_int(found.wrong, 0, "of what was not committed nothing is wrong (%u blocks there)", found.blocks);
    fixture_close(store);
}

static void test_wrong(const char *path, const char *what)
{
    int64_t corrupt = fixture_metric(METRIC_STORE_CORRUPT);
    struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
    struct found found = fixture_inspect(store, 0, 400);
    is_int(found.wrong, 0, "%s: of %u blocks none is wrong, %u were not there", what, found.blocks, found.missing);
    is_int(fixture_metric(METRIC_STORE_CORRUPT), corrupt, "%s: nothing counts as damaged", what);
    /* And it still works. */
    fixture_put_object(store, 777, 3 * BLOCK, 1);
    ok(fixture_inspect(store, 777, 777).blocks == 3, "%s: it takes blocks again", what);
    fixture_close(store);
    ok(fixture_usage(path) <= SIZE, "%s: within its size", what);
}

static void test_tombstones(const char *path, bool early)
{
    struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
    ok(fixture_validated(store, 1) <= 0, "a tombstone survives");
    ok(fixture_validated(store, 3) == 0, "so does the last one before the end");
    ok(fixture_validated(store, 2) == 0 && fixture_validated(store, 12) == 0, "a group's takes all its objects");
    ok(fixture_validated(store, 500) <= 0, "one for an object that was never committed as well");
    is_int(fixture_validated(store, 6), 5000, "others keep their time");
    is_int(fixture_validated(store, 4), early ? 0 : 5000,
           early ? "a tombstone that came while loading holds" : "object 4 is fresh");
    is_int(fixture_validated(store, 15), early ? 0 : 5000, early ? "a group's as well" : "object 15 is fresh");
    ok(fixture_inspect(store, 3, 3).blocks == 1, "a tombstone costs a validation, not the bytes");
    fixture_close(store);
}

/* Group rows leave the index once they have done their work: the second start must not need them. */
static void test_tombstones_settle(const char *path)
{
    struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
    fixture_flush(store);
    fixture_flush(store);
    struct store_view view;
    if (store_object_find(store, fixture_hash(2), &view)) {
        store_object_set(store, view.generation, 6000, 1);
        store_generation_unref(&view.generation);
    }
    fixture_close(store);
    store = fixture_open_loaded(path, SIZE, BLOCK);
    is_int(fixture_validated(store, 2), 6000, "what is validated after a group's tombstone stays so");
    is_int(fixture_validated(store, 12), 0, "and what was not, not");
    fixture_close(store);
}

/* A mark costs each object a validation, once, and is gone when all of that is written. */
static void test_intent(const char *path)
{
    struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
    struct found found = fixture_inspect(store, 1, OBJECTS + 1);
    is_int(found.objects, OBJECTS + 1, "an intent at the end of a process: every object is there");
    is_int(found.missing + found.wrong, 0, "with its bytes");
    is_int(found.validated, 0, "and none counts as validated");
    struct store_view view;
    if (store_object_find(store, fixture_hash(2), &view)) {
        store_object_set(store, view.generation, 6000, 1);
        store_generation_unref(&view.generation);
    }
    fixture_flush(store);
    fixture_flush(store);
    fixture_close(store);
    store = fixture_open_loaded(path, SIZE, BLOCK);
    is_int(fixture_validated(store, 2), 6000, "what was validated after that stays so");
    is_int(fixture_validated(store, 3), 0, "and what was not, not");
    fixture_close(store);
}

static void test_intents_ended(const char *path)
{
    struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
    is_int(fixture_validated(store, 2), 0, "after intents that ended: what was changed is not validated");
    is_int(fixture_inspect(store, 1, OBJECTS).validated, OBJECTS - OBJECTS / 10, "all the rest is");
    fixture_close(store);
}

static size_t record_length(struct store *store, uint64_t object)
{
    struct store_view view;
    if (!store_object_find(store, fixture_hash(object), &view))
        return 0;
    size_t length = view.generation->record.len;
    store_generation_unref(&view.generation);
    rcu_quiescent_state();
    return length;
}

/* A record takes the room of its own entry, not of an earlier one, and gets an entry when it had none. */
static void test_longer_record(const char *path)
{
    char index[4200];
    struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
    is_int(record_length(store, 1), LONG_RECORD, "a record that only its row had is there");
    is_int(fixture_inspect(store, 2, 5).blocks, 4, "and every block that lies with the one before it");
    fixture_close(store);
    snprintf(index, sizeof index, "%s/index", path);
    fixture_take_away(index);
    store = fixture_open_loaded(path, SIZE, BLOCK);
    is_int(record_length(store, 1), LONG_RECORD, "it is found without the index from then on");
    fixture_close(store);
}

int main(void)
{
    char *committed = fixture_directory(), *churn = fixture_directory(), *tombs = fixture_directory();
    char *campaign = fixture_directory(), *intent = fixture_directory(), *ended = fixture_directory();
    char *longer = fixture_directory();
    ok(leave(committed, work_committed), "a child left a store");
    ok(leave(churn, work_churn), "another left one in churn");
    ok(leave(churn, work_churn), "a third went on with it");
    ok(leave(tombs, work_tombstones), "another left tombstones");
    ok(leave(intent, work_intent), "another an intent");
    ok(leave(ended, work_intents_ended), "another none");
    ok(leave(longer, work_longer_record), "another a record longer than the one on the disk");
    /* What the campaign left is read by a child each time, so that the parent has no threads yet. */
    for (unsigned i = 0; i < 8; i++)
        killed(campaign, 20000 + i * 23000);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        dup2(STDERR_FILENO, STDOUT_FILENO); /* one process alone numbers its checks */
        fixture_start();
        test_tombstones(tombs, false);
        _exit(tap_failed == 0 ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    ok(WIFEXITED(status) && WEXITSTATUS(status) == 0, "tombstones hold at the first start");
    early_tombstone(tombs);
    fixture_start();
    test_committed(committed);
    test_wrong(churn, "churn");
    test_wrong(campaign, "killed");
    test_tombstones(tombs, true);
    test_tombstones_settle(tombs);
    test_intent(intent);
    test_intents_ended(ended);
    test_longer_record(longer);
    fixture_stop();
    fixture_remove(committed);
    fixture_remove(churn);
    fixture_remove(tombs);
    fixture_remove(campaign);
    fixture_remove(intent);
    fixture_remove(ended);
    fixture_remove(longer);
    return done_testing();
}
