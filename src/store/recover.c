/* SPDX-License-Identifier: Apache-2.0 */
/* recover.c: the index into the directory. */
#include "store/recover.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "store/block.h"
#include "store/commit.h"
#include "store/generation.h"
#include "store/homes.h"
#include "store/index.h"
#include "store/marker.h"
#include "store/marks.h"
#include "store/names.h"
#include "store/objects.h"
#include "store/rebuild.h"
#include "store/record.h"
#include "store/rows.h"
#include "store/segment.h"

/* Rows read in one step. */
#define STEP_ROWS 5000

struct recover {
    struct disk *disk;
    struct rebuild *rebuild; /* NULL: from the index */
    enum { RECOVER_GROUPS, RECOVER_OBJECTS, RECOVER_EXTENTS, RECOVER_DONE } phase;
    struct index_cursor cursor;
    struct marks groups;
    /* What a step found to be written to the index, which it may not do while it reads. */
    struct names believable; /* struct hash128: rows that nobody is to believe any more */
    struct names unreadable; /* struct hash128: copies */
    struct names copies;     /* that it lacks (rows.h) */
    uint64_t copied;         /* the generation that was last looked at for that */
    int64_t started_ms;
    size_t objects, blocks, dropped;
    uint32_t high;                    /* slots that were found in files */
    size_t beyond_files, beyond_size; /* blocks that were where there is no slot any more; counted as dropped, too */
    size_t unknown;                   /* blocks of those dropped, whose object no disk knows */
};

struct recover *recover_new(struct disk *disk)
{
    struct recover *recover = mem_calloc(1, sizeof *recover);
    recover->disk = disk;
    recover->started_ms = clock_mono_ms();
    recover->high = disk->slots.high;
    if (disk->rebuild)
        recover->rebuild = rebuild_new(disk);
    return recover;
}

void recover_free(struct recover *recover)
{
    if (recover->rebuild != NULL)
        rebuild_free(recover->rebuild);
    names_free(&recover->believable);
    names_free(&recover->unreadable);
    rows_copies_free(&recover->copies);
    marks_free(&recover->groups);
    mem_free(recover);
}

void recover_give_up(struct recover *recover)
{
    marker_loaded(recover->disk);
    if (recover->rebuild != NULL)
        marker_put_off(recover->disk);
}

void recover_group(struct recover *recover, struct hash128 group, uint64_t sequence)
{
    marks_add(&recover->groups, group, sequence);
}

static void group_each(void *arg, struct hash128 group, uint64_t sequence)
{
    struct recover *recover = arg;
    recover_group(recover, group, sequence);
    /* The row goes once every object it speaks of has been written without its time. */
    commit_group_settles(recover->disk->store->commit, group);
}

/* Whatever it spoke of was forgotten. The row goes when all that has been written, as a good one would. */
static void group_bad(void *arg, const uint8_t key[16])
{
    struct recover *recover = arg;
    recover->disk->doubted = true;
    commit_group_settles(recover->disk->store->commit, bytes_get_hash(key));
}

static void object_unreadable(struct recover *recover, struct hash128 object)
{
    struct store *store = recover->disk->store;
    if (!home_is(recover->disk, object))
        *(struct hash128 *) names_add(&recover->unreadable, sizeof object) = object;
    else
        objects_expunge(store->objects, object);
}

static struct store_generation *decode(struct recover *recover, const struct index_object *object)
{
    struct generations *generations = recover->disk->store->generations;
    void *decoded;
    if (generation_decode(generations, object->record, object->length, &decoded))
        return generation_make(generations, object->generation, object->object, object->group, object->length,
                               object->record, decoded);
    recover->dropped++;
    object_unreadable(recover, object->object);
    return NULL;
}

/* On a disk that is not its home nobody kept it up to date. A time that it still has, from when this was its home, must
 * not be believed when it is so again. */
static void copy_seen(struct recover *recover, const struct index_object *object)
{
    struct store *store = recover->disk->store;
    unsigned disk = recover->disk->number;
    struct objects_loaded row = {.sequence = object->sequence, .disk = disk};
    struct store_generation *generation;
    if (object->validated_s != 0)
        *(struct hash128 *) names_add(&recover->believable, sizeof object->object) = object->object;
    if (!objects_copy_seen(store->objects, object->object, object->generation, object->sequence, disk) &&
        (generation = decode(recover, object)) != NULL)
        objects_load(store->objects, &generation, &row);
}

