/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ahead.h: how much has been asked for that no reader has come to yet, on all loops. It is bounded by what the store
 * keeps that nobody has read (store_put_ahead): what had to go before its reader came would be fetched twice.
 *
 * That is counted where the store bounds it: for the groups under one limit together, and for all that have none. Of
 * the latter one account may have up to seven times what is free (dynamic thresholds, base/share.h), and one client of
 * it three times, so that its readers, slow as they may be, do not keep those of others from reading ahead. Any thread.
 */
#ifndef HEADPOND_CACHE_AHEAD_H
#define HEADPOND_CACHE_AHEAD_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/hash.h"
#include "base/share.h"
#include "store/store.h"

struct ahead {
    atomic_uint_fast64_t under[STORE_QUOTAS_MAX + 1]; /* blocks, by limit; 0: of groups without one, */
    atomic_uint_fast64_t of_account[SHARE_SLOTS];     /* these by account, */
    atomic_uint_fast64_t of_client[SHARE_SLOTS];      /* and by client of it */
};

/* Whose blocks they are; `account` and `client` are hashes. */
struct ahead_of {
    struct hash128 group;
    uint64_t account;
    uint64_t client;
};

/* Whether so many blocks more may be asked for. */
bool ahead_may(struct ahead *ahead, const struct store *store, const struct ahead_of *of, unsigned blocks);
/* They are asked for. */
void ahead_take(struct ahead *ahead, const struct store *store, const struct ahead_of *of, unsigned blocks);
/* Their reader has come to them, or will not. */
void ahead_give(struct ahead *ahead, const struct store *store, const struct ahead_of *of, unsigned blocks);

#endif
