/* SPDX-License-Identifier: Apache-2.0 */
/*
 * classify.c: reads, bypasses and writes. (Azure: operations on blobs, on containers, on the Blob service; Data Lake:
 * path operations.)
 */
#include "blob/classify.h"

static struct blob_class bypass(const char *reason)
{
    return (struct blob_class){.action = BLOB_ACTION_BYPASS, .reason = reason};
}

static struct blob_class touches(enum blob_touch touch, bool grants)
{
    return (struct blob_class){.action = BLOB_ACTION_WRITE, .touch = touch, .touch_grants = grants};
}

static bool is_one_of(struct str text, const char *const *words)
{
    for (; *words != NULL; words++)
        if (str_ieq(text, str_from(*words)))
            return true;
    return false;
}

/* ---- Reads ---- */

/* Headers that make the reply another one than the cached, or one for this request alone. */
static const struct {
    struct str name;
    const char *reason;
} bypass_headers[] = {
    {STR_INIT("x-ms-lease-id"), "lease"},
    {STR_INIT("x-ms-encryption-key"), "cpk"},
    {STR_INIT("x-ms-encryption-key-sha256"), "cpk"},
    {STR_INIT("x-ms-encryption-algorithm"), "cpk"},
    {STR_INIT("x-ms-if-tags"), "if-tags"},
    {STR_INIT("Origin"), "cors"},
    {STR_INIT("x-ms-structured-body"), "structured-body"},
    {STR_INIT("If-Range"), "if-range"},
};

/* Azure refuses what is none. */
static bool is_timeout(struct str text)
{
    int64_t seconds;
    return str_to_int(text, &seconds) && seconds > 0;
}

static bool is_empty(const struct blob_query *query, enum blob_param_id id)
{
    return query->first[id] != 0 && blob_query_value(query, id).len == 0;
}

/* Data Lake's Get Properties in the two forms that ask for what a blob's record knows: all properties, or those of the
 * system; owners as they are stored, not by their names. */
static bool is_dfs_status(const struct blob_query *query)
{
    struct str action = blob_query_value(query, BLOB_PARAM_ACTION), upn = blob_query_value(query, BLOB_PARAM_UPN);
    return (action.ptr == NULL || str_ieq(action, STR("getStatus"))) && (upn.ptr == NULL || str_ieq(upn, STR("false")));
}

static const char *query_bypass(const struct blob_query *query, bool dfs_status)
{
    static const struct {
        enum blob_param_id id;
        const char *reason;
    } rows[] = {
        {BLOB_PARAM_COMP, "comp"},
        {BLOB_PARAM_RESTYPE, "restype"},
        {BLOB_PARAM_RESOURCE, "dfs-action"},
        {BLOB_PARAM_RECURSIVE, "query"},
    };
    if (!dfs_status && (query->first[BLOB_PARAM_ACTION] != 0 || query->first[BLOB_PARAM_UPN] != 0))
        return "dfs-action";
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (query->first[rows[i].id] != 0)
            return rows[i].reason;
    if (query->others > 0)
        return "query"; /* it may mean something to the origin */
    if (query->repeated || (query->first[BLOB_PARAM_SNAPSHOT] != 0 && query->first[BLOB_PARAM_VERSIONID] != 0))
        return "query-repeated"; /* which one counts is the origin's to say */
    if (query->odd_case)
        return "query-case"; /* so is whether "Snapshot" names a snapshot or means nothing */
    if (is_empty(query, BLOB_PARAM_SNAPSHOT) || is_empty(query, BLOB_PARAM_VERSIONID))
        return "query"; /* and whether the name of nothing is one of the blob itself */
    if (query->first[BLOB_PARAM_TIMEOUT] != 0 && !is_timeout(blob_query_value(query, BLOB_PARAM_TIMEOUT)))
        return "timeout";
    return NULL;
}

static bool is_twice(const struct blob_headers *headers, struct str name)
{
    return headers->get(headers->from, name, 1).ptr != NULL;
}

/* The version that brought x-ms-range-get-content-crc64. A request without a version is answered by rules of its own.
 */
