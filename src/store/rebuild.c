/* SPDX-License-Identifier: Apache-2.0 */
/* rebuild.c: slots read, records and blocks claimed, rows written. */
#include "store/rebuild.h"

#include <errno.h>
#include <fcntl.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/block.h"
#include "store/commit.h"
#include "store/damage.h"
#include "store/entry.h"
#include "store/generation.h"
#include "store/homes.h"
#include "store/index.h"
#include "store/io.h"
#include "store/names.h"
#include "store/objects.h"
#include "store/record.h"
#include "store/round.h"
#include "store/rows.h"
#include "store/segment.h"

/* Slots whose headers have been asked for and not been read yet. */
#define AHEAD 1024
/* Headers read without a look at anything else. */
#define BATCH 64
/* After which a step ends, when its batch does. */
#define STEP_MS 5
#define STEP_ROWS 5000
#define PROGRESS_MS 10000

struct rebuild {
    struct disk *disk;
    enum { REBUILD_BEGIN, REBUILD_SCAN, REBUILD_ROWS, REBUILD_DONE } phase;
    uint32_t slot;        /* the next to be read */
    uint32_t ahead;       /* the next to be asked for */
    uint32_t segment;     /* the one that is walked */
    struct names extents; /* struct round_extent: what was found, in the order of finding */
    size_t row;           /* the next of them to be written */
    uint8_t *space;       /* of a segment, or NULL */
    size_t objects, blocks, dropped, damaged;
    int64_t progress_ms;
    uint8_t headers[BATCH][ENTRY_HEADER_SIZE];
};

struct rebuild *rebuild_new(struct disk *disk)
{
    struct rebuild *rebuild = mem_calloc(1, sizeof *rebuild);
    rebuild->disk = disk;
    rebuild->progress_ms = clock_mono_ms();
    return rebuild;
}

void rebuild_free(struct rebuild *rebuild)
{
    names_free(&rebuild->extents);
    mem_free(rebuild->space);
    mem_free(rebuild);
}

bool rebuild_has_objects(const struct rebuild *rebuild)
{
    return rebuild->phase >= REBUILD_ROWS;
}

void rebuild_count(const struct rebuild *rebuild, size_t *objects, size_t *blocks, size_t *dropped)
{
    *objects = rebuild->objects;
    *blocks = rebuild->blocks;
    *dropped = rebuild->dropped + rebuild->damaged;
}

static void progress(struct rebuild *rebuild)
{
    struct disk *disk = rebuild->disk;
    int64_t now_ms = clock_mono_ms();
    if (now_ms < rebuild->progress_ms + PROGRESS_MS)
        return;
    rebuild->progress_ms = now_ms;
    log_event(STORE_REBUILD, "path=%s slots=%u of=%u objects=%zu blocks=%zu rows=%zu of=%zu", disk->path, rebuild->slot,
              disk->slots.high, rebuild->objects, rebuild->blocks, rebuild->row, rebuild->extents.count);
}

static void damaged(struct rebuild *rebuild, uint32_t slot, uint32_t offset, const char *what)
{
    rebuild->damaged++;
    damage_found(rebuild->disk, slot, offset,
                 ": %s was left out because its check failed; what it held is fetched "
                 "again when it is asked for",
                 what);
}

/* ---- What is found. ---- */

/* Whether it is this store's, and numbered before this start. */
static bool is_ours(const struct disk *disk, const struct entry *entry)
{
    return hash128_eq(entry->store, disk->label.id) && entry->incarnation == disk->label.incarnation &&
           entry->generation < disk->store->first_id && entry->sequence < disk->store->first_id;
}

static void block_seen(struct rebuild *rebuild, const struct entry *entry, uint64_t location)
{
    struct disk *disk = rebuild->disk;
    bool packed = location & LOCATION_PACKED, first = false;
    bool good = entry->generation != 0 && entry->block / STORE_EXTENT_BLOCKS <= UINT32_MAX && entry->length > 0 &&
                entry->length == store_block_length(entry->total, disk->store->block_size, entry->block) &&
                packed == (entry->length <= disk->store->block_size / 2) && block_found(disk, entry, location, &first);
    rebuild->blocks += good;
    rebuild->dropped += !good;
    if (first)
        *(struct round_extent *) names_add(&rebuild->extents, sizeof(struct round_extent)) =
            (struct round_extent){entry->generation, entry->block / STORE_EXTENT_BLOCKS};
}

