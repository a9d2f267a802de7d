/* SPDX-License-Identifier: Apache-2.0 */
/* store.c: the store's face: opening and closing, and each call handed to where it belongs. */
#include "store/store.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/mem_parts.h"
#include "base/metric.h"
#include "net/loop.h"
#include "store/block.h"
#include "store/commit.h"
#include "store/disk.h"
#include "store/generation.h"
#include "store/homes.h"
#include "store/inside.h"
#include "store/mount.h"
#include "store/objects.h"
#include "store/opening.h"
#include "store/volume.h"
#include "store/watch.h"

#define BLOCK_SIZE_MIN (16 * 1024)
#define BLOCK_SIZE_MAX (16 * 1024 * 1024)
/* What records may take when no memory bound is set; a quarter of the bound otherwise. */
#define OBJECT_BYTES (256 * 1024 * 1024)
/* How long opening waits for what the disks held: a small store answers with its first request, a large one goes on
 * loading behind its back. */
#define LOAD_WAIT_MS 500
/* Of the room, what may be put ahead of who asks for it, and what is left when eviction begins, with a margin. */
#define AHEAD_PART 32
#define FULL_PART 16

void store_post(struct store *store, struct loop *loop, struct letter *letter)
{
    if (letter != NULL && !atomic_load_explicit(&store->closing, memory_order_relaxed))
        loop_post(loop, letter);
}

static void volumes_close(struct store *store)
{
    for (unsigned i = 0; i < store->disk_count; i++)
        volume_close(store->disks[i]);
}

static enum status volumes_open(struct store *store, const struct store_options *options, struct strbuf *error)
{
    unsigned count = options->disk_count;
    if (count > STORE_DISKS_MAX) {
        strbuf_addf(error, "store: at most %u disks can be used", STORE_DISKS_MAX);
        return STATUS_TOO_LARGE;
    }
    if (store->block_size < BLOCK_SIZE_MIN || store->block_size > BLOCK_SIZE_MAX ||
        store->block_size % ENTRY_PAGE != 0) {
        strbuf_addf(error, "store: block_size must be a multiple of 4 KiB from 16 KiB to 16 MiB");
        return STATUS_INVALID;
    }
    for (unsigned i = 0; i < count; i++) {
        struct disk **disk = &store->disks[store->disk_count];
        enum status status = volume_open(store, store->disk_count, &options->disks[i], disk, error);
        if (status == STATUS_OK)
            store->disk_count++;
        else if (status != STATUS_IO)
            return status;
    }
    return STATUS_OK;
}

/* A directory without a store is a new disk, or one where a disk should be mounted and is not. */
static void tell_of_new(const struct store *store)
{
    unsigned fresh = 0;
    for (unsigned i = 0; i < store->disk_count; i++)
        fresh += store->disks[i]->fresh;
    for (unsigned i = 0; i < store->disk_count; i++) {
        const struct disk *disk = store->disks[i];
        struct mount mount;
        if (!disk->fresh)
            continue;
        mount_of(disk->dir, &mount);
        log_event(STORE_NEW,
                  "path=%s mount=%s device=%s type=%s size=%lld: this directory held no store, and a new one was made "
                  "in it%s%s",
                  disk->path, mount.point, mount.source, mount.type, (long long) mount.size,
                  mount.directory ? "" : "; nothing is mounted on it, so if a disk should be, that is missing",
                  mount.directory || fresh == store->disk_count ? "" : ", as is likely where other disks hold stores");
    }
}

/* Those left out learn from the others, when both are used again, that they have missed something. */
static void tell_of_untold(const struct store *store)
{
    if (store->untold > 0 && store->disk_count == 0)
        log_event(STORE_REFUSED,
                  "disks=%u: no disk is used, and those left out could not be marked: empty them before they are "
                  "used again, since they will not know of writes from now on",
                  store->untold);
}

void store_measure(struct store *store)
{
    for (unsigned i = 0; i < store->disk_count; i++) {
        struct disk *disk = store->disks[i];
        pthread_mutex_lock(&disk->slots.lock);
        int64_t count = (int64_t) disk->slots.high + atomic_load(&disk->fit);
        pthread_mutex_unlock(&disk->slots.lock);
        metric_cell_set(disk->metrics.capacity, count * store->block_size);
    }
}

/* ---- Quotas. ---- */

/* A disk's part of so many bytes, in blocks. */
static double part_of(const struct store *store, const struct disk *disk, int64_t bytes, double total)
{
    return (double) bytes / store->block_size * ((double) disk->weight / total);
}

