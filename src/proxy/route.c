/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route.c: the request's names in the cache.
 *
 * What is hashed begins with its kind, so that no container can be named like a blob's scope. A secondary endpoint's
 * blobs are named like the primary's: its reads are not cached, and a write that gets there is one to the same blobs.
 */
#include "proxy/route.h"

#include <netinet/in.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "origin/base.h"

struct routes {
    struct accounts *accounts;
    struct blob_accounts names;
    struct digest nobody; /* the anonymous credential's */
    struct digest own;    /* that of all whom we vouch for: they ask with one voice */
    bool regions;         /* there are others, which are asked without a client's credential */
};

enum status routes_new(const struct conf *conf, struct credentials *credentials, struct routes **routes,
                       struct strbuf *error)
{
    struct routes *made = mem_calloc(1, sizeof *made);
    enum status status = accounts_new(conf, credentials, &made->accounts, error);
    *routes = made;
    if (status != STATUS_OK) {
        routes_free(routes);
        return status;
    }
    made->names = (struct blob_accounts){accounts_named, made->accounts, accounts_any(made->accounts)};
    made->nobody = digest_of(STR(""));
    made->own = digest_of(STR("own\n"));
    made->regions = conf->pool != NULL && conf->pool->region_count > 0;
    return STATUS_OK;
}

void routes_free(struct routes **routes)
{
    struct routes *gone = *routes;
    *routes = NULL;
    if (gone == NULL)
        return;
    accounts_free(&gone->accounts);
    mem_free(gone);
}

/* ---- The request's names ---- */

/* In host order; 0 for what is not IPv4. */
static uint32_t peer_ipv4(const struct sockaddr *peer)
{
    if (peer == NULL)
        return 0;
    if (peer->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *) (const void *) peer)->sin_addr.s_addr);
    if (peer->sa_family != AF_INET6)
        return 0;
    const struct in6_addr *address = &((const struct sockaddr_in6 *) (const void *) peer)->sin6_addr;
    if (!IN6_IS_ADDR_V4MAPPED(address))
        return 0;
    uint32_t last;
    memcpy(&last, address->s6_addr + 12, sizeof last);
    return ntohl(last);
}

/* Containers come again and again: each thread remembers a few. */
static struct hash128 container_name(const struct account *account, struct str container)
{
    static _Thread_local struct {
        struct hash128 account;
        struct hash128 name;
        size_t len; /* 0: empty */
        char container[64];
    } memory[64];
    size_t at = hash64(container.ptr, container.len, account->hash.lo) % 64;
    bool fits = container.len > 0 && container.len <= sizeof memory[at].container;
    if (fits && memory[at].len == container.len && hash128_eq(memory[at].account, account->hash) &&
        memcmp(memory[at].container, container.ptr, container.len) == 0)
        return memory[at].name;
    struct hash128 name = accounts_container(account->plain, container);
    if (fits) {
        memory[at].account = account->hash;
        memory[at].name = name;
        memory[at].len = container.len;
        memcpy(memory[at].container, container.ptr, container.len);
    }
    return name;
}

static struct hash128 object_name(const struct route *route, struct str version)
{
    const struct blob_url *url = &route->url;
    return hash_name((struct str[]){STR("blob"), route->account->plain, url->container, url->blob, version}, 5);
}

static void name_object(struct route *route, struct arena *arena)
{
    struct cache_request *cache = &route->cache;
    cache->object = object_name(route, blob_url_version(&route->url, arena));
    cache->account_hash = route->account->hash;
    cache->container =
        (struct hash128){.lo = container_name(route->account, route->url.container).lo, .hi = route->account->hash.hi};
}

static struct str hash_bytes(const struct hash128 *hash)
{
    return (struct str){(const char *) hash, sizeof *hash};
}

