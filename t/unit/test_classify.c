/* SPDX-License-Identifier: Apache-2.0 */
/* What a cache may answer, what it must pass through, and what a write makes it forget. */
#include "tap.h"

#include "blob/classify.h"

static struct arena *arena;

/* "Name: value" lines, NULL ends. */
static struct str get(const void *from, struct str name, unsigned nth)
{
    for (const char *const *line = from; *line != NULL; line++) {
        struct str value, key = str_split(str_from(*line), ':', &value);
        if (str_ieq(key, name) && nth-- == 0)
            return str_trim(value);
    }
    return STR_NULL;
}

static struct blob_class classify_lines(const char *method, const char *target, const char *host,
                                        const char *const *lines)
{
    static const struct blob_accounts any = {NULL, NULL, true};
    struct blob_headers headers = {.get = get, .from = lines};
    struct blob_url url;
    if (blob_url_parse(arena, str_from(target), str_from(host), &any, &url) != STATUS_OK)
        return (struct blob_class){.action = BLOB_ACTION_BYPASS, .reason = "not even a URL"};
    return blob_classify(str_from(method), &url, &headers);
}

static struct blob_class classify(const char *method, const char *target, const char *host, const char *header)
{
    return classify_lines(method, target, host, (const char *const[]){"Host: x", header, NULL});
}

static const struct {
    const char *target, *host, *header;
    const char *reason; /* NULL: may be answered from the cache */
} reads[] = {
    {"/acct/c/b", "h", NULL, NULL},
    {"/acct/b", "h", NULL, NULL},
    {"/acct/$web/x", "h", NULL, NULL},
    {"/acct/c/b?timeout=30&api-version=2021-08-06", "h", NULL, NULL},
    {"/acct/c/b?snapshot=2020", "h", NULL, NULL},
    {"/acct/c/b?versionid=2020", "h", NULL, NULL},
    {"/acct/c/b?sv=1&sr=b&sp=r&se=2&sig=x&skoid=y&sip=1.2.3.4", "h", NULL, NULL},
    {"/acct/c/b", "h", "Range: bytes=0-1", NULL},
    {"/acct/c/b", "h", "If-None-Match: x", NULL},
    {"/acct/c/b", "h", "x-ms-encryption-scope: s", NULL},
    {"/acct/c/b?comp=metadata", "h", NULL, "comp"},
    {"/acct/c/b?COMP=metadata", "h", NULL, "comp"},
    {"/acct/c/b?%63omp=metadata", "h", NULL, "comp"},
    {"/acct/c/b?comp", "h", NULL, "comp"},
    {"/acct/c/b?restype=container", "h", NULL, "restype"},
    {"/acct/c/b?x=y", "h", NULL, "query"},
    {"/acct/c/b?=y", "h", NULL, "query"},
    {"/acct/c/b?sig=1&sig=2", "h", NULL, "query-repeated"},
    {"/acct/c/b?snapshot=1&Snapshot=2", "h", NULL, "query-repeated"},
    {"/acct/c/b?snapshot=1&versionid=2", "h", NULL, "query-repeated"},
    {"/acct/c/b?Snapshot=2", "h", NULL, "query-case"},
    {"/acct/c/b?sv=1&sr=b&sp=r&se=2&SIG=x", "h", NULL, "query-case"},
    {"/acct/c/b?snapshot=", "h", NULL, "query"},
    {"/acct/c/b?versionid", "h", NULL, "query"},
    {"/acct/c/b?timeout=1", "h", NULL, NULL},
    {"/acct/c/b?timeout=0", "h", NULL, "timeout"},
    {"/acct/c/b?timeout=-1", "h", NULL, "timeout"},
    {"/acct/c/b?timeout=soon", "h", NULL, "timeout"},
    {"/acct/c/b?timeout=", "h", NULL, "timeout"},
    {"/acct/c/a/../b", "h", NULL, "odd-path"},
    {"/acct/c/a%5C..", "h", NULL, "odd-path"},
    {"/acct/c?restype=container", "h", NULL, "container"},
    {"/acct/c?restype=container&comp=list", "h", NULL, "container"},
    {"/acct?comp=list", "h", NULL, "account"},
    {"/acct/c/b", "h", "x-ms-lease-id: 1", "lease"},
    {"/acct/c/b", "h", "X-MS-Encryption-Key: 1", "cpk"},
    {"/acct/c/b", "h", "x-ms-encryption-key-sha256: 1", "cpk"},
    {"/acct/c/b", "h", "x-ms-encryption-algorithm: AES256", "cpk"},
    {"/acct/c/b", "h", "x-ms-if-tags: a", "if-tags"},
    {"/acct/c/b", "h", "origin: http://x", "cors"},
    {"/acct/c/b", "h", "Origin:", "cors"},
    {"/acct/c/b", "h", "x-ms-structured-body: XSM/1.0", "structured-body"},
    {"/acct/c/b", "h", "If-Range: x", "if-range"},
    {"/acct/c/b", "h", "x-ms-version: 2021-12-02", NULL},
    {"/acct/c/b", "h", "x-ms-version: 2199-01-01", NULL},
    {"/acct/c/b", "h", "x-ms-version: latest", "version"},
    {"/acct/c/b", "h", "x-ms-version:", "version"},
    {"/acct/c/b", "h", "x-ms-version: 2021-12-021", "version"},
    {"/fs/p", "acct.dfs.x", NULL, NULL},
    {"/fs/p?action=getAccessControl", "acct.dfs.x", NULL, "dfs-action"},
    {"/fs/p?upn=true", "acct.dfs.x", NULL, "dfs-action"},
    {"/acct/c/p?action=getStatus", "h", NULL, "dfs-action"},
    {"/fs/p", "acct.dfs.x", "x-ms-range-get-content-md5: true", "range-md5"},
    {"/fs?resource=filesystem", "acct.dfs.x", NULL, "container"},
};

