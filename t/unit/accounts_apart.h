/* SPDX-License-Identifier: Apache-2.0 */
/* accounts_apart.h: hashes of accounts that are counted apart (base/share.h), which differ from one process to the next. */
#ifndef HEADPOND_T_UNIT_ACCOUNTS_APART_H
#define HEADPOND_T_UNIT_ACCOUNTS_APART_H

#include "base/share.h"

static void accounts_apart(uint64_t *accounts, unsigned count)
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

#endif
