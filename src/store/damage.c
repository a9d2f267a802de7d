/* SPDX-License-Identifier: Apache-2.0 */
/* damage.c: lines of store-corrupt. */
#include "store/damage.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/log.h"
#include "store/disk.h"
#include "store/location.h"

void damage_found(struct disk *disk, uint32_t slot, uint32_t offset, const char *format, ...)
{
    char file[SLOT_FILE_NAME], text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    slot_file_name(file, slot / SLOT_PER_FILE);
    metric_cell_add(disk->metrics.corrupt, 1);
    log_event(STORE_CORRUPT, "path=%s file=%s offset=%lld%s", disk->path, file,
              (long long) slots_offset(&disk->slots, slot) + offset, text);
}

void damage_block(struct disk *disk, uint64_t location, uint64_t generation, uint64_t block, const char *how)
{
    damage_found(disk, location_slot(location), location_offset(location),
                 " generation=%llu block=%llu: a block's check failed when it was %s; it was dropped and is fetched "
                 "again, no reader was given it",
                 (unsigned long long) generation, (unsigned long long) block, how);
}
