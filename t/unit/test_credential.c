/* SPDX-License-Identifier: Apache-2.0 */
/* Who asks, as far as a request shows it. */
#include "tap.h"

#include "base/base64.h"
#include "blob/credential.h"

static struct arena *arena;

static struct str get(const void *from, struct str name, unsigned nth)
{
    const char *const *values = from;
    if (!str_ieq(name, STR("authorization")) || nth > 1)
        return STR_NULL;
    return str_from(values[nth]);
}

static struct blob_credential of(const char *authorization, const char *second, const char *text)
{
    const char *values[] = {authorization, second};
    struct blob_headers headers = {.get = get, .from = values};
    struct blob_query query;
    struct blob_credential credential;
    if (blob_query_parse(arena, str_from(text), &query) != STATUS_OK)
        query.count = 0;
    blob_credential_of(arena, &headers, &query, &credential);
    return credential;
}

#define SAS "sv=1&sr=c&sp=r&se=2030-01-01&sig=x"

static void kinds(void)
{
    struct blob_credential c = of(NULL, NULL, "snapshot=1");
    ok(c.kind == BLOB_CREDENTIAL_ANONYMOUS && c.text.len == 0 && c.expires_s == INT64_MAX && c.reason == NULL,
       "nobody");
    c = of(NULL, NULL, SAS);
    ok(c.kind == BLOB_CREDENTIAL_SAS && c.reason == NULL && str_starts(c.text, STR("sas\n")), "a SAS");
    is_int(c.expires_s, 1893456000, "its expiry");
    c = of(NULL, NULL, SAS "&srh=x");
    ok(c.kind == BLOB_CREDENTIAL_SAS && c.reason != NULL, "a SAS to pass through");
    c = of("Bearer abc", NULL, "");
    ok(c.kind == BLOB_CREDENTIAL_BEARER && c.reason == NULL, "a bearer token");
    is_text(c.text, "bearer\nabc", "its text");
    is_text(of("bearer  abc ", NULL, "").text, "bearer\nabc", "the scheme's case and blanks do not count");
    c = of("SharedKey acct:sig", NULL, "");
    ok(c.kind == BLOB_CREDENTIAL_SHAREDKEY && c.text.len == 0, "Shared Key");
    is_str(c.reason, "shared-key", "and why it passes through");
    ok(of("SharedKeyLite acct:sig", NULL, "").kind == BLOB_CREDENTIAL_UNKNOWN, "Shared Key Lite");
    static const char *const strange[] = {"", "Bearer", "Bearer ", "Basic abc", "SharedKeyX a:b", "abc", "Negotiate x"};
    for (unsigned i = 0; i < sizeof strange / sizeof strange[0]; i++)
        is_str(of(strange[i], NULL, "").reason, "authorization", "unknown: '%s'", strange[i]);
    c = of("Bearer abc", NULL, SAS);
    ok(c.kind == BLOB_CREDENTIAL_UNKNOWN && c.text.len == 0, "a SAS and a token");
    is_str(c.reason, "two-credentials", "are two");
    is_int(of("Bearer abc", "Bearer def", "").kind, BLOB_CREDENTIAL_UNKNOWN, "so are two tokens");
    static const char *const unsigned_tokens[] = {"sv=2022-11-02", "sp=r&se=2030-01-01", "snapshot=1&sr=c", "%73ip=1",
                                                  "SKOID=x"};
    for (unsigned i = 0; i < sizeof unsigned_tokens / sizeof unsigned_tokens[0]; i++) {
        c = of(NULL, NULL, unsigned_tokens[i]);
        ok(c.kind == BLOB_CREDENTIAL_UNKNOWN && c.text.len == 0, "not nobody: %s", unsigned_tokens[i]);
        is_str(c.reason, "sas-unsigned", "but a token without its signature");
        c = of("Bearer abc", NULL, unsigned_tokens[i]);
        ok(c.kind == BLOB_CREDENTIAL_UNKNOWN && c.text.len == 0, "nor is it the bearer's alone");
        ok(of("SharedKey acct:sig", NULL, unsigned_tokens[i]).kind == BLOB_CREDENTIAL_SHAREDKEY, "Shared Key signs it");
    }
    c = of("Bearer sas\n", NULL, "");
    ok(!str_starts(c.text, STR("sas\n")), "a token cannot pass for a SAS");
}

/* base64url */
static void encode(const char *json, char *out)
{
    char *end = base64_encode(out, json, strlen(json));
    while (end > out && end[-1] == '=')
        end--;
    *end = '\0';
    for (; *out != '\0'; out++)
        *out = (char) (*out == '+' ? '-' : *out == '/' ? '_' : *out);
}

static int64_t expiry(const char *payload)
{
    char encoded[4096], header[5000];
    encode(payload, encoded);
    snprintf(header, sizeof header, "Bearer eyJhbGciOiJub25lIn0.%s.c2ln", encoded);
    return of(header, NULL, "").expires_s;
}

static void tokens(void)
{
    is_int(expiry("{\"exp\":1893456000}"), 1893456000, "exp");
    is_int(expiry("{\"a\":[1,{}],\"exp\":1893456000,\"b\":\"\xc3\xbc\"}"), 1893456000, "among others");
    is_int(expiry("{\"exp\":1893456000.5}"), 1893456000, "with a fraction");
    is_int(expiry("{\"exp\":-5}"), -5, "in the past");
    is_int(expiry("{\"exp\":-5.5}"), 0, "in the past, with a fraction");
    static const char *const none[] = {"{}",
                                       "{\"exp\":\"1\"}",
                                       "{\"exp\":null}",
                                       "{\"exp\":1e300}",
                                       "{\"exp\":true}",
                                       "[]",
                                       "{\"exp\":1",
                                       "not json",
                                       "1",
                                       "{\"exp\":[1]}",
                                       "{\"x\":{\"exp\":1}}"};
    for (unsigned i = 0; i < sizeof none / sizeof none[0]; i++)
        ok(expiry(none[i]) == INT64_MAX, "no exp to be had from payload %u", i);
    static const char *const malformed[] = {
        "Bearer a.b",   "Bearer a.eyJleHAiOjF9",   "Bearer a..c", "Bearer ...", "Bearer a.!!!!.c",
        "Bearer a.e.c", "Bearer a.eyJleHAiOjF9=.c"};
    for (unsigned i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
        struct blob_credential c = of(malformed[i], NULL, "");
        ok(c.kind == BLOB_CREDENTIAL_BEARER && c.expires_s == INT64_MAX, "opaque: %s", malformed[i]);
    }
    static char large[40000] = "Bearer a.";
    memset(large + 9, 'A', 30000);
    strcpy(large + 30009, ".c");
    ok(of(large, NULL, "").expires_s == INT64_MAX, "a token too large to be looked into");
    static char deep[3001];
    memset(deep, '[', 3000);
    ok(expiry(deep) == INT64_MAX, "a deep one");
}

int main(void)
{
    arena = arena_new();
    kinds();
    tokens();
    arena_free(arena);
    return done_testing();
}
