/* SPDX-License-Identifier: Apache-2.0 */
/* round.c: from names to rows. */
#include "store/round.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/block.h"
#include "store/commit.h"
#include "store/disk.h"
#include "store/generation.h"
#include "store/index.h"
#include "store/inside.h"
#include "store/objects.h"
#include "store/record.h"
#include "store/volume.h"

/* Dead generations dropped between two rounds. */
#define DEAD_STEP 1024
/* Rows take at most that part of an index' map. A commit needs the pages it replaces, those it writes and those freed
 * by the one before; and what is added in one round gets a part as well. */
#define INDEX_PART 4
#define FULL_LOG_MS 60000
/* Key, header and fixed part of a row of either kind. */
#define ROW_BYTES 80

struct stray {
    unsigned disk;
    struct hash128 object;
};

struct rounds {
    struct store *store;
    struct names rows;            /* struct index_extent, with all disks' locations in them */
    struct names settling;        /* struct hash128: groups whose rows go after the next full round */
    struct names settled;         /* those it is true of */
    struct names strays;          /* struct stray */
    struct names unlogged;        /* struct hash128: written in a short round, their records are not on a disk yet */
    unsigned keys;                /* in the open transactions */
    uint64_t opening;             /* as last written */
    size_t room[STORE_DISKS_MAX]; /* bytes that may still be added in this round */
};

struct rounds *rounds_new(struct store *store)
{
    struct rounds *rounds = mem_calloc(1, sizeof *rounds);
    rounds->store = store;
    rounds->opening = atomic_load(&store->next_id) >> GENERATION_OPENING_SHIFT;
    return rounds;
}

void rounds_free(struct rounds *rounds)
{
    names_free(&rounds->rows);
    names_free(&rounds->settling);
    names_free(&rounds->settled);
    names_free(&rounds->strays);
    names_free(&rounds->unlogged);
    mem_free(rounds);
}

void rounds_group_settles(struct rounds *rounds, struct hash128 group)
{
    *(struct hash128 *) names_add(&rounds->settling, sizeof group) = group;
}

void rounds_stray(struct rounds *rounds, unsigned disk, struct hash128 object)
{
    *(struct stray *) names_add(&rounds->strays, sizeof(struct stray)) = (struct stray){disk, object};
}

/* ---- Transactions over all disks. ---- */

static bool writable(const struct disk *disk)
{
    return !atomic_load(&disk->broken);
}

/* The disk after `disk` (NULL: the first) whose index can be written, or NULL. */
static struct disk *next_writable(const struct rounds *rounds, const struct disk *disk)
{
    const struct store *store = rounds->store;
    for (unsigned i = disk == NULL ? 0 : disk->number + 1; i < store->disk_count; i++)
        if (writable(store->disks[i]))
            return store->disks[i];
    return NULL;
}

static void disk_condemn(struct disk *disk, enum status why)
{
    disk_error(disk, "index", why == STATUS_NO_SPACE ? ENOSPC : EIO);
    log_event(STORE_IO,
              "path=%s reason=%s: the index cannot be written; nothing more is put on this disk, and the next "
              "start empties it",
              disk->path, status_name(why));
    disk_broken(disk);
    if (volume_condemn(disk) != STATUS_OK)
        disk_error(disk, "marker", errno);
}

static void begin(struct rounds *rounds)
{
    rounds->keys = 0;
    for (struct disk *disk = next_writable(rounds, NULL); disk != NULL; disk = next_writable(rounds, disk))
        index_begin(disk->index);
}

/* Commits or syncs every index; a disk where that fails is given up. */
static void finish(struct rounds *rounds, enum status (*step)(struct index *index))
{
    for (struct disk *disk = next_writable(rounds, NULL); disk != NULL; disk = next_writable(rounds, disk)) {
        rcu_thread_offline();
        enum status status = step(disk->index);
        rcu_thread_online();
        if (status != STATUS_OK)
            disk_condemn(disk, status);
    }
}

static void key_written(struct rounds *rounds)
{
    if (++rounds->keys < INDEX_TXN_KEYS)
        return;
    finish(rounds, index_commit);
    begin(rounds);
}