/* What a yes to this credential covers (decision 7). A NULL return: *scope is set; else why no yes may be kept. */
static const char *name_scope(const struct route *route, struct hash128 *scope)
{
    const struct blob_url *url = &route->url;
    const struct cache_request *cache = &route->cache;
    bool vouched = route->account->row->grant_scope == CONF_SCOPE_CONTAINER;
    /* All of its name: a yes to one container must never be one to another. */
    const struct hash128 container = container_name(route->account, url->container);
    *scope = cache->object;
    switch (route->credential.kind) {
    case BLOB_CREDENTIAL_ANONYMOUS:
        *scope = container;
        return NULL;
    case BLOB_CREDENTIAL_BEARER:
        if (vouched)
            *scope = container;
        return NULL;
    case BLOB_CREDENTIAL_SAS:
        break;
    case BLOB_CREDENTIAL_SHAREDKEY:
    case BLOB_CREDENTIAL_UNKNOWN:
        return "credential";
    }
    switch (sas_trusted_scope(&route->credential.sas, vouched)) {
    case SAS_SCOPE_SNAPSHOT:
    case SAS_SCOPE_BLOB:
        return NULL;
    case SAS_SCOPE_DIRECTORY: {
        struct str directory = sas_directory(url->blob, route->credential.sas.depth);
        if (directory.ptr == NULL)
            return "sas-directory";
        *scope = hash_name((struct str[]){STR("directory"), hash_bytes(&container), directory}, 3);
        return NULL;
    }
    case SAS_SCOPE_CONTAINER:
        *scope = container;
        return NULL;
    case SAS_SCOPE_ACCOUNT: /* never trusted so far */
        break;
    }
    return "credential";
}

/* The query's parameters that `keep` lets through, behind the path; the texts are as they were sent. */
static struct str filtered_target(struct str target, const struct blob_query *query,
                                  bool (*keep)(enum blob_param_id id), struct arena *arena)
{
    char *text = arena_alloc(arena, target.len + 1);
    char *at = str_put(text, str_split(target, '?', &(struct str){NULL, 0}));
    char before = '?';
    for (unsigned i = 0; i < query->count; i++) {
        if (!keep(query->items[i].id))
            continue;
        *at++ = before;
        before = '&';
        at = str_put(at, query->items[i].raw);
    }
    return (struct str){text, (size_t) (at - text)};
}

/* With the client's token, but without what would undo our pinned version (decision 6), and what only Data Lake knows:
 * the Blob endpoint is asked. */
static bool keep_for_client(enum blob_param_id id)
{
    return id != BLOB_PARAM_TIMEOUT && id != BLOB_PARAM_API_VERSION && id != BLOB_PARAM_ACTION && id != BLOB_PARAM_UPN;
}

static bool keep_all_for_client(const struct blob_query *query)
{
    for (unsigned i = 0; i < query->count; i++)
        if (!keep_for_client(query->items[i].id))
            return false;
    return true;
}

/* Nothing but the generation's name. */
static bool keep_for_own(enum blob_param_id id)
{
    return id == BLOB_PARAM_SNAPSHOT || id == BLOB_PARAM_VERSIONID;
}

/* All but a token. */
static bool keep_unsigned(enum blob_param_id id)
{
    return id > BLOB_PARAM_LAST_SAS;
}

/* Why this read is not for the cache, or NULL. */
static const char *bypass_reason(const struct route *route, const struct http_request *request, uint32_t ipv4,
                                 int64_t now_s)
{
    const struct blob_credential *credential = &route->credential;
    if (route->class.action == BLOB_ACTION_BYPASS)
        return route->class.reason;
    if (route->url.secondary)
        return "secondary";
    /* An origin may obey them whoever asks; what it then says must not become anybody else's. */
    if (sas_overridden(&route->url.query) && !route->permission.overrides)
        return "overrides";
    if (route->cache.vouched)
        return NULL;
    if (credential->reason != NULL)
        return credential->reason;
    if (credential->expires_s <= now_s)
        return "expired";
    if (credential->kind == BLOB_CREDENTIAL_SAS) {
        if (credential->sas.ip.ptr != NULL)
            return "sas-ip"; /* the origin judges by our address, which is not the client's */
        if (!credential->sas.read)
            return "sas-permission";
        if (sas_use(&credential->sas, now_s, request->tls, ipv4) != SAS_USE_GOOD)
            return "sas-not-valid";
    }
    return NULL;
}

