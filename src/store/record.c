/* SPDX-License-Identifier: Apache-2.0 */
/* record.c: records written, moved and let go. */
#include "store/record.h"

#include "store/disk.h"
#include "store/objects.h"
#include "store/segment.h"
#include "store/transfer.h"

bool record_loggable(const struct disk *disk)
{
    struct disk *shared = (struct disk *) (uintptr_t) disk;
    return atomic_load(&shared->loaded) && !atomic_load(&shared->broken) && atomic_load(&shared->write_errors) == 0;
}

void record_dead(struct store *store, uint64_t location, uint32_t length)
{
    if (location == 0)
        return;
    struct slots *slots = &store->disks[location_disk(location)]->slots;
    pthread_mutex_lock(&slots->lock);
    segment_dead(slots, location_slot(location), entry_packed_size(length));
    pthread_mutex_unlock(&slots->lock);
}

enum status record_log(struct disk *disk, struct hash128 object)
{
    struct store *store = disk->store;
    uint64_t sequence, location;
    struct store_generation *generation = objects_record_wanted(store->objects, object, &sequence);
    enum status status = STATUS_BUSY;
    if (generation == NULL)
        return STATUS_NOT_FOUND;
    uint32_t length = (uint32_t) generation->record.len;
    const struct entry entry = {.kind = ENTRY_RECORD,
                                .object = object,
                                .store = disk->label.id,
                                .incarnation = disk->label.incarnation,
                                .generation = generation->id,
                                .group = generation->group,
                                .total = generation->length,
                                .sequence = sequence,
                                .length = length,
                                .checksum = entry_checksum(generation->record.ptr, length)};
    if (entry_packed_size(length) > disk->slots.stride - ENTRY_PAGE)
        status = STATUS_TOO_LARGE;
    else if (record_loggable(disk))
        status = transfer_pack(disk, &entry, (const uint8_t *) generation->record.ptr, false, &location);
    if (status == STATUS_OK) {
        struct objects_place dead = objects_record_set(store->objects, generation, location);
        transfer_packed_done(disk, location, length, true);
        record_dead(store, dead.location, dead.length);
    }
    store_generation_unref(&generation);
    return status;
}

uint32_t record_out(struct disk *disk, const struct entry *entry, uint64_t from, const uint8_t *body, bool keep)
{
    struct objects *objects = disk->store->objects;
    uint64_t to = 0;
    struct objects_place place = objects_record_place(objects, entry->object);
    if (!location_same(place.location, from))
        return 0;
    /* After a crash the place may hold a later record of the same object, of another length: the slot was written anew
     * before the row was. */
    bool right =
        place.length == entry->length && place.sum == objects_record_sum(entry->generation, body, entry->length);
    if (!keep || !right || transfer_pack(disk, entry, body, true, &to) != STATUS_OK)
        to = 0;
    bool moved = objects_record_move(objects, entry->object, from, to);
    if (to != 0)
        transfer_packed_done(disk, to, entry->length, moved);
    if (moved)
        record_dead(disk->store, from, place.length);
    return to == 0 ? 0 : entry_packed_size(entry->length);
}

struct lost {
    struct disk *disk;
    uint32_t slot;
};

static void lose(void *arg, struct hash128 object, struct objects_place place)
{
    struct lost *lost = arg;
    if (location_in_segment(place.location, lost->disk->number, lost->slot) &&
        objects_record_move(lost->disk->store->objects, object, place.location, 0))
        record_dead(lost->disk->store, place.location, place.length);
}

void record_lost(struct disk *disk, uint32_t slot)
{
    struct lost lost = {disk, slot};
    objects_record_each(disk->store->objects, lose, &lost);
}

bool record_claim(struct disk *disk, uint64_t location, uint32_t length)
{
    if (location == 0 || !(location & LOCATION_PACKED) ||
        location_incarnation(location) != (disk->label.incarnation & 255))
        return false;
    pthread_mutex_lock(&disk->slots.lock);
    bool good =
        segment_claim(&disk->slots, location_slot(location), location_offset(location), entry_packed_size(length));
    pthread_mutex_unlock(&disk->slots.lock);
    return good;
}
