/* SPDX-License-Identifier: Apache-2.0 */
/* generation.c: counted generations, their records, and the list of the dead. */
#include "store/generation.h"

#include <assert.h>
#include <pthread.h>

#include "base/container.h"
#include "base/mem.h"

struct generations {
    atomic_uint refs; /* the store's, and each generation's */
    struct store_record_codec codec;
    pthread_mutex_t lock; /* over the dead */
    struct generation_dead *dead;
    unsigned dead_count;
    unsigned dead_room;
};

struct box {
    struct store_generation generation;
    struct generations *family; /* counted */
    atomic_bool doomed;
    char record[];
};

/* Bounded: what does not fit is left to eviction. */
#define DEAD_MAX 65536

struct generations *generations_new(const struct store_record_codec *codec)
{
    struct generations *generations = mem_calloc(1, sizeof *generations);
    atomic_init(&generations->refs, 1);
    if (codec != NULL)
        generations->codec = *codec;
    pthread_mutex_init(&generations->lock, NULL);
    return generations;
}

void generations_unref(struct generations **generations)
{
    struct generations *gone = *generations;
    *generations = NULL;
    if (atomic_fetch_sub_explicit(&gone->refs, 1, memory_order_acq_rel) > 1)
        return;
    pthread_mutex_destroy(&gone->lock);
    mem_free(gone->dead);
    mem_free(gone);
}

bool generation_decode(const struct generations *generations, struct str record, uint64_t length, void **decoded)
{
    *decoded = NULL;
    if (generations->codec.decode == NULL)
        return true;
    *decoded = generations->codec.decode(record, length);
    return *decoded != NULL;
}

static size_t decoded_size(const struct generations *generations, const void *decoded, struct str record)
{
    if (generations->codec.size == NULL)
        return 2 * record.len;
    return decoded == NULL ? 0 : generations->codec.size(decoded);
}

struct store_generation *generation_make(struct generations *generations, uint64_t id, struct hash128 object,
                                         struct hash128 group, uint64_t length, struct str record, void *decoded)
{
    assert(id != 0 && record.len <= STORE_RECORD_MAX);
    struct box *box = mem_alloc(sizeof *box + record.len);
    atomic_fetch_add_explicit(&generations->refs, 1, memory_order_relaxed);
    box->family = generations;
    atomic_init(&box->doomed, false);
    if (record.len > 0)
        memcpy(box->record, record.ptr, record.len);
    box->generation =
        (struct store_generation){.id = id,
                                  .object = object,
                                  .group = group,
                                  .length = length,
                                  .record = {box->record, record.len},
                                  .decoded = decoded,
                                  .cost = sizeof *box + record.len + decoded_size(generations, decoded, record)};
    atomic_init(&box->generation.refs, 1);
    return &box->generation;
}

struct store_generation *store_generation_ref(struct store_generation *generation)
{
    unsigned before = atomic_fetch_add_explicit(&generation->refs, 1, memory_order_relaxed);
    assert(before > 0);
    (void) before;
    return generation;
}

void generation_doom(struct store_generation *generation)
{
    struct box *box = CONTAINER_OF(generation, struct box, generation);
    atomic_store_explicit(&box->doomed, true, memory_order_relaxed);
}

static void dead_add(struct generations *generations, const struct store_generation *generation)
{
    pthread_mutex_lock(&generations->lock);
    if (generations->dead_count == generations->dead_room && generations->dead_room < DEAD_MAX) {
        generations->dead_room = generations->dead_room == 0 ? 64 : generations->dead_room * 2;
        generations->dead = mem_realloc(generations->dead, generations->dead_room * sizeof *generations->dead);
    }
    if (generations->dead_count < generations->dead_room)
        generations->dead[generations->dead_count++] =
            (struct generation_dead){generation->id, generation->object, generation->length};
    pthread_mutex_unlock(&generations->lock);
}

bool generation_take_dead(struct generations *generations, struct generation_dead *dead)
{
    pthread_mutex_lock(&generations->lock);
    bool found = generations->dead_count > 0;
    if (found) {
        *dead = generations->dead[--generations->dead_count];
    } else {
        mem_free(generations->dead);
        generations->dead = NULL;
        generations->dead_room = 0;
    }
    pthread_mutex_unlock(&generations->lock);
    return found;
}

void store_generation_discard(struct store_generation **generation)
{
    generation_doom(*generation);
    store_generation_unref(generation);
}

void store_generation_unref(struct store_generation **generation)
{
    struct store_generation *gone = *generation;
    *generation = NULL;
    if (gone == NULL)
        return;
    unsigned before = atomic_fetch_sub_explicit(&gone->refs, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before > 1)
        return;
    struct box *box = CONTAINER_OF(gone, struct box, generation);
    struct generations *family = box->family;
    if (atomic_load_explicit(&box->doomed, memory_order_relaxed) && gone->length > 0)
        dead_add(family, gone);
    if (gone->decoded != NULL && family->codec.free != NULL)
        family->codec.free(gone->decoded);
    mem_free(box);
    generations_unref(&family);
}
