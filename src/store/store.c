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
#include "base/metric.h"
#include "net/loop.h"
#include "store/block.h"
#include "store/commit.h"
#include "store/disk.h"
#include "store/generation.h"
#include "store/index.h"
#include "store/inside.h"
#include "store/lost.h"
#include "store/mount.h"
#include "store/objects.h"
#include "store/volume.h"
#include "store/watch.h"

#define BLOCK_SIZE_MIN (16 * 1024)
#define BLOCK_SIZE_MAX (16 * 1024 * 1024)
/* What records may take when no memory bound is set; a quarter of the bound otherwise. */
#define OBJECT_BYTES (256 * 1024 * 1024)
/* How long opening waits for what the disks held: a small store answers with its first request, a large one goes on
 * loading behind its back. */
#define LOAD_WAIT_MS 500
/* Openings are numbered by minutes since 2020 or by a little more than the last, whichever is later: so numbers also
 * rise where nothing could be kept, and where disks are swapped. */
#define OPENING_EPOCH_S INT64_C(1577836800)

/* −log2(x / 2^64), by the exponent and a straight line between powers of two: good enough to share disks by size. */
static double minus_log2(uint64_t x)
{
    int exponent = 63 - __builtin_clzll(x | 1);
    return 64 - exponent - ((double) (x | 1) / (double) (UINT64_C(1) << exponent) - 1);
}

static double score_of(const struct disk *disk, uint64_t hash)
{
    return minus_log2(hash_mix(hash, disk->label.id.lo)) / (double) disk->weight;
}

struct disk *store_disk_of(const struct store *store, uint64_t hash)
{
    if (store->disk_count <= 1)
        return store->disk_count == 0 ? NULL : store->disks[0];
    struct disk *best = NULL;
    double best_score = 0;
    for (unsigned i = 0; i < store->disk_count; i++) {
        struct disk *disk = store->disks[i];
        double score = score_of(disk, hash);
        if (best == NULL || score < best_score) {
            best = disk;
            best_score = score;
        }
    }
    return best;
}

/* Where a new block goes: to its name's disk, or to the one after that while the first is not used, or has much queued
 * and the other has not: so a slow disk gets fewer. NULL: nowhere. */
static struct disk *disk_for_block(const struct store *store, uint64_t hash)
{
    struct disk *best[2] = {NULL, NULL};
    double scores[2] = {0, 0};
    for (unsigned i = 0; i < store->disk_count; i++) {
        struct disk *disk = store->disks[i];
        double score = score_of(disk, hash);
        if (!disk_takes(disk))
            continue;
        if (best[0] == NULL || score < scores[0]) {
            best[1] = best[0];
            scores[1] = scores[0];
            best[0] = disk;
            scores[0] = score;
        } else if (best[1] == NULL || score < scores[1]) {
            best[1] = disk;
            scores[1] = score;
        }
    }
    bool slow = best[1] != NULL && disk_queued(best[0]) > best[0]->put_most / 4 &&
                disk_queued(best[1]) < disk_queued(best[0]) / 2;
    return best[slow];
}

void store_post(struct store *store, struct loop *loop, struct letter *letter)
{
    if (letter != NULL && !atomic_load_explicit(&store->closing, memory_order_relaxed))
        loop_post(loop, letter);
}

/* ---- Opening and closing. ---- */

/* A disk that failed while it was being opened; the others move up. `lost`: the next start rebuilds its index. */
static void leave_out(struct store *store, unsigned number, const char *what, bool lost)
{
    struct disk *disk = store->disks[number];
    volume_forsake(disk, what);
    if (lost && volume_condemn(disk) != STATUS_OK)
        disk_error(disk, "marker", errno);
    volume_close(disk);
    store->disk_count--;
    for (unsigned i = number; i < store->disk_count; i++) {
        store->disks[i] = store->disks[i + 1];
        store->disks[i]->number = i;
    }
}

/* What the disk remembers of earlier openings; false: its index cannot be read. */
static bool recall(struct disk *disk, uint64_t *opening)
{
    uint64_t intent = 0;
    *opening = 0;
    enum status statuses[] = {index_get_meta(disk->index, "opening", opening),
                              index_get_meta(disk->index, "intent", &intent)};
    disk->doubted = disk->doubted || intent != 0;
    for (unsigned i = 0; i < sizeof statuses / sizeof *statuses; i++)
        if (statuses[i] != STATUS_OK && statuses[i] != STATUS_NOT_FOUND)
            return false;
    if (disk->label.opening > *opening)
        *opening = disk->label.opening;
    return lost_recall(disk);
}

/* Tells apart the sets of disks, and their sizes, that share objects differently. */
static uint64_t homes_sum(const struct store *store)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < store->disk_count; i++)
        sum += hash_mix(store->disks[i]->label.id.lo, (uint64_t) store->disks[i]->weight);
    return sum;
}

/* Writes who shares the objects now. Where that is news, homes may have moved, and there are rows with a time that
 * their new homes are not told to forget: until they have been found (recover.c) a crash must not have them believed.
 */
static void record_homes(struct disk *disk)
{
    const struct store *store = disk->store;
    uint64_t before, now = homes_sum(store);
    enum status status = index_get_meta(disk->index, "homes", &before);
    disk->moved = disk->moved || (store->disk_count > 1 && (status != STATUS_OK || before != now));
    index_begin(disk->index);
    index_put_meta(disk->index, "homes", now);
    index_put_meta(disk->index, "disks", store->disk_count);
}

