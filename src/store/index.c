/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index.c: rows in LMDB.
 *
 * Flags: NOMETASYNC, because one sync a commit is enough when index_sync follows where it matters; NOTLS, because reads
 * belong to no thread; NORDAHEAD, because the file may be larger than memory. Not WRITEMAP: a stray write of ours must
 * not be able to reach the file.
 *
 * LMDB is only called from functions named call_…, which run guarded and so hold nothing of ours: what they read is
 * copied to where the index keeps it, and looked at afterwards. index_scan.c reads whole tables.
 */
#include "store/index.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "store/index_check.h"
#include "store/index_guard.h"
#include "store/index_inside.h"

static const char *const db_names[INDEX_KINDS] = {"meta", "objects", "extents", "groups"};

/* Those that were closed: what LMDB holds of them is never freed, but not lost sight of. */
static struct index *poisoned;
static pthread_mutex_t poisoned_lock = PTHREAD_MUTEX_INITIALIZER;

enum status index_status(int code)
{
    switch (code) {
    case MDB_SUCCESS:
        return STATUS_OK;
    case MDB_NOTFOUND:
        return STATUS_NOT_FOUND;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
    case ENOSPC:
    case EDQUOT:
        return STATUS_NO_SPACE;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE:
    case MDB_PANIC:
    case MDB_CURSOR_FULL:
    case MDB_PAGE_FULL:
    case MDB_BAD_TXN:
        return STATUS_CORRUPT;
    default:
        return STATUS_IO;
    }
}

int index_guarded(struct index *index, int (*call)(void *arg), void *arg)
{
    int code;
    if (index->poisoned)
        return MDB_PANIC;
    if (index_guard(call, arg, &code))
        return code;
    index->poisoned = true;
    index->lost = index->txn;
    index->txn = NULL;
    return MDB_PANIC;
}

/* ---- Opening and closing. ---- */

struct open_call {
    struct index *index;
    const char *path;
    size_t map_size;
};

static void asserted(MDB_env *env, const char *text)
{
    (void) env;
    (void) text;
    index_guard_fail();
}

static int open_databases(struct index *index)
{
    int code = mdb_txn_begin(index->env, NULL, 0, &index->txn);
    if (code != 0)
        return code;
    for (unsigned i = 0; i < INDEX_KINDS && code == 0; i++)
        code = mdb_dbi_open(index->txn, db_names[i], MDB_CREATE, &index->db[i]);
    MDB_txn *txn = index->txn;
    index->txn = NULL;
    if (code == 0)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return code;
}

static int call_open(void *arg)
{
    struct open_call *call = arg;
    struct index *index = call->index;
    int code = mdb_env_create(&index->env);
    if (code == 0)
        code = mdb_env_set_assert(index->env, asserted);
    if (code == 0)
        code = mdb_env_set_mapsize(index->env, call->map_size);
    if (code == 0)
        code = mdb_env_set_maxdbs(index->env, INDEX_KINDS);
    if (code == 0)
        code = mdb_env_open(index->env, call->path, MDB_NOMETASYNC | MDB_NOTLS | MDB_NORDAHEAD, 0600);
    /* LMDB sees to that for its other descriptors only. */
    int fd;
    if (code == 0 && mdb_env_get_fd(index->env, &fd) == 0)
        (void) fcntl(fd, F_SETFD, FD_CLOEXEC);
    return code == 0 ? open_databases(index) : code;
}

static int call_close(void *arg)
{
    struct index *index = arg;
    if (index->txn != NULL)
        mdb_txn_abort(index->txn);
    mdb_env_close(index->env);
    return 0;
}

enum status index_open(const char *path, size_t map_size, struct index **index, const char **why)
{
    char file[4096 + 32];
    snprintf(file, sizeof file, "%s/data.mdb", path);
    enum status status = index_check(file, map_size, why);
    if (status != STATUS_OK)
        return status;
    struct index *made = mem_calloc(1, sizeof *made);
    int code = index_guarded(made, call_open, &(struct open_call){made, path, map_size});
    made->row = mem_alloc(INDEX_ROW_MAX);
    if (code == 0) {
        *index = made;
        return STATUS_OK;
    }
    *why = made->poisoned ? "its index is damaged: reading it ended in a fault" : mdb_strerror(code);
    index_close(made);
    return index_status(code);
}

