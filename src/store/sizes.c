/* SPDX-License-Identifier: Apache-2.0 */
/* sizes.c: how the size of a disk is divided. */
#include "store/sizes.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/mem_parts.h"
#include "store/disk.h"
#include "store/entry.h"

#define SLOTS_MIN 16
#define MIB (INT64_C(1) << 20)
/* LMDB wants whole pages, whatever their size. */
#define INDEX_UNIT INT64_C(65536)

int64_t sizes_usable(int dir, int64_t size)
{
    struct statvfs system;
    if (fstatvfs(dir, &system) != 0 || system.f_blocks == 0) /* some do not say */
        return size;
    int64_t whole = (int64_t) system.f_blocks * (int64_t) system.f_frsize;
    if (whole >= size)
        return size;
    /* What is there is not given up where file systems share a pool, and each is as large as the others leave it. */
    int64_t there = slot_files_length(dir);
    there += there / 16 + 33 * MIB; /* the index and the rest, and a little more */
    whole = there > whole ? there : whole;
    return whole < size ? whole : size;
}

int64_t sizes_index(int64_t size)
{
    int64_t index = size / 32;
    if (index < 32 * MIB)
        index = size / 4 < 32 * MIB ? size / 4 : 32 * MIB;
    return index / INDEX_UNIT * INDEX_UNIT;
}

int64_t sizes_index_there(int dir, int64_t size)
{
    int64_t index = sizes_index(size);
    struct stat info;
    if (fstatat(dir, SLOT_INDEX_FILE, &info, AT_SYMLINK_NOFOLLOW) == 0 && info.st_size > index)
        index = (info.st_size + INDEX_UNIT - 1) / INDEX_UNIT * INDEX_UNIT;
    return index;
}

int64_t sizes_slots(int64_t size, int64_t index, uint32_t block_size)
{
    /* What the file system itself needs for extents and directories, and the small files. */
    int64_t overhead = size / 256 + 128 * 1024;
    int64_t count = (size - index - overhead) / (ENTRY_PAGE + (int64_t) block_size);
    return count < LOCATION_SLOT_MAX ? count : LOCATION_SLOT_MAX - 1;
}

bool sizes_too_small(int dir, int64_t size, uint32_t block_size, int64_t slots, char why[SIZES_TEXT])
{
    if (slots >= SLOTS_MIN)
        return false;
    int64_t usable = sizes_usable(dir, size), needed = usable > MIB ? usable : MIB;
    while (sizes_slots(needed, sizes_index(needed), block_size) < SLOTS_MIN)
        needed += MIB;
    snprintf(why, SIZES_TEXT, "%s is too small: with this block_size it takes %lld MiB",
             usable < size ? "the file system" : "size", (long long) ((needed + MIB - 1) / MIB));
    return true;
}

bool sizes_too_large(const struct store *store, int64_t slots, char why[SIZES_TEXT])
{
    int64_t others = 0, most = (int64_t) mem_part(MEM_STORE_TABLES, INT64_MAX) / STORE_BLOCK_MEMORY;
    for (unsigned i = 0; i < store->disk_count; i++)
        others += store->disks[i]->slots.capacity;
    if (others + slots <= most)
        return false;
    int64_t needed = (others + slots) * STORE_BLOCK_MEMORY, left = most > others ? most - others : 0;
    snprintf(why, SIZES_TEXT,
             "its %lld blocks%s take %lld MiB of memory, and at most half of `memory` may go to that: raise memory to "
             "%lld MiB, raise block_size, or lower size to %lld MiB",
             (long long) slots, others > 0 ? " and those of the disks before it" : "", (long long) (needed / MIB),
             (long long) (needed * MEM_WHOLE / MEM_STORE_TABLES / MIB + 1),
             (long long) (left * (ENTRY_PAGE + (int64_t) store->block_size) / MIB));
    return true;
}
