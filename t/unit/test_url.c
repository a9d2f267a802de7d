/* SPDX-License-Identifier: Apache-2.0 */
/* Which account, container and blob a request names; nothing that is none passes. */
#include "tap.h"

#include "blob/url.h"

static struct arena *arena;

static bool known(const void *arg, struct str name)
{
    return str_eq(name, str_from(arg));
}

static const struct blob_accounts one = {known, "acct", false};
static const struct blob_accounts any = {NULL, NULL, true};

enum { P = BLOB_STYLE_PATH, H = BLOB_STYLE_HOST };
enum { A = BLOB_LEVEL_ACCOUNT, C = BLOB_LEVEL_CONTAINER, B = BLOB_LEVEL_BLOB };

static const struct {
    const char *target, *host;
    int style, level;
    const char *key;    /* what the request names */
    const char *origin; /* what the origin is asked for */
} good[] = {
    {"/acct/c/b", "127.0.0.1:8080", P, B, "acct/c/b", "/c/b"},
    {"/acct/c/b", "localhost:8080", P, B, "acct/c/b", "/c/b"},
    {"/acct/c/b", "[::1]:8080", P, B, "acct/c/b", "/c/b"},
    {"/acct/c/b", "127.0.0.1", P, B, "acct/c/b", "/c/b"},
    {"/acct/c/b", "", P, B, "acct/c/b", "/c/b"},
    {"/acct/c/b", "other.proxy.example", P, B, "acct/c/b", "/c/b"},
    {"/c/b", "acct.blob.core.windows.net", H, B, "acct/c/b", "/c/b"},
    {"/c/b", "ACCT.Blob.localhost:10000", H, B, "acct/c/b", "/c/b"},
    {"/c/b", "acct.any.name.", H, B, "acct/c/b", "/c/b"},
    {"/c/b", "acct-secondary.blob.x", H, B, "acct-secondary/c/b", "/c/b"},
    {"/acct-secondary/c/b", "h", P, B, "acct-secondary/c/b", "/c/b"},
    {"/acct/c/b", "acct", P, B, "acct/c/b", "/c/b"}, /* not dotted */
    {"/acct/c/a/b%2Fc%20d", "h", P, B, "acct/c/a/b/c d", "/c/a/b%2Fc%20d"},
    {"/acct/c/%61%2f%62", "h", P, B, "acct/c/a/b", "/c/%61%2f%62"},
    {"/acct/%63/b", "h", P, B, "acct/c/b", "/%63/b"},
    {"/acct/c/a+b", "h", P, B, "acct/c/a+b", "/c/a+b"},
    {"/acct/c/a//b/", "h", P, B, "acct/c/a//b/", "/c/a//b/"},
    {"/acct/c//b", "h", P, B, "acct/c//b", "/c//b"},
    {"/acct/c/%C3%BC", "h", P, B, "acct/c/\xc3\xbc", "/c/%C3%BC"},
    {"/acct/c/a/../b", "h", P, B, "acct/c/a/../b", "/c/a/../b"},
    {"/acct/c/b?snapshot=x&y", "h", P, B, "acct/c/b", "/c/b?snapshot=x&y"},
    {"/acct/c/b?", "h", P, B, "acct/c/b", "/c/b?"},
    {"/c/b??a=b", "acct.x.y", H, B, "acct/c/b", "/c/b??a=b"},
    {"/acct/$web/index.html", "h", P, B, "acct/$web/index.html", "/$web/index.html"},
    {"/acct/$root/b", "h", P, B, "acct/$root/b", "/$root/b"},
    {"/acct/b", "h", P, B, "acct/$root/b", "/b"},
    {"/b.txt", "acct.x.y", H, B, "acct/$root/b.txt", "/b.txt"},
    {"/acct/c?restype=container", "h", P, C, "acct/c", "/c?restype=container"},
    {"/acct/c/?comp=list&restype=container", "h", P, C, "acct/c", "/c/?comp=list&restype=container"},
    {"/acct/c?%72esType=container", "h", P, C, "acct/c", "/c?%72esType=container"},
    {"/acct?comp=list", "h", P, A, "acct", "/?comp=list"},
    {"/acct/?comp=list", "h", P, A, "acct", "/?comp=list"},
    {"/acct", "h", P, A, "acct", "/"},
    {"/?comp=list", "acct.x.y", H, A, "acct", "/?comp=list"},
    {"/", "acct.x.y", H, A, "acct", "/"},
    {"/fs", "acct.dfs.core.windows.net", H, C, "acct/fs", "/fs"},
};

