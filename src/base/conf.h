/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf.h: the configuration, read once at start. The options are rows of conf_table.h: struct fields, parser, checks,
 * --dump-config and the sample's comments all come from there. After conf_load the struct is read-only; any thread.
 */
#ifndef HEADPOND_BASE_CONF_H
#define HEADPOND_BASE_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "base/status.h"
#include "base/str.h"

/* Rows with a reserve or a limit that there may be. */
#define CONF_QUOTAS_MAX 500

/* Durations are milliseconds. CONF_IMMUTABLE is freshness' word for "never asks again". */
#define CONF_IMMUTABLE INT64_MAX

enum conf_authorize { CONF_AUTHORIZE_ORIGIN, CONF_AUTHORIZE_KEY, CONF_AUTHORIZE_NONE };
enum conf_grant_scope { CONF_SCOPE_BLOB, CONF_SCOPE_CONTAINER };
enum conf_pinned_reads { CONF_PINNED_VALIDATE, CONF_PINNED_TRUST };

struct conf_listen {
    char *address;     /* "HOST:PORT", "[::1]:PORT" */
    char *certificate; /* PEM file or NULL */
    char *key;
};

struct conf_store {
    char *path;
    int64_t size;         /* bytes */
    int64_t scrub_rate;   /* bytes per second */
    int64_t scrub_period; /* ms */
};

struct conf_container {
    char *name;
    int64_t freshness; /* -1: the account's */
    int64_t reserve;   /* bytes of the store; -1: none */
    int64_t limit;     /* likewise */
};

struct conf_account {
    char *name;       /* "*": any */
    char *origin;     /* URL; "{account}" is replaced */
    char *dfs_origin; /* URL or NULL */
    char *key_file;
    enum conf_authorize authorize;
    int64_t authorize_ttl;
    enum conf_grant_scope grant_scope;
    int64_t freshness;
    enum conf_pinned_reads pinned_reads;
    bool cache_writes;
    char *identity;
    int64_t max_requests;
    int64_t max_rate;
    char *origin_ca; /* PEM file instead of the system's, or NULL */
    int64_t reserve; /* bytes of the store for all containers; -1: none */
    int64_t limit;   /* likewise */
    struct conf_container *containers;
    unsigned container_count;
};

/* One string or a list of them. */
struct conf_strings {
    char **items;
    unsigned count;
};

struct conf_region {
    char *name;
    struct conf_strings members;
};

/* Names of pools, regions and nodes: 1 to so many of a-z, 0-9, -, . and _. */
#define CONF_LABEL_MAX 63
bool conf_is_label(struct str text);

enum conf_role { CONF_ROLE_MEMBER, CONF_ROLE_CLIENT };

struct conf_pool {
    char *name;
    char *node;
    char *region;
    enum conf_role role;
    char *address;
    char *certificate;
    char *key;
    char *ca;
    struct conf_strings members;
    struct conf_region *regions;
    unsigned region_count;
};

struct conf {
    char *file;                /* NULL: built-in defaults */
    struct conf_strings notes; /* lines on what was given and has no effect, or little, for people */
    struct conf_listen *listen;
    unsigned listen_count;
    char *admin;
    char *control;
    int64_t workers;
    int64_t memory;
    struct conf_store *store;
    unsigned store_count;
    int64_t block_size;
    struct conf_account *accounts;
    unsigned account_count;
    bool allow_any_account;
    struct conf_pool *pool; /* NULL: none */
    char *access_log;       /* file, "-" for stdout, or "off" */
    enum log_level log_level;
    /* limits on clients and origins */
    int64_t max_connections;
    int64_t header_timeout;  /* a request's head must be whole by then */
    int64_t idle_timeout;    /* between requests */
    int64_t send_timeout;    /* a client that takes nothing for so long is dropped */
    int64_t drain_timeout;   /* SIGTERM: what is still running then is cut */
    int64_t connect_timeout; /* origin */
    int64_t first_byte_timeout;
    int64_t stall_timeout;
    int64_t origin_retries;
};

/* Reads and checks the file (NULL: built-in defaults). On failure *error holds one line: "FILE:LINE: KEY: what is
 * wrong; allowed: …". The caller frees both. */
enum status conf_load(const char *file, struct conf **conf, struct strbuf *error) STATUS_CHECKED;
void conf_free(struct conf *conf);

/* The whole configuration with defaults filled in, as YAML that conf_load reads back to the same. No secret is in it
 * (files are named, not read). */
void conf_dump(const struct conf *conf, struct strbuf *out);

/* A commented sample that lists every option with its default and help, and loads to the built-in defaults; it is
 * conf/headpond.yaml. */
void conf_sample(struct strbuf *out);

/* How long a validated generation of that container is served unasked, in ms, or CONF_IMMUTABLE. */
int64_t conf_freshness(const struct conf_account *account, struct str container);

#endif