static void object_each(void *arg, const struct index_object *object)
{
    struct recover *recover = arg;
    struct disk *disk = recover->disk;
    struct store *store = disk->store;
    recover->objects++;
    if (!home_is(disk, object->object)) {
        copy_seen(recover, object);
        return;
    }
    struct store_generation *generation = decode(recover, object);
    if (generation == NULL)
        return;
    bool stale = disk->doubted || marks_hit(&recover->groups, object->group, object->sequence) ||
                 object->validated_s > clock_steady_s(); /* by a clock that was ahead */
    uint32_t length = (uint32_t) object->record.len;
    uint64_t place = object->place == 0 ? 0 : object->place | (uint64_t) disk->number << 56;
    bool claimed = record_claim(disk, place, length);
    struct objects_loaded row = {.validated_s = stale ? 0 : object->validated_s,
                                 .sequence = object->sequence,
                                 .place = claimed ? place : 0,
                                 .disk = disk->number,
                                 .home = true,
                                 .rewrite = !claimed || (stale && object->validated_s != 0)};
    objects_load(store->objects, &generation, &row);
    if (claimed && !location_same(objects_record_place(store->objects, object->object).location, place))
        record_dead(store, place, length);
}

static void object_bad(void *arg, const uint8_t key[16])
{
    object_unreadable(arg, bytes_get_hash(key));
}

static void extent_bad(void *arg, const uint8_t key[16])
{
    struct recover *recover = arg;
    uint64_t generation, extent;
    memcpy(&generation, key, 8);
    memcpy(&extent, key + 8, 8);
    commit_dirty_extent(recover->disk->store->commit, be64toh(generation), be64toh(extent));
}

/* Of an extent whose blocks were not all claimed: those that lay where there is no slot any more. */
static void count_beyond(struct recover *recover, const struct index_extent *extent)
{
    uint32_t capacity = recover->disk->slots.capacity;
    for (unsigned i = 0; i < STORE_EXTENT_BLOCKS; i++) {
        uint32_t slot = location_slot(extent->location[i]);
        if (extent->location[i] == 0 || slot < recover->high)
            continue;
        recover->beyond_size += slot >= capacity;
        recover->beyond_files += slot < capacity;
    }
}

static unsigned blocks_of(const struct index_extent *extent)
{
    unsigned blocks = 0;
    for (unsigned i = 0; i < STORE_EXTENT_BLOCKS; i++)
        blocks += extent->location[i] != 0;
    return blocks;
}

/* Written by an earlier version, or while its home was another, there may be no copy of its record. Extents of one
 * generation come one after another. */
static void look_for_copy(struct recover *recover, const struct index_extent *extent)
{
    struct disk *disk = recover->disk;
    struct index_extent here = *extent;
    if (disk->store->disk_count < 2 || recover->copied == extent->generation)
        return;
    recover->copied = extent->generation;
    for (unsigned i = 0; i < STORE_EXTENT_BLOCKS; i++)
        here.location[i] |= here.location[i] == 0 ? 0 : (uint64_t) disk->number << 56;
    rows_copy_take(disk, &here, &recover->copies);
}

static void extent_each(void *arg, const struct index_extent *extent)
{
    struct recover *recover = arg;
    struct disk *disk = recover->disk;
    struct store *store = disk->store;
    struct hash128 group;
    unsigned blocks = blocks_of(extent);
    if (!objects_is_current(store->objects, extent->object, extent->generation, extent->length, &group)) {
        recover->dropped += blocks;
        recover->unknown += objects_current(store->objects, extent->object) == 0 ? blocks : 0;
        commit_dirty_extent(store->commit, extent->generation, extent->extent);
        return;
    }
    unsigned good = block_claim_extent(disk, extent, group);
    if (good < blocks)
        count_beyond(recover, extent);
    recover->blocks += good;
    recover->dropped += blocks - good;
    look_for_copy(recover, extent);
}

/* Between two steps. */
static enum status tidy_index(struct recover *recover)
{
    const struct hash128 *believable = recover->believable.items, *unreadable = recover->unreadable.items;
    struct disk *disk = recover->disk;
    struct rows rows;
    if (recover->believable.count + recover->unreadable.count + recover->copies.count == 0)
        return STATUS_OK;
    health_wait(disk, HEALTH_SYNC);
    rows_begin(&rows, disk);
    for (size_t i = 0; i < recover->believable.count; i++)
        index_invalidate_object(disk->index, believable[i]);
    for (size_t i = 0; i < recover->unreadable.count; i++)
        index_delete_object(disk->index, unreadable[i]);
    rows_put_copies(&rows, &recover->copies);
    (void) rows_finish(&rows, false);
    health_waited(disk);
    names_free(&recover->believable);
    names_free(&recover->unreadable);
    rows_copies_free(&recover->copies);
    return rows.status;
}

static void count_bad(struct recover *recover)
{
    if (recover->cursor.bad == 0)
        return;
    metric_cell_add(recover->disk->metrics.corrupt, recover->cursor.bad);
    log_event(STORE_CORRUPT,
              "path=%s file=" SLOT_INDEX_FILE
              " rows=%u: rows were dropped because their check failed; what they spoke of is fetched again%s",
              recover->disk->path, recover->cursor.bad,
              recover->disk->doubted ? "; no validation of before is believed" : "");
}

