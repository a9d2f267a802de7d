/* SPDX-License-Identifier: Apache-2.0 */
/* reclaim.c: victims out of the directory, segments emptied, slots freed after a grace period. */
#include "store/reclaim.h"

#include <errno.h>
#include <sched.h>

#include "base/mem.h"
#include "store/block.h"
#include "store/damage.h"
#include "store/directory.h"
#include "store/io.h"
#include "store/location.h"
#include "store/objects.h"
#include "store/record.h"
#include "store/segment.h"
#include "store/transfer.h"

/* Slots chosen before a grace period is waited for. */
#define BATCH_MAX 256
/* The same where slots are free but the directory takes too much of `memory`. */
#define BATCH_CROWDED 16

struct emptying {
    struct disk *disk;
    uint32_t slot;
    bool keep_all; /* a sparse segment: its holes are wanted, not what is left in it */
    uint32_t kept; /* bytes copied, bounded by half a segment */
    uint32_t keep_max;
};

static void entry_out(struct emptying *emptying, const struct entry *entry, uint64_t from, const uint8_t *body)
{
    struct disk *disk = emptying->disk;
    uint64_t now = block_location(disk->store, entry->generation, entry->block);
    if (!location_same(now, from))
        return;
    uint32_t size = entry_packed_size(entry->length);
    bool keep = (emptying->keep_all || (now & LOCATION_USED)) && emptying->kept + size <= emptying->keep_max &&
                entry_checksum(body, entry->length) == entry->checksum;
    uint64_t to;
    if (keep && transfer_pack(disk, entry, body, true, &to) == STATUS_OK) {
        emptying->kept += size;
        transfer_packed_done(disk, to, entry->length, block_move(disk, entry->generation, entry->block, from, to));
    } else if (block_drop(disk->store, entry->generation, entry->block, from)) {
        metric_cell_add(disk->metrics.evictions, 1);
    }
}

static void entry_seen(void *arg, const struct entry *entry, uint32_t offset, const uint8_t *body)
{
    struct emptying *emptying = arg;
    struct disk *disk = emptying->disk;
    if (!hash128_eq(entry->store, disk->label.id) || entry->incarnation != disk->label.incarnation)
        return;
    uint64_t from = location_packed(disk->number, disk->label.incarnation, emptying->slot, offset);
    if (entry->kind == ENTRY_BLOCK)
        entry_out(emptying, entry, from, body);
    else if (entry->kind == ENTRY_RECORD)
        emptying->kept += record_out(disk, entry, from, body,
                                     emptying->kept + entry_packed_size(entry->length) <= emptying->keep_max);
}

static void leaf_lost(void *arg, struct leaf *leaf)
{
    struct emptying *emptying = arg;
    for (unsigned i = 0; i < STORE_EXTENT_BLOCKS; i++) {
        uint64_t location = atomic_load_explicit(&leaf->location[i], memory_order_relaxed);
        if (location_in_segment(location, emptying->disk->number, emptying->slot))
            block_drop(emptying->disk->store, leaf->generation, (uint64_t) leaf->extent * STORE_EXTENT_BLOCKS + i,
                       location);
    }
}

static uint32_t live_now(struct slots *slots, uint32_t slot)
{
    pthread_mutex_lock(&slots->lock);
    uint32_t live = segment_live(slots, slot);
    pthread_mutex_unlock(&slots->lock);
    return live;
}

/* Reads the segment and takes every live entry out of it. Entries whose headers cannot be read any more are found the
 * long way, in the directory: a location must never be left pointing into a slot that will be written again. True:
 * entries were moved. */