static void reading(void)
{
    for (unsigned i = 0; i < sizeof reads / sizeof reads[0]; i++) {
        for (int head = 0; head < 2; head++) {
            const char *reason = reads[i].reason;
            struct blob_class class = classify(head ? "HEAD" : "GET", reads[i].target, reads[i].host, reads[i].header);
            is_int(class.action, reason == NULL ? BLOB_ACTION_READ : BLOB_ACTION_BYPASS, "read %u: %s", i,
                   reads[i].target);
            is_str(class.reason, reason, "its reason");
            ok(reason != NULL || class.head == (head == 1), "head or not");
        }
    }
    static const char *const statuses[] = {"/fs/p?action=getStatus", "/fs/p?action=getstatus&upn=false&timeout=90",
                                           "/fs/p?upn=FALSE"};
    for (unsigned i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        is_int(classify("HEAD", statuses[i], "acct.dfs.x", NULL).action, BLOB_ACTION_READ, "HEAD %s", statuses[i]);
        is_str(classify("GET", statuses[i], "acct.dfs.x", NULL).reason, "dfs-action", "but no GET");
    }
    is_str(classify("OPTIONS", "/acct/c/b", "h", NULL).reason, "options", "a preflight");

    static const char *const twice[][3] = {{"x-ms-version: 2021-12-02", "x-ms-version: 2020-10-02", "version"},
                                           {"Range: bytes=0-1", "range: bytes=0-1", "odd-range"},
                                           {"x-ms-range: bytes=0-1", "x-ms-range: bytes=1-2", "odd-range"},
                                           {"x-ms-range: bytes=0-1", "Range: bytes=1-2", NULL}};
    for (unsigned i = 0; i < sizeof twice / sizeof twice[0]; i++) {
        const char *const lines[] = {twice[i][0], twice[i][1], NULL};
        is_str(classify_lines("GET", "/acct/c/b", "h", lines).reason, twice[i][2], "%s, %s", twice[i][0], twice[i][1]);
    }
}