static void record_seen(struct rebuild *rebuild, const struct entry *entry, uint64_t location, const uint8_t *body)
{
    struct disk *disk = rebuild->disk;
    struct store *store = disk->store;
    struct str record = {(const char *) body, entry->length};
    void *decoded;
    if (entry->generation == 0 || entry->length > STORE_RECORD_MAX ||
        !generation_decode(store->generations, record, entry->total, &decoded)) {
        rebuild->dropped++;
        return;
    }
    struct store_generation *generation = generation_make(store->generations, entry->generation, entry->object,
                                                          entry->group, entry->total, record, decoded);
    bool home = home_is(disk, entry->object);
    uint64_t place = home && record_claim(disk, location, entry->length) ? location : 0;
    /* Records from before they had a sequence of their own take their segment's. */
    uint64_t sequence = entry->sequence != 0 ? entry->sequence : entry->segment;
    rebuild->objects += home && objects_current(store->objects, entry->object) != entry->generation;
    struct objects_place dead = objects_found(store->objects, &generation, sequence, place);
    record_dead(store, dead.location, dead.length);
}

static void entry_seen(void *arg, const struct entry *entry, uint32_t offset, const uint8_t *body)
{
    struct rebuild *rebuild = arg;
    struct disk *disk = rebuild->disk;
    if (!is_ours(disk, entry) || (entry->kind != ENTRY_BLOCK && entry->kind != ENTRY_RECORD))
        return;
    if (entry_checksum(body, entry->length) != entry->checksum) {
        damaged(rebuild, rebuild->segment, offset, entry->kind == ENTRY_BLOCK ? "a block" : "a record");
        return;
    }
    uint64_t location = location_packed(disk->number, disk->label.incarnation, rebuild->segment, offset);
    if (entry->kind == ENTRY_BLOCK)
        block_seen(rebuild, entry, location);
    else
        record_seen(rebuild, entry, location, body);
}

/* ---- Slots. ---- */

static enum status read_slot(struct rebuild *rebuild, uint32_t slot, void *to, size_t size)
{
    struct slots *slots = &rebuild->disk->slots;
    struct iovec iov = {to, size};
    enum status status = io_read_all(slots_fd(slots, slot), &iov, 1, slots_offset(slots, slot));
    if (status == STATUS_IO)
        disk_error(rebuild->disk, "read", errno);
    return status;
}

static void segment_seen(struct rebuild *rebuild, uint32_t slot)
{
    struct slots *slots = &rebuild->disk->slots;
    if (rebuild->space == NULL)
        rebuild->space = mem_aligned(ENTRY_PAGE, slots->stride);
    health_wait(rebuild->disk, HEALTH_SYNC);
    enum status status = read_slot(rebuild, slot, rebuild->space, slots->stride);
    health_waited(rebuild->disk);
    rebuild->segment = slot;
    if (status == STATUS_OK)
        segment_walk(rebuild->space, slots->stride, entry_seen, rebuild);
}