/* ---- The parts of a round. ---- */

static void object_dirty(void *arg, struct hash128 object)
{
    struct rounds *rounds = arg;
    commit_dirty_object(rounds->store->commit, object);
}

static void write_group(struct rounds *rounds, const struct round_group *group, bool loaded)
{
    struct objects *objects = rounds->store->objects;
    unsigned hits = objects_forget_group(objects, group->group, group->sequence, object_dirty, rounds);
    if (loaded && hits == 0)
        return;
    for (struct disk *disk = next_writable(rounds, NULL); disk != NULL; disk = next_writable(rounds, disk))
        index_put_group(disk->index, group->group, group->sequence);
    rounds_group_settles(rounds, group->group);
    key_written(rounds);
}

/* Takes what a row of `size` bytes costs, its key and its share of pages half full included; false: there is no room,
 * and the row is left out, so that what it says is forgotten by the next start. The map must never run full: then
 * nothing could be made durable. */
static bool take_room(struct rounds *rounds, const struct disk *disk, size_t size)
{
    size_t cost = size > 2000 ? (size + 16 + 4095) / 4096 * 4096 + 100 : size + size / 2;
    if (rounds->room[disk->number] < cost)
        return false;
    rounds->room[disk->number] -= cost;
    return true;
}

static void measure_room(struct rounds *rounds)
{
    for (unsigned d = 0; d < rounds->store->disk_count; d++) {
        struct disk *disk = rounds->store->disks[d];
        size_t part = disk->label.map_size / INDEX_PART, used = index_used(disk->index);
        rounds->room[d] = used < part ? part : used < 2 * part ? 2 * part - used : 0;
    }
}

static void write_object(struct rounds *rounds, struct hash128 hash)
{
    struct objects_row row;
    enum objects_change change = objects_take(rounds->store->objects, hash, &row);
    struct disk *disk = store_disk_of(rounds->store, hash.lo);
    if (disk != NULL && writable(disk)) {
        const struct store_generation *generation = row.generation;
        if (change == OBJECTS_WRITE && take_room(rounds, disk, ROW_BYTES + generation->record.len)) {
            index_put_object(disk->index, &(struct index_object){.object = hash,
                                                                 .group = row.group,
                                                                 .generation = generation->id,
                                                                 .length = generation->length,
                                                                 .validated_s = row.validated_s,
                                                                 .sequence = row.sequence,
                                                                 .place = row.place.location & LOCATION_STORED,
                                                                 .record = generation->record});
        } else if (change == OBJECTS_DELETE || change == OBJECTS_WRITE) {
            index_delete_object(disk->index, hash);
        } else if (change == OBJECTS_INVALIDATE) {
            index_invalidate_object(disk->index, hash);
        }
    }
    if (change == OBJECTS_DELETE)
        record_dead(rounds->store, row.place.location, row.place.length);
    store_generation_unref(&row.generation);
    if (change != OBJECTS_NOTHING)
        key_written(rounds);
}

/* As they are now; the data files are synced after this and before they are written. */
static void take_extents(struct rounds *rounds, const struct names *extents)
{
    struct directory *directory = rounds->store->directory;
    const struct round_extent *names = extents->items;
    for (size_t i = 0; i < extents->count; i++) {
        struct index_extent *row = names_add(&rounds->rows, sizeof *row);
        *row = (struct index_extent){.generation = names[i].generation, .extent = (uint32_t) names[i].extent};
        directory_lock(directory, row->generation, row->extent);
        struct leaf *leaf = directory_find(directory, row->generation, row->extent);
        if (leaf != NULL) {
            atomic_store(&leaf->dirty, false);
            row->object = leaf->object;
            row->length = leaf->length;
            for (unsigned k = 0; k < STORE_EXTENT_BLOCKS; k++)
                row->location[k] = atomic_load(&leaf->location[k]);
        }
        directory_unlock(directory, row->generation, row->extent);
    }
}

