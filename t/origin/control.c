/* SPDX-License-Identifier: Apache-2.0 */
/* See control.h. Each command is one row of the table at the end. */
#include "control.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth.h"
#include "record.h"
#include "service.h"

#define MAX_MD5_SIZE ((int64_t) 4 << 30)

static const char *param(const struct reply *r, const char *name)
{
    return request_query(r->req, name);
}

static void fail(struct reply *r, int status, const char *message)
{
    r->status = status;
    r->text.len = 0;
    buf_puts(&r->text, "{\"error\":");
    buf_json(&r->text, message);
    buf_puts(&r->text, "}\n");
}

/* An absent parameter leaves *value alone; false: it is there and no number. */
static bool number_param(const struct reply *r, const char *name, int64_t *value)
{
    const char *s = param(r, name);
    return !s || parse_int64(s, strlen(s), value);
}

/* Seeds use all 64 bits. */
static bool seed_param(const struct reply *r, uint64_t *seed)
{
    char *end;
    const char *s = param(r, "seed");
    if (!s)
        return true;
    *seed = strtoull(s, &end, 0);
    return *s && !*end;
}

static void put_account(struct reply *r)
{
    const char *name = param(r, "name");
    int64_t sharedkey = 1, challenge = 0;
    if (!name || !number_param(r, "sharedkey", &sharedkey) || !number_param(r, "challenge", &challenge) ||
        !auth_account(name, sharedkey != 0, challenge != 0))
        fail(r, 400, "name=ACCOUNT[&sharedkey=0|1][&challenge=0|1][&key=BASE64[&key2=BASE64]]");
    else if ((param(r, "key") && !auth_account_key(name, param(r, "key"))) ||
             (param(r, "key2") && !auth_account_key(name, param(r, "key2"))))
        fail(r, 400, "key, key2: at most two, in base64");
}

static void put_container(struct reply *r)
{
    char path[1200], own[1200];
    const char *name = param(r, "name");
    int64_t is_public = 0;
    snprintf(path, sizeof path, "/%s", name && *name == '/' ? name + 1 : name ? name : "");
    if (path_split(path, own, sizeof own) != 2 || !number_param(r, "public", &is_public))
        fail(r, 400, "name=ACCOUNT/CONTAINER[&public=0|1]");
    else if (!container_put(own, is_public != 0 ? ACCESS_CONTAINER : ACCESS_PRIVATE))
        fail(r, 500, "too many containers");
}

static void describe(struct reply *r, const char *path)
{
    char date[HTTP_DATE_SIZE];
    struct generation *g = blob_find(path);
    if (!g) {
        fail(r, 404, "no such blob");
        return;
    }
    http_date(date, g->modified);
    buf_puts(&r->text, "{\"etag\":");
    buf_json(&r->text, g->etag);
    buf_printf(&r->text, ",\"last_modified\":\"%s\",\"size\":%" PRId64 ",\"seed\":%" PRIu64 ",\"md5\":\"%s\"}\n", date,
               g->size, g->seed, g->md5);
    generation_unref(g);
}

static void take_headers(const struct reply *r, struct generation *g)
{
    for (size_t i = 0; i < r->req->query.count; i++) {
        const struct pair *p = &r->req->query.list[i];
        char name[256];
        bool clean = !p->value[strcspn(p->value, "\r\n")] && !p->name[strcspn(p->name, "\r\n: ")];
        if (starts_with(p->name, "meta-") && clean) {
            snprintf(name, sizeof name, "x-ms-%s", p->name);
            pairs_set(&g->headers, name, p->value);
        } else if (starts_with(p->name, "header-") && clean) {
            pairs_set(&g->headers, p->name + 7, p->value);
        }
    }
}

static void take_blob_params(const struct reply *r, struct generation *g)
{
    const char *type = param(r, "type"), *etag = param(r, "etag"), *md5 = param(r, "md5");
    pairs_set(&g->headers, "Content-Type", type);
    if (etag)
        snprintf(g->etag, sizeof g->etag, *etag == '"' ? "%s" : "\"%s\"", etag);
    if (md5 && strcmp(md5, "auto") == 0 && g->size <= MAX_MD5_SIZE)
        generation_md5(g, 0, g->size, g->md5);
    else if (md5)
        snprintf(g->md5, sizeof g->md5, "%s", md5);
    take_headers(r, g);
}

static void put_blob(struct reply *r)
{
    char container[1200];
    const char *path = param(r, "path");
    uint64_t seed = 0;
    int64_t size = -1;
    if (!path || strlen(path) > 1100 || path_split(path, container, sizeof container) != 3 ||
        !number_param(r, "size", &size) || size < 0 || !seed_param(r, &seed)) {
        fail(r, 400, "path=/A/C/NAME&size=N[&seed=S][&type=][&md5=|auto][&etag=][&meta-K=][&header-N=]");
        return;
    }
    struct generation *g = generation_new();
    g->size = size;
    g->seed = seed;
    take_blob_params(r, g);
    if (!container_find(container))
        container_put(container, ACCESS_PRIVATE);
    if (blob_publish(path, g))
        describe(r, path);
    else
        fail(r, 500, "too many blobs");
}

