/* SPDX-License-Identifier: Apache-2.0 */
/* objects_rows.c: between objects and rows of the index: what is to be written, where records lie, what was read. */
#include "store/location.h"
#include "store/objects_inside.h"

static struct objects_place node_place(const struct object_node *node)
{
    uint64_t location = atomic_load(&node->record_at);
    return (struct objects_place){location, location == 0 ? 0 : node->record_length, node->record_sum};
}

uint64_t objects_record_sum(uint64_t generation, const void *record, uint32_t length)
{
    return hash64(record, length, generation);
}

static uint64_t record_sum(const struct store_generation *generation)
{
    return objects_record_sum(generation->id, generation->record.ptr, (uint32_t) generation->record.len);
}

/* Under the lock: whether the record lies on the disk as it is now. */
static bool is_logged(const struct object_node *node, const struct object_state *state)
{
    return atomic_load(&node->record_at) != 0 && node->record_sum == record_sum(state->generation);
}

/* Where an earlier record lies is not said: who reads the row would take it for this one, and for as long. */
static struct objects_row row_of(const struct object_node *node, const struct object_state *state)
{
    struct objects_place place = is_logged(node, state) ? node_place(node) : (struct objects_place){0};
    return (struct objects_row){store_generation_ref(state->generation), state->validated_s, state->sequence, place};
}

enum objects_change objects_take(struct objects *objects, struct hash128 object, struct objects_row *row)
{
    enum objects_change change = OBJECTS_NOTHING;
    *row = (struct objects_row){0};
    pthread_mutex_t *lock = object_lock(objects, object);
    pthread_mutex_lock(lock);
    struct object_node *node = object_node_find(objects, object);
    if (node != NULL) {
        /* In this order: a change after the first line puts the object on the next list. */
        atomic_store(&node->dirty, false);
        struct object_state *state = atomic_load(&node->state);
        if (state != NULL && node->copied && node->invalidated) {
            change = OBJECTS_INVALIDATE; /* its home's row, which may say more, has not been read yet */
        } else if (state != NULL) {
            *row = row_of(node, state);
            change = OBJECTS_WRITE;
        } else {
            change = node->invalidated ? OBJECTS_INVALIDATE : OBJECTS_DELETE;
            row->place = node_place(node);
            atomic_store(&node->record_at, 0);
        }
    }
    pthread_mutex_unlock(lock);
    return change;
}

void objects_row(struct objects *objects, struct hash128 object, struct objects_row *row)
{
    *row = (struct objects_row){0};
    pthread_mutex_t *lock = object_lock(objects, object);
    pthread_mutex_lock(lock);
    struct object_node *node = object_node_find(objects, object);
    struct object_state *state = node == NULL ? NULL : atomic_load(&node->state);
    if (state != NULL)
        *row = row_of(node, state);
    pthread_mutex_unlock(lock);
}

void objects_each(struct objects *objects, void (*each)(void *arg, struct hash128 object), void *arg)
{
    struct cds_lfht_iter iter;
    struct object_node *node;
    RCU_FOR_EACH(objects->table, &iter, node, struct object_node, node)
    {
        if (atomic_load(&node->state) != NULL)
            each(arg, node->object);
    }
}

void objects_settled(struct objects *objects, struct hash128 object)
{
    pthread_mutex_t *lock = object_lock(objects, object);
    pthread_mutex_lock(lock);
    struct object_node *node = object_node_find(objects, object);
    if (node != NULL && atomic_load(&node->state) == NULL && !atomic_load(&node->dirty)) {
        if (node->copies != 0)
            object_node_dirty(objects, node);
        else
            object_node_remove(objects, node);
    }
    pthread_mutex_unlock(lock);
}

bool objects_record_wait(struct objects *objects, struct hash128 object, bool wait)
{
    pthread_mutex_t *lock = object_lock(objects, object);
    pthread_mutex_lock(lock);
    struct object_node *node = object_node_find(objects, object);
    bool changed = node != NULL && node->unlogged != wait;
    if (changed)
        node->unlogged = wait;
    pthread_mutex_unlock(lock);
    return changed;
}

struct store_generation *objects_record_wanted(struct objects *objects, struct hash128 object, uint64_t *sequence)
{
    struct store_generation *generation = NULL;
    pthread_mutex_t *lock = object_lock(objects, object);
    pthread_mutex_lock(lock);
    struct object_node *node = object_node_find(objects, object);
    struct object_state *state = node == NULL ? NULL : atomic_load(&node->state);
    if (state != NULL && !node->copied && !is_logged(node, state)) {
        generation = store_generation_ref(state->generation);
        *sequence = state->sequence;
    }
    pthread_mutex_unlock(lock);
    return generation;
}

struct objects_place objects_record_set(struct objects *objects, const struct store_generation *generation,
                                        uint64_t location)
{
    struct objects_place dead = {location, (uint32_t) generation->record.len, 0};
    pthread_mutex_t *lock = object_lock(objects, generation->object);
    pthread_mutex_lock(lock);
    struct object_node *node = object_node_find(objects, generation->object);
    if (node != NULL && atomic_load(&node->state) != NULL) {
        dead = node_place(node);
        node->record_length = (uint32_t) generation->record.len;
        node->record_sum = record_sum(generation);
        atomic_store(&node->record_at, location);
    }
    pthread_mutex_unlock(lock);
    return dead;
}

