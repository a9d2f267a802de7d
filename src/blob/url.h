/* SPDX-License-Identifier: Apache-2.0 */
/*
 * url.h: which account, container and blob a request names.
 *
 * Two styles: http://host/{account}/{container}/{blob} and http://{account}.any.name/{container}/{blob}. Host-style it
 * is when the host is a dotted name (no address, not localhost) whose first label is the name of a configured account,
 * or, where "*" is configured, any that "blob" or "dfs" follows. A second label "dfs" (or a third, after a DNS zone
 * such as "z01") names the Data Lake endpoint. Differently encoded URLs of one blob give the same names; nothing is
 * collapsed ("..", "//" and "." are text in a blob's name). Pure; any thread.
 */
#ifndef HEADPOND_BLOB_URL_H
#define HEADPOND_BLOB_URL_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/status.h"
#include "base/str.h"
#include "blob/query.h"

enum blob_style { BLOB_STYLE_PATH, BLOB_STYLE_HOST };
enum blob_endpoint { BLOB_ENDPOINT_BLOB, BLOB_ENDPOINT_DFS };
enum blob_level { BLOB_LEVEL_ACCOUNT, BLOB_LEVEL_CONTAINER, BLOB_LEVEL_BLOB };

#define BLOB_NAME_MAX 1024     /* characters of a blob's name (Azure: naming and referencing containers, blobs) */
#define BLOB_CONTAINER_MAX 255 /* bytes we take; Azure's bound is 63 characters, and its to refuse */

/* Which names are accounts. */
struct blob_accounts {
    bool (*known)(const void *arg, struct str name); /* configured by name; may be NULL */
    const void *arg;
    bool any; /* "*" is configured */
};

struct blob_url {
    enum blob_style style;
    enum blob_endpoint endpoint;
    enum blob_level level;
    bool secondary; /* the account was named with "-secondary" */
    bool odd_path;  /* a "." or ".." segment or a backslash: an origin might read it in another way, so do not cache */
    struct str account;    /* [a-z0-9]{3,24}, without "-secondary" */
    struct str container;  /* decoded; "" on account level; "$root" for a blob named without a container */
    struct str blob;       /* decoded; "" above blob level */
    struct str path;       /* as sent, without the account component of path-style: "/container/blob", at least "/" */
    struct str query_text; /* as sent, without '?'; a NULL str when there is no '?' */
    struct blob_query query;
    const char *problem; /* BAD_TARGET: why, a constant for a person */
};

/* `target` and `authority` as in struct http_request; they must live as long as *url. OK or BAD_TARGET (with
 * url->problem). Whether the account is configured is left to the caller. */
enum status blob_url_parse(struct arena *arena, struct str target, struct str authority,
                           const struct blob_accounts *accounts, struct blob_url *url) STATUS_CHECKED;

/* [a-z0-9]{3,24} */
bool blob_account_name(struct str name);
/* The name without "-secondary", and whether it had that. */
struct str blob_account_plain(struct str name, bool *secondary);

/* What to ask the origin for: path and query byte for byte. A slice of the target where it can be. */
struct str blob_url_origin_target(const struct blob_url *url, struct arena *arena);

/* "snapshot=…", "versionid=…" or "": the generation that the query names. */
struct str blob_url_version(const struct blob_url *url, struct arena *arena);

#endif
