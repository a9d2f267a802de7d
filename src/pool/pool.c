/* SPDX-License-Identifier: Apache-2.0 */
/* pool.c: see pool.h. */
#include "pool/pool.h"

#include <openssl/pem.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rcu.h"
#include "net/loop.h"
#include "net/tls.h"
#include "pool/discover.h"
#include "pool/entry.h"
#include "pool/follow.h"
#include "pool/hedges.h"
#include "pool/peers.h"

/* Who had nothing of what it was asked for so often in a row is asked again after so long. */
#define NOTHING_FEW 8
#define NOTHING_MS 1000
/* A member that does not take a connection in this time, or on which one is silent that owes something, is passed over:
 * whoever is read from can be reached in much less. And what is idle for so long ends; ms. */
#define CONNECT_MS 1000
#define SILENCE_MS 2000
#define IDLE_MS 60000
/* Connections of a node: a sidecar has few, so that a hundred thousand of them are not too many for the members. */
#define CONNECTIONS_CLIENT 32
#define CONNECTIONS_MEMBER 65536

struct pool {
    const struct conf_pool *conf;
    struct identity own;
    struct tls *server;
    struct tls *client;
    struct members *members;
    struct discover *discover;
    struct follow *follow; /* a sidecar's */
    uint64_t entry_key;
    struct peers_terms terms;
    struct peers_total total;
};

/* ---- Up and down. ---- */

static X509 *read_certificate(const char *path)
{
    FILE *file = fopen(path, "re");
    X509 *certificate = file == NULL ? NULL : PEM_read_X509(file, NULL, NULL, NULL);
    if (file != NULL)
        fclose(file);
    return certificate;
}

/* As others will look at it (tls.h), whatever the time: who has ended can still serve its own clients. */
static bool is_issued(X509 *certificate, const char *ca)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *look = X509_STORE_CTX_new();
    bool issued = X509_STORE_load_file(store, ca) == 1 && X509_STORE_CTX_init(look, store, certificate, NULL) == 1;
    X509_STORE_CTX_set_flags(look, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_NO_CHECK_TIME);
    X509_STORE_CTX_set_depth(look, 0);
    issued = issued && X509_verify_cert(look) == 1;
    X509_STORE_CTX_free(look);
    X509_STORE_free(store);
    return issued;
}

/* A certificate that says something else would be refused by all others, one by one. */
static enum status check_identity(const struct pool *pool, struct strbuf *error)
{
    struct identity found;
    char wanted[IDENTITY_TEXT], is[IDENTITY_TEXT] = "no URI, or several, of headpond://";
    X509 *certificate = read_certificate(pool->conf->certificate);
    enum status status = certificate == NULL ? STATUS_INVALID : identity_of(certificate, &found);
    bool issued = certificate != NULL && is_issued(certificate, pool->conf->ca);
    X509_free(certificate);
    identity_format(&pool->own, wanted, sizeof wanted);
    if (status == STATUS_OK)
        identity_format(&found, is, sizeof is);
    if (strcmp(wanted, is) == 0 && issued)
        return STATUS_OK;
    if (strcmp(wanted, is) == 0) {
        strbuf_addf(error,
                    "pool.certificate %s is not issued by a CA in pool.ca %s, so that no other node would take it",
                    pool->conf->certificate, pool->conf->ca);
        return STATUS_INVALID;
    }
    strbuf_addf(error,
                "pool.certificate %s says %s; its subject alternative names must have URI:%s, as pool.name, "
                "region, role and node have it",
                pool->conf->certificate, is, wanted);
    return STATUS_INVALID;
}

static enum status load_tls(struct pool *pool, struct strbuf *error)
{
    const struct conf_pool *conf = pool->conf;
    struct tls_options options = {.certificate = conf->certificate,
                                  .key = conf->key,
                                  .ca = conf->ca,
                                  .issued = true,
                                  .only_h2 = true,
                                  .server = true};
    enum status status = tls_new(&options, &pool->server, error);
    options.server = false;
    return status == STATUS_OK ? tls_new(&options, &pool->client, error) : status;
}

enum status pool_new(const struct conf *conf, struct pool **made, struct strbuf *error)
{
    struct pool *pool = mem_calloc(1, sizeof *pool);
    const struct conf_pool *row = conf->pool;
    *made = pool;
    pool->conf = row;
    pool->own.role = row->role;
    *str_put(pool->own.pool, str_from(row->name)) = '\0';
    *str_put(pool->own.region, str_from(row->region)) = '\0';
    *str_put(pool->own.node, str_from(row->node)) = '\0';
    enum status status = load_tls(pool, error);
    if (status == STATUS_OK)
        status = check_identity(pool, error);
    if (status != STATUS_OK) {
        pool_free(made);
        return STATUS_INVALID;
    }
    pool->entry_key = entry_key(&pool->own);
    pool->members = members_new(&pool->own, 1);
    if (row->role == CONF_ROLE_CLIENT)
        pool->follow = follow_new(&pool->own, pool->members);
    pool->terms = (struct peers_terms){
        .own = pool->own,
        .tls = pool->client,
        .members = pool->members,
        .connect_timeout = conf->connect_timeout < CONNECT_MS ? conf->connect_timeout : CONNECT_MS,
        .silence = SILENCE_MS,
        .idle = IDLE_MS,
        .most = row->role == CONF_ROLE_CLIENT ? CONNECTIONS_CLIENT : CONNECTIONS_MEMBER,
        .total = &pool->total,
    };
    return STATUS_OK;
}

