/* SPDX-License-Identifier: Apache-2.0 */
/* transfer.c: what is written, and what is believed of what is read. */
#include "store/transfer.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/block.h"
#include "store/commit.h"
#include "store/damage.h"
#include "store/io.h"
#include "store/location.h"
#include "store/reclaim.h"
#include "store/resident.h"
#include "store/segment.h"

/* How long a put waits for eviction before it is given up. */
#define SPACE_WAIT_MS 2000
#define SPACE_LOOK_MS 20
#define SPACE_WAIT_CLOSING_MS 100

static struct entry entry_of(const struct disk *disk, enum entry_kind kind)
{
    return (struct entry){.kind = kind, .store = disk->label.id, .incarnation = disk->label.incarnation};
}

static const uint8_t zeros[ENTRY_PAGE];

/* The file is marked after the write: a sync that takes the mark before would not cover it, and no later one would come
 * before the block's row. */
static enum status write_slot(struct slots *slots, uint32_t slot, const struct iovec *iov, int count, uint32_t from)
{
    enum status status = io_write_all(slots_fd(slots, slot), iov, count, slots_offset(slots, slot) + from);
    int error = errno;
    slots_written(slots, slot);
    errno = error;
    return status;
}

static void distrust(void *arg, struct leaf *leaf)
{
    const uint64_t *lies = arg;
    for (unsigned i = 0; i < STORE_EXTENT_BLOCKS; i++) {
        uint64_t location = atomic_load_explicit(&leaf->location[i], memory_order_relaxed);
        if (location != 0 && location_disk(location) == location_disk(*lies) &&
            location_slot(location) / SLOT_PER_FILE == location_slot(*lies) / SLOT_PER_FILE)
            directory_flag(&leaf->location[i], location, 0, LOCATION_VERIFIED);
    }
}

/* Whoever cuts a data file leaves a page of it in memory whose end is zeros now, and a write behind it would have that
 * shown as what was checked. So before the file grows again nothing in it counts as checked any more. Online. */
static void look_for_cut(struct disk *disk, uint32_t slot)
{
    health_wait(disk, HEALTH_WRITE);
    bool cut = slots_cut(&disk->slots, slot);
    health_waited(disk);
    if (!cut)
        return;
    char file[SLOT_FILE_NAME];
    slot_file_name(file, slot / SLOT_PER_FILE);
    log_event(
        STORE_LOST,
        "path=%s reason=data-file file=%s: this data file was cut short while it was used; what lay from there on "
        "is fetched again when it is asked for",
        disk->path, file);
    uint64_t lies = location_make(disk->number, disk->label.incarnation, slot);
    directory_each(disk->store->directory, distrust, &lies);
    health_wait(disk, HEALTH_WRITE);
    slots_mend(&disk->slots, slot);
    health_waited(disk);
}

/* Takes the slots' lock, when more of them have been made if there should be. */
static void lock_space(struct disk *disk)
{
    uint32_t last = slots_grow_behind(&disk->slots);
    if (last != SLOT_NONE)
        look_for_cut(disk, last);
    health_wait(disk, HEALTH_WRITE);
    slots_lock_grown(&disk->slots);
    health_waited(disk);
}

/* A header alone on its page, then the body, in one write. */
static enum status write_paged(struct disk *disk, uint32_t slot, const struct entry *entry, const uint8_t *body)
{
    uint8_t page[ENTRY_PAGE];
    memcpy(page, zeros, sizeof page);
    entry_encode(entry, page);
    struct iovec iov[2] = {{page, sizeof page}, {(void *) (uintptr_t) body, entry->length}};
    metric_cell_add(disk->metrics.disk_written, (int64_t) sizeof page + entry->length);
    return write_slot(&disk->slots, slot, iov, entry->length > 0 ? 2 : 1, 0);
}

static void write_result(struct disk *disk, enum status status)
{
    if (status == STATUS_OK) {
        if (atomic_load_explicit(&disk->write_errors, memory_order_relaxed) != 0)
            atomic_store_explicit(&disk->write_errors, 0, memory_order_relaxed);
        return;
    }
    disk_error(disk, "write", errno);
    atomic_store_explicit(&disk->rest_until_ms, clock_mono_ms() + DISK_REST_MS, memory_order_relaxed);
    atomic_fetch_add_explicit(&disk->write_errors, 1, memory_order_relaxed);
}