static bool knows_crc64(const struct blob_headers *headers)
{
    return blob_version_since(blob_header(headers, STR("x-ms-version")), "2019-02-02");
}

/* Once and in so many words. What else might be meant by such a header is the origin's to say. */
static bool says_true(const struct blob_headers *headers, struct str name)
{
    return str_ieq(blob_header(headers, name), STR("true")) && !is_twice(headers, name);
}

/* The checksums that are asked for; or why that is not for the cache. */
static const char *range_checksum(const struct blob_url *url, const struct blob_headers *headers, bool head,
                                  enum blob_checksum *checksum)
{
    static const struct str md5 = STR_INIT("x-ms-range-get-content-md5");
    static const struct str crc64 = STR_INIT("x-ms-range-get-content-crc64");
    bool wants_md5 = blob_header(headers, md5).ptr != NULL, wants_crc64 = blob_header(headers, crc64).ptr != NULL;
    /* Data Lake calls the blob's own MD5 by another name. */
    bool ours = !head && url->endpoint == BLOB_ENDPOINT_BLOB;
    if (wants_md5 && !(ours && says_true(headers, md5)))
        return "range-md5";
    if (wants_crc64 && !(ours && says_true(headers, crc64) && knows_crc64(headers)))
        return "range-crc64";
    if (wants_md5)
        *checksum = wants_crc64 ? BLOB_CHECKSUM_BOTH : BLOB_CHECKSUM_MD5;
    else
        *checksum = wants_crc64 ? BLOB_CHECKSUM_CRC64 : BLOB_CHECKSUM_NONE;
    return NULL;
}

/* Azure refuses what is no version, and of two of them either may count. */
static bool odd_version(const struct blob_headers *headers)
{
    struct str version = blob_header(headers, STR("x-ms-version"));
    return version.ptr != NULL && (!blob_version_valid(version) || is_twice(headers, STR("x-ms-version")));
}

static struct blob_class classify_read(const struct blob_url *url, const struct blob_headers *headers, bool head)
{
    if (url->level == BLOB_LEVEL_ACCOUNT)
        return bypass("account");
    if (url->level == BLOB_LEVEL_CONTAINER)
        return bypass("container");
    if (url->odd_path)
        return bypass("odd-path");
    bool dfs_head = head && url->endpoint == BLOB_ENDPOINT_DFS;
    const char *reason = query_bypass(&url->query, dfs_head && is_dfs_status(&url->query));
    if (reason != NULL)
        return bypass(reason);
    for (unsigned i = 0; i < sizeof bypass_headers / sizeof bypass_headers[0]; i++)
        if (blob_header(headers, bypass_headers[i].name).ptr != NULL)
            return bypass(bypass_headers[i].reason);
    struct blob_class class = {.action = BLOB_ACTION_READ, .head = head};
    reason = range_checksum(url, headers, head, &class.checksum);
    if (reason != NULL)
        return bypass(reason);
    if (odd_version(headers))
        return bypass("version");
    if (is_twice(headers, STR("Range")) || is_twice(headers, STR("x-ms-range")) ||
        (url->endpoint == BLOB_ENDPOINT_DFS && blob_header(headers, STR("x-ms-range")).ptr != NULL))
        return bypass("odd-range"); /* which one counts is the origin's to say; Data Lake documents Range only */
    return class;
}

/* ---- Writes ---- */

/* Whether comp= can be believed to be what the origin acts on: a write that is taken for a harmless one fences nothing.
 * Data Lake has no such operations. */
static bool comp_is_certain(const struct blob_url *url)
{
    const struct blob_query *query = &url->query;
    return url->endpoint == BLOB_ENDPOINT_BLOB && !query->repeated && !query->odd_case;
}

/* With an empty component: a hierarchical namespace may take it for the blob without. */
static bool has_empty_component(struct str blob)
{
    for (size_t i = 0; i < blob.len; i++)
        if (blob.ptr[i] == '/' && (i == 0 || i + 1 == blob.len || blob.ptr[i + 1] == '/'))
            return true;
    return false;
}