#define IPV6_NETWORK 8 /* bytes */

/* For the turns that clients take: a node, whatever port it speaks from; with IPv6 a network, of which a node may have as
 * many addresses as it likes. */
static uint64_t client_of(const struct sockaddr *peer)
{
    const struct sockaddr_in *ipv4 = (const void *) peer;
    const struct sockaddr_in6 *ipv6 = (const void *) peer;
    if (peer->sa_family == AF_INET)
        return hash64(&ipv4->sin_addr, sizeof ipv4->sin_addr, 0);
    return peer->sa_family == AF_INET6 ? hash64(&ipv6->sin6_addr, IPV6_NETWORK, 0) : 0;
}

static void fill_cache_request(struct route *route, const struct sockaddr *peer, struct arena *arena)
{
    struct cache_request *cache = &route->cache;
    const struct account *account = route->account;
    name_object(route, arena);
    cache->account = account->name;
    cache->origin = account->origin;
    cache->ca_file = account->row->origin_ca;
    cache->target = route->target;
    cache->authorization = route->credential.authorization;
    cache->scope = cache->object;
    cache->expires_s = route->credential.expires_s;
    cache->authorize_ttl = account->row->authorize_ttl;
    cache->freshness = conf_freshness(account->row, route->url.container);
    cache->vouched = route->permission.vouched;
    cache->signer = route->permission.own_signer;
    cache->budget = account->budget;
    cache->client = client_of(peer);
}

/* By what a read that is for the cache is known there, and what our own requests for it are. */
static void name_credential(const struct routes *routes, struct route *route, struct arena *arena)
{
    struct cache_request *cache = &route->cache;
    const struct blob_query *query = &route->url.query;
    if (cache->vouched) {
        cache->credential = routes->own;
        cache->scope = cache->account_hash;
        cache->expires_s = INT64_MAX;
        cache->authorization = STR_NULL;
        cache->target = filtered_target(route->target, query, keep_for_own, arena);
        cache->own_target = cache->target;
        return;
    }
    bool anonymous = route->credential.kind == BLOB_CREDENTIAL_ANONYMOUS;
    cache->credential = anonymous ? routes->nobody : digest_of(route->credential.text);
    cache->bare = anonymous && cache->granted;
    if (cache->bare)
        cache->credential = routes->own; /* a member has let somebody in: that is nobody's yes to strangers */
    if (!keep_all_for_client(query))
        cache->target = filtered_target(route->target, query, keep_for_client, arena);
    if (cache->signer != NULL || routes->regions)
        cache->own_target = filtered_target(route->target, query, keep_for_own, arena);
}

/* "/account?comp=list" names the account without a slash, and Shared Key signs it so: where the base has a path of its
 * own (Azurite) it can stay like that. */
static struct str forwarded_target(const struct route *route, const struct http_request *request, struct arena *arena)
{
    struct str target = blob_url_origin_target(&route->url, arena);
    struct str path = str_split(request->target, '?', &(struct str){NULL, 0});
    bool based = origin_base_path(route->origin)[0] != '\0';
    if (route->url.level == BLOB_LEVEL_ACCOUNT && route->url.style == BLOB_STYLE_PATH && based && target.len > 0 &&
        !str_ends(path, STR("/")))
        return (struct str){target.ptr + 1, target.len - 1};
    return target;
}

/* The account, and where its origin is; else why not. */
static const struct blob_error *route_account(struct routes *routes, struct arena *arena, struct route *route)
{
    bool full;
    route->account = accounts_get(routes->accounts, route->url.account, route->url.secondary, &full);
    if (full) {
        route->account = accounts_lend(routes->accounts, route->url.account, route->url.secondary, arena);
        route->bypass = "accounts";
    }
    if (route->account == NULL)
        return &BLOB_ERROR_NO_ACCOUNT;
    bool dfs = route->url.endpoint == BLOB_ENDPOINT_DFS;
    route->origin = dfs ? route->account->dfs_origin : route->account->origin;
    return route->origin == NULL ? &BLOB_ERROR_NO_ENDPOINT : NULL;
}

