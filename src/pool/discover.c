/* SPDX-License-Identifier: Apache-2.0 */
/* discover.c: for each region a thread, and what is known of where its members are. */
#include "pool/discover.h"

#include <netdb.h>
#include <pthread.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/conf_members.h"
#include "base/jitter.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rcu.h"
#include "base/thread.h"
#include "pool/dns.h"
#include "pool/greet.h"
#include "pool/kube.h"

/* A list's names are looked up so often; and what DNS has, no more and no less often. */
#define LIST_MS 30000
#define DNS_LEAST_MS 5000
#define DNS_MOST_MS 300000
/* After a failure, doubled each time; after so long without one from the first again. */
#define FAILED_FIRST_MS 1000
#define FAILED_LAST_MS 60000
#define FAILED_FORGOTTEN_MS (3 * FAILED_LAST_MS)
#define GREET_MS 1000
/* Whoever Kubernetes tells of without a name, and has not answered, is greeted again. */
#define GREET_AGAIN_MS 5000
/* A sidecar greets until so many are known, and no more than so many. */
#define GREET_FEW 3
#define GREET_TRIES 16

/* Who was found at an address. */
struct greeted {
    struct member_address address;
    char name[CONF_LABEL_MAX + 1]; /* "": nobody of ours */
    bool seen;                     /* in the last answer */
};

struct region {
    struct discover *discover;
    pthread_t thread;
    const char *name;
    const struct conf_strings *texts;
    struct conf_members_text first; /* of them; what is no list has no other */
    struct kube *kube;              /* of Kubernetes */
    int64_t due_ms;
    int64_t failed_ms;
    unsigned failures;
    struct member_told *told; /* of a list, one a text; of DNS, of its last answer */
    unsigned told_count;
    struct greeted *greeted;
    unsigned greeted_count;
    unsigned silent; /* of the last answer, who could not be greeted */
    unsigned tried;  /* and how many were to be */
};

struct discover {
    struct discover_terms terms;
    struct region *regions;
    unsigned count;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping; /* under the lock, as the next one */
    bool again;
};

/* A tenth more at most, by chance: nodes that were started together shall not ask together. */
static int64_t jittered(int64_t ms)
{
    return ms + jitter_below(ms / 10);
}

static void tell(struct region *region)
{
    const struct discover_terms *terms = &region->discover->terms;
    rcu_thread_online();
    members_tell(terms->members, str_from(region->name), region->told, region->told_count, clock_mono_ms());
    rcu_thread_offline();
    if (terms->found != NULL)
        terms->found(terms->arg);
}

/* It is due in so many ms, if it is due again at all. */
static void rest(struct region *region, int64_t ms)
{
    region->due_ms = region->discover->terms.once ? INT64_MAX : clock_mono_ms() + jittered(ms);
}

/* `which` of the texts, and some words. */
static void failed(struct region *region, const char *which, enum status why, const char *words)
{
    int64_t now_ms = clock_mono_ms();
    if (now_ms - region->failed_ms > FAILED_FORGOTTEN_MS)
        region->failures = 0;
    int64_t pause_ms = jitter_backoff(region->failures, FAILED_FIRST_MS, FAILED_LAST_MS);
    region->failures++;
    region->failed_ms = now_ms;
    region->due_ms = now_ms + pause_ms;
    log_event(PEERS_UNKNOWN,
              "region=%s reason=%s attempt=%u next_ms=%lld: %s cannot be looked up: %s; who was known stays so",
              region->name, status_name(why), region->failures, (long long) pause_ms, which, words);
}

/* ---- Lists. ---- */

