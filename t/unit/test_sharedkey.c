/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared Key both ways. The signatures are what the Python SDK (azure-storage-blob 12.15) and the sort order of the
 * JavaScript SDK give for these requests with the emulator's well-known key.
 */
#include "tap.h"

#include "blob/sharedkey.h"

#define KEY "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
#define OTHER_KEY "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw=="
#define DATE "Wed, 02 Jan 2030 03:04:05 GMT"
#define NOW INT64_C(1893553445)

static struct arena *arena;

struct field {
    const char *name, *value;
};

static bool at(const void *from, unsigned nth, struct str *name, struct str *value)
{
    const struct field *fields = from;
    for (unsigned i = 0; i <= nth; i++)
        if (fields[i].name == NULL)
            return false;
    *name = str_from(fields[nth].name);
    *value = str_from(fields[nth].value);
    return true;
}

static struct str get(const void *from, struct str name, unsigned nth)
{
    for (const struct field *field = from; field->name != NULL; field++)
        if (str_ieq(str_from(field->name), name) && nth-- == 0)
            return str_from(field->value);
    return STR_NULL;
}

struct sample {
    const char *what, *method, *path, *query;
    int64_t length;
    struct field fields[16];
    const char *signature;
};

static const struct sample samples[] = {
    {"a path-style ranged read",
     "GET",
     "/devstoreaccount1/c/a%20b",
     "",
     0,
     {{"x-ms-date", DATE}, {"X-MS-Version", "2023-11-03"}, {"x-ms-range", "bytes=0-9"}, {NULL, NULL}},
     "rtU3TXrewLoypQ8zwuunc3cTAsSLlDfMllpbQYNJh1k="},
    {"a list, its parameters not in order",
     "GET",
     "/c",
     "restype=container&comp=list&prefix=a%2Fb&include=metadata%2Csnapshots",
     0,
     {{"x-ms-date", DATE}, {"x-ms-version", "2023-11-03"}, {NULL, NULL}},
     "snWcyR8VHAeGWRijfs6/QfqU1gURtXDE/yjJWPRTtq8="},
    {"a write with standard fields and metadata",
     "PUT",
     "/c/b",
     "",
     11,
     {{"Content-Type", "application/octet-stream"},
      {"If-None-Match", "*"},
      {"x-ms-blob-type", "BlockBlob"},
      {"x-ms-meta-B", "2"},
      {"x-ms-meta-a", "1"},
      {"x-ms-date", DATE},
      {"x-ms-version", "2023-11-03"},
      {NULL, NULL}},
     "Q9TZUZmBL223abLggqAA+iXc4Gzph9OoPuvjBOV9RuY="},
    {"names that differ by a hyphen, by bytes",
     "GET",
     "/c/b",
     "",
     0,
     {{"x-ms-meta-a-b", "1"}, {"x-ms-meta-ab", "2"}, {"x-ms-date", DATE}, {"x-ms-version", "2023-11-03"}, {NULL, NULL}},
     "001l5RM28wGo2FruoabpojNiEPvF/nRnQryyG3r9b/w="},
    {"the same, hyphens last",
     "GET",
     "/c/b",
     "",
     0,
     {{"x-ms-meta-a-b", "1"}, {"x-ms-meta-ab", "2"}, {"x-ms-date", DATE}, {"x-ms-version", "2023-11-03"}, {NULL, NULL}},
     "c7pEQLVD1I0C6ZGhFD6pWso9d1BetroGS4b4nviuOpc="},
    {"every way to differ",
     "PUT",
     "/c/b",
     "",
     0,
     {{"x-ms-meta-a-b", "meta-a-b!"},
      {"x-ms-meta-ab", "meta-ab!"},
      {"x-ms-meta-a_b", "meta-a_b!"},
      {"x-ms-meta-a", "meta-a!"},
      {"x-ms-meta-a-", "meta-a-!"},
      {"x-ms-meta-a0", "meta-a0!"},
      {"x-ms-meta-aa", "meta-aa!"},
      {"x-ms-date", DATE},
      {"x-ms-version", "version!"},
      {"x-ms-meta-a-bc", "meta-a-bc!"},
      {"x-ms-meta--ab", "meta--ab!"},
      {"x-ms-blob-type", "blob-type!"},
      {"x-ms-blobtype", "blobtype!"},
      {NULL, NULL}},
     "O5Smgf68XDkdWh+ETmiQjCdaGtjznWWgZiyZuDx8fJo="},
};

