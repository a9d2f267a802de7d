/* SPDX-License-Identifier: Apache-2.0 */
/*
 * instance.c: order is everything here. Up: what may fail for an outside reason comes first (files, addresses, disks),
 * the loops last. Down: requests end on every loop before any loop takes its part of the cache away, since a request on
 * one may wait for a fill on another.
 */
#include "proxy/instance.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "cache/cache.h"
#include "net/conn.h"
#include "net/loop.h"
#include "origin/client.h"
#include "pool/pool.h"
#include "proxy/access_log.h"
#include "proxy/accounts.h"
#include "proxy/certificate.h"
#include "proxy/front.h"
#include "proxy/peer_serve.h"
#include "proxy/proxy.h"
#include "proxy/request.h"
#include "store/store.h"

#define ADMIN_CONNECTIONS 256
#define FLUSH_WAIT_S 10
/* A shorter squeeze is no reason to send clients elsewhere. */
#define STARVED_MS 10000

struct instance {
    const struct conf *conf;
    struct access_log *access_log;
    struct store *store;
    struct cache *cache;
    struct proxy *proxy;
    struct pool *pool; /* or NULL, as the next three */
    struct certificate pool_certificate;
    struct front *peers;
    struct front *admin;
    struct front *blobs;
    struct loop **loops;
    unsigned loop_count;
    bool running;
    atomic_uint cut; /* requests, at the end of the drain */
};

/* ---- The same thing on every loop ---- */

struct errand {
    struct letter letter;
    struct instance *instance;
    struct loop *loop;
    void (*run)(struct instance *instance, struct loop *loop);
    struct errands *all;
};

struct errands {
    pthread_mutex_t lock;
    pthread_cond_t done;
    unsigned left;
};

static void on_errand(struct letter *letter)
{
    struct errand *errand = (struct errand *) (void *) letter; /* its first member */
    errand->run(errand->instance, errand->loop);
    struct errands *all = errand->all;
    pthread_mutex_lock(&all->lock);
    if (--all->left == 0)
        pthread_cond_signal(&all->done);
    pthread_mutex_unlock(&all->lock);
}

/* Runs it on each loop and waits for all of them. */
static void on_each_loop(struct instance *instance, void (*run)(struct instance *instance, struct loop *loop))
{
    struct errands all = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, instance->loop_count};
    struct errand *errands = mem_calloc(instance->loop_count, sizeof *errands);
    for (unsigned i = 0; i < instance->loop_count; i++) {
        errands[i] = (struct errand){{NULL, on_errand}, instance, instance->loops[i], run, &all};
        loop_post(instance->loops[i], &errands[i].letter);
    }
    pthread_mutex_lock(&all.lock);
    while (all.left > 0)
        pthread_cond_wait(&all.done, &all.lock);
    pthread_mutex_unlock(&all.lock);
    pthread_mutex_destroy(&all.lock);
    pthread_cond_destroy(&all.done);
    mem_free(errands);
}

/* ---- A loop's life ---- */

static void loop_begin(struct loop *loop, void *arg)
{
    struct instance *instance = arg;
    if (instance->pool != NULL)
        pool_loop_init(instance->pool, loop);
    cache_loop_init(instance->cache, loop);
    proxy_loop_init(instance->proxy, loop);
}

static void loop_end(struct loop *loop, void *arg)
{
    struct instance *instance = arg;
    cache_loop_fini(instance->cache, loop);
    if (instance->pool != NULL)
        pool_loop_fini(instance->pool, loop);
    origin_loop_fini(loop);
    conn_loop_fini(loop);
}

static void loop_accept(struct instance *instance, struct loop *loop)
{
    front_loop_open(instance->blobs, loop);
    if (instance->peers != NULL)
        front_loop_open(instance->peers, loop);
    if (loop_id(loop) == 0 && instance->admin != NULL)
        front_loop_open(instance->admin, loop);
}

