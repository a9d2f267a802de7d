/* SPDX-License-Identifier: Apache-2.0 */
/* sharedkey.c: the string to sign, and its signature. */
#include "blob/sharedkey.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>

#include "base/base64.h"
#include "base/date.h"

#define SKEW_S (15 * 60)
#define HMAC_SIZE 32

/* ---- Keys ---- */

enum status account_keys_parse(struct str text, struct account_keys *keys, unsigned *line, const char **problem)
{
    *keys = (struct account_keys){0};
    *line = 0;
    while (text.ptr != NULL) {
        struct str row = str_split(text, '\n', &text);
        ++*line;
        if (row.len > 0 && row.ptr[row.len - 1] == '\r')
            row.len--;
        row = str_trim(row);
        if (row.len == 0 || row.ptr[0] == '#')
            continue;
        if (keys->count == ACCOUNT_KEYS_MAX) {
            *problem = "more than two keys";
            return STATUS_INVALID;
        }
        struct account_key *key = &keys->key[keys->count];
        ptrdiff_t size = base64_decode(row, key->bytes, sizeof key->bytes);
        if (size < 16) {
            *problem = "not an account key: the base64 of 16 to 128 bytes alone, without a name or a connection string";
            return STATUS_INVALID;
        }
        key->size = (size_t) size;
        keys->count++;
    }
    *problem = "holds no key";
    return keys->count > 0 ? STATUS_OK : STATUS_INVALID;
}

static void hmac(const struct account_key *key, struct str text, uint8_t out[HMAC_SIZE])
{
    unsigned size = 0;
    /* A signature that is none must not pass for one. */
    if (HMAC(EVP_sha256(), key->bytes, (int) key->size, (const unsigned char *) text.ptr, text.len, out, &size) ==
            NULL ||
        size != HMAC_SIZE)
        abort();
}

void account_key_sign(const struct account_key *key, struct str text, char out[ACCOUNT_KEY_SIGNATURE])
{
    uint8_t bytes[HMAC_SIZE];
    hmac(key, text, bytes);
    base64_encode(out, bytes, sizeof bytes);
}

bool account_keys_match(const struct account_keys *keys, struct str text, struct str signature)
{
    uint8_t given[HMAC_SIZE], ours[HMAC_SIZE];
    bool match = false;
    if (base64_decode(signature, given, sizeof given) != HMAC_SIZE)
        return false;
    for (unsigned i = 0; i < keys->count; i++) {
        hmac(&keys->key[i], text, ours);
        match |= CRYPTO_memcmp(given, ours, HMAC_SIZE) == 0;
    }
    return match;
}

/* ---- Sorting ---- */

/* The order in which x-ms-* fields are signed. They differ only where names differ by a hyphen or an underscore. */
enum sharedkey_order {
    SHAREDKEY_ORDINAL,      /* by bytes: Python, Go, Rust, Azurite for most */
    SHAREDKEY_SKIP_SYMBOLS, /* hyphens count only when all else is the same, as the service and JavaScript sort */
};

struct pair {
    struct str name; /* in lower case */
    struct str value;
    unsigned place; /* as sent: breaks ties */
};

static bool is_symbol(char c)
{
    return c == '-' || c == '\'';
}

/* Letters and digits first; where those are the same, the name whose first hyphen comes later is the smaller (the .NET
 * invariant culture, which the service sorts by). */
static int compare_skipping(struct str a, struct str b)
{
    size_t i = 0, j = 0;
    for (;;) {
        while (i < a.len && is_symbol(a.ptr[i]))
            i++;
        while (j < b.len && is_symbol(b.ptr[j]))
            j++;
        if (i == a.len || j == b.len)
            break;
        /* '_' is before all letters and digits there, and behind them in ASCII. */
        int x = a.ptr[i] == '_' ? 1 : (unsigned char) a.ptr[i], y = b.ptr[j] == '_' ? 1 : (unsigned char) b.ptr[j];
        if (x != y)
            return x < y ? -1 : 1;
        i++;
        j++;
    }
    if (i < a.len || j < b.len)
        return i < a.len ? 1 : -1;
    for (i = 0; i < a.len && i < b.len; i++)
        if (is_symbol(a.ptr[i]) != is_symbol(b.ptr[i]))
            return is_symbol(a.ptr[i]) ? 1 : -1;
    return str_cmp(a, b);
}