static bool segment_empty(struct disk *disk, uint32_t slot, uint32_t live, uint8_t *space)
{
    struct slots *slots = &disk->slots;
    struct emptying emptying = {.disk = disk, .slot = slot};
    emptying.keep_all = live < slots->stride / 2;
    emptying.keep_max = slots->stride / 2;
    struct iovec iov = {space, slots->stride};
    health_wait(disk, HEALTH_READ);
    enum status status = io_read_all(slots_fd(slots, slot), &iov, 1, slots_offset(slots, slot));
    if (status == STATUS_IO)
        disk_error(disk, "read", errno);
    health_waited(disk);
    if (status == STATUS_OK)
        segment_walk(space, slots->stride, entry_seen, &emptying);
    /* Entries that another thread is dropping this moment are counted until it is done. */
    for (unsigned i = 0; i < 100 && (live = live_now(slots, slot)) > 0; i++)
        sched_yield();
    if (live == 0)
        return emptying.kept > 0;
    bool damaged = status != STATUS_OK || !transfer_superseded(disk, location_packed(disk->number, 0, slot, 0), space);
    if (damaged)
        damage_found(disk, slot, 0,
                     " bytes=%u: small blobs and records cannot be read and were dropped; what is asked "
                     "for is fetched again",
                     live);
    directory_each(disk->store->directory, leaf_lost, &emptying);
    record_lost(disk, slot);
    return emptying.kept > 0;
}

static void block_out(struct disk *disk, uint32_t slot, const struct leaf *leaf, unsigned number)
{
    uint64_t seen = location_make(disk->number, disk->label.incarnation, slot);
    if (block_drop(disk->store, leaf->generation, (uint64_t) leaf->extent * STORE_EXTENT_BLOCKS + number, seen))
        metric_cell_add(disk->metrics.evictions, 1);
}

/* Takes what a quota has too much of out of the directory: a slot, or SLOT_NONE. */
static uint32_t take_surplus(struct disk *disk)
{
    struct slots *slots = &disk->slots;
    unsigned number = 0;
    pthread_mutex_lock(&slots->lock);
    uint32_t slot = slots_surplus(slots);
    struct leaf *leaf = slot == SLOT_NONE ? NULL : slots_owner(slots, slot, &number);
    pthread_mutex_unlock(&slots->lock);
    if (leaf != NULL)
        block_out(disk, slot, leaf, number);
    return slot;
}

/* Takes one victim out of the directory: its slot, or SLOT_NONE. `moved`: what was in it lies elsewhere now. */
static uint32_t take_victim(struct disk *disk, uint8_t **space, bool *moved)
{
    struct slots *slots = &disk->slots;
    bool segment;
    unsigned number = 0;
    struct leaf *leaf = NULL;
    *moved = false;
    pthread_mutex_lock(&slots->lock);
    uint32_t slot = slots_victim(slots, &segment);
    uint32_t live = slot != SLOT_NONE && segment ? segment_live(slots, slot) : 0;
    if (slot != SLOT_NONE && !segment)
        leaf = slots_owner(slots, slot, &number);
    pthread_mutex_unlock(&slots->lock);
    if (leaf != NULL) {
        block_out(disk, slot, leaf, number);
    } else if (live > 0) {
        if (*space == NULL)
            *space = mem_aligned(ENTRY_PAGE, slots->stride);
        atomic_store(&slots->emptying, slot);
        *moved = segment_empty(disk, slot, live, *space);
        atomic_store(&slots->emptying, SLOT_NONE);
    }
    return slot;
}

/* How many blocks must go although there may be room for them on the disk. The directory was promised memory for whole
 * extents (STORE_BLOCK_MEMORY) and a leaf an object; who reads a block here and there has it hold a leaf for each
 * block, up to sixteen times as much. That is welcome as long as nothing else wants the memory. */
static unsigned crowded(const struct disk *disk)
{
    const struct store *store = disk->store;
    enum mem_pressure pressure = mem_pressure();
    size_t promised = objects_count(store->objects);
    if (pressure < MEM_NO_SPLIT)
        return 0;
    for (unsigned i = 0; i < store->disk_count; i++)
        promised += store->disks[i]->slots.capacity / STORE_EXTENT_BLOCKS;
    if (directory_count(store->directory) <= promised)
        return 0;
    return pressure < MEM_QUEUE_FILLS ? BATCH_CROWDED : BATCH_MAX;
}