void index_close(struct index *index)
{
    mem_free(index->scan);
    mem_free(index->row);
    index->scan = index->row = NULL;
    if (index->env != NULL)
        (void) index_guarded(index, call_close, index);
    if (!index->poisoned) {
        mem_free(index);
        return;
    }
    pthread_mutex_lock(&poisoned_lock);
    index->next = poisoned;
    poisoned = index;
    pthread_mutex_unlock(&poisoned_lock);
}

/* ---- Writing. ---- */

struct row_call {
    struct index *index;
    enum index_kind kind;
    MDB_val key, value;
};

static int call_begin(void *arg)
{
    struct index *index = arg;
    return mdb_txn_begin(index->env, NULL, 0, &index->txn);
}

static int call_abort(void *arg)
{
    mdb_txn_abort(arg);
    return 0;
}

static int call_commit(void *arg)
{
    return mdb_txn_commit(arg);
}

static int call_sync(void *arg)
{
    struct index *index = arg;
    return mdb_env_sync(index->env, 1);
}

static int call_put(void *arg)
{
    struct row_call *call = arg;
    return mdb_put(call->index->txn, call->index->db[call->kind], &call->key, &call->value, 0);
}

static int call_delete(void *arg)
{
    struct row_call *call = arg;
    int code = mdb_del(call->index->txn, call->index->db[call->kind], &call->key, NULL);
    return code == MDB_NOTFOUND ? 0 : code;
}

/* To index->row; one that is too long for that comes as one of no bytes. */
static int copy_row(struct row_call *call, MDB_txn *txn)
{
    struct index *index = call->index;
    int code = mdb_get(txn, index->db[call->kind], &call->key, &call->value);
    if (code != 0)
        return code;
    if (call->value.mv_size > INDEX_ROW_MAX)
        call->value.mv_size = 0;
    memcpy(index->row, call->value.mv_data, call->value.mv_size);
    return 0;
}

static int call_get(void *arg)
{
    struct row_call *call = arg;
    return copy_row(call, call->index->txn);
}

static void stick(struct index *index, int code)
{
    if (code != 0 && index->sticky == STATUS_OK)
        index->sticky = index_status(code);
}

void index_begin(struct index *index)
{
    assert(index->txn == NULL);
    index->sticky = STATUS_OK;
    stick(index, index_guarded(index, call_begin, index));
    if (index->sticky != STATUS_OK)
        index->txn = NULL;
}

enum status index_commit(struct index *index)
{
    MDB_txn *txn = index->txn;
    index->txn = NULL;
    if (index->sticky != STATUS_OK) {
        if (txn != NULL)
            (void) index_guarded(index, call_abort, txn);
        return index->sticky;
    }
    return index_status(index_guarded(index, call_commit, txn));
}

enum status index_sync(struct index *index)
{
    return index_status(index_guarded(index, call_sync, index));
}

static struct row_call row_call(struct index *index, enum index_kind kind, const void *key, size_t key_size)
{
    return (struct row_call){index, kind, {key_size, (void *) (uintptr_t) key}, {0, NULL}};
}

/* The row that lies in index->row. */
static void put(struct index *index, enum index_kind kind, const void *key, size_t key_size, size_t size)
{
    if (index->sticky != STATUS_OK)
        return;
    struct row_call call = row_call(index, kind, key, key_size);
    call.value = (MDB_val){size, index->row};
    stick(index, index_guarded(index, call_put, &call));
}

static void delete (struct index *index, enum index_kind kind, const void *key, size_t key_size)
{
    if (index->sticky != STATUS_OK)
        return;
    struct row_call call = row_call(index, kind, key, key_size);
    stick(index, index_guarded(index, call_delete, &call));
}

void index_put_object(struct index *index, const struct index_object *object)
{
    uint8_t key[INDEX_KEY_SIZE];
    index_key_hash(key, object->object);
    put(index, INDEX_OBJECTS, key, sizeof key, index_row_object(index->row, key, object));
}

void index_delete_object(struct index *index, struct hash128 object)
{
    uint8_t key[INDEX_KEY_SIZE];
    index_key_hash(key, object);
    delete (index, INDEX_OBJECTS, key, sizeof key);
}

