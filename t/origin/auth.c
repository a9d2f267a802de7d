/* SPDX-License-Identifier: Apache-2.0 */
/* See auth.h. */
#include "auth.h"

#include <stdlib.h>
#include <string.h>

#include "auth_key.h"
#include "blob.h"

#define MAX_GRANTS 100000
#define MAX_ACCOUNTS 1024
#define GRANT_BUCKETS 4096

struct grant {
    struct grant *next;
    enum grant_kind kind;
    char *secret, *scope;
};

struct account {
    char *name;
    bool sharedkey, challenge;
    struct account_keys keys;
};

static struct grant *grants[GRANT_BUCKETS];
static size_t grant_count;
static struct account accounts[MAX_ACCOUNTS];
static size_t account_count;

static struct grant **grant_bucket(const char *secret)
{
    return &grants[hash_string(secret) % GRANT_BUCKETS];
}

bool auth_grant(enum grant_kind kind, const char *secret, const char *scope)
{
    if (grant_count == MAX_GRANTS)
        return false;
    auth_revoke(kind, secret, scope);
    struct grant *g = xcalloc(1, sizeof *g);
    struct grant **bucket = grant_bucket(secret);
    g->kind = kind;
    g->secret = xstrdup(secret);
    g->scope = xstrdup(scope);
    g->next = *bucket;
    *bucket = g;
    grant_count++;
    return true;
}

int auth_revoke(enum grant_kind kind, const char *secret, const char *scope)
{
    int removed = 0;
    for (struct grant **at = grant_bucket(secret); *at;) {
        struct grant *g = *at;
        if (g->kind != kind || strcmp(g->secret, secret) != 0 || (scope && strcmp(g->scope, scope) != 0)) {
            at = &g->next;
            continue;
        }
        *at = g->next;
        free(g->secret);
        free(g->scope);
        free(g);
        grant_count--;
        removed++;
    }
    return removed;
}

static struct account *account_find(const char *name, size_t n)
{
    for (size_t i = 0; i < account_count; i++)
        if (strncmp(accounts[i].name, name, n) == 0 && accounts[i].name[n] == '\0')
            return &accounts[i];
    return NULL;
}

bool auth_account(const char *name, bool sharedkey, bool challenge)
{
    struct account *a = account_find(name, strlen(name));
    if (!a) {
        if (account_count == MAX_ACCOUNTS)
            return false;
        a = &accounts[account_count++];
        a->name = xstrdup(name);
    }
    a->sharedkey = sharedkey;
    a->challenge = challenge;
    return true;
}

bool auth_account_key(const char *name, const char *key)
{
    struct account *a = account_find(name, strlen(name));
    return a && auth_key_add(&a->keys, key);
}

static struct account *account_of(const char *path)
{
    return account_find(path + 1, strcspn(path + 1, "/"));
}

bool auth_strict(const char *path)
{
    const struct account *a = account_of(path);
    return a && a->keys.count > 0;
}

static bool covers(const char *scope, const char *path)
{
    char container[1200];
    size_t n = strlen(scope);
    if (path_split(scope, container, sizeof container) == 3)
        return strcmp(scope, path) == 0;
    return strncmp(scope, path, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

enum match { MATCH_NONE, MATCH_OTHER_SCOPE, MATCH_COVERED };

static enum match find_grant(enum grant_kind kind, const char *secret, const char *path)
{
    enum match best = MATCH_NONE;
    for (struct grant *g = *grant_bucket(secret); g; g = g->next) {
        if (g->kind != kind || strcmp(g->secret, secret) != 0)
            continue;
        if (covers(g->scope, path))
            return MATCH_COVERED;
        best = MATCH_OTHER_SCOPE;
    }
    return best;
}

/* A SAS of another scope fails as a wrong signature does: the resource is part of what is signed.
   With `si` the permissions and times live in a policy, which stands for whatever is not in the
   query. */
static const char *check_sas(const struct request *req, enum operation op, const char *path, const char *sig)
{
    const char *sp = request_query(req, "sp"), *se = request_query(req, "se");
    const char *st = request_query(req, "st");
    bool policy = request_query(req, "si") != NULL;
    time_t now = time(NULL), t;
    if (find_grant(GRANT_SAS, sig, path) != MATCH_COVERED)
        return "AuthenticationFailed";
    if (!policy && (!sp || !se))
        return "AuthenticationFailed";
    if (se && (!iso_date_parse(se, &t) || t <= now))
        return "AuthenticationFailed";
    if (st && (!iso_date_parse(st, &t) || t > now))
        return "AuthenticationFailed";
    static const char *const letters[] = {[OP_READ] = "r", [OP_WRITE] = "wc", [OP_DELETE] = "d", [OP_LIST] = "l"};
    if (sp && !strpbrk(sp, letters[op]))
        return "AuthorizationPermissionMismatch";
    return NULL;
}

static const char *check_bearer(const char *token, const char *path)
{
    if (*token == '\0')
        return "NoAuthenticationInformation";
    switch (find_grant(GRANT_TOKEN, token, path)) {
    case MATCH_COVERED:
        return NULL;
    case MATCH_OTHER_SCOPE:
        return "AuthorizationPermissionMismatch";
    default:
        return "InvalidAuthenticationInfo";
    }
}

static const char *check_shared_key(const struct request *req, const char *value, const char *path)
{
    const char *name = value + strspn(value, " "), *account = path + 1;
    size_t n = strcspn(account, "/");
    struct account *a = account_of(path);
    bool allowed = !a || a->sharedkey;
    if (a && a->keys.count > 0)
        return auth_key_shared(req, &a->keys, a->name, name);
    return allowed && strncmp(name, account, n) == 0 && name[n] == ':' ? NULL : "AuthenticationFailed";
}

static bool open_to_all(enum operation op, const char *path)
{
    char container[1200];
    bool blob = path_split(path, container, sizeof container) == 3;
    const struct container *c = container_find(container);
    if (!c || c->access == ACCESS_PRIVATE)
        return false;
    return op == OP_READ ? blob || c->access == ACCESS_CONTAINER : op == OP_LIST && c->access == ACCESS_CONTAINER;
}

/* Azure has told the anonymous where to get a token since 2019-12-12. */
static bool challenges(const struct account *a, const struct request *req)
{
    const char *version = request_header(req, "x-ms-version");
    bool recent = version && strcmp(version, "2019-12-12") >= 0;
    return a->keys.count > 0 ? recent : a->challenge;
}

const char *auth_check(const struct request *req, enum operation op, const char *path)
{
    const char *authorization = request_header(req, "Authorization");
    const char *sig = request_query(req, "sig");
    if (authorization) {
        if (starts_with(authorization, "Bearer"))
            return check_bearer(authorization + 6 + strspn(authorization + 6, " "), path);
        if (starts_with(authorization, "SharedKeyLite "))
            return check_shared_key(req, authorization + 14, path);
        if (starts_with(authorization, "SharedKey "))
            return check_shared_key(req, authorization + 10, path);
        return "InvalidAuthenticationInfo";
    }
    const struct account *a = account_of(path);
    if (sig && a && a->keys.count > 0 && find_grant(GRANT_SAS, sig, path) == MATCH_NONE)
        return auth_key_sas(req, &a->keys, a->name, op, path);
    if (sig)
        return check_sas(req, op, path, sig);
    if (open_to_all(op, path))
        return NULL;
    return a && challenges(a, req) ? "NoAuthenticationInformation" : "ResourceNotFound";
}
