/* SPDX-License-Identifier: Apache-2.0 */
/* scrub.c: one slot after another, with pauses. */
#include "store/scrub.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rcu.h"
#include "base/thread.h"
#include "store/block.h"
#include "store/damage.h"
#include "store/disk.h"
#include "store/io.h"
#include "store/objects.h"
#include "store/record.h"
#include "store/resident.h"
#include "store/segment.h"
#include "store/transfer.h"

#define SEAT (DISK_THREADS + 1)
/* While the disk is not read yet or out. */
#define IDLE_MS 1000
/* Between lines in the log that say that all is well, where passes are shorter. */
#define TELL_MS (3600 * 1000)

struct scrub {
    struct disk *disk;
    int64_t rate;
    int64_t period_ms;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bool stopping; /* under the mutex */
    /* The thread's own: */
    uint8_t *space;   /* a slot's bytes, aligned */
    uint32_t file;    /* that `fd` is of */
    int fd;           /* O_DIRECT, or −1 */
    uint32_t slot;    /* being looked at */
    uint32_t live;    /* bytes of a segment's entries that were found and are pointed at */
    uint64_t checked; /* blocks, in this pass */
    uint64_t dropped;
    int64_t tell_ms;  /* the next line may come */
    int64_t begin_ms; /* the next pass may begin */
};

/* false: it is to end. */
static bool pause_ms(struct scrub *scrub, int64_t ms)
{
    int64_t until = clock_mono_ms() + ms;
    rcu_thread_offline();
    pthread_mutex_lock(&scrub->mutex);
    while (!scrub->stopping && clock_cond_wait(&scrub->wake, &scrub->mutex, until))
        continue;
    bool stopping = scrub->stopping;
    pthread_mutex_unlock(&scrub->mutex);
    rcu_thread_online();
    return !stopping;
}

/* Reads the slot into `space`. AGAIN: not now. Offline. */
static enum status read_slot(struct scrub *scrub)
{
    struct slots *slots = &scrub->disk->slots;
    struct iovec iov = {scrub->space, slots->stride};
    uint32_t file = scrub->slot / SLOT_PER_FILE;
    if (scrub->fd < 0 || scrub->file != file) {
        if (scrub->fd >= 0)
            close(scrub->fd);
        scrub->fd = slot_files_direct(slots, file);
        scrub->file = file;
    }
    if (scrub->fd >= 0)
        return io_read_all(scrub->fd, &iov, 1, slots_offset(slots, scrub->slot));
    if (resident(scrub->disk, scrub->slot, 0, ENTRY_PAGE))
        return STATUS_AGAIN;
    return io_read_all(slots_fd(slots, scrub->slot), &iov, 1, slots_offset(slots, scrub->slot));
}

static void damaged(struct scrub *scrub, uint64_t generation, uint64_t block, uint64_t location)
{
    struct disk *disk = scrub->disk;
    if (!block_drop(disk->store, generation, block, location))
        return; /* it has moved on meanwhile */
    scrub->dropped++;
    damage_block(disk, location, generation, block, "scrubbed");
}

/* The bytes in `space` are not right: damaged, unless the slot was written over before a crash and the index still
 * spoke of what was in it before. */
static void wrong(struct scrub *scrub, uint64_t generation, uint64_t block, uint64_t location)
{
    if (transfer_superseded(scrub->disk, location, scrub->space))
        (void) block_drop(scrub->disk->store, generation, block, location);
    else
        damaged(scrub, generation, block, location);
}

/* Whether the bytes in `space` are those of that block. */
static void check_block(struct scrub *scrub, uint64_t generation, uint64_t block, uint32_t length, uint64_t location)
{
    const struct store_load wanted = {.generation = generation, .block = block, .length = length};
    const uint8_t *header = scrub->space + location_offset(location), *body = scrub->space + location_body(location);
    enum status status = transfer_check(scrub->disk, header, body, &wanted);
    scrub->checked++;
    if (status == STATUS_NOT_FOUND) /* a good header of something else, as after a crash */
        (void) block_drop(scrub->disk->store, generation, block, location);
    else if (status != STATUS_OK)
        wrong(scrub, generation, block, location);
}