static void share_quotas(struct store *store, struct disk *disk, const struct store_options *options, double total)
{
    struct quota_row *rows = mem_calloc(options->quota_count + 1, sizeof *rows);
    for (unsigned i = 0; i < options->quota_count; i++) {
        const struct store_quota *quota = &options->quotas[i];
        double reserve = part_of(store, disk, quota->reserve, total), limit = part_of(store, disk, quota->limit, total);
        rows[i] = (struct quota_row){.group = quota->group, .limit = QUOTA_UNLIMITED, .labels = quota->labels};
        rows[i].reserve = reserve < LOCATION_SLOT_MAX ? (uint32_t) reserve : LOCATION_SLOT_MAX;
        rows[i].reserve += (double) rows[i].reserve < reserve;
        if (quota->limit >= 0 && limit < LOCATION_SLOT_MAX)
            rows[i].limit = (uint32_t) limit;
    }
    uint32_t reserved = slots_set_quotas(&disk->slots, rows, options->quota_count);
    uint32_t there = disk->slots.high + atomic_load(&disk->fit);
    if (reserved > there)
        log_event(
            STORE_QUOTA,
            "path=%s reserved_mib=%lld room_mib=%lld: this disk's part of all `reserve`s is more than it has room "
            "for; what fits is kept for whoever comes first",
            disk->path, (long long) ((int64_t) reserved * disk->slots.stride >> 20),
            (long long) ((int64_t) there * disk->slots.stride >> 20));
    mem_free(rows);
}

static void open_quotas(struct store *store, const struct store_options *options)
{
    double total = 0;
    if (options->quota_count == 0)
        return;
    for (unsigned i = 0; i < store->disk_count; i++)
        total += (double) store->disks[i]->weight;
    for (unsigned i = 0; i < store->disk_count; i++)
        share_quotas(store, store->disks[i], options, total);
    for (unsigned i = 0; i < options->quota_count; i++) {
        const struct store_quota *quota = &options->quotas[i];
        if (quota->reserve > 0)
            metric_cell_set(metric_cell(METRIC_STORE_QUOTA_RESERVE, quota->labels), quota->reserve);
        if (quota->limit >= 0)
            metric_cell_set(metric_cell(METRIC_STORE_QUOTA_LIMIT, quota->labels), quota->limit);
    }
}

/* ---- Opening and closing. ---- */

static void object_dirty(void *arg, struct hash128 object)
{
    commit_dirty_object(arg, object);
}

enum status store_open(const struct store_options *options, struct store **store, struct strbuf *error)
{
    struct store *made = mem_calloc(1, sizeof *made);
    made->block_size = options->block_size;
    made->room.most = SIZE_MAX / 2;
    enum status status = volumes_open(made, options, error);
    if (status != STATUS_OK) {
        volumes_close(made);
        mem_free(made);
        return status;
    }
    opening_begin(made);
    tell_of_new(made);
    tell_of_untold(made);
    open_quotas(made, options);
    made->generations = generations_new(options->codec);
    made->directory = directory_new();
    made->commit = commit_new(made);
    made->objects = objects_new(mem_part(MEM_STORE_OBJECTS, OBJECT_BYTES), object_dirty, made->commit);
    for (unsigned i = 0; i < made->disk_count; i++)
        disk_start(made->disks[i]);
    made->watch = watch_start(made);
    commit_start(made->commit);
    commit_wait_loaded(made->commit, LOAD_WAIT_MS);
    store_measure(made);
    *store = made;
    return STATUS_OK;
}

void store_close(struct store *store)
{
    bool ended = true;
    atomic_store(&store->closing, true);
    watch_stop(store->watch);
    for (unsigned i = 0; i < store->disk_count; i++)
        ended = disk_stop(store->disks[i]) && ended;
    if (!commit_stop(store->commit, ended))
        return; /* what hangs may come back and go on using it: left to the end of the process */
    for (unsigned i = 0; i < store->disk_count; i++)
        disk_metrics_gone(&store->disks[i]->metrics);
    volumes_close(store);
    generations_unref(&store->generations);
    mem_free(store);
}

uint32_t store_block_size(const struct store *store)
{
    return store->block_size;
}

struct buf_room *store_room(struct store *store)
{
    return &store->room;
}

bool store_loaded(struct store *store)
{
    return commit_loaded(store->commit);
}

/* ---- Generations and objects. ---- */

struct store_generation *store_generation_new(struct store *store, struct hash128 object, struct hash128 group,
                                              uint64_t id, uint64_t length, struct str record, void *decoded)
{
    uint64_t number = id == 0 ? store_next_id(store) : id;
    return generation_make(store->generations, number, object, group, length, record, decoded);
}

bool store_object_find(struct store *store, struct hash128 object, struct store_view *view)
{
    return objects_find(store->objects, object, view);
}