static void names(void)
{
    for (unsigned i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct blob_url url;
        enum status status = blob_url_parse(arena, str_from(good[i].target), str_from(good[i].host), &one, &url);
        ok(status == STATUS_OK && (int) url.style == good[i].style && (int) url.level == good[i].level, "%s at '%s'",
           good[i].target, good[i].host);
        if (status != STATUS_OK)
            continue;
        struct str key =
            arena_printf(arena, "%.*s%s%s%.*s%s%.*s", STR_ARG(url.account), url.secondary ? "-secondary" : "",
                         url.level == BLOB_LEVEL_ACCOUNT ? "" : "/", STR_ARG(url.container),
                         url.level == BLOB_LEVEL_BLOB ? "/" : "", STR_ARG(url.blob));
        is_text(key, good[i].key, "names");
        is_text(url.account, "acct", "account");
        is_text(blob_url_origin_target(&url, arena), good[i].origin, "the origin's target");
    }
}

static void refuses(void)
{
    static const char *const bad[] = {
        "",
        "*",
        "acct/c/b",
        "http://h/acct/c/b",
        "/",
        "//c/b",
        "/ab/c/b",
        "/aaaaaaaaaaaaaaaaaaaaaaaaa/c/b",
        "/Acct/c/b",
        "/ac_ct/c/b",
        "/ac%63t/c/b",
        "/acct%2Fc/b",
        "/../c/b",
        "/%2e%2e/c/b",
        "/acct/../b",
        "/acct/./b",
        "/acct/c/../b",
        "/acct/c/a/../../b",
        "/acct/c/a/%2e%2e/%2E./b",
        "/acct/c/..\\b",
        "/acct/c/..%5cb",
        "/acct/c/./../b",
        "/acct/c//../b",
        "/acct/%2e%2e/b",
        "/acct/a%2Fb/c",
        "/acct/a\\b/c",
        "/acct//b",
        "/acct/c/%",
        "/acct/c/%4",
        "/acct/c/%4g",
        "/acct/c/%g4",
        "/acct/c/a%00b",
        "/acct/%00/b",
        "/acct/c/b?x=%",
        "/acct/c/b?%zz=1",
        "/acct/c/b?x=%00",
        "/acct/c/b#f",
        "/-secondary/c/b",
        "/acct-Secondary/c",
    };
    struct blob_url url;
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ok(blob_url_parse(arena, str_from(bad[i]), STR("localhost"), &any, &url) == STATUS_BAD_TARGET &&
               url.problem != NULL,
           "'%s' is refused", bad[i]);
    is_int(blob_url_parse(arena, STR("/acct/c/b"), STR("user@h"), &any, &url), STATUS_BAD_TARGET, "user information");
    ok(blob_url_parse(arena, (struct str){"/acct/c/a\0b", 11}, STR("h"), &any, &url) == STATUS_BAD_TARGET, "a raw NUL");

    char longest[8000] = "/acct/c/", query[2000] = "/acct/c/b?";
    for (int i = 0; i < 1024; i++)
        strcat(longest, "%C3%BC");
    is_int(blob_url_parse(arena, str_from(longest), STR("h"), &any, &url), STATUS_OK, "1,024 characters of two bytes");
    strcat(longest, "x");
    is_int(blob_url_parse(arena, str_from(longest), STR("h"), &any, &url), STATUS_BAD_TARGET, "1,025 characters");
    for (int i = 0; i < 127; i++)
        strcat(query, "a=b&");
    is_int(blob_url_parse(arena, str_from(query), STR("h"), &any, &url), STATUS_OK, "127 parameters");
    strcat(query, "&&");
    is_int(blob_url_parse(arena, str_from(query), STR("h"), &any, &url), STATUS_BAD_TARGET, "too many");
}

static int style_of(const char *host, const struct blob_accounts *accounts, struct blob_url *url)
{
    return blob_url_parse(arena, STR("/path1/path2/b"), str_from(host), accounts, url) == STATUS_OK ? (int) url->style
                                                                                                    : -1;
}