static uint32_t wait_for_slot(struct disk *disk)
{
    struct slots *slots = &disk->slots;
    int64_t deadline = clock_mono_ms() + SPACE_WAIT_MS;
    for (;;) {
        lock_space(disk);
        uint32_t slot = slots_alloc(slots, false);
        bool never = slots->high <= SLOT_SPARE && !slots_may_grow(slots); /* there is nothing to evict */
        bool held = slots->held_count > 0;
        pthread_mutex_unlock(&slots->lock);
        if (atomic_load(&disk->store->closing) && deadline > clock_mono_ms() + SPACE_WAIT_CLOSING_MS)
            deadline = clock_mono_ms() + SPACE_WAIT_CLOSING_MS;
        if (slot != SLOT_NONE || never || clock_mono_ms() >= deadline)
            return slot;
        if (reclaim_run(disk))
            continue;
        /* Another thread is at it, or a round has to come first. */
        if (held)
            commit_hurry(disk->store->commit);
        rcu_thread_offline();
        pthread_mutex_lock(&slots->lock);
        if (slots->free_count <= SLOT_SPARE)
            (void) clock_cond_wait(&slots->freed, &slots->lock, clock_mono_ms() + SPACE_LOOK_MS);
        pthread_mutex_unlock(&slots->lock);
        rcu_thread_online();
    }
}

/* Nothing lies in the slot, if there is one. */
static void put_back(struct disk *disk, uint32_t slot, const struct store_generation *generation)
{
    pthread_mutex_lock(&disk->slots.lock);
    slots_disclaim(&disk->slots, generation->group);
    if (slot != SLOT_NONE)
        slots_free_unseen(&disk->slots, slot);
    pthread_mutex_unlock(&disk->slots.lock);
}

static enum status put_whole(struct disk *disk, const struct store_generation *generation, uint64_t block,
                             const struct entry *entry, const uint8_t *body)
{
    if (!reclaim_claim(disk, generation->group))
        return STATUS_BUSY;
    uint32_t slot = wait_for_slot(disk);
    if (slot == SLOT_NONE) {
        put_back(disk, slot, generation);
        return STATUS_NO_SPACE;
    }
    struct entry dated = *entry;
    dated.sequence = store_next_id(disk->store);
    look_for_cut(disk, slot);
    health_wait(disk, HEALTH_WRITE);
    enum status status = write_paged(disk, slot, &dated, body);
    health_waited(disk);
    write_result(disk, status);
    uint64_t location = location_make(disk->number, disk->label.incarnation, slot) | LOCATION_VERIFIED;
    if (status == STATUS_OK && block_publish(disk, generation, block, location))
        return STATUS_OK;
    put_back(disk, slot, generation);
    return status;
}

static enum status write_packed(struct disk *disk, const struct segment_room *room, const struct entry *entry,
                                const uint8_t *body)
{
    struct slots *slots = &disk->slots;
    uint8_t header[ENTRY_HEADER_SIZE];
    entry_encode(entry, header);
    uint32_t after = entry_packed_size(entry->length) - ENTRY_HEADER_SIZE - entry->length + room->after;
    struct iovec iov[IO_PIECES];
    int count = 0;
    if (room->before > 0)
        iov[count++] = (struct iovec){(void *) (uintptr_t) zeros, room->before};
    iov[count++] = (struct iovec){header, sizeof header};
    if (entry->length > 0)
        iov[count++] = (struct iovec){(void *) (uintptr_t) body, entry->length};
    if (room->after > 0)
        iov[count++] = (struct iovec){(void *) (uintptr_t) zeros, after};
    metric_cell_add(disk->metrics.disk_written,
                    (int64_t) room->before + entry_packed_size(entry->length) + room->after);
    return write_slot(slots, room->slot, iov, count, room->offset - room->before);
}

