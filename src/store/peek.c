/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peek.c: the hit path. No lock, no allocation, no wait: a look-up, then the page cache or nothing.
 *
 * A block that is `verified` is in the page cache as it was written or checked, unless the kernel has dropped pages
 * since. Reading must then not bring them back unchecked: RWF_NOWAIT answers EAGAIN or short, but has started the read
 * by then, so `verified` is cleared at once and the block goes through store_load_block. Another loop that reads the
 * same block between that read's end and our clearing would be shown unchecked bytes; it looks at the flag again after
 * reading, so that leaves the time in which this thread stands between two instructions while a disk answers.
 *
 * Mappings are handed out only when mincore says that every page is there, and only for writev to a cleartext socket;
 * nothing here looks into them. Where the file system knows no RWF_NOWAIT, mincore decides for reads as well.
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>

#include "base/mem.h"
#include "store/directory.h"
#include "store/disk.h"
#include "store/inside.h"
#include "store/io.h"

#define PEEK_BUFFER (256 * 1024)
#define PEEK_PAGE 4096
/* A mapping is worth its page table walk from here on. */
#define PEEK_MAPPED_MIN (256 * 1024)
/* Pages asked of mincore at once: a block of 16 MiB and its ends. */
#define PEEK_PAGES 4128

/* A thread's own: a loop, in practice. Freed when the thread ends. */
struct place {
    uint8_t *buffer;
    unsigned char pages[PEEK_PAGES];
};

static pthread_once_t place_once = PTHREAD_ONCE_INIT;
static pthread_key_t place_key;
static _Thread_local struct place *place_own;

static void place_free(void *arg)
{
    struct place *place = arg;
    mem_free(place->buffer);
    mem_free(place);
}

static void place_key_new(void)
{
    int error = pthread_key_create(&place_key, place_free);
    assert(error == 0);
    (void) error;
}

static struct place *place_get(void)
{
    if (place_own == NULL) {
        pthread_once(&place_once, place_key_new);
        place_own = mem_alloc(sizeof *place_own);
        place_own->buffer = mem_aligned(PEEK_PAGE, PEEK_BUFFER);
        pthread_setspecific(place_key, place_own);
    }
    return place_own;
}

/* Whether all pages of that part of a mapping are in memory. */
static bool resident(struct place *place, const uint8_t *start, size_t size)
{
    uintptr_t from = (uintptr_t) start & ~(uintptr_t) (PEEK_PAGE - 1);
    size_t pages = ((uintptr_t) start + size - from + PEEK_PAGE - 1) / PEEK_PAGE;
    if (pages > PEEK_PAGES || mincore((void *) from, pages * PEEK_PAGE, place->pages) != 0)
        return false;
    for (size_t i = 0; i < pages; i++)
        if (!(place->pages[i] & 1))
            return false;
    return true;
}

struct peek {
    struct place *place;
    struct disk *disk;
    _Atomic uint64_t *at; /* where the directory keeps the location */
    uint64_t location;
    uint32_t from; /* within the slot */
    uint32_t size;
};

static enum status not_there(struct peek *peek)
{
    directory_flag(peek->at, peek->location, 0, LOCATION_VERIFIED);
    return STATUS_AGAIN;
}

static enum status peek_mapping(struct peek *peek, const uint8_t *mapped, struct iovec *piece)
{
    if (!resident(peek->place, mapped + peek->from, peek->size))
        return not_there(peek);
    *piece = (struct iovec){(void *) (uintptr_t) (mapped + peek->from), peek->size};
    return STATUS_OK;
}

static enum status peek_read(struct peek *peek, struct iovec *piece)
{
    struct slots *slots = &peek->disk->slots;
    uint32_t slot = location_slot(peek->location);
    struct iovec iov = {peek->place->buffer, peek->size};
    int flags = RWF_NOWAIT;
    if (atomic_load_explicit(&peek->disk->no_nowait, memory_order_relaxed)) {
        const uint8_t *mapped = slots_mapped(slots, slot);
        if (mapped == NULL || !resident(peek->place, mapped + peek->from, peek->size))
            return not_there(peek);
        flags = 0;
    }
    ssize_t got = io()->readv(slots_fd(slots, slot), &iov, 1, slots_offset(slots, slot) + peek->from, flags);
    if (got < 0 && errno == EOPNOTSUPP)
        atomic_store_explicit(&peek->disk->no_nowait, true, memory_order_relaxed);
    if (got != (ssize_t) peek->size)
        return not_there(peek);
    if (!(atomic_load_explicit(peek->at, memory_order_acquire) & LOCATION_VERIFIED))
        return STATUS_AGAIN;
    *piece = iov;
    return STATUS_OK;
}

enum status store_peek_block(struct store *store, uint64_t generation, uint64_t block, uint32_t offset, uint32_t max,
                             bool plain, struct iovec *piece)
{
    struct leaf *leaf = directory_find(store->directory, generation, block / STORE_EXTENT_BLOCKS);
    if (leaf == NULL)
        return STATUS_NOT_FOUND;
    struct peek peek = {.at = &leaf->location[block % STORE_EXTENT_BLOCKS]};
    peek.location = atomic_load_explicit(peek.at, memory_order_acquire);
    if (peek.location == 0)
        return STATUS_NOT_FOUND;
    uint32_t length = directory_block_length(leaf->length, store->block_size, block);
    assert(offset < length && max > 0); /* the caller knows the generation's length */
    if (!(peek.location & LOCATION_USED))
        directory_flag(peek.at, peek.location, LOCATION_USED, 0);
    if (!(peek.location & LOCATION_VERIFIED))
        return STATUS_AGAIN;
    peek.disk = store->disks[location_disk(peek.location)];
    peek.place = place_get();
    peek.from = location_body(peek.location) + offset;
    peek.size = max < length - offset ? max : length - offset;
    if (plain && peek.size >= PEEK_MAPPED_MIN) {
        const uint8_t *mapped = slots_mapped(&peek.disk->slots, location_slot(peek.location));
        if (mapped != NULL)
            return peek_mapping(&peek, mapped, piece);
    }
    if (peek.size > PEEK_BUFFER)
        peek.size = PEEK_BUFFER;
    return peek_read(&peek, piece);
}
