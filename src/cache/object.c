/* SPDX-License-Identifier: Apache-2.0 */
/*
 * object.c: from a reply's head to a record and back. A record is
 *
 *     version (1 byte) · length (8) · head_validated_s (8) · last_modified_s (8) · etag · last_modified · content_md5 ·
 *     headers · head_only
 *
 * numbers little-endian, a text is its length (4) and its bytes, a header list its count (4) and its texts in pairs.
 */
#include "cache/object.h"

#include "base/arena.h"
#include "base/bytes.h"
#include "base/date.h"
#include "blob/property.h"
#include "http/precondition.h"
#include "http/range.h"
#include "store/store.h"

#define OBJECT_VERSION 1
#define OBJECT_HEADERS_MAX 256

static struct object *object_new(void)
{
    struct arena *arena = arena_new_small(); /* there is one for each object that the store knows */
    struct object *object = arena_calloc(arena, sizeof *object);
    object->arena = arena;
    object->headers.arena = arena;
    object->head_only.arena = arena;
    return object;
}

void object_free(struct object *object)
{
    if (object != NULL)
        arena_free(object->arena);
}

size_t object_size(const struct object *object)
{
    return arena_size(object->arena);
}

/* ---- From a reply. ---- */

static void add_copy(struct http_headers *headers, struct arena *arena, struct str name, struct str value)
{
    http_headers_add(headers, arena_str(arena, name), arena_str(arena, value));
}

static void keep_headers(struct object *object, const struct http_response *reply, bool head)
{
    for (unsigned i = 0; i < reply->headers.count; i++) {
        const struct http_header *header = &reply->headers.items[i];
        switch (property_of(header->name)) {
        case PROPERTY_KEEP:
            add_copy(&object->headers, object->arena, header->name, property_value(header->name, header->value));
            break;
        case PROPERTY_HEAD_ONLY:
            if (head)
                add_copy(&object->head_only, object->arena, header->name, property_value(header->name, header->value));
            break;
        case PROPERTY_MD5:
        case PROPERTY_REPLY:
            break;
        }
    }
}

/* The whole blob's MD5 is Content-MD5 on a whole reply and x-ms-blob-content-md5 on a ranged one, where Content-MD5
 * would be the range's. */
static void keep_md5(struct object *object, const struct http_response *reply)
{
    struct str md5 = http_headers_get(&reply->headers, STR("x-ms-blob-content-md5"));
    if (md5.len == 0 && reply->status == 200)
        md5 = http_headers_get(&reply->headers, STR("Content-MD5"));
    if (md5.len > 0)
        object->content_md5 = arena_str(object->arena, md5);
}

static bool reply_length(const struct http_response *reply, uint64_t *length)
{
    struct content_range range;
    if (reply->status == 206) {
        struct str value = http_headers_get(&reply->headers, STR("Content-Range"));
        /* Azurite answers a range of an empty blob with 206 and "bytes 0--1/0". */
        if (str_ends(value, STR("--1/0"))) {
            *length = 0;
            return true;
        }
        if (content_range_parse(value, &range) != STATUS_OK || range.unsatisfied || !range.length_known)
            return false;
        *length = range.length;
        return true;
    }
    if (reply->content_length < 0)
        return false;
    *length = (uint64_t) reply->content_length;
    return true;
}

enum status object_from_reply(const struct http_response *reply, bool head, int64_t now_s, const struct object *before,
                              struct object **result)
{
    struct str etag = http_headers_get(&reply->headers, STR("ETag"));
    struct str modified = http_headers_get(&reply->headers, STR("Last-Modified"));
    uint64_t length;

    /* Nothing can be pinned by a weak ETag or an empty one: they do not even equal themselves. */
    if (!etag_eq_strong(etag, etag) || modified.len == 0 || !reply_length(reply, &length))
        return STATUS_BAD_REPLY;
    if (length > OBJECT_LENGTH_MAX)
        return STATUS_TOO_LARGE;
    if (str_ieq(http_headers_get(&reply->headers, STR("x-ms-copy-status")), STR("pending")))
        return STATUS_NOT_IMPLEMENTED;