/* Its addresses, or those it had. False: its name cannot be looked up. */
static bool find_host(const struct conf_members_text *text, struct member_told *told, bool *literal)
{
    char host[DNS_NAME_MAX + 2], port[8];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV}, *found;
    if (text->host.len >= sizeof host)
        return false;
    *str_put(host, text->host) = '\0';
    snprintf(port, sizeof port, "%u", (unsigned) text->port);
    *literal = getaddrinfo(host, port, &hints, &found) == 0;
    hints.ai_flags = AI_NUMERICSERV;
    if (!*literal && getaddrinfo(host, port, &hints, &found) != 0)
        return false;
    told->address_count = 0;
    for (struct addrinfo *at = found; at != NULL && told->address_count < MEMBER_ADDRESSES; at = at->ai_next) {
        struct member_address *address = &told->addresses[told->address_count++];
        memcpy(&address->address, at->ai_addr, at->ai_addrlen);
        address->length = at->ai_addrlen;
    }
    freeaddrinfo(found);
    return true;
}

static void look_at_list(struct region *region)
{
    bool names = false, some = false;
    const char *unknown = NULL;
    if (region->told == NULL) {
        region->told = mem_calloc(region->texts->count, sizeof region->told[0]);
        region->told_count = region->texts->count;
    }
    for (unsigned i = 0; i < region->told_count; i++) {
        struct conf_members_text text;
        const char *problem;
        bool literal = false;
        if (!conf_members_parse(str_from(region->texts->items[i]), &text, &problem))
            continue; /* it was checked */
        region->told[i].name = text.name;
        region->told[i].weight = (uint32_t) text.weight;
        if (!find_host(&text, &region->told[i], &literal))
            unknown = region->texts->items[i];
        names = names || !literal;
        some = some || region->told[i].address_count > 0;
    }
    tell(region);
    region->due_ms = INT64_MAX;
    if (names)
        rest(region, LIST_MS);
    if (unknown != NULL && !(some && region->discover->terms.once)) /* one is enough */
        failed(region, unknown, STATUS_RESOLVE, status_text(STATUS_RESOLVE));
}

/* ---- DNS. ---- */

static struct greeted *greeted_at(struct region *region, const struct member_address *address)
{
    for (unsigned i = 0; i < region->greeted_count; i++)
        if (member_address_eq(&region->greeted[i].address, address))
            return &region->greeted[i];
    return NULL;
}

static bool is_ours(const struct region *region, const struct identity *who)
{
    return strcmp(who->pool, region->discover->terms.pool->name) == 0 && strcmp(who->region, region->name) == 0 &&
           who->role == CONF_ROLE_MEMBER;
}

/* Who has not been there is asked again in the next round. */
static struct greeted *greet_new(struct region *region, const struct member_address *address)
{
    struct identity who;
    enum status status = greet(region->discover->terms.tls, (const struct sockaddr *) &address->address,
                               address->length, GREET_MS, &who);
    if (status == STATUS_CONNECT || status == STATUS_TLS)
        return NULL;
    region->greeted = mem_realloc(region->greeted, (region->greeted_count + 1) * sizeof region->greeted[0]);
    struct greeted *greeted = &region->greeted[region->greeted_count++];
    *greeted = (struct greeted){.address = *address};
    if (status == STATUS_OK && is_ours(region, &who))
        memcpy(greeted->name, who.node, sizeof who.node);
    return greeted;
}

/* Whoever has gone from the answer is greeted when its address is there again: it may be another's then. */
static void forget_unseen(struct region *region)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < region->greeted_count; i++) {
        if (region->greeted[i].seen)
            region->greeted[kept++] = region->greeted[i];
    }
    region->greeted_count = kept;
    for (unsigned i = 0; i < kept; i++)
        region->greeted[i].seen = false;
}

/* Whether a sidecar knows enough of those who have no names. */
static bool suffices(const struct region *region)
{
    return region->discover->terms.once && (region->told_count >= GREET_FEW || region->tried >= GREET_TRIES);
}

/* The name of a service's host is the first label of it, as a StatefulSet's pods have it. */
static struct str name_of(struct region *region, const struct dns_host *host)
{
    struct str others;
    if (host->name[0] != '\0')
        return str_split(str_from(host->name), '.', &others);
    if (suffices(region))
        return STR("");
    region->tried++;
    struct greeted *greeted = greeted_at(region, &host->addresses[0]);
    if (greeted == NULL)
        greeted = greet_new(region, &host->addresses[0]);
    if (greeted == NULL) {
        region->silent++;
        return STR("");
    }
    greeted->seen = true;
    return str_from(greeted->name);
}

