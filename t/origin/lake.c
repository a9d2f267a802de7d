/* SPDX-License-Identifier: Apache-2.0 */
/* What the Data Lake endpoint has that is no read or write of a blob: the list of a folder's paths, under the state
 * lock. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "service.h"

struct listing {
    struct buf *json;
    size_t skip;   /* length of the container's path and its '/' */
    size_t folder; /* of the folder's path and its '/' */
    bool recursive;
};

static void member(struct buf *json, const char *name, const char *value)
{
    if (!value)
        return;
    buf_printf(json, ",\"%s\":", name);
    buf_json(json, value);
}

static void list_one(void *ctx, const char *path, struct generation *g)
{
    struct listing *l = ctx;
    char text[HTTP_DATE_SIZE];
    const char *type = pairs_get(&g->headers, "x-ms-resource-type");
    if (!l->recursive && strchr(path + l->folder, '/'))
        return;
    buf_puts(l->json, l->json->data[l->json->len - 1] == '[' ? "{\"name\":" : ",{\"name\":");
    buf_json(l->json, path + l->skip);
    if (type && strcmp(type, "directory") == 0)
        member(l->json, "isDirectory", "true");
    snprintf(text, sizeof text, "%" PRId64, g->size);
    member(l->json, "contentLength", text);
    http_date(text, g->modified);
    member(l->json, "lastModified", text);
    buf_printf(l->json, ",\"etag\":\"%.*s\"", (int) strcspn(g->etag + 1, "\""), g->etag + 1); /* without its quotes */
    member(l->json, "owner", pairs_get(&g->headers, "x-ms-owner"));
    member(l->json, "group", pairs_get(&g->headers, "x-ms-group"));
    member(l->json, "permissions", pairs_get(&g->headers, "x-ms-permissions"));
    buf_puts(l->json, "}");
}

void read_path_list(struct reply *r, const char *container)
{
    const char *folder = request_query(r->req, "directory"), *recursive = request_query(r->req, "recursive");
    struct buf start = {0};
    if (!container_find(container)) {
        reply_error(r, "ContainerNotFound");
        return;
    }
    buf_printf(&start, "%s/%s%s", container, folder ? folder : "", folder && *folder ? "/" : "");
    struct listing l = {.json = &r->text,
                        .skip = strlen(container) + 1,
                        .folder = start.len,
                        .recursive = recursive && strcmp(recursive, "true") == 0};
    buf_puts(&r->text, "{\"paths\":[");
    blob_each(start.data, list_one, &l);
    buf_puts(&r->text, "]}");
    buf_free(&start);
    r->length = (int64_t) r->text.len;
    reply_azure_headers(r);
    reply_header(r, "Content-Type", "application/json;charset=utf-8");
}
