/* SPDX-License-Identifier: Apache-2.0 */
/* reply_dfs.c: the names of Data Lake for what a blob's record holds. */
#include "proxy/reply_dfs.h"

#include "base/base64.h"

#define META "x-ms-meta-"
#define FOLDER_MARK META "hdi_isfolder"

/* What both endpoints tell under one name. */
static bool is_shared(struct str name)
{
    static const struct str names[] = {
        STR_INIT("Last-Modified"),
        STR_INIT("ETag"),
        STR_INIT("Content-Type"),
        STR_INIT("Content-Encoding"),
        STR_INIT("Content-Language"),
        STR_INIT("Content-Disposition"),
        STR_INIT("Cache-Control"),
        STR_INIT("Accept-Ranges"),
        STR_INIT("x-ms-creation-time"),
        STR_INIT("x-ms-lease-status"),
        STR_INIT("x-ms-lease-state"),
        STR_INIT("x-ms-lease-duration"),
        STR_INIT("x-ms-server-encrypted"),
        STR_INIT("x-ms-encryption-scope"),
        STR_INIT("x-ms-owner"),
        STR_INIT("x-ms-group"),
        STR_INIT("x-ms-permissions"),
        STR_INIT("x-ms-resource-type"),
        STR_INIT("x-ms-access-tier"),
        STR_INIT("x-ms-access-tier-change-time"),
        STR_INIT("x-ms-access-tier-inferred"),
        STR_INIT("x-ms-expiry-time"),
    };
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        if (str_ieq(name, names[i]))
            return true;
    return false;
}

static bool is_directory(const struct object *object)
{
    struct str type = http_headers_get(&object->headers, STR("x-ms-resource-type"));
    return str_ieq(type, STR("directory")) || http_headers_find(&object->headers, STR(FOLDER_MARK)) != NULL;
}

bool reply_dfs_can(const struct object *object, bool head)
{
    if (is_directory(object))
        return false;
    return !head || http_headers_find(&object->headers, STR("x-ms-resource-type")) != NULL;
}

static void add_shared(struct http_headers *headers, const struct http_headers *from)
{
    for (unsigned i = 0; i < from->count; i++)
        if (is_shared(from->items[i].name))
            http_headers_add(headers, from->items[i].name, from->items[i].value);
}

/* "name=BASE64,name=BASE64" of x-ms-meta-*. */
static void add_user(struct http_headers *headers, const struct http_headers *from)
{
    struct strbuf text = {0};
    for (unsigned i = 0; i < from->count; i++) {
        struct str name = from->items[i].name, value = from->items[i].value;
        if (!str_istarts(name, STR(META)))
            continue;
        if (text.len > 0)
            strbuf_adds(&text, STR(","));
        strbuf_add(&text, name.ptr + sizeof META - 1, name.len - (sizeof META - 1));
        strbuf_adds(&text, STR("="));
        size_t size = BASE64_LENGTH(value.len);
        base64_encode(strbuf_reserve(&text, size), value.ptr, value.len);
        text.len += size;
    }
    if (text.len > 0)
        http_headers_add(headers, STR("x-ms-properties"), arena_str(headers->arena, strbuf_str(&text)));
    strbuf_free(&text);
}

void reply_dfs_fields(struct http_headers *headers, const struct object *object, bool ranged, bool head, bool user)
{
    add_shared(headers, &object->headers);
    if (head)
        add_shared(headers, &object->head_only);
    if (user)
        add_user(headers, &object->headers);
    if (http_headers_find(&object->headers, STR("x-ms-resource-type")) == NULL)
        http_headers_add(headers, STR("x-ms-resource-type"), STR("file"));
    if (object->content_md5.ptr != NULL)
        http_headers_add(headers, ranged ? STR("x-ms-content-md5") : STR("Content-MD5"), object->content_md5);
}