/* Another round's work: what it speaks of is not durable everywhere yet. */
static void put_off(struct rounds *rounds, const struct index_extent *row)
{
    struct directory *directory = rounds->store->directory;
    directory_lock(directory, row->generation, row->extent);
    struct leaf *leaf = directory_find(directory, row->generation, row->extent);
    bool newly = leaf == NULL || !atomic_exchange(&leaf->dirty, true);
    directory_unlock(directory, row->generation, row->extent);
    if (newly)
        commit_dirty_extent(rounds->store->commit, row->generation, row->extent);
}

static bool synced(const struct disk *disk)
{
    return atomic_load(&disk->sync_errors) == 0;
}

static void write_extents(struct rounds *rounds)
{
    const struct index_extent *rows = rounds->rows.items;
    for (size_t i = 0; i < rounds->rows.count; i++) {
        bool again = false;
        for (struct disk *disk = next_writable(rounds, NULL); disk != NULL; disk = next_writable(rounds, disk)) {
            if (!synced(disk)) {
                again = true;
                continue;
            }
            struct index_extent part = rows[i];
            unsigned blocks = 0;
            for (unsigned k = 0; k < STORE_EXTENT_BLOCKS; k++) {
                bool here = part.location[k] != 0 && location_disk(part.location[k]) == disk->number;
                part.location[k] = here ? part.location[k] & LOCATION_STORED : 0;
                blocks += here;
            }
            if (blocks > 0 && !take_room(rounds, disk, ROW_BYTES + blocks * sizeof *part.location))
                memset(part.location, 0, sizeof part.location);
            index_put_extent(disk->index, &part);
        }
        if (again)
            put_off(rounds, &rows[i]);
        key_written(rounds);
    }
    names_free(&rounds->rows);
}

static void write_settled(struct rounds *rounds)
{
    const struct hash128 *groups = rounds->settled.items;
    const struct stray *strays = rounds->strays.items;
    for (size_t i = 0; i < rounds->settled.count; i++)
        for (struct disk *disk = next_writable(rounds, NULL); disk != NULL; disk = next_writable(rounds, disk))
            index_delete_group(disk->index, groups[i]);
    for (size_t i = 0; i < rounds->strays.count; i++)
        if (writable(rounds->store->disks[strays[i].disk]))
            index_delete_object(rounds->store->disks[strays[i].disk]->index, strays[i].object);
    names_free(&rounds->settled);
    names_free(&rounds->strays);
}

static void put_meta(struct rounds *rounds, const char *name, uint64_t value)
{
    for (struct disk *disk = next_writable(rounds, NULL); disk != NULL; disk = next_writable(rounds, disk))
        index_put_meta(disk->index, name, value);
}

/* Everything begun before the rows were taken is in the index as it was then (see transfer_superseded). */
static void write_mark(struct rounds *rounds, uint64_t mark)
{
    for (struct disk *disk = next_writable(rounds, NULL); disk != NULL; disk = next_writable(rounds, disk))
        if (synced(disk))
            index_put_meta(disk->index, "mark", mark);
}

static void write_opening(struct rounds *rounds)
{
    /* Numbers run on through openings; one that has come near the next must not be met by it. */
    uint64_t opening = (atomic_load(&rounds->store->next_id) + (UINT64_C(1) << 39)) >> GENERATION_OPENING_SHIFT;
    if (opening == rounds->opening)
        return;
    rounds->opening = opening;
    put_meta(rounds, "opening", opening);
}

/* Cleared after the groups of this round and of all before it were written: they say what the mark stood for. */
static void write_intent(struct rounds *rounds, const struct round *round)
{
    if (round->intent == ROUND_INTENT_KEEP)
        return;
    put_meta(rounds, "intent", round->intent == ROUND_INTENT_SET);
}

/* How full the index is, in 1/1024 of what it should hold at most. */
static size_t index_load(struct disk *disk)
{
    size_t load = index_used(disk->index) / (disk->label.map_size / INDEX_PART / 1024 + 1);
    if (load > 1024 && clock_mono_ms() >= disk->full_logged_ms + FULL_LOG_MS) {
        disk->full_logged_ms = clock_mono_ms();
        log_event(STORE_FULL, "path=%s: the index is full; the longest unused objects are forgotten", disk->path);
    }
    atomic_store(&disk->index_tight, load > 1024);
    return load;
}

