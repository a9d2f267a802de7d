/* SPDX-License-Identifier: Apache-2.0 */
/* resident.c: cachestat, or else mincore. */
#include "store/resident.h"

#include <sys/mman.h>
#include <unistd.h>

#include "store/disk.h"
#include "store/io.h"

/* Where the kernel's pages are larger, blocks share them: nothing counts as resident there, and I/O threads read. */
#define PAGE 4096
/* Pages asked of mincore at once. */
#define PAGES 512

static bool mapping_resident(const uint8_t *start, size_t pages)
{
    unsigned char there[PAGES];
    for (size_t done = 0; done < pages; done += PAGES) {
        size_t count = pages - done < PAGES ? pages - done : PAGES;
        if (mincore((void *) (uintptr_t) (start + done * PAGE), count * PAGE, there) != 0)
            return false;
        for (size_t i = 0; i < count; i++)
            if (!(there[i] & 1))
                return false;
    }
    return true;
}

bool resident(struct disk *disk, uint32_t slot, uint32_t from, uint32_t size)
{
    struct slots *slots = &disk->slots;
    uint32_t begin = from & ~(uint32_t) (PAGE - 1);
    size_t pages = (from + size - begin + PAGE - 1) / PAGE;
    if (getpagesize() != PAGE)
        return false;
    if (!atomic_load_explicit(&disk->no_cachestat, memory_order_relaxed)) {
        uint64_t cached;
        if (io()->cached(slots_fd(slots, slot), slots_offset(slots, slot) + begin, pages * PAGE, &cached) != 0)
            atomic_store_explicit(&disk->no_cachestat, true, memory_order_relaxed);
        else if (cached == pages)
            return true;
        /* It counts too few when it is interrupted within a large folio, one time in 100,000: mincore knows. */
    }
    const uint8_t *mapped = slots_mapped(slots, slot);
    return mapped != NULL && mapping_resident(mapped + begin, pages);
}
