/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route.c: the table of accounts (chains that only grow: looked up without a lock) and the request's names in the
 * cache.
 *
 * What is hashed is prefixed by its kind, so that no container can be named like a blob's scope. A NUL parts the
 * fields: blob/url refuses one in any name.
 */
#include "proxy/route.h"

#include <assert.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

#define CHAINS 1024

/* Azure's words for a token that demands https (error codes of the Blob service). */
static const struct blob_error error_protocol = {
    403, "AuthorizationProtocolMismatch",
    "This request is not authorized to perform this operation using this protocol."};

struct routes {
    const struct conf *conf;
    struct blob_accounts accounts;
    struct digest nobody; /* the anonymous credential's */
    _Atomic(struct route_account *) chains[CHAINS];
    pthread_mutex_t lock; /* for adding */
    unsigned count;       /* under lock */
};

/* ---- Accounts ---- */

static bool name_border(char c)
{
    return c == '/' || c == '.' || c == ':' || c == '\0';
}

/* The template with {account} replaced. For a secondary account whose template names the account itself (a fixed
 * origin, or Azurite's path), "-secondary" goes behind the name's last occurrence. The caller frees it. */
static char *origin_of(const char *template, struct str name, bool secondary)
{
    static const char placeholder[] = "{account}";
    struct strbuf url = {0};
    bool placed = false;
    const char *at = template;
    for (const char *hit; (hit = strstr(at, placeholder)) != NULL; at = hit + sizeof placeholder - 1) {
        strbuf_add(&url, at, (size_t) (hit - at));
        strbuf_adds(&url, name);
        strbuf_adds(&url, secondary ? STR("-secondary") : STR(""));
        placed = true;
    }
    strbuf_adds(&url, str_from(at));
    strbuf_adds(&url, STR("")); /* also an empty template gets its NUL */
    while (url.len > 0 && url.ptr[url.len - 1] == '/')
        url.ptr[--url.len] = '\0';
    if (secondary && !placed) {
        for (size_t i = url.len; i-- > 1;) {
            if (i + name.len > url.len || memcmp(url.ptr + i, name.ptr, name.len) != 0 ||
                !name_border(url.ptr[i - 1]) || !name_border(url.ptr[i + name.len]))
                continue;
            struct strbuf longer = {0};
            strbuf_add(&longer, url.ptr, i + name.len);
            strbuf_adds(&longer, STR("-secondary"));
            strbuf_add(&longer, url.ptr + i + name.len, url.len - i - name.len);
            strbuf_free(&url);
            url = longer;
            break;
        }
    }
    char *text = mem_strndup(url.ptr == NULL ? "" : url.ptr, url.len);
    strbuf_free(&url);
    return text;
}

static struct hash128 hash_parts(struct arena *arena, struct str kind, struct str a, struct str b)
{
    size_t len = kind.len + a.len + b.len + 2;
    char *text = arena_alloc(arena, len);
    char *at = text;
    memcpy(at, kind.ptr, kind.len);
    at += kind.len;
    *at++ = '\0';
    if (a.len > 0)
        memcpy(at, a.ptr, a.len);
    at += a.len;
    *at++ = '\0';
    if (b.len > 0)
        memcpy(at, b.ptr, b.len);
    return hash128(text, len);
}

static struct route_account *account_find(struct routes *routes, unsigned chain, struct str key)
{
    struct route_account *account = atomic_load_explicit(&routes->chains[chain], memory_order_acquire);
    while (account != NULL && !str_eq(str_from(account->name), key))
        account = account->next;
    return account;
}

static struct route_account *account_make(const struct conf_account *row, struct arena *arena, struct str name,
                                          struct str key, bool secondary)
{
    struct route_account *account = mem_calloc(1, sizeof *account);
    account->name = mem_strndup(key.ptr, key.len);
    account->row = row;
    account->origin = origin_of(row->origin, name, secondary);
    account->dfs_origin = row->dfs_origin == NULL ? NULL : origin_of(row->dfs_origin, name, secondary);
    account->hash = hash_parts(arena, STR("account"), key, STR(""));
    return account;
}