static void loop_drain(struct instance *instance, struct loop *loop)
{
    front_loop_drain(instance->blobs, loop);
    if (instance->peers != NULL)
        front_loop_drain(instance->peers, loop);
}

static void loop_cut(struct instance *instance, struct loop *loop)
{
    atomic_fetch_add(&instance->cut, front_loop_close(instance->blobs, loop));
    if (instance->peers != NULL)
        atomic_fetch_add(&instance->cut, front_loop_close(instance->peers, loop));
    if (loop_id(loop) == 0 && instance->admin != NULL)
        front_loop_close(instance->admin, loop);
    proxy_loop_fini(instance->proxy, loop);
}

static void loop_abort(struct instance *instance, struct loop *loop)
{
    cache_loop_stop(instance->cache, loop);
}

/* Letters that the cut has caused arrive before this one does. */
static void loop_settle(struct instance *instance, struct loop *loop)
{
    (void) instance;
    (void) loop;
}

/* ---- Up ---- */

static void *codec_decode(struct str record, uint64_t length)
{
    return object_decode(record, length);
}

static void codec_free(void *decoded)
{
    object_free(decoded);
}

static size_t codec_size(const void *decoded)
{
    return object_size(decoded);
}

_Static_assert(CONF_QUOTAS_MAX <= STORE_QUOTAS_MAX, "what a file may have, the store has room for");

struct quotas {
    struct store_quota rows[CONF_QUOTAS_MAX];
    unsigned count;
};

static void add_quota(struct quotas *quotas, struct hash128 group, int64_t reserve, int64_t limit, const char *account,
                      const char *container)
{
    struct strbuf labels = {0};
    if (reserve < 0 && limit < 0)
        return;
    strbuf_addf(&labels, "%s\t%s", account, container);
    quotas->rows[quotas->count++] = (struct store_quota){group, reserve < 0 ? 0 : reserve, limit, labels.ptr};
}

static void add_quotas(struct quotas *quotas, const struct conf *conf)
{
    for (unsigned i = 0; i < conf->account_count; i++) {
        const struct conf_account *row = &conf->accounts[i];
        struct str account = str_from(row->name);
        add_quota(quotas, accounts_family(account), row->reserve, row->limit, row->name, "");
        for (unsigned k = 0; k < row->container_count; k++) {
            const struct conf_container *container = &row->containers[k];
            add_quota(quotas, accounts_group(account, str_from(container->name)), container->reserve, container->limit,
                      row->name, container->name);
        }
    }
}

static enum status open_store(struct instance *instance, struct strbuf *error)
{
    static const struct store_record_codec codec = {codec_decode, codec_free, codec_size};
    const struct conf *conf = instance->conf;
    struct store_disk *disks = mem_calloc(conf->store_count + 1, sizeof *disks);
    for (unsigned i = 0; i < conf->store_count; i++)
        disks[i] = (struct store_disk){.path = conf->store[i].path,
                                       .size = conf->store[i].size,
                                       .scrub_rate = conf->store[i].scrub_rate,
                                       .scrub_period_ms = conf->store[i].scrub_period};
    struct quotas *quotas = mem_calloc(1, sizeof *quotas);
    add_quotas(quotas, conf);
    enum status status = store_open(&(struct store_options){.disks = disks,
                                                            .disk_count = conf->store_count,
                                                            .block_size = (uint32_t) conf->block_size,
                                                            .codec = &codec,
                                                            .quotas = quotas->rows,
                                                            .quota_count = quotas->count},
                                    &instance->store, error);
    for (unsigned i = 0; i < quotas->count; i++)
        mem_free((char *) (uintptr_t) quotas->rows[i].labels);
    mem_free(quotas);
    mem_free(disks);
    return status;
}

static enum status open_pool(struct instance *instance, struct strbuf *error)
{
    const struct conf *conf = instance->conf;
    enum status status = pool_new(conf, &instance->pool, error);
    if (status == STATUS_OK)
        certificate_init(&instance->pool_certificate, pool_client_tls(instance->pool), conf->pool->name,
                         conf->pool->certificate);
    return status;
}

