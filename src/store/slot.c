/* SPDX-License-Identifier: Apache-2.0 */
/* slot.c: data files and the state of each slot in them. */
#include "store/slot.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "store/guard.h"
#include "store/io.h"
#include "store/segment.h"

/* Free space that is kept ahead of puts: what they write while a grace period passes. */
#define RESERVE_BYTES (128 * 1024 * 1024)

static bool slot_used(void *arg, uint32_t slot)
{
    struct slots *slots = arg;
    if (slots->state[slot] == SLOT_SEGMENT)
        return segment_busy(slots, slot);
    unsigned number;
    struct leaf *leaf = slots_owner(slots, slot, &number);
    uint64_t location = atomic_load_explicit(&leaf->location[number], memory_order_relaxed);
    if (!(location & LOCATION_USED))
        return false;
    directory_flag(&leaf->location[number], location, 0, LOCATION_USED);
    return true;
}

static uint32_t slot_live(void *arg, uint32_t slot)
{
    return segment_live(arg, slot);
}

static void file_name(char name[16], uint32_t file)
{
    snprintf(name, 16, SLOT_FILE_PREFIX "%06x", file & 0xffffff);
}

static uint32_t file_slots(const struct slots *slots, uint32_t file)
{
    uint32_t left = slots->capacity - file * SLOT_PER_FILE;
    return left < SLOT_PER_FILE ? left : SLOT_PER_FILE;
}

static enum status file_attach(struct slots *slots, uint32_t file, int fd)
{
    size_t size = (size_t) file_slots(slots, file) * slots->stride;
    /* Read-ahead would bring in pages of other blocks, which nobody has checked. */
    (void) posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
    void *map = file < SLOT_MAPPINGS_MAX ? mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (map != MAP_FAILED) {
        (void) madvise(map, size, MADV_RANDOM);
        (void) madvise(map, size, MADV_DONTDUMP);
        atomic_store(&slots->files[file].map, map);
    }
    atomic_store(&slots->files[file].fd, fd);
    return STATUS_OK;
}

/* Opens what is there, in order; the first missing file ends it. A file of another size is brought to the right one:
 * what the index says beyond it is dropped when it is loaded. */
static enum status files_open(struct slots *slots)
{
    for (uint32_t file = 0; file < slots->file_count; file++) {
        char name[16];
        struct stat info;
        file_name(name, file);
        int fd = openat(slots->dir, name, O_RDWR | GUARD_OPEN);
        if (fd < 0)
            return errno == ENOENT ? STATUS_OK : STATUS_IO;
        off_t size = (off_t) file_slots(slots, file) * slots->stride;
        if (fstat(fd, &info) != 0 || (info.st_size > size && ftruncate(fd, size) != 0) ||
            (info.st_size < size && io()->allocate(fd, 0, size) != 0 && ftruncate(fd, size) != 0)) {
            close(fd);
            return STATUS_IO;
        }
        if (file_attach(slots, file, fd) != STATUS_OK)
            return STATUS_IO;
        slots->high += file_slots(slots, file);
    }
    return STATUS_OK;
}

/* Files beyond the share, left from a larger one. */
static void files_trim(struct slots *slots)
{
    for (uint32_t file = slots->file_count; file <= 0xffffff; file++) {
        char name[16];
        file_name(name, file);
        if (unlinkat(slots->dir, name, 0) != 0)
            return;
    }
}

static void reserve_set(struct slots *slots)
{
    slots->reserve = RESERVE_BYTES / slots->stride;
    if (slots->reserve > slots->capacity / 8)
        slots->reserve = slots->capacity / 8;
    if (slots->reserve < SLOT_SPARE + 1)
        slots->reserve = SLOT_SPARE + 1;
}

enum status slots_init(struct slots *slots, int dir, uint32_t block_size, uint32_t capacity, struct metric_cell *errors)
{
    *slots = (struct slots){.dir = dir,
                            .errors = errors,
                            .stride = ENTRY_PAGE + block_size,
                            .capacity = capacity,
                            .free_head = SLOT_NONE,
                            .limbo_head = SLOT_NONE,
                            .segment = SLOT_NONE};
    atomic_init(&slots->emptying, SLOT_NONE);
    pthread_mutex_init(&slots->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&slots->freed, &attr);
    pthread_condattr_destroy(&attr);
    slots->owner = mem_calloc(capacity, sizeof *slots->owner);
    slots->state = mem_calloc(capacity, sizeof *slots->state);
    slots->evict = evict_new(capacity, &(struct evict_events){slot_used, slot_live, slots});
    slots->file_count = (capacity + SLOT_PER_FILE - 1) / SLOT_PER_FILE;
    slots->files = mem_calloc(slots->file_count, sizeof *slots->files);
    for (uint32_t i = 0; i < slots->file_count; i++)
        atomic_init(&slots->files[i].fd, -1);
    reserve_set(slots);
    files_trim(slots);
    return files_open(slots);
}

void slots_fini(struct slots *slots)
{
    for (uint32_t i = 0; i < slots->file_count; i++) {
        uint8_t *map = atomic_load(&slots->files[i].map);
        if (map != NULL)
            munmap(map, (size_t) file_slots(slots, i) * slots->stride);
        int fd = atomic_load(&slots->files[i].fd);
        if (fd >= 0)
            close(fd);
    }
    close(slots->dir);
    evict_free(slots->evict);
    mem_free(slots->files);
    mem_free(slots->owner);
    mem_free(slots->state);
    pthread_cond_destroy(&slots->freed);
    pthread_mutex_destroy(&slots->lock);
}

