/* SPDX-License-Identifier: Apache-2.0 */
/*
 * url.c: from target and authority to account, container and blob.
 *
 * The path is cut at its raw slashes first and decoded then, so that an encoded slash cannot move a border; within a
 * blob's name %2F and '/' are the same character, as they are to Azure.
 */
#include "blob/url.h"

static enum status bad(struct blob_url *url, const char *problem)
{
    url->problem = problem;
    return STATUS_BAD_TARGET;
}

bool blob_account_name(struct str name)
{
    if (name.len < 3 || name.len > 24)
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (!((name.ptr[i] >= 'a' && name.ptr[i] <= 'z') || (name.ptr[i] >= '0' && name.ptr[i] <= '9')))
            return false;
    return true;
}

/* ---- The host ---- */

/* The host without port and final dot, in lower case. */
static struct str host_of(struct arena *arena, struct str authority)
{
    struct str host = authority, port;
    if (authority.len > 0 && authority.ptr[0] == '[')
        return authority; /* IPv6: never host-style */
    host = str_split(authority, ':', &port);
    if (host.len > 0 && host.ptr[host.len - 1] == '.')
        host.len--;
    return arena_lower(arena, host);
}

/* An IPv4 address is a dotted host whose last label is a number; no top-level domain is one. */
static bool is_address(struct str host)
{
    if (host.len > 0 && host.ptr[0] == '[')
        return true;
    struct str label = host, rest = host;
    while (rest.ptr != NULL)
        label = str_split(rest, '.', &rest);
    int64_t number;
    return str_to_int(label, &number);
}

static bool account_named(const struct blob_accounts *accounts, struct str name)
{
    return accounts->known != NULL && accounts->known(accounts->arg, name);
}

struct str blob_account_plain(struct str name, bool *secondary)
{
    *secondary = str_ends(name, STR("-secondary"));
    if (*secondary)
        name.len -= sizeof "-secondary" - 1;
    return name;
}

static bool is_zone(struct str label)
{
    int64_t number;
    return label.len >= 2 && label.len <= 4 && label.ptr[0] == 'z' &&
           str_to_int((struct str){label.ptr + 1, label.len - 1}, &number);
}

/* Whether the authority names an account; sets account, secondary and endpoint then. */
static bool host_style(struct arena *arena, struct str authority, const struct blob_accounts *accounts,
                       struct blob_url *url)
{
    struct str host = host_of(arena, authority), rest;
    if (is_address(host))
        return false;
    bool secondary;
    struct str account = blob_account_plain(str_split(host, '.', &rest), &secondary);
    if (rest.len == 0 || !blob_account_name(account))
        return false;
    struct str label = str_split(rest, '.', &rest);
    if (is_zone(label) && rest.ptr != NULL)
        label = str_split(rest, '.', &rest);
    bool dfs = str_eq(label, STR("dfs"));
    /* Where any name may be an account's, a host of ours ("headpond.svc…") must not be taken for one. */
    if (!account_named(accounts, account) && !(accounts->any && (dfs || str_eq(label, STR("blob")))))
        return false;
    url->endpoint = dfs ? BLOB_ENDPOINT_DFS : BLOB_ENDPOINT_BLOB;
    url->account = account;
    url->secondary = secondary;
    return true;
}

/* ---- The path ---- */

/* Whether any component is "." or "..", or a backslash is in it. */
static bool is_odd(struct str path)
{
    if (str_find(path, '\\') >= 0)
        return true;
    while (path.ptr != NULL) {
        struct str part = str_split(path, '/', &path);
        if (str_eq(part, STR(".")) || str_eq(part, STR("..")))
            return true;
    }
    return false;
}

/* Whether ".." would lead out of the container, for an origin that takes it so (and a backslash for a slash). */
static bool climbs_out(struct str blob)
{
    long depth = 0;
    for (size_t begin = 0, i = 0; i <= blob.len; i++) {
        if (i < blob.len && blob.ptr[i] != '/' && blob.ptr[i] != '\\')
            continue;
        struct str part = {blob.ptr + begin, i - begin};
        if (str_eq(part, STR("..")))
            depth--;
        else if (part.len > 0 && !str_eq(part, STR(".")))
            depth++;
        if (depth < 0)
            return true;
        begin = i + 1;
    }
    return false;
}

static size_t characters(struct str utf8)
{
    size_t count = 0;
    for (size_t i = 0; i < utf8.len; i++)
        count += ((unsigned char) utf8.ptr[i] & 0xc0) != 0x80;
    return count;
}

