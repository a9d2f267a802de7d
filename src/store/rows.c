/* SPDX-License-Identifier: Apache-2.0 */
/* rows.c: from memory to the rows of one index. */
#include "store/rows.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/block.h"
#include "store/commit.h"
#include "store/generation.h"
#include "store/homes.h"
#include "store/marker.h"
#include "store/numbers.h"
#include "store/record.h"

/* Rows take at most that part of an index' map. A commit needs the pages it replaces, those it writes and those freed
 * by the one before; and what is added in one round gets a part as well. */
#define INDEX_PART 4
/* How full that part may be, in 1/8, for copies to be written: nothing is ever forgotten to make room for them. */
#define COPIES_PART 6
#define FULL_LOG_MS 60000
/* Key, header and fixed part of a row of either kind. */
#define ROW_BYTES 80

/* An object as it was when it was taken. */
struct taken {
    struct hash128 object;
    enum objects_change change;
    struct objects_row row;
};

struct part {
    struct disk *disk;
    const struct round *round;
    struct names objects; /* struct taken */
    struct names gone;    /* struct hash128: their copies are to be deleted */
    struct names copies;  /* struct taken: to be written */
    bool forgot;          /* an object may leave memory */
    bool leaving;         /* slots wait for what is written to be durable */
    bool synced;
    bool written;
};

/* ---- Transactions. ---- */

void rows_begin(struct rows *rows, struct disk *disk)
{
    size_t part = disk->label.map_size / INDEX_PART, used = index_used(disk->index);
    *rows = (struct rows){.disk = disk,
                          .room = used < part       ? part
                                  : used < 2 * part ? 2 * part - used
                                                    : 0,
                          .tight = used > part / 8 * COPIES_PART};
    index_begin(disk->index);
}

static void next_transaction(struct rows *rows)
{
    if (rows->status == STATUS_OK)
        rows->status = index_commit(rows->disk->index);
    if (rows->status == STATUS_OK)
        index_begin(rows->disk->index);
    rows->keys = 0;
}

static void key_written(struct rows *rows)
{
    if (++rows->keys >= INDEX_TXN_KEYS)
        next_transaction(rows);
}

bool rows_finish(struct rows *rows, bool durable)
{
    if (rows->status == STATUS_OK)
        rows->status = index_commit(rows->disk->index);
    if (rows->status == STATUS_OK && durable)
        rows->status = index_sync(rows->disk->index);
    return rows->status == STATUS_OK;
}

/* Takes what a row of `size` bytes costs, its key and its share of pages half full included; false: there is no room,
 * and the row is left out, so that what it says is forgotten by the next start. The map must never run full: then
 * nothing could be made durable. */
static bool take_room(struct rows *rows, size_t size)
{
    size_t cost = size > 2000 ? (size + 16 + 4095) / 4096 * 4096 + 100 : size + size / 2;
    if (rows->room < cost)
        return false;
    rows->room -= cost;
    return true;
}

/* ---- Single rows. ---- */

void rows_put_object(struct rows *rows, struct hash128 object, const struct objects_row *row)
{
    const struct store_generation *generation = row->generation;
    if (rows->status != STATUS_OK)
        return;
    if (take_room(rows, ROW_BYTES + generation->record.len))
        index_put_object(rows->disk->index, &(struct index_object){.object = object,
                                                                   .group = generation->group,
                                                                   .generation = generation->id,
                                                                   .length = generation->length,
                                                                   .validated_s = row->validated_s,
                                                                   .sequence = row->sequence,
                                                                   .place = row->place.location & LOCATION_STORED,
                                                                   .record = generation->record});
    else
        index_delete_object(rows->disk->index, object);
    key_written(rows);
}