void slots_loaded(struct slots *slots)
{
    pthread_mutex_lock(&slots->lock);
    for (uint32_t slot = slots->high; slot-- > 0;)
        if (slots->state[slot] == SLOT_FREE)
            slots_free_unseen(slots, slot);
    pthread_mutex_unlock(&slots->lock);
}

const uint8_t *slots_mapped(struct slots *slots, uint32_t slot)
{
    const uint8_t *map = atomic_load_explicit(&slots->files[slot / SLOT_PER_FILE].map, memory_order_relaxed);
    return map == NULL ? NULL : map + slots_offset(slots, slot);
}

void slots_written(struct slots *slots, uint32_t slot)
{
    atomic_store(&slots->files[slot / SLOT_PER_FILE].unsynced, true);
}

enum status slots_sync(struct slots *slots)
{
    int error = 0;
    for (uint32_t i = 0; i < slots->file_count; i++) {
        struct slot_file *file = &slots->files[i];
        int fd = atomic_load(&file->fd);
        if (fd < 0)
            break;
        if (atomic_exchange(&file->unsynced, false) && io()->datasync(fd) != 0) {
            error = errno;
            atomic_store(&file->unsynced, true);
        }
    }
    errno = error;
    return error == 0 ? STATUS_OK : STATUS_IO;
}

/* Makes the next data file. When the file system is full first, or the directory has gone, the share ends where it is.
 */
static void slots_extend(struct slots *slots)
{
    uint32_t file = slots->high / SLOT_PER_FILE;
    uint32_t count = file_slots(slots, file);
    off_t size = (off_t) count * slots->stride;
    char name[16];
    file_name(name, file);
    int fd = openat(slots->dir, name, O_RDWR | O_CREAT | GUARD_OPEN, 0600);
    if (fd < 0 || (io()->allocate(fd, 0, size) != 0 && (errno != EOPNOTSUPP || ftruncate(fd, size) != 0)) ||
        fsync(fd) != 0 || fsync(slots->dir) != 0 || file_attach(slots, file, fd) != STATUS_OK) {
        log_event(STORE_FULL, "file=%s errno=%d: a data file of %lld bytes cannot be made; the store stays at %u slots",
                  name, errno, (long long) size, slots->high);
        if (fd >= 0) {
            close(fd);
            (void) unlinkat(slots->dir, name, 0);
        }
        metric_cell_add(slots->errors, 1);
        slots->capacity = slots->high;
        reserve_set(slots);
        return;
    }
    slots->high += count;
    for (uint32_t i = slots->high; i-- > slots->high - count;)
        slots_free_unseen(slots, i);
}

uint32_t slots_alloc(struct slots *slots, bool spare)
{
    if (slots->free_count <= SLOT_SPARE && slots->high < slots->capacity)
        slots_extend(slots);
    if (slots->free_count <= (spare ? 0 : SLOT_SPARE))
        return SLOT_NONE;
    uint32_t slot = slots->free_head;
    slots->free_head = (uint32_t) slots->owner[slot];
    slots->free_count--;
    slots->owner[slot] = 0;
    slots->state[slot] = SLOT_WRITING;
    return slot;
}

void slots_free_unseen(struct slots *slots, uint32_t slot)
{
    slots->state[slot] = SLOT_FREE;
    slots->owner[slot] = slots->free_head;
    slots->free_head = slot;
    slots->free_count++;
}

void slots_settle(struct slots *slots, uint32_t slot, struct leaf *leaf, unsigned number)
{
    slots->owner[slot] = (uint64_t) (uintptr_t) leaf | number;
    slots->state[slot] = SLOT_BLOCK;
    evict_insert(slots->evict, slot);
}

struct leaf *slots_owner(const struct slots *slots, uint32_t slot, unsigned *number)
{
    *number = (unsigned) (slots->owner[slot] & 15);
    return (struct leaf *) (uintptr_t) (slots->owner[slot] & ~UINT64_C(15));
}

static void limbo_add(struct slots *slots, uint32_t slot)
{
    slots->state[slot] = SLOT_LIMBO;
    slots->limbo_head = slots_chain(slots, slots->limbo_head, slot);
    slots->limbo_count++;
}

void slots_drop(struct slots *slots, uint32_t slot)
{
    if (slots->state[slot] != SLOT_BLOCK && slots->state[slot] != SLOT_SEGMENT)
        return;
    evict_remove(slots->evict, slot);
    limbo_add(slots, slot);
}

uint32_t slots_victim(struct slots *slots, bool *segment)
{
    uint32_t slot = evict_victim(slots->evict);
    if (slot == EVICT_NONE)
        return SLOT_NONE;
    *segment = slots->state[slot] == SLOT_SEGMENT;
    if (*segment && segment_busy(slots, slot)) {
        /* Entries are still being written to the oldest of all: nearly nothing else is there. */
        evict_insert(slots->evict, slot);
        return SLOT_NONE;
    }
    slots->state[slot] = SLOT_VICTIM;
    return slot;
}

uint32_t slots_take_limbo(struct slots *slots)
{
    uint32_t chain = slots->limbo_head;
    slots->limbo_head = SLOT_NONE;
    slots->limbo_count = 0;
    return chain;
}

uint32_t slots_chain(struct slots *slots, uint32_t chain, uint32_t slot)
{
    slots->owner[slot] = chain;
    return slot;
}

void slots_free_chain(struct slots *slots, uint32_t chain)
{
    while (chain != SLOT_NONE) {
        uint32_t next = (uint32_t) slots->owner[chain];
        slots_free_unseen(slots, chain);
        chain = next;
    }
    pthread_cond_broadcast(&slots->freed);
}

bool slots_short(const struct slots *slots)
{
    return slots->high >= slots->capacity && slots->free_count < slots->reserve;
}
