/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reply.c: heads, written straight into the arena.
 *
 * Server says "headpond" on what we compose and stays the origin's on what we relay: the record holds no Server, and
 * who reads a trace should see which of the two wrote the head. No client decides anything by it.
 */
#include "proxy/reply.h"

#include <string.h>

#include "cache/cache.h"
#include "http/field.h"
#include "http/range.h"
#include "proxy/reply_dfs.h"

#define OWN_FIELDS 20 /* at most what we add to a record's own fields */
#define CLIENT_ID_MAX 1024
#define RELAYED_ID_MAX 64 /* Azure's is a GUID */

/* ---- Pieces ---- */

static struct str content_range(struct arena *arena, const struct content_range *range)
{
    char *text = arena_alloc(arena, CONTENT_RANGE_MAX);
    return (struct str){text, content_range_format(range, text)};
}

static struct str request_id(struct arena *arena)
{
    char *text = arena_alloc(arena, BLOB_REQUEST_ID_LENGTH + 1);
    blob_request_id(text);
    return (struct str){text, BLOB_REQUEST_ID_LENGTH};
}

static bool visible(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < 0x21 || text.ptr[i] > 0x7e)
            return false;
    }
    return true;
}

void reply_facts_from_request(struct reply_facts *facts, const struct http_request *request)
{
    facts->head = request->method == HTTP_HEAD;
    facts->request_id = request_id(facts->arena);
    struct str id = http_headers_get(&request->headers, STR("x-ms-client-request-id"));
    facts->client_request_id = id.len > 0 && id.len <= CLIENT_ID_MAX && visible(id) ? id : STR_NULL;
    struct str version = http_headers_get(&request->headers, STR("x-ms-version"));
    facts->version = blob_version_valid(version) ? version : STR(CACHE_MS_VERSION);
}

/* ---- Heads ---- */

static struct str cache_status(const struct reply_facts *facts)
{
    struct str text = str_from(outcome_cache_status(facts->outcome));
    if (facts->outcome != OUTCOME_BYPASS || facts->detail == NULL)
        return text;
    struct str detail = str_from(facts->detail);
    char *joined = arena_alloc(facts->arena, text.len + detail.len + 11);
    char *at = str_put(joined, text);
    at = str_put(at, STR("; detail=\""));
    at = str_put(at, detail);
    *at++ = '"';
    return (struct str){joined, (size_t) (at - joined)};
}

/* An empty head with room for `fields` of the subject's own. */
static void head_begin(struct http_response *head, const struct reply_facts *facts, int status, unsigned fields)
{
    head->status = status;
    head->content_length = 0;
    head->headers.arena = facts->arena;
    head->headers.count = 0;
    head->headers.room = fields + OWN_FIELDS;
    head->headers.items = arena_alloc(facts->arena, head->headers.room * sizeof *head->headers.items);
}

static void head_add(struct http_response *head, struct str name, struct str value)
{
    http_headers_add(&head->headers, name, value);
}

static void head_add_list(struct http_response *head, const struct http_headers *list)
{
    if (list->count > 0)
        memcpy(head->headers.items + head->headers.count, list->items, list->count * sizeof *list->items);
    head->headers.count += list->count;
}

/* The list with what a token says instead (Azure: create a service SAS, override response headers). */
static void head_add_overridden(struct http_response *head, const struct http_headers *list,
                                const struct blob_query *overrides)
{
    static const struct str names[] = {
#define X(parameter, header) STR_INIT(header),
        SAS_OVERRIDE_TABLE(X)
#undef X
    };
    for (unsigned i = 0; i < list->count; i++)
        if (sas_override(overrides, list->items[i].name).ptr == NULL)
            head_add(head, list->items[i].name, list->items[i].value);
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct str value = sas_override(overrides, names[i]);
        if (value.ptr != NULL && field_value_valid(value))
            head_add(head, names[i], value);
    }
}

static void head_add_ids(struct http_response *head, const struct reply_facts *facts)
{
    head_add(head, STR("Server"), STR("headpond"));
    head_add(head, STR("x-ms-request-id"), facts->request_id);
    if (facts->client_request_id.ptr != NULL)
        head_add(head, STR("x-ms-client-request-id"), facts->client_request_id);
    head_add(head, STR("x-ms-version"), facts->version);
}

static void head_add_cache(struct http_response *head, const struct reply_facts *facts)
{
    int64_t age = facts->validated_s > 0 ? facts->steady_s - facts->validated_s : 0;
    head_add(head, STR("Age"), arena_number(facts->arena, age > 0 ? (uint64_t) age : 0));
    head_add(head, STR("Via"), STR("1.1 headpond"));
    head_add(head, STR("Cache-Status"), cache_status(facts));
}

