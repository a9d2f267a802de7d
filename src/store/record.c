/* SPDX-License-Identifier: Apache-2.0 */
/* record.c: records written, moved and let go. */
#include "store/record.h"

#include "store/commit.h"
#include "store/disk.h"
#include "store/objects.h"
#include "store/segment.h"
#include "store/transfer.h"

static bool may_write(const struct disk *disk, uint32_t length)
{
    struct disk *shared = (struct disk *) (uintptr_t) disk;
    return disk != NULL && atomic_load(&shared->loaded) && !atomic_load(&shared->broken) &&
           atomic_load(&shared->write_errors) == 0 && entry_packed_size(length) <= disk->slots.stride - ENTRY_PAGE;
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

bool record_log(struct store *store, struct hash128 object)
{
    struct disk *disk = store_disk_of(store, object.lo);
    uint64_t sequence;
    struct store_generation *generation = objects_record_wanted(store->objects, object, &sequence);
    bool logged = false;
    if (generation == NULL)
        return false;
    uint32_t length = (uint32_t) generation->record.len;
    struct entry entry = {.kind = ENTRY_RECORD,
                          .object = object,
                          .generation = generation->id,
                          .group = generation->group,
                          .total = generation->length,
                          .sequence = sequence,
                          .length = length};
    uint64_t location;
    if (may_write(disk, length)) {
        entry.store = disk->label.id;
        entry.incarnation = disk->label.incarnation;
        entry.checksum = entry_checksum(generation->record.ptr, length);
        logged = transfer_pack(disk, &entry, (const uint8_t *) generation->record.ptr, false, &location) == STATUS_OK;
    }
    if (logged) {
        struct objects_place dead = objects_record_set(store->objects, generation, location);
        transfer_packed_done(disk, location, length, true);
        record_dead(store, dead.location, dead.length);
    }
    store_generation_unref(&generation);
    return logged;
}

static void moved_away(struct disk *disk, struct hash128 object, uint64_t from, uint32_t length, bool dirty)
{
    record_dead(disk->store, from, length);
    if (dirty)
        commit_dirty_object(disk->store->commit, object);
}

uint32_t record_out(struct disk *disk, const struct entry *entry, uint64_t from, const uint8_t *body, bool keep)
{
    struct objects *objects = disk->store->objects;
    uint64_t to = 0;
    bool dirty;
    struct objects_place place = objects_record_place(objects, entry->object);
    if (!location_same(place.location, from))
        return 0;
    /* After a crash the place may hold a later record of the same object, of another length: the slot was written anew
     * before the row was. */
    bool right =
        place.length == entry->length && place.sum == objects_record_sum(entry->generation, body, entry->length);
    if (!keep || !right || transfer_pack(disk, entry, body, true, &to) != STATUS_OK)
        to = 0;
    bool moved = objects_record_move(objects, entry->object, from, to, &dirty);
    if (to != 0)
        transfer_packed_done(disk, to, entry->length, moved);
    if (moved)
        moved_away(disk, entry->object, from, place.length, dirty);
    return to == 0 ? 0 : entry_packed_size(entry->length);
}

struct lost {
    struct disk *disk;
    uint32_t slot;
};

static void lose(void *arg, struct hash128 object, struct objects_place place)
{
    struct lost *lost = arg;
    bool dirty;
    if (location_in_segment(place.location, lost->disk->number, lost->slot) &&
        objects_record_move(lost->disk->store->objects, object, place.location, 0, &dirty))
        moved_away(lost->disk, object, place.location, place.length, dirty);
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