static enum status bind_addresses(struct instance *instance, const struct http_handler *admin, struct strbuf *error)
{
    const struct conf *conf = instance->conf;
    struct front_options options = {
        .handler = request_handler,
        .limits = http_limits_default,
        .max_connections = (int) conf->max_connections,
        .loop_count = instance->loop_count,
    };
    options.limits.header_timeout = conf->header_timeout;
    options.limits.idle_timeout = conf->idle_timeout;
    options.limits.send_timeout = conf->send_timeout;
    instance->blobs = front_new(&options);
    enum status status = STATUS_OK;
    for (unsigned i = 0; i < conf->listen_count && status == STATUS_OK; i++) {
        const struct conf_listen *listen = &conf->listen[i];
        status = front_bind(instance->blobs, listen->address, listen->certificate, listen->key, NULL, error);
    }
    if (status == STATUS_OK && instance->pool != NULL && conf->pool->address != NULL) {
        options.handler = peer_handler(instance->pool);
        options.limits.uncounted = true;
        instance->peers = front_new(&options);
        status = front_bind_tls(instance->peers, conf->pool->address, pool_server_tls(instance->pool),
                                conf->pool->certificate, "pool", error);
    }
    if (status != STATUS_OK || conf->admin == NULL)
        return status;
    options.handler = *admin;
    options.limits.uncounted = true;
    options.limits.exempt = true;
    options.max_connections = ADMIN_CONNECTIONS;
    options.loop_count = 1;
    instance->admin = front_new(&options);
    return front_bind(instance->admin, conf->admin, NULL, NULL, "admin", error);
}

/* Everything that may be refused. The cache and the proxy come between the store and the addresses because each holds
 * on to the one before it. */
static enum status prepare(struct instance *instance, const struct instance_options *options, struct strbuf *error)
{
    const struct conf *conf = instance->conf;
    enum status status = certificate_try_origins(conf, error);
    if (status == STATUS_OK)
        status = access_log_open(conf->access_log, &instance->access_log, error);
    if (status != STATUS_OK)
        return status;
    status = proxy_new(conf, instance->access_log, &instance->proxy, error);
    if (status == STATUS_OK && conf->pool != NULL)
        status = open_pool(instance, error);
    if (status == STATUS_OK)
        status = bind_addresses(instance, options->admin, error);
    if (status != STATUS_OK)
        return status;
    return open_store(instance, error);
}

static void start_loops(struct instance *instance)
{
    struct cache_config config = {
        .store = instance->store,
        .loops = instance->loops,
        .loop_count = instance->loop_count,
        .limits = instance->proxy->limits,
        .pool = instance->pool,
    };
    for (unsigned i = 0; i < instance->loop_count; i++)
        instance->loops[i] = loop_new(i);
    instance->cache = cache_new(&config);
    instance->proxy->cache = instance->cache;
    instance->proxy->pool = instance->pool;
    for (unsigned i = 0; i < instance->loop_count; i++)
        loop_start(instance->loops[i], loop_begin, loop_end, instance);
    credentials_start(instance->proxy->credentials);
    if (instance->pool != NULL)
        pool_start(instance->pool);
    instance->running = true;
    on_each_loop(instance, loop_accept);
}

enum status instance_start(const struct instance_options *options, struct instance **instance, struct strbuf *error)
{
    struct instance *made = mem_calloc(1, sizeof *made);
    made->conf = options->conf;
    made->loop_count = options->workers;
    made->loops = mem_calloc(made->loop_count, sizeof(struct loop *));
    *instance = made;
    enum status status = prepare(made, options, error);
    if (status != STATUS_OK) {
        instance_stop(instance);
        return status;
    }
    start_loops(made);
    front_tell(made->blobs);
    if (made->peers != NULL)
        front_tell(made->peers);
    if (made->admin != NULL)
        front_tell(made->admin);
    return STATUS_OK;
}