/* A path-style target's first component is the account; the rest, with its slash, becomes url->path. */
static enum status take_account(struct str *path, struct blob_url *url)
{
    struct str rest, name = str_split((struct str){path->ptr + 1, path->len - 1}, '/', &rest);
    url->account = blob_account_plain(name, &url->secondary);
    if (!blob_account_name(url->account))
        return bad(url, "the path does not begin with an account's name");
    *path = rest.ptr == NULL ? STR_NULL : (struct str){rest.ptr - 1, rest.len + 1};
    return STATUS_OK;
}

/* Whether a single component names a container: everything that concerns a container says so, all else is a blob of the
 * root container. On the Data Lake endpoint it is always a file system. */
static bool names_container(const struct blob_url *url)
{
    return url->endpoint == BLOB_ENDPOINT_DFS || blob_query_value(&url->query, BLOB_PARAM_RESTYPE).ptr != NULL;
}

static enum status parse_names(struct arena *arena, struct str path, struct blob_url *url)
{
    struct str blob, container;
    if (path.len <= 1)
        return STATUS_OK;
    struct str first = str_split((struct str){path.ptr + 1, path.len - 1}, '/', &blob);
    if (blob_percent_decode(arena, first, &container) != STATUS_OK)
        return bad(url, "malformed percent-encoding in the path");
    if (container.len == 0 || container.len > BLOB_CONTAINER_MAX || str_find(container, '/') >= 0 || is_odd(container))
        return bad(url, "no container has such a name");
    url->level = BLOB_LEVEL_CONTAINER;
    url->container = container;
    if (blob.len == 0) {
        if (blob.ptr != NULL || names_container(url))
            return STATUS_OK;
        url->level = BLOB_LEVEL_BLOB;
        url->container = STR("$root");
        url->blob = container;
        return STATUS_OK;
    }
    url->level = BLOB_LEVEL_BLOB;
    if (blob_percent_decode(arena, blob, &url->blob) != STATUS_OK)
        return bad(url, "malformed percent-encoding in the path");
    if (characters(url->blob) > BLOB_NAME_MAX || url->blob.len > 4 * BLOB_NAME_MAX)
        return bad(url, "the blob's name is too long");
    if (climbs_out(url->blob))
        return bad(url, "the blob's name leads out of its container");
    url->odd_path = is_odd(url->blob);
    return STATUS_OK;
}

enum status blob_url_parse(struct arena *arena, struct str target, struct str authority,
                           const struct blob_accounts *accounts, struct blob_url *url)
{
    *url = (struct blob_url){.level = BLOB_LEVEL_ACCOUNT, .container = STR(""), .blob = STR("")};
    if (target.len == 0 || target.ptr[0] != '/')
        return bad(url, "the request target is not a path");
    if (str_find(target, '#') >= 0)
        return bad(url, "the request target has a fragment");
    if (str_find(authority, '@') >= 0)
        return bad(url, "the host has user information");
    struct str path = str_split(target, '?', &url->query_text);
    if (blob_query_parse(arena, url->query_text, &url->query) != STATUS_OK)
        return bad(url, "malformed or too many query parameters");
    if (host_style(arena, authority, accounts, url)) {
        url->style = BLOB_STYLE_HOST;
    } else {
        url->style = BLOB_STYLE_PATH;
        enum status status = take_account(&path, url);
        if (status != STATUS_OK)
            return status;
    }
    url->path = path.len == 0 ? STR("/") : path;
    return parse_names(arena, path, url);
}

struct str blob_url_origin_target(const struct blob_url *url, struct arena *arena)
{
    if (url->query_text.ptr == NULL)
        return url->path;
    /* The query follows the path in the request's own text, unless the path is the constant "/". */
    if (url->path.ptr + url->path.len + 1 == url->query_text.ptr)
        return (struct str){url->path.ptr, url->path.len + 1 + url->query_text.len};
    return arena_printf(arena, "%.*s?%.*s", STR_ARG(url->path), STR_ARG(url->query_text));
}

struct str blob_url_version(const struct blob_url *url, struct arena *arena)
{
    struct str snapshot = blob_query_value(&url->query, BLOB_PARAM_SNAPSHOT);
    struct str version = blob_query_value(&url->query, BLOB_PARAM_VERSIONID);
    if (snapshot.len > 0)
        return arena_printf(arena, "snapshot=%.*s", STR_ARG(snapshot));
    if (version.len > 0)
        return arena_printf(arena, "versionid=%.*s", STR_ARG(version));
    return STR("");
}
