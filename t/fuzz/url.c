/* SPDX-License-Identifier: Apache-2.0 */
/*
 * url.c: which blob a request names, and what the request is. Lines: an authority, a target, a method, header fields.
 * The origin reads what we ask it for as we read the request; another spelling of the URL names the same blob and makes
 * the same of the request.
 */
#include "blob/classify.h"
#include "http/message.h"
#include "http/target.h"
#include "fuzz.h"

static const struct blob_accounts accounts = {.any = true};

static void check_same_query(const struct blob_query *a, const struct blob_query *b)
{
    fuzz_check(a->count == b->count && a->others == b->others && a->repeated == b->repeated);
    fuzz_check(a->odd_case == b->odd_case && memcmp(a->first, b->first, sizeof a->first) == 0);
    for (unsigned i = 0; i < a->count; i++)
        fuzz_check(a->items[i].id == b->items[i].id && str_eq(a->items[i].name, b->items[i].name) &&
                   str_eq(a->items[i].value, b->items[i].value));
}

static void check_same(const struct blob_url *a, const struct blob_url *b)
{
    fuzz_check(a->endpoint == b->endpoint && a->level == b->level && a->secondary == b->secondary);
    fuzz_check(a->odd_path == b->odd_path && str_eq(a->account, b->account));
    fuzz_check(str_eq(a->container, b->container) && str_eq(a->blob, b->blob));
    check_same_query(&a->query, &b->query);
}

static void check_shape(const struct blob_url *url, struct str target)
{
    fuzz_check(blob_account_name(url->account) && url->container.len <= BLOB_CONTAINER_MAX);
    fuzz_check(str_find(url->container, '/') < 0 && url->blob.len <= 4 * BLOB_NAME_MAX);
    fuzz_check((url->level == BLOB_LEVEL_BLOB) == (url->blob.len > 0));
    fuzz_check((url->level == BLOB_LEVEL_ACCOUNT) == (url->container.len == 0));
    fuzz_check(memchr(url->blob.ptr, '\0', url->blob.len) == NULL);
    fuzz_check(url->query.count <= BLOB_QUERY_MAX);
    for (unsigned i = 0; i < url->query.count; i++)
        fuzz_check(fuzz_within(url->query.items[i].raw, target));
}

/* Whether somebody might take that name for another blob's. */
static bool is_ambiguous(struct str blob)
{
    bool found = str_find(blob, '\\') >= 0;
    while (blob.ptr != NULL) {
        struct str part = str_split(blob, '/', &blob);
        found |= str_eq(part, STR(".")) || str_eq(part, STR(".."));
    }
    return found;
}

/* Every byte that has no meaning of its own in hexadecimal. */
static void add_encoded(struct strbuf *out, struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        strbuf_addf(out, i % 2 == 0 ? "%%%02x" : "%%%02X", (unsigned char) text.ptr[i]);
}

static struct str authority_of(const struct blob_url *url, struct arena *arena)
{
    return arena_printf(arena, "%.*s%s.%s.example", STR_ARG(url->account), url->secondary ? "-secondary" : "",
                        url->endpoint == BLOB_ENDPOINT_DFS ? "dfs" : "blob");
}

static void as_the_origin(struct arena *arena, const struct blob_url *url)
{
    struct blob_url again;
    struct str target = fuzz_exact(arena, blob_url_origin_target(url, arena));
    fuzz_check(blob_url_parse(arena, target, authority_of(url, arena), &accounts, &again) == STATUS_OK);
    fuzz_check(again.style == BLOB_STYLE_HOST && str_eq(again.path, url->path));
    check_same(url, &again);
}

static struct blob_class otherwise_spelled(struct arena *arena, const struct blob_url *url, struct str method,
                                           const struct blob_headers *headers)
{
    struct strbuf text = {0};
    struct blob_url again;
    if (url->endpoint == BLOB_ENDPOINT_BLOB)
        strbuf_addf(&text, "/%.*s%s", STR_ARG(url->account), url->secondary ? "-secondary" : "");
    strbuf_adds(&text, STR("/"));
    add_encoded(&text, url->container);
    if (url->level == BLOB_LEVEL_BLOB || str_ends(url->path, STR("/")))
        strbuf_adds(&text, url->level == BLOB_LEVEL_ACCOUNT ? STR("") : STR("/"));
    add_encoded(&text, url->blob);
    for (unsigned i = 0; i < url->query.count; i++) {
        strbuf_adds(&text, i == 0 ? STR("?") : STR("&&"));
        add_encoded(&text, url->query.items[i].name);
        strbuf_adds(&text, STR("="));
        add_encoded(&text, url->query.items[i].value);
    }
    struct str target = fuzz_exact(arena, strbuf_str(&text));
    struct str host = url->endpoint == BLOB_ENDPOINT_DFS ? authority_of(url, arena) : STR("localhost:80");
    strbuf_free(&text);
    if (url->query.count > BLOB_QUERY_MAX / 2) /* empty parameters count until they are seen */
        return blob_classify(method, url, headers);
    fuzz_check(blob_url_parse(arena, target, host, &accounts, &again) == STATUS_OK);
    check_same(url, &again);
    return blob_classify(method, &again, headers);
}

static void check_class(const struct blob_class *class, const struct blob_url *url, struct str method)
{
    bool read = str_eq(method, STR("GET")) || str_eq(method, STR("HEAD"));
    fuzz_check((class->action == BLOB_ACTION_BYPASS) == (class->reason != NULL));
    fuzz_check((class->action == BLOB_ACTION_WRITE) == (!read && !str_eq(method, STR("OPTIONS"))));
    if (class->action == BLOB_ACTION_READ) {
        fuzz_check(url->level == BLOB_LEVEL_BLOB && !is_ambiguous(url->blob) && !url->query.repeated &&
                   url->query.others == 0);
        fuzz_check(class->head == str_eq(method, STR("HEAD")));
    }
    fuzz_check(class->touch == BLOB_TOUCH_NOTHING || class->action == BLOB_ACTION_WRITE);
    if (str_eq(method, STR("DELETE")))
        fuzz_check(class->touch != BLOB_TOUCH_NOTHING);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    struct str rest = fuzz_input(data, size), authority = fuzz_line(arena, &rest), raw = fuzz_line(arena, &rest);
    struct http_request request = {.method_text = fuzz_line(arena, &rest), .authority = authority};
    struct blob_headers headers = {http_headers_lookup, &request.headers, http_headers_at};
    struct blob_url url;
    request.method = http_method_parse(request.method_text);
    request.headers.arena = arena;
    fuzz_fields(rest, 20, &request.headers);
    if (target_authority_valid(authority) && target_parse(&request, raw) == STATUS_OK) {
        if (blob_url_parse(arena, request.target, request.authority, &accounts, &url) == STATUS_OK) {
            check_shape(&url, request.target);
            as_the_origin(arena, &url);
            struct blob_class class = blob_classify(request.method_text, &url, &headers);
            check_class(&class, &url, request.method_text);
            struct blob_class other = otherwise_spelled(arena, &url, request.method_text, &headers);
            fuzz_check(class.action == other.action && class.reason == other.reason && class.touch == other.touch);
            fuzz_check(class.touch_base == other.touch_base && class.touch_grants == other.touch_grants);
        } else {
            fuzz_check(url.problem != NULL);
        }
    }
    arena_free(arena);
    return 0;
}