static int by_place(const struct pair *a, const struct pair *b)
{
    return a->place < b->place ? -1 : a->place > b->place;
}

static int compare_ordinal(const void *left, const void *right)
{
    const struct pair *a = left, *b = right;
    int order = str_cmp(a->name, b->name);
    return order != 0 ? order : by_place(a, b);
}

static int compare_symbols(const void *left, const void *right)
{
    const struct pair *a = left, *b = right;
    int order = compare_skipping(a->name, b->name);
    return order != 0 ? order : by_place(a, b);
}

static int compare_parameters(const void *left, const void *right)
{
    const struct pair *a = left, *b = right;
    int order = str_cmp(a->name, b->name);
    if (order == 0)
        order = str_cmp(a->value, b->value);
    return order != 0 ? order : by_place(a, b);
}

/* name:value for each pair, those of one name joined by commas; `before` and `after` each line. */
static void add_pairs(struct strbuf *text, const struct pair *pairs, unsigned count, struct str before,
                      struct str after)
{
    for (unsigned i = 0; i < count; i++) {
        strbuf_adds(text, before);
        strbuf_adds(text, pairs[i].name);
        strbuf_adds(text, STR(":"));
        strbuf_adds(text, pairs[i].value);
        while (i + 1 < count && str_eq(pairs[i + 1].name, pairs[i].name)) {
            strbuf_adds(text, STR(","));
            strbuf_adds(text, pairs[++i].value);
        }
        strbuf_adds(text, after);
    }
}

/* ---- The string to sign ---- */

static unsigned ms_headers(struct arena *arena, const struct blob_headers *headers, struct pair **pairs)
{
    struct str name, value;
    unsigned total = 0, count = 0;
    while (headers->at(headers->from, total, &name, &value))
        total++;
    *pairs = arena_alloc(arena, (total + 1) * sizeof **pairs);
    for (unsigned i = 0; i < total && headers->at(headers->from, i, &name, &value); i++)
        if (str_istarts(name, STR("x-ms-")))
            (*pairs)[count++] = (struct pair){arena_lower(arena, name), str_trim(value), i};
    return count;
}

static void add_standard(struct strbuf *text, const struct sharedkey_request *request)
{
    static const struct str before_length[] = {STR_INIT("Content-Encoding"), STR_INIT("Content-Language")};
    static const struct str after_length[] = {
        STR_INIT("Content-MD5"),         STR_INIT("Content-Type"), STR_INIT("Date"),
        STR_INIT("If-Modified-Since"),   STR_INIT("If-Match"),     STR_INIT("If-None-Match"),
        STR_INIT("If-Unmodified-Since"), STR_INIT("Range"),
    };
    strbuf_adds(text, request->method);
    strbuf_adds(text, STR("\n"));
    for (unsigned i = 0; i < sizeof before_length / sizeof before_length[0]; i++) {
        strbuf_adds(text, str_trim(blob_header(request->headers, before_length[i])));
        strbuf_adds(text, STR("\n"));
    }
    if (request->content_length > 0)
        strbuf_addf(text, "%lld", (long long) request->content_length);
    strbuf_adds(text, STR("\n"));
    bool other_date = blob_header(request->headers, STR("x-ms-date")).ptr != NULL; /* then Date counts as empty */
    for (unsigned i = 0; i < sizeof after_length / sizeof after_length[0]; i++) {
        if (!other_date || !str_eq(after_length[i], STR("Date")))
            strbuf_adds(text, str_trim(blob_header(request->headers, after_length[i])));
        strbuf_adds(text, STR("\n"));
    }
}