static void styles(void)
{
    struct blob_url url;
    is_int(style_of("proxy1.svc.cluster.local", &one, &url), P, "a stranger's first label: path-style");
    is_int(style_of("stranger.z01.dfs.x", &any, &url), H, "also Data Lake in a DNS zone");
    is_int(style_of("headpond.svc.cluster.local", &any, &url), P, "but a name of ours is no account's");
    is_int(style_of("stranger.blob.x", &any, &url), H, "with any account it is host-style");
    is_text(url.account, "stranger", "for that account");
    is_int(style_of("acct.x.y", &one, &url), H, "known: host-style");
    static const char *const addresses[] = {"127.0.0.1", "127.0.0.1:80", "10.20.30.40", "[::1]:80", "[acct.x]",
                                            "localhost", "localhost:80", "acct",        "acct:80",  ":80",
                                            "acct.",     "as_x.y",       "ab.x",        "100.200"};
    for (unsigned i = 0; i < sizeof addresses / sizeof addresses[0]; i++)
        is_int(style_of(addresses[i], &any, &url), P, "'%s' is path-style, whatever the accounts", addresses[i]);
    static const struct {
        const char *host;
        enum blob_endpoint endpoint;
    } endpoints[] = {
        {"acct.dfs.core.windows.net", BLOB_ENDPOINT_DFS},
        {"acct.DFS.x", BLOB_ENDPOINT_DFS},
        {"acct-secondary.dfs.x", BLOB_ENDPOINT_DFS},
        {"acct.z01.dfs.storage.azure.net", BLOB_ENDPOINT_DFS},
        {"acct.blob.core.windows.net", BLOB_ENDPOINT_BLOB},
        {"acct.z01.blob.storage.azure.net", BLOB_ENDPOINT_BLOB},
        {"acct.blob.dfs.x", BLOB_ENDPOINT_BLOB},
        {"acct.dfsx.y", BLOB_ENDPOINT_BLOB},
        {"acct.zone.dfs.x", BLOB_ENDPOINT_BLOB},
    };
    for (unsigned i = 0; i < sizeof endpoints / sizeof endpoints[0]; i++) {
        is_int(style_of(endpoints[i].host, &one, &url), H, "%s", endpoints[i].host);
        is_int(url.endpoint, endpoints[i].endpoint, "its endpoint");
    }
    ok(style_of("acct-secondary.blob.x", &one, &url) == H && url.secondary, "secondary");
}

static void details(void)
{
    struct blob_url url;
    static const char *const odd[] = {"/acct/c/a/../b",     "/acct/c/a/.",  "/acct/c/a/%2E%2e/b",
                                      "/acct/c/a%2F..%2Fb", "/acct/c/a\\b", "/acct/c/a%5Cb"};
    for (unsigned i = 0; i < sizeof odd / sizeof odd[0]; i++)
        ok(blob_url_parse(arena, str_from(odd[i]), STR("h"), &any, &url) == STATUS_OK && url.odd_path, "%s is odd",
           odd[i]);
    ok(blob_url_parse(arena, STR("/acct/c/..a/b.../.x"), STR("h"), &any, &url) == STATUS_OK && !url.odd_path,
       "dots in names are not");
    struct str blank = STR("/acct/c/b?VersionId=a%3Ab&x&=y&&timeout=5");
    is_int(blob_url_parse(arena, blank, STR("h"), &any, &url), STATUS_OK, "a query");
    is_int(url.query.count, 4, "its parameters");
    is_text(blob_query_value(&url.query, BLOB_PARAM_VERSIONID), "a:b", "decoded, any case");
    is_text(url.query.items[1].value, "", "without a value");
    is_text(url.query.items[0].raw, "VersionId=a%3Ab", "and as sent");
    is_text(blob_url_version(&url, arena), "versionid=a:b", "the version");
    ok(blob_url_parse(arena, STR("/acct/c/b?snapshot=s"), STR("h"), &any, &url) == STATUS_OK, "a snapshot");
    is_text(blob_url_version(&url, arena), "snapshot=s", "is one too");
    ok(blob_url_parse(arena, STR("/acct/c/b"), STR("h"), &any, &url) == STATUS_OK && url.query_text.ptr == NULL,
       "no query");
    is_text(blob_url_version(&url, arena), "", "no version");
}

static void versions(void)
{
    ok(blob_version_since(STR("2019-02-02"), "2019-02-02"), "a version has what it brought");
    ok(blob_version_since(STR("2020-01-01"), "2019-02-02"), "a later one too");
    ok(!blob_version_since(STR("2018-11-09"), "2019-02-02"), "an earlier one has not");
    ok(!blob_version_since(STR("zzzz-zz-zz"), "2019-02-02"), "nor what is none");
    ok(!blob_version_since(STR_NULL, "2019-02-02"), "nor no version at all");
}

int main(void)
{
    arena = arena_new();
    names();
    refuses();
    styles();
    details();
    arena_free(arena);
    versions();
    return done_testing();
}
