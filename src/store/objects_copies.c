/* SPDX-License-Identifier: Apache-2.0 */
/* objects_copies.c: which other disks' indexes hold a row of an object, and which should. */
#include "store/inside.h"
#include "store/objects_inside.h"

_Static_assert(STORE_DISKS_MAX <= 16, "a disk is a bit of a node's copies");

static uint16_t bit_of(unsigned disk)
{
    return (uint16_t) (1U << disk);
}

/* Under the lock. */
static struct object_state *current(const struct object_node *node, uint64_t generation)
{
    struct object_state *state = node == NULL ? NULL : atomic_load(&node->state);
    return state == NULL || state->generation->id != generation ? NULL : state;
}

void object_copy_note(struct object_node *node, uint64_t generation, unsigned disk)
{
    node->copies |= bit_of(disk);
    if (current(node, generation) != NULL)
        atomic_fetch_or(&node->fresh, bit_of(disk));
}

static void forget_copy(struct object_node *node, unsigned disk)
{
    node->copies &= (uint16_t) ~bit_of(disk);
    atomic_fetch_and(&node->fresh, (uint16_t) ~bit_of(disk));
}

bool objects_copy_seen(struct objects *objects, struct hash128 object, uint64_t generation, uint64_t sequence,
                       unsigned disk)
{
    bool known = false;
    pthread_mutex_t *lock = object_lock(objects, object);
    pthread_mutex_lock(lock);
    struct object_node *node = object_node_find(objects, object);
    struct object_state *state = node == NULL ? NULL : atomic_load(&node->state);
    if (state != NULL && state->sequence >= sequence) {
        object_copy_note(node, generation, disk);
        known = true;
    }
    pthread_mutex_unlock(lock);
    return known;
}

bool objects_copy_wanted(struct objects *objects, struct hash128 object, uint64_t generation, unsigned disk)
{
    struct object_node *node = object_node_find(objects, object);
    return current(node, generation) != NULL && !(atomic_load(&node->fresh) & bit_of(disk));
}

bool objects_copy_take(struct objects *objects, struct hash128 object, uint64_t generation, unsigned disk,
                       struct objects_row *row)
{
    *row = (struct objects_row){0};
    if (!objects_copy_wanted(objects, object, generation, disk))
        return false;
    pthread_mutex_t *lock = object_lock(objects, object);
    pthread_mutex_lock(lock);
    struct object_node *node = object_node_find(objects, object);
    struct object_state *state = current(node, generation);
    if (state != NULL) {
        *row = (struct objects_row){.generation = store_generation_ref(state->generation), .sequence = state->sequence};
        object_copy_note(node, generation, disk);
    }
    pthread_mutex_unlock(lock);
    return state != NULL;
}

bool objects_copy_drop(struct objects *objects, struct hash128 object, unsigned disk)
{
    struct object_node *node = object_node_find(objects, object);
    if (node == NULL || atomic_load(&node->state) != NULL) /* mostly */
        return false;
    pthread_mutex_t *lock = object_lock(objects, object);
    pthread_mutex_lock(lock);
    node = object_node_find(objects, object);
    bool held = node != NULL && atomic_load(&node->state) == NULL && (node->copies & bit_of(disk));
    if (held)
        forget_copy(node, disk);
    pthread_mutex_unlock(lock);
    return held;
}

void objects_copy_none(struct objects *objects, unsigned disk)
{
    struct cds_lfht_iter iter;
    struct object_node *node;
    RCU_FOR_EACH(objects->table, &iter, node, struct object_node, node)
    {
        pthread_mutex_t *lock = object_lock(objects, node->object);
        pthread_mutex_lock(lock);
        forget_copy(node, disk);
        pthread_mutex_unlock(lock);
    }
}

bool objects_renewed(struct objects *objects, struct hash128 object, uint64_t *generation, uint64_t *length)
{
    pthread_mutex_t *lock = object_lock(objects, object);
    pthread_mutex_lock(lock);
    struct object_node *node = object_node_find(objects, object);
    struct object_state *state = node == NULL ? NULL : atomic_load(&node->state);
    bool renewed = state != NULL && node->renewed;
    if (renewed) {
        node->renewed = false;
        *generation = state->generation->id;
        *length = state->generation->length;
    }
    pthread_mutex_unlock(lock);
    return renewed;
}