static void checksums(void)
{
    enum { NONE = BLOB_CHECKSUM_NONE, MD5 = BLOB_CHECKSUM_MD5, CRC64 = BLOB_CHECKSUM_CRC64, BOTH = BLOB_CHECKSUM_BOTH };
    static const char md5[] = "x-ms-range-get-content-md5: true", crc64[] = "x-ms-range-get-content-crc64: true";
    static const char new[] = "x-ms-version: 2019-02-02", old[] = "x-ms-version: 2018-11-09";
    static const struct {
        const char *method, *lines[4];
        int checksum;
        const char *reason;
    } rows[] = {
        {"GET", {new}, NONE, NULL},
        {"GET", {md5}, MD5, NULL},
        {"GET", {old, "X-MS-Range-Get-Content-MD5: True"}, MD5, NULL},
        {"GET", {new, crc64}, CRC64, NULL},
        {"GET", {"x-ms-version: 2023-11-03", crc64}, CRC64, NULL},
        {"GET", {md5, crc64, new}, BOTH, NULL},
        {"GET", {crc64}, NONE, "range-crc64"},
        {"GET", {crc64, old}, NONE, "range-crc64"},
        {"GET", {crc64, "x-ms-version: 2019-02-02x"}, NONE, "range-crc64"},
        {"GET", {"x-ms-range-get-content-md5: false"}, NONE, "range-md5"},
        {"GET", {"x-ms-range-get-content-md5:"}, NONE, "range-md5"},
        {"GET", {md5, md5}, NONE, "range-md5"},
        {"HEAD", {md5}, NONE, "range-md5"},
        {"HEAD", {new, crc64}, NONE, "range-crc64"},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct blob_class class = classify_lines(rows[i].method, "/acct/c/b", "h", rows[i].lines);
        ok(class.action == (rows[i].reason == NULL ? BLOB_ACTION_READ : BLOB_ACTION_BYPASS) &&
               (int) class.checksum == rows[i].checksum,
           "checksum %u: %s", i, rows[i].lines[0]);
        is_str(class.reason, rows[i].reason, "its reason");
    }
}

enum {
    NOTHING = BLOB_TOUCH_NOTHING,
    OBJECT = BLOB_TOUCH_OBJECT,
    CONTAINER = BLOB_TOUCH_CONTAINER,
    ACCOUNT = BLOB_TOUCH_ACCOUNT
};
#define DFS "acct.dfs.x"

