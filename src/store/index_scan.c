/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index_scan.c: tables read from front to back, a piece at a time.
 *
 * A piece is copied under guard, in one transaction, and shown afterwards: who is shown a row takes locks and memory.
 * Rows that are good come in the order of their keys, each once; where they do not, a page lies where another was, or
 * the pages lead round in circles.
 */
#include <string.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "store/index_inside.h"

/* What is copied at once, at most; and in front of each row: its size, its key. */
#define SCAN_BYTES (1024 * 1024)
#define SCAN_FRAME (4 + INDEX_KEY_SIZE)

struct scan {
    struct index *index;
    enum index_kind kind;
    struct index_cursor *after;
    unsigned max;
    /* Who is shown what; one of the three. */
    void (*object)(void *arg, const struct index_object *object);
    void (*extent)(void *arg, const struct index_extent *extent);
    void (*group)(void *arg, struct hash128 group, uint64_t sequence);
    index_bad_f bad;
    void *arg;
    /* What was copied. */
    size_t used;   /* bytes of index->scan */
    unsigned rows; /* in them */
    bool whole;    /* there are no further ones */
};

/* ---- Guarded. ---- */

/* false: there is no room for it. */
static bool copy_row(struct scan *scan, const MDB_val *key, const MDB_val *value)
{
    /* What is too long for a row is copied as one of no bytes, which is none. */
    size_t size = value->mv_size <= INDEX_ROW_MAX ? value->mv_size : 0;
    if (scan->rows == scan->max || scan->used + SCAN_FRAME + size > SCAN_BYTES)
        return false;
    uint8_t *at = scan->index->scan + scan->used;
    bytes_put32(at, (uint32_t) size);
    memcpy(at + 4, key->mv_data, INDEX_KEY_SIZE);
    memcpy(at + SCAN_FRAME, value->mv_data, size);
    scan->used += SCAN_FRAME + size;
    scan->rows++;
    return true;
}

static int copy_rows(struct scan *scan, MDB_cursor *cursor)
{
    const struct index_cursor *after = scan->after;
    MDB_val key = {INDEX_KEY_SIZE, (void *) (uintptr_t) after->key}, value;
    int code = mdb_cursor_get(cursor, &key, &value, after->started ? MDB_SET_RANGE : MDB_FIRST);
    if (code == 0 && after->started && key.mv_size == INDEX_KEY_SIZE &&
        memcmp(key.mv_data, after->key, INDEX_KEY_SIZE) == 0)
        code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    while (code == 0) {
        if (key.mv_size != INDEX_KEY_SIZE)
            return MDB_CORRUPTED;
        if (!copy_row(scan, &key, &value))
            return 0;
        code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    scan->whole = code == MDB_NOTFOUND;
    return scan->whole ? 0 : code;
}

static int call_scan(void *arg)
{
    struct scan *scan = arg;
    struct index *index = scan->index;
    MDB_stat stat;
    int code = mdb_txn_begin(index->env, NULL, MDB_RDONLY, &index->reader);
    if (code != 0)
        return code;
    /* Also brings the table's root in, where a fault is: in mdb_cursor_open it would lose the cursor. */
    code = mdb_stat(index->reader, index->db[scan->kind], &stat);
    if (code == 0)
        code = mdb_cursor_open(index->reader, index->db[scan->kind], &index->cursor);
    if (code == 0) {
        code = copy_rows(scan, index->cursor);
        mdb_cursor_close(index->cursor);
    }
    /* Where all fit in one piece it is known how many there must be. */
    if (code == 0 && scan->whole && !scan->after->started && stat.ms_entries != scan->rows)
        code = MDB_CORRUPTED;
    mdb_txn_abort(index->reader);
    return code;
}

/* ---- Shown. ---- */

union row {
    struct index_object object;
    struct index_extent extent;
    uint64_t sequence;
};

static bool read_row(const struct scan *scan, const uint8_t *key, const uint8_t *bytes, size_t size, union row *row)
{
    switch (scan->kind) {
    case INDEX_OBJECTS:
        return index_read_object(bytes, size, key, &row->object);
    case INDEX_EXTENTS:
        return index_read_extent(bytes, size, key, &row->extent);
    default:
        return index_read_number(bytes, size, scan->kind, key, INDEX_KEY_SIZE, &row->sequence);
    }
}

static void show_row(const struct scan *scan, const uint8_t *key, const union row *row)
{
    switch (scan->kind) {
    case INDEX_OBJECTS:
        scan->object(scan->arg, &row->object);
        return;
    case INDEX_EXTENTS:
        scan->extent(scan->arg, &row->extent);
        return;
    default:
        scan->group(scan->arg, bytes_get_hash(key), row->sequence);
    }
}

static enum status show_rows(struct scan *scan)
{
    struct index_cursor *after = scan->after;
    bool moved = false;
    for (const uint8_t *at = scan->index->scan, *end = at + scan->used; at < end;) {
        const uint8_t *key = at + 4, *bytes = at + SCAN_FRAME;
        size_t size = bytes_get32(at);
        union row row;
        at += SCAN_FRAME + size;
        if (!read_row(scan, key, bytes, size, &row)) {
            after->bad++;
            scan->bad(scan->arg, key);
            continue;
        }
        if (after->started && memcmp(key, after->key, INDEX_KEY_SIZE) <= 0)
            return STATUS_CORRUPT;
        show_row(scan, key, &row);
        memcpy(after->key, key, INDEX_KEY_SIZE);
        after->started = moved = true;
    }
    /* Of a piece without a good row nobody knows where to go on. */
    return moved || scan->whole ? STATUS_OK : STATUS_CORRUPT;
}

static enum status run(struct scan *scan, bool *more)
{
    struct index *index = scan->index;
    if (index->scan == NULL)
        index->scan = mem_alloc(SCAN_BYTES);
    enum status status = index_status(index_guarded(index, call_scan, scan));
    if (status == STATUS_OK)
        status = show_rows(scan);
    *more = status == STATUS_OK && !scan->whole;
    if (!*more) {
        mem_free(index->scan);
        index->scan = NULL;
    }
    return status;
}

enum status index_scan_objects(struct index *index, struct index_cursor *after, unsigned max,
                               void (*each)(void *arg, const struct index_object *object), index_bad_f bad, void *arg,
                               bool *more)
{
    struct scan scan = {
        .index = index, .kind = INDEX_OBJECTS, .after = after, .max = max, .object = each, .bad = bad, .arg = arg};
    return run(&scan, more);
}

enum status index_scan_extents(struct index *index, struct index_cursor *after, unsigned max,
                               void (*each)(void *arg, const struct index_extent *extent), index_bad_f bad, void *arg,
                               bool *more)
{
    struct scan scan = {
        .index = index, .kind = INDEX_EXTENTS, .after = after, .max = max, .extent = each, .bad = bad, .arg = arg};
    return run(&scan, more);
}

enum status index_scan_groups(struct index *index, struct index_cursor *after, unsigned max,
                              void (*each)(void *arg, struct hash128 group, uint64_t sequence), index_bad_f bad,
                              void *arg, bool *more)
{
    struct scan scan = {
        .index = index, .kind = INDEX_GROUPS, .after = after, .max = max, .group = each, .bad = bad, .arg = arg};
    return run(&scan, more);
}
