/* SPDX-License-Identifier: Apache-2.0 */
/* generation.c: counted generations, their records, and the list of the dead. */
#include "store/generation.h"

#include <assert.h>
#include <pthread.h>

#include "base/mem.h"

struct box {
    struct store_generation generation;
    atomic_bool doomed;
    char record[];
};

static struct store_record_codec generation_codec;

/* Bounded: what does not fit is left to eviction. */
#define DEAD_MAX 65536
static struct {
    pthread_mutex_t lock;
    struct generation_dead *items;
    unsigned count;
    unsigned room;
} dead_list = {.lock = PTHREAD_MUTEX_INITIALIZER};

void store_set_codec(const struct store_record_codec *codec)
{
    generation_codec = codec == NULL ? (struct store_record_codec){0} : *codec;
}

bool generation_decode(struct str record, uint64_t length, void **decoded)
{
    *decoded = NULL;
    if (generation_codec.decode == NULL)
        return true;
    *decoded = generation_codec.decode(record, length);
    return *decoded != NULL;
}

struct store_generation *generation_make(uint64_t id, struct hash128 object, uint64_t length, struct str record,
                                         void *decoded)
{
    assert(id != 0 && record.len <= STORE_RECORD_MAX);
    struct box *box = mem_alloc(sizeof *box + record.len);
    atomic_init(&box->doomed, false);
    if (record.len > 0)
        memcpy(box->record, record.ptr, record.len);
    box->generation = (struct store_generation){
        .id = id, .object = object, .length = length, .record = {box->record, record.len}, .decoded = decoded};
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
    struct box *box = (struct box *) (void *) generation;
    atomic_store_explicit(&box->doomed, true, memory_order_relaxed);
}

static void dead_add(const struct store_generation *generation)
{
    pthread_mutex_lock(&dead_list.lock);
    if (dead_list.count == dead_list.room && dead_list.room < DEAD_MAX) {
        dead_list.room = dead_list.room == 0 ? 64 : dead_list.room * 2;
        dead_list.items = mem_realloc(dead_list.items, dead_list.room * sizeof *dead_list.items);
    }
    if (dead_list.count < dead_list.room)
        dead_list.items[dead_list.count++] =
            (struct generation_dead){generation->id, generation->object, generation->length};
    pthread_mutex_unlock(&dead_list.lock);
}

bool generation_take_dead(struct generation_dead *dead)
{
    pthread_mutex_lock(&dead_list.lock);
    bool found = dead_list.count > 0;
    if (found) {
        *dead = dead_list.items[--dead_list.count];
    } else {
        mem_free(dead_list.items);
        dead_list.items = NULL;
        dead_list.room = 0;
    }
    pthread_mutex_unlock(&dead_list.lock);
    return found;
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
    struct box *box = (struct box *) (void *) gone;
    if (atomic_load_explicit(&box->doomed, memory_order_relaxed) && gone->length > 0)
        dead_add(gone);
    if (gone->decoded != NULL && generation_codec.free != NULL)
        generation_codec.free(gone->decoded);
    mem_free(box);
}
