/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_grant.c: what a remembered yes covers and when it ends, and look-ups while grants are added, dropped, revoked
 * and evicted on other threads.
 */
#include "tap.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>
#include <urcu-qsbr.h>

#include "base/clock.h"
#include "cache/grant.h"
#include "on_loop.h"

static struct grants *grants;

static struct cache_request request_of(unsigned credential, unsigned scope, unsigned account)
{
    struct cache_request request = {
        .scope = hash128(&scope, sizeof(scope)),
        .account_hash = hash128(&account, sizeof(account)),
        .expires_s = INT64_MAX,
        .authorize_ttl = 60000,
    };
    struct hash128 half = hash128(&credential, sizeof(credential));
    memcpy(request.credential.bytes, &half, sizeof(half));
    return request;
}

static void add(const struct cache_request *request, enum cache_want operation)
{
    grants_add(grants, request, operation, grants_stamp(grants, request), clock_mono_ms());
}

static void test_what(void)
{
    const struct cache_request request = request_of(1, 1, 1);
    const struct cache_request other_credential = request_of(2, 1, 1);
    const struct cache_request other_scope = request_of(1, 2, 1);

    ok(!grants_allow(grants, &request, CACHE_WANT_GET), "nothing is granted at first");
    add(&request, CACHE_WANT_GET);
    ok(grants_allow(grants, &request, CACHE_WANT_GET), "a yes to GET is a yes to GET");
    ok(grants_allow(grants, &request, CACHE_WANT_HEAD), "and to HEAD");
    ok(!grants_allow(grants, &other_credential, CACHE_WANT_GET), "not to another credential");
    ok(!grants_allow(grants, &other_scope, CACHE_WANT_GET), "not for another scope");

    add(&other_scope, CACHE_WANT_HEAD);
    ok(grants_allow(grants, &other_scope, CACHE_WANT_HEAD), "a yes to HEAD is a yes to HEAD");
    ok(!grants_allow(grants, &other_scope, CACHE_WANT_GET), "and to nothing else");
    add(&other_scope, CACHE_WANT_GET);
    ok(grants_allow(grants, &other_scope, CACHE_WANT_GET), "GET's own yes comes beside it");

    grants_drop(grants, &other_scope);
    ok(!grants_allow(grants, &other_scope, CACHE_WANT_GET) && !grants_allow(grants, &other_scope, CACHE_WANT_HEAD),
       "dropped: both operations");
    ok(grants_allow(grants, &request, CACHE_WANT_GET), "the other scope's stays");
}

static void test_when(void)
{
    struct cache_request request = request_of(10, 1, 1);

    request.authorize_ttl = 0;
    add(&request, CACHE_WANT_GET);
    ok(!grants_allow(grants, &request, CACHE_WANT_GET), "a TTL of 0 remembers nothing");

    request.authorize_ttl = 30;
    int64_t from = clock_mono_ms();
    add(&request, CACHE_WANT_GET);
    bool during = grants_allow(grants, &request, CACHE_WANT_GET);
    ok(during || clock_mono_ms() - from >= 30, "good within its TTL");
    while (nap_until(from + 33))
        ;
    ok(!grants_allow(grants, &request, CACHE_WANT_GET), "not after it");

    request = request_of(11, 1, 1);
    request.expires_s = clock_wall_s();
    add(&request, CACHE_WANT_GET);
    ok(!grants_allow(grants, &request, CACHE_WANT_GET), "a credential that has expired is good for nothing");
    request = request_of(12, 1, 1);
    request.expires_s = clock_wall_s() + 3600;
    add(&request, CACHE_WANT_GET);
    ok(grants_allow(grants, &request, CACHE_WANT_GET), "one that has not is");
    request = request_of(13, 1, 1);
    request.authorize_ttl = INT64_MAX;
    add(&request, CACHE_WANT_GET);
    ok(grants_allow(grants, &request, CACHE_WANT_GET), "the longest TTL is no overflow");
}

static void test_revoke(void)
{
    const struct cache_request request = request_of(20, 1, 5);
    const struct cache_request elsewhere = request_of(20, 1000, 6);

    add(&request, CACHE_WANT_GET);
    add(&elsewhere, CACHE_WANT_GET);
    grants_revoke(grants, request.account_hash);
    ok(!grants_allow(grants, &request, CACHE_WANT_GET), "revoked with its account");
    ok(grants_allow(grants, &elsewhere, CACHE_WANT_GET), "another account's stays");

    uint64_t stamp = grants_stamp(grants, &request);
    grants_revoke(grants, request.account_hash);
    grants_add(grants, &request, CACHE_WANT_GET, stamp, clock_mono_ms());
    ok(!grants_allow(grants, &request, CACHE_WANT_GET), "a yes to a probe from before the revocation is void");
    add(&request, CACHE_WANT_GET);
    ok(grants_allow(grants, &request, CACHE_WANT_GET), "a later one is not");
}

