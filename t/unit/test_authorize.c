/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_authorize.c: who says yes: every way to sign against every way to authorize. The tokens are those of
 * test_sas_verify.c.
 */
#define NOW INT64_C(1893000000) /* before 2030-01-02T03:04:05Z */

#include "base/date.h"
#include "base/mem.h"
#include "route_fixture.h"

#define KEY "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
#define BLOB_SAS                                                                                                       \
    "st=2020-01-01T00%3A00%3A00Z&se=2030-01-02T03%3A04%3A05Z&sp=rw&sip=10.0.0.1-10.0.0.9&spr=https&sv=2021-12-02"      \
    "&sr=b&rscc=no-store&rscd=x&rsce=gzip&rscl=de&rsct=text/plain%3B%20a%3Db"                                          \
    "&sig=ZCeJdBBMKXrwKuUwm/MLsNi4yTUXRpnIiAjk7V%2BMvNw%3D"
#define CONTAINER_SAS                                                                                                  \
    "se=2030-01-02T03%3A04%3A05Z&sp=rl&sv=2021-12-02&sr=c&sig=tMtUZNIpRXi7mgz/6kCHx%2BRu3FE6YINkMQusY1LsdbI%3D"
#define ACCOUNT_SAS                                                                                                    \
    "se=2030-01-02T03%3A04%3A05Z&sp=r&sv=2021-12-02&ss=b&srt=o&sig=8aKV4CSggnXeUrDOpVsT4rZ/hxGv7mCKZntq1wtRXcE%3D"
#define POLICY_SAS "sv=2021-12-02&si=pol&sr=b&sig=qZDfLgA5jK2YOmqW6A2M0riLkwDQXhUAeRGBCAhxOGY%3D"

static char key_path[] = "/tmp/test-authorize-key-XXXXXX";
static char sas_path[] = "/tmp/test-authorize-sas-XXXXXX";

/* The one account, authorized in that way. */
static void open_account(const char *way, const char *identity)
{
    char text[512];
    snprintf(
        text, sizeof text,
        "accounts:\n  - name: devstoreaccount1\n    origin: http://127.0.0.1:1/devstoreaccount1\n    key_file: %s\n"
        "    authorize: %s\n    identity: '%s'\n",
        key_path, way, identity);
    open_routes(text, way);
}

static void sign(struct http_request *request)
{
    struct account_keys keys;
    unsigned line;
    const char *problem;
    struct blob_query query;
    struct str query_text, path = str_split(request->target, '?', &query_text);
    char date[DATE_HTTP_LENGTH + 1];
    date_http_format(NOW, date);
    http_headers_add(&request->headers, STR("x-ms-date"), arena_str(arena, str_from(date)));
    struct blob_headers headers = {http_headers_lookup, &request->headers, http_headers_at};
    if (account_keys_parse(STR(KEY), &keys, &line, &problem) != STATUS_OK ||
        blob_query_parse(arena, query_text, &query) != STATUS_OK)
        abort();
    struct sharedkey_request what = {request->method_text, STR("devstoreaccount1"), path, &query, &headers, 0};
    http_headers_add(&request->headers, STR("Authorization"), sharedkey_authorization(arena, &what, &keys.key[0]));
}

static void route(struct ask ask)
{
    struct http_request *request = request_of(ask);
    if (ask.sign)
        sign(request);
    pass(ask, request);
}

#define TARGET "/devstoreaccount1/c/b"

static void is_refused(struct ask ask, const char *code, const char *detail, const char *what)
{
    route(ask);
    is_str(refused == NULL ? NULL : refused->code, code, "%s", what);
    struct str says = routed.permission.detail;
    if (detail != NULL)
        ok(says.ptr != NULL && memmem(says.ptr, says.len, detail, strlen(detail)) != NULL, "and says so: %.*s",
           STR_ARG(says));
}