static bool stopping(struct discover *discover)
{
    pthread_mutex_lock(&discover->lock);
    bool stop = discover->stopping;
    pthread_mutex_unlock(&discover->lock);
    return stop;
}

/* How many of them are members that are known now. */
static unsigned take_hosts(struct region *region, const struct dns_hosts *hosts)
{
    char(*names)[CONF_LABEL_MAX + 1] = mem_calloc(hosts->count, sizeof *names);
    mem_free(region->told);
    region->told = mem_calloc(hosts->count, sizeof region->told[0]);
    region->told_count = 0;
    region->silent = region->tried = 0;
    unsigned first = region->discover->terms.once && hosts->count > 0 ? (unsigned) jitter_below(hosts->count - 1) : 0;
    for (unsigned i = 0; i < hosts->count && !stopping(region->discover); i++) {
        const struct dns_host *host = &hosts->items[(first + i) % hosts->count];
        struct str name = name_of(region, host);
        char *kept = names[region->told_count];
        if (name.len > CONF_LABEL_MAX)
            continue;
        *str_put_lower(kept, name) = '\0'; /* DNS folds case */
        if (!conf_is_label(str_from(kept)))
            continue;
        struct member_told *told = &region->told[region->told_count++];
        told->name = str_from(kept);
        told->weight = host->weight;
        told->address_count = host->address_count;
        memcpy(told->addresses, host->addresses, sizeof host->addresses);
    }
    unsigned count = region->told_count;
    forget_unseen(region);
    if (!stopping(region->discover) && (count > 0 || !region->discover->terms.once))
        tell(region);
    region->told_count = 0; /* their names go */
    mem_free(names);
    return count;
}

static void look_at_dns(struct region *region)
{
    struct dns_hosts hosts;
    char name[DNS_NAME_MAX + 2];
    if (region->first.name.len > DNS_NAME_MAX) {
        failed(region, region->texts->items[0], STATUS_INVALID, "it is too long");
        return;
    }
    *str_put(name, region->first.name) = '\0';
    enum status status = dns_look_up(region->discover->terms.dns_server, name, (uint16_t) region->first.port, &hosts);
    unsigned known = status == STATUS_OK ? take_hosts(region, &hosts) : 0;
    if (status == STATUS_OK && known == 0 && region->discover->terms.once) {
        failed(region, region->texts->items[0], STATUS_CONNECT, "nobody of those who are there says who it is");
    } else if (status == STATUS_OK) {
        int64_t ms = (int64_t) hosts.ttl_s * 1000;
        rest(region, ms < DNS_LEAST_MS ? DNS_LEAST_MS : ms > DNS_MOST_MS ? DNS_MOST_MS : ms);
    } else {
        failed(region, region->texts->items[0], status, status_text(status));
    }
    dns_hosts_free(&hosts);
}

/* ---- Kubernetes. ---- */

/* It is due again at once: who waits is kube.h. */
static void look_at_kubernetes(struct region *region)
{
    struct strbuf problem = {0};
    int64_t patience_ms = region->silent > 0 ? GREET_AGAIN_MS : LIST_MS;
    enum status status = kube_wait(region->kube, clock_mono_ms() + patience_ms, &problem);
    if (status == STATUS_OK || (status == STATUS_AGAIN && region->silent > 0)) {
        struct dns_hosts hosts;
        kube_hosts(region->kube, &hosts);
        take_hosts(region, &hosts);
        dns_hosts_free(&hosts);
    } else if (status != STATUS_AGAIN && status != STATUS_CANCELLED) {
        failed(region, region->texts->items[0], status, problem.ptr);
    }
    strbuf_free(&problem);
}

/* ---- The threads. ---- */

