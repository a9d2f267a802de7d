/* SPDX-License-Identifier: Apache-2.0 */
/* test_route.c: URLs to origins, and what a request's blob, container and scope are called in the cache. */
#define NOW 1750000000

#include "route_fixture.h"

/* A name wins over the star ahead of it. */
static const char config[] = "accounts:\n"
                             "  - name: '*'\n"
                             "    origin: https://{account}.blob.example\n"
                             "    dfs_origin: https://{account}.dfs.example\n"
                             "  - name: devstoreaccount1\n"
                             "    origin: http://127.0.0.1:10000/devstoreaccount1\n"
                             "  - name: vouched\n"
                             "    origin: https://vouched.example/\n"
                             "    grant_scope: container\n"
                             "  - name: unused\n";

#define TOKEN "sv=2022-11-02&se=2031-01-01T00:00:00Z&sp=r&sig=abc%3D"
#define BLOB_TOKEN TOKEN "&sr=b"
#define CONTAINER_TOKEN TOKEN "&sr=c"
#define DIRECTORY_TOKEN TOKEN "&sr=d&sdd=1"
#define ACCOUNT_TOKEN TOKEN "&ss=b&srt=o"

static void route(struct ask ask)
{
    pass(ask, request_of(ask));
}

static void test_origins(void)
{
    route((struct ask){.target = "/devstoreaccount1/c/b"});
    is_str(routed.origin, "http://127.0.0.1:10000/devstoreaccount1", "Azurite's base keeps its path");
    is_text(routed.target, "/c/b", "and the account's component is not doubled");
    route((struct ask){.target = "/devstoreaccount1?comp=list"});
    is_text(routed.target, "?comp=list", "an account without its slash stays without");
    route((struct ask){.target = "/devstoreaccount1/?comp=list"});
    is_text(routed.target, "/?comp=list", "an account with its slash keeps it");
    route((struct ask){.target = "/other?comp=list"});
    is_text(routed.target, "/?comp=list", "a bare host needs the slash");
    is_str(routed.origin, "https://other.blob.example", "the template is filled in");
    route((struct ask){.target = "/c/b%2Fd?x=1", .host = "third.blob.any.name"});
    is_str(routed.origin, "https://third.blob.example", "host-style");
    is_text(routed.target, "/c/b%2Fd?x=1", "the target goes on byte for byte");
    route((struct ask){.target = "/c/b", .host = "third.dfs.any.name"});
    is_str(routed.origin, "https://third.dfs.example", "the Data Lake endpoint");
    ok(routed.bypass == NULL, "is read like the Blob endpoint");
    is_str(routed.cache.origin, "https://third.blob.example", "which is what our own requests ask");
    struct hash128 file = routed.cache.object;
    route((struct ask){.target = "/c/b", .host = "third.blob.any.name"});
    ok(hash128_eq(file, routed.cache.object), "for the same object");
    route(
        (struct ask){.method = "HEAD", .target = "/c/b?action=getStatus&upn=false&" BLOB_TOKEN, .host = "third.dfs.x"});
    is_text(routed.cache.target, "/c/b?" BLOB_TOKEN, "without what only Data Lake knows");
    is_text(routed.target, "/c/b?action=getStatus&upn=false&" BLOB_TOKEN, "which a forwarded one keeps");
    route((struct ask){.target = "/vouched/c/b"});
    is_str(routed.origin, "https://vouched.example", "no slash at the origin's end");
    route((struct ask){.target = "/other-secondary/c/b"});
    is_str(routed.origin, "https://other-secondary.blob.example", "the secondary endpoint");
    is_str(routed.bypass, "secondary", "is not cached");
    struct hash128 secondary = routed.cache.object;
    route((struct ask){.target = "/other/c/b"});
    ok(hash128_eq(secondary, routed.cache.object), "and is the same object, so that a write there fences it");
    route((struct ask){.target = "/devstoreaccount1-secondary/c/b"});
    is_str(routed.origin, "http://127.0.0.1:10000/devstoreaccount1-secondary", "a secondary of a fixed origin");
    const struct account *once = routed.account;
    route((struct ask){.target = "/devstoreaccount1-secondary/c/b"});
    ok(routed.account == once, "an account is made once");
}

static void test_refusals(void)
{
    route((struct ask){.target = "/UPPER/c/b"});
    ok(refused != NULL && refused->status == 400, "no account is called so");
    route((struct ask){.target = "/other/../b"});
    ok(refused != NULL && refused->status == 400, "'..' as a container");
    route((struct ask){.target = "/devstoreaccount1/c/b", .host = "devstoreaccount1.dfs.x.y"});
    ok(refused != NULL && refused->status == 403, "an account without a Data Lake origin");
    route((struct ask){.target = "/other/c/b?" BLOB_TOKEN "&spr=https"});
    ok(refused != NULL && refused->status == 403, "a token for https over cleartext");
    is_str(refused == NULL ? NULL : refused->code, "AuthorizationProtocolMismatch", "in Azure's words");
    route((struct ask){.target = "/other/c/b?" BLOB_TOKEN "&spr=https", .tls = true});
    ok(refused == NULL && routed.bypass == NULL, "and over TLS");
}