static void by_key_signed(void)
{
    route((struct ask){.target = TARGET, .sign = true});
    ok(refused == NULL && routed.bypass == NULL && routed.cache.vouched, "signed by the key: ours to answer");
    ok(routed.permission.signer != NULL && routed.cache.signer != NULL, "what goes on is signed anew");
    is_text(routed.cache.own_target, "/c/b", "for the blob alone");
    ok(routed.cache.authorization.ptr == NULL, "the client's signature goes nowhere");
    struct digest one = routed.cache.credential;
    route((struct ask){.target = TARGET "?" ACCOUNT_SAS});
    ok(routed.cache.vouched && digest_eq(&one, &routed.cache.credential), "all whom we vouch for ask with one voice");
    route((struct ask){.method = "PUT", .target = TARGET, .sign = true});
    ok(refused == NULL && routed.permission.signer != NULL, "a write is signed anew as well");
    route((struct ask){.target = "/devstoreaccount1/c?restype=container&comp=list", .sign = true});
    ok(refused == NULL && routed.bypass != NULL && routed.permission.signer != NULL, "a list too");
    is_text(routed.target, "/c?restype=container&comp=list", "and keeps its query");
    route((struct ask){.target = TARGET "?snapshot=s&timeout=3", .sign = true});
    is_text(routed.cache.own_target, "/c/b?snapshot=s", "a snapshot is asked for by its name");
}

static void by_key_refused(void)
{
    const struct ask good = {.target = TARGET, .sign = true};
    struct ask ask = good;
    ask.now_s = NOW + 901;
    is_refused(ask, "AuthenticationFailed", "15 minutes", "a date that is too old");
    is_refused((struct ask){.target = TARGET, .authorization = "SharedKey devstoreaccount1:AAAA"},
               "AuthenticationFailed", "x-ms-date", "no date");
    is_refused((struct ask){.target = TARGET, .authorization = "SharedKey another:AAAA"}, "AuthenticationFailed",
               "devstoreaccount1", "another account's");
    is_refused((struct ask){.target = TARGET, .authorization = "SharedKey nonsense"}, "InvalidAuthenticationInfo", NULL,
               "a malformed one");
    route(good);
    struct str authorization = http_headers_get(routed.headers.from, STR("Authorization"));
    ask = (struct ask){.target = TARGET "2", .authorization = arena_str(arena, authorization).ptr};
    is_refused(ask, "AuthenticationFailed", NULL, "a signature for another blob");
    is_refused((struct ask){.method = "PUT", .target = TARGET, .authorization = ask.authorization},
               "AuthenticationFailed", NULL, "or for another method");
    route((struct ask){.method = "OPTIONS", .target = TARGET, .authorization = ask.authorization});
    ok(refused == NULL && routed.permission.signer == NULL, "a preflight's is not judged");
    route((struct ask){.target = TARGET, .authorization = "SharedKeyLite devstoreaccount1:AAAA"});
    is_str(routed.bypass, "shared-key-lite", "what is not known here is the origin's to judge");
    ok(routed.permission.signer == NULL && !routed.cache.vouched, "as the client sent it");
}

