/* SPDX-License-Identifier: Apache-2.0 */
/*
 * object.h: what is known of one generation of a blob, and how that is written to disk as a record.
 *
 * Built from a reply to one of our own requests (pinned version, no response overrides: decision 6). Immutable once
 * built; any thread may read it while it holds the generation.
 */
#ifndef HEADPOND_CACHE_OBJECT_H
#define HEADPOND_CACHE_OBJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "base/str.h"
#include "http/message.h"

struct object {
    struct arena *arena;
    uint64_t length;               /* of the whole blob, bytes */
    struct str etag;               /* as the origin wrote it, with quotes */
    struct str last_modified;      /* as written */
    int64_t last_modified_s;       /* parsed; INT64_MIN when it could not be */
    struct str content_md5;        /* of the whole blob (Content-MD5 or x-ms-blob-content-md5), or a NULL str */
    struct http_headers headers;   /* what GET and HEAD both carry (blob/property), ETag and Last-Modified included; no
                                      MD5, no Content-Length */
    struct http_headers head_only; /* access tier and the like */
    int64_t head_validated_s;      /* when a HEAD last brought head_only, wall clock; 0: never */
};

/* 256 TiB: a third more than the largest blob there can be (50,000 blocks of 4,000 MiB). Whoever goes through all
 * extents of a length that an origin made up is done within seconds, even for the smallest blocks. */
#define OBJECT_LENGTH_MAX (UINT64_C(1) << 48)

/* From a 200 or 206 to a GET, or a 200 to a HEAD. `before` (may be NULL) is what was known: its head-only part is kept
 * when the ETag is the same and this reply was a GET's. BAD_REPLY without usable ETag, Last-Modified or length;
 * TOO_LARGE beyond OBJECT_LENGTH_MAX; NOT_IMPLEMENTED when the blob must not be cached now (a copy is pending). */
enum status object_from_reply(const struct http_response *reply, bool head, int64_t now_s, const struct object *before,
                              struct object **object) STATUS_CHECKED;
void object_free(struct object *object);
/* Bytes of memory it takes. */
size_t object_size(const struct object *object);

/* The record's bytes (at most STORE_RECORD_MAX, else TOO_LARGE). */
enum status object_encode(const struct object *object, struct strbuf *out) STATUS_CHECKED;
/* NULL for bytes that are not a record: bounds are checked, nothing is trusted. */
struct object *object_decode(struct str record, uint64_t length);

#endif