enum status transfer_pack(struct disk *disk, const struct entry *entry, const uint8_t *body, bool spare,
                          uint64_t *location)
{
    struct slots *slots = &disk->slots;
    struct segment_room room;
    struct entry own = *entry;
    lock_space(disk);
    bool found = segment_reserve(slots, entry_packed_size(entry->length), spare, &room);
    if (found && room.fresh)
        slots->segment_sequence = store_next_id(disk->store);
    own.segment = slots->segment_sequence;
    pthread_mutex_unlock(&slots->lock);
    if (!found)
        return STATUS_NO_SPACE;
    enum status status = STATUS_OK;
    look_for_cut(disk, room.slot);
    health_wait(disk, HEALTH_WRITE);
    if (room.fresh) {
        struct entry first = entry_of(disk, ENTRY_SEGMENT);
        first.sequence = own.segment;
        status = write_paged(disk, room.slot, &first, NULL);
    }
    if (status == STATUS_OK)
        status = write_packed(disk, &room, &own, body);
    health_waited(disk);
    write_result(disk, status);
    *location = location_packed(disk->number, disk->label.incarnation, room.slot, room.offset) | LOCATION_VERIFIED;
    if (status != STATUS_OK)
        transfer_packed_done(disk, *location, entry->length, false);
    return status;
}

void transfer_packed_done(struct disk *disk, uint64_t location, uint32_t length, bool kept)
{
    pthread_mutex_lock(&disk->slots.lock);
    if (!kept)
        segment_dead(&disk->slots, location_slot(location), entry_packed_size(length));
    segment_written(&disk->slots, location_slot(location));
    pthread_mutex_unlock(&disk->slots.lock);
}

static enum status put_packed(struct disk *disk, const struct store_generation *generation, uint64_t block,
                              const struct entry *entry, const uint8_t *body)
{
    uint64_t location;
    enum status status = transfer_pack(disk, entry, body, false, &location);
    if (status == STATUS_NO_SPACE && atomic_load(&disk->write_errors) == 0) {
        /* No free slot for another segment: what wait_for_slot finds is given back for the segment to take. */
        uint32_t slot = wait_for_slot(disk);
        if (slot == SLOT_NONE)
            return STATUS_NO_SPACE;
        pthread_mutex_lock(&disk->slots.lock);
        slots_free_unseen(&disk->slots, slot);
        pthread_mutex_unlock(&disk->slots.lock);
        status = transfer_pack(disk, entry, body, false, &location);
    }
    if (status == STATUS_OK)
        transfer_packed_done(disk, location, entry->length, block_publish(disk, generation, block, location));
    return status;
}

enum status transfer_put(struct disk *disk, const struct store_generation *generation, uint64_t block,
                         const uint8_t *body, uint32_t length)
{
    if (block_at_hand(disk->store, generation->id, block) != 0)
        return STATUS_OK;
    struct entry entry = entry_of(disk, ENTRY_BLOCK);
    entry.object = generation->object;
    entry.group = generation->group;
    entry.generation = generation->id;
    entry.block = block;
    entry.total = generation->length;
    entry.length = length;
    entry.checksum = entry_checksum(body, length);
    enum status status = length <= disk->store->block_size / 2 ? put_packed(disk, generation, block, &entry, body)
                                                               : put_whole(disk, generation, block, &entry, body);
    if (status == STATUS_OK)
        metric_cell_add(disk->metrics.written, length);
    if (status == STATUS_OK || status == STATUS_NO_SPACE)
        atomic_store_explicit(&disk->cramped, status == STATUS_NO_SPACE, memory_order_relaxed);
    return status;
}

enum status transfer_check(const struct disk *disk, const uint8_t *header, const uint8_t *body,
                           const struct store_load *wanted)
{
    const bool named = !hash128_eq(wanted->object, (struct hash128){0, 0});
    struct entry entry;
    enum status status = entry_decode(header, &entry);
    if (status != STATUS_OK)
        return status;
    if (entry.kind != ENTRY_BLOCK || !hash128_eq(entry.store, disk->label.id) ||
        entry.incarnation != disk->label.incarnation || (named && !hash128_eq(entry.object, wanted->object)) ||
        entry.generation != wanted->generation || entry.block != wanted->block || entry.length != wanted->length)
        return STATUS_NOT_FOUND;
    return entry.checksum == entry_checksum(body, wanted->length) ? STATUS_OK : STATUS_CORRUPT;
}

