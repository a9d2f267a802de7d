/* SPDX-License-Identifier: Apache-2.0 */
/* objects.c: the table of objects, and which of them are forgotten first. */
#include "store/objects.h"

#include "base/mem.h"
#include "base/metric.h"
#include "store/generation.h"
#include "store/marks.h"
#include "store/objects_inside.h"

/* Used objects passed over in one search for the longest unused. */
#define REPRIEVES 256

struct objects *objects_new(size_t budget, objects_dirty_f dirty, void *arg)
{
    struct objects *objects = mem_aligned(64, sizeof *objects);
    objects->table = cds_lfht_new(1024, 1024, 0, CDS_LFHT_AUTO_RESIZE | CDS_LFHT_ACCOUNTING, NULL);
    if (objects->table == NULL)
        mem_die("cds_lfht_new");
    objects->budget = budget;
    objects->dirty = dirty;
    objects->dirty_arg = arg;
    atomic_init(&objects->bytes, 0);
    atomic_init(&objects->count, 0);
    pthread_mutex_init(&objects->list_lock, NULL);
    list_init(&objects->list);
    for (unsigned i = 0; i < OBJECTS_LOCKS; i++)
        pthread_mutex_init(&objects->locks[i].mutex, NULL);
    return objects;
}

static int node_match(struct cds_lfht_node *node, const void *key)
{
    RCU_SEEN(node);
    const struct hash128 *wanted = key;
    return hash128_eq(CONTAINER_OF(node, struct object_node, node)->object, *wanted);
}

struct object_node *object_node_find(struct objects *objects, struct hash128 object)
{
    struct cds_lfht_iter iter;
    cds_lfht_lookup(objects->table, object.lo, node_match, &object, &iter);
    struct cds_lfht_node *node = cds_lfht_iter_get_node(&iter);
    return node == NULL ? NULL : CONTAINER_OF(node, struct object_node, node);
}

struct object_node *object_node_add(struct objects *objects, struct hash128 object)
{
    struct object_node *node = object_node_find(objects, object);
    if (node != NULL)
        return node;
    node = mem_calloc(1, sizeof *node);
    cds_lfht_node_init(&node->node);
    node->object = object;
    list_init(&node->link);
    RCU_PUBLISH(&node->node);
    cds_lfht_add(objects->table, object.lo, &node->node);
    return node;
}

void object_node_dirty(struct objects *objects, struct object_node *node)
{
    if (!atomic_exchange(&node->dirty, true))
        objects->dirty(objects->dirty_arg, node->object);
}

static void state_reclaim(struct rcu_head *rcu)
{
    RCU_SEEN(rcu);
    struct object_state *state = CONTAINER_OF(rcu, struct object_state, rcu);
    struct store_generation *generation = state->generation; /* the state itself is only read until it goes */
    store_generation_unref(&generation);
    RCU_RECLAIM(mem_free(state));
}

static void node_reclaim(struct rcu_head *rcu)
{
    RCU_SEEN(rcu);
    RCU_RECLAIM(mem_free(CONTAINER_OF(rcu, struct object_node, rcu)));
}

void object_node_remove(struct objects *objects, struct object_node *node)
{
    cds_lfht_del(objects->table, &node->node);
    rcu_later(&node->rcu, node_reclaim);
}

/* What malloc and the table add to a node, a state and a generation. */
#define NODE_SHARE 128

/* Keeps the list of those with a state, and its bytes. */
static void node_account(struct objects *objects, struct object_node *node, const struct object_state *state)
{
    size_t cost = state == NULL ? 0 : sizeof *node + sizeof *state + NODE_SHARE + state->generation->cost;
    pthread_mutex_lock(&objects->list_lock);
    if (cost > 0 && node->cost == 0) {
        list_add_tail(&objects->list, &node->link);
        atomic_fetch_add_explicit(&objects->count, 1, memory_order_relaxed);
        metric_add(METRIC_STORE_OBJECTS, 1);
    } else if (cost == 0 && node->cost > 0) {
        list_remove(&node->link);
        atomic_fetch_sub_explicit(&objects->count, 1, memory_order_relaxed);
        metric_add(METRIC_STORE_OBJECTS, -1);
    }
    size_t before = node->cost;
    node->cost = cost;
    pthread_mutex_unlock(&objects->list_lock);
    atomic_fetch_add_explicit(&objects->bytes, cost - before, memory_order_relaxed);
}

void object_node_replace(struct objects *objects, struct object_node *node, struct object_state *state)
{
    struct object_state *before = atomic_exchange(&node->state, state);
    node_account(objects, node, state);
    bool other = before == NULL || state == NULL || state->generation->id != before->generation->id;
    if (other)
        atomic_store(&node->fresh, 0);
    if (before == NULL)
        return;
    if (other)
        generation_doom(before->generation);
    rcu_later(&before->rcu, state_reclaim);
}

struct object_state *object_state_new(struct store_generation *generation, int64_t validated_s, uint64_t stamp,
                                      uint64_t sequence)
{
    struct object_state *state = mem_alloc(sizeof *state);
    state->generation = store_generation_ref(generation);
    state->validated_s = validated_s;
    state->stamp = stamp;
    state->sequence = sequence;
    return state;
}

bool objects_find(struct objects *objects, struct hash128 object, struct store_view *view)
{
    struct object_node *node = object_node_find(objects, object);
    struct object_state *state = node == NULL ? NULL : atomic_load_explicit(&node->state, memory_order_acquire);
    if (state == NULL) {
        *view = (struct store_view){0};
        return false;
    }
    if (!atomic_load_explicit(&node->used, memory_order_relaxed))
        atomic_store_explicit(&node->used, true, memory_order_relaxed);
    view->generation = store_generation_ref(state->generation);
    view->validated_s = state->validated_s;
    view->stamp = state->stamp;
    return true;
}

