/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Put Blob, Put Block (List), Copy Blob, Snapshot Blob, setting metadata, properties, tier and tags,
 * Delete: simple, but with the effects on ETag and Last-Modified that Azure's have. All of it
 * runs under the state lock.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "service.h"

static const char *const content_properties[] = {"content-type", "content-encoding", "content-language",
                                                 "content-disposition", "cache-control"};
#define PROPERTY_COUNT (sizeof content_properties / sizeof content_properties[0])

static void publish(struct reply *r, int status, struct generation *g)
{
    generation_ref(g);
    if (blob_publish(r->req->path, g))
        reply_written(r, status, g);
    else
        reply_error(r, "InternalError");
    generation_unref(g);
}

static void take_metadata(struct generation *g, const struct request *req)
{
    for (int i = 0; i < req->header_count; i++)
        if (starts_with(req->headers[i].name, "x-ms-meta-"))
            pairs_add(&g->headers, req->headers[i].name, req->headers[i].value);
}

/* The standard headers of the request stand in for x-ms-blob-* ones only when a blob is written. */
static void take_properties(struct generation *g, const struct request *req, bool plain_too)
{
    for (size_t i = 0; i < PROPERTY_COUNT; i++) {
        char name[64];
        const char *property = content_properties[i];
        if (strcmp(property, "cache-control") == 0)
            snprintf(name, sizeof name, "x-ms-blob-cache-control");
        else
            snprintf(name, sizeof name, "x-ms-blob-%s", property);
        const char *value = request_header(req, name);
        if (!value && plain_too)
            value = request_header(req, property);
        pairs_set(&g->headers, property, value);
    }
}

static void take_tier(struct generation *g, const struct request *req)
{
    const char *tier = request_header(req, "x-ms-access-tier");
    if (!tier)
        return;
    snprintf(g->tier, sizeof g->tier, "%s", tier);
    g->tier_inferred = false;
}

static void keep_creation(struct generation *g, const char *path)
{
    struct generation *old = blob_find(path);
    if (old)
        g->created = old->created;
    generation_unref(old);
}

static void put_blob(struct reply *r, const struct body *body)
{
    const struct request *req = r->req;
    char md5[32];
    const char *claimed = request_header(req, "Content-MD5");
    const char *stored = request_header(req, "x-ms-blob-content-md5");
    base64(md5, body->md5, sizeof body->md5);
    if (claimed && strcmp(claimed, md5) != 0) {
        reply_error(r, "Md5Mismatch");
        return;
    }
    struct generation *g = generation_new();
    g->size = body->total;
    if (body->total <= BLOB_MAX_KEPT)
        g->data = blob_data_new(body->kept.data, body->kept.len);
    g->unservable = !g->data;
    snprintf(g->md5, sizeof g->md5, "%s", stored ? stored : md5);
    take_properties(g, req, true);
    take_metadata(g, req);
    take_tier(g, req);
    keep_creation(g, req->path);
    reply_header(r, "Content-MD5", md5);
    publish(r, 201, g);
}

static void put_block(struct reply *r, const struct body *body)
{
    const char *id = request_query(r->req, "blockid");
    struct blob_data *data = NULL;
    if (!id || strlen(id) > 128) {
        reply_error(r, "InvalidQueryParameterValue");
        return;
    }
    if (body->total <= BLOB_MAX_KEPT)
        data = blob_data_new(body->kept.data, body->kept.len);
    if (!data || !blob_stage(r->req->path, id, data)) {
        reply_error(r, "RequestBodyTooLarge");
        return;
    }
    reply_written(r, 201, NULL);
}

/* One block of the list, from the staged ones or the blob's present ones. */
struct piece {
    char *id;
    const char *bytes;
    size_t len;
};

static bool find_piece(struct piece *p, const char *path, const struct generation *old, char kind)
{
    struct blob_data *staged = kind != 'C' ? blob_staged(path, p->id) : NULL;
    if (staged) {
        p->bytes = staged->bytes;
        p->len = staged->len;
        return true;
    }
    for (size_t i = 0; kind != 'U' && old && old->data && i < old->block_count; i++) {
        const struct block_ref *b = &old->blocks[i];
        if (strcmp(b->id, p->id) == 0) {
            p->bytes = old->data->bytes + b->offset;
            p->len = (size_t) b->len;
            return true;
        }
    }
    return false;
}