void rows_put_extent(struct rows *rows, const struct index_extent *extent)
{
    struct index_extent part = *extent;
    unsigned blocks = 0;
    if (rows->status != STATUS_OK)
        return;
    for (unsigned k = 0; k < STORE_EXTENT_BLOCKS; k++) {
        bool here = part.location[k] != 0 && location_disk(part.location[k]) == rows->disk->number;
        part.location[k] = here ? part.location[k] & LOCATION_STORED : 0;
        blocks += here;
    }
    if (blocks > 0 && !take_room(rows, ROW_BYTES + blocks * sizeof *part.location))
        memset(part.location, 0, sizeof part.location);
    index_put_extent(rows->disk->index, &part);
    key_written(rows);
}

void rows_extent(struct store *store, uint64_t generation, uint64_t extent, bool take, struct index_extent *row)
{
    *row = (struct index_extent){.generation = generation, .extent = (uint32_t) extent};
    directory_lock(store->directory, generation, extent);
    struct leaf *leaf = directory_find(store->directory, generation, extent);
    if (leaf != NULL) {
        if (take)
            atomic_store(&leaf->dirty, false);
        row->object = leaf->object;
        row->length = leaf->length;
        for (unsigned k = 0; k < STORE_EXTENT_BLOCKS; k++)
            row->location[k] = atomic_load(&leaf->location[k]);
    }
    directory_unlock(store->directory, generation, extent);
}

/* ---- Copies. ---- */

static bool holds_some(const struct disk *disk, const struct index_extent *extent)
{
    for (unsigned k = 0; k < STORE_EXTENT_BLOCKS; k++)
        if (extent->location[k] != 0 && location_disk(extent->location[k]) == disk->number)
            return true;
    return false;
}

void rows_copy_take(struct disk *disk, const struct index_extent *extent, struct names *copies)
{
    struct store *store = disk->store;
    struct objects_row row;
    if (store->disk_count < 2 || home_is(disk, extent->object) || !holds_some(disk, extent) ||
        !objects_copy_take(store->objects, extent->object, extent->generation, disk->number, &row))
        return;
    struct taken *taken = names_add(copies, sizeof *taken);
    *taken = (struct taken){extent->object, OBJECTS_WRITE, row};
}

void rows_put_copies(struct rows *rows, const struct names *copies)
{
    const struct taken *taken = copies->items;
    for (size_t i = 0; i < copies->count && !rows->tight; i++)
        rows_put_object(rows, taken[i].object, &taken[i].row);
}

void rows_copies_free(struct names *copies)
{
    struct taken *taken = copies->items;
    for (size_t i = 0; i < copies->count; i++)
        store_generation_unref(&taken[i].row.generation);
    names_free(copies);
}

/* ---- The parts of a round. ---- */

static void take_object(struct part *part, struct hash128 object)
{
    struct taken *taken = names_add(&part->objects, sizeof *taken);
    taken->object = object;
    taken->change = objects_take(part->disk->store->objects, object, &taken->row);
    part->forgot = part->forgot || taken->change == OBJECTS_DELETE || taken->change == OBJECTS_INVALIDATE;
    if (taken->change == OBJECTS_DELETE)
        record_dead(part->disk->store, taken->row.place.location, taken->row.place.length);
}

static void log_later(struct disk *disk, struct hash128 object)
{
    if (objects_record_wait(disk->store->objects, object, true))
        *(struct hash128 *) names_add(&disk->unlogged, sizeof object) = object;
}

/* true: it is to be tried again. `room`: false once the disk has none, which the next ones need not find out. */
static bool log_one(struct disk *disk, struct hash128 object, bool *room, bool *logged)
{
    enum status status = *room ? record_log(disk, object) : STATUS_NO_SPACE;
    *room = status != STATUS_NO_SPACE;
    *logged = status == STATUS_OK;
    return !*logged && status != STATUS_NOT_FOUND && status != STATUS_TOO_LARGE;
}

/* A full round brings the records of what changed to the disk, before it is synced; a short one leaves that to it, as
 * do those that cannot be written now. */
