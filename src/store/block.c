/* SPDX-License-Identifier: Apache-2.0 */
/* block.c: blocks coming, moving and going. */
#include "store/block.h"

#include "store/commit.h"
#include "store/directory.h"
#include "store/inside.h"
#include "store/objects.h"
#include "store/segment.h"

static void leaf_changed(struct store *store, struct leaf *leaf)
{
    if (!atomic_exchange(&leaf->dirty, true))
        commit_dirty_extent(store->commit, leaf->generation, leaf->extent);
}

static void count(struct disk *disk, int64_t blocks, int64_t bytes)
{
    metric_cell_add(disk->metrics.blocks, blocks);
    metric_cell_add(disk->metrics.bytes, bytes);
}

static uint32_t leaf_block_length(const struct store *store, const struct leaf *leaf, unsigned number)
{
    uint64_t block = (uint64_t) leaf->extent * STORE_EXTENT_BLOCKS + number;
    return store_block_length(leaf->length, store->block_size, block);
}

/* Under the leaf's lock: what the location pointed at has no reader in the directory any more. */
static void release_place(struct store *store, uint64_t location, uint32_t length)
{
    struct disk *disk = store->disks[location_disk(location)];
    pthread_mutex_lock(&disk->slots.lock);
    if (location & LOCATION_PACKED)
        segment_dead(&disk->slots, location_slot(location), entry_packed_size(length));
    else
        slots_drop(&disk->slots, location_slot(location));
    pthread_mutex_unlock(&disk->slots.lock);
}

/* Replaces the location, whatever its flags, if it is still the one seen; returns what it was, or 0. */
static uint64_t replace(_Atomic uint64_t *location, uint64_t seen, uint64_t with)
{
    uint64_t now = atomic_load_explicit(location, memory_order_relaxed);
    while (now != 0 && location_same(now, seen))
        if (atomic_compare_exchange_weak_explicit(location, &now, with, memory_order_acq_rel, memory_order_relaxed))
            return now;
    return 0;
}

/* Under the leaf's lock: the block that lay there has been taken out of the leaf. */
static void left(struct store *store, struct leaf *leaf, unsigned number, uint64_t location)
{
    uint32_t length = leaf_block_length(store, leaf, number);
    leaf_changed(store, leaf); /* first: who fills the place anew may count on it (commit.c, the mark) */
    release_place(store, location, length);
    count(store->disks[location_disk(location)], -1, -(int64_t) length);
}

uint64_t block_location(struct store *store, uint64_t generation, uint64_t block)
{
    struct leaf *leaf = directory_find(store->directory, generation, block / STORE_EXTENT_BLOCKS);
    return leaf == NULL ? 0 : atomic_load_explicit(&leaf->location[block % STORE_EXTENT_BLOCKS], memory_order_acquire);
}

uint64_t block_at_hand(struct store *store, uint64_t generation, uint64_t block)
{
    uint64_t location = block_location(store, generation, block);
    return location != 0 && health_out(store->disks[location_disk(location)]) ? 0 : location;
}

bool block_publish(struct disk *disk, const struct store_generation *generation, uint64_t block, uint64_t location)
{
    struct store *store = disk->store;
    uint64_t extent = block / STORE_EXTENT_BLOCKS;
    unsigned number = block % STORE_EXTENT_BLOCKS;
    directory_lock(store->directory, generation->id, extent);
    struct leaf *leaf = directory_add(store->directory, generation->id, extent, generation->object, generation->length);
    uint64_t before = atomic_load_explicit(&leaf->location[number], memory_order_relaxed);
    /* What a disk holds that is out is given up for this. */
    bool away = before != 0 && health_out(store->disks[location_disk(before)]) && !health_out(disk) &&
                (before = replace(&leaf->location[number], before, 0)) != 0;
    if (away)
        left(store, leaf, number, before);
    bool fresh = away || before == 0;
    if (fresh) {
        /* Whoever waited for it comes now: that is no use, so it counts as used until eviction looks (evict.h). */
        if (!(location & LOCATION_PACKED))
            location |= LOCATION_USED;
        atomic_store_explicit(&leaf->location[number], location, memory_order_release);
        if (!(location & LOCATION_PACKED)) {
            pthread_mutex_lock(&disk->slots.lock);
            slots_settle(&disk->slots, location_slot(location), leaf, number, generation->group);
            pthread_mutex_unlock(&disk->slots.lock);
        }
        leaf_changed(store, leaf);
        count(disk, 1, leaf_block_length(store, leaf, number));
    }
    directory_unlock(store->directory, generation->id, extent);
    return fresh;
}

/* Under the leaf's lock and the slots'. */
static bool claim_place(struct disk *disk, struct leaf *leaf, unsigned number, uint64_t location, uint32_t length,
                        struct evict_whose whose)
{
    struct slots *slots = &disk->slots;
    uint32_t slot = location_slot(location);
    if (slot >= slots->high || length == 0)
        return false;
    if (location & LOCATION_PACKED)
        return segment_claim(slots, slot, location_offset(location), entry_packed_size(length));
    if (slots->state[slot] != SLOT_FREE)
        return false;
    slots_found(slots, slot, leaf, number, whose);
    return true;
}

/* Under the leaf's lock and the slots': it lies there now, if that is possible and it does not lie elsewhere. The bytes
 * of it; 0: it does not. */