/* A rename moves what lies below the source too. It names it as /filesystem/path[?sas], percent-encoded. */
static struct blob_class classify_rename(const struct blob_url *url, struct str source)
{
    struct str rest;
    str_take(&source, STR("/"));
    source = str_split(source, '/', &rest);
    bool same = rest.ptr != NULL && str_eq(source, url->container); /* encoded in another way: taken for another one */
    return touches(same ? BLOB_TOUCH_CONTAINER : BLOB_TOUCH_ACCOUNT, true);
}

static struct blob_class account_write(struct str method, const struct blob_url *url)
{
    struct str comp = blob_query_value(&url->query, BLOB_PARAM_COMP);
    static const char *const harmless_posts[] = {"userdelegationkey", "blobs", NULL};
    if (str_eq(method, STR("POST")) && is_one_of(comp, harmless_posts) && comp_is_certain(url))
        return touches(BLOB_TOUCH_NOTHING, false);
    if (str_eq(method, STR("PUT")) && str_ieq(comp, STR("properties")) && comp_is_certain(url))
        return touches(BLOB_TOUCH_NOTHING, false);
    return touches(BLOB_TOUCH_ACCOUNT, false); /* comp=batch, and what is not known */
}

static struct blob_class container_write(struct str method, const struct blob_url *url)
{
    struct str comp = blob_query_value(&url->query, BLOB_PARAM_COMP);
    if (str_eq(method, STR("PUT"))) {
        static const char *const harmless[] = {"lease", "metadata", NULL};
        if (is_one_of(comp, harmless) && comp_is_certain(url))
            return touches(BLOB_TOUCH_NOTHING, false);
        /* Creating it, and comp=acl, say who may read without a credential. */
        if (comp.ptr == NULL || str_ieq(comp, STR("acl")))
            return touches(BLOB_TOUCH_NOTHING, true);
        /* The URL names the new container; what goes is the old one, which a header names. */
        if (str_ieq(comp, STR("rename")))
            return touches(BLOB_TOUCH_ACCOUNT, true);
    }
    if (str_eq(method, STR("PATCH")) && str_ieq(blob_query_value(&url->query, BLOB_PARAM_RESOURCE), STR("filesystem")))
        return touches(BLOB_TOUCH_NOTHING, true);
    if (str_eq(method, STR("POST")) && str_ieq(comp, STR("batch")))
        return touches(BLOB_TOUCH_CONTAINER, false);
    return touches(BLOB_TOUCH_CONTAINER, true); /* DELETE, undelete, and what is not known */
}

/* Put Blob (Azure): no comp, a block blob, and nothing that makes the body another than the blob, or the blob one that
 * is not for a cache. */
static bool is_whole(struct str method, const struct blob_url *url, const struct blob_headers *headers)
{
    static const struct str not_with[] = {STR_INIT("x-ms-copy-source"), STR_INIT("x-ms-structured-body"),
                                          STR_INIT("x-ms-encryption-key"), STR_INIT("x-ms-encryption-key-sha256"),
                                          STR_INIT("x-ms-encryption-algorithm")};
    const struct blob_query *query = &url->query;
    if (!str_eq(method, STR("PUT")) || url->endpoint != BLOB_ENDPOINT_BLOB || url->odd_path || url->secondary ||
        query->others > 0 || query->repeated || query->odd_case ||
        !str_ieq(blob_header(headers, STR("x-ms-blob-type")), STR("BlockBlob")))
        return false;
    for (unsigned i = 0; i < query->count; i++)
        if (query->items[i].id > BLOB_PARAM_LAST_SAS && query->items[i].id != BLOB_PARAM_TIMEOUT)
            return false;
    for (unsigned i = 0; i < sizeof not_with / sizeof not_with[0]; i++)
        if (blob_header(headers, not_with[i]).ptr != NULL)
            return false;
    return true;
}

