/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buf.c: where buffers come from.
 *
 * Block buffers (powers of two from 64 KiB to 16 MiB) are mappings that are kept for the next use: a new mapping of 1
 * MiB costs 256 page faults, more than reading it from a socket, and on a virtual machine that has given its free
 * memory back ten times that. What is kept is bounded by KEEP_BYTES and MEM_BUFFERS_KEPT, counts as used
 * memory, goes back at once under memory pressure, and after a while when it is not used (buf_tidy). Other sizes come
 * from malloc, and under a sanitizer all of them do, so that overruns and late uses are seen.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "base/buf.h"

#include <assert.h>
#include <pthread.h>
#include <sys/mman.h>

#include "base/mem.h"
#include "base/mem_parts.h"

#define MAPPED_MIN ((size_t) 64 * 1024)
#define MAPPED_MAX ((size_t) 16 * 1024 * 1024)
#define MAPPED_CLASSES 9
#define KEEP_BYTES ((size_t) 256 * 1024 * 1024)
#define PAGE ((size_t) 4096)

/* A kept mapping holds the link to the next in its first bytes. */
struct kept {
    struct kept *next;
};

static struct {
    pthread_mutex_t lock;
    struct kept *free[MAPPED_CLASSES];
    unsigned count[MAPPED_CLASSES];
    unsigned least[MAPPED_CLASSES]; /* of the counts since buf_tidy */
    size_t bytes;
} buf_pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool is_mapped(size_t size)
{
#ifdef HEADPOND_SANITIZE
    (void) size;
    return false;
#else
    return size >= MAPPED_MIN && size <= MAPPED_MAX && (size & (size - 1)) == 0;
#endif
}

static unsigned class_of(size_t size)
{
    return (unsigned) (__builtin_ctzll(size) - __builtin_ctzll(MAPPED_MIN));
}

/* Under the lock. NULL: none is kept. */
static struct kept *pool_take(unsigned class)
{
    struct kept *kept = buf_pool.free[class];
    if (kept == NULL)
        return NULL;
    buf_pool.free[class] = kept->next;
    buf_pool.bytes -= MAPPED_MIN << class;
    if (--buf_pool.count[class] < buf_pool.least[class])
        buf_pool.least[class] = buf_pool.count[class];
    return kept;
}

static uint8_t *mapped_take(size_t size)
{
    pthread_mutex_lock(&buf_pool.lock);
    struct kept *kept = pool_take(class_of(size));
    pthread_mutex_unlock(&buf_pool.lock);
    if (kept != NULL)
        return (uint8_t *) kept;
    void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        mem_die("mmap");
    mem_account((ptrdiff_t) size);
    return map;
}

static void mapped_drop(uint8_t *data, size_t size)
{
    munmap(data, size);
    mem_account(-(ptrdiff_t) size);
}

static void mapped_give(uint8_t *data, size_t size)
{
    size_t part = mem_part(MEM_BUFFERS_KEPT, KEEP_BYTES), keep = part < KEEP_BYTES ? part : KEEP_BYTES;
    if (mem_pressure() != MEM_EASY) {
        keep = 0;
        buf_trim(); /* what was kept in easier times counts as used: give that back, too */
    }
    pthread_mutex_lock(&buf_pool.lock);
    bool kept = buf_pool.bytes + size <= keep;
    if (kept) {
        struct kept *link = (struct kept *) (void *) data;
        link->next = buf_pool.free[class_of(size)];
        buf_pool.free[class_of(size)] = link;
        buf_pool.count[class_of(size)]++;
        buf_pool.bytes += size;
    }
    pthread_mutex_unlock(&buf_pool.lock);
    if (!kept)
        mapped_drop(data, size);
}

static void drop_kept(bool all)
{
    for (unsigned i = 0; i < MAPPED_CLASSES; i++) {
        struct kept *dropped = NULL;
        pthread_mutex_lock(&buf_pool.lock);
        for (unsigned left = all ? buf_pool.count[i] : buf_pool.least[i]; left > 0; left--) {
            struct kept *kept = pool_take(i);
            kept->next = dropped;
            dropped = kept;
        }
        buf_pool.least[i] = buf_pool.count[i];
        pthread_mutex_unlock(&buf_pool.lock);
        while (dropped != NULL) { /* outside the lock: it takes its time */
            struct kept *next = dropped->next;
            mapped_drop((uint8_t *) dropped, MAPPED_MIN << i);
            dropped = next;
        }
    }
}

void buf_trim(void)
{
    drop_kept(true);
}

void buf_tidy(void)
{
    drop_kept(false);
}

bool buf_memory_used_up(void)
{
    if (mem_pressure() < MEM_STOP_ACCEPT)
        return false;
    buf_trim();
    return mem_pressure() >= MEM_STOP_ACCEPT;
}

size_t buf_kept_bytes(void)
{
    pthread_mutex_lock(&buf_pool.lock);
    size_t bytes = buf_pool.bytes;
    pthread_mutex_unlock(&buf_pool.lock);
    return bytes;
}

struct buf *buf_new(size_t size)
{
    struct buf *buf = mem_alloc(sizeof *buf);
    atomic_init(&buf->refs, 1);
    atomic_init(&buf->filled, 0);
    buf->size = size;
    buf->room = NULL;
    if (is_mapped(size))
        buf->data = mapped_take(size);
    else
        buf->data = size >= PAGE ? mem_aligned(PAGE, size) : mem_alloc(size);
    return buf;
}

struct buf *buf_new_in(struct buf_room *room, size_t size, int64_t *since_ms)
{
    if (!buf_room_take(room, size, since_ms))
        return NULL;
    struct buf *buf = buf_new(size);
    buf->room = room;
    return buf;
}

struct buf *buf_ref(struct buf *buf)
{
    unsigned before = atomic_fetch_add_explicit(&buf->refs, 1, memory_order_relaxed);
    assert(before > 0);
    (void) before;
    return buf;
}

void buf_unref(struct buf **buf)
{
    struct buf *gone = *buf;
    *buf = NULL;
    if (gone == NULL)
        return;
    unsigned before = atomic_fetch_sub_explicit(&gone->refs, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before > 1)
        return;
    if (is_mapped(gone->size))
        mapped_give(gone->data, gone->size);
    else
        mem_free(gone->data);
    if (gone->room != NULL)
        buf_room_give(gone->room, gone->size);
    mem_free(gone);
}