static const struct {
    const char *method, *target, *host, *header;
    int touch;
    bool grants, base;
} writes[] = {
    {"PUT", "/acct/c/b", "h", NULL, OBJECT, false, false},
    {"PUT", "/acct/c/b", "h", "x-ms-copy-source: https://x", OBJECT, false, false},
    {"PUT", "/acct/c/b?comp=blocklist", "h", NULL, OBJECT, false, false},
    {"PUT", "/acct/c/b?comp=page", "h", NULL, OBJECT, false, false},
    {"PUT", "/acct/c/b?comp=appendblock", "h", NULL, OBJECT, false, false},
    {"PUT", "/acct/c/b?comp=seal", "h", NULL, OBJECT, false, false},
    {"PUT", "/acct/c/b?comp=properties", "h", NULL, OBJECT, false, false},
    {"PUT", "/acct/c/b?comp=metadata", "h", NULL, OBJECT, false, false},
    {"PUT", "/acct/c/b?comp=tags", "h", NULL, OBJECT, false, false},
    {"PUT", "/acct/c/b?comp=tier", "h", NULL, OBJECT, false, false},
    {"PUT", "/acct/c/b?comp=expiry", "h", NULL, OBJECT, false, false},
    {"PUT", "/acct/c/b?comp=undelete", "h", NULL, OBJECT, false, false},
    {"PUT", "/acct/c/b?comp=incrementalcopy", "h", NULL, OBJECT, false, false},
    {"PUT", "/acct/c/b?comp=immutabilityPolicies", "h", NULL, OBJECT, false, false},
    {"PUT", "/acct/c/b?comp=legalhold", "h", NULL, OBJECT, false, false},
    {"PUT", "/acct/c/b?comp=lease", "h", NULL, OBJECT, false, false},
    {"PUT", "/acct/c/b?comp=copy&copyid=1", "h", NULL, OBJECT, false, false},
    {"PUT", "/acct/c/b?comp=whatever", "h", NULL, OBJECT, false, false},
    {"PUT", "/acct/c/b?comp=snapshot", "h", NULL, NOTHING, false, false},
    {"PUT", "/acct/c/b?comp=Block&blockid=x", "h", NULL, NOTHING, false, false},
    {"PUT", "/acct/c/b?COMP=block", "h", NULL, OBJECT, false, false},
    {"PUT", "/acct/c/b?comp=block&comp=metadata", "h", NULL, OBJECT, false, false},
    {"PUT", "/fs/p?comp=block&resource=file", DFS, NULL, OBJECT, false, false},
    {"POST", "/acct/c/b?Comp=query", "h", NULL, OBJECT, false, false},
    {"PUT", "/acct/c?restype=container&comp=metadata&comp=acl", "h", NULL, CONTAINER, true, false},
    {"PUT", "/acct/c/a//b", "h", NULL, CONTAINER, false, false},
    {"DELETE", "/acct/c/b/", "h", NULL, CONTAINER, false, false},
    {"DELETE", "/acct/c/b?comp=block", "h", NULL, OBJECT, false, false},
    {"PUT", "/acct/b", "h", NULL, OBJECT, false, false},
    {"PUT", "/acct/c/a/../b", "h", NULL, CONTAINER, false, false},
    {"DELETE", "/acct/c/b", "h", NULL, OBJECT, false, false},
    {"DELETE", "/acct/c/b", "h", "x-ms-delete-snapshots: include", CONTAINER, false, false},
    {"DELETE", "/acct/c/b?snapshot=1", "h", NULL, OBJECT, false, true},
    {"PUT", "/acct/c/b?comp=tier&versionid=1", "h", NULL, OBJECT, false, true},
    {"POST", "/acct/c/b?comp=query", "h", NULL, NOTHING, false, false},
    {"POST", "/acct/c/b", "h", NULL, OBJECT, false, false},
    {"BREW", "/acct/c/b", "h", NULL, OBJECT, false, false},
    {"get", "/acct/c/b", "h", NULL, OBJECT, false, false}, /* not GET */
    {"PUT", "/acct/c?restype=container", "h", NULL, NOTHING, true, false},
    {"PUT", "/acct/c?restype=container&comp=acl", "h", NULL, NOTHING, true, false},
    {"PUT", "/acct/c?restype=container&comp=metadata", "h", NULL, NOTHING, false, false},
    {"PUT", "/acct/c?restype=container&comp=lease", "h", NULL, NOTHING, false, false},
    {"PUT", "/acct/c?restype=container&comp=undelete", "h", NULL, CONTAINER, true, false},
    {"PUT", "/acct/c?restype=container&comp=rename", "h", NULL, ACCOUNT, true, false},
    {"PUT", "/acct/c?restype=container&Comp=Rename", "h", "x-ms-source-container-name: old", ACCOUNT, true, false},
    {"DELETE", "/acct/c?restype=container", "h", NULL, CONTAINER, true, false},
    {"POST", "/acct/c?restype=container&comp=batch", "h", NULL, CONTAINER, false, false},
    {"POST", "/acct?comp=batch", "h", NULL, ACCOUNT, false, false},
    {"POST", "/acct?restype=service&comp=userdelegationkey", "h", NULL, NOTHING, false, false},
    {"PUT", "/acct?restype=service&comp=properties", "h", NULL, NOTHING, false, false},
    {"PUT", "/acct?comp=whatever", "h", NULL, ACCOUNT, false, false},
    {"PUT", "/fs/p?resource=file", DFS, NULL, OBJECT, false, false},
    {"PUT", "/fs/p", DFS, "x-ms-rename-source: /fs/old%20name", CONTAINER, true, false},
    {"PUT", "/fs/p", DFS, "x-ms-rename-source: /other/old", ACCOUNT, true, false},
    {"PUT", "/fs/p", DFS, "x-ms-rename-source: fs", ACCOUNT, true, false},
    {"PATCH", "/fs/p?action=append&position=0", DFS, NULL, OBJECT, false, false},
    {"PATCH", "/fs/p?action=flush&position=9", DFS, NULL, OBJECT, false, false},
    {"PATCH", "/fs/p?action=setProperties", DFS, NULL, OBJECT, false, false},
    {"PATCH", "/fs/p?action=setAccessControl", DFS, NULL, OBJECT, true, false},
    {"PATCH", "/fs/p?action=setAccessControlRecursive", DFS, NULL, CONTAINER, true, false},
    {"DELETE", "/fs/p", DFS, NULL, OBJECT, false, false},
    {"DELETE", "/fs/p?recursive=true", DFS, NULL, CONTAINER, false, false},
    {"PUT", "/fs/p?comp=undelete", DFS, NULL, CONTAINER, false, false},
    {"POST", "/fs/p", DFS, "x-ms-lease-action: acquire", OBJECT, false, false},
    {"PUT", "/fs?resource=filesystem", DFS, NULL, NOTHING, true, false},
    {"PATCH", "/fs?resource=filesystem", DFS, NULL, NOTHING, true, false},
    {"DELETE", "/fs?resource=filesystem", DFS, NULL, CONTAINER, true, false},
    {"PUT", "/fs/p?action=append&position=0", DFS, "X-HTTP-Method-Override: PATCH", OBJECT, false, false},
    {"PUT", "/fs/p?action=setAccessControl", DFS, "X-HTTP-Method-Override: PATCH", OBJECT, true, false},
    {"PUT", "/acct/c/b?comp=block", "h", "x-http-method-override: PATCH", OBJECT, false, false},
    {"PUT", "/acct/c/b?comp=block", "h", "X-HTTP-Method: DELETE", CONTAINER, true, false},
    {"PUT", "/fs?resource=filesystem", DFS, "X-HTTP-Method-Override: DELETE", CONTAINER, true, false},
    {"PUT", "/acct?comp=properties", "h", "X-Method-Override: POST", ACCOUNT, true, false},
    {"OPTIONS", "/acct/c/b", "h", "X-HTTP-Method-Override: PUT", CONTAINER, true, false},
};