/* Reads <Latest>id</Latest> and its like; returns the pieces, or NULL for a list that is not valid.
 */
static struct piece *parse_list(const char *xml, const char *path, const struct generation *old, size_t *count)
{
    struct piece *pieces = xcalloc(1, sizeof *pieces);
    bool ok = true;
    *count = 0;
    while (ok && (xml = strchr(xml, '<')) != NULL) {
        xml++;
        if (!starts_with(xml, "Latest>") && !starts_with(xml, "Committed>") && !starts_with(xml, "Uncommitted>"))
            continue;
        char kind = *xml;
        xml = strchr(xml, '>') + 1;
        xml += strspn(xml, " \r\n\t");
        pieces = xrealloc(pieces, (*count + 1) * sizeof *pieces);
        pieces[*count].id = xstrndup(xml, strcspn(xml, "< \r\n\t"));
        ok = find_piece(&pieces[(*count)++], path, old, kind) && *count < 50000;
    }
    if (ok)
        return pieces;
    while (*count > 0)
        free(pieces[--*count].id);
    free(pieces);
    return NULL;
}

static bool assemble(struct generation *g, struct piece *pieces, size_t count)
{
    size_t total = 0, at = 0;
    for (size_t i = 0; i < count; i++)
        total += pieces[i].len;
    g->data = blob_data_new(NULL, total);
    if (!g->data)
        return false;
    g->size = (int64_t) total;
    g->blocks = xcalloc(count, sizeof g->blocks[0]);
    g->block_count = count;
    for (size_t i = 0; i < count; i++) {
        memcpy(g->data->bytes + at, pieces[i].bytes, pieces[i].len);
        g->blocks[i] = (struct block_ref){xstrdup(pieces[i].id), (int64_t) at, (int64_t) pieces[i].len};
        at += pieces[i].len;
    }
    return true;
}

static void put_block_list(struct reply *r, const struct body *body)
{
    const struct request *req = r->req;
    size_t count;
    struct generation *old = blob_find(req->path);
    struct piece *pieces = parse_list(body->kept.data ? body->kept.data : "", req->path, old, &count);
    if (!pieces) {
        reply_error(r, "InvalidBlockList");
        generation_unref(old);
        return;
    }
    struct generation *g = generation_new();
    bool ok = assemble(g, pieces, count);
    for (size_t i = 0; i < count; i++)
        free(pieces[i].id);
    free(pieces);
    generation_unref(old);
    if (!ok) {
        generation_unref(g);
        reply_error(r, "RequestBodyTooLarge");
        return;
    }
    const char *md5 = request_header(req, "x-ms-blob-content-md5");
    snprintf(g->md5, sizeof g->md5, "%s", md5 ? md5 : "");
    take_properties(g, req, false);
    take_metadata(g, req);
    take_tier(g, req);
    keep_creation(g, req->path);
    blob_unstage(req->path);
    publish(r, 201, g);
}

static void copy_blob(struct reply *r, const char *source)
{
    const char *path = strstr(source, "://");
    path = path ? strchr(path + 3, '/') : source;
    char *decoded = path ? percent_decode(path, strcspn(path, "?")) : NULL;
    struct generation *from = decoded ? blob_find(decoded) : NULL;
    free(decoded);
    if (!from) {
        reply_error(r, "BlobNotFound");
        return;
    }
    struct generation *g = generation_copy(from);
    generation_unref(from);
    g->etag[0] = '\0';
    g->created = 0;
    keep_creation(g, r->req->path);
    pairs_remove_prefix(&g->headers, "x-ms-copy-");
    pairs_set(&g->headers, "x-ms-copy-id", "7f1c0a5e-0000-4000-8000-00000000c0b1");
    pairs_set(&g->headers, "x-ms-copy-source", source);
    pairs_set(&g->headers, "x-ms-copy-status", "success");
    reply_header(r, "x-ms-copy-id", pairs_get(&g->headers, "x-ms-copy-id"));
    reply_header(r, "x-ms-copy-status", "success");
    publish(r, 202, g);
}

static int count_tags(const char *xml)
{
    int n = 0;
    while (xml && (xml = strstr(xml, "<Tag>")) != NULL) {
        n++;
        xml += 5;
    }
    return n;
}

/* comp=metadata and properties make a new ETag; tier and tags do not, and so escape a validation
   that looks at the ETag only. Consumes `g`, the copy to be changed. */