uint64_t store_object_current(struct store *store, struct hash128 object)
{
    return objects_current(store->objects, object);
}

void store_object_set(struct store *store, struct store_generation *generation, int64_t validated_s, uint64_t stamp)
{
    objects_set(store->objects, generation, validated_s, stamp, store_next_id(store));
    if (objects_over_budget(store->objects))
        commit_kick(store->commit);
}

void store_tombstone(struct store *store, struct hash128 object, struct loop *loop, struct letter *done)
{
    if (objects_forget(store->objects, object, !commit_loaded(store->commit)) && store->disk_count > 0)
        commit_tombstone(store->commit, loop, done);
    else
        store_post(store, loop, done);
}

void store_tombstone_group(struct store *store, struct hash128 group, struct loop *loop, struct letter *done)
{
    commit_group(store->commit, group, store_next_id(store), loop, done);
}

void store_intent_begin(struct store *store, struct loop *loop, struct letter *done)
{
    if (commit_intent_begin(store->commit, loop, done))
        store_post(store, loop, done);
}

void store_intent_end(struct store *store)
{
    commit_intent_end(store->commit);
}

/* ---- Blocks. ---- */

bool store_has_block(struct store *store, uint64_t generation, uint64_t block)
{
    return block_at_hand(store, generation, block) != 0;
}

void store_load_block(struct store *store, struct store_load *load)
{
    uint64_t location = block_at_hand(store, load->generation, load->block);
    load->buf = NULL;
    if (location != 0) {
        disk_load(store->disks[location_disk(location)], load);
        return;
    }
    load->status = STATUS_NOT_FOUND;
    store_post(store, load->loop, &load->done);
}

static bool would_keep(struct store *store, const struct store_generation *generation, uint64_t block)
{
    if (store_has_block(store, generation->id, block))
        return true;
    struct disk *disk = home_of_block(store, generation->object, block);
    return disk != NULL &&
           disk_expects(disk, generation, store_block_length(generation->length, store->block_size, block));
}

bool store_would_keep(struct store *store, const struct store_generation *generation, uint64_t first, uint64_t last)
{
    uint64_t most = 0;
    for (unsigned i = 0; i < store->disk_count; i++)
        most += disk_takes(store->disks[i]) ? evict_most(store->disks[i]->slots.evict, generation->group) : 0;
    return last - first < most && would_keep(store, generation, first) && would_keep(store, generation, last);
}

unsigned store_disks(const struct store *store)
{
    return store->disk_count;
}

unsigned store_load_disk(struct store *store, uint64_t generation, uint64_t block)
{
    uint64_t location = block_at_hand(store, generation, block);
    return location == 0 ? 0 : location_disk(location);
}

size_t store_load_queued(const struct store *store, unsigned disk)
{
    return disk < store->disk_count ? atomic_load_explicit(&store->disks[disk]->load_bytes, memory_order_relaxed) : 0;
}

enum status store_put_block(struct store *store, const struct store_generation *generation, uint64_t block,
                            struct buf *buf, uint32_t length, struct loop *loop, struct letter *done)
{
    assert(length == store_block_length(generation->length, store->block_size, block));
    assert(length <= buf_filled(buf));
    if (length == 0 || store_has_block(store, generation->id, block)) {
        store_post(store, loop, done);
        return STATUS_OK;
    }
    struct disk *disk = home_of_block(store, generation->object, block);
    if (disk == NULL)
        return STATUS_BUSY;
    return disk_put(disk, generation, block, buf, length, loop, done);
}

int64_t store_put_ahead(const struct store *store, struct hash128 group)
{
    int64_t ahead = 0;
    for (unsigned i = 0; i < store->disk_count; i++) {
        struct disk *disk = store->disks[i];
        if (!disk_takes(disk) || disk_queued(disk) > disk->put_most / 2 || !evict_expects(disk->slots.evict, group))
            continue; /* what comes now stays in memory */
        int64_t capacity = metric_cell_value(disk->metrics.capacity);
        int64_t left = capacity - capacity / FULL_PART - metric_cell_value(disk->metrics.bytes);
        int64_t most = (int64_t) evict_most(disk->slots.evict, group) * store->block_size;
        if (most < capacity) /* it has a limit */
            ahead += most / AHEAD_PART;
        else
            ahead += capacity / AHEAD_PART + (left > 0 ? left / 4 : 0);
    }
    return ahead;
}

unsigned store_limit_over(const struct store *store, struct hash128 group)
{
    return store->disk_count == 0 ? 0 : evict_limit_over(store->disks[0]->slots.evict, group); /* all have the same */
}

void store_flush(struct store *store, struct loop *loop, struct letter *done)
{
    commit_flush(store->commit, loop, done);
}