static struct blob_query query;
static struct blob_headers headers;

static struct sharedkey_request request_of(const struct sample *sample)
{
    enum status status = blob_query_parse(arena, str_from(sample->query), &query);
    ok(status == STATUS_OK, "%s: its query", sample->what);
    headers = (struct blob_headers){.get = get, .from = sample->fields, .at = at};
    return (struct sharedkey_request){
        str_from(sample->method), STR("devstoreaccount1"), str_from(sample->path), &query, &headers, sample->length};
}

static struct account_keys keys_of(const char *text)
{
    struct account_keys keys;
    unsigned line;
    const char *problem;
    ok(account_keys_parse(str_from(text), &keys, &line, &problem) == STATUS_OK, "keys");
    return keys;
}

static struct str authorization_of(const char *signature)
{
    return arena_printf(arena, "SharedKey devstoreaccount1:%s", signature);
}

static void known_signatures(void)
{
    struct account_keys first = keys_of(KEY "\n"), second = keys_of(OTHER_KEY "\n" KEY), other = keys_of(OTHER_KEY);
    for (unsigned i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        const struct sample *sample = &samples[i];
        struct sharedkey_request request = request_of(sample);
        struct str signed_by = authorization_of(sample->signature);
        is_int(sharedkey_verify(arena, &request, &first, signed_by, NOW), SHAREDKEY_GOOD, "%s", sample->what);
        is_int(sharedkey_verify(arena, &request, &second, signed_by, NOW), SHAREDKEY_GOOD, "by the second key");
        is_int(sharedkey_verify(arena, &request, &other, signed_by, NOW), SHAREDKEY_MISMATCH, "not by another");
        struct str ours = sharedkey_authorization(arena, &request, &first.key[0]);
        is_int(sharedkey_verify(arena, &request, &first, ours, NOW), SHAREDKEY_GOOD, "what we sign is good");
    }
}

/* One thing changed at a time: nothing that is signed may differ. */
static void changes(void)
{
    struct account_keys keys = keys_of(KEY);
    struct sample changed = samples[2];
    struct str signed_by = authorization_of(changed.signature);
    struct sharedkey_request request = request_of(&changed);
    request.method = STR("POST");
    is_int(sharedkey_verify(arena, &request, &keys, signed_by, NOW), SHAREDKEY_MISMATCH, "another method");
    request = request_of(&changed);
    request.path = STR("/c/B");
    is_int(sharedkey_verify(arena, &request, &keys, signed_by, NOW), SHAREDKEY_MISMATCH, "another path");
    request = request_of(&changed);
    request.content_length = 12;
    is_int(sharedkey_verify(arena, &request, &keys, signed_by, NOW), SHAREDKEY_MISMATCH, "another length");
    changed.query = "comp=block";
    request = request_of(&changed);
    is_int(sharedkey_verify(arena, &request, &keys, signed_by, NOW), SHAREDKEY_MISMATCH, "another query");
    for (unsigned i = 0; samples[2].fields[i].name != NULL; i++) {
        changed = samples[2];
        changed.fields[i].value =
            str_ieq(str_from(changed.fields[i].name), STR("x-ms-date")) ? "Wed, 02 Jan 2030 03:04:06 GMT" : "changed";
        request = request_of(&changed);
        is_int(sharedkey_verify(arena, &request, &keys, signed_by, NOW), SHAREDKEY_MISMATCH, "another %s",
               changed.fields[i].name);
    }
}

