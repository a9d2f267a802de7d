/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index.c: rows to LMDB and back.
 *
 * Flags: NOMETASYNC, because one sync a commit is enough when index_sync follows where it matters; NOTLS, because reads
 * belong to no thread; NORDAHEAD, because the file may be larger than memory. Not WRITEMAP: a stray write of ours must
 * not be able to reach the file.
 */
#include "store/index.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <string.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "store/location.h"

enum index_db { DB_META, DB_OBJECTS, DB_EXTENTS, DB_GROUPS, DB_COUNT };
static const char *const db_names[DB_COUNT] = {"meta", "objects", "extents", "groups"};

struct index {
    MDB_env *env;
    MDB_dbi db[DB_COUNT];
    MDB_txn *txn;
    enum status sticky;
    uint8_t *row; /* where an object's row is put together */
};

/* Object row, little-endian: group (16), generation, length, validated_s, sequence, place, record. */
#define OBJECT_FIXED 56
#define OBJECT_VALIDATED_AT 32
/* Extent row: object (16), length, bitmap of blocks (2), zero (6), a location each. */
#define EXTENT_FIXED 32

static enum status status_of(int code)
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
        return STATUS_CORRUPT;
    default:
        return STATUS_IO;
    }
}

static void extent_key(uint8_t key[16], uint64_t generation, uint64_t extent)
{
    generation = htobe64(generation);
    extent = htobe64(extent);
    memcpy(key, &generation, 8);
    memcpy(key + 8, &extent, 8);
}

static int open_databases(struct index *index)
{
    MDB_txn *txn;
    int code = mdb_txn_begin(index->env, NULL, 0, &txn);
    if (code != 0)
        return code;
    for (unsigned i = 0; i < DB_COUNT && code == 0; i++)
        code = mdb_dbi_open(txn, db_names[i], MDB_CREATE, &index->db[i]);
    if (code == 0)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return code;
}

enum status index_open(const char *path, size_t map_size, struct index **index, const char **why)
{
    struct index *made = mem_calloc(1, sizeof *made);
    int code = mdb_env_create(&made->env);
    if (code == 0)
        code = mdb_env_set_mapsize(made->env, map_size);
    if (code == 0)
        code = mdb_env_set_maxdbs(made->env, DB_COUNT);
    if (code == 0)
        code = mdb_env_open(made->env, path, MDB_NOMETASYNC | MDB_NOTLS | MDB_NORDAHEAD, 0600);
    /* LMDB sees to that for its other descriptors only. */
    int fd;
    if (code == 0 && mdb_env_get_fd(made->env, &fd) == 0)
        (void) fcntl(fd, F_SETFD, FD_CLOEXEC);
    if (code == 0)
        code = open_databases(made);
    if (code == 0) {
        made->row = mem_alloc(OBJECT_FIXED + STORE_RECORD_MAX);
        *index = made;
        return STATUS_OK;
    }
    *why = mdb_strerror(code);
    if (made->env != NULL)
        mdb_env_close(made->env);
    mem_free(made);
    return status_of(code);
}

void index_close(struct index *index)
{
    if (index->txn != NULL)
        mdb_txn_abort(index->txn);
    mdb_env_close(index->env);
    mem_free(index->row);
    mem_free(index);
}

/* ---- Writing. ---- */

static void stick(struct index *index, int code)
{
    if (code != 0 && index->sticky == STATUS_OK)
        index->sticky = status_of(code);
}

void index_begin(struct index *index)
{
    assert(index->txn == NULL);
    index->sticky = STATUS_OK;
    stick(index, mdb_txn_begin(index->env, NULL, 0, &index->txn));
    if (index->sticky != STATUS_OK)
        index->txn = NULL;
}

enum status index_commit(struct index *index)
{
    MDB_txn *txn = index->txn;
    index->txn = NULL;
    if (index->sticky != STATUS_OK) {
        if (txn != NULL)
            mdb_txn_abort(txn);
        return index->sticky;
    }
    return status_of(mdb_txn_commit(txn));
}

enum status index_sync(struct index *index)
{
    return status_of(mdb_env_sync(index->env, 1));
}

static void put(struct index *index, enum index_db db, const void *key, size_t key_size, const void *data, size_t size)
{
    if (index->sticky != STATUS_OK)
        return;
    MDB_val k = {key_size, (void *) (uintptr_t) key}, v = {size, (void *) (uintptr_t) data};
    stick(index, mdb_put(index->txn, index->db[db], &k, &v, 0));
}

static void delete (struct index *index, enum index_db db, const void *key, size_t key_size)
{
    if (index->sticky != STATUS_OK)
        return;
    MDB_val k = {key_size, (void *) (uintptr_t) key};
    int code = mdb_del(index->txn, index->db[db], &k, NULL);
    if (code != MDB_NOTFOUND)
        stick(index, code);
}

