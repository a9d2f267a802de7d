/* SPDX-License-Identifier: Apache-2.0 */
/* conf_check.c: what one row cannot say alone: how options go together. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/conf_members.h"
#include "base/conf_schema.h"
#include "base/file.h"
#include "base/hostport.h"

/* Where a field was given; else the row it belongs to; line 0 when neither was. */
static struct conf_place place_of(const struct conf_reader *reader, const void *field, const void *row)
{
    struct conf_place found = {.path = NULL};
    for (unsigned i = 0; i < reader->place_count; i++) {
        const struct conf_place *place = &reader->places[i];
        if (!place->row && place->at == field)
            return *place;
        if (place->row && place->at == row)
            found = *place;
    }
    return found;
}

/* The key is shown as it was given, or as the row's and `key` when only the row was. */
static void add_line(const struct conf_reader *reader, const void *field, const void *row, const char *key,
                     const char *text, struct strbuf *line)
{
    struct conf_place place = place_of(reader, field, row);
    strbuf_addf(line, "%s:%u: ", reader->file, place.line == 0 ? 1 : place.line);
    if (place.path == NULL || (place.row && row == reader->conf))
        strbuf_addf(line, "%s: %s", key, text);
    else if (place.row)
        strbuf_addf(line, "%s.%s: %s", place.path, key, text);
    else
        strbuf_addf(line, "%s: %s", place.path, text);
}

__attribute__((format(printf, 5, 6))) static enum status fail(struct conf_reader *reader, const void *field,
                                                              const void *row, const char *key, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    add_line(reader, field, row, key, text, reader->error);
    return STATUS_INVALID;
}

/* For what works and is hardly what was meant. */
static void note(struct conf_reader *reader, const void *field, const void *row, const char *key, const char *text)
{
    struct strbuf line = {0};
    add_line(reader, field, row, key, text, &line);
    conf_strings_add(&reader->conf->notes, strbuf_str(&line));
    strbuf_free(&line);
}

static bool same(const char *a, const char *b)
{
    return str_eq(str_from(a), str_from(b));
}

/* Of an address that the tables have let through. */
static struct str host_of(const char *address, int64_t *port)
{
    struct str host = STR_NULL;
    const char *problem;
    bool good = hostport_split(str_from(address), &host, port, &problem);
    assert(good);
    (void) good;
    return host;
}

static bool is_loopback(const char *address)
{
    return host_is_loopback(host_of(address, &(int64_t){0}));
}

/* Whether the second of them could not be bound; port 0 is a free one. */
static bool collide(const char *a, const char *b)
{
    int64_t port, other;
    struct str host = host_of(a, &port);
    return host_overlaps(host, host_of(b, &other)) && port == other && port != 0;
}

static enum status check_listen(struct conf_reader *reader)
{
    struct conf *conf = reader->conf;
    if (conf->listen_count == 0)
        return fail(reader, &conf->listen, conf, "listen", "is empty; allowed: at least one row");
    for (unsigned i = 0; i < conf->listen_count; i++) {
        struct conf_listen *row = &conf->listen[i];
        if (row->certificate != NULL && row->key == NULL)
            return fail(reader, &row->certificate, row, "certificate",
                        "has no key; allowed: certificate and key, or neither");
        if (row->key != NULL && row->certificate == NULL)
            return fail(reader, &row->key, row, "key", "has no certificate; allowed: certificate and key, or neither");
        for (unsigned j = 0; j < i; j++)
            if (collide(row->address, conf->listen[j].address))
                return fail(reader, &row->address, row, "address",
                            "'%s' is taken by listen[%u], %s; allowed: each address and port once", row->address, j,
                            conf->listen[j].address);
        if (collide(row->address, conf->admin))
            return fail(reader, &conf->admin, conf, "admin",
                        "'%s' is taken by listen[%u], %s; allowed: an address and port of its own", conf->admin, i,
                        row->address);
    }
    return STATUS_OK;
}