/* NULL: not configured, or too many of them (*full). */
static const struct route_account *account_get(struct routes *routes, struct arena *arena, const struct blob_url *url,
                                               bool *full)
{
    *full = false;
    struct str key = url->account;
    if (url->secondary)
        key = arena_printf(arena, "%.*s-secondary", STR_ARG(url->account));
    unsigned chain = (unsigned) (hash64(key.ptr, key.len, 0) % CHAINS);
    struct route_account *account = account_find(routes, chain, key);
    if (account != NULL)
        return account;
    const struct conf_account *row = conf_find_account(routes->conf, url->account);
    if (row == NULL)
        return NULL;
    pthread_mutex_lock(&routes->lock);
    account = account_find(routes, chain, key);
    if (account == NULL && routes->count < ROUTE_MAX_ACCOUNTS) {
        account = account_make(row, arena, url->account, key, url->secondary);
        account->next = atomic_load_explicit(&routes->chains[chain], memory_order_relaxed);
        atomic_store_explicit(&routes->chains[chain], account, memory_order_release);
        routes->count++;
    }
    pthread_mutex_unlock(&routes->lock);
    *full = account == NULL;
    return account;
}

static bool account_known(const void *arg, struct str name)
{
    const struct conf *conf = arg;
    for (unsigned i = 0; i < conf->account_count; i++) {
        if (str_eq(str_from(conf->accounts[i].name), name))
            return true;
    }
    return false;
}

struct routes *routes_new(const struct conf *conf)
{
    struct routes *routes = mem_calloc(1, sizeof *routes);
    routes->conf = conf;
    routes->accounts = (struct blob_accounts){account_known, conf, account_known(conf, STR("*"))};
    routes->nobody = digest_of(STR(""));
    pthread_mutex_init(&routes->lock, NULL);
    return routes;
}

void routes_free(struct routes **routes)
{
    struct routes *gone = *routes;
    *routes = NULL;
    if (gone == NULL)
        return;
    for (unsigned i = 0; i < CHAINS; i++) {
        struct route_account *account = atomic_load(&gone->chains[i]);
        while (account != NULL) {
            struct route_account *next = account->next;
            mem_free(account->name);
            mem_free(account->origin);
            mem_free(account->dfs_origin);
            mem_free(account);
            account = next;
        }
    }
    pthread_mutex_destroy(&gone->lock);
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

static void name_object(struct route *route, struct arena *arena)
{
    struct cache_request *cache = &route->cache;
    const struct blob_url *url = &route->url;
    struct str name = str_from(route->account->name);
    cache->object = hash_parts(arena, STR("blob"), url->key, blob_url_version(url, arena));
    cache->container = hash_parts(arena, STR("container"), name, url->container);
    cache->account_hash = route->account->hash;
}

/* What a yes to this credential covers (decision 7). A NULL return: *scope is set; else why no yes may be kept. */
static const char *name_scope(const struct route *route, struct arena *arena, struct hash128 *scope)
{
    const struct blob_url *url = &route->url;
    const struct cache_request *cache = &route->cache;
    bool vouched = route->account->row->grant_scope == CONF_SCOPE_CONTAINER;
    *scope = cache->object;
    switch (route->credential.kind) {
    case BLOB_CREDENTIAL_ANONYMOUS:
        *scope = cache->container;
        return NULL;
    case BLOB_CREDENTIAL_BEARER:
        if (vouched)
            *scope = cache->container;
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
        struct hash128 container = cache->container;
        *scope =
            hash_parts(arena, STR("directory"), (struct str){(const char *) &container, sizeof container}, directory);
        return NULL;
    }
    case SAS_SCOPE_CONTAINER:
        *scope = cache->container;
        return NULL;
    case SAS_SCOPE_ACCOUNT:
        *scope = cache->account_hash;
        return NULL;
    }
    return "credential";
}

/* What our own requests ask for: the path, the generation's name and the token, byte for byte; `timeout` is dropped, and
 * `api-version`, which would undo our pinned one (decision 6). */
static struct str own_target(const struct route *route, struct arena *arena)
{
    const struct blob_query *query = &route->url.query;
    if (blob_query_value(query, BLOB_PARAM_TIMEOUT).ptr == NULL &&
        blob_query_value(query, BLOB_PARAM_API_VERSION).ptr == NULL)
        return route->target;
    size_t len = route->target.len + 1;
    char *text = arena_alloc(arena, len);
    struct str path = str_split(route->target, '?', &(struct str){NULL, 0});
    memcpy(text, path.ptr, path.len);
    size_t at = path.len;
    char before = '?';
    for (unsigned i = 0; i < query->count; i++) {
        if (query->items[i].id == BLOB_PARAM_TIMEOUT || query->items[i].id == BLOB_PARAM_API_VERSION)
            continue;
        text[at++] = before;
        before = '&';
        memcpy(text + at, query->items[i].raw.ptr, query->items[i].raw.len);
        at += query->items[i].raw.len;
    }
    return (struct str){text, at};
}

