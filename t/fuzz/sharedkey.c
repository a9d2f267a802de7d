/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sharedkey.c: signatures by account key. Lines: a method, a path with its query, a length, an Authorization, header
 * fields. What we sign verifies, in whatever order the fields come and the parameters stand, and not when anything is
 * another; what somebody made up does not. All of the input is also read as a file of keys.
 */
#include "base/date.h"
#include "blob/sharedkey.h"
#include "http/field.h"
#include "http/message.h"
#include "fuzz.h"

#define NOW INT64_C(1893553445)
#define FIELDS_MAX 40

static const struct account_keys keys = {.count = 2,
                                         .key = {{.bytes = "another key of that account", .size = 27},
                                                 {.bytes = "not a secret, a fuzzer's key", .size = 28}}};

static void read_fields(struct arena *arena, struct str rest, struct http_headers *headers)
{
    char date[DATE_HTTP_LENGTH + 1];
    date_http_format(NOW, date);
    while (rest.ptr != NULL && headers->count < FIELDS_MAX) {
        struct str value, name = str_split(fuzz_line(arena, &rest), ':', &value);
        if (value.ptr != NULL && field_token_valid(name) && field_value_valid(value) &&
            !str_ieq(name, STR("x-ms-date")))
            http_headers_add(headers, name, value);
    }
    http_headers_add(headers, STR("x-ms-date"), arena_str(arena, str_from(date)));
}

static bool repeats(const struct http_headers *headers)
{
    for (unsigned i = 0; i < headers->count; i++)
        if (http_headers_lookup(headers, headers->items[i].name, 1).ptr != NULL)
            return true;
    return false;
}

static enum sharedkey_verdict verify(struct arena *arena, const struct sharedkey_request *request, struct str value)
{
    return sharedkey_verify(arena, request, &keys, value, NOW);
}

/* The same request with its fields and parameters from last to first. */
static void in_another_order(struct arena *arena, const struct sharedkey_request *request, struct str value)
{
    const struct http_headers *headers = request->headers->from;
    struct http_headers turned = {.arena = arena};
    struct blob_headers turned_face = {http_headers_lookup, &turned, http_headers_at};
    struct blob_query query = *request->query;
    struct sharedkey_request other = *request;
    for (unsigned i = headers->count; i-- > 0;)
        http_headers_add(&turned, headers->items[i].name, headers->items[i].value);
    query.items = arena_alloc(arena, (query.count + 1) * sizeof query.items[0]);
    for (unsigned i = 0; i < query.count; i++)
        query.items[i] = request->query->items[query.count - 1 - i];
    other.headers = &turned_face;
    other.query = &query;
    fuzz_check(repeats(headers) || str_eq(value, sharedkey_authorization(arena, &other, &keys.key[1])));
}

static void signed_by_us(struct arena *arena, const struct sharedkey_request *request)
{
    struct sharedkey_request other = *request;
    struct str value = sharedkey_authorization(arena, request, &keys.key[1]);
    fuzz_check(verify(arena, request, value) == SHAREDKEY_GOOD);
    in_another_order(arena, request, value);
    other.path = arena_printf(arena, "%.*sx", STR_ARG(request->path));
    fuzz_check(verify(arena, &other, value) == SHAREDKEY_MISMATCH);
    other = *request;
    other.content_length = request->content_length > 0 ? 0 : 1;
    fuzz_check(verify(arena, &other, value) == SHAREDKEY_MISMATCH);
    other = *request;
    other.account = STR("account2");
    fuzz_check(verify(arena, &other, value) == SHAREDKEY_OTHER_ACCOUNT);
    fuzz_check(sharedkey_verify(arena, request, &keys, value, NOW + 901) == SHAREDKEY_SKEWED);
}

static void check_keys(struct str text)
{
    struct account_keys parsed;
    unsigned line;
    const char *problem = NULL;
    enum status status = account_keys_parse(text, &parsed, &line, &problem);
    fuzz_check(status == STATUS_OK || problem != NULL);
    fuzz_check(line >= 1 && parsed.count <= ACCOUNT_KEYS_MAX);
    for (unsigned i = 0; i < parsed.count && status == STATUS_OK; i++)
        fuzz_check(parsed.key[i].size >= 16 && parsed.key[i].size <= ACCOUNT_KEY_BYTES_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    struct str rest = fuzz_input(data, size), text;
    struct http_headers headers = {.arena = arena};
    struct blob_headers face = {http_headers_lookup, &headers, http_headers_at};
    struct blob_query query;
    struct sharedkey_request request = {.account = STR("account1"), .query = &query, .headers = &face};
    if (size > 0)
        check_keys(fuzz_exact(arena, rest));
    request.method = fuzz_line(arena, &rest);
    request.path = str_split(fuzz_line(arena, &rest), '?', &text);
    if (!str_to_int(fuzz_line(arena, &rest), &request.content_length))
        request.content_length = HTTP_LENGTH_UNKNOWN;
    struct str authorization = fuzz_line(arena, &rest);
    read_fields(arena, rest, &headers);
    if (blob_query_parse(arena, text, &query) == STATUS_OK) {
        fuzz_check(verify(arena, &request, authorization) != SHAREDKEY_GOOD);
        signed_by_us(arena, &request);
    }
    arena_free(arena);
    return 0;
}
