/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peek.c: the hit path. No lock, no allocation, no wait: a look-up, then the page cache or nothing.
 *
 * A block that is `verified` is in the page cache as it was written or checked, unless the kernel has dropped pages
 * since. Reading must then not bring them back unchecked. RWF_NOWAIT alone does not see to that: it starts the read
 * itself and looks again, and what is there by then it hands out: at once where the file has a hole (it was truncated,
 * then written to behind), and whenever a device is quick. So the pages are asked for first (resident.h); one that is
 * absent clears `verified`, and the block goes through store_load_block, which checks it whole.
 *
 * That suffices while nobody else brings pages back:
 *   - A full block has its pages to itself, and so has a packed entry of more than ENTRY_SHARED_MAX.
 *   - Smaller entries share pages: reading one brings in a part of its neighbours. They are checked in every peek,
 *     which costs about as much as asking (0.2 µs for 4 KiB), and are good whatever was done to the file.
 *   - A load of a block that counts as verified, but has lost pages, clears the flag before it reads.
 *   - A segment that is being emptied is read whole and unchecked: nothing large of it is shown meanwhile.
 *   - A file that somebody cuts keeps the page it was cut in, with zeros behind the cut. A read there is short, a
 *   mapping
 *     is not, so it is asked how long the file is; and before it grows again no block in it counts as verified
 *     (transfer.c).
 * The flag and the segment are looked at again at the end: what reads unchecked has said so before it began.
 *
 * What stays open, for blocks and large entries: a page that is dropped between our asking and the copy, in the same
 * event; and a page that was dropped and then read by another process (a backup of the directory) before a peek missed
 * it, which nothing tells. In both the disk must also return other bytes than it was given. The directory is closed to
 * other users and marked as a cache (CACHEDIR.TAG), which backups leave out.
 *
 * Mappings are handed out only for writev to a cleartext socket; nothing here looks into them. A page that is absent by
 * then after all makes writev wait for the disk, or fail where the file ends.
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>

#include "base/mem.h"
#include "store/directory.h"
#include "store/disk.h"
#include "store/inside.h"
#include "store/io.h"
#include "store/resident.h"
#include "store/transfer.h"

#define PEEK_BUFFER (256 * 1024)
/* A mapping is worth its page table walk from here on. */
#define PEEK_MAPPED_MIN (256 * 1024)

/* A thread's own: a loop's, in practice. Freed when the thread ends. */
static pthread_once_t buffer_once = PTHREAD_ONCE_INIT;
static pthread_key_t buffer_key;
static _Thread_local uint8_t *buffer_own;

static void buffer_key_new(void)
{
    int error = pthread_key_create(&buffer_key, mem_free);
    assert(error == 0);
    (void) error;
}

static uint8_t *buffer_get(void)
{
    if (buffer_own == NULL) {
        pthread_once(&buffer_once, buffer_key_new);
        buffer_own = mem_aligned(ENTRY_PAGE, PEEK_BUFFER);
        pthread_setspecific(buffer_key, buffer_own);
    }
    return buffer_own;
}

struct peek {
    uint8_t *buffer;
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

/* Whether the pages were good when they were asked for: nobody has begun to read them unchecked by now. */
static bool still_good(const struct peek *peek)
{
    /* In this order: a segment that is not being emptied any more has nothing left in it. */
    if ((peek->location & LOCATION_PACKED) && atomic_load(&peek->disk->slots.emptying) == location_slot(peek->location))
        return false;
    uint64_t now = atomic_load(peek->at);
    return location_same(now, peek->location) && (now & LOCATION_VERIFIED);
}

/* Reads `size` bytes from `from` of the slot into the buffer; the caller takes care that they are to be had at once. */
static bool peek_read(const struct peek *peek, uint32_t from, uint32_t size)
{
    struct slots *slots = &peek->disk->slots;
    uint32_t slot = location_slot(peek->location);
    struct iovec iov = {peek->buffer, size};
    int flags = RWF_NOWAIT;
    if (atomic_load_explicit(&peek->disk->no_nowait, memory_order_relaxed)) {
        if (!resident(peek->disk, slot, from, size))
            return false;
        flags = 0;
    }
    ssize_t got = io()->readv(slots_fd(slots, slot), &iov, 1, slots_offset(slots, slot) + from, flags);
    if (got < 0 && errno == EOPNOTSUPP)
        atomic_store_explicit(&peek->disk->no_nowait, true, memory_order_relaxed);
    return got == (ssize_t) size;
}

/* A whole short entry, header and all, and whether it is what it should be. */
static bool peek_checked(const struct peek *peek, uint64_t generation, uint64_t block, uint32_t length)
{
    const uint8_t *header = peek->buffer;
    const struct store_load wanted = {.generation = generation, .block = block, .length = length};
    return peek_read(peek, location_offset(peek->location), ENTRY_HEADER_SIZE + length) &&
           transfer_check(peek->disk, header, header + ENTRY_HEADER_SIZE, &wanted) == STATUS_OK;
}

/* The first since eviction looked at the block. */
static void first_use(const struct peek *peek, uint64_t generation, uint64_t block)
{
    struct evict *evict = peek->disk->slots.evict;
    directory_flag(peek->at, peek->location, LOCATION_USED, 0);
    if (evict_sampled(evict, generation, block))
        evict_read(evict, generation, block, location_slot(peek->location));
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
    peek.disk = store->disks[location_disk(peek.location)];
    if (health_out(peek.disk))
        return STATUS_NOT_FOUND;
    uint32_t length = store_block_length(leaf->length, store->block_size, block);
    assert(offset < length && max > 0); /* the caller knows the generation's length */
    if (!(peek.location & LOCATION_USED))
        first_use(&peek, generation, block);
    if (!(peek.location & LOCATION_VERIFIED))
        return STATUS_AGAIN;
    peek.buffer = buffer_get();
    peek.from = location_body(peek.location) + offset;
    peek.size = max < length - offset ? max : length - offset;
    if ((peek.location & LOCATION_PACKED) && entry_packed_size(length) <= ENTRY_SHARED_MAX) {
        if (!peek_checked(&peek, generation, block, length))
            return not_there(&peek);
        *piece = (struct iovec){peek.buffer + ENTRY_HEADER_SIZE + offset, peek.size};
        return STATUS_OK;
    }
    const uint8_t *mapped = NULL;
    if (plain && peek.size >= PEEK_MAPPED_MIN)
        mapped = slots_mapped(&peek.disk->slots, location_slot(peek.location));
    if (mapped == NULL && peek.size > PEEK_BUFFER)
        peek.size = PEEK_BUFFER;
    if (!resident(peek.disk, location_slot(peek.location), peek.from, peek.size) ||
        (mapped == NULL && !peek_read(&peek, peek.from, peek.size)) ||
        (mapped != NULL && !slots_reach(&peek.disk->slots, location_slot(peek.location), peek.from + peek.size)))
        return not_there(&peek);
    if (!still_good(&peek))
        return STATUS_AGAIN;
    void *shown = mapped == NULL ? peek.buffer : (uint8_t *) (uintptr_t) mapped + peek.from;
    *piece = (struct iovec){shown, peek.size};
    return STATUS_OK;
}