static void look_at(struct region *region)
{
    switch (region->first.kind) {
    case CONF_MEMBERS_LIST:
        look_at_list(region);
        break;
    case CONF_MEMBERS_DNS:
        look_at_dns(region);
        break;
    case CONF_MEMBERS_KUBERNETES:
        look_at_kubernetes(region);
        break;
    }
}

/* Until it is due or for a while, or until it is to look again, or to stop. */
static bool wait_until_due(struct region *region)
{
    struct discover *discover = region->discover;
    int64_t latest_ms = clock_mono_ms() + LIST_MS;
    pthread_mutex_lock(&discover->lock);
    if (!discover->stopping && !discover->again)
        clock_cond_wait(&discover->wake, &discover->lock, region->due_ms < latest_ms ? region->due_ms : latest_ms);
    bool stop = discover->stopping;
    if (discover->again)
        region->due_ms = 0;
    discover->again = false;
    pthread_mutex_unlock(&discover->lock);
    return !stop;
}

static void *run(void *arg)
{
    struct region *region = arg;
    struct discover *discover = region->discover;
    rcu_register_thread();
    rcu_thread_offline();
    do {
        if (region->due_ms <= clock_mono_ms())
            look_at(region);
        rcu_thread_online();
        members_tick(discover->terms.members, clock_mono_ms());
        rcu_thread_offline();
    } while (wait_until_due(region));
    rcu_thread_online();
    rcu_unregister_thread();
    return NULL;
}

static void region_init(struct region *region, struct discover *discover, const char *name,
                        const struct conf_strings *texts)
{
    const char *problem;
    *region = (struct region){.discover = discover, .name = name, .texts = texts};
    if (conf_members_parse(str_from(texts->items[0]), &region->first, &problem) &&
        region->first.kind == CONF_MEMBERS_KUBERNETES)
        region->kube = kube_new(&region->first, discover->terms.service_account);
}

static void region_fini(struct region *region)
{
    kube_free(&region->kube);
    mem_free(region->told);
    mem_free(region->greeted);
}

struct discover *discover_start(const struct discover_terms *terms)
{
    struct discover *discover = mem_calloc(1, sizeof *discover);
    const struct conf_pool *pool = terms->pool;
    discover->terms = *terms;
    discover->count = terms->once ? 1 : pool->region_count + 1;
    discover->regions = mem_calloc(discover->count, sizeof discover->regions[0]);
    region_init(&discover->regions[0], discover, pool->region, &pool->members);
    for (unsigned i = 1; i < discover->count; i++)
        region_init(&discover->regions[i], discover, pool->regions[i - 1].name, &pool->regions[i - 1].members);
    pthread_mutex_init(&discover->lock, NULL);
    clock_cond_init(&discover->wake);
    for (unsigned i = 0; i < discover->count; i++)
        if (thread_start(&discover->regions[i].thread, "pool", run, &discover->regions[i]) != 0)
            mem_die("no thread for the pool");
    return discover;
}

static void wake(struct discover *discover, bool *why)
{
    pthread_mutex_lock(&discover->lock);
    *why = true;
    pthread_cond_broadcast(&discover->wake);
    pthread_mutex_unlock(&discover->lock);
}

void discover_again(struct discover *discover)
{
    wake(discover, &discover->again);
}

void discover_stop(struct discover *discover)
{
    if (discover == NULL)
        return;
    wake(discover, &discover->stopping);
    for (unsigned i = 0; i < discover->count; i++)
        if (discover->regions[i].kube != NULL)
            kube_stop(discover->regions[i].kube);
    for (unsigned i = 0; i < discover->count; i++)
        pthread_join(discover->regions[i].thread, NULL);
}

void discover_free(struct discover **freed)
{
    struct discover *discover = *freed;
    *freed = NULL;
    if (discover == NULL)
        return;
    for (unsigned i = 0; i < discover->count; i++)
        region_fini(&discover->regions[i]);
    mem_free(discover->regions);
    pthread_mutex_destroy(&discover->lock);
    pthread_cond_destroy(&discover->wake);
    mem_free(discover);
}