/* ---- Segments. ---- */

static void entry_seen(void *arg, const struct entry *entry, uint32_t offset, const uint8_t *body)
{
    struct scrub *scrub = arg;
    struct store *store = scrub->disk->store;
    uint64_t at = location_packed(scrub->disk->number, scrub->disk->label.incarnation, scrub->slot, offset);
    bool good = entry_checksum(body, entry->length) == entry->checksum;
    if (entry->kind == ENTRY_BLOCK && location_same(block_location(store, entry->generation, entry->block), at)) {
        scrub->checked++;
        if (good)
            scrub->live += entry_packed_size(entry->length);
        else
            wrong(scrub, entry->generation, entry->block, at);
    } else if (entry->kind == ENTRY_RECORD &&
               location_same(objects_record_place(store->objects, entry->object).location, at)) {
        if (good)
            scrub->live += entry_packed_size(entry->length);
        else
            (void) record_out(scrub->disk, entry, at, body, false);
    }
}

/* Blocks of the segment whose headers the walk could not read. */
static void leaf_seen(void *arg, struct leaf *leaf)
{
    struct scrub *scrub = arg;
    for (unsigned i = 0; i < STORE_EXTENT_BLOCKS; i++) {
        uint64_t location = atomic_load_explicit(&leaf->location[i], memory_order_relaxed);
        uint64_t block = (uint64_t) leaf->extent * STORE_EXTENT_BLOCKS + i;
        uint32_t length = store_block_length(leaf->length, scrub->disk->store->block_size, block);
        if (location_in_segment(location, scrub->disk->number, scrub->slot))
            check_block(scrub, leaf->generation, block, length, location);
    }
}

static void check_segment(struct scrub *scrub)
{
    struct slots *slots = &scrub->disk->slots;
    scrub->live = 0;
    segment_walk(scrub->space, slots->stride, entry_seen, scrub);
    pthread_mutex_lock(&slots->lock);
    bool missing = slots->state[scrub->slot] == SLOT_SEGMENT && segment_live(slots, scrub->slot) > scrub->live;
    pthread_mutex_unlock(&slots->lock);
    if (!missing)
        return;
    directory_each(scrub->disk->store->directory, leaf_seen, scrub);
    record_lost(scrub->disk, scrub->slot);
}

/* ---- The thread. ---- */

/* What lies in the slot now. */
struct content {
    enum { CONTENT_NONE, CONTENT_BLOCK, CONTENT_SEGMENT } kind;
    uint64_t generation;
    uint64_t block;
    uint32_t length;
};

static struct content content_of(struct scrub *scrub)
{
    struct slots *slots = &scrub->disk->slots;
    struct content content = {.kind = CONTENT_NONE};
    struct leaf *leaf = NULL;
    unsigned number = 0;
    pthread_mutex_lock(&slots->lock);
    if (slots->state[scrub->slot] == SLOT_BLOCK)
        leaf = slots_owner(slots, scrub->slot, &number);
    else if (slots->state[scrub->slot] == SLOT_SEGMENT && !segment_busy(slots, scrub->slot))
        content.kind = CONTENT_SEGMENT;
    pthread_mutex_unlock(&slots->lock);
    if (leaf != NULL) { /* good until the next quiescent state */
        content.kind = CONTENT_BLOCK;
        content.generation = leaf->generation;
        content.block = (uint64_t) leaf->extent * STORE_EXTENT_BLOCKS + number;
        content.length = store_block_length(leaf->length, scrub->disk->store->block_size, content.block);
    }
    return content;
}