static void log_records(struct part *part)
{
    struct disk *disk = part->disk;
    const struct hash128 *changed = part->round->objects.items;
    bool now = part->round->full && record_loggable(disk), room = true, logged;
    for (size_t i = 0; i < part->round->objects.count; i++)
        if (home_is(disk, changed[i]) && (!now || log_one(disk, changed[i], &room, &logged)))
            log_later(disk, changed[i]);
    if (!now)
        return;
    struct names waited = disk->unlogged;
    const struct hash128 *unlogged = waited.items;
    disk->unlogged = (struct names){0};
    for (size_t i = 0; i < waited.count; i++) {
        if (log_one(disk, unlogged[i], &room, &logged)) {
            *(struct hash128 *) names_add(&disk->unlogged, sizeof *unlogged) = unlogged[i];
            continue;
        }
        (void) objects_record_wait(disk->store->objects, unlogged[i], false);
        if (logged)
            take_object(part, unlogged[i]); /* whose row says where it lies; those of the round are taken later */
    }
    names_free(&waited);
}

static void sync_data(struct part *part)
{
    struct disk *disk = part->disk;
    health_wait(disk, HEALTH_SYNC);
    enum status status = slots_sync(&disk->slots);
    int error = errno;
    health_waited(disk);
    part->synced = status == STATUS_OK;
    if (part->synced) {
        atomic_store(&disk->sync_errors, 0);
        return;
    }
    atomic_fetch_add(&disk->sync_errors, 1);
    disk_error(disk, "sync", error);
}

/* Offline. */
static void write_objects(struct rows *rows, const struct part *part)
{
    struct index *index = rows->disk->index;
    const struct taken *taken = part->objects.items;
    for (size_t i = 0; i < part->objects.count && rows->status == STATUS_OK; i++) {
        if (taken[i].change == OBJECTS_WRITE) {
            rows_put_object(rows, taken[i].object, &taken[i].row);
            continue;
        }
        if (taken[i].change == OBJECTS_DELETE)
            index_delete_object(index, taken[i].object);
        else if (taken[i].change == OBJECTS_INVALIDATE)
            index_invalidate_object(index, taken[i].object);
        key_written(rows);
    }
}

/* Offline. */
static void write_groups(struct rows *rows, const struct names *groups)
{
    const struct round_group *items = groups->items;
    for (size_t i = 0; i < groups->count && rows->status == STATUS_OK; i++) {
        index_put_group(rows->disk->index, items[i].group, items[i].sequence);
        key_written(rows);
    }
}

/* Offline. */
static void write_settled(struct rows *rows, const struct round *round)
{
    const struct hash128 *groups = round->settled.items;
    for (size_t i = 0; i < round->settled.count; i++)
        index_delete_group(rows->disk->index, groups[i]);
}

/* Offline. */
static void write_copies(struct rows *rows, const struct part *part)
{
    const struct hash128 *gone = part->gone.items;
    for (size_t i = 0; i < part->gone.count && rows->status == STATUS_OK; i++) {
        index_delete_object(rows->disk->index, gone[i]);
        key_written(rows);
    }
    rows_put_copies(rows, &part->copies);
}

/* Offline. How full the index is, for the index thread and for who puts. */
static void measure(struct disk *disk)
{
    size_t load = index_used(disk->index) / (disk->label.map_size / INDEX_PART / 1024 + 1);
    if (load > 1024 && clock_mono_ms() >= disk->full_logged_ms + FULL_LOG_MS) {
        disk->full_logged_ms = clock_mono_ms();
        log_event(STORE_FULL, "path=%s: the index is full; the longest unused objects are forgotten", disk->path);
    }
    atomic_store(&disk->index_load, load);
    atomic_store(&disk->index_tight, load > 1024);
}