void rounds_trim(struct rounds *rounds, bool full)
{
    struct objects *objects = rounds->store->objects;
    size_t load = 0;
    for (unsigned i = 0; full && i < rounds->store->disk_count; i++) {
        size_t one = index_load(rounds->store->disks[i]);
        load = one > load ? one : load;
    }
    /* Back to three quarters at once: what comes in a second may be much. */
    size_t least = load > 1024 ? objects_count(objects) * (load - 768) / load : 0;
    if (least > 0 || objects_over_budget(objects))
        objects_trim(objects, least, object_dirty, rounds);
}

static void sync_data(struct rounds *rounds)
{
    for (unsigned i = 0; i < rounds->store->disk_count; i++) {
        struct disk *disk = rounds->store->disks[i];
        rcu_thread_offline();
        enum status status = slots_sync(&disk->slots);
        int error = errno;
        rcu_thread_online();
        if (status == STATUS_OK) {
            atomic_store(&disk->sync_errors, 0);
            continue;
        }
        atomic_fetch_add(&disk->sync_errors, 1);
        disk_error(disk, "sync", error);
    }
}

/* Objects may be freed from memory once their rows are as they should be. */
static void settle_objects(struct rounds *rounds, const struct names *objects)
{
    const struct hash128 *hashes = objects->items;
    for (size_t i = 0; i < objects->count; i++)
        objects_settled(rounds->store->objects, hashes[i]);
}

/* A full round brings the records of what changed to the disks, before it syncs them; a short one leaves that to it. */
static void log_records(struct rounds *rounds, struct round *round)
{
    const struct hash128 *objects = round->objects.items;
    if (!round->full) {
        for (size_t i = 0; i < round->objects.count; i++)
            *(struct hash128 *) names_add(&rounds->unlogged, sizeof *objects) = objects[i];
        return;
    }
    for (size_t i = 0; i < round->objects.count; i++)
        (void) record_log(rounds->store, objects[i]);
    const struct hash128 *unlogged = rounds->unlogged.items;
    for (size_t i = 0; i < rounds->unlogged.count; i++)
        if (record_log(rounds->store, unlogged[i]) && objects_retake(rounds->store->objects, unlogged[i]))
            *(struct hash128 *) names_add(&round->objects, sizeof *unlogged) = unlogged[i];
    names_free(&rounds->unlogged);
}

void rounds_run(struct rounds *rounds, struct round *round)
{
    const struct round_group *groups = round->groups.items;
    uint64_t mark = atomic_load(&rounds->store->next_id);
    log_records(rounds, round);
    const struct hash128 *objects = round->objects.items;
    if (round->full) {
        take_extents(rounds, &round->extents);
        sync_data(rounds);
    }
    measure_room(rounds);
    begin(rounds);
    for (size_t i = 0; i < round->groups.count; i++)
        write_group(rounds, &groups[i], round->loaded);
    for (size_t i = 0; i < round->objects.count; i++)
        write_object(rounds, objects[i]);
    if (round->full) {
        write_extents(rounds);
        if (round->extents.count > 0)
            write_mark(rounds, mark);
        write_settled(rounds);
        write_opening(rounds);
    }
    write_intent(rounds, round);
    finish(rounds, index_commit);
    settle_objects(rounds, &round->objects);
    if (round->full && round->loaded) {
        /* What the sweeps of this round made dirty is written by the next one. */
        rounds->settled = rounds->settling;
        rounds->settling = (struct names){0};
    }
    if (round->durable)
        finish(rounds, index_sync);
}

void rounds_drop_dead(struct rounds *rounds)
{
    struct generation_dead dead;
    for (unsigned i = 0; i < DEAD_STEP && generation_take_dead(rounds->store->generations, &dead); i++)
        if (objects_current(rounds->store->objects, dead.object) != dead.id) /* its record may live on in another */
            block_drop_generation(rounds->store, dead.id, dead.length);
}
