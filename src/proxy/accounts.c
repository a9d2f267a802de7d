/* SPDX-License-Identifier: Apache-2.0 */
/* accounts.c: hash chains that only grow: looking one up takes no lock, making one does. */
#include "proxy/accounts.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/mem.h"
#include "store/store.h"

#define CHAINS 1024

struct accounts {
    const struct conf_account *any; /* the row "*", or NULL */
    struct credential *any_keys;
    struct credential *any_identity;
    struct origin_budget *any_budget; /* of those that find no room, together */
    _Atomic(struct account *) chains[CHAINS];
    pthread_mutex_t lock; /* for adding */
    unsigned made;        /* under lock: of those that "*" stands for */
};

/* ---- Names ---- */

static struct hash128 account_hash(struct str account)
{
    return hash_name((struct str[]){STR("account"), account}, 2);
}

struct hash128 accounts_container(struct str account, struct str container)
{
    return hash_name((struct str[]){STR("container"), account, container}, 3);
}

struct hash128 accounts_family(struct str account)
{
    return store_group_family(account_hash(account).hi);
}

struct hash128 accounts_group(struct str account, struct str container)
{
    return (struct hash128){.lo = accounts_container(account, container).lo, .hi = account_hash(account).hi};
}

/* ---- One account ---- */

static bool name_border(char c)
{
    return c == '/' || c == '.' || c == ':' || c == '\0';
}

/* Puts "-secondary" behind the name's last occurrence in the URL. */
static void name_secondary(struct strbuf *url, struct str name)
{
    for (size_t i = url->len; i-- > 1;) {
        if (i + name.len > url->len || memcmp(url->ptr + i, name.ptr, name.len) != 0 || !name_border(url->ptr[i - 1]) ||
            !name_border(url->ptr[i + name.len]))
            continue;
        struct strbuf longer = {0};
        strbuf_add(&longer, url->ptr, i + name.len);
        strbuf_adds(&longer, STR("-secondary"));
        strbuf_add(&longer, url->ptr + i + name.len, url->len - i - name.len);
        strbuf_free(url);
        *url = longer;
        return;
    }
}

/* The template with {account} replaced. For a secondary account whose template names the account itself (a fixed
 * origin, or Azurite's path), "-secondary" goes behind that. The caller frees it; NULL for none. */
static char *origin_of(const char *template, struct str name, bool secondary)
{
    static const char placeholder[] = "{account}";
    struct strbuf url = {0};
    bool placed = false;
    if (template == NULL)
        return NULL;
    const char *at = template;
    for (const char *hit; (hit = strstr(at, placeholder)) != NULL; at = hit + sizeof placeholder - 1) {
        strbuf_add(&url, at, (size_t) (hit - at));
        strbuf_adds(&url, name);
        strbuf_adds(&url, secondary ? STR("-secondary") : STR(""));
        placed = true;
    }
    strbuf_adds(&url, str_from(at)); /* also an empty template gets its NUL */
    while (url.len > 0 && url.ptr[url.len - 1] == '/')
        url.ptr[--url.len] = '\0';
    if (secondary && !placed)
        name_secondary(&url, name);
    return url.ptr;
}

static struct account *account_new(const struct conf_account *row, struct str name, bool secondary)
{
    struct account *account = mem_calloc(1, sizeof *account);
    struct strbuf full = {0};
    strbuf_adds(&full, name);
    strbuf_adds(&full, secondary ? STR("-secondary") : STR(""));
    account->name = full.ptr;
    account->plain = (struct str){full.ptr, name.len};
    account->secondary = secondary;
    account->row = row;
    account->origin = origin_of(row->origin, name, secondary);
    account->dfs_origin = origin_of(row->dfs_origin, name, secondary);
    account->hash = account_hash(name);
    return account;
}

static struct origin_budget *budget_of(const char *name, const struct conf_account *row)
{
    return origin_budget_new(name, row->max_requests, row->max_rate);
}

static void account_free(struct account *account)
{
    origin_budget_free(&account->budget);
    mem_free(account->name);
    mem_free(account->origin);
    mem_free(account->dfs_origin);
    mem_free(account);
}

/* ---- The table ---- */

static _Atomic(struct account *) *chain_of(struct accounts *accounts, struct str name)
{
    return &accounts->chains[hash64(name.ptr, name.len, 0) % CHAINS];
}

static struct account *find(struct accounts *accounts, struct str name, bool secondary)
{
    struct account *account = atomic_load_explicit(chain_of(accounts, name), memory_order_acquire);
    while (account != NULL && (account->secondary != secondary || !str_eq(account->plain, name)))
        account = account->next;
    return account;
}

/* Under the lock, or before the loops start. */
static void insert(struct accounts *accounts, struct account *account)
{
    _Atomic(struct account *) *chain = chain_of(accounts, account->plain);
    account->next = atomic_load_explicit(chain, memory_order_relaxed);
    atomic_store_explicit(chain, account, memory_order_release);
}

