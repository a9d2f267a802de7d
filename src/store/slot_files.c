/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slot_files.c: the data files below the slots: opened at a start, grown as slots are needed, mapped, synced.
 *
 * The share of a disk may be more than its file system has room for, at the start or later, so files grow by what there
 * is: up to a whole file at once, less where less is left, but never into what the index may still need, since an index
 * that cannot be written costs the disk. When nothing is left the store goes on with what it has and looks again after
 * a while.
 */
#include "store/slot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"
#include "store/guard.h"
#include "store/io.h"

/* Less is not worth a call. */
#define GROW_MIN 16
#define GROW_RETRY_MS 10000

void slot_file_name(char name[SLOT_FILE_NAME], uint32_t file)
{
    snprintf(name, SLOT_FILE_NAME, SLOT_FILE_PREFIX "%06x", file & 0xffffff);
}

static uint32_t file_slots(const struct slots *slots, uint32_t file)
{
    uint32_t left = slots->capacity - file * SLOT_PER_FILE;
    return left < SLOT_PER_FILE ? left : SLOT_PER_FILE;
}

/* Mapped as long as it may become; what is beyond its end holds no slot. */
static void file_attach(struct slots *slots, uint32_t file, int fd)
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
}

enum status slot_files_open(struct slots *slots)
{
    for (uint32_t file = 0; file < slots->file_count; file++) {
        char name[SLOT_FILE_NAME];
        struct stat info;
        slot_file_name(name, file);
        int fd = openat(slots->dir, name, O_RDWR | GUARD_OPEN);
        if (fd < 0)
            return errno == ENOENT ? STATUS_OK : STATUS_IO;
        uint32_t whole = file_slots(slots, file);
        off_t size = (off_t) whole * slots->stride;
        if (fstat(fd, &info) != 0 || (info.st_size > size && ftruncate(fd, size) != 0)) {
            close(fd);
            return STATUS_IO;
        }
        file_attach(slots, file, fd);
        uint32_t there = info.st_size < size ? (uint32_t) (info.st_size / slots->stride) : whole;
        slots->high += there;
        if (there < whole)
            return STATUS_OK;
    }
    return STATUS_OK;
}

int64_t slot_files_length(int dir)
{
    int64_t length = 0;
    struct stat info;
    char name[SLOT_FILE_NAME];
    for (uint32_t file = 0; file <= 0xffffff; file++, length += info.st_size) {
        slot_file_name(name, file);
        if (fstatat(dir, name, &info, AT_SYMLINK_NOFOLLOW) != 0)
            break;
    }
    return length;
}

void slot_files_trim(struct slots *slots)
{
    for (uint32_t file = slots->file_count; file <= 0xffffff; file++) {
        char name[SLOT_FILE_NAME];
        slot_file_name(name, file);
        if (unlinkat(slots->dir, name, 0) != 0)
            return;
    }
}

void slot_files_close(struct slots *slots)
{
    for (uint32_t i = 0; i < slots->file_count; i++) {
        uint8_t *map = atomic_load(&slots->files[i].map);
        if (map != NULL)
            munmap(map, (size_t) file_slots(slots, i) * slots->stride);
        int fd = atomic_load(&slots->files[i].fd);
        if (fd >= 0)
            close(fd);
    }
}

int slot_files_direct(const struct slots *slots, uint32_t file)
{
    char name[SLOT_FILE_NAME];
    slot_file_name(name, file);
    return openat(slots->dir, name, O_RDONLY | O_DIRECT | GUARD_OPEN);
}

/* Bytes of the slot's file, as it was made. */
static off_t made_length(struct slots *slots, uint32_t slot)
{
    uint32_t first = slot / SLOT_PER_FILE * SLOT_PER_FILE;
    pthread_mutex_lock(&slots->lock);
    uint32_t count = slots->high - first;
    pthread_mutex_unlock(&slots->lock);
    return (off_t) (count < SLOT_PER_FILE ? count : SLOT_PER_FILE) * slots->stride;
}

bool slots_reach(struct slots *slots, uint32_t slot, uint32_t end)
{
    struct stat info;
    return fstat(slots_fd(slots, slot), &info) == 0 && info.st_size >= slots_offset(slots, slot) + (off_t) end;
}

