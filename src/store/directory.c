/* SPDX-License-Identifier: Apache-2.0 */
/* directory.c: the table of leaves. */
#include "store/directory.h"

#include <assert.h>
#include <pthread.h>

#include "base/container.h"
#include "base/mem.h"

#define LOCKS 64
/* What a node costs in the table itself, which liburcu allocates behind our back: counted so that `memory` stays true.
 */
#define TABLE_SHARE 24

struct directory {
    struct cds_lfht *table;
    atomic_size_t count;
    struct {
        pthread_mutex_t mutex;
    } __attribute__((aligned(64))) locks[LOCKS];
};

struct leaf_key {
    uint64_t generation;
    uint64_t extent;
};

static int leaf_match(struct cds_lfht_node *node, const void *key)
{
    RCU_SEEN(node);
    const struct leaf *leaf = CONTAINER_OF(node, struct leaf, node);
    const struct leaf_key *wanted = key;
    return leaf->generation == wanted->generation && leaf->extent == wanted->extent;
}

/* Extents of one generation lie side by side in the table: who reads through a blob, or through the index at a start,
 * meets the same lines of memory again. Generations begin anywhere, so chains get no longer by it. */
static unsigned long place_of(uint64_t generation, uint64_t extent)
{
    return hash_mix(generation, 0) + extent;
}

static pthread_mutex_t *lock_of(struct directory *directory, uint64_t generation, uint64_t extent)
{
    return &directory->locks[hash_mix(generation, extent) >> 32 & (LOCKS - 1)].mutex;
}

struct directory *directory_new(void)
{
    struct directory *directory = mem_aligned(64, sizeof *directory);
    /* Without accounting the table grows by the longest chain it meets and overshoots, measured: three times the
     * memory. */
    directory->table = cds_lfht_new(4096, 4096, 0, CDS_LFHT_AUTO_RESIZE | CDS_LFHT_ACCOUNTING, NULL);
    if (directory->table == NULL)
        mem_die("cds_lfht_new");
    atomic_init(&directory->count, 0);
    for (unsigned i = 0; i < LOCKS; i++)
        pthread_mutex_init(&directory->locks[i].mutex, NULL);
    return directory;
}

void directory_expect(struct directory *directory, size_t leaves)
{
    size_t wanted = directory_count(directory) + leaves, size = 4096;
    while (size < wanted && size < (size_t) 1 << 40)
        size *= 2;
    if (size > 4096)
        cds_lfht_resize(directory->table, size);
}

struct leaf *directory_find(struct directory *directory, uint64_t generation, uint64_t extent)
{
    struct leaf_key key = {generation, extent};
    struct cds_lfht_iter iter;
    cds_lfht_lookup(directory->table, place_of(generation, extent), leaf_match, &key, &iter);
    struct cds_lfht_node *node = cds_lfht_iter_get_node(&iter);
    return node == NULL ? NULL : CONTAINER_OF(node, struct leaf, node);
}

void directory_lock(struct directory *directory, uint64_t generation, uint64_t extent)
{
    pthread_mutex_lock(lock_of(directory, generation, extent));
}

void directory_unlock(struct directory *directory, uint64_t generation, uint64_t extent)
{
    pthread_mutex_unlock(lock_of(directory, generation, extent));
}

struct leaf *directory_add(struct directory *directory, uint64_t generation, uint64_t extent, struct hash128 object,
                           uint64_t length)
{
    struct leaf *leaf = directory_find(directory, generation, extent);
    if (leaf != NULL)
        return leaf;
    assert(extent <= UINT32_MAX);
    leaf = mem_alloc(sizeof *leaf);
    assert(((uintptr_t) leaf & 15) == 0); /* slots keep a block's number in the low bits */
    cds_lfht_node_init(&leaf->node);
    leaf->object = object;
    leaf->generation = generation;
    leaf->length = length;
    leaf->extent = (uint32_t) extent;
    atomic_init(&leaf->dirty, false);
    for (unsigned i = 0; i < STORE_EXTENT_BLOCKS; i++)
        atomic_init(&leaf->location[i], 0);
    RCU_PUBLISH(&leaf->node);
    cds_lfht_add(directory->table, place_of(generation, extent), &leaf->node);
    atomic_fetch_add_explicit(&directory->count, 1, memory_order_relaxed);
    mem_account(TABLE_SHARE);
    return leaf;
}

static void leaf_reclaim(struct rcu_head *rcu)
{
    RCU_SEEN(rcu);
    RCU_RECLAIM(mem_free(CONTAINER_OF(rcu, struct leaf, rcu)));
}

void directory_tidy(struct directory *directory, struct leaf *leaf)
{
    for (unsigned i = 0; i < STORE_EXTENT_BLOCKS; i++)
        if (atomic_load_explicit(&leaf->location[i], memory_order_relaxed) != 0)
            return;
    int gone = cds_lfht_del(directory->table, &leaf->node);
    assert(gone == 0);
    (void) gone;
    atomic_fetch_sub_explicit(&directory->count, 1, memory_order_relaxed);
    mem_account(-TABLE_SHARE);
    rcu_later(&leaf->rcu, leaf_reclaim);
}

void directory_flag(_Atomic uint64_t *location, uint64_t seen, uint64_t set, uint64_t clear)
{
    uint64_t now = atomic_load_explicit(location, memory_order_relaxed);
    while (now != 0 && location_same(now, seen)) {
        uint64_t wanted = (now | set) & ~clear;
        if (wanted == now ||
            atomic_compare_exchange_weak_explicit(location, &now, wanted, memory_order_acq_rel, memory_order_relaxed))
            return;
    }
}

void directory_each(struct directory *directory, void (*each)(void *arg, struct leaf *leaf), void *arg)
{
    struct cds_lfht_iter iter;
    struct leaf *leaf;
    RCU_FOR_EACH(directory->table, &iter, leaf, struct leaf, node) each(arg, leaf);
}

size_t directory_count(const struct directory *directory)
{
    return atomic_load_explicit(&directory->count, memory_order_relaxed);
}

void directory_free(struct directory *directory)
{
    struct cds_lfht_iter iter;
    struct leaf *leaf;
    RCU_FOR_EACH(directory->table, &iter, leaf, struct leaf, node)
    {
        cds_lfht_del(directory->table, &leaf->node);
        mem_account(-TABLE_SHARE);
        rcu_later(&leaf->rcu, leaf_reclaim);
    }
    rcu_thread_offline();
    rcu_barrier();
    cds_lfht_destroy(directory->table, NULL);
    rcu_thread_online();
    for (unsigned i = 0; i < LOCKS; i++)
        pthread_mutex_destroy(&directory->locks[i].mutex);
    mem_free(directory);
}

#ifdef RCU_TSAN
/* What goes on between liburcu's own threads. Weak: a program may have a say of its own. */
const char *__tsan_default_suppressions(void);
__attribute__((weak)) const char *__tsan_default_suppressions(void)
{
    return "called_from_lib:liburcu-cds.so\ncalled_from_lib:liburcu-qsbr.so\n";
}
#endif
