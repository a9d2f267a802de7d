/* SPDX-License-Identifier: Apache-2.0 */
/* property.c: the table of a blob's header fields. (Azure: Get Blob, Get Blob Properties.) */
#include "blob/property.h"

#include <stdbool.h>

/* X(name, what, prefix): of several that match, the longest counts. */
#define PROPERTY_TABLE(X)                                                                                              \
    X("Last-Modified", KEEP, false)                                                                                    \
    X("ETag", KEEP, false)                                                                                             \
    X("Content-Type", KEEP, false)                                                                                     \
    X("Content-Encoding", KEEP, false)                                                                                 \
    X("Content-Language", KEEP, false)                                                                                 \
    X("Content-Disposition", KEEP, false)                                                                              \
    X("Cache-Control", KEEP, false)                                                                                    \
    X("Accept-Ranges", KEEP, false)                                                                                    \
    X("Content-MD5", MD5, false)                                                                                       \
    X("x-ms-blob-content-md5", MD5, false)                                                                             \
    X("x-ms-creation-time", KEEP, false)                                                                               \
    X("x-ms-meta-", KEEP, true)                                                                                        \
    X("x-ms-blob-type", KEEP, false)                                                                                   \
    X("x-ms-version-id", KEEP, false)                                                                                  \
    X("x-ms-is-current-version", KEEP, false)                                                                          \
    X("x-ms-tag-count", KEEP, false)                                                                                   \
    X("x-ms-server-encrypted", KEEP, false)                                                                            \
    X("x-ms-encryption-scope", KEEP, false)                                                                            \
    X("x-ms-or-", KEEP, true)                                                                                          \
    X("x-ms-copy-", KEEP, true)                                                                                        \
    X("x-ms-copy-destination-snapshot", HEAD_ONLY, false)                                                              \
    X("x-ms-incremental-copy", HEAD_ONLY, false)                                                                       \
    X("x-ms-lease-", KEEP, true)                                                                                       \
    X("x-ms-lease-id", REPLY, false)                                                                                   \
    X("x-ms-lease-time", REPLY, false)                                                                                 \
    X("x-ms-blob-sequence-number", KEEP, false)                                                                        \
    X("x-ms-blob-committed-block-count", KEEP, false)                                                                  \
    X("x-ms-blob-sealed", KEEP, false)                                                                                 \
    X("x-ms-immutability-policy-", KEEP, true)                                                                         \
    X("x-ms-legal-hold", KEEP, false)                                                                                  \
    X("x-ms-last-access-time", KEEP, false)                                                                            \
    X("x-ms-owner", KEEP, false)                                                                                       \
    X("x-ms-group", KEEP, false)                                                                                       \
    X("x-ms-permissions", KEEP, false)                                                                                 \
    X("x-ms-resource-type", KEEP, false)                                                                               \
    X("x-ms-access-tier", HEAD_ONLY, false)                                                                            \
    X("x-ms-access-tier-", HEAD_ONLY, true)                                                                            \
    X("x-ms-smart-access-tier", HEAD_ONLY, false)                                                                      \
    X("x-ms-archive-status", HEAD_ONLY, false)                                                                         \
    X("x-ms-expiry-time", HEAD_ONLY, false)                                                                            \
    X("x-ms-rehydrate-priority", HEAD_ONLY, false)

static const struct {
    struct str name;
    enum property what;
    bool prefix;
} property_rows[] = {
#define X(name, what, prefix) {STR_INIT(name), PROPERTY_##what, prefix},
    PROPERTY_TABLE(X)
#undef X
};

enum property property_of(struct str name)
{
    enum property what = PROPERTY_REPLY;
    size_t longest = 0;
    for (unsigned i = 0; i < sizeof property_rows / sizeof property_rows[0]; i++) {
        struct str row = property_rows[i].name;
        if (row.len <= longest || !str_istarts(name, row))
            continue;
        /* A prefix must be followed by something. */
        if (property_rows[i].prefix ? name.len > row.len : name.len == row.len) {
            what = property_rows[i].what;
            longest = row.len;
        }
    }
    return what;
}

struct str property_value(struct str name, struct str value)
{
    struct str query;
    if (!str_ieq(name, STR("x-ms-copy-source")))
        return value;
    struct str url = str_split(value, '?', &query);
    for (struct str rest = query; rest.ptr != NULL;) {
        struct str part = str_split(rest, '&', &rest);
        struct str key = str_split(part, '=', &(struct str){NULL, 0});
        if (str_istarts(key, STR("sig")) || str_find(key, '%') >= 0) /* nobody encodes an honest name */
            return url;
    }
    return value;
}