/* Why this read is not for the cache, or NULL. */
static const char *bypass_reason(const struct route *route, const struct http_request *request,
                                 const struct sockaddr *peer, int64_t now_s)
{
    const struct blob_credential *credential = &route->credential;
    if (route->class.action == BLOB_ACTION_BYPASS)
        return route->class.reason == NULL ? "operation" : route->class.reason;
    if (route->url.endpoint == BLOB_ENDPOINT_DFS)
        return "dfs";
    if (route->url.secondary)
        return "secondary";
    if (route->url.odd_path)
        return "path";
    if (credential->reason != NULL)
        return credential->reason;
    if (credential->expires_s <= now_s)
        return "expired";
    if (credential->kind == BLOB_CREDENTIAL_SAS) {
        if (credential->sas.ip.ptr != NULL)
            return "sas-ip"; /* the origin judges by our address, which is not the client's */
        if (credential->sas.overrides)
            return "sas-overrides";
        if (!credential->sas.read)
            return "sas-permission";
        if (!sas_usable(&credential->sas, now_s, request->tls, peer_ipv4(peer)))
            return "sas-not-valid";
    }
    return NULL;
}

static void fill_cache_request(struct route *route, struct arena *arena)
{
    struct cache_request *cache = &route->cache;
    const struct conf_account *row = route->account->row;
    name_object(route, arena);
    cache->account = route->account->name;
    cache->origin = route->account->origin;
    cache->ca_file = row->origin_ca;
    cache->target = route->target;
    cache->authorization = route->credential.authorization;
    cache->scope = cache->object;
    cache->expires_s = route->credential.expires_s;
    cache->authorize_ttl = row->authorize_ttl;
    cache->freshness = conf_freshness(row, route->url.container);
}

/* "/account?comp=list" names the account without a slash, and Shared Key signs it so: where the base has a path of its
 * own (Azurite) it can stay like that. */
static struct str forwarded_target(const struct route *route, const struct http_request *request, struct arena *arena)
{
    struct str target = blob_url_origin_target(&route->url, arena);
    struct str path = str_split(request->target, '?', &(struct str){NULL, 0});
    const char *host = strstr(route->origin, "://");
    bool based = host != NULL && strchr(host + 3, '/') != NULL;
    if (route->url.level == BLOB_LEVEL_ACCOUNT && route->url.style == BLOB_STYLE_PATH && based && target.len > 0 &&
        !str_ends(path, STR("/")))
        return (struct str){target.ptr + 1, target.len - 1};
    return target;
}

const struct blob_error *route_request(struct routes *routes, struct arena *arena, const struct http_request *request,
                                       const struct sockaddr *peer, int64_t now_s, struct route *route)
{
    memset(route, 0, sizeof *route);
    route->headers = (struct blob_headers){http_headers_lookup, &request->headers, http_headers_at};
    enum status parsed = blob_url_parse(arena, request->target, request->authority, &routes->accounts, &route->url);
    if (parsed != STATUS_OK)
        return blob_error_of(parsed);
    bool full;
    route->account = account_get(routes, arena, &route->url, &full);
    if (route->account == NULL)
        return full ? &BLOB_ERROR_AUTHENTICATION_FAILED : &BLOB_ERROR_ACCOUNT_NOT_FOUND;

    bool dfs = route->url.endpoint == BLOB_ENDPOINT_DFS;
    route->origin = dfs ? route->account->dfs_origin : route->account->origin;
    if (route->origin == NULL)
        return &BLOB_ERROR_ACCOUNT_NOT_FOUND; /* this account has no such endpoint */
    route->target = forwarded_target(route, request, arena);
    route->class = blob_classify(request->method_text, &route->url, &route->headers);
    blob_credential_of(arena, &route->headers, &route->url.query, &route->credential);
    if (route->credential.kind == BLOB_CREDENTIAL_SAS && route->credential.sas.https_only && !request->tls)
        return &error_protocol; /* passed on over https it would be a promise broken for its giver */

    fill_cache_request(route, arena);
    if (route->class.action == BLOB_ACTION_WRITE)
        return NULL;
    route->bypass = bypass_reason(route, request, peer, now_s);
    if (route->bypass == NULL)
        route->bypass = name_scope(route, arena, &route->cache.scope);
    if (route->bypass == NULL) {
        bool anonymous = route->credential.kind == BLOB_CREDENTIAL_ANONYMOUS;
        route->cache.credential = anonymous ? routes->nobody : digest_of(route->credential.text);
        route->cache.target = own_target(route, arena);
    }
    return NULL;
}

struct cache_request route_base_blob(const struct route *route, struct arena *arena)
{
    struct cache_request base = route->cache;
    base.object = hash_parts(arena, STR("blob"), route->url.key, STR(""));
    return base;
}