static void refusals(void)
{
    struct account_keys keys = keys_of(KEY);
    struct sharedkey_request request = request_of(&samples[0]);
    static const char *const malformed[] = {"",
                                            "SharedKey",
                                            "SharedKey devstoreaccount1",
                                            "SharedKey devstoreaccount1:",
                                            "SharedKey :x",
                                            "Bearer devstoreaccount1:x",
                                            "SharedKeyLite a:x"};
    for (unsigned i = 0; i < sizeof malformed / sizeof malformed[0]; i++)
        is_int(sharedkey_verify(arena, &request, &keys, str_from(malformed[i]), NOW), SHAREDKEY_MALFORMED, "'%s'",
               malformed[i]);
    is_int(sharedkey_verify(arena, &request, &keys, STR("SharedKey another:AAAA"), NOW), SHAREDKEY_OTHER_ACCOUNT,
           "another account");
    is_int(sharedkey_verify(arena, &request, &keys, STR("SharedKey devstoreaccount1:not base64"), NOW),
           SHAREDKEY_MISMATCH, "no signature");
    struct str good = authorization_of(samples[0].signature);
    is_int(sharedkey_verify(arena, &request, &keys, good, NOW + 900), SHAREDKEY_GOOD, "fifteen minutes old");
    is_int(sharedkey_verify(arena, &request, &keys, good, NOW - 900), SHAREDKEY_GOOD, "or ahead");
    is_int(sharedkey_verify(arena, &request, &keys, good, NOW + 901), SHAREDKEY_SKEWED, "too old");
    is_int(sharedkey_verify(arena, &request, &keys, good, NOW - 901), SHAREDKEY_SKEWED, "too far ahead");
    struct sample dated = samples[0];
    dated.fields[3] = (struct field){"Date", "Thu, 01 Jan 1970 00:00:00 GMT"};
    request = request_of(&dated);
    is_int(sharedkey_verify(arena, &request, &keys, good, NOW), SHAREDKEY_GOOD, "beside x-ms-date, Date is not signed");
    struct sample dateless = samples[0];
    dateless.fields[0].value = "yesterday";
    request = request_of(&dateless);
    is_int(sharedkey_verify(arena, &request, &keys, good, NOW), SHAREDKEY_NO_DATE, "no date");
    dateless.fields[0].name = "x-other";
    request = request_of(&dateless);
    is_int(sharedkey_verify(arena, &request, &keys, good, NOW), SHAREDKEY_NO_DATE, "none at all");
}

static void key_files(void)
{
    struct account_keys keys;
    unsigned line;
    const char *problem;
    is_int(account_keys_parse(STR("# both\r\n" KEY "\r\n\r\n  " OTHER_KEY "  \r\n"), &keys, &line, &problem), STATUS_OK,
           "two keys, a remark, empty lines");
    is_int(keys.count, 2, "are two");
    is_int(keys.key[0].size, 64, "of 64 bytes");
    static const struct {
        const char *text;
        unsigned line;
    } bad[] = {{"", 1},          {"\n\n", 3},  {"# only a remark\n", 2},   {"\n!" KEY, 2},
               {KEY "\nx\n", 2}, {KEY KEY, 1}, {KEY "\n" KEY "\n" KEY, 3}, {"AAAA", 1}};
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        is_int(account_keys_parse(str_from(bad[i].text), &keys, &line, &problem), STATUS_INVALID, "bad file %u", i);
        is_int(line, bad[i].line, "in that line");
        ok(problem != NULL && strstr(problem, "Eby8") == NULL, "%s", problem);
    }
}

int main(void)
{
    arena = arena_new();
    known_signatures();
    changes();
    refusals();
    key_files();
    arena_free(arena);
    return done_testing();
}