static void tell_lost(const struct recover *recover)
{
    struct disk *disk = recover->disk;
    char file[SLOT_FILE_NAME];
    slot_file_name(file, recover->high / SLOT_PER_FILE);
    if (recover->beyond_files > 0)
        log_event(
            STORE_LOST,
            "path=%s reason=data-file file=%s blocks=%zu: this data file is gone or shorter than it was; what lay "
            "from there on is fetched again when it is asked for",
            disk->path, file, recover->beyond_files);
    if (recover->beyond_size > 0)
        log_event(
            STORE_LOST,
            "path=%s reason=size blocks=%zu: the size, or the file system, is smaller than it was; what lay beyond "
            "is fetched again when it is asked for",
            disk->path, recover->beyond_size);
    size_t unknown = disk->store->away > 0 ? recover->unknown : 0;
    if (unknown > 0)
        log_event(STORE_LOST,
                  "path=%s reason=record blocks=%zu: only disks that are not there knew what they belong to; they are "
                  "fetched again when they are asked for",
                  disk->path, unknown);
    metric_cell_add(metric_cell2(METRIC_STORE_LOST, disk->path, "record"), (int64_t) unknown);
    metric_cell_add(metric_cell2(METRIC_STORE_LOST, disk->path, "data-file"), (int64_t) recover->beyond_files);
    metric_cell_add(metric_cell2(METRIC_STORE_LOST, disk->path, "size"), (int64_t) recover->beyond_size);
}

static void finish(struct recover *recover, bool whole)
{
    struct disk *disk = recover->disk;
    count_bad(recover);
    tell_lost(recover);
    slots_loaded(&disk->slots);
    pthread_mutex_lock(&disk->slots.lock);
    for (uint32_t slot = 0; slot < disk->slots.high; slot++)
        segment_sort(&disk->slots, slot);
    pthread_mutex_unlock(&disk->slots.lock);
    marker_loaded(disk);
    atomic_store(&disk->loaded, true);
    disk_want_space(disk); /* a limit may be lower than it was */
    log_event(STORE_OPEN, "path=%s objects=%zu blocks=%zu dropped=%zu bad_rows=%u ms=%lld%s", disk->path,
              recover->objects, recover->blocks, recover->dropped, recover->cursor.bad,
              (long long) (clock_mono_ms() - recover->started_ms),
              whole ? "" : ": the index could not be read to its end");
}

bool recover_has_objects(const struct recover *recover)
{
    return recover->rebuild != NULL ? rebuild_has_objects(recover->rebuild) : recover->phase >= RECOVER_EXTENTS;
}

/* What was found is checked block by block; the rest is forgotten, and the next start begins anew. */
static void fail(struct recover *recover, enum status why)
{
    metric_cell_add(recover->disk->metrics.corrupt, why == STATUS_CORRUPT);
    disk_error(recover->disk, "index", EIO);
    marker_condemn(recover->disk);
    disk_set_broken(recover->disk, true);
    recover->phase = RECOVER_DONE;
    finish(recover, false);
}

static bool rebuild_on(struct recover *recover)
{
    bool more;
    enum status status = rebuild_step(recover->rebuild, &more);
    if (status != STATUS_OK) {
        fail(recover, status);
        return false;
    }
    if (!more) {
        rebuild_count(recover->rebuild, &recover->objects, &recover->blocks, &recover->dropped);
        marker_rebuilt(recover->disk);
        finish(recover, true);
    }
    return more;
}

bool recover_step(struct recover *recover)
{
    if (recover->rebuild != NULL)
        return rebuild_on(recover);
    struct index *index = recover->disk->index;
    bool more = false;
    enum status status = STATUS_OK;
    switch (recover->phase) {
    case RECOVER_GROUPS:
        status = index_scan_groups(index, &recover->cursor, STEP_ROWS, group_each, group_bad, recover, &more);
        break;
    case RECOVER_OBJECTS:
        status = index_scan_objects(index, &recover->cursor, STEP_ROWS, object_each, object_bad, recover, &more);
        break;
    case RECOVER_EXTENTS:
        status = index_scan_extents(index, &recover->cursor, STEP_ROWS, extent_each, extent_bad, recover, &more);
        break;
    case RECOVER_DONE:
        return false;
    }
    if (status == STATUS_OK)
        status = tidy_index(recover);
    if (status != STATUS_OK) {
        fail(recover, status);
        return false;
    }
    if (more)
        return true;
    recover->cursor = (struct index_cursor){.bad = recover->cursor.bad};
    recover->phase++;
    if (recover->phase == RECOVER_EXTENTS) /* whole extents, mostly */
        directory_expect(recover->disk->store->directory, recover->disk->slots.high / STORE_EXTENT_BLOCKS);
    if (recover->phase == RECOVER_DONE)
        finish(recover, true);
    return recover->phase != RECOVER_DONE;
}