/* Of another node, which had asked some time before. */
static void test_inherited(void)
{
    const struct cache_request request = request_of(25, 1, 9);
    const struct cache_request elsewhere = request_of(25, 1000, 10);
    const int64_t asked_ms = clock_mono_ms() - 5000;

    grants_add(grants, &request, CACHE_WANT_GET, grants_stamp(grants, &request), asked_ms);
    ok(grants_allow(grants, &request, CACHE_WANT_GET), "a yes of five seconds ago");
    ok(grants_age_ms(grants, &request, CACHE_WANT_GET) >= 5000, "is as old as that");
    grants_revoke(grants, request.account_hash);
    grants_add(grants, &request, CACHE_WANT_GET, grants_stamp(grants, &request), asked_ms);
    ok(!grants_allow(grants, &request, CACHE_WANT_GET),
       "of before a revocation it is void, though it comes after that");
    ok(grants_void(grants, &request, asked_ms), "as can be asked");
    ok(!grants_void(grants, &elsewhere, asked_ms), "another account's is not");
    grants_add(grants, &elsewhere, CACHE_WANT_GET, grants_stamp(grants, &elsewhere), asked_ms);
    ok(grants_allow(grants, &elsewhere, CACHE_WANT_GET), "and is kept");
    const int64_t revoked_ms = clock_mono_ms();
    while (clock_mono_ms() == revoked_ms)
        nap();
    ok(!grants_void(grants, &request, clock_mono_ms()), "nor is one of after it");
    grants_add(grants, &request, CACHE_WANT_GET, grants_stamp(grants, &request), clock_mono_ms());
    ok(grants_allow(grants, &request, CACHE_WANT_GET), "which is kept, too");

    const struct cache_request early = request_of(26, 1, 11);
    ok(!grants_void(grants, &early, -100),
       "nothing is void where nothing was revoked: another machine is up for longer");
}

/* A table of one set: four places. */
static void test_eviction(void)
{
    struct grants *kept = grants;
    struct cache_request requests[6];

    grants = grants_new(4);
    for (unsigned i = 0; i < 6; i++) {
        requests[i] = request_of(30 + i, 1, 1);
        requests[i].authorize_ttl = 10000 + 1000 * (int64_t) (i < 4 ? i : 10 + i);
    }
    for (unsigned i = 0; i < 4; i++)
        add(&requests[i], CACHE_WANT_GET);
    for (unsigned i = 0; i < 4; i++)
        ok(grants_allow(grants, &requests[i], CACHE_WANT_GET), "a full set: %u is there", i);
    requests[0].authorize_ttl = 20000;
    add(&requests[0], CACHE_WANT_GET);
    ok(grants_allow(grants, &requests[1], CACHE_WANT_GET), "renewing one evicts none");
    add(&requests[4], CACHE_WANT_GET);
    ok(!grants_allow(grants, &requests[1], CACHE_WANT_GET), "the fifth takes the place of the one that ends first");
    ok(grants_allow(grants, &requests[0], CACHE_WANT_GET) && grants_allow(grants, &requests[2], CACHE_WANT_GET) &&
           grants_allow(grants, &requests[3], CACHE_WANT_GET) && grants_allow(grants, &requests[4], CACHE_WANT_GET),
       "the others stay");
    add(&requests[5], CACHE_WANT_GET);
    ok(!grants_allow(grants, &requests[2], CACHE_WANT_GET), "and so on");
    grants_free(grants);
    grants = kept;
}

/* ---- Threads. ---- */

#define ROUNDS 20000
#define CREDENTIALS 64 /* many for 16 places */

static atomic_uint wrong;
static atomic_uint hits;
static atomic_uint changers;

/* Even credentials are ever granted, odd ones never. */
static void *looker(void *arg)
{
    (void) arg;
    rcu_register_thread();
    for (unsigned i = 0; atomic_load(&changers) > 0 || i < ROUNDS; i++) {
        unsigned credential = i % CREDENTIALS;
        const struct cache_request request = request_of(credential, 7, 7);
        if (grants_allow(grants, &request, CACHE_WANT_GET)) {
            atomic_fetch_add(&hits, 1);
            if (credential % 2 == 1)
                atomic_fetch_add(&wrong, 1);
        }
        rcu_quiescent_state();
    }
    rcu_unregister_thread();
    return NULL;
}

static void *changer(void *arg)
{
    unsigned seed = *(unsigned *) arg;
    rcu_register_thread();
    for (unsigned i = 0; i < ROUNDS; i++) {
        const struct cache_request request = request_of((i * 2 + seed) % CREDENTIALS & ~1u, 7, 7);
        add(&request, CACHE_WANT_GET);
        if (i % 7 == seed)
            grants_drop(grants, &request);
        if (i % 101 == 0)
            grants_revoke(grants, request.account_hash);
        rcu_quiescent_state();
    }
    atomic_fetch_sub(&changers, 1);
    rcu_unregister_thread();
    return NULL;
}

static void test_threads(void)
{
    static unsigned seeds[] = {0, 2};
    struct grants *kept = grants;
    pthread_t threads[4];

    grants = grants_new(16);
    atomic_store(&changers, 2);
    pthread_create(&threads[0], NULL, looker, NULL);
    pthread_create(&threads[1], NULL, looker, NULL);
    pthread_create(&threads[2], NULL, changer, &seeds[0]);
    pthread_create(&threads[3], NULL, changer, &seeds[1]);
    rcu_thread_offline();
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    rcu_thread_online();
    is_int(atomic_load(&wrong), 0, "nobody was granted what nobody added");
    ok(atomic_load(&hits) > 0, "some look-ups hit (%u)", atomic_load(&hits));
    grants_free(grants);
    grants = kept;
}

int main(void)
{
    rcu_register_thread();
    grants = grants_new(1024);
    test_what();
    test_when();
    test_revoke();
    test_inherited();
    test_eviction();
    test_threads();
    grants_free(grants);
    rcu_unregister_thread();
    return done_testing();
}