const struct account *accounts_get(struct accounts *accounts, struct str name, bool secondary, bool *full)
{
    *full = false;
    struct account *account = find(accounts, name, secondary);
    if (account != NULL)
        return account;
    /* A named account's secondary; else one that "*" stands for. */
    struct account *primary = secondary ? find(accounts, name, false) : NULL;
    bool named = primary != NULL && primary->row != accounts->any;
    if (!named && accounts->any == NULL)
        return NULL;
    pthread_mutex_lock(&accounts->lock);
    account = find(accounts, name, secondary);
    *full = account == NULL && !named && accounts->made >= ACCOUNTS_ANY_MAX;
    if (account == NULL && !*full) {
        account = account_new(named ? primary->row : accounts->any, name, secondary);
        account->keys = named ? primary->keys : accounts->any_keys;
        account->identity = named ? primary->identity : accounts->any_identity;
        account->budget = budget_of(account->name, account->row);
        accounts->made += !named;
        insert(accounts, account);
    }
    pthread_mutex_unlock(&accounts->lock);
    return account;
}

/* The text moves into the arena. */
static char *lend_text(struct arena *arena, char *text)
{
    char *lent = text == NULL ? NULL : (char *) (uintptr_t) arena_str(arena, str_from(text)).ptr;
    mem_free(text);
    return lent;
}

const struct account *accounts_lend(struct accounts *accounts, struct str name, bool secondary, struct arena *arena)
{
    struct account *made = account_new(accounts->any, name, secondary);
    struct account *lent = arena_alloc(arena, sizeof *lent);
    *lent = *made;
    mem_free(made);
    lent->name = lend_text(arena, lent->name);
    lent->plain.ptr = lent->name;
    lent->origin = lend_text(arena, lent->origin);
    lent->dfs_origin = lend_text(arena, lent->dfs_origin);
    lent->keys = accounts->any_keys;
    lent->identity = accounts->any_identity;
    lent->budget = accounts->any_budget;
    return lent;
}

bool accounts_named(const void *accounts, struct str name)
{
    struct accounts *table = (struct accounts *) (uintptr_t) accounts;
    const struct account *account = find(table, name, false);
    return account != NULL && account->row != table->any;
}

bool accounts_any(const struct accounts *accounts)
{
    return accounts->any != NULL;
}

/* ---- From the configuration ---- */

/* The identity of a row, if it has one besides its keys. */
static enum status add_identity(struct credentials *set, const struct conf_account *row, struct credential **identity,
                                struct strbuf *error)
{
    struct credential_options options = {.account = row->name};
    if (str_eq(str_from(row->identity), STR("managed"))) {
        options.kind = CREDENTIAL_MANAGED;
    } else if (str_eq(str_from(row->identity), STR("workload"))) {
        options.kind = CREDENTIAL_WORKLOAD;
    } else if (str_starts(str_from(row->identity), STR("sas:"))) {
        options.kind = CREDENTIAL_SAS;
        options.file = row->identity + 4;
    } else {
        return STATUS_OK;
    }
    return credentials_add(set, &options, identity, error);
}

static enum status add_credentials(struct credentials *set, const struct conf_account *row, struct credential **keys,
                                   struct credential **identity, struct strbuf *error)
{
    enum status status = STATUS_OK;
    *keys = *identity = NULL;
    if (row->key_file != NULL)
        status = credentials_add(
            set, &(struct credential_options){.kind = CREDENTIAL_KEYS, .account = row->name, .file = row->key_file},
            keys, error);
    if (status == STATUS_OK)
        status = add_identity(set, row, identity, error);
    if (str_eq(str_from(row->identity), STR("key")))
        *identity = *keys;
    if (status != STATUS_OK)
        strbuf_addf(error, " (account %s)", row->name);
    return status;
}

enum status accounts_try(const struct conf *conf, struct strbuf *errors)
{
    struct credentials *set = credentials_new();
    enum status all = STATUS_OK;
    for (unsigned i = 0; i < conf->account_count; i++) {
        struct credential *keys, *identity;
        enum status status = add_credentials(set, &conf->accounts[i], &keys, &identity, errors);
        if (status == STATUS_OK)
            continue;
        strbuf_adds(errors, STR("\n"));
        all = status;
    }
    credentials_free(set);
    return all;
}

enum status accounts_new(const struct conf *conf, struct credentials *credentials, struct accounts **accounts,
                         struct strbuf *error)
{
    struct accounts *made = mem_calloc(1, sizeof *made);
    enum status status = STATUS_OK;
    pthread_mutex_init(&made->lock, NULL);
    for (unsigned i = 0; i < conf->account_count && status == STATUS_OK; i++) {
        const struct conf_account *row = &conf->accounts[i];
        struct credential *keys, *identity;
        status = add_credentials(credentials, row, &keys, &identity, error);
        if (str_eq(str_from(row->name), STR("*"))) {
            made->any = row;
            made->any_keys = keys;
            made->any_identity = identity;
            made->any_budget = budget_of(row->name, row);
            continue;
        }
        struct account *account = account_new(row, str_from(row->name), false);
        account->keys = keys;
        account->identity = identity;
        account->budget = budget_of(account->name, row);
        insert(made, account);
    }
    if (status != STATUS_OK)
        accounts_free(&made);
    *accounts = made;
    return status;
}

void accounts_free(struct accounts **accounts)
{
    struct accounts *gone = *accounts;
    *accounts = NULL;
    if (gone == NULL)
        return;
    for (unsigned i = 0; i < CHAINS; i++) {
        struct account *account = atomic_load(&gone->chains[i]);
        while (account != NULL) {
            struct account *next = account->next;
            account_free(account);
            account = next;
        }
    }
    origin_budget_free(&gone->any_budget);
    pthread_mutex_destroy(&gone->lock);
    mem_free(gone);
}