static bool is_zero(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

static void slot_seen(struct rebuild *rebuild, uint32_t slot, const uint8_t *header)
{
    struct disk *disk = rebuild->disk;
    struct entry entry;
    if (entry_decode(header, &entry) != STATUS_OK) {
        if (!is_zero(header, ENTRY_HEADER_SIZE))
            damaged(rebuild, slot, 0, "a slot");
    } else if (is_ours(disk, &entry) && entry.kind == ENTRY_SEGMENT) {
        segment_seen(rebuild, slot);
    } else if (is_ours(disk, &entry) && entry.kind == ENTRY_BLOCK) {
        block_seen(rebuild, &entry, location_make(disk->number, disk->label.incarnation, slot));
    }
}

/* Reads ahead are asked for by the thousand, so that a disk that does many at once does. Their pages are left to the
 * system to drop: told to, at once, it would first wait for all its processors. */
static void ask_ahead(struct rebuild *rebuild)
{
    struct slots *slots = &rebuild->disk->slots;
    for (; rebuild->ahead < slots->high && rebuild->ahead < rebuild->slot + AHEAD; rebuild->ahead++)
        (void) posix_fadvise(slots_fd(slots, rebuild->ahead), slots_offset(slots, rebuild->ahead), ENTRY_PAGE,
                             POSIX_FADV_WILLNEED);
}

static void scan_batch(struct rebuild *rebuild)
{
    uint32_t first = rebuild->slot, left = rebuild->disk->slots.high - first;
    unsigned count = left < BATCH ? left : BATCH;
    bool good[BATCH];
    health_wait(rebuild->disk, HEALTH_SYNC);
    ask_ahead(rebuild);
    for (unsigned i = 0; i < count; i++)
        good[i] = read_slot(rebuild, first + i, rebuild->headers[i], ENTRY_HEADER_SIZE) == STATUS_OK;
    health_waited(rebuild->disk);
    for (unsigned i = 0; i < count; i++)
        if (good[i])
            slot_seen(rebuild, first + i, rebuild->headers[i]);
    rebuild->slot += count;
}

static void scan(struct rebuild *rebuild)
{
    int64_t until_ms = clock_mono_ms() + STEP_MS;
    while (rebuild->slot < rebuild->disk->slots.high && clock_mono_ms() < until_ms)
        scan_batch(rebuild);
    if (rebuild->slot == rebuild->disk->slots.high)
        rebuild->phase = REBUILD_ROWS;
}

/* What was left by a process that was killed need not be on the disk yet. */
static void begin(struct rebuild *rebuild)
{
    struct disk *disk = rebuild->disk;
    for (uint32_t slot = 0; slot < disk->slots.high; slot += SLOT_PER_FILE)
        slots_written(&disk->slots, slot);
    health_wait(disk, HEALTH_SYNC);
    enum status status = slots_sync(&disk->slots);
    int error = errno;
    health_waited(disk);
    if (status != STATUS_OK)
        disk_error(disk, "sync", error);
    rebuild->phase = REBUILD_SCAN;
}

/* ---- Rows. ---- */

/* Takes out what is not current. */
static void sweep(struct rebuild *rebuild, const struct round_extent *name)
{
    struct store *store = rebuild->disk->store;
    struct leaf *leaf = directory_find(store->directory, name->generation, name->extent);
    if (leaf == NULL)
        return;
    directory_lock(store->directory, name->generation, name->extent);
    struct hash128 object = leaf->object, group;
    directory_unlock(store->directory, name->generation, name->extent);
    if (objects_is_current(store->objects, object, name->generation, leaf->length, &group))
        return;
    for (unsigned i = 0; i < STORE_EXTENT_BLOCKS; i++) {
        uint64_t location = atomic_load_explicit(&leaf->location[i], memory_order_acquire);
        if (location != 0 && block_drop(store, name->generation, name->extent * STORE_EXTENT_BLOCKS + i, location)) {
            rebuild->blocks--;
            rebuild->dropped++;
        }
    }
}

/* The extent as it is now. What of it lies on other disks did not reach their indexes while the leaf counted as dirty.
 */
static void take_row(struct disk *disk, const struct round_extent *name, struct index_extent *row)
{
    bool elsewhere = false;
    rows_extent(disk->store, name->generation, name->extent, true, row);
    for (unsigned i = 0; i < STORE_EXTENT_BLOCKS; i++)
        elsewhere = elsewhere || (row->location[i] != 0 && location_disk(row->location[i]) != disk->number);
    if (elsewhere)
        block_row_again(disk->store, name->generation, name->extent);
}

static enum status write_rows(struct rebuild *rebuild)
{
    struct disk *disk = rebuild->disk;
    const struct round_extent *names = (const struct round_extent *) rebuild->extents.items + rebuild->row;
    size_t left = rebuild->extents.count - rebuild->row, count = left < STEP_ROWS ? left : STEP_ROWS;
    struct index_extent *extents = mem_calloc(count + 1, sizeof *extents);
    struct names copies = {0};
    struct rows rows;
    for (size_t i = 0; i < count; i++) {
        sweep(rebuild, &names[i]);
        take_row(disk, &names[i], &extents[i]);
        rows_copy_take(disk, &extents[i], &copies);
    }
    rebuild->row += count;
    health_wait(disk, HEALTH_SYNC);
    rows_begin(&rows, disk);
    rows_put_copies(&rows, &copies);
    for (size_t i = 0; i < count; i++)
        rows_put_extent(&rows, &extents[i]);
    if (count == left && rows.status == STATUS_OK)
        index_put_meta(disk->index, "mark", disk->store->first_id);
    (void) rows_finish(&rows, count == left);
    health_waited(disk);
    rows_copies_free(&copies);
    mem_free(extents);
    if (count == left)
        rebuild->phase = REBUILD_DONE;
    return rows.status;
}

enum status rebuild_step(struct rebuild *rebuild, bool *more)
{
    enum status status = STATUS_OK;
    switch (rebuild->phase) {
    case REBUILD_BEGIN:
        begin(rebuild);
        break;
    case REBUILD_SCAN:
        scan(rebuild);
        break;
    case REBUILD_ROWS:
        status = write_rows(rebuild);
        break;
    case REBUILD_DONE:
        break;
    }
    progress(rebuild);
    *more = rebuild->phase != REBUILD_DONE;
    return status;
}