static uint32_t leaf_claim(struct disk *disk, struct leaf *leaf, unsigned number, uint64_t location,
                           struct evict_whose whose)
{
    uint32_t bytes = leaf_block_length(disk->store, leaf, number);
    if (atomic_load_explicit(&leaf->location[number], memory_order_relaxed) != 0 ||
        !claim_place(disk, leaf, number, location, bytes, whose))
        return 0;
    atomic_store_explicit(&leaf->location[number], location, memory_order_release);
    return bytes;
}

static bool leaf_is(const struct leaf *leaf, struct hash128 object, uint64_t length)
{
    return leaf->length == length && hash128_eq(leaf->object, object);
}

unsigned block_claim_extent(struct disk *disk, const struct index_extent *extent, struct hash128 group)
{
    struct store *store = disk->store;
    unsigned claimed = 0, wrong = 0;
    int64_t bytes = 0;
    directory_lock(store->directory, extent->generation, extent->extent);
    struct leaf *leaf =
        directory_add(store->directory, extent->generation, extent->extent, extent->object, extent->length);
    bool good = leaf_is(leaf, extent->object, extent->length);
    pthread_mutex_lock(&disk->slots.lock);
    struct evict_whose whose = evict_whose(disk->slots.evict, group);
    for (unsigned i = 0; i < STORE_EXTENT_BLOCKS; i++) {
        uint64_t location = extent->location[i] | (uint64_t) disk->number << 56;
        if (extent->location[i] == 0)
            continue;
        bool here = good && location_incarnation(location) == (disk->label.incarnation & 255);
        uint32_t length = here ? leaf_claim(disk, leaf, i, location, whose) : 0;
        bytes += length;
        claimed += length > 0;
        wrong += length == 0;
    }
    pthread_mutex_unlock(&disk->slots.lock);
    count(disk, claimed, bytes);
    if (wrong > 0) {
        leaf_changed(store, leaf); /* the index is wrong about it */
        directory_tidy(store->directory, leaf);
    }
    directory_unlock(store->directory, extent->generation, extent->extent);
    return claimed;
}

bool block_found(struct disk *disk, const struct entry *entry, uint64_t location, bool *first)
{
    struct directory *directory = disk->store->directory;
    uint64_t generation = entry->generation, extent = entry->block / STORE_EXTENT_BLOCKS;
    directory_lock(directory, generation, extent);
    struct leaf *leaf = directory_add(directory, generation, extent, entry->object, entry->total);
    pthread_mutex_lock(&disk->slots.lock);
    bool good = leaf_is(leaf, entry->object, entry->total) &&
                leaf_claim(disk, leaf, entry->block % STORE_EXTENT_BLOCKS, location,
                           evict_whose(disk->slots.evict, entry->group)) > 0;
    pthread_mutex_unlock(&disk->slots.lock);
    count(disk, good, good ? entry->length : 0);
    *first = good && !atomic_exchange(&leaf->dirty, true);
    if (!good)
        directory_tidy(directory, leaf);
    directory_unlock(directory, generation, extent);
    return good;
}

bool block_move(struct disk *disk, uint64_t generation, uint64_t block, uint64_t from, uint64_t to)
{
    struct store *store = disk->store;
    uint64_t extent = block / STORE_EXTENT_BLOCKS;
    unsigned number = block % STORE_EXTENT_BLOCKS;
    directory_lock(store->directory, generation, extent);
    struct leaf *leaf = directory_find(store->directory, generation, extent);
    bool moved = leaf != NULL && replace(&leaf->location[number], from, to) != 0;
    if (moved) {
        leaf_changed(store, leaf);
        release_place(store, from, leaf_block_length(store, leaf, number));
    }
    directory_unlock(store->directory, generation, extent);
    return moved;
}

bool block_drop(struct store *store, uint64_t generation, uint64_t block, uint64_t seen)
{
    uint64_t extent = block / STORE_EXTENT_BLOCKS;
    unsigned number = block % STORE_EXTENT_BLOCKS;
    directory_lock(store->directory, generation, extent);
    struct leaf *leaf = directory_find(store->directory, generation, extent);
    bool dropped = leaf != NULL && replace(&leaf->location[number], seen, 0) != 0;
    if (dropped) {
        left(store, leaf, number, seen);
        directory_tidy(store->directory, leaf);
    }
    directory_unlock(store->directory, generation, extent);
    return dropped;
}

void block_drop_leaf(struct store *store, struct leaf *leaf)
{
    for (unsigned i = 0; i < STORE_EXTENT_BLOCKS; i++) {
        uint64_t seen = atomic_load_explicit(&leaf->location[i], memory_order_acquire);
        if (seen != 0)
            block_drop(store, leaf->generation, (uint64_t) leaf->extent * STORE_EXTENT_BLOCKS + i, seen);
    }
}

void block_row_again(struct store *store, uint64_t generation, uint64_t extent)
{
    directory_lock(store->directory, generation, extent);
    struct leaf *leaf = directory_find(store->directory, generation, extent);
    bool newly = leaf == NULL || !atomic_exchange(&leaf->dirty, true);
    directory_unlock(store->directory, generation, extent);
    if (newly)
        commit_dirty_extent(store->commit, generation, extent);
}