static bool same_scope(struct ask a, struct ask b)
{
    route(a);
    struct hash128 scope = routed.cache.scope;
    bool cacheable = refused == NULL && routed.bypass == NULL;
    route(b);
    return cacheable && refused == NULL && routed.bypass == NULL && hash128_eq(scope, routed.cache.scope);
}

#define ASK(...) ((struct ask){__VA_ARGS__})

static void test_scopes(void)
{
    ok(same_scope(ASK(.target = "/other/c/a"), ASK(.target = "/other/c/b")), "anonymous: the container");
    ok(!same_scope(ASK(.target = "/other/c/a"), ASK(.target = "/other/d/a")), "and no other");
    ok(!same_scope(ASK(.target = "/other/c/a?" BLOB_TOKEN), ASK(.target = "/other/c/b?" BLOB_TOKEN)), "sr=b: the blob");
    ok(same_scope(ASK(.target = "/other/c/a?" CONTAINER_TOKEN), ASK(.target = "/other/c/b?" CONTAINER_TOKEN)),
       "sr=c: the container");
    ok(!same_scope(ASK(.target = "/other/c/a?" CONTAINER_TOKEN), ASK(.target = "/other/d/a?" CONTAINER_TOKEN)),
       "and no other");
    ok(same_scope(ASK(.target = "/other/c/x/a?" DIRECTORY_TOKEN), ASK(.target = "/other/c/x/y/b?" DIRECTORY_TOKEN)),
       "sr=d: the directory");
    ok(!same_scope(ASK(.target = "/other/c/x/a?" DIRECTORY_TOKEN), ASK(.target = "/other/c/xx/a?" DIRECTORY_TOKEN)),
       "by whole components");
    ok(!same_scope(ASK(.target = "/other/c/x/a?" DIRECTORY_TOKEN), ASK(.target = "/other/d/x/a?" DIRECTORY_TOKEN)),
       "of this container");
    ok(same_scope(ASK(.target = "/other/c/a?" ACCOUNT_TOKEN), ASK(.target = "/other/c/b?" ACCOUNT_TOKEN)),
       "an account's: the container");
    ok(!same_scope(ASK(.target = "/other/c/a?" ACCOUNT_TOKEN), ASK(.target = "/other/d/a?" ACCOUNT_TOKEN)),
       "and no other");
    ok(!same_scope(ASK(.target = "/other/c/a", .authorization = "Bearer t"),
                   ASK(.target = "/other/c/b", .authorization = "Bearer t")),
       "bearer: the blob");
    ok(same_scope(ASK(.target = "/vouched/c/a", .authorization = "Bearer t"),
                  ASK(.target = "/vouched/c/b", .authorization = "Bearer t")),
       "bearer where the operator vouches: the container");
}

static void test_names(void)
{
    route((struct ask){.target = "/other/c/a%20b?" BLOB_TOKEN});
    struct hash128 object = routed.cache.object;
    struct digest credential = routed.cache.credential;
    route((struct ask){.target = "/c/a%20b?" BLOB_TOKEN, .host = "other.blob.any.name"});
    ok(hash128_eq(object, routed.cache.object), "path-style and host-style name one object");
    ok(digest_eq(&credential, &routed.cache.credential), "and the token is one credential");
    route((struct ask){.target = "/other/c/a%20b?snapshot=2024-01-01T00:00:00.0000000Z&" BLOB_TOKEN});
    ok(!hash128_eq(object, routed.cache.object), "a snapshot is another object");
    route((struct ask){.target = "/other/c/a%00b"});
    ok(refused != NULL, "no NUL in a name");
    route((struct ask){.target = "/other/c/b?api-version=2009-09-19&" BLOB_TOKEN});
    is_text(routed.cache.target, "/c/b?" BLOB_TOKEN, "nor does it let the client choose the API's version");
    route((struct ask){.target = "/other/c/b?timeout=30&" BLOB_TOKEN});
    is_text(routed.cache.target, "/c/b?" BLOB_TOKEN, "our own request drops timeout and keeps the token as it is");
    is_text(routed.target, "/c/b?timeout=30&" BLOB_TOKEN, "a forwarded one keeps it");
    route((struct ask){.method = "DELETE", .target = "/other/c/b?snapshot=x"});
    struct cache_request base = route_base_blob(&routed);
    route((struct ask){.target = "/other/c/b"});
    ok(hash128_eq(base.object, routed.cache.object), "the base blob of a snapshot");
}

