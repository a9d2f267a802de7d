/* SPDX-License-Identifier: Apache-2.0 */
/* grant.c: the table of grants. A place changes by one exchange; what was in it is freed after a grace period. */
#include "cache/grant.h"

#include <stdatomic.h>

#include "base/clock.h"
#include "base/container.h"
#include "base/mem.h"
#include "base/metric.h"
#include "base/rcu.h"

#define GRANT_WAYS 4
#define GRANT_ACCOUNTS 256 /* accounts that share a place here lose grants together: a probe each */

struct grant {
    struct rcu_head rcu;
    struct digest credential;
    struct hash128 scope;
    enum cache_want operation;
    uint64_t stamp;
    int64_t asked_ms; /* monotonic, as the next */
    int64_t until_ms;
    int64_t expires_s; /* wall clock: the credential's own end */
};

struct grants {
    unsigned mask; /* sets - 1 */
    atomic_uint_fast64_t revocations[GRANT_ACCOUNTS];
    atomic_int_fast64_t revoked_ms[GRANT_ACCOUNTS]; /* the last one */
    _Atomic(struct grant *) places[];
};

struct grants *grants_new(unsigned max)
{
    unsigned sets = 1;
    while (sets * GRANT_WAYS < max)
        sets *= 2;
    struct grants *grants = mem_calloc(1, sizeof *grants + sizeof grants->places[0] * sets * GRANT_WAYS);
    grants->mask = sets - 1;
    for (unsigned i = 0; i < GRANT_ACCOUNTS; i++)
        atomic_init(&grants->revoked_ms[i], INT64_MIN);
    return grants;
}

void grants_free(struct grants *grants)
{
    if (grants == NULL)
        return;
    for (size_t i = 0; i < ((size_t) grants->mask + 1) * GRANT_WAYS; i++)
        mem_free(atomic_load(&grants->places[i]));
    mem_free(grants);
}

static void grant_free(struct rcu_head *head)
{
    RCU_SEEN(head);
    struct grant *grant = CONTAINER_OF(head, struct grant, rcu);
    RCU_RECLAIM(mem_free(grant));
}

static void grant_retire(struct grant *grant)
{
    if (grant != NULL) {
        metric_add(METRIC_GRANTS, -1);
        rcu_later(&grant->rcu, grant_free);
    }
}

static _Atomic(struct grant *) *set_of(struct grants *grants, const struct cache_request *request)
{
    uint64_t hash;
    memcpy(&hash, request->credential.bytes, sizeof hash);
    hash = hash_mix(hash, request->scope.lo);
    return &grants->places[(size_t) (hash & grants->mask) * GRANT_WAYS];
}

static bool grant_is_for(const struct grant *grant, const struct cache_request *request)
{
    return hash128_eq(grant->scope, request->scope) && digest_eq(&grant->credential, &request->credential);
}

uint64_t grants_stamp(struct grants *grants, const struct cache_request *request)
{
    return atomic_load(&grants->revocations[request->account_hash.lo % GRANT_ACCOUNTS]);
}

bool grants_void(struct grants *grants, const struct cache_request *request, int64_t asked_ms)
{
    return asked_ms < atomic_load(&grants->revoked_ms[request->account_hash.lo % GRANT_ACCOUNTS]);
}

static bool grant_holds(struct grants *grants, const struct grant *grant, const struct cache_request *request)
{
    return grant->stamp == grants_stamp(grants, request) && clock_mono_ms() < grant->until_ms &&
           clock_wall_s() < grant->expires_s;
}

/* Good until the thread's next quiescent state. */
static const struct grant *find(struct grants *grants, const struct cache_request *request, enum cache_want operation)
{
    _Atomic(struct grant *) *set = set_of(grants, request);
    for (unsigned way = 0; way < GRANT_WAYS; way++) {
        const struct grant *grant = atomic_load_explicit(&set[way], memory_order_acquire);
        if (grant != NULL && (grant->operation == CACHE_WANT_GET || operation == CACHE_WANT_HEAD) &&
            grant_is_for(grant, request) && grant_holds(grants, grant, request))
            return grant;
    }
    return NULL;
}

bool grants_allow(struct grants *grants, const struct cache_request *request, enum cache_want operation)
{
    return request->vouched || request->granted || find(grants, request, operation) != NULL;
}

int64_t grants_age_ms(struct grants *grants, const struct cache_request *request, enum cache_want operation)
{
    const struct grant *grant = find(grants, request, operation);
    return grant == NULL ? 0 : clock_mono_ms() - grant->asked_ms;
}

void grants_add(struct grants *grants, const struct cache_request *request, enum cache_want operation, uint64_t stamp,
                int64_t asked_ms)
{
    if (request->vouched || request->granted || request->authorize_ttl <= 0 || stamp != grants_stamp(grants, request) ||
        grants_void(grants, request, asked_ms))
        return;
    int64_t until_ms;
    if (__builtin_add_overflow(asked_ms, request->authorize_ttl, &until_ms))
        until_ms = INT64_MAX;
    if (until_ms <= clock_mono_ms())
        return; /* another node's, who had asked long ago */
    struct grant *grant = mem_calloc(1, sizeof *grant);
    grant->credential = request->credential;
    grant->scope = request->scope;
    grant->operation = operation;
    grant->stamp = stamp;
    grant->asked_ms = asked_ms;
    grant->until_ms = until_ms;
    grant->expires_s = request->expires_s;

    /* Its own old place, else an empty one, else that of the grant which ends first. */
    _Atomic(struct grant *) *set = set_of(grants, request);
    unsigned place = 0;
    int64_t soonest = INT64_MAX;
    for (unsigned way = 0; way < GRANT_WAYS; way++) {
        const struct grant *old = atomic_load_explicit(&set[way], memory_order_acquire);
        if (old != NULL && old->operation == operation && grant_is_for(old, request)) {
            place = way;
            break;
        }
        int64_t ends = old == NULL ? INT64_MIN : old->until_ms;
        if (ends < soonest) {
            soonest = ends;
            place = way;
        }
    }
    metric_add(METRIC_GRANTS, 1);
    grant_retire(atomic_exchange(&set[place], grant));
}

void grants_drop(struct grants *grants, const struct cache_request *request)
{
    _Atomic(struct grant *) *set = set_of(grants, request);
    for (unsigned way = 0; way < GRANT_WAYS; way++) {
        struct grant *grant = atomic_load_explicit(&set[way], memory_order_acquire);
        /* A grant put there meanwhile is a newer yes and stays. */
        if (grant != NULL && grant_is_for(grant, request) && atomic_compare_exchange_strong(&set[way], &grant, NULL))
            grant_retire(grant);
    }
}

void grants_revoke(struct grants *grants, struct hash128 account)
{
    unsigned place = account.lo % GRANT_ACCOUNTS;
    int_fast64_t now_ms = clock_mono_ms(), before_ms = atomic_load(&grants->revoked_ms[place]);
    while (before_ms < now_ms && !atomic_compare_exchange_weak(&grants->revoked_ms[place], &before_ms, now_ms))
        continue;
    /* Last: who takes the new stamp sees the time, too. */
    atomic_fetch_add(&grants->revocations[place], 1);
}