    struct object *object = object_new();
    object->length = length;
    object->etag = arena_str(object->arena, etag);
    object->last_modified = arena_str(object->arena, modified);
    http_headers_reserve(&object->headers, reply->headers.count);
    if (!date_http_parse(modified, &object->last_modified_s))
        object->last_modified_s = INT64_MIN;
    keep_headers(object, reply, head);
    keep_md5(object, reply);
    if (head) {
        object->head_validated_s = now_s;
    } else if (before != NULL && etag_eq_strong(before->etag, etag)) {
        http_headers_copy(&object->head_only, &before->head_only, object->arena);
        object->head_validated_s = before->head_validated_s;
    }
    *result = object;
    return STATUS_OK;
}

/* ---- To bytes. ---- */

static void put_u64(struct strbuf *out, uint64_t value)
{
    uint8_t bytes[8];
    bytes_put64(bytes, value);
    strbuf_add(out, bytes, sizeof bytes);
}

static void put_u32(struct strbuf *out, uint32_t value)
{
    uint8_t bytes[4];
    bytes_put32(bytes, value);
    strbuf_add(out, bytes, sizeof bytes);
}

static void put_text(struct strbuf *out, struct str text)
{
    put_u32(out, (uint32_t) text.len);
    strbuf_adds(out, text);
}

static void put_headers(struct strbuf *out, const struct http_headers *headers)
{
    put_u32(out, headers->count);
    for (unsigned i = 0; i < headers->count; i++) {
        put_text(out, headers->items[i].name);
        put_text(out, headers->items[i].value);
    }
}

enum status object_encode(const struct object *object, struct strbuf *out)
{
    size_t before = out->len;
    uint8_t version = OBJECT_VERSION;

    strbuf_add(out, &version, 1);
    put_u64(out, object->length);
    put_u64(out, (uint64_t) object->head_validated_s);
    put_u64(out, (uint64_t) object->last_modified_s);
    put_text(out, object->etag);
    put_text(out, object->last_modified);
    put_text(out, object->content_md5);
    put_headers(out, &object->headers);
    put_headers(out, &object->head_only);
    return out->len - before > STORE_RECORD_MAX || object->headers.count > OBJECT_HEADERS_MAX ||
                   object->head_only.count > OBJECT_HEADERS_MAX
               ? STATUS_TOO_LARGE
               : STATUS_OK;
}

/* ---- From bytes: a cursor with a sticky error. ---- */

struct cursor {
    struct str left;
    bool bad;
};

static const uint8_t *take(struct cursor *cursor, size_t len)
{
    static const uint8_t nothing[8];
    if (cursor->bad || cursor->left.len < len) {
        cursor->bad = true;
        return nothing;
    }
    const uint8_t *bytes = (const uint8_t *) cursor->left.ptr;
    cursor->left.ptr += len;
    cursor->left.len -= len;
    return bytes;
}

static uint64_t take_number(struct cursor *cursor, unsigned size)
{
    const uint8_t *bytes = take(cursor, size);
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t) bytes[i] << (8 * i);
    return value;
}

static struct str take_text(struct cursor *cursor, struct arena *arena)
{
    size_t len = (size_t) take_number(cursor, 4);
    const uint8_t *bytes = take(cursor, len);
    if (cursor->bad || len == 0)
        return STR_NULL;
    return arena_str(arena, (struct str){(const char *) bytes, len});
}

static void take_headers(struct cursor *cursor, struct http_headers *headers)
{
    uint64_t count = take_number(cursor, 4);
    if (count > OBJECT_HEADERS_MAX)
        cursor->bad = true;
    else
        http_headers_reserve(headers, (unsigned) count);
    for (uint64_t i = 0; i < count && !cursor->bad; i++) {
        struct str name = take_text(cursor, headers->arena);
        struct str value = take_text(cursor, headers->arena);
        http_headers_add(headers, name, value);
    }
}

struct object *object_decode(struct str record, uint64_t length)
{
    struct cursor cursor = {.left = record};
    struct object *object = object_new();

    cursor.bad = take_number(&cursor, 1) != OBJECT_VERSION;
    object->length = take_number(&cursor, 8);
    object->head_validated_s = (int64_t) take_number(&cursor, 8);
    object->last_modified_s = (int64_t) take_number(&cursor, 8);
    object->etag = take_text(&cursor, object->arena);
    object->last_modified = take_text(&cursor, object->arena);
    object->content_md5 = take_text(&cursor, object->arena);
    take_headers(&cursor, &object->headers);
    take_headers(&cursor, &object->head_only);
    if (cursor.bad || cursor.left.len > 0 || object->length != length || length > OBJECT_LENGTH_MAX ||
        object->etag.len == 0) {
        object_free(object);
        return NULL;
    }
    return object;
}
