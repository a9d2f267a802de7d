/* SPDX-License-Identifier: Apache-2.0 */
/*
 * credential.c: who asks. Lines: a query, then Authorization fields, if any. Only one credential is believed; a bearer
 * token's end is read from it; reasons are constants, and no two credentials have one text.
 */
#include <jansson.h>

#include "base/base64.h"
#include "blob/credential.h"
#include "http/field.h"
#include "http/message.h"
#include "fuzz.h"

static void check_same(const struct blob_credential *a, const struct blob_credential *b)
{
    fuzz_check(a->kind == b->kind && a->expires_s == b->expires_s && a->reason == b->reason);
    fuzz_check(fuzz_same(a->text, b->text) && fuzz_same(a->authorization, b->authorization));
}

static void check_shape(const struct blob_credential *credential, unsigned fields)
{
    switch (credential->kind) {
    case BLOB_CREDENTIAL_ANONYMOUS:
        fuzz_check(credential->text.len == 0 && fields == 0);
        break;
    case BLOB_CREDENTIAL_SAS:
        fuzz_check(fields == 0 && str_starts(credential->text, STR("sas\n")));
        fuzz_check(credential->expires_s == credential->sas.expires_s);
        break;
    case BLOB_CREDENTIAL_BEARER:
        fuzz_check(fields == 1 && str_starts(credential->text, STR("bearer\n")) && credential->reason == NULL);
        fuzz_check(credential->text.len > 7 &&
                   str_ends(str_trim(credential->authorization),
                            (struct str){credential->text.ptr + 7, credential->text.len - 7}));
        break;
    case BLOB_CREDENTIAL_SHAREDKEY:
        fuzz_check(fields >= 1);
        /* fall through */
    case BLOB_CREDENTIAL_UNKNOWN:
        fuzz_check(credential->reason != NULL && strlen(credential->reason) < 24);
        fuzz_check(fields >= 1 || strcmp(credential->reason, "sas-unsigned") == 0);
        fuzz_check(credential->text.len == 0);
        break;
    }
}

/* What a token of these claims is worth, as jansson reads them. */
static int64_t expected_end(struct str claims)
{
    json_t *json = json_loadb(claims.ptr, claims.len, 0, NULL), *exp = json_object_get(json, "exp");
    int64_t seconds = json_is_integer(exp) ? json_integer_value(exp) : INT64_MAX;
    if (json_is_real(exp) && json_real_value(exp) < 1e15)
        seconds = json_real_value(exp) < 0 ? 0 : (int64_t) json_real_value(exp);
    json_decref(json);
    return seconds;
}

/* A token whose claims the input is. */
static void check_claims(struct arena *arena, struct str claims)
{
    struct http_headers headers = {.arena = arena};
    struct blob_headers face = {http_headers_lookup, &headers, http_headers_at};
    struct blob_query query = {0};
    struct blob_credential credential;
    if (claims.len == 0 || claims.len > 4096)
        return;
    size_t len = BASE64_LENGTH(claims.len);
    char *text = arena_alloc(arena, len);
    base64_encode(text, claims.ptr, claims.len);
    while (len > 0 && text[len - 1] == '=')
        len--;
    for (size_t i = 0; i < len; i++)
        text[i] = (char) (text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i]);
    http_headers_add(&headers, STR("Authorization"), arena_printf(arena, "Bearer e30.%.*s.c2ln", (int) len, text));
    blob_credential_of(arena, &face, &query, &credential);
    fuzz_check(credential.kind == BLOB_CREDENTIAL_BEARER && credential.expires_s == expected_end(claims));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    struct str rest = fuzz_input(data, size), text = fuzz_line(arena, &rest);
    struct http_headers headers = {.arena = arena};
    struct blob_headers face = {http_headers_lookup, &headers, http_headers_at};
    struct blob_credential credential, again;
    struct blob_query query;
    check_claims(arena, text);
    while (rest.ptr != NULL && headers.count < 3) {
        struct str value = fuzz_line(arena, &rest);
        if (field_value_valid(value))
            http_headers_add(&headers, STR("Authorization"), value);
    }
    if (blob_query_parse(arena, text, &query) == STATUS_OK) {
        blob_credential_of(arena, &face, &query, &credential);
        check_shape(&credential, headers.count);
        blob_credential_of(arena, &face, &query, &again);
        check_same(&credential, &again);
    }
    arena_free(arena);
    return 0;
}