bool objects_record_move(struct objects *objects, struct hash128 object, uint64_t from, uint64_t to)
{
    pthread_mutex_t *lock = object_lock(objects, object);
    pthread_mutex_lock(lock);
    struct object_node *node = object_node_find(objects, object);
    bool moved = node != NULL && location_same(atomic_load(&node->record_at), from);
    if (moved) {
        atomic_store(&node->record_at, to);
        object_node_dirty(objects, node);
    }
    pthread_mutex_unlock(lock);
    return moved;
}

struct objects_place objects_record_place(struct objects *objects, struct hash128 object)
{
    struct objects_place place = {0};
    pthread_mutex_t *lock = object_lock(objects, object);
    pthread_mutex_lock(lock);
    struct object_node *node = object_node_find(objects, object);
    if (node != NULL)
        place = node_place(node);
    pthread_mutex_unlock(lock);
    return place;
}

void objects_record_each(struct objects *objects,
                         void (*each)(void *arg, struct hash128 object, struct objects_place place), void *arg)
{
    struct cds_lfht_iter iter;
    struct object_node *node;
    RCU_FOR_EACH(objects->table, &iter, node, struct object_node, node)
    {
        struct objects_place place = objects_record_place(objects, node->object);
        if (place.location != 0)
            each(arg, node->object, place);
    }
}

/* Under the lock: whether it was forgotten for space, or its row cannot be read. */
static bool is_gone(const struct object_node *node)
{
    return node != NULL && atomic_load(&node->state) == NULL && !node->invalidated;
}

/* Under the lock: whether what an index says is news. Of two rows that were set together the home's counts. */
static bool load_accepts(const struct object_node *node, const struct objects_loaded *row)
{
    const struct object_state *state = node == NULL ? NULL : atomic_load(&node->state);
    if (state == NULL)
        return !is_gone(node);
    return row->sequence > state->sequence || (row->sequence == state->sequence && row->home && node->copied);
}

/* Under the lock. Whether the home's row is to be written. */
static bool load(struct objects *objects, struct object_node *node, struct store_generation *generation,
                 const struct objects_loaded *row)
{
    bool heard = atomic_load(&node->state) != NULL && !node->copied;
    /* A tombstone that came first counts for it, and for what may still come. */
    object_node_replace(objects, node,
                        object_state_new(generation, node->invalidated ? 0 : row->validated_s, 0, row->sequence));
    node->copied = !row->home && !heard;
    if (row->place != 0) {
        node->record_length = (uint32_t) generation->record.len;
        node->record_sum = record_sum(generation);
        atomic_store(&node->record_at, row->place);
    }
    return row->home ? row->rewrite || node->invalidated : heard;
}

void objects_load(struct objects *objects, struct store_generation **generation, const struct objects_loaded *row)
{
    bool dirty;
    pthread_mutex_t *lock = object_lock(objects, (*generation)->object);
    pthread_mutex_lock(lock);
    struct object_node *node = object_node_find(objects, (*generation)->object);
    if (load_accepts(node, row)) {
        node = object_node_add(objects, (*generation)->object);
        dirty = load(objects, node, *generation, row);
    } else {
        /* The copy is later than its home, which learns that, as above. */
        dirty = row->home && node->copied;
        node->copied = node->copied && !row->home;
    }
    if (!row->home)
        object_copy_note(node, (*generation)->id, row->disk);
    if (dirty)
        object_node_dirty(objects, node);
    pthread_mutex_unlock(lock);
    store_generation_unref(generation);
}

/* Under the lock: whether a record that was found is later than what is known. */
static bool found_is_later(const struct object_node *node, uint64_t generation, uint64_t sequence, bool home)
{
    const struct object_state *state = node == NULL ? NULL : atomic_load(&node->state);
    if (state == NULL)
        return !is_gone(node);
    if (state->validated_s != 0) /* the origin said so since, or its own index does */
        return false;
    if (state->generation->id != generation)
        return state->generation->id < generation;
    return state->sequence < sequence || (state->sequence == sequence && home && node->copied);
}

struct objects_place objects_found(struct objects *objects, struct store_generation **generation, uint64_t sequence,
                                   uint64_t place)
{
    struct objects_place dead = {.location = place, .length = (uint32_t) (*generation)->record.len};
    pthread_mutex_t *lock = object_lock(objects, (*generation)->object);
    pthread_mutex_lock(lock);
    struct object_node *node = object_node_find(objects, (*generation)->object);
    if (found_is_later(node, (*generation)->id, sequence, place != 0)) {
        node = object_node_add(objects, (*generation)->object);
        dead = node_place(node);
        node->copied = false;
        object_node_replace(objects, node, object_state_new(*generation, 0, 0, sequence));
        node->record_length = (uint32_t) (*generation)->record.len;
        node->record_sum = record_sum(*generation);
        atomic_store(&node->record_at, place);
        object_node_dirty(objects, node);
    }
    pthread_mutex_unlock(lock);
    store_generation_unref(generation);
    return dead;
}

void objects_expunge(struct objects *objects, struct hash128 object)
{
    pthread_mutex_t *lock = object_lock(objects, object);
    pthread_mutex_lock(lock);
    struct object_node *node = object_node_add(objects, object);
    if (atomic_load(&node->state) == NULL) {
        node->dead = true;
        node->invalidated = false;
    }
    if (node->dead || node->copied) { /* a copy tells what to write in its place */
        node->copied = false;
        object_node_dirty(objects, node);
    }
    pthread_mutex_unlock(lock);
}