static struct blob_class blob_write(struct str method, const struct blob_url *url, const struct blob_headers *headers)
{
    const struct blob_query *query = &url->query;
    struct str comp = blob_query_value(query, BLOB_PARAM_COMP), action = blob_query_value(query, BLOB_PARAM_ACTION);
    struct str rename = blob_header(headers, STR("x-ms-rename-source"));
    if (rename.ptr != NULL)
        return classify_rename(url, rename);
    static const char *const harmless_puts[] = {"snapshot", "block", NULL};
    if (str_eq(method, STR("PUT")) && is_one_of(comp, harmless_puts) && comp_is_certain(url))
        return touches(BLOB_TOUCH_NOTHING, false);
    if (str_eq(method, STR("POST")) && str_ieq(comp, STR("query")) && comp_is_certain(url))
        return touches(BLOB_TOUCH_NOTHING, false);
    /* An access list rules what lies below a directory as well. */
    if (str_istarts(action, STR("setAccessControl")))
        return touches(str_ieq(action, STR("setAccessControl")) ? BLOB_TOUCH_OBJECT : BLOB_TOUCH_CONTAINER, true);
    /* What may be a directory takes along what lies below it. */
    if (str_ieq(blob_query_value(query, BLOB_PARAM_RECURSIVE), STR("true")) ||
        (url->endpoint == BLOB_ENDPOINT_DFS && str_ieq(comp, STR("undelete"))))
        return touches(BLOB_TOUCH_CONTAINER, false);
    if (str_eq(method, STR("DELETE")) && blob_header(headers, STR("x-ms-delete-snapshots")).ptr != NULL)
        return touches(BLOB_TOUCH_CONTAINER, false); /* snapshots are objects of their own, and not known by name */
    struct blob_class class = touches(BLOB_TOUCH_OBJECT, false);
    class.touch_base = blob_query_names_version(query);
    class.whole = is_whole(method, url, headers);
    if (has_empty_component(url->blob) || url->odd_path) /* the origin may take it for another blob */
        class.touch = BLOB_TOUCH_CONTAINER;
    return class;
}

static struct blob_class classify_write(struct str method, const struct blob_url *url,
                                        const struct blob_headers *headers)
{
    switch (url->level) {
    case BLOB_LEVEL_ACCOUNT:
        return account_write(method, url);
    case BLOB_LEVEL_CONTAINER:
        return container_write(method, url);
    case BLOB_LEVEL_BLOB:
        break;
    }
    return blob_write(method, url, headers);
}

/* The method that the origin may act on instead of the request's, or a NULL str. */
static struct str overriding_method(const struct blob_headers *headers)
{
    static const struct str names[] = {STR_INIT("X-HTTP-Method-Override"), STR_INIT("X-HTTP-Method"),
                                       STR_INIT("X-Method-Override")};
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct str method = blob_header(headers, names[i]);
        if (method.ptr != NULL)
            return is_twice(headers, names[i]) ? STR("?") : method;
    }
    return STR_NULL;
}

/* Hadoop sends Data Lake's PATCH as a PUT. Nobody has a reason to make a read another operation, and no method but a
 * write's own is looked at for whether it may be harmless. */
static struct blob_class classify_overridden(struct str method, struct str with, const struct blob_url *url,
                                             const struct blob_headers *headers)
{
    if (str_eq(method, STR("GET")) || str_eq(method, STR("HEAD")))
        return (struct blob_class){.action = BLOB_ACTION_REFUSE};
    if (str_eq(method, STR("PUT")) && str_eq(with, STR("PATCH")) && url->level == BLOB_LEVEL_BLOB)
        return blob_write(with, url, headers);
    return touches(url->level == BLOB_LEVEL_ACCOUNT ? BLOB_TOUCH_ACCOUNT : BLOB_TOUCH_CONTAINER, true);
}

struct blob_class blob_classify(struct str method, const struct blob_url *url, const struct blob_headers *headers)
{
    struct str with = overriding_method(headers);
    if (with.ptr != NULL)
        return classify_overridden(method, with, url, headers);
    if (str_eq(method, STR("GET")) || str_eq(method, STR("HEAD")))
        return classify_read(url, headers, str_eq(method, STR("HEAD")));
    if (str_eq(method, STR("OPTIONS")))
        return bypass("options");
    return classify_write(method, url, headers);
}

struct str blob_range_header(const struct blob_headers *headers)
{
    struct str value = blob_header(headers, STR("x-ms-range"));
    return value.ptr != NULL ? value : blob_header(headers, STR("Range"));
}