static unsigned batch_wanted(struct disk *disk)
{
    struct slots *slots = &disk->slots;
    pthread_mutex_lock(&slots->lock);
    unsigned have = slots->free_count + slots->limbo_count + slots->held_count;
    unsigned wanted = have >= slots->reserve || slots_may_grow(slots) ? 0 : slots->reserve - have, out = crowded(disk);
    pthread_mutex_unlock(&slots->lock);
    wanted = out > wanted ? out : wanted;
    return wanted > BATCH_MAX ? BATCH_MAX : wanted;
}

static bool reclaim_batch(struct disk *disk, uint8_t **space)
{
    struct slots *slots = &disk->slots;
    uint32_t victims[BATCH_MAX];
    bool moved[BATCH_MAX] = {false};
    unsigned count = 0;
    while (count < BATCH_MAX && (victims[count] = take_surplus(disk)) != SLOT_NONE)
        count++;
    unsigned wanted = count > 0 ? 0 : batch_wanted(disk);
    while (count < wanted && (victims[count] = take_victim(disk, space, &moved[count])) != SLOT_NONE)
        count++;
    pthread_mutex_lock(&slots->lock);
    uint32_t limbo = slots_take_limbo(slots);
    pthread_mutex_unlock(&slots->lock);
    if (count == 0 && limbo == SLOT_NONE)
        return false;
    /* Also waits for I/O threads that took a block out of the directory but have yet to say so to the slots. */
    synchronize_rcu();
    pthread_mutex_lock(&slots->lock);
    for (unsigned i = 0; i < count; i++)
        if (moved[i])
            slots_hold(slots, victims[i]);
        else
            slots_free_unseen(slots, victims[i]);
    slots_free_chain(slots, limbo);
    pthread_mutex_unlock(&slots->lock);
    return true;
}

bool reclaim_too_crowded(const struct disk *disk)
{
    return crowded(disk) == BATCH_MAX;
}

bool reclaim_crowded(const struct disk *disk)
{
    struct disk *shared = (struct disk *) (uintptr_t) disk;
    return crowded(disk) > 0 && atomic_load_explicit(&shared->loaded, memory_order_relaxed);
}

bool reclaim_wanted(struct disk *disk)
{
    pthread_mutex_lock(&disk->slots.lock);
    bool wanted = slots_short(&disk->slots);
    pthread_mutex_unlock(&disk->slots.lock);
    return wanted && atomic_load_explicit(&disk->loaded, memory_order_relaxed);
}

bool reclaim_run(struct disk *disk)
{
    pthread_mutex_lock(&disk->mutex);
    bool mine = !disk->reclaiming;
    disk->reclaiming = true;
    pthread_mutex_unlock(&disk->mutex);
    if (!mine)
        return false;
    uint8_t *space = NULL;
    bool freed = false;
    bool more = reclaim_wanted(disk) || reclaim_crowded(disk);
    while (more && reclaim_batch(disk, &space)) {
        freed = true;
        rcu_quiescent_state();
        more = reclaim_wanted(disk); /* memory is given back a little later: whether more has to go is not known yet */
    }
    mem_free(space);
    pthread_mutex_lock(&disk->mutex);
    disk->reclaiming = false;
    pthread_mutex_unlock(&disk->mutex);
    return freed;
}

bool reclaim_claim(struct disk *disk, struct hash128 group)
{
    struct slots *slots = &disk->slots;
    for (;;) {
        uint32_t victim;
        unsigned number = 0;
        pthread_mutex_lock(&slots->lock);
        bool claimed = slots_claim(slots, group, &victim);
        struct leaf *leaf = victim == SLOT_NONE ? NULL : slots_owner(slots, victim, &number);
        pthread_mutex_unlock(&slots->lock);
        if (leaf == NULL)
            return claimed;
        block_out(disk, victim, leaf, number);
        pthread_mutex_lock(&slots->lock);
        slots_evicted(slots, victim);
        pthread_mutex_unlock(&slots->lock);
    }
}