static void set_something(struct reply *r, const struct body *body, const char *comp, struct generation *g)
{
    const struct request *req = r->req;
    bool tier = strcmp(comp, "tier") == 0;
    if (tier || strcmp(comp, "tags") == 0) {
        char count[16];
        snprintf(count, sizeof count, "%d", count_tags(body->kept.data));
        take_tier(g, req);
        if (!tier)
            pairs_set(&g->headers, "x-ms-tag-count", count);
        blob_amend(req->path, g);
        reply_written(r, tier ? 200 : 204, NULL);
        r->no_length = !tier;
        return;
    }
    g->etag[0] = '\0';
    if (strcmp(comp, "metadata") == 0) {
        pairs_remove_prefix(&g->headers, "x-ms-meta-");
        take_metadata(g, req);
        publish(r, 200, g);
    } else if (strcmp(comp, "properties") == 0) {
        const char *md5 = request_header(req, "x-ms-blob-content-md5");
        snprintf(g->md5, sizeof g->md5, "%s", md5 ? md5 : "");
        take_properties(g, req, false);
        publish(r, 200, g);
    } else {
        generation_unref(g);
        reply_error(r, "InvalidQueryParameterValue");
    }
}

static void snapshot(struct reply *r, const struct generation *g)
{
    char name[SNAPSHOT_SIZE];
    if (!blob_snapshot(r->req->path, name)) {
        reply_error(r, "InternalError");
        return;
    }
    reply_header(r, "x-ms-snapshot", name);
    reply_written(r, 201, g);
}

void write_blob(struct reply *r, const struct body *body)
{
    const struct request *req = r->req;
    const char *comp = request_query(req, "comp"), *source = request_header(req, "x-ms-copy-source");
    const char *none = request_header(req, "If-None-Match");
    struct generation *old = blob_find(req->path);
    bool block = comp && strcmp(comp, "block") == 0;
    bool exists = old != NULL, list = comp && strcmp(comp, "blocklist") == 0;
    bool holds = block || precondition_check(req, old) == PRECONDITION_HOLDS;
    struct generation *g = exists ? generation_copy(old) : NULL;
    generation_unref(old);
    if (!holds) {
        bool must_not_exist = none && strcmp(none, "*") == 0 && exists;
        reply_error(r, must_not_exist ? "BlobAlreadyExists" : "ConditionNotMet");
    } else if (block) {
        put_block(r, body);
    } else if (list) {
        put_block_list(r, body);
    } else if (comp && !exists) {
        reply_error(r, "BlobNotFound");
    } else if (comp && strcmp(comp, "snapshot") == 0) {
        snapshot(r, g);
    } else if (comp) {
        set_something(r, body, comp, g);
        g = NULL;
    } else if (source) {
        copy_blob(r, source);
    } else {
        put_blob(r, body);
    }
    generation_unref(g);
}

/* A blob that has snapshots goes with them or not at all. */
static const char *delete_error(const struct request *req)
{
    const char *snapshots = request_header(req, "x-ms-delete-snapshots");
    if (!blob_has_snapshots(req->path))
        return NULL;
    if (!snapshots)
        return "SnapshotsPresent";
    blob_remove_snapshots(req->path, NULL);
    return NULL;
}

static bool deletes_blob(const struct request *req)
{
    const char *snapshots = request_header(req, "x-ms-delete-snapshots");
    return !snapshots || strcmp(snapshots, "only") != 0;
}

void write_delete(struct reply *r)
{
    const struct request *req = r->req;
    const char *snapshot_name = request_query(req, "snapshot");
    struct generation *g = snapshot_name ? blob_find_snapshot(req->path, snapshot_name) : blob_find(req->path);
    bool holds = precondition_check(req, g) == PRECONDITION_HOLDS, exists = g != NULL;
    generation_unref(g);
    const char *error = !exists ? "BlobNotFound" : !holds ? "ConditionNotMet" : NULL;
    if (!error && snapshot_name)
        blob_remove_snapshots(req->path, snapshot_name);
    else if (!error)
        error = delete_error(req);
    if (!error && !snapshot_name && deletes_blob(req))
        blob_remove(req->path);
    if (error) {
        reply_error(r, error);
        return;
    }
    reply_written(r, 202, NULL);
    reply_header(r, "x-ms-delete-type-permanent", "true");
}
