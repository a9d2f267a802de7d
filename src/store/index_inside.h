/* SPDX-License-Identifier: Apache-2.0 */
/* index_inside.h: the index as its own two files see it: index.c, and index_scan.c, which reads whole tables. */
#ifndef HEADPOND_STORE_INDEX_INSIDE_H
#define HEADPOND_STORE_INDEX_INSIDE_H

#include <lmdb.h>

#include "store/index.h"
#include "store/index_row.h"

struct index {
    MDB_env *env;
    MDB_dbi db[INDEX_KINDS];
    MDB_txn *txn;       /* that writes */
    MDB_txn *reader;    /* of a call that reads; kept here for what an interrupted one leaves behind */
    MDB_cursor *cursor; /* the same */
    MDB_txn *lost;      /* what was open when a call was interrupted */
    enum status sticky;
    bool poisoned;      /* a call was interrupted: env is never touched again */
    uint8_t *row;       /* where a row is put together */
    uint8_t *scan;      /* where rows are copied to; NULL: nobody scans */
    struct index *next; /* among the poisoned that were closed */
};

/* What an answer of LMDB's means here. */
enum status index_status(int code);
/* Makes the call as index_guard.h says: what it answers, or MDB_PANIC once one was interrupted. */
int index_guarded(struct index *index, int (*call)(void *arg), void *arg);

#endif