void index_put_object(struct index *index, const struct index_object *object)
{
    uint8_t key[16], *row = index->row;
    assert(object->record.len <= STORE_RECORD_MAX);
    bytes_put_hash(key, object->object);
    bytes_put_hash(row, object->group);
    bytes_put64(row + 16, object->generation);
    bytes_put64(row + 24, object->length);
    bytes_put64(row + OBJECT_VALIDATED_AT, (uint64_t) object->validated_s);
    bytes_put64(row + 40, object->sequence);
    bytes_put64(row + 48, object->place);
    if (object->record.len > 0)
        memcpy(row + OBJECT_FIXED, object->record.ptr, object->record.len);
    put(index, DB_OBJECTS, key, sizeof key, row, OBJECT_FIXED + object->record.len);
}

void index_delete_object(struct index *index, struct hash128 object)
{
    uint8_t key[16];
    bytes_put_hash(key, object);
    delete (index, DB_OBJECTS, key, sizeof key);
}

void index_invalidate_object(struct index *index, struct hash128 object)
{
    uint8_t key[16];
    if (index->sticky != STATUS_OK)
        return;
    bytes_put_hash(key, object);
    MDB_val k = {sizeof key, key}, v;
    int code = mdb_get(index->txn, index->db[DB_OBJECTS], &k, &v);
    if (code == MDB_NOTFOUND)
        return;
    stick(index, code);
    if (code != 0 || v.mv_size < OBJECT_FIXED || v.mv_size > OBJECT_FIXED + STORE_RECORD_MAX)
        return;
    memcpy(index->row, v.mv_data, v.mv_size);
    bytes_put64(index->row + OBJECT_VALIDATED_AT, 0);
    put(index, DB_OBJECTS, key, sizeof key, index->row, v.mv_size);
}

void index_put_extent(struct index *index, const struct index_extent *extent)
{
    uint8_t key[16], row[EXTENT_FIXED + 8 * STORE_EXTENT_BLOCKS] = {0};
    size_t size = EXTENT_FIXED;
    unsigned bitmap = 0;
    extent_key(key, extent->generation, extent->extent);
    for (unsigned i = 0; i < STORE_EXTENT_BLOCKS; i++) {
        if (extent->location[i] == 0)
            continue;
        bitmap |= 1U << i;
        bytes_put64(row + size, extent->location[i]);
        size += 8;
    }
    if (bitmap == 0) {
        delete (index, DB_EXTENTS, key, sizeof key);
        return;
    }
    bytes_put_hash(row, extent->object);
    bytes_put64(row + 16, extent->length);
    row[24] = (uint8_t) bitmap;
    row[25] = (uint8_t) (bitmap >> 8);
    put(index, DB_EXTENTS, key, sizeof key, row, size);
}

void index_put_group(struct index *index, struct hash128 group, uint64_t sequence)
{
    uint8_t key[16], row[8];
    bytes_put_hash(key, group);
    bytes_put64(row, sequence);
    put(index, DB_GROUPS, key, sizeof key, row, sizeof row);
}

void index_delete_group(struct index *index, struct hash128 group)
{
    uint8_t key[16];
    bytes_put_hash(key, group);
    delete (index, DB_GROUPS, key, sizeof key);
}

void index_put_meta(struct index *index, const char *name, uint64_t value)
{
    uint8_t row[8];
    bytes_put64(row, value);
    put(index, DB_META, name, strlen(name), row, sizeof row);
}

/* ---- Reading. ---- */

enum status index_get_meta(struct index *index, const char *name, uint64_t *value)
{
    MDB_txn *txn;
    int code = mdb_txn_begin(index->env, NULL, MDB_RDONLY, &txn);
    if (code != 0)
        return status_of(code);
    MDB_val k = {strlen(name), (void *) (uintptr_t) name}, v;
    code = mdb_get(txn, index->db[DB_META], &k, &v);
    enum status status = status_of(code);
    if (code == 0 && v.mv_size != 8)
        status = STATUS_CORRUPT;
    else if (code == 0)
        *value = bytes_get64(v.mv_data);
    mdb_txn_abort(txn);
    return status;
}

/* Goes through up to `max` rows with keys of 16 bytes; `row` returns false for one it cannot read. */
static enum status scan(struct index *index, enum index_db db, struct index_cursor *after, unsigned max,
                        bool (*row)(void *context, const uint8_t *key, const MDB_val *value), void *context, bool *more)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    *more = false;
    int code = mdb_txn_begin(index->env, NULL, MDB_RDONLY, &txn);
    if (code != 0)
        return status_of(code);
    code = mdb_cursor_open(txn, index->db[db], &cursor);
    if (code != 0) {
        mdb_txn_abort(txn);
        return status_of(code);
    }
    MDB_val k = {sizeof after->key, after->key}, v;
    code = mdb_cursor_get(cursor, &k, &v, after->started ? MDB_SET_RANGE : MDB_FIRST);
    if (code == 0 && after->started && k.mv_size == 16 && memcmp(k.mv_data, after->key, 16) == 0)
        code = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
    for (unsigned i = 0; code == 0 && i < max; i++) {
        if (k.mv_size != 16) {
            code = MDB_CORRUPTED;
            break;
        }
        memcpy(after->key, k.mv_data, 16);
        after->started = true;
        if (!row(context, after->key, &v))
            after->bad++;
        code = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
    }
    *more = code == 0;
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    return code == MDB_NOTFOUND ? STATUS_OK : status_of(code);
}

