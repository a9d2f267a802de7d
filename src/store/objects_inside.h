/* SPDX-License-Identifier: Apache-2.0 */
/*
 * objects_inside.h: the table of objects as its own three files see it: objects.c, which looks up, changes and forgets,
 * objects_rows.c, which gives to the index and takes from it, and objects_copies.c, which knows whose indexes hold
 * copies.
 *
 * A node is changed under the lock that its name chooses.
 */
#ifndef HEADPOND_STORE_OBJECTS_INSIDE_H
#define HEADPOND_STORE_OBJECTS_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "base/rcu.h"
#include "store/objects.h"

#define OBJECTS_LOCKS 64

struct object_state {
    struct store_generation *generation; /* counted */
    int64_t validated_s;
    uint64_t stamp;
    uint64_t sequence;
    struct rcu_head rcu;
};

struct object_node {
    struct cds_lfht_node node;
    struct rcu_head rcu;
    struct hash128 object;
    _Atomic(struct object_state *) state; /* NULL: forgotten, or not loaded yet */
    atomic_bool dirty;
    atomic_bool used;
    bool invalidated;           /* under the lock: a tombstone came while disks were read, and counts for every row */
    bool dead;                  /* under the lock: forgotten for space, its row is to be deleted */
    bool copied;                /* under the lock: what is known comes from a copy, its home has not been heard */
    bool unlogged;              /* under the lock: in its disk's list of those whose record is to be written */
    bool renewed;               /* under the lock: another generation since objects_renewed */
    uint16_t copies;            /* under the lock: disks, not its home, whose index holds a row of it */
    _Atomic uint16_t fresh;     /* of those, where that is of the current generation; changed under the lock */
    _Atomic uint64_t record_at; /* where a record of it lies; changed under the lock */
    uint64_t record_sum;        /* under the lock: which one */
    uint32_t record_length;     /* bytes of it; changed under the lock before record_at */
    struct list link;           /* under list_lock */
    size_t cost;                /* under list_lock */
};

struct objects {
    struct cds_lfht *table;
    objects_dirty_f dirty;
    void *dirty_arg;
    size_t budget;
    atomic_size_t bytes;
    atomic_size_t count; /* with a state */
    pthread_mutex_t list_lock;
    struct list list; /* those with a state, oldest first */
    struct {
        pthread_mutex_t mutex;
    } __attribute__((aligned(64))) locks[OBJECTS_LOCKS];
};

/* The lock of that name. */
static inline pthread_mutex_t *object_lock(struct objects *objects, struct hash128 object)
{
    return &objects->locks[object.hi & (OBJECTS_LOCKS - 1)].mutex;
}

/* NULL: there is none. Lock-free. */
struct object_node *object_node_find(struct objects *objects, struct hash128 object);

/* ---- Under the lock. ---- */

/* It is to be written to the index. */
void object_node_dirty(struct objects *objects, struct object_node *node);
/* The node, made without a state when there is none. */
struct object_node *object_node_add(struct objects *objects, struct hash128 object);
/* Takes it out and frees it after a grace period. */
void object_node_remove(struct objects *objects, struct object_node *node);
/* Another state, or NULL; the one replaced goes after a grace period. */
void object_node_replace(struct objects *objects, struct object_node *node, struct object_state *state);
/* That disk's index holds a row of that generation, which is a copy. */
void object_copy_note(struct object_node *node, uint64_t generation, unsigned disk);
/* Takes a reference of its own. */
struct object_state *object_state_new(struct store_generation *generation, int64_t validated_s, uint64_t stamp,
                                      uint64_t sequence);

#endif