static void put_headers(struct reply *r)
{
    const char *path = param(r, "path");
    struct generation *old = path ? blob_find(path) : NULL;
    if (!old) {
        fail(r, 404, "no such blob");
        return;
    }
    struct generation *g = generation_copy(old);
    generation_unref(old);
    take_headers(r, g);
    blob_amend(path, g);
}

static void get_blob(struct reply *r)
{
    describe(r, param(r, "path") ? param(r, "path") : "");
}

static void delete_blob(struct reply *r)
{
    if (!param(r, "path") || !blob_remove(param(r, "path")))
        fail(r, 404, "no such blob");
}

static void touch(struct reply *r)
{
    const char *path = param(r, "path");
    uint64_t seed = 0;
    int64_t size = 0;
    if (!path || !seed_param(r, &seed) || !number_param(r, "size", &size)) {
        fail(r, 400, "path=/A/C/NAME[&seed=S][&size=N]");
        return;
    }
    if (!blob_touch(path, param(r, "seed") ? &seed : NULL, param(r, "size") ? &size : NULL))
        fail(r, 404, "no such blob");
    else
        describe(r, path);
}

static void put_grant(struct reply *r)
{
    const char *sig = param(r, "sig"), *token = param(r, "token"), *scope = param(r, "scope");
    bool one = !sig != !token;
    if (!one || !scope || *scope != '/')
        fail(r, 400, "sig=S or token=T, scope=/A, /A/C or /A/C/BLOB");
    else if (!auth_grant(sig ? GRANT_SAS : GRANT_TOKEN, sig ? sig : token, scope))
        fail(r, 500, "too many grants");
}

static void delete_grant(struct reply *r)
{
    const char *sig = param(r, "sig"), *token = param(r, "token"), *scope = param(r, "scope");
    int removed = sig ? auth_revoke(GRANT_SAS, sig, scope) : 0;
    removed += token ? auth_revoke(GRANT_TOKEN, token, scope) : 0;
    buf_printf(&r->text, "{\"removed\":%d}\n", removed);
}

static void put_fault(struct reply *r)
{
    const char *error = fault_add(&r->req->query);
    if (error)
        fail(r, 400, error);
}

static void get_fault(struct reply *r)
{
    fault_list(&r->text);
}

static void delete_fault(struct reply *r)
{
    (void) r;
    fault_clear();
}

static void put_latency(struct reply *r)
{
    int64_t first_byte_ms = -1, rate = -1;
    if (number_param(r, "first_byte_ms", &first_byte_ms) && number_param(r, "rate", &rate))
        fault_set_latency(first_byte_ms, rate);
    else
        fail(r, 400, "[first_byte_ms=N][&rate=N]");
}

static void delete_latency(struct reply *r)
{
    (void) r;
    fault_set_latency(-1, -1);
}

static void get_stats(struct reply *r)
{
    record_stats(&r->text);
}

static void delete_stats(struct reply *r)
{
    (void) r;
    record_reset();
}

static void get_log(struct reply *r)
{
    record_log(&r->text, param(r, "path"));
}

static const struct command {
    const char *method, *name;
    void (*run)(struct reply *r);
} commands[] = {
    {"PUT", "account", put_account},   {"PUT", "container", put_container},
    {"PUT", "blob", put_blob},         {"PUT", "headers", put_headers},
    {"GET", "blob", get_blob},         {"DELETE", "blob", delete_blob},
    {"POST", "touch", touch},          {"PUT", "grant", put_grant},
    {"DELETE", "grant", delete_grant}, {"PUT", "fault", put_fault},
    {"GET", "fault", get_fault},       {"DELETE", "fault", delete_fault},
    {"PUT", "latency", put_latency},   {"DELETE", "latency", delete_latency},
    {"GET", "stats", get_stats},       {"DELETE", "stats", delete_stats},
    {"GET", "log", get_log},
};

/* All commands run under the state lock; those about records take that lock inside it. */
void control_handle(struct reply *r)
{
    const char *name = r->req->path + strlen("/.control/");
    const struct command *found = NULL;
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(commands[i].name, name) == 0 && strcmp(commands[i].method, r->req->method) == 0)
            found = &commands[i];
    if (found) {
        state_lock();
        found->run(r);
        state_unlock();
    } else {
        fail(r, 404, "no such command");
    }
    if (r->text.len == 0)
        buf_puts(&r->text, "{\"ok\":true}\n");
    r->length = (int64_t) r->text.len;
    reply_header(r, "Content-Type", "application/json");
}