void index_invalidate_object(struct index *index, struct hash128 object)
{
    uint8_t key[INDEX_KEY_SIZE];
    struct index_object known;
    if (index->sticky != STATUS_OK)
        return;
    index_key_hash(key, object);
    struct row_call call = row_call(index, INDEX_OBJECTS, key, sizeof key);
    int code = index_guarded(index, call_get, &call);
    if (code == MDB_NOTFOUND)
        return;
    stick(index, code);
    size_t size = call.value.mv_size;
    if (code != 0)
        return;
    if (!index_read_object(index->row, size, key, &known)) {
        delete (index, INDEX_OBJECTS, key, sizeof key);
        return;
    }
    index_row_invalidate(index->row, size, key);
    put(index, INDEX_OBJECTS, key, sizeof key, size);
}

void index_put_extent(struct index *index, const struct index_extent *extent)
{
    uint8_t key[INDEX_KEY_SIZE];
    index_key_extent(key, extent->generation, extent->extent);
    size_t size = index_row_extent(index->row, key, extent);
    if (size == 0)
        delete (index, INDEX_EXTENTS, key, sizeof key);
    else
        put(index, INDEX_EXTENTS, key, sizeof key, size);
}

void index_put_group(struct index *index, struct hash128 group, uint64_t sequence)
{
    uint8_t key[INDEX_KEY_SIZE];
    index_key_hash(key, group);
    put(index, INDEX_GROUPS, key, sizeof key, index_row_number(index->row, INDEX_GROUPS, key, sizeof key, sequence));
}

void index_delete_group(struct index *index, struct hash128 group)
{
    uint8_t key[INDEX_KEY_SIZE];
    index_key_hash(key, group);
    delete (index, INDEX_GROUPS, key, sizeof key);
}

void index_put_meta(struct index *index, const char *name, uint64_t value)
{
    put(index, INDEX_META, name, strlen(name), index_row_number(index->row, INDEX_META, name, strlen(name), value));
}

/* ---- Reading. ---- */

static int call_get_meta(void *arg)
{
    struct row_call *call = arg;
    struct index *index = call->index;
    int code = mdb_txn_begin(index->env, NULL, MDB_RDONLY, &index->reader);
    if (code != 0)
        return code;
    code = copy_row(call, index->reader);
    mdb_txn_abort(index->reader);
    return code;
}

/* Copies the row to index->row. */
static enum status get_meta(struct index *index, const char *name, size_t *size)
{
    struct row_call call = row_call(index, INDEX_META, name, strlen(name));
    assert(index->txn == NULL);
    enum status status = index_status(index_guarded(index, call_get_meta, &call));
    *size = call.value.mv_size;
    return status;
}

enum status index_get_meta(struct index *index, const char *name, uint64_t *value)
{
    size_t size;
    enum status status = get_meta(index, name, &size);
    if (status == STATUS_OK && !index_read_number(index->row, size, INDEX_META, name, strlen(name), value))
        return STATUS_CORRUPT;
    return status;
}

enum status index_get_old_meta(struct index *index, const char *name, uint64_t *value)
{
    size_t size;
    enum status status = get_meta(index, name, &size);
    if (status == STATUS_OK && size != 8)
        return STATUS_CORRUPT;
    if (status == STATUS_OK)
        *value = bytes_get64(index->row);
    return status;
}

struct used_call {
    struct index *index;
    size_t bytes;
};

static int call_used(void *arg)
{
    struct used_call *call = arg;
    MDB_txn **txn = &call->index->reader;
    int code = mdb_txn_begin(call->index->env, NULL, MDB_RDONLY, txn);
    for (unsigned i = 0; code == 0 && i < INDEX_KINDS; i++) {
        MDB_stat stat;
        if (mdb_stat(*txn, call->index->db[i], &stat) == 0)
            call->bytes += (stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages) * stat.ms_psize;
    }
    if (code == 0)
        mdb_txn_abort(*txn);
    return code;
}

size_t index_used(struct index *index)
{
    struct used_call call = {index, 0};
    return index_guarded(index, call_used, &call) == 0 ? call.bytes : 0;
}