enum status pool_try(const struct conf *conf, struct strbuf *error)
{
    struct pool *pool = NULL;
    enum status status = conf->pool == NULL ? STATUS_OK : pool_new(conf, &pool, error);
    pool_free(&pool);
    return status;
}

void pool_free(struct pool **freed)
{
    struct pool *pool = *freed;
    *freed = NULL;
    if (pool == NULL)
        return;
    discover_free(&pool->discover);
    follow_free(&pool->follow);
    members_free(&pool->members);
    tls_free(pool->server);
    tls_free(pool->client);
    mem_free(pool);
}

void pool_start(struct pool *pool)
{
    const struct discover_terms terms = {.pool = pool->conf,
                                         .members = pool->members,
                                         .tls = pool->client,
                                         .once = pool->follow != NULL,
                                         .found = pool->follow != NULL ? follow_found : NULL,
                                         .arg = pool->follow};
    pool->discover = discover_start(&terms);
    if (pool->follow != NULL)
        follow_start(pool->follow, pool->discover);
}

void pool_stop(struct pool *pool)
{
    discover_stop(pool->discover);
}

void pool_loop_init(struct pool *pool, struct loop *loop)
{
    hedges_loop_init(loop);
    peers_loop_init(&pool->terms, loop);
    if (pool->follow != NULL && loop_id(loop) == 0)
        follow_loop_init(pool->follow, loop);
}

void pool_loop_fini(struct pool *pool, struct loop *loop)
{
    if (pool->follow != NULL && loop_id(loop) == 0)
        follow_loop_fini(pool->follow);
    peers_loop_fini(loop);
    hedges_loop_fini(loop);
}

/* ---- What it knows. ---- */

const struct identity *pool_own(const struct pool *pool)
{
    return &pool->own;
}

bool pool_vouches(const struct pool *pool)
{
    return pool->own.role == CONF_ROLE_MEMBER;
}

struct tls *pool_server_tls(struct pool *pool)
{
    return pool->server;
}

struct tls *pool_client_tls(struct pool *pool)
{
    return pool->client;
}

const struct members_view *pool_view(const struct pool *pool)
{
    return members_view(pool->members);
}

const struct members_text *pool_view_text(const struct pool *pool)
{
    const struct members_view *view = pool_view(pool);
    const struct members_text *text = view->told ? members_text(view, pool->own.pool) : NULL;
    return text != NULL && text->text.ptr != NULL ? text : NULL;
}

void pool_heard_view(const struct pool *pool, uint64_t view)
{
    if (pool->follow != NULL)
        follow_heard(pool->follow, view);
}

/* ---- Whom to ask. ---- */

static struct members_look own_region(const struct pool *pool, struct hash128 object, uint64_t extent)
{
    const struct members_view *view = pool_view(pool);
    return (struct members_look){.view = view,
                                 .region = ring_region(view->ring, str_from(pool->own.region)),
                                 .key = ring_key(object, extent),
                                 .now_ms = clock_mono_ms()};
}

/* Whether it is worth asking for what it has. */
static bool may_have(const struct member *member)
{
    return atomic_load_explicit(&member->nothing, memory_order_relaxed) < NOTHING_FEW ||
           clock_mono_ms() >= atomic_load_explicit(&member->nothing_until_ms, memory_order_relaxed);
}

void pool_had(struct member *member, bool had)
{
    if (had) {
        atomic_store_explicit(&member->nothing, 0, memory_order_relaxed);
        return;
    }
    atomic_fetch_add_explicit(&member->nothing, 1, memory_order_relaxed);
    atomic_store_explicit(&member->nothing_until_ms, clock_mono_ms() + NOTHING_MS, memory_order_relaxed);
}

bool pool_is_origin_region(const struct pool *pool, struct hash128 object, uint64_t extent)
{
    const struct ring_region *region = ring_origin_region(pool_view(pool)->ring, ring_key(object, extent));
    return region == NULL || str_eq(region->name, str_from(pool->own.region));
}

enum pool_way pool_way(const struct pool *pool, struct hash128 object, uint64_t extent, enum pool_way most, bool former,
                       bool asks, struct member **found)
{
    struct members_look order = own_region(pool, object, extent);
    const struct ring_region *own = order.region;
    order.asks = asks;
    *found = NULL;
    if (most >= POOL_HOME) {
        struct member *home = members_first(&order);
        if (home != NULL && !home->own)
            return *found = home, POOL_HOME;
    }
    if (!pool_vouches(pool))
        return POOL_ORIGIN;
    order.past_own = true;
    if (most >= POOL_FORMER && former) {
        struct member *other = members_first(&order);
        if (other != NULL && may_have(other))
            return *found = other, POOL_FORMER;
    }
    order.region = ring_origin_region(order.view->ring, order.key);
    if (most >= POOL_REGION && order.region != NULL && order.region != own) {
        struct member *far = members_first(&order);
        if (far != NULL && may_have(far))
            return *found = far, POOL_REGION;
    }
    return POOL_ORIGIN;
}

struct member *pool_entry(const struct pool *pool)
{
    if (pool_vouches(pool))
        return NULL;
    return entry_of(pool_view(pool), &pool->own, pool->entry_key, true, clock_mono_ms());
}

struct member *pool_next(const struct pool *pool, struct hash128 object, uint64_t extent, const struct member *passed,
                         bool instead)
{
    struct members_look order = own_region(pool, object, extent);
    order.passed = passed;
    order.past_own = !instead;
    struct member *next = members_first(&order);
    return next != NULL && next->own ? NULL : next;
}