static void by_key_sas(void)
{
    route((struct ask){.target = TARGET "?" BLOB_SAS, .tls = true});
    ok(refused == NULL && routed.bypass == NULL && routed.cache.vouched, "a good token, its address and overrides too");
    ok(routed.permission.overrides, "whose overrides are for this reply");
    is_text(routed.cache.target, "/c/b", "and go nowhere");
    is_refused((struct ask){.target = TARGET "?" BLOB_SAS}, "AuthorizationProtocolMismatch", NULL, "over cleartext");
    is_refused((struct ask){.target = TARGET "?" BLOB_SAS, .tls = true, .peer = 0x0a00000a},
               "AuthorizationSourceIPMismatch", NULL, "from another address");
    is_refused((struct ask){.target = TARGET "?" CONTAINER_SAS, .now_s = 1893553445}, "AuthenticationFailed",
               "Expiry [2030-01-02T03:04:05Z] - Current [2030-01-02T03:04:05Z]", "at its end");
    is_refused((struct ask){.target = TARGET "?" BLOB_SAS, .tls = true, .now_s = 1577836799}, "AuthenticationFailed",
               "Start [2020-01-01T00:00:00Z]", "before its beginning");
    is_refused((struct ask){.target = TARGET "2?" BLOB_SAS, .tls = true}, "AuthenticationFailed",
               "Signature did not match", "for another blob");
    route((struct ask){.target = TARGET "?" ACCOUNT_SAS "&rsct=x"});
    is_str(routed.bypass, "overrides", "overrides behind an account's token, which does not sign them");
    ok(!routed.cache.vouched && !routed.permission.overrides, "are the origin's to judge");
    route((struct ask){.method = "PUT", .target = TARGET "?" CONTAINER_SAS});
    ok(refused == NULL && routed.permission.signer == NULL, "a write by a token goes as it came: the origin judges");
    route((struct ask){.target = TARGET "?" POLICY_SAS});
    ok(refused == NULL && !routed.cache.vouched && routed.bypass == NULL, "a stored policy's: the origin's verdict");
    route((struct ask){.target = TARGET "?" ACCOUNT_SAS "&srh=x"});
    ok(refused == NULL && !routed.cache.vouched && routed.bypass != NULL, "bound to headers: passed through");
    route((struct ask){.target = TARGET, .authorization = "Bearer t"});
    ok(refused == NULL && !routed.cache.vouched && routed.bypass == NULL, "a bearer token: the origin's verdict");
    route((struct ask){.target = TARGET});
    ok(refused == NULL && !routed.cache.vouched && routed.bypass == NULL, "nobody: the origin's verdict");
}

static void by_origin(void)
{
    route((struct ask){.target = TARGET, .sign = true});
    is_str(routed.bypass, "shared-key", "a signature is passed through");
    ok(routed.permission.signer == NULL && !routed.cache.vouched, "as it came");
    route((struct ask){.target = TARGET "?" CONTAINER_SAS});
    ok(!routed.cache.vouched && routed.cache.signer != NULL, "our own key signs fills, and vouches for nobody");
    is_text(routed.cache.target, "/c/b?" CONTAINER_SAS, "the token asks for the token");
    is_text(routed.cache.own_target, "/c/b", "the fill for itself");
    route((struct ask){.target = TARGET "?" ACCOUNT_SAS "&rsct=x"});
    is_str(routed.bypass, "overrides", "overrides are passed through");
    ok(!routed.permission.overrides, "and not ours to apply");
}

static void by_nobody(void)
{
    route((struct ask){.target = TARGET});
    ok(refused == NULL && routed.bypass == NULL && routed.cache.vouched, "a read needs no credential");
    ok(routed.permission.signer != NULL && routed.cache.signer != NULL, "ours is used");
    route((struct ask){.target = TARGET "?" CONTAINER_SAS, .authorization = "Bearer t"});
    ok(refused == NULL && routed.cache.vouched, "what the client shows does not matter");
    is_text(routed.target, "/c/b", "and goes nowhere");
    route((struct ask){.target = "/devstoreaccount1/c?restype=container&comp=list&" CONTAINER_SAS});
    is_text(routed.target, "/c?restype=container&comp=list", "also with a list");
    route((struct ask){.target = TARGET "?rsct=text/html"});
    ok(!routed.permission.overrides, "overrides that nobody signed are not applied");
    static const char *const writes[] = {"PUT", "DELETE", "POST", "PATCH", "OPTIONS", "LOCK"};
    for (unsigned i = 0; i < sizeof writes / sizeof writes[0]; i++) {
        route((struct ask){.method = writes[i], .target = TARGET});
        ok(refused == NULL && routed.permission.signer == NULL && !routed.cache.vouched, "%s is not signed", writes[i]);
    }
}

int main(void)
{
    mem_init();
    char identity[64];
    write_file(key_path, KEY "\n");
    write_file(sas_path, CONTAINER_SAS "\n");
    snprintf(identity, sizeof identity, "sas:%s", sas_path);
    arena = arena_new();
    open_account("key", "none");
    by_key_signed();
    by_key_refused();
    by_key_sas();
    close_routes();
    open_account("origin", "key");
    by_origin();
    close_routes();
    open_account("none", identity);
    by_nobody();
    close_routes();
    arena_free(arena);
    unlink(key_path);
    unlink(sas_path);
    return done_testing();
}