static enum status check_store(struct conf_reader *reader)
{
    struct conf *conf = reader->conf;
    if ((conf->block_size & (conf->block_size - 1)) != 0)
        return fail(reader, &conf->block_size, conf, "block_size",
                    "is not a power of two; allowed: 64KiB, 128KiB, 256KiB, 512KiB, 1MiB, 2MiB, 4MiB, 8MiB, 16MiB");
    for (unsigned i = 0; i < conf->store_count; i++) {
        struct conf_store *row = &conf->store[i];
        if (row->size / 64 < conf->block_size)
            return fail(reader, &row->size, row, "size", "is less than 64 blocks; allowed: at least %lldKiB",
                        (long long) (conf->block_size / 1024 * 64));
        for (unsigned j = 0; j < i; j++)
            if (file_same_place(row->path, conf->store[j].path))
                return fail(reader, &row->path, row, "path",
                            "'%s' is the directory of store[%u], %s; allowed: each directory once", row->path, j,
                            conf->store[j].path);
    }
    return STATUS_OK;
}

static enum status check_containers(struct conf_reader *reader, struct conf_account *account)
{
    for (unsigned i = 0; i < account->container_count; i++)
        for (unsigned j = 0; j < i; j++)
            if (same(account->containers[i].name, account->containers[j].name))
                return fail(reader, &account->containers[i].name, &account->containers[i], "name",
                            "'%s' is there twice; allowed: each container once", account->containers[i].name);
    return STATUS_OK;
}

static void note_credentials(struct conf_reader *reader, struct conf_account *row)
{
    if (row->authorize == CONF_AUTHORIZE_NONE && same(row->identity, "none"))
        note(reader, &row->authorize, row, "authorize", "none without identity reads only what is public");
    if (row->key_file != NULL && row->authorize != CONF_AUTHORIZE_KEY && !same(row->identity, "key"))
        note(reader, &row->key_file, row, "key_file", "has no effect without authorize: key or identity: key");
}

/* `outside`: a listener that is not on loopback, or NULL. */
static enum status check_account(struct conf_reader *reader, struct conf_account *row, const char *outside)
{
    struct conf *conf = reader->conf;
    bool any = same(row->name, "*");
    if (any && outside != NULL && !conf->allow_any_account)
        return fail(reader, &row->name, row, "name",
                    "'*' serves any account to whoever reaches %s; allowed: named accounts, or allow_any_account: true",
                    outside);
    if (any && (strstr(row->origin, "{account}") == NULL ||
                (row->dfs_origin != NULL && strstr(row->dfs_origin, "{account}") == NULL))) {
        bool dfs = strstr(row->origin, "{account}") != NULL;
        return fail(reader, dfs ? &row->dfs_origin : &row->origin, row, dfs ? "dfs_origin" : "origin",
                    "is the same for every account; allowed with '*': a URL with {account} in it");
    }
    if (row->authorize == CONF_AUTHORIZE_NONE && any)
        return fail(reader, &row->authorize, row, "authorize", "none for '*'; allowed with '*': origin, key");
    if (row->authorize == CONF_AUTHORIZE_NONE && outside != NULL)
        return fail(reader, &row->authorize, row, "authorize",
                    "none would give the account to whoever reaches %s; allowed there: origin, key", outside);
    if (row->authorize == CONF_AUTHORIZE_KEY && row->key_file == NULL)
        return fail(reader, &row->authorize, row, "authorize", "key needs key_file; allowed without: origin, none");
    if (same(row->identity, "key") && row->key_file == NULL)
        return fail(reader, &row->identity, row, "identity",
                    "key needs key_file; allowed without: none, managed, workload, sas:FILE");
    note_credentials(reader, row);
    return check_containers(reader, row);
}