static void route_authorize(struct route *route, struct arena *arena, const struct http_request *request, uint32_t ipv4,
                            const struct route_node *node, int64_t now_s)
{
    const struct authorize_facts facts = {
        .account = route->account,
        .request = request,
        .url = &route->url,
        .class = &route->class,
        .headers = &route->headers,
        .credential = &route->credential,
        .ipv4 = ipv4,
        .node = node != NULL,
        .granted = node != NULL && node->granted,
        .now_s = now_s,
    };
    authorize(arena, &facts, &route->permission);
    if (route->permission.strip_token)
        route->target = filtered_target(route->target, &route->url.query, keep_unsigned, arena);
}

/* Another region's node comes without a client's credential: what we cannot sign for it, it has only if it is here. */
static void name_node(const struct route_node *node, struct cache_request *cache)
{
    cache->farthest = node != NULL ? node->farthest : POOL_ENTRY;
    cache->granted = node != NULL && node->granted;
    cache->cached = node != NULL && (node->cached || (node->abroad && cache->signer == NULL && !cache->vouched));
}

const struct blob_error *route_request(struct routes *routes, struct arena *arena, const struct http_request *request,
                                       const struct sockaddr *peer, const struct route_node *node, int64_t now_s,
                                       struct route *route)
{
    uint32_t ipv4 = peer_ipv4(peer);
    memset(route, 0, sizeof *route);
    route->headers = (struct blob_headers){http_headers_lookup, &request->headers, http_headers_at};
    enum status parsed = blob_url_parse(arena, request->target, request->authority, &routes->names, &route->url);
    if (parsed != STATUS_OK)
        return blob_error_of(parsed);
    const struct blob_error *error = route_account(routes, arena, route);
    if (error != NULL)
        return error;
    route->target = forwarded_target(route, request, arena);
    route->class = blob_classify(request->method_text, &route->url, &route->headers);
    if (route->class.action == BLOB_ACTION_REFUSE)
        return &BLOB_ERROR_INVALID_HEADER; /* signed by us, a stranger's read could become a write */
    blob_credential_of(arena, &route->headers, &route->url.query, &route->credential);
    route_authorize(route, arena, request, ipv4, node, now_s);
    if (route->permission.error != NULL)
        return route->permission.error;

    fill_cache_request(route, peer, arena);
    name_node(node, &route->cache);
    if (route->class.action == BLOB_ACTION_WRITE)
        return NULL;
    if (route->bypass == NULL)
        route->bypass = bypass_reason(route, request, ipv4, now_s);
    if (route->bypass == NULL && !route->cache.vouched)
        route->bypass = name_scope(route, &route->cache.scope);
    if (route->bypass == NULL)
        name_credential(routes, route, arena);
    return NULL;
}

struct cache_request route_base_blob(const struct route *route)
{
    struct cache_request base = route->cache;
    base.object = object_name(route, STR(""));
    return base;
}

/* The path's first part, as it was sent: a blob without one lies in $root. */
static struct str container_text(const struct route *route)
{
    struct str rest, path = route->url.path;
    struct str first = str_split((struct str){path.ptr + 1, path.len - 1}, '/', &rest);
    return route->url.level == BLOB_LEVEL_BLOB && rest.ptr == NULL ? STR("$root") : first;
}

struct str route_public_target(const struct route *route, enum blob_level level, bool base, struct arena *arena)
{
    const char *account = route->account->name;
    if (level == BLOB_LEVEL_ACCOUNT || route->url.level == BLOB_LEVEL_ACCOUNT)
        return arena_printf(arena, "/%s/", account);
    if (level == BLOB_LEVEL_CONTAINER || route->url.level == BLOB_LEVEL_CONTAINER)
        return arena_printf(arena, "/%s/%.*s/", account, STR_ARG(container_text(route)));
    struct str target = base ? route->url.path : filtered_target(route->target, &route->url.query, keep_for_own, arena);
    return arena_printf(arena, "/%s%.*s", account, STR_ARG(target));
}