/* What is told of a request: at each level, and that it names the same there. */
static void test_public(void)
{
    static const struct {
        struct ask ask;
        const char *blob, *base, *container;
    } rows[] = {
        {{.method = "DELETE",
          .target = "/other/c/a%20b/d?timeout=3&" BLOB_TOKEN "&snapshot=2024-01-01T00:00:00.0000000Z"},
         "/other/c/a%20b/d?snapshot=2024-01-01T00:00:00.0000000Z",
         "/other/c/a%20b/d",
         "/other/c/"},
        {{.method = "PUT", .target = "/c/b?" BLOB_TOKEN, .host = "third.dfs.any.name"},
         "/third/c/b",
         "/third/c/b",
         "/third/c/"},
        {{.method = "PUT", .target = "/other/lonely"}, "/other/lonely", "/other/lonely", "/other/$root/"},
        {{.method = "PUT", .target = "/other/c?restype=container"}, "/other/c/", "/other/c/", "/other/c/"},
        {{.method = "POST", .target = "/other?comp=batch&" ACCOUNT_TOKEN}, "/other/", "/other/", "/other/"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        route(rows[i].ask);
        struct cache_request before = routed.cache;
        struct hash128 base = route_base_blob(&routed).object;
        struct arena *kept = arena_new();
        struct str told[] = {route_public_target(&routed, BLOB_LEVEL_BLOB, false, kept),
                             route_public_target(&routed, BLOB_LEVEL_BLOB, true, kept),
                             route_public_target(&routed, BLOB_LEVEL_CONTAINER, false, kept),
                             route_public_target(&routed, BLOB_LEVEL_ACCOUNT, false, kept)};
        enum blob_level level = routed.url.level;
        is_text(told[0], rows[i].blob, "%s: without a credential", rows[i].ask.target);
        is_text(told[1], rows[i].base, "its base");
        is_text(told[2], rows[i].container, "its container");
        for (unsigned n = 0; n < 4; n++) {
            char text[256];
            snprintf(text, sizeof text, "%.*s", STR_ARG(told[n]));
            route((struct ask){.method = "POST", .target = text});
            ok(hash128_eq(routed.cache.account_hash, before.account_hash), "is of the same account");
            if (level == BLOB_LEVEL_BLOB && n < 2)
                ok(hash128_eq(routed.cache.object, n == 0 ? before.object : base), "and the same object");
            if (level >= BLOB_LEVEL_CONTAINER && n < 3)
                ok(hash128_eq(routed.cache.container, before.container), "and in the same container");
        }
        arena_free(kept);
    }
}

static void test_bypasses(void)
{
    static const struct {
        const char *target;
        const char *authorization;
        const char *reason;
    } rows[] = {
        {"/other/c/b", "SharedKey other:c2ln", "shared-key"},
        {"/other/c/b?sv=2022-11-02&se=2020-01-01T00:00:00Z&sp=r&sr=b&sig=x", NULL, "expired"},
        {"/other/c/b?sv=2022-11-02&st=2030-01-01T00:00:00Z&se=2031-01-01T00:00:00Z&sp=r&sr=b&sig=x", NULL,
         "sas-not-valid"},
        {"/other/c/b?" BLOB_TOKEN "&sip=10.0.0.1", NULL, "sas-ip"},
        {"/other/c/b?" BLOB_TOKEN "&rsct=text/plain", NULL, "overrides"},
        {"/other/c/b?rsct=text/plain", NULL, "overrides"},
        {"/other/c/b?sv=2022-11-02", NULL, "sas-unsigned"},
        {"/other/c/b?rsce=gzip", "Bearer t", "overrides"},
        {"/other/c/b?sv=2022-11-02&se=2031-01-01T00:00:00Z&sp=w&sr=b&sig=x", NULL, "sas-permission"},
        {"/other/c/b?" TOKEN "&sr=d&sdd=3", NULL, "sas-directory"},
        {"/other/c?restype=container&comp=list", NULL, "container"},
        {"/other/c/a/../b", NULL, "odd-path"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        route((struct ask){.target = rows[i].target, .authorization = rows[i].authorization});
        is_str(refused == NULL ? routed.bypass : refused->code, rows[i].reason, "%s", rows[i].reason);
    }
}

static void test_bound(void)
{
    bool theirs = false;
    for (unsigned i = 0; i < ACCOUNTS_ANY_MAX + 10; i++) {
        struct arena *own = arena_new();
        struct arena *before = arena;
        char target[32];
        snprintf(target, sizeof target, "/many%u/c/b", i);
        arena = own;
        route((struct ask){.target = target});
        theirs = routed.origin != NULL && strncmp(routed.origin, "https://many", 12) == 0;
        arena = before;
        arena_free(own);
    }
    ok(refused == NULL, "'*' makes no more than so many accounts,");
    is_str(routed.bypass, "accounts", "the next ones are passed through");
    ok(theirs, "to their own origins");
    route((struct ask){.target = "/devstoreaccount1/c/b"});
    ok(refused == NULL, "those that are known go on");
    route((struct ask){.target = "/unused/c/b"});
    ok(refused == NULL, "and those that have a row are known, used or not");
    route((struct ask){.target = "/unused-secondary/c/b"});
    ok(refused == NULL, "their secondaries too");
}

int main(void)
{
    open_routes(config, "of all");
    arena = arena_new();
    test_origins();
    test_refusals();
    test_scopes();
    test_names();
    test_public();
    test_bypasses();
    test_bound();
    arena_free(arena);
    close_routes();
    return done_testing();
}