struct objects_scan {
    void (*each)(void *arg, const struct index_object *object);
    void *arg;
};

static bool object_row(void *context, const uint8_t *key, const MDB_val *value)
{
    struct objects_scan *scan_objects = context;
    const uint8_t *row = value->mv_data;
    if (value->mv_size < OBJECT_FIXED || value->mv_size > OBJECT_FIXED + STORE_RECORD_MAX || bytes_get64(row + 16) == 0)
        return false;
    struct index_object object = {.object = bytes_get_hash(key),
                                  .group = bytes_get_hash(row),
                                  .generation = bytes_get64(row + 16),
                                  .length = bytes_get64(row + 24),
                                  .validated_s = (int64_t) bytes_get64(row + OBJECT_VALIDATED_AT),
                                  .sequence = bytes_get64(row + 40),
                                  .place = bytes_get64(row + 48),
                                  .record = {(const char *) row + OBJECT_FIXED, value->mv_size - OBJECT_FIXED}};
    scan_objects->each(scan_objects->arg, &object);
    return true;
}

enum status index_scan_objects(struct index *index, struct index_cursor *after, unsigned max,
                               void (*each)(void *arg, const struct index_object *object), void *arg, bool *more)
{
    struct objects_scan context = {each, arg};
    return scan(index, DB_OBJECTS, after, max, object_row, &context, more);
}

struct extents_scan {
    void (*each)(void *arg, const struct index_extent *extent);
    void *arg;
};

static bool extent_row(void *context, const uint8_t *key, const MDB_val *value)
{
    struct extents_scan *scan_extents = context;
    const uint8_t *row = value->mv_data;
    if (value->mv_size <= EXTENT_FIXED)
        return false;
    unsigned bitmap = row[24] | (unsigned) row[25] << 8;
    if (value->mv_size != EXTENT_FIXED + 8 * (size_t) __builtin_popcount(bitmap))
        return false;
    uint64_t generation, number;
    memcpy(&generation, key, 8);
    memcpy(&number, key + 8, 8);
    number = be64toh(number);
    if (generation == 0 || number > UINT32_MAX)
        return false;
    struct index_extent extent = {.generation = be64toh(generation),
                                  .extent = (uint32_t) number,
                                  .object = bytes_get_hash(row),
                                  .length = bytes_get64(row + 16)};
    const uint8_t *at = row + EXTENT_FIXED;
    for (unsigned i = 0; i < STORE_EXTENT_BLOCKS; i++) {
        if (!(bitmap >> i & 1))
            continue;
        extent.location[i] = bytes_get64(at) & LOCATION_STORED;
        at += 8;
        if (!(extent.location[i] & LOCATION_PRESENT))
            return false;
    }
    scan_extents->each(scan_extents->arg, &extent);
    return true;
}

enum status index_scan_extents(struct index *index, struct index_cursor *after, unsigned max,
                               void (*each)(void *arg, const struct index_extent *extent), void *arg, bool *more)
{
    struct extents_scan context = {each, arg};
    return scan(index, DB_EXTENTS, after, max, extent_row, &context, more);
}

struct groups_scan {
    void (*each)(void *arg, struct hash128 group, uint64_t sequence);
    void *arg;
};

static bool group_row(void *context, const uint8_t *key, const MDB_val *value)
{
    struct groups_scan *scan_groups = context;
    if (value->mv_size != 8)
        return false;
    scan_groups->each(scan_groups->arg, bytes_get_hash(key), bytes_get64(value->mv_data));
    return true;
}

enum status index_scan_groups(struct index *index, struct index_cursor *after, unsigned max,
                              void (*each)(void *arg, struct hash128 group, uint64_t sequence), void *arg, bool *more)
{
    struct groups_scan context = {each, arg};
    return scan(index, DB_GROUPS, after, max, group_row, &context, more);
}

size_t index_used(struct index *index)
{
    MDB_txn *txn;
    size_t pages = 0;
    unsigned page_size = 4096;
    if (mdb_txn_begin(index->env, NULL, MDB_RDONLY, &txn) != 0)
        return 0;
    for (unsigned i = 0; i < DB_COUNT; i++) {
        MDB_stat stat;
        if (mdb_stat(txn, index->db[i], &stat) == 0) {
            pages += stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
            page_size = stat.ms_psize;
        }
    }
    mdb_txn_abort(txn);
    return pages * page_size;
}