/* Returns the bytes read. */
static uint32_t check_slot(struct scrub *scrub)
{
    struct disk *disk = scrub->disk;
    struct content content = content_of(scrub);
    if (content.kind == CONTENT_NONE)
        return 0;
    health_wait(disk, HEALTH_READ);
    enum status status = read_slot(scrub);
    int error = errno;
    health_waited(disk);
    if (status == STATUS_IO)
        disk_error(disk, "scrub", error);
    health_read(disk, status != STATUS_IO);
    if (status == STATUS_AGAIN)
        return 0;
    uint64_t location = location_make(disk->number, disk->label.incarnation, scrub->slot);
    if (status != STATUS_OK && content.kind == CONTENT_BLOCK)
        damaged(scrub, content.generation, content.block, location);
    else if (status == STATUS_OK && content.kind == CONTENT_BLOCK)
        check_block(scrub, content.generation, content.block, content.length, location);
    else if (status == STATUS_OK)
        check_segment(scrub);
    metric_cell_add(disk->metrics.scrubbed, disk->slots.stride);
    return disk->slots.stride;
}

static void pass_ended(struct scrub *scrub, int64_t started_ms)
{
    metric_cell_add(scrub->disk->metrics.scrubs, 1);
    scrub->begin_ms = started_ms + scrub->period_ms;
    if (scrub->dropped == 0 && started_ms < scrub->tell_ms)
        return;
    scrub->tell_ms = started_ms + TELL_MS;
    log_event(STORE_SCRUB, "path=%s blocks=%llu dropped=%llu s=%lld: every block was read and checked",
              scrub->disk->path, (unsigned long long) scrub->checked, (unsigned long long) scrub->dropped,
              (long long) ((clock_mono_ms() - started_ms) / 1000));
}

static uint32_t slots_there(struct slots *slots)
{
    pthread_mutex_lock(&slots->lock);
    uint32_t high = slots->high;
    pthread_mutex_unlock(&slots->lock);
    return high;
}

/* From the first slot to the last; false: it is to end. */
static bool pass(struct scrub *scrub)
{
    struct disk *disk = scrub->disk;
    int64_t started_ms = clock_mono_ms(), owed_us = 0;
    scrub->checked = scrub->dropped = 0;
    for (scrub->slot = 0; scrub->slot < slots_there(&disk->slots); scrub->slot++) {
        while (health_out(disk))
            if (!pause_ms(scrub, IDLE_MS))
                return false;
        owed_us += (int64_t) check_slot(scrub) * 1000000 / scrub->rate;
        if (!pause_ms(scrub, owed_us / 1000))
            return false;
        owed_us %= 1000;
    }
    if (scrub->checked > 0)
        pass_ended(scrub, started_ms);
    return true;
}

static void *scrub_thread(void *arg)
{
    struct scrub *scrub = arg;
    rcu_register_thread();
    health_sit(SEAT);
    while (pause_ms(scrub, IDLE_MS))
        if (atomic_load(&scrub->disk->loaded) && clock_mono_ms() >= scrub->begin_ms && !pass(scrub))
            break;
    if (scrub->fd >= 0)
        close(scrub->fd);
    rcu_unregister_thread();
    return NULL;
}

struct scrub *scrub_start(struct disk *disk, int64_t rate, int64_t period_ms)
{
    if (rate <= 0)
        return NULL;
    struct scrub *scrub = mem_calloc(1, sizeof *scrub);
    scrub->disk = disk;
    scrub->rate = rate;
    scrub->period_ms = period_ms;
    scrub->fd = -1;
    scrub->space = mem_aligned(ENTRY_PAGE, disk->slots.stride);
    pthread_mutex_init(&scrub->mutex, NULL);
    clock_cond_init(&scrub->wake);
    int error = thread_start(&scrub->thread, "store-scrub", scrub_thread, scrub);
    assert(error == 0);
    (void) error;
    return scrub;
}

bool scrub_stop(struct scrub **scrub)
{
    struct scrub *stopped = *scrub;
    *scrub = NULL;
    if (stopped == NULL)
        return true;
    pthread_mutex_lock(&stopped->mutex);
    stopped->stopping = true;
    pthread_cond_signal(&stopped->wake);
    pthread_mutex_unlock(&stopped->mutex);
    if (!health_join(stopped->disk, stopped->thread))
        return false;
    pthread_cond_destroy(&stopped->wake);
    pthread_mutex_destroy(&stopped->mutex);
    mem_free(stopped->space);
    mem_free(stopped);
    return true;
}