/* As the Blob endpoint tells it. */
static void blob_fields(struct http_response *head, const struct reply_facts *facts, const struct object *object,
                        bool ranged)
{
    if (facts->overrides == NULL)
        head_add_list(head, &object->headers);
    else
        head_add_overridden(head, &object->headers, facts->overrides);
    if (object->content_md5.ptr != NULL)
        head_add(head, ranged ? STR("x-ms-blob-content-md5") : STR("Content-MD5"), object->content_md5);
    if (facts->head)
        head_add_list(head, &object->head_only);
}

static void object_head(struct http_response *head, const struct reply_facts *facts, const struct object *object,
                        int status)
{
    bool ranged = status == 206;
    head_begin(head, facts, status, object->headers.count + object->head_only.count);
    if (facts->endpoint == BLOB_ENDPOINT_DFS)
        reply_dfs_fields(&head->headers, object, ranged, facts->head, facts->user_properties);
    else
        blob_fields(head, facts, object, ranged);
    head_add_ids(head, facts);
    head_add_cache(head, facts);
    if (http_headers_find(&object->headers, STR("Accept-Ranges")) == NULL)
        head_add(head, STR("Accept-Ranges"), STR("bytes"));
}

void reply_whole(struct http_response *head, const struct reply_facts *facts, const struct object *object)
{
    object_head(head, facts, object, 200);
    head->content_length = (int64_t) object->length;
}

void reply_range(struct http_response *head, const struct reply_facts *facts, const struct object *object,
                 uint64_t first, uint64_t last)
{
    const struct content_range range = {.first = first, .last = last, .length_known = true, .length = object->length};
    object_head(head, facts, object, 206);
    head->content_length = (int64_t) (last - first + 1);
    head_add(head, STR("Content-Range"), content_range(facts->arena, &range));
    if (facts->range_md5.ptr != NULL)
        head_add(head, STR("Content-MD5"), facts->range_md5);
    if (facts->range_crc64.ptr != NULL)
        head_add(head, STR("x-ms-content-crc64"), facts->range_crc64);
}

void reply_not_modified(struct http_response *head, const struct reply_facts *facts, const struct object *object)
{
    head_begin(head, facts, 304, 3);
    head_add(head, STR("ETag"), object->etag);
    head_add(head, STR("Last-Modified"), object->last_modified);
    struct str control = http_headers_get(&object->headers, STR("Cache-Control"));
    if (control.ptr != NULL)
        head_add(head, STR("Cache-Control"), control);
    head_add(head, STR("x-ms-error-code"), STR("ConditionNotMet"));
    head_add_ids(head, facts);
    head_add_cache(head, facts);
}

/* ---- Errors ---- */

struct str reply_error(struct http_response *head, const struct reply_facts *facts, const struct blob_error *error,
                       const char *proxy_status)
{
    head_begin(head, facts, error->status, 0);
    head_add(head, STR("Content-Type"), blob_error_content_type(facts->endpoint));
    head_add(head, STR("x-ms-error-code"), str_from(error->code));
    head_add_ids(head, facts);
    head_add(head, STR("Via"), STR("1.1 headpond"));
    if (facts->outcome != OUTCOME_NONE)
        head_add(head, STR("Cache-Status"), cache_status(facts));
    if (error->status == 405)
        head_add(head, STR("Allow"), STR("GET, HEAD, PUT, POST, DELETE, PATCH, OPTIONS"));
    if (facts->retry_after_s > 0)
        head_add(head, STR("Retry-After"), arena_number(facts->arena, facts->retry_after_s));
    if (proxy_status != NULL)
        head_add(head, STR("Proxy-Status"), arena_printf(facts->arena, "headpond; error=%s", proxy_status));
    struct strbuf text = {0};
    blob_error_render(error, &facts->error_detail, facts->endpoint, facts->request_id, facts->now_s, &text);
    struct str body = arena_str(facts->arena, strbuf_str(&text));
    strbuf_free(&text);
    head->content_length = (int64_t) body.len;
    return facts->head ? STR_NULL : body;
}

struct str reply_range_error(struct http_response *head, const struct reply_facts *facts, uint64_t length)
{
    struct str body = reply_error(head, facts, &BLOB_ERROR_INVALID_RANGE, NULL);
    const struct content_range range = {.unsatisfied = true, .length_known = true, .length = length};
    head_add(head, STR("Content-Range"), content_range(facts->arena, &range));
    return body;
}

void reply_copy_relayed(struct http_response *head, struct reply_facts *facts, const struct http_headers *origin)
{
    struct str id = http_headers_get(origin, STR("x-ms-request-id"));
    if (id.len > 0 && id.len <= RELAYED_ID_MAX)
        facts->request_id = arena_str(facts->arena, id);
    head->headers = (struct http_headers){.arena = facts->arena, .room = origin->count + 3};
    head->headers.items = arena_alloc(facts->arena, head->headers.room * sizeof *head->headers.items);
    head_add_list(head, origin);
    head_add(head, STR("Via"), STR("1.1 headpond"));
    head_add(head, STR("Cache-Status"), cache_status(facts));
}