bool transfer_superseded(const struct disk *disk, uint64_t location, const uint8_t *first)
{
    const enum entry_kind kind = location & LOCATION_PACKED ? ENTRY_SEGMENT : ENTRY_BLOCK;
    struct entry entry;
    if (entry_decode(first, &entry) != STATUS_OK)
        return false;
    return entry.kind != kind || !hash128_eq(entry.store, disk->label.id) ||
           entry.incarnation != disk->label.incarnation || lost_covers(disk, entry.sequence);
}

/* The same for a packed entry that could not be read. */
static enum status read_superseded(struct disk *disk, uint64_t location)
{
    uint8_t page[ENTRY_HEADER_SIZE];
    struct iovec iov = {page, sizeof page};
    uint32_t slot = location_slot(location);
    if (io_read_all(slots_fd(&disk->slots, slot), &iov, 1, slots_offset(&disk->slots, slot)) != STATUS_OK)
        return STATUS_CORRUPT;
    return transfer_superseded(disk, location, page) ? STATUS_NOT_FOUND : STATUS_CORRUPT;
}

static enum status read_checked(struct disk *disk, uint64_t location, const struct store_load *load, struct buf *buf)
{
    uint32_t slot = location_slot(location);
    uint8_t page[ENTRY_PAGE];
    uint32_t header = location_body(location) - location_offset(location);
    struct iovec iov[2] = {{page, header}, {buf->data, load->length}};
    health_wait(disk, HEALTH_READ);
    enum status status =
        io_read_all(slots_fd(&disk->slots, slot), iov, 2, slots_offset(&disk->slots, slot) + location_offset(location));
    if (status == STATUS_IO)
        disk_error(disk, "read", errno);
    bool answered = status != STATUS_IO;
    if (status == STATUS_OK)
        status = transfer_check(disk, page, buf->data, load);
    if (status == STATUS_CORRUPT && (location & LOCATION_PACKED))
        status = read_superseded(disk, location);
    else if (status == STATUS_CORRUPT && transfer_superseded(disk, location, page))
        status = STATUS_NOT_FOUND;
    health_waited(disk);
    health_read(disk, answered);
    return status;
}

enum status transfer_load(struct disk *disk, const struct store_load *load, struct buf **buf)
{
    struct store *store = disk->store;
    const uint64_t generation = load->generation, block = load->block;
    const uint32_t length = load->length;
    *buf = NULL;
    struct leaf *leaf = directory_find(store->directory, generation, block / STORE_EXTENT_BLOCKS);
    uint64_t location =
        leaf == NULL ? 0 : atomic_load_explicit(&leaf->location[block % STORE_EXTENT_BLOCKS], memory_order_acquire);
    if (location == 0 || location_disk(location) != disk->number || length == 0 ||
        length != store_block_length(leaf->length, store->block_size, block))
        return STATUS_NOT_FOUND;
    int64_t since_ms = load->since_ms;
    struct buf *read = buf_new_in(&store->room, length, &since_ms);
    if (read == NULL)
        return STATUS_BUSY;
    /* Pages that this read brings in must not be shown before they were checked, verified though the block was. */
    if ((location & LOCATION_VERIFIED) && !resident(disk, location_slot(location), location_body(location), length))
        directory_flag(&leaf->location[block % STORE_EXTENT_BLOCKS], location, 0, LOCATION_VERIFIED);
    enum status status = read_checked(disk, location, load, read);
    if (status == STATUS_OK) {
        buf_publish(read, length);
        *buf = read;
        leaf = directory_find(store->directory, generation, block / STORE_EXTENT_BLOCKS);
        if (leaf != NULL)
            directory_flag(&leaf->location[block % STORE_EXTENT_BLOCKS], location, LOCATION_VERIFIED, 0);
        return STATUS_OK;
    }
    buf_unref(&read);
    /* A slot may be evicted and written anew while it is read: then the directory has moved on, and nothing is wrong.
     */
    if (!block_drop(store, generation, block, location))
        return STATUS_NOT_FOUND;
    if (status == STATUS_CORRUPT)
        damage_block(disk, location, generation, block, "read");
    return status;
}