/* Offline. */
static void write_all(struct part *part)
{
    const struct round *round = part->round;
    const struct index_extent *extents = round->rows.items;
    struct disk *disk = part->disk;
    struct rows rows;
    rows_begin(&rows, disk);
    write_groups(&rows, &round->forgotten);
    write_objects(&rows, part);
    write_copies(&rows, part);
    if (round->full && part->synced) {
        for (size_t i = 0; i < round->rows.count; i++)
            rows_put_extent(&rows, &extents[i]);
        /* Everything begun before the rows were taken is in the index as it was then (see transfer_superseded). */
        if (round->extents.count > 0 && rows.status == STATUS_OK)
            index_put_meta(disk->index, "mark", round->mark);
    }
    if (rows.status == STATUS_OK) {
        write_settled(&rows, round);
        if (round->opening != 0)
            numbers_go_on(disk, round->opening);
        /* Cleared after the groups of this round and of all before it were written: they say what the mark stood for.
         */
        if (round->intent != INTENTS_KEEP)
            index_put_meta(disk->index, "intent", round->intent == INTENTS_SET);
    }
    /* Once an object has left memory a tombstone of it has nothing to do: its row must not come back by then. */
    part->written = rows_finish(&rows, round->durable || part->forgot || part->leaving);
    if (!part->written) {
        metric_cell_add(disk->metrics.corrupt, rows.status == STATUS_CORRUPT);
        disk_error(disk, "index", rows.status == STATUS_NO_SPACE ? ENOSPC : EIO);
        log_event(STORE_IO, "path=%s reason=%s: the index cannot be written; nothing is put on this disk until it can",
                  disk->path, status_name(rows.status));
        marker_condemn(disk);
    } else if (round->full) {
        measure(disk);
    }
}

static bool slots_leaving(struct slots *slots)
{
    pthread_mutex_lock(&slots->lock);
    bool leaving = slots->leaving_head != SLOT_NONE;
    pthread_mutex_unlock(&slots->lock);
    return leaving;
}

/* What was moved out of slots before this round was taken has its rows; what was moved since is taken by the next. */
static void free_held(struct slots *slots)
{
    pthread_mutex_lock(&slots->lock);
    slots_held_free(slots);
    slots_held_leave(slots);
    pthread_mutex_unlock(&slots->lock);
}

static void take_all(struct part *part)
{
    struct disk *disk = part->disk;
    const struct hash128 *objects = part->round->objects.items;
    const struct index_extent *extents = part->round->rows.items;
    for (size_t i = 0; i < part->round->objects.count; i++) {
        if (home_is(disk, objects[i]))
            take_object(part, objects[i]);
        else if (objects_copy_drop(disk->store->objects, objects[i], disk->number))
            *(struct hash128 *) names_add(&part->gone, sizeof *objects) = objects[i];
    }
    for (size_t i = 0; i < part->round->rows.count; i++)
        rows_copy_take(disk, &extents[i], &part->copies);
}

/* Objects may be freed from memory once their rows are as they should be. */
static void settle(struct part *part)
{
    struct store *store = part->disk->store;
    struct taken *taken = part->objects.items;
    for (size_t i = 0; i < part->objects.count; i++) {
        store_generation_unref(&taken[i].row.generation);
        if (part->written)
            objects_settled(store->objects, taken[i].object);
    }
    names_free(&part->objects);
    names_free(&part->gone);
    rows_copies_free(&part->copies);
}

bool rows_write(struct disk *disk, const struct round *round)
{
    struct part part = {.disk = disk, .round = round, .leaving = round->full && slots_leaving(&disk->slots)};
    const struct index_extent *extents = round->rows.items;
    log_records(&part);
    if (round->full)
        sync_data(&part);
    take_all(&part);
    health_wait(disk, HEALTH_SYNC);
    write_all(&part);
    if (round->full)
        atomic_store(&disk->fit, slot_files_fit(&disk->slots));
    health_waited(disk);
    /* What a failed sync keeps from being spoken of is another round's work. */
    for (size_t i = 0; round->full && !part.synced && i < round->rows.count; i++)
        block_row_again(disk->store, extents[i].generation, extents[i].extent);
    settle(&part);
    if (round->full && part.synced && part.written)
        free_held(&disk->slots);
    return part.written;
}
