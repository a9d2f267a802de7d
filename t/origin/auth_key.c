/* SPDX-License-Identifier: Apache-2.0 */
/* Shared Key; see auth_key.h. */
#include "auth_key.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#define MAX_SKEW (15 * 60)

bool auth_key_add(struct account_keys *keys, const char *base64_text)
{
    unsigned char out[AUTH_KEY_SIZE + 4];
    size_t n = strlen(base64_text);
    if (keys->count == 2 || n == 0 || n % 4 != 0 || n / 4 * 3 > sizeof out)
        return false;
    int len = EVP_DecodeBlock(out, (const unsigned char *) base64_text, (int) n);
    len -= (base64_text[n - 1] == '=') + (base64_text[n - 2] == '=');
    if (len <= 0 || len > AUTH_KEY_SIZE)
        return false;
    memcpy(keys->bytes[keys->count], out, (size_t) len);
    keys->len[keys->count++] = (size_t) len;
    return true;
}

bool auth_key_signed(const struct account_keys *keys, const char *text, const char *signature)
{
    for (int i = 0; i < keys->count; i++) {
        unsigned char mac[EVP_MAX_MD_SIZE];
        char want[64];
        unsigned n = 0;
        HMAC(EVP_sha256(), keys->bytes[i], (int) keys->len[i], (const unsigned char *) text, strlen(text), mac, &n);
        base64(want, mac, n);
        if (strcmp(want, signature) == 0)
            return true;
    }
    return false;
}

/* ---- The string to sign ---- */

struct line {
    char *name;
    const char *value;
    int place;
};

/* As .NET sorts, which the service is written in: letters and digits first, hyphens break ties. */
static int skipping_hyphens(const char *a, const char *b)
{
    for (;;) {
        a += strspn(a, "-");
        b += strspn(b, "-");
        int x = *a == '_' ? 1 : (unsigned char) *a, y = *b == '_' ? 1 : (unsigned char) *b;
        if (x != y)
            return x - y;
        if (!*a)
            return 0;
        a++;
        b++;
    }
}

static int by_bytes(const void *a, const void *b)
{
    const struct line *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : x->place - y->place;
}

static int by_culture(const void *a, const void *b)
{
    const struct line *x = a, *y = b;
    int order = skipping_hyphens(x->name, y->name);
    return order ? order : by_bytes(a, b);
}

static int by_bytes_and_value(const void *a, const void *b)
{
    const struct line *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : strcmp(x->value, y->value);
}

static char *lower_copy(const char *s)
{
    char *out = xstrdup(s);
    for (char *c = out; *c; c++)
        *c = (char) tolower((unsigned char) *c);
    return out;
}

/* "name:value", several values of one name with commas between. */
static void add_lines(struct buf *out, struct line *lines, size_t n, const char *before, const char *after)
{
    for (size_t i = 0; i < n; i++) {
        bool first = i == 0 || strcmp(lines[i - 1].name, lines[i].name) != 0;
        bool last = i + 1 == n || strcmp(lines[i + 1].name, lines[i].name) != 0;
        if (first)
            buf_printf(out, "%s%s:", before, lines[i].name);
        buf_printf(out, "%s%s", first ? "" : ",", lines[i].value);
        if (last)
            buf_puts(out, after);
    }
    for (size_t i = 0; i < n; i++)
        free(lines[i].name);
}

static void add_ms_headers(struct buf *out, const struct request *req, int (*order)(const void *, const void *))
{
    struct line lines[HTTP_MAX_HEADERS];
    size_t n = 0;
    for (int i = 0; i < req->header_count; i++) {
        if (starts_with(req->headers[i].name, "x-ms-"))
            lines[n++] = (struct line){lower_copy(req->headers[i].name), req->headers[i].value, i};
    }
    qsort(lines, n, sizeof lines[0], order);
    add_lines(out, lines, n, "", "\n");
}

static void add_resource(struct buf *out, const struct request *req, const char *account)
{
    struct line *lines = xcalloc(req->query.count, sizeof *lines);
    const char *path = request_raw_path(req);
    buf_printf(out, "/%s%.*s", account, (int) strcspn(path, "?"), path);
    for (size_t i = 0; i < req->query.count; i++) {
        const struct pair *p = &req->query.list[i];
        lines[i] = (struct line){lower_copy(p->name), p->value, (int) i};
    }
    if (req->query.count)
        qsort(lines, req->query.count, sizeof *lines, by_bytes_and_value);
    add_lines(out, lines, req->query.count, "\n", "");
    free(lines);
}

static const char *value_of(const struct request *req, const char *name)
{
    const char *value = request_header(req, name);
    return value ? value : "";
}

static void string_to_sign(struct buf *out, const struct request *req, const char *account,
                           int (*order)(const void *, const void *))
{
    static const char *const names[] = {
        "Content-Encoding",  "Content-Language", "Content-Length", "Content-MD5",         "Content-Type", "Date",
        "If-Modified-Since", "If-Match",         "If-None-Match",  "If-Unmodified-Since", "Range"};
    buf_printf(out, "%s\n", req->method);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = value_of(req, names[i]);
        bool empty =
            (i == 2 && strcmp(value, "0") == 0) || (strcmp(names[i], "Date") == 0 && request_header(req, "x-ms-date"));
        buf_printf(out, "%s\n", empty ? "" : value);
    }
    add_ms_headers(out, req, order);
    add_resource(out, req, account);
}

static bool fresh(const struct request *req)
{
    const char *date = request_header(req, "x-ms-date");
    time_t t, now = time(NULL);
    if (!date)
        date = request_header(req, "Date");
    return date && http_date_parse(date, &t) && t >= now - MAX_SKEW && t <= now + MAX_SKEW;
}

const char *auth_key_shared(const struct request *req, const struct account_keys *keys, const char *account,
                            const char *credential)
{
    const char *colon = strchr(credential, ':');
    size_t n = strlen(account);
    if (!colon || colon == credential || !colon[1])
        return "InvalidAuthenticationInfo/format";
    if ((size_t) (colon - credential) != n || strncmp(credential, account, n) != 0 || !fresh(req))
        return "AuthenticationFailed";
    bool good = false;
    int (*const orders[])(const void *, const void *) = {by_bytes, by_culture};
    for (int i = 0; i < 2 && !good; i++) {
        struct buf text = {0};
        string_to_sign(&text, req, account, orders[i]);
        good = auth_key_signed(keys, text.data, colon + 1);
        buf_free(&text);
    }
    return good ? NULL : "AuthenticationFailed";
}
