/* SPDX-License-Identifier: Apache-2.0 */
/* resync.c: every object and extent of one disk, in transactions, from memory. */
#include "store/resync.h"

#include "base/clock.h"
#include "base/log.h"
#include "store/disk.h"
#include "store/generation.h"
#include "store/homes.h"
#include "store/index.h"
#include "store/marker.h"
#include "store/numbers.h"
#include "store/objects.h"
#include "store/round.h"
#include "store/rows.h"
#include "store/volume.h"

struct resync {
    struct disk *disk;
    struct names objects; /* struct hash128 */
    struct names extents; /* struct round_extent */
};

static void object_seen(void *arg, struct hash128 object)
{
    struct resync *resync = arg;
    if (home_is(resync->disk, object))
        *(struct hash128 *) names_add(&resync->objects, sizeof object) = object;
}

static void leaf_seen(void *arg, struct leaf *leaf)
{
    struct resync *resync = arg;
    for (unsigned i = 0; i < STORE_EXTENT_BLOCKS; i++) {
        uint64_t location = atomic_load_explicit(&leaf->location[i], memory_order_relaxed);
        if (location == 0 || location_disk(location) != resync->disk->number)
            continue;
        *(struct round_extent *) names_add(&resync->extents, sizeof(struct round_extent)) =
            (struct round_extent){leaf->generation, leaf->extent};
        return;
    }
}

/* An index with nothing in it but numbers. */
static bool begin_anew(struct disk *disk)
{
    health_wait(disk, HEALTH_SYNC);
    enum status status = volume_index_anew(disk);
    if (status == STATUS_OK)
        status = numbers_renew(disk, atomic_load(&disk->store->next_id));
    health_waited(disk);
    return status == STATUS_OK;
}

static bool write_objects(struct resync *resync, size_t from, size_t count)
{
    struct disk *disk = resync->disk;
    const struct hash128 *objects = (const struct hash128 *) resync->objects.items + from;
    struct objects_row *rows = mem_calloc(count, sizeof *rows);
    struct rows out;
    for (size_t i = 0; i < count; i++)
        objects_row(disk->store->objects, objects[i], &rows[i]);
    health_wait(disk, HEALTH_SYNC);
    rows_begin(&out, disk);
    for (size_t i = 0; i < count; i++)
        if (rows[i].generation != NULL)
            rows_put_object(&out, objects[i], &rows[i]);
    bool good = rows_finish(&out, false);
    health_waited(disk);
    for (size_t i = 0; i < count; i++)
        store_generation_unref(&rows[i].generation);
    mem_free(rows);
    return good;
}

static bool write_extents(struct resync *resync, size_t from, size_t count)
{
    struct disk *disk = resync->disk;
    const struct round_extent *extents = (const struct round_extent *) resync->extents.items + from;
    struct index_extent *rows = mem_calloc(count, sizeof *rows);
    struct names copies = {0};
    struct rows out;
    for (size_t i = 0; i < count; i++)
        rows_extent(disk->store, extents[i].generation, extents[i].extent, false, &rows[i]);
    for (size_t i = 0; i < count; i++)
        rows_copy_take(disk, &rows[i], &copies);
    health_wait(disk, HEALTH_SYNC);
    bool good = slots_sync(&disk->slots) == STATUS_OK;
    if (good) {
        rows_begin(&out, disk);
        rows_put_copies(&out, &copies);
        for (size_t i = 0; i < count; i++)
            rows_put_extent(&out, &rows[i]);
        good = rows_finish(&out, false);
    }
    health_waited(disk);
    rows_copies_free(&copies);
    mem_free(rows);
    return good;
}

/* In pieces of a transaction each. */
static bool write_all(struct resync *resync, size_t total,
                      bool (*piece)(struct resync *resync, size_t from, size_t count))
{
    for (size_t from = 0; from < total; from += INDEX_TXN_KEYS) {
        size_t left = total - from;
        if (!piece(resync, from, left < INDEX_TXN_KEYS ? left : INDEX_TXN_KEYS))
            return false;
        rcu_quiescent_state();
    }
    return true;
}

bool resync_run(struct disk *disk)
{
    struct resync resync = {.disk = disk};
    int64_t started_ms = clock_mono_ms();
    bool good = health_probe(disk) && begin_anew(disk);
    if (good) {
        objects_copy_none(disk->store->objects, disk->number);
        objects_each(disk->store->objects, object_seen, &resync);
        good = write_all(&resync, resync.objects.count, write_objects);
    }
    if (good) {
        directory_each(disk->store->directory, leaf_seen, &resync);
        good = write_all(&resync, resync.extents.count, write_extents);
    }
    if (good) {
        health_wait(disk, HEALTH_SYNC);
        good = index_sync(disk->index) == STATUS_OK;
        health_waited(disk);
    }
    if (good) {
        marker_uncondemn(disk);
        log_event(STORE_OPEN, "path=%s objects=%zu extents=%zu ms=%lld: the index was made anew from memory",
                  disk->path, resync.objects.count, resync.extents.count, (long long) (clock_mono_ms() - started_ms));
    }
    names_free(&resync.objects);
    names_free(&resync.extents);
    return good;
}