bool slots_cut(struct slots *slots, uint32_t slot)
{
    struct stat info;
    return fstat(slots_fd(slots, slot), &info) == 0 && info.st_size < made_length(slots, slot);
}

void slots_mend(struct slots *slots, uint32_t slot)
{
    if (ftruncate(slots_fd(slots, slot), made_length(slots, slot)) != 0)
        metric_cell_add(slots->errors, 1);
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

/* ---- Growing. ---- */

uint32_t slot_files_fit(struct slots *slots)
{
    pthread_mutex_lock(&slots->lock);
    uint32_t rest = slots->capacity - slots->high;
    pthread_mutex_unlock(&slots->lock);
    struct statvfs system;
    struct stat index;
    if (fstatvfs(slots->dir, &system) != 0)
        return rest;
    int64_t spared = slots->index_max;
    if (fstatat(slots->dir, SLOT_INDEX_FILE, &index, AT_SYMLINK_NOFOLLOW) == 0)
        spared -= (int64_t) index.st_blocks * 512;
    int64_t left = (int64_t) system.f_bavail * (int64_t) system.f_frsize - (spared > 0 ? spared : 0);
    int64_t fit = left < 0 ? 0 : left / slots->stride;
    return fit < rest ? (uint32_t) fit : rest;
}

/* Makes the file longer by up to `count` slots from its slot `from`; how many it was. errno: why not all. */
static uint32_t file_grow(const struct slots *slots, int fd, uint32_t from, uint32_t count, uint32_t least)
{
    for (; count >= least && count > 0; count /= 2) {
        off_t at = (off_t) from * slots->stride, length = (off_t) count * slots->stride;
        if (io()->allocate(fd, at, length) == 0 || (errno == EOPNOTSUPP && ftruncate(fd, at + length) == 0))
            return count;
        if (errno != ENOSPC && errno != EDQUOT && errno != EFBIG)
            return 0;
    }
    return 0;
}

/* The next file, or the last one's rest. The slots that came, 0 with errno set. */
static uint32_t grow(struct slots *slots, uint32_t file, char name[SLOT_FILE_NAME])
{
    uint32_t from = slots->high % SLOT_PER_FILE, count = file_slots(slots, file) - from;
    uint32_t least = count < GROW_MIN ? count : GROW_MIN, fit = slot_files_fit(slots);
    int there = atomic_load(&slots->files[file].fd);
    slot_file_name(name, file);
    if (fit < least) {
        errno = ENOSPC;
        return 0;
    }
    int fd = there >= 0 ? there : openat(slots->dir, name, O_RDWR | O_CREAT | GUARD_OPEN, 0600);
    if (fd < 0)
        return 0;
    uint32_t got = file_grow(slots, fd, from, fit < count ? fit : count, least);
    if (got > 0 && fsync(fd) == 0 && (there >= 0 || fsync(slots->dir) == 0)) {
        if (there < 0)
            file_attach(slots, file, fd);
        return got;
    }
    int error = errno;
    if (there < 0) {
        close(fd);
        (void) unlinkat(slots->dir, name, 0);
    }
    errno = error;
    return 0;
}

bool slots_may_grow(const struct slots *slots)
{
    struct slots *shared = (struct slots *) (uintptr_t) slots;
    return slots->high < slots->capacity && clock_mono_ms() >= atomic_load(&shared->grow_at_ms);
}

uint32_t slot_files_grow(struct slots *slots)
{
    uint32_t file = slots->high / SLOT_PER_FILE;
    char name[SLOT_FILE_NAME];
    uint32_t count = grow(slots, file, name);
    if (count > 0) {
        if (atomic_exchange(&slots->grow_at_ms, 0) != 0)
            log_event(STORE_ROOM, "path=%s: there is room again; the store grows to %u of %u slots", slots->path,
                      slots->high + count, slots->capacity);
        return count;
    }
    bool full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
    if (atomic_load(&slots->grow_at_ms) == 0)
        log_event(STORE_FULL,
                  "path=%s file=%s errno=%d: no more room for data; the store stays at %u of %u slots until there is",
                  slots->path, name, errno, slots->high, slots->capacity);
    if (!full)
        metric_cell_add(slots->errors, 1);
    atomic_store(&slots->grow_at_ms, clock_mono_ms() + GROW_RETRY_MS);
    return 0;
}
