/* SPDX-License-Identifier: Apache-2.0 */
/*
 * accounts.h: the storage accounts that are served: where each one's origin is, and what of our own signs for it.
 *
 * Those with a row in the configuration are there from the start; those that "*" stands for are made on first use. All
 * live as long as the process, because the cache and the origin client hold on to their texts; the number of the latter
 * is bounded, so that "*" cannot be used to fill memory. What finds no room is still served, from nowhere but the
 * origin.
 */
#ifndef HEADPOND_PROXY_ACCOUNTS_H
#define HEADPOND_PROXY_ACCOUNTS_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/conf.h"
#include "base/hash.h"
#include "base/status.h"
#include "base/str.h"
#include "origin/budget.h"
#include "origin/credential.h"

#define ACCOUNTS_ANY_MAX 4096

struct account {
    struct account *next;
    char *name;       /* with "-secondary" where that was asked for */
    struct str plain; /* without */
    bool secondary;
    const struct conf_account *row;
    char *origin;                /* base URL, no trailing slash */
    char *dfs_origin;            /* likewise, or NULL */
    struct hash128 hash;         /* of its name; the primary's and the secondary's are one: they hold the same */
    struct credential *keys;     /* of key_file, or NULL */
    struct credential *identity; /* what signs our own requests, or NULL */
    struct origin_budget *budget;
};

struct accounts;

/* Reads what the rows name: on failure INVALID and a line in *error that says which account and what to do. The
 * configuration and the credentials must outlive it. Before the loops start. */
enum status accounts_new(const struct conf *conf, struct credentials *credentials, struct accounts **accounts,
                         struct strbuf *error) STATUS_CHECKED;
/* Reads the same and keeps nothing: on failure INVALID and a line in *errors for each row that is not good. */
enum status accounts_try(const struct conf *conf, struct strbuf *errors) STATUS_CHECKED;
/* When nothing that holds an account's texts is left. Empties the pointer. */
void accounts_free(struct accounts **accounts);

/* The whole name of a container; the account's is without "-secondary", here and below. */
struct hash128 accounts_container(struct str account, struct str container);
/* What the store calls all that an account holds, and one of its containers (store.h: a family, a group in it). */
struct hash128 accounts_family(struct str account);
struct hash128 accounts_group(struct str account, struct str container);

/* Any loop, never waits. NULL: not configured, or (*full) too many of those that "*" stands for: then accounts_lend has
 * one. */
const struct account *accounts_get(struct accounts *accounts, struct str name, bool secondary, bool *full);
/* One that "*" stands for, in the arena: good for a request that nobody remembers. */
const struct account *accounts_lend(struct accounts *accounts, struct str name, bool secondary, struct arena *arena);
/* Whether it has a row of its own; `accounts` is a struct accounts (the shape that blob/ wants). */
bool accounts_named(const void *accounts, struct str name);
/* Whether there is a row for any other. */
bool accounts_any(const struct accounts *accounts);

#endif
