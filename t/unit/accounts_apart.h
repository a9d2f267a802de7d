/* SPDX-License-Identifier: Apache-2.0 */
/*
 * accounts_apart.h: hashes of accounts that are counted apart (base/share.h), and of clients, which differ from one
 * process to the next.
 */
#ifndef HEADPOND_T_UNIT_ACCOUNTS_APART_H
#define HEADPOND_T_UNIT_ACCOUNTS_APART_H

#include "base/share.h"

static inline void accounts_apart(uint64_t *accounts, unsigned count)
{
    bool used[SHARE_SLOTS] = {false};
    uint64_t account = 0;
    for (unsigned i = 0; i < count; i++) {
        while (used[share_slot(account)])
            account++;
        used[share_slot(account)] = true;
        accounts[i] = account;
    }
}

static bool client_slots[SHARE_SLOTS];

/* A client of that account, counted apart from all that there were since client_slots was zeroed, of any account. */
static inline uint64_t client_apart(uint64_t account)
{
    uint64_t client = 0;
    while (client_slots[share_client_slot(account, client)])
        client++;
    client_slots[share_client_slot(account, client)] = true;
    return client;
}

#endif