static enum status check_accounts(struct conf_reader *reader)
{
    struct conf *conf = reader->conf;
    const char *outside = NULL;
    for (unsigned i = 0; i < conf->listen_count; i++)
        if (!is_loopback(conf->listen[i].address))
            outside = conf->listen[i].address;
    for (unsigned i = 0; i < conf->account_count; i++) {
        struct conf_account *row = &conf->accounts[i];
        for (unsigned j = 0; j < i; j++)
            if (same(row->name, conf->accounts[j].name))
                return fail(reader, &row->name, row, "name", "'%s' is there twice; allowed: each account once",
                            row->name);
        enum status status = check_account(reader, row, outside);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

/* A row of accounts or of containers, as far as it is about the store. */
struct quota {
    const void *row;
    int64_t *reserve, *limit; /* −1: not given */
};

/* What was found in the rows before. */
struct quotas {
    unsigned count;
    int64_t size;     /* of all disks */
    int64_t reserved; /* of it, by accounts before */
};

/* `outer`: the limit of the account it lies in, or −1. */
static enum status check_quota(struct conf_reader *reader, const struct quota *quota, int64_t outer,
                               struct quotas *quotas)
{
    const struct conf *conf = reader->conf;
    int64_t *given = *quota->limit >= 0 ? quota->limit : quota->reserve;
    const char *key = *quota->limit >= 0 ? "limit" : "reserve";
    if (*given < 0)
        return STATUS_OK;
    if (++quotas->count > CONF_QUOTAS_MAX)
        return fail(reader, given, quota->row, key, "is one too many; allowed: %d rows with reserve or limit",
                    CONF_QUOTAS_MAX);
    if (*quota->limit >= 0 && *quota->reserve > *quota->limit)
        return fail(reader, quota->reserve, quota->row, "reserve", "is more than limit; allowed: at most that");
    if (outer >= 0 && *quota->reserve > outer)
        return fail(reader, quota->reserve, quota->row, "reserve",
                    "is more than the account's limit; allowed: at most that");
    if (outer >= 0 && *quota->limit > outer)
        note(reader, quota->limit, quota->row, "limit", "is more than the account's limit, which holds");
    if (conf->store_count == 0)
        note(reader, given, quota->row, key, "has no effect without a store");
    else if (*quota->limit > 0 && *quota->limit / conf->store_count < conf->block_size)
        note(reader, quota->limit, quota->row, "limit", "is less than a block on each disk, which keeps none");
    return STATUS_OK;
}

/* `sum`: what the account reserves, by this row or with it. */
static enum status check_reserved(struct conf_reader *reader, const struct quota *quota, int64_t sum,
                                  const struct quotas *quotas)
{
    if (*quota->reserve <= 0 || reader->conf->store_count == 0 || sum <= quotas->size - quotas->reserved)
        return STATUS_OK;
    return fail(reader, quota->reserve, quota->row, "reserve",
                "with those before it is more than the store's size; allowed here: at most %lldKiB",
                (long long) ((quotas->size - quotas->reserved - (sum - *quota->reserve)) / 1024));
}

static enum status check_quotas_of(struct conf_reader *reader, struct conf_account *account, struct quotas *quotas)
{
    struct quota quota = {account, &account->reserve, &account->limit};
    int64_t sum = 0;
    enum status status = check_quota(reader, &quota, -1, quotas);
    if (status == STATUS_OK)
        status = check_reserved(reader, &quota, account->reserve, quotas);
    for (unsigned i = 0; i < account->container_count && status == STATUS_OK; i++) {
        struct conf_container *row = &account->containers[i];
        quota = (struct quota){row, &row->reserve, &row->limit};
        status = check_quota(reader, &quota, account->limit, quotas);
        sum += row->reserve > 0 ? row->reserve : 0;
        if (status == STATUS_OK && account->limit >= 0 && sum > account->limit)
            return fail(reader, &row->reserve, row, "reserve",
                        "with those before it is more than the account's limit; allowed: at most that");
        if (status == STATUS_OK)
            status = check_reserved(reader, &quota, sum, quotas);
    }
    if (reader->conf->store_count > 0)
        quotas->reserved += sum > account->reserve ? sum : account->reserve < 0 ? 0 : account->reserve;
    return status;
}

static enum status check_quotas(struct conf_reader *reader)
{
    struct conf *conf = reader->conf;
    struct quotas quotas = {0};
    enum status status = STATUS_OK;
    for (unsigned i = 0; i < conf->store_count; i++)
        quotas.size += conf->store[i].size;
    for (unsigned i = 0; i < conf->account_count && status == STATUS_OK; i++) {
        struct conf_account *row = &conf->accounts[i];
        unsigned before = quotas.count;
        status = check_quotas_of(reader, row, &quotas);
        if (status == STATUS_OK && same(row->name, "*") && quotas.count > before)
            return fail(reader, &row->name, row, "name",
                        "'*' stands for many accounts; allowed with reserve or limit: an account's name");
    }
    return status;
}

static enum status check_members(struct conf_reader *reader, const struct conf_strings *members, const void *row)
{
    const char *problem;
    if (members->count == 0)
        return fail(reader, members, row, "members", "is missing; allowed: text or a list of texts");
    int bad = conf_members_check(members, &problem);
    if (bad >= 0)
        return fail(reader, members, row, "members",
                    "'%s' %s; allowed: NAME=HOST:PORT of several, or one dns:NAME:PORT or kubernetes:NAMESPACE/SERVICE",
                    members->items[bad], problem);
    /* An API server has no room for the watches of a hundred thousand sidecars. */
    if (reader->conf->pool->role == CONF_ROLE_CLIENT && str_starts(str_from(members->items[0]), STR("kubernetes:")))
        return fail(reader, members, row, "members",
                    "'%s' is only for role: member; allowed for a client: NAME=HOST:PORT of several, or one "
                    "dns:NAME:PORT",
                    members->items[0]);
    return STATUS_OK;
}

/* Whether it is there, as far as the configuration tells. */
static bool lists(const struct conf_strings *members, const char *node)
{
    struct conf_members_text parsed;
    const char *problem;
    for (unsigned i = 0; i < members->count; i++)
        if (!conf_members_parse(str_from(members->items[i]), &parsed, &problem) || parsed.kind != CONF_MEMBERS_LIST ||
            str_eq(parsed.name, str_from(node)))
            return true;
    return false;
}

static enum status check_regions(struct conf_reader *reader, const struct conf_pool *pool)
{
    for (unsigned i = 0; i < pool->region_count; i++) {
        struct conf_region *row = &pool->regions[i];
        bool twice = same(row->name, pool->region);
        for (unsigned before = 0; before < i; before++)
            twice = twice || same(row->name, pool->regions[before].name);
        if (twice)
            return fail(reader, &row->name, row, "name",
                        "%s is this node's region, or stands here twice; allowed: another", row->name);
        enum status status = check_members(reader, &row->members, row);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

static enum status check_pool(struct conf_reader *reader)
{
    struct conf_pool *pool = reader->conf->pool;
    if (pool == NULL)
        return STATUS_OK;
    if (pool->role == CONF_ROLE_MEMBER && pool->address == NULL)
        return fail(reader, &pool->address, pool, "address",
                    "is missing; allowed: HOST:PORT (only role: client needs none)");
    if (pool->certificate == NULL || pool->key == NULL || pool->ca == NULL) {
        const char *key = pool->certificate == NULL ? "certificate" : pool->key == NULL ? "key" : "ca";
        return fail(reader, NULL, pool, key, "is missing; allowed: a PEM file");
    }
    enum status status = check_members(reader, &pool->members, pool);
    if (status == STATUS_OK && pool->role == CONF_ROLE_MEMBER && !lists(&pool->members, pool->node))
        return fail(reader, &pool->members, pool, "members",
                    "is a list without %s; allowed: one that has this node, too", pool->node);
    return status == STATUS_OK ? check_regions(reader, pool) : status;
}

enum status conf_check(struct conf_reader *reader)
{
    enum status (*const checks[])(struct conf_reader *) = {check_listen, check_store, check_accounts, check_quotas,
                                                           check_pool};
    enum status status = STATUS_OK;
    for (unsigned i = 0; i < sizeof checks / sizeof checks[0] && status == STATUS_OK; i++)
        status = checks[i](reader);
    return status;
}