/* ---- Down ---- */

void instance_drain(struct instance *instance)
{
    on_each_loop(instance, loop_drain);
}

bool instance_idle(const struct instance *instance)
{
    return front_connections(instance->blobs) == 0 &&
           (instance->peers == NULL || front_connections(instance->peers) == 0) && !proxy_tells(instance->proxy);
}

bool instance_starved(const struct instance *instance)
{
    return front_starved(instance->blobs) >= STARVED_MS;
}

/* Waits for the disks to have written what they were given, so that their letters find the loops still there. */
struct flush {
    struct letter letter;
    pthread_mutex_t lock;
    pthread_cond_t done;
    bool over;
};

static void on_flushed(struct letter *letter)
{
    struct flush *flush = (struct flush *) (void *) letter; /* its first member */
    pthread_mutex_lock(&flush->lock);
    flush->over = true;
    pthread_cond_signal(&flush->done);
    pthread_mutex_unlock(&flush->lock);
}

static void flush_store(struct instance *instance)
{
    struct flush *flush = mem_calloc(1, sizeof *flush);
    flush->letter.deliver = on_flushed;
    pthread_mutex_init(&flush->lock, NULL);
    clock_cond_init(&flush->done);
    const int64_t until = clock_mono_ms() + FLUSH_WAIT_S * 1000;
    store_flush(instance->store, instance->loops[0], &flush->letter);
    pthread_mutex_lock(&flush->lock);
    while (!flush->over && clock_cond_wait(&flush->done, &flush->lock, until))
        continue;
    bool over = flush->over;
    pthread_mutex_unlock(&flush->lock);
    if (!over)
        return; /* a disk that hangs keeps the letter */
    pthread_mutex_destroy(&flush->lock);
    pthread_cond_destroy(&flush->done);
    mem_free(flush);
}

static void stop_loops(struct instance *instance)
{
    on_each_loop(instance, loop_cut);
    unsigned cut = atomic_load(&instance->cut);
    if (cut > 0)
        log_event(DRAIN_CUT, "requests=%u: were still running when the drain ended", cut);
    on_each_loop(instance, loop_settle);
    on_each_loop(instance, loop_settle); /* and the letters those have caused */
    on_each_loop(instance, loop_abort);
    credentials_stop(instance->proxy->credentials);
    if (instance->pool != NULL)
        pool_stop(instance->pool);
    flush_store(instance);
    on_each_loop(instance, loop_settle);
    for (unsigned i = 0; i < instance->loop_count; i++)
        loop_stop(instance->loops[i]);
    for (unsigned i = 0; i < instance->loop_count; i++)
        loop_join(instance->loops[i]);
}

void instance_stop(struct instance **instance)
{
    struct instance *gone = *instance;
    *instance = NULL;
    if (gone == NULL)
        return;
    if (gone->running)
        stop_loops(gone);
    if (gone->store != NULL)
        store_close(gone->store);
    if (gone->cache != NULL)
        cache_free(gone->cache);
    for (unsigned i = 0; i < gone->loop_count; i++) {
        if (gone->loops[i] != NULL)
            loop_free(gone->loops[i]);
    }
    front_free(&gone->blobs);
    front_free(&gone->admin);
    front_free(&gone->peers);
    pool_free(&gone->pool);
    proxy_free(&gone->proxy);
    access_log_close(&gone->access_log);
    mem_free(gone->loops);
    mem_free(gone);
}

void instance_look_at_certificates(struct instance *instance, bool again)
{
    front_look_at_certificates(instance->blobs, again);
    if (instance->peers != NULL)
        front_look_at_certificates(instance->peers, again);
    if (instance->pool != NULL)
        certificate_look(&instance->pool_certificate, again);
}

void instance_reopen_logs(struct instance *instance)
{
    access_log_reopen(instance->access_log);
}