uint64_t objects_current(struct objects *objects, struct hash128 object)
{
    struct object_node *node = object_node_find(objects, object);
    struct object_state *state = node == NULL ? NULL : atomic_load_explicit(&node->state, memory_order_acquire);
    return state == NULL ? 0 : state->generation->id;
}

bool objects_is_current(struct objects *objects, struct hash128 object, uint64_t generation, uint64_t length,
                        struct hash128 *group)
{
    struct object_node *node = object_node_find(objects, object);
    struct object_state *state = node == NULL ? NULL : atomic_load_explicit(&node->state, memory_order_acquire);
    if (state == NULL || state->generation->id != generation || state->generation->length != length)
        return false;
    *group = state->generation->group;
    return true;
}

void objects_set(struct objects *objects, struct store_generation *generation, int64_t validated_s, uint64_t stamp,
                 uint64_t sequence)
{
    struct object_state *state = object_state_new(generation, validated_s, stamp, sequence);
    pthread_mutex_t *lock = object_lock(objects, generation->object);
    pthread_mutex_lock(lock);
    struct object_node *node = object_node_add(objects, generation->object);
    const struct object_state *before = atomic_load(&node->state);
    node->renewed = node->renewed || before == NULL || before->generation->id != generation->id;
    node->invalidated = node->dead = node->copied = false;
    object_node_replace(objects, node, state);
    object_node_dirty(objects, node);
    pthread_mutex_unlock(lock);
}

/* Under the lock: the same generation, never validated. `expect`: so is what rows say that have not been read yet. */
static void node_forget(struct objects *objects, struct object_node *node, bool expect)
{
    struct object_state *state = atomic_load(&node->state);
    node->invalidated = (node->invalidated || expect || state == NULL) && !node->dead;
    if (node->copied && !expect) /* there is no row that anybody would believe */
        return;
    if (state != NULL && state->validated_s != 0)
        object_node_replace(objects, node, object_state_new(state->generation, 0, 0, state->sequence));
    object_node_dirty(objects, node);
}

bool objects_forget(struct objects *objects, struct hash128 object, bool expect)
{
    pthread_mutex_t *lock = object_lock(objects, object);
    pthread_mutex_lock(lock);
    struct object_node *node = expect ? object_node_add(objects, object) : object_node_find(objects, object);
    if (node != NULL)
        node_forget(objects, node, expect);
    pthread_mutex_unlock(lock);
    return node != NULL;
}

void objects_forget_groups(struct objects *objects, struct marks *marks)
{
    struct cds_lfht_iter iter;
    struct object_node *node;
    RCU_FOR_EACH(objects->table, &iter, node, struct object_node, node)
    {
        pthread_mutex_t *lock = object_lock(objects, node->object);
        pthread_mutex_lock(lock);
        struct object_state *state = atomic_load(&node->state);
        if (state != NULL && marks_hit(marks, state->generation->group, state->sequence))
            node_forget(objects, node, false);
        pthread_mutex_unlock(lock);
    }
}

bool objects_over_budget(const struct objects *objects)
{
    return atomic_load_explicit(&objects->bytes, memory_order_relaxed) > objects->budget;
}

size_t objects_count(const struct objects *objects)
{
    return atomic_load_explicit(&objects->count, memory_order_relaxed);
}

/* Only this thread takes nodes out of the table, so what it sees stays. */
static struct object_node *oldest(struct objects *objects)
{
    struct object_node *node = NULL;
    pthread_mutex_lock(&objects->list_lock);
    for (unsigned i = 0; node == NULL && !list_empty(&objects->list); i++) {
        struct object_node *head = LIST_ENTRY(objects->list.next, struct object_node, link);
        if (i < REPRIEVES && atomic_exchange_explicit(&head->used, false, memory_order_relaxed)) {
            list_remove(&head->link);
            list_add_tail(&objects->list, &head->link);
        } else {
            node = head;
        }
    }
    pthread_mutex_unlock(&objects->list_lock);
    return node;
}

void objects_trim(struct objects *objects, size_t least)
{
    for (size_t i = 0; i < least || objects_over_budget(objects); i++) {
        struct object_node *node = oldest(objects);
        if (node == NULL)
            return;
        pthread_mutex_t *lock = object_lock(objects, node->object);
        pthread_mutex_lock(lock);
        object_node_replace(objects, node, NULL);
        node->dead = true;
        node->invalidated = node->copied = false;
        object_node_dirty(objects, node);
        pthread_mutex_unlock(lock);
    }
}

void objects_free(struct objects *objects)
{
    struct cds_lfht_iter iter;
    struct object_node *node;
    RCU_FOR_EACH(objects->table, &iter, node, struct object_node, node)
    {
        struct object_state *state = atomic_exchange(&node->state, NULL);
        node_account(objects, node, NULL);
        if (state != NULL)
            rcu_later(&state->rcu, state_reclaim);
        object_node_remove(objects, node);
    }
    rcu_thread_offline();
    rcu_barrier();
    cds_lfht_destroy(objects->table, NULL);
    rcu_thread_online();
    pthread_mutex_destroy(&objects->list_lock);
    for (unsigned i = 0; i < OBJECTS_LOCKS; i++)
        pthread_mutex_destroy(&objects->locks[i].mutex);
    mem_free(objects);
}
