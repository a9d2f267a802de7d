/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_epoch.c: stamps and fences. The last part runs writers and validators on threads and holds the protocol to its
 * promise: what was learnt before a write's end is never believed after it.
 */
#include "tap.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/hash.h"
#include "cache/epoch.h"

static struct epochs *epochs;

static struct epoch_key key_of(unsigned account, unsigned container, unsigned object)
{
    return (struct epoch_key){
        .object = hash128(&(struct { unsigned a, b, c; }){account, container, object}, 3 * sizeof(unsigned)),
        .container = hash128(&(struct { unsigned a, b; }){account, container}, 2 * sizeof(unsigned)),
        .account = hash128(&account, sizeof(account)),
    };
}

static void test_levels(void)
{
    const struct epoch_key key = key_of(1, 1, 1);
    const struct epoch_key sibling = key_of(1, 1, 2);
    const struct epoch_key cousin = key_of(1, 2, 1);
    const struct epoch_key stranger = key_of(2, 1, 1);
    const struct epoch_key *keys[] = {&key, &sibling, &cousin, &stranger};
    static const bool touched[EPOCH_LEVELS][4] = {
        [EPOCH_OBJECT] = {true, false, false, false},
        [EPOCH_CONTAINER] = {true, true, false, false},
        [EPOCH_ACCOUNT] = {true, true, true, false},
    };
    static const char *const names[] = {"object", "container", "account"};

    for (int level = 0; level < EPOCH_LEVELS; level++) {
        uint64_t before[4];
        for (int i = 0; i < 4; i++)
            before[i] = epochs_stamp(epochs, keys[i]);
        epochs_raise(epochs, &key, (enum epoch_level) level);
        for (int i = 0; i < 4; i++) {
            is_int(epochs_fenced(epochs, keys[i]), touched[level][i], "%s raised: fence over %d", names[level], i);
            is_int(epochs_stamp(epochs, keys[i]) != before[i], touched[level][i], "%s raised: stamp of %d",
                   names[level], i);
        }
        epochs_lift(epochs, &key, (enum epoch_level) level, true);
        for (int i = 0; i < 4; i++)
            ok(!epochs_fenced(epochs, keys[i]), "%s lifted: no fence over %d", names[level], i);
    }
}

static void test_lift(void)
{
    const struct epoch_key key = key_of(3, 1, 1);
    uint64_t before = epochs_stamp(epochs, &key);

    epochs_raise(epochs, &key, EPOCH_OBJECT);
    uint64_t during = epochs_stamp(epochs, &key);
    epochs_lift(epochs, &key, EPOCH_OBJECT, false);
    ok(epochs_stamp(epochs, &key) == during, "a refused write: what was learnt under the fence's stamp may stand");
    ok(during != before, "but what was known before it does not");

    epochs_raise(epochs, &key, EPOCH_OBJECT);
    during = epochs_stamp(epochs, &key);
    epochs_lift(epochs, &key, EPOCH_OBJECT, true);
    ok(epochs_stamp(epochs, &key) != during, "a write that was done: nothing learnt meanwhile stands");

    epochs_raise(epochs, &key, EPOCH_OBJECT);
    epochs_raise(epochs, &key, EPOCH_CONTAINER);
    epochs_raise(epochs, &key, EPOCH_OBJECT);
    epochs_lift(epochs, &key, EPOCH_OBJECT, false);
    ok(epochs_fenced(epochs, &key), "fences add up: one of three lifted");
    epochs_lift(epochs, &key, EPOCH_OBJECT, true);
    ok(epochs_fenced(epochs, &key), "two of three");
    epochs_lift(epochs, &key, EPOCH_CONTAINER, false);
    ok(!epochs_fenced(epochs, &key), "all of them");

    before = epochs_stamp(epochs, &key);
    epochs_bump(epochs, &key, EPOCH_OBJECT);
    ok(epochs_stamp(epochs, &key) != before && !epochs_fenced(epochs, &key), "a bump: another stamp, no fence");
}

/* ---- Threads: writers change a value between raise and lift; validators read it as a probe would. ---- */

#define WRITES 20000

static const unsigned account = 9;
static atomic_uint value;   /* the blob at the origin */
static atomic_uint writers; /* still at it */
static atomic_uint believed_wrong;
static atomic_uint commits;

static void *writer(void *arg)
{
    const struct epoch_key key = key_of(account, 1, 1);
    enum epoch_level level = *(enum epoch_level *) arg;
    for (unsigned i = 0; i < WRITES; i++) {
        bool refused = i % 3 == 0;
        epochs_raise(epochs, &key, level);
        if (!refused)
            atomic_fetch_add(&value, 1);
        epochs_lift(epochs, &key, level, !refused);
    }
    atomic_fetch_sub(&writers, 1);
    return NULL;
}

/* Learns the value, commits it if the stamp stands, and believes it as long as the stamp stands: then it must be what
 * the origin has. */
static void *validator(void *arg)
{
    const struct epoch_key key = key_of(account, 1, 1);
    (void) arg;
    while (atomic_load(&writers) > 0 || atomic_load(&commits) == 0) {
        uint64_t stamp = epochs_stamp(epochs, &key);
        bool fenced = epochs_fenced(epochs, &key);
        unsigned learnt = atomic_load(&value);
        if (fenced || epochs_fenced(epochs, &key) || epochs_stamp(epochs, &key) != stamp)
            continue;
        atomic_fetch_add(&commits, 1);
        for (int look = 0; look < 4; look++) {
            unsigned is = atomic_load(&value);
            if (epochs_stamp(epochs, &key) != stamp || epochs_fenced(epochs, &key))
                break;
            /* The stamp still stands after the value was read: no write has begun since it was learnt. */
            if (is != learnt)
                atomic_fetch_add(&believed_wrong, 1);
        }
    }
    return NULL;
}

static void test_threads(void)
{
    static enum epoch_level levels[] = {EPOCH_OBJECT, EPOCH_ACCOUNT};
    pthread_t threads[4];
    const struct epoch_key key = key_of(account, 1, 1);

    atomic_store(&writers, 2);
    pthread_create(&threads[0], NULL, writer, &levels[0]);
    pthread_create(&threads[1], NULL, writer, &levels[1]);
    pthread_create(&threads[2], NULL, validator, NULL);
    pthread_create(&threads[3], NULL, validator, NULL);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    is_int(atomic_load(&believed_wrong), 0, "nothing from before a write is believed after it");
    ok(atomic_load(&commits) > 0, "some validations did stand (%u)", atomic_load(&commits));
    ok(!epochs_fenced(epochs, &key), "all fences are down");
}

int main(void)
{
    epochs = epochs_new();
    test_levels();
    test_lift();
    test_threads();
    epochs_free(epochs);
    return done_testing();
}
