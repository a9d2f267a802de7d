/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index.h: the durable index of one disk, in LMDB, which only index.c, index_scan.c and index_inside.h know.
 *
 * What is in it is a hint: the headers on the disk decide. It says which objects are known, which generation is current
 * and when it was validated; where the blocks of each extent lie; and which groups were invalidated. Keys of extents
 * are generation and extent, big-endian, so new rows come at the end.
 *
 * Each row carries a checksum (index_row.h), so one that was damaged is dropped, not believed; and each call into LMDB
 * is guarded (index_guard.h), so that a damaged file is an answer, CORRUPT, and not the end of the process. After such
 * an answer of a fault the index is poisoned: nothing of it is read or written any more, all calls answer CORRUPT, and
 * index_close leaves to the process what LMDB holds.
 *
 * One thread at a time uses an index: who opens it, then the disk's scribe. At most one transaction is open. A change
 * in a transaction that has failed does nothing; index_commit says how it all went and may be followed by index_begin.
 * Nothing here is durable on a power failure before index_sync (commits leave the last meta page to the system), on a
 * kill it is with index_commit.
 */
#ifndef HEADPOND_STORE_INDEX_H
#define HEADPOND_STORE_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/status.h"
#include "base/str.h"
#include "store/store.h"

struct index;

/* Of the rows. An index of another version is not read but made anew from the data files. */
#define INDEX_VERSION 1

/* A transaction larger than this is committed in parts. */
#define INDEX_TXN_KEYS 10000

struct index_object {
    struct hash128 object;
    struct hash128 group;
    uint64_t generation;
    uint64_t length; /* of the blob */
    int64_t validated_s;
    uint64_t sequence;
    uint64_t place; /* of the record's entry, as LOCATION_STORED; 0: none */
    struct str record;
};

struct index_extent {
    uint64_t generation;
    uint32_t extent;
    struct hash128 object;
    uint64_t length;                        /* of the blob */
    uint64_t location[STORE_EXTENT_BLOCKS]; /* as LOCATION_STORED; 0: not stored */
};

/* Opens or creates it in an existing directory; a new one has no rows at all. The file never grows past map_size bytes.
 * On failure *why is a constant text. IO, NO_SPACE, or CORRUPT when it is not an index. */
enum status index_open(const char *path, size_t map_size, struct index **index, const char **why) STATUS_CHECKED;
/* An open transaction is given up. */
void index_close(struct index *index);

void index_begin(struct index *index);
void index_put_object(struct index *index, const struct index_object *object);
void index_delete_object(struct index *index, struct hash128 object);
/* Zeroes the time of validation if there is a row. */
void index_invalidate_object(struct index *index, struct hash128 object);
/* A row without locations is deleted. */
void index_put_extent(struct index *index, const struct index_extent *extent);
/* Objects of the group with a sequence up to this one count as never validated. */
void index_put_group(struct index *index, struct hash128 group, uint64_t sequence);
void index_delete_group(struct index *index, struct hash128 group);
void index_put_meta(struct index *index, const char *name, uint64_t value);
/* NO_SPACE: the map is full. Nothing of the transaction is kept then. */
enum status index_commit(struct index *index) STATUS_CHECKED;
/* What was committed survives a power failure from here on. */
enum status index_sync(struct index *index) STATUS_CHECKED;

/* NOT_FOUND, IO or CORRUPT. Outside a transaction. */
enum status index_get_meta(struct index *index, const char *name, uint64_t *value) STATUS_CHECKED;
/* A number as it was written before rows had checksums. Outside a transaction. */
enum status index_get_old_meta(struct index *index, const char *name, uint64_t *value) STATUS_CHECKED;

/* Calls `each` for up to `max` rows after `*after`, which is moved on; start with a zeroed cursor. Texts are good
 * during the call. A row that is not what was written is not shown: `bad` gets its key, which may be wrong as well, and
 * it is counted. *more: there may be further rows. CORRUPT also for rows out of order, and where fewer or more are
 * found than the index says it has. Outside a transaction; the callbacks may not touch the index. */
struct index_cursor {
    uint8_t key[16];
    bool started;
    unsigned bad;
};
typedef void (*index_bad_f)(void *arg, const uint8_t key[16]);
enum status index_scan_objects(struct index *index, struct index_cursor *after, unsigned max,
                               void (*each)(void *arg, const struct index_object *object), index_bad_f bad, void *arg,
                               bool *more) STATUS_CHECKED;
enum status index_scan_extents(struct index *index, struct index_cursor *after, unsigned max,
                               void (*each)(void *arg, const struct index_extent *extent), index_bad_f bad, void *arg,
                               bool *more) STATUS_CHECKED;
enum status index_scan_groups(struct index *index, struct index_cursor *after, unsigned max,
                              void (*each)(void *arg, struct hash128 group, uint64_t sequence), index_bad_f bad,
                              void *arg, bool *more) STATUS_CHECKED;

/* Bytes of pages that hold rows, without those that are free for reuse. Outside a transaction. */
size_t index_used(struct index *index);

#endif
