/* SPDX-License-Identifier: Apache-2.0 */
/* A request made ours, for each kind of credential that a file can hold; tokens are test_credential_keeper's. */
#include "tap.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/date.h"
#include "base/mem.h"
#include "origin/sign.h"

#define KEY "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
#define NOW INT64_C(1893553445)

static char path[] = "/tmp/test-sign-XXXXXX";
static struct arena *arena;

static struct credentials *set_of(enum credential_kind kind, const char *text, struct credential **credential)
{
    struct credentials *set = credentials_new();
    struct strbuf error = {0};
    FILE *file = fopen(path, "w");
    fputs(text, file);
    fclose(file);
    struct credential_options options = {kind, "acct", path};
    ok(credentials_add(set, &options, credential, &error) == STATUS_OK, "a credential");
    strbuf_free(&error);
    return set;
}

static struct origin_request request_of(struct http_headers *headers, const char *base, const char *target)
{
    *headers = (struct http_headers){.arena = arena};
    http_headers_add(headers, STR("Range"), STR("bytes=0-9"));
    http_headers_add(headers, STR("Authorization"), STR("Bearer of-the-client"));
    http_headers_add(headers, STR("x-ms-date"), STR("Wed, 02 Jan 2019 03:04:05 GMT"));
    http_headers_add(headers, STR("x-ms-version"), STR("2023-11-03"));
    http_headers_add(headers, STR("x-ms-meta-a"), STR("1"));
    return (struct origin_request){.account = "devstoreaccount1",
                                   .base = base,
                                   .method = STR("GET"),
                                   .target = str_from(target),
                                   .headers = headers};
}

/* What is sent must be what a service finds signed: checked with its own eyes, path and query as on the wire. */
static bool service_accepts(const struct http_headers *sent, const char *wire_path, const char *wire_query)
{
    struct account_keys keys;
    struct blob_query query;
    unsigned line;
    const char *problem;
    struct blob_headers fields = {http_headers_lookup, sent, http_headers_at};
    struct sharedkey_request request = {.method = STR("GET"),
                                        .account = STR("devstoreaccount1"),
                                        .path = str_from(wire_path),
                                        .query = &query,
                                        .headers = &fields};
    if (account_keys_parse(STR(KEY), &keys, &line, &problem) != STATUS_OK ||
        blob_query_parse(arena, str_from(wire_query), &query) != STATUS_OK)
        return false;
    return sharedkey_verify(arena, &request, &keys, http_headers_get(sent, STR("Authorization")), NOW) ==
           SHAREDKEY_GOOD;
}

static void by_key(void)
{
    struct credential *credential;
    struct credentials *set = set_of(CREDENTIAL_KEYS, KEY, &credential);
    struct http_headers given, sent = {.arena = arena};
    struct str target;
    struct origin_request request = request_of(&given, "https://devstoreaccount1.blob.example", "/c/a%20b?comp=x");
    ok(origin_sign(credential, &request, NOW, &sent, &target) == STATUS_OK, "signed");
    is_text(target, "/c/a%20b?comp=x", "the target stays");
    ok(service_accepts(&sent, "/c/a%20b", "comp=x"), "as the service computes it");
    ok(!service_accepts(&sent, "/c/a%20b", "comp=y"), "and not otherwise");
    is_text(http_headers_get(&sent, STR("x-ms-date")), "Wed, 02 Jan 2030 03:04:05 GMT", "with a date of its own");
    ok(http_headers_lookup(&sent, STR("Authorization"), 1).ptr == NULL, "the client's credential is gone");
    sent = (struct http_headers){.arena = arena};
    request.base = "http://127.0.0.1:10000/devstoreaccount1";
    request.account = "devstoreaccount1-secondary";
    ok(origin_sign(credential, &request, NOW, &sent, &target) == STATUS_OK &&
           service_accepts(&sent, "/devstoreaccount1/c/a%20b", "comp=x"),
       "a base with a path, a secondary");
    sent = (struct http_headers){.arena = arena};
    request.headers = NULL;
    ok(origin_sign(credential, &request, NOW, &sent, &target) == STATUS_OK &&
           http_headers_find(&sent, STR("x-ms-version")) != NULL,
       "a version is always named");
    sent = (struct http_headers){.arena = arena};
    request.target = STR("/c/b?a=%zz");
    is_int(origin_sign(credential, &request, NOW, &sent, &target), STATUS_BAD_TARGET, "what cannot be signed");
    credentials_free(set);
}

static void by_sas(void)
{
    struct credential *credential;
    struct credentials *set = set_of(CREDENTIAL_SAS, "sv=1&sig=x\n", &credential);
    struct http_headers given, sent = {.arena = arena};
    struct str target;
    struct origin_request request = request_of(&given, "https://a.blob.example", "/c/b");
    ok(origin_sign(credential, &request, NOW, &sent, &target) == STATUS_OK, "signed");
    is_text(target, "/c/b?sv=1&sig=x", "it becomes the query");
    ok(http_headers_find(&sent, STR("Authorization")) == NULL, "the client's credential is gone");
    is_text(http_headers_get(&sent, STR("x-ms-meta-a")), "1", "all else is there");
    request.target = STR("/c/b?snapshot=s");
    sent = (struct http_headers){.arena = arena};
    ok(origin_sign(credential, &request, NOW, &sent, &target) == STATUS_OK, "signed");
    is_text(target, "/c/b?snapshot=s&sv=1&sig=x", "or goes behind it");
    credentials_free(set);
}

static void by_token(void)
{
    struct credential *credential;
    struct credentials *set = credentials_new();
    struct strbuf error = {0};
    struct http_headers given, sent = {.arena = arena};
    struct str target;
    ok(credentials_add(set, &(struct credential_options){CREDENTIAL_MANAGED, "acct", NULL}, &credential, &error) ==
           STATUS_OK,
       "a managed identity");
    struct origin_request request = request_of(&given, "https://a.blob.example", "/c/b");
    is_int(origin_sign(credential, &request, NOW, &sent, &target), STATUS_AGAIN, "before its first token");
    credentials_free(set);
    strbuf_free(&error);
}

int main(void)
{
    mem_init();
    int fd = mkstemp(path);
    if (fd < 0)
        return 1;
    close(fd);
    arena = arena_new();
    by_key();
    by_sas();
    by_token();
    arena_free(arena);
    unlink(path);
    return done_testing();
}