static bool record_opening(struct disk *disk, uint64_t opening)
{
    lost_end(disk, opening << GENERATION_OPENING_SHIFT);
    record_homes(disk);
    index_put_meta(disk->index, "opening", opening);
    lost_put(disk);
    if (disk->doubted || disk->moved)
        index_put_meta(disk->index, "intent", 1); /* until all that is doubted has been written so */
    return index_commit(disk->index) == STATUS_OK && index_sync(disk->index) == STATUS_OK &&
           volume_number(disk, opening) == STATUS_OK;
}

/* In all indexes. */
static void record_openings(struct store *store, uint64_t opening)
{
    for (unsigned i = 0; i < store->disk_count;) {
        if (record_opening(store->disks[i], opening)) {
            i++;
            continue;
        }
        leave_out(store, i, "the index cannot be written", false);
        i = 0; /* the others share its objects now */
    }
    for (unsigned i = 0; i < store->disk_count; i++)
        volume_opened(store->disks[i]);
}

/* Whether disks are missing that were used when the one that was used last was opened. Any of them may have been used
 * since without those that are here, and have been told what they were not: then no validation of before is believed.
 */
static void look_for_away(struct store *store, const uint64_t *openings, uint64_t last)
{
    uint64_t then = 0, value;
    unsigned known = 0;
    for (unsigned i = 0; i < store->disk_count; i++) {
        known += openings[i] != 0;
        if (openings[i] == last && index_get_meta(store->disks[i]->index, "disks", &value) == STATUS_OK && value > then)
            then = value;
    }
    if (then <= known)
        return;
    store->away = (unsigned) then - known;
    for (unsigned i = 0; i < store->disk_count; i++)
        store->disks[i]->doubted = true;
    log_event(STORE_AWAY,
              "disks=%u of=%u: not all disks of the last start are there; what lies on the missing ones is fetched "
              "again until they are back, what lies on the others stays, once the origin says that it still stands",
              known, (unsigned) then);
}

static void number_openings(struct store *store)
{
    uint64_t opening = (uint64_t) ((clock_wall_s() - OPENING_EPOCH_S) / 60), before[STORE_DISKS_MAX], last = 0;
    if (clock_wall_s() < OPENING_EPOCH_S)
        opening = 1;
    for (unsigned i = store->disk_count; i-- > 0;)
        if (!recall(store->disks[i], &before[i])) {
            leave_out(store, i, "the index cannot be read", true);
            memmove(&before[i], &before[i + 1], (store->disk_count - i) * sizeof *before);
        }
    for (unsigned i = 0; i < store->disk_count; i++)
        last = before[i] > last ? before[i] : last;
    /* A process goes on into the next opening for each disk that falls behind, and tells the others then (round.c):
     * what it could not tell any more must not come again either. */
    if (opening <= last + STORE_DISKS_MAX)
        opening = last + 1 + STORE_DISKS_MAX;
    /* One that was away while others were used has missed what was written then. */
    for (unsigned i = 0; i < store->disk_count; i++)
        store->disks[i]->doubted = store->disks[i]->doubted || before[i] < last;
    look_for_away(store, before, last);
    record_openings(store, opening);
    store->first_id = opening << GENERATION_OPENING_SHIFT | 1;
    atomic_store(&store->next_id, store->first_id);
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

enum status store_open(const struct store_options *options, struct store **store, struct strbuf *error)
{
    struct store *made = mem_calloc(1, sizeof *made);
    made->block_size = options->block_size;
    enum status status = volumes_open(made, options, error);
    if (status != STATUS_OK) {
        volumes_close(made);
        mem_free(made);
        return status;
    }
    number_openings(made);
    tell_of_new(made);
    tell_of_untold(made);
    open_quotas(made, options);
    made->generations = generations_new(options->codec);
    made->directory = directory_new();
    made->objects = objects_new(mem_limit() == 0 ? OBJECT_BYTES : mem_limit() / 4);
    made->commit = commit_new(made);
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
    if (objects_set(store->objects, generation, validated_s, stamp, store_next_id(store)))
        commit_dirty_object(store->commit, generation->object);
    if (objects_over_budget(store->objects))
        commit_kick(store->commit);
}

void store_tombstone(struct store *store, struct hash128 object, struct loop *loop, struct letter *done)
{
    bool dirty;
    bool expect = !commit_loaded(store->commit);
    enum objects_known known = objects_forget(store->objects, object, expect, &dirty);
    if (dirty)
        commit_dirty_object(store->commit, object);
    if (known == OBJECTS_KNOWN && store->disk_count > 0)
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

/* Where a block goes. What an object begins with lies with its record, so that a small one is lost with one disk, and
 * has no copies. */
static uint64_t extent_hash(const struct store_generation *generation, uint64_t block)
{
    uint64_t extent = block / STORE_EXTENT_BLOCKS;
    return extent == 0 ? generation->object.lo : hash_mix(generation->object.lo, extent);
}

static bool would_keep(struct store *store, const struct store_generation *generation, uint64_t block)
{
    if (store_has_block(store, generation->id, block))
        return true;
    struct disk *disk = disk_for_block(store, extent_hash(generation, block));
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

enum status store_put_block(struct store *store, const struct store_generation *generation, uint64_t block,
                            struct buf *buf, uint32_t length, struct loop *loop, struct letter *done)
{
    assert(length == store_block_length(generation->length, store->block_size, block));
    assert(length <= buf_filled(buf));
    if (length == 0 || store_has_block(store, generation->id, block)) {
        store_post(store, loop, done);
        return STATUS_OK;
    }
    uint64_t hash = extent_hash(generation, block);
    struct disk *disk = disk_for_block(store, hash);
    if (disk == NULL)
        disk = store_disk_of(store, hash); /* which counts why not */
    if (disk == NULL)
        return STATUS_BUSY;
    return disk_put(disk, generation, block, buf, length, loop, done);
}

void store_flush(struct store *store, struct loop *loop, struct letter *done)
{
    commit_flush(store->commit, loop, done);
}
