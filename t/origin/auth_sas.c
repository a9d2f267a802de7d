/* SPDX-License-Identifier: Apache-2.0 */
/* SAS that an account's key has signed; see auth_key.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

#include "auth_key.h"
#include "blob.h"

static const char *value_of(const struct request *req, const char *name)
{
    const char *value = request_query(req, name);
    return value ? value : "";
}

static void add_values(struct buf *out, const struct request *req, const char *names)
{
    while (*names) {
        char name[8];
        size_t n = strcspn(names, " ");
        snprintf(name, sizeof name, "%.*s", (int) n, names);
        buf_printf(out, "%s\n", value_of(req, name));
        names += n + (names[n] == ' ');
    }
}

static void account_string(struct buf *out, const struct request *req, const char *account)
{
    buf_printf(out, "%s\n", account);
    add_values(out, req, "sp ss srt st se sip spr sv");
    if (strcmp(value_of(req, "sv"), "2020-12-06") >= 0)
        add_values(out, req, "ses");
}

/* The directory of that depth which the blob is in, or "" when it is not in so many. */
static size_t directory_length(const char *blob, int depth)
{
    size_t n = 0;
    for (; depth > 0; depth--) {
        const char *slash = strchr(blob + n, '/');
        if (!slash)
            return 0;
        n = (size_t) (slash - blob) + (depth > 1);
    }
    return n;
}

static void service_string(struct buf *out, const struct request *req, const char *path)
{
    char container[1200];
    const char *sr = value_of(req, "sr"), *sv = value_of(req, "sv");
    int depth = path_split(path, container, sizeof container);
    add_values(out, req, "sp st se");
    buf_printf(out, "/blob%s", container);
    const char *blob = depth == 3 ? path + strlen(container) + 1 : "";
    if (strcmp(sr, "d") == 0)
        buf_printf(out, "/%.*s", (int) directory_length(blob, atoi(value_of(req, "sdd"))), blob);
    else if (strcmp(sr, "c") != 0)
        buf_printf(out, "/%s", blob);
    buf_puts(out, "\n");
    add_values(out, req, "si sip spr sv");
    if (strcmp(sv, "2018-11-09") >= 0) {
        add_values(out, req, "sr");
        if (strcmp(sr, "bs") == 0)
            buf_puts(out, value_of(req, "snapshot"));
        buf_puts(out, "\n");
    }
    if (strcmp(sv, "2020-12-06") >= 0)
        add_values(out, req, "ses");
    add_values(out, req, "rscc rscd rsce rscl");
    buf_puts(out, value_of(req, "rsct"));
}

/* The parameters of the token, completed by the stored policy that it names. */
struct terms {
    const char *permission, *start, *expiry;
};

static bool terms_of(const struct request *req, const char *path, struct terms *t)
{
    char container[1200];
    const char *si = request_query(req, "si");
    *t = (struct terms){request_query(req, "sp"), request_query(req, "st"), request_query(req, "se")};
    if (!si)
        return t->permission && t->expiry;
    path_split(path, container, sizeof container);
    const struct container *c = container_find(container);
    const struct policy *p = c ? container_policy(c, si) : NULL;
    if (!p)
        return false;
    t->permission = t->permission ? t->permission : p->permission;
    t->start = t->start ? t->start : p->start;
    t->expiry = t->expiry ? t->expiry : p->expiry;
    return *t->expiry != '\0';
}

static bool in_time(const struct terms *t)
{
    time_t now = time(NULL), at;
    if (!iso_date_parse(t->expiry, &at) || at <= now)
        return false;
    return !t->start || !*t->start || (iso_date_parse(t->start, &at) && at <= now);
}

static bool address_allowed(const char *range, uint32_t address)
{
    char low[32];
    struct in_addr from, to;
    const char *dash = strchr(range, '-');
    snprintf(low, sizeof low, "%.*s", (int) (dash ? dash - range : (int) strlen(range)), range);
    if (inet_pton(AF_INET, low, &from) != 1 || inet_pton(AF_INET, dash ? dash + 1 : low, &to) != 1)
        return false;
    return address >= ntohl(from.s_addr) && address <= ntohl(to.s_addr);
}

/* What an account SAS is confined to. */
static const char *check_kind(const struct request *req, const char *path)
{
    static const char letters[] = "ssco"; /* by the path's depth: service, container, object */
    char container[1200];
    int depth = path_split(path, container, sizeof container);
    if (!strchr(value_of(req, "ss"), 'b'))
        return "AuthorizationServiceMismatch";
    return strchr(value_of(req, "srt"), letters[depth]) ? NULL : "AuthorizationResourceTypeMismatch";
}

const char *auth_key_sas(const struct request *req, const struct account_keys *keys, const char *account,
                         enum operation op, const char *path)
{
    static const char *const letters[] = {[OP_READ] = "r", [OP_WRITE] = "wc", [OP_DELETE] = "d", [OP_LIST] = "l"};
    bool whole_account = request_query(req, "ss") || request_query(req, "srt");
    struct buf text = {0};
    struct terms terms;
    char container[1200];
    if (whole_account)
        account_string(&text, req, account);
    else
        service_string(&text, req, path);
    bool good = auth_key_signed(keys, text.data, value_of(req, "sig"));
    buf_free(&text);
    bool names_blob = path_split(path, container, sizeof container) == 3;
    if (!whole_account && !names_blob && strcmp(value_of(req, "sr"), "c") != 0)
        good = false;
    if (!good || !terms_of(req, path, &terms) || !in_time(&terms))
        return "AuthenticationFailed";
    if (strcmp(value_of(req, "spr"), "https") == 0 && !req->tls)
        return "AuthorizationProtocolMismatch";
    if (request_query(req, "sip") && !address_allowed(value_of(req, "sip"), req->ipv4))
        return "AuthorizationSourceIPMismatch";
    const char *error = whole_account ? check_kind(req, path) : NULL;
    if (error)
        return error;
    return terms.permission && strpbrk(terms.permission, letters[op]) ? NULL : "AuthorizationPermissionMismatch";
}
