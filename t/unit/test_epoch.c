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
        /* Containers of an account share their hi. */
        .container = {.lo = hash128(&(struct { unsigned a, b; }){account, container}, 2 * sizeof(unsigned)).lo,
                      .hi = hash128(&account, sizeof(account)).hi},
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
        epochs_bump(epochs, &key, (enum epoch_level) level);
        for (int i = 0; i < 4; i++) {
            ok(!epochs_fenced(epochs, keys[i]), "%s moved: no fence over %d", names[level], i);
            is_int(epochs_stamp(epochs, keys[i]) != before[i], touched[level][i], "%s moved: stamp of %d", names[level],
                   i);
        }
    }
    epochs_raise(epochs, &key);
    ok(epochs_fenced(epochs, &key), "an object's write is fenced");
    ok(!epochs_fenced(epochs, &sibling) && !epochs_fenced(epochs, &stranger), "and nothing else");
    epochs_lift(epochs, &key, true);
    ok(!epochs_fenced(epochs, &key), "until it has ended");
}

static void test_lift(void)
{
    const struct epoch_key key = key_of(3, 1, 1);
    uint64_t before = epochs_stamp(epochs, &key);

    epochs_raise(epochs, &key);
    uint64_t during = epochs_stamp(epochs, &key);
    epochs_lift(epochs, &key, false);
    ok(epochs_stamp(epochs, &key) == during, "a refused write: what was learnt under the fence's stamp may stand");
    ok(during != before, "but what was known before it does not");

    epochs_raise(epochs, &key);
    during = epochs_stamp(epochs, &key);
    epochs_lift(epochs, &key, true);
    ok(epochs_stamp(epochs, &key) != during, "a write that was done: nothing learnt meanwhile stands");

    epochs_raise(epochs, &key);
    epochs_raise(epochs, &key);
    epochs_lift(epochs, &key, false);
    ok(epochs_fenced(epochs, &key), "fences add up: one of two lifted");
    epochs_lift(epochs, &key, true);
    ok(!epochs_fenced(epochs, &key), "both of them");

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

static atomic_uint wide; /* what a write to the whole account changes */
static atomic_uint told; /* how much of that its writer knows to be done */

static void *writer(void *arg)
{
    const struct epoch_key key = key_of(account, 1, 1);
    (void) arg;
    for (unsigned i = 0; i < WRITES; i++) {
        bool refused = i % 3 == 0;
        epochs_raise(epochs, &key);
        if (!refused)
            atomic_fetch_add(&value, 1);
        epochs_lift(epochs, &key, !refused);
    }
    atomic_fetch_sub(&writers, 1);
    return NULL;
}

static void *wide_writer(void *arg)
{
    const struct epoch_key key = key_of(account, 2, 2);
    (void) arg;
    for (unsigned i = 1; i <= WRITES; i++) {
        atomic_store(&wide, i);
        epochs_bump(epochs, &key, EPOCH_ACCOUNT);
        atomic_store(&told, i);
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
        unsigned learnt = atomic_load(&value), learnt_wide = atomic_load(&wide);
        if (fenced || epochs_fenced(epochs, &key) || epochs_stamp(epochs, &key) != stamp)
            continue;
        atomic_fetch_add(&commits, 1);
        for (int look = 0; look < 4; look++) {
            unsigned is = atomic_load(&value), known = atomic_load(&told);
            if (epochs_stamp(epochs, &key) != stamp || epochs_fenced(epochs, &key))
                break;
            /* The stamp still stands after the value was read: no write has begun since it was learnt. */
            if (is != learnt || learnt_wide < known)
                atomic_fetch_add(&believed_wrong, 1);
        }
    }
    return NULL;
}

static void test_threads(void)
{
    pthread_t threads[4];
    const struct epoch_key key = key_of(account, 1, 1);

    atomic_store(&writers, 2);
    pthread_create(&threads[0], NULL, writer, NULL);
    pthread_create(&threads[1], NULL, wide_writer, NULL);
    pthread_create(&threads[2], NULL, validator, NULL);
    pthread_create(&threads[3], NULL, validator, NULL);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    is_int(atomic_load(&believed_wrong), 0,
           "nothing from before a write is believed after it, nor what a wide one changed once it is told");
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