static void writing(void)
{
    for (unsigned i = 0; i < sizeof writes / sizeof writes[0]; i++) {
        struct blob_class class = classify(writes[i].method, writes[i].target, writes[i].host, writes[i].header);
        ok(class.action == BLOB_ACTION_WRITE && (int) class.touch == writes[i].touch &&
               class.touch_grants == writes[i].grants && class.touch_base == writes[i].base,
           "write %u: %s %s", i, writes[i].method, writes[i].target);
    }
    static const char *const plain[] = {"GET", "HEAD"};
    for (unsigned i = 0; i < 2; i++)
        is_int(classify(plain[i], "/acct/c/b?comp=metadata", "h", "X-HTTP-Method-Override: DELETE").action,
               BLOB_ACTION_REFUSE, "%s that says it is a DELETE", plain[i]);
}

int main(void)
{
    arena = arena_new();
    reading();
    checksums();
    writing();
    const char *lines[] = {"Range: bytes=0-1", "x-ms-range: bytes=2-3", NULL};
    is_text(blob_range_header(&(struct blob_headers){.get = get, .from = lines}), "bytes=2-3", "x-ms-range wins");
    lines[1] = NULL;
    is_text(blob_range_header(&(struct blob_headers){.get = get, .from = lines}), "bytes=0-1", "over Range");
    ok(blob_range_header(&(struct blob_headers){.get = get, .from = lines + 1}).ptr == NULL, "or there is none");
    arena_free(arena);
    return done_testing();
}