static void add_resource(struct arena *arena, struct strbuf *text, const struct sharedkey_request *request)
{
    const struct blob_query *query = request->query;
    struct pair *pairs = arena_alloc(arena, (query->count + 1) * sizeof *pairs);
    for (unsigned i = 0; i < query->count; i++)
        pairs[i] = (struct pair){arena_lower(arena, query->items[i].name), query->items[i].value, i};
    qsort(pairs, query->count, sizeof *pairs, compare_parameters);
    strbuf_adds(text, STR("/"));
    strbuf_adds(text, request->account);
    strbuf_adds(text, request->path);
    add_pairs(text, pairs, query->count, STR("\n"), STR(""));
}

/* The caller frees it. */
static struct strbuf string_to_sign(struct arena *arena, const struct sharedkey_request *request,
                                    enum sharedkey_order order)
{
    struct strbuf text = {0};
    struct pair *pairs;
    unsigned count = ms_headers(arena, request->headers, &pairs);
    add_standard(&text, request);
    qsort(pairs, count, sizeof *pairs, order == SHAREDKEY_ORDINAL ? compare_ordinal : compare_symbols);
    add_pairs(&text, pairs, count, STR(""), STR("\n"));
    add_resource(arena, &text, request);
    return text;
}

/* ---- Both ways ---- */

static enum sharedkey_verdict check_date(const struct blob_headers *headers, int64_t now_s)
{
    struct str text = blob_header(headers, STR("x-ms-date"));
    int64_t date;
    if (text.ptr == NULL)
        text = blob_header(headers, STR("Date"));
    if (text.ptr == NULL || !date_http_parse(str_trim(text), &date))
        return SHAREDKEY_NO_DATE;
    return date < now_s - SKEW_S || date > now_s + SKEW_S ? SHAREDKEY_SKEWED : SHAREDKEY_GOOD;
}

enum sharedkey_verdict sharedkey_verify(struct arena *arena, const struct sharedkey_request *request,
                                        const struct account_keys *keys, struct str authorization, int64_t now_s)
{
    struct str rest, signature;
    struct str scheme = str_split(str_trim(authorization), ' ', &rest);
    struct str account = str_split(str_trim(rest), ':', &signature);
    if (!str_ieq(scheme, STR("SharedKey")) || account.len == 0 || signature.len == 0)
        return SHAREDKEY_MALFORMED;
    if (!str_eq(account, request->account))
        return SHAREDKEY_OTHER_ACCOUNT;
    enum sharedkey_verdict date = check_date(request->headers, now_s);
    if (date != SHAREDKEY_GOOD)
        return date;
    struct strbuf text = string_to_sign(arena, request, SHAREDKEY_ORDINAL);
    bool match = account_keys_match(keys, strbuf_str(&text), signature);
    if (!match) {
        struct strbuf other = string_to_sign(arena, request, SHAREDKEY_SKIP_SYMBOLS);
        match =
            !str_eq(strbuf_str(&text), strbuf_str(&other)) && account_keys_match(keys, strbuf_str(&other), signature);
        strbuf_free(&other);
    }
    strbuf_free(&text);
    return match ? SHAREDKEY_GOOD : SHAREDKEY_MISMATCH;
}

struct str sharedkey_authorization(struct arena *arena, const struct sharedkey_request *request,
                                   const struct account_key *key)
{
    char signature[ACCOUNT_KEY_SIGNATURE];
    struct strbuf text = string_to_sign(arena, request, SHAREDKEY_SKIP_SYMBOLS);
    account_key_sign(key, strbuf_str(&text), signature);
    strbuf_free(&text);
    return arena_printf(arena, "SharedKey %.*s:%.*s", STR_ARG(request->account), ACCOUNT_KEY_SIGNATURE, signature);
}
