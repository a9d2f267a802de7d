/* SPDX-License-Identifier: Apache-2.0 */
/* commit.c: rounds of the index thread. */
#include "store/commit.h"

#include <assert.h>
#include <pthread.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"
#include "store/disk.h"
#include "store/inside.h"
#include "store/objects.h"
#include "store/recover.h"
#include "store/round.h"
#include "store/scribe.h"
#include "store/volume.h"

#define ROUND_MS 1000
#define ROUND_BYTES (INT64_C(256) << 20)
/* Between looks at disks that hang while they should be read. */
#define STUCK_MS 100

struct waiter {
    struct waiter *next;
    struct loop *loop;
    struct letter *done;
    bool flush;
    bool intent; /* the mark must be there */
    bool group;  /* forget this group first; ends an intent */
    struct hash128 hash;
    uint64_t sequence;
};

struct commit {
    struct store *store;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    pthread_cond_t all_loaded;
    /* Under the mutex. */
    struct names objects; /* struct hash128 */
    struct names extents; /* struct round_extent */
    struct waiter *waiters, **waiters_end;
    bool urgent, flush, hurried, stopping;
    bool all_ended;   /* no thread of a disk hangs */
    unsigned intents; /* under way */
    bool marked;      /* the mark is durable on every disk */
    atomic_bool loaded;
    atomic_int_fast64_t bytes; /* put since the last full round */
    /* Index thread only; but for what a scribe has been given. */
    struct loading {
        struct recover *recover; /* NULL: the disk has been read */
        struct names groups;     /* struct round_group: forgotten since the last step */
        bool more;
    } loading[STORE_DISKS_MAX];
    bool stuck; /* no disk that is to be read answers */
    int64_t next_ms;
    bool mark_there; /* the row may be */
    unsigned doubt;  /* full rounds until all that an earlier process' mark speaks of has been written */
    struct rounds *rounds;
};

/* ---- What other threads do. ---- */

void commit_dirty_object(struct commit *commit, struct hash128 object)
{
    pthread_mutex_lock(&commit->mutex);
    *(struct hash128 *) names_add(&commit->objects, sizeof object) = object;
    pthread_mutex_unlock(&commit->mutex);
}

void commit_dirty_extent(struct commit *commit, uint64_t generation, uint64_t extent)
{
    pthread_mutex_lock(&commit->mutex);
    *(struct round_extent *) names_add(&commit->extents, sizeof(struct round_extent)) =
        (struct round_extent){generation, extent};
    pthread_mutex_unlock(&commit->mutex);
}

void commit_wrote(struct commit *commit, uint32_t bytes)
{
    int64_t before = atomic_fetch_add_explicit(&commit->bytes, bytes, memory_order_relaxed);
    if (before < ROUND_BYTES && before + bytes >= ROUND_BYTES)
        commit_kick(commit);
}

void commit_kick(struct commit *commit)
{
    pthread_mutex_lock(&commit->mutex);
    commit->urgent = true;
    pthread_cond_signal(&commit->wake);
    pthread_mutex_unlock(&commit->mutex);
}

void commit_hurry(struct commit *commit)
{
    pthread_mutex_lock(&commit->mutex);
    commit->urgent = commit->hurried = true;
    pthread_cond_signal(&commit->wake);
    pthread_mutex_unlock(&commit->mutex);
}

static void waiter_add(struct commit *commit, struct waiter what)
{
    struct waiter *waiter = mem_alloc(sizeof *waiter);
    *waiter = what;
    pthread_mutex_lock(&commit->mutex);
    *commit->waiters_end = waiter;
    commit->waiters_end = &waiter->next;
    commit->urgent = true;
    commit->flush |= what.flush;
    pthread_cond_signal(&commit->wake);
    pthread_mutex_unlock(&commit->mutex);
}

void commit_tombstone(struct commit *commit, struct loop *loop, struct letter *done)
{
    waiter_add(commit, (struct waiter){.loop = loop, .done = done});
}

void commit_group(struct commit *commit, struct hash128 group, uint64_t sequence, struct loop *loop,
                  struct letter *done)
{
    waiter_add(commit, (struct waiter){.loop = loop, .done = done, .group = true, .hash = group, .sequence = sequence});
}

bool commit_intent_begin(struct commit *commit, struct loop *loop, struct letter *done)
{
    pthread_mutex_lock(&commit->mutex);
    commit->intents++;
    bool durable = commit->marked || commit->store->disk_count == 0;
    pthread_mutex_unlock(&commit->mutex);
    if (!durable)
        waiter_add(commit, (struct waiter){.loop = loop, .done = done, .intent = true});
    return durable;
}

void commit_intent_end(struct commit *commit)
{
    pthread_mutex_lock(&commit->mutex);
    assert(commit->intents > 0);
    commit->intents--;
    pthread_mutex_unlock(&commit->mutex);
}

void commit_flush(struct commit *commit, struct loop *loop, struct letter *done)
{
    waiter_add(commit, (struct waiter){.loop = loop, .done = done, .flush = true});
}

bool commit_loaded(struct commit *commit)
{
    return atomic_load(&commit->loaded);
}

void commit_wait_loaded(struct commit *commit, int64_t ms)
{
    int64_t deadline = clock_mono_ms() + ms;
    pthread_mutex_lock(&commit->mutex);
    while (!commit_loaded(commit) && clock_cond_wait(&commit->all_loaded, &commit->mutex, deadline))
        continue;
    pthread_mutex_unlock(&commit->mutex);
}

void commit_group_settles(struct commit *commit, struct hash128 group)
{
    rounds_group_settles(commit->rounds, group);
}

/* ---- The thread. ---- */

static void answer(struct commit *commit, struct waiter *waiter)
{
    while (waiter != NULL) {
        struct waiter *next = waiter->next;
        store_post(commit->store, waiter->loop, waiter->done);
        mem_free(waiter);
        waiter = next;
    }
}

/* Under the mutex: takes the waiters. While the disks are being read a flush has to wait: extents are not written yet.
 */
static struct waiter *take_waiters(struct commit *commit, bool loading)
{
    struct waiter *taken = NULL, **end = &taken, **link = &commit->waiters;
    commit->flush = commit->urgent = false;
    while (*link != NULL) {
        struct waiter *waiter = *link;
        if (waiter->flush && loading) {
            link = &waiter->next;
            commit->flush = true;
            continue;
        }
        *link = waiter->next;
        waiter->next = NULL;
        *end = waiter;
        end = &waiter->next;
    }
    commit->waiters_end = link;
    return taken;
}

/* Under the mutex. What ends by a tombstone of this round has ended: the mark is cleared after it is written. */
static void take_intents(struct commit *commit, struct round *round, const struct waiter *waiter)
{
    if (rounds_returned(commit->rounds)) {
        commit->mark_there = true;
        commit->doubt = 1;
    }
    for (; waiter != NULL; waiter = waiter->next) {
        assert(!waiter->group || commit->intents > 0);
        commit->intents -= waiter->group;
        if (waiter->intent)
            round->intent = ROUND_INTENT_SET;
    }
    commit->mark_there = commit->mark_there || round->intent == ROUND_INTENT_SET;
    bool idle = commit->intents == 0 && round->intent == ROUND_INTENT_KEEP;
    if (round->full && idle && commit->doubt == 0 && commit->mark_there) {
        round->intent = ROUND_INTENT_CLEAR;
        commit->mark_there = commit->marked = false;
    }
    if (round->full && commit->doubt > 0)
        commit->doubt--;
}

/* The round has been written. */
static void intents_marked(struct commit *commit, const struct round *round)
{
    if (round->intent != ROUND_INTENT_SET)
        return;
    pthread_mutex_lock(&commit->mutex);
    commit->marked = true;
    pthread_mutex_unlock(&commit->mutex);
}

/* Groups to forget, also for the disks that are being read. */
static void take_groups(struct commit *commit, struct round *round, const struct waiter *waiter)
{
    for (; waiter != NULL; waiter = waiter->next) {
        if (!waiter->group)
            continue;
        const struct round_group group = {waiter->hash, waiter->sequence};
        *(struct round_group *) names_add(&round->groups, sizeof group) = group;
        for (unsigned i = 0; i < commit->store->disk_count; i++)
            if (commit->loading[i].recover != NULL)
                *(struct round_group *) names_add(&commit->loading[i].groups, sizeof group) = group;
    }
}

/* Waits until there is something to do; true: the last round. */
static bool take_round(struct commit *commit, struct round *round, struct waiter **waiters)
{
    bool loading = !commit_loaded(commit), last;
    round->loaded = !loading;
    rcu_thread_offline();
    pthread_mutex_lock(&commit->mutex);
    int64_t next_ms = !loading ? commit->next_ms : commit->stuck ? clock_mono_ms() + STUCK_MS : 0;
    while (!commit->urgent && !(commit->flush && !loading) && !commit->stopping && clock_mono_ms() < next_ms)
        (void) clock_cond_wait(&commit->wake, &commit->mutex, next_ms);
    bool flush = commit->flush && !loading;
    last = commit->stopping;
    *waiters = take_waiters(commit, loading);
    pthread_mutex_unlock(&commit->mutex);
    /* Waiters first, then the names: what a waiter waits for is among them, puts included once they are drained. */
    for (unsigned i = 0; flush && i < commit->store->disk_count; i++)
        disk_drain(commit->store->disks[i]);
    /* Before the names: a slot that was begun by now was freed before, and what had been in it is among them. */
    round->mark = atomic_load(&commit->store->next_id);
    pthread_mutex_lock(&commit->mutex);
    round->full = !loading && (flush || last || commit->hurried || clock_mono_ms() >= commit->next_ms ||
                               atomic_load_explicit(&commit->bytes, memory_order_relaxed) >= ROUND_BYTES);
    round->objects = commit->objects;
    commit->objects = (struct names){0};
    if (round->full) {
        round->extents = commit->extents;
        commit->extents = (struct names){0};
        atomic_store_explicit(&commit->bytes, 0, memory_order_relaxed);
        commit->next_ms = clock_mono_ms() + ROUND_MS;
        commit->hurried = false;
    }
    take_intents(commit, round, *waiters);
    pthread_mutex_unlock(&commit->mutex);
    rcu_thread_online();
    take_groups(commit, round, *waiters);
    round->durable = last || *waiters != NULL;
    return last;
}

static void step_errand(struct disk *disk, void *arg)
{
    struct loading *loading = arg;
    const struct round_group *groups = loading->groups.items;
    (void) disk;
    for (size_t i = 0; i < loading->groups.count; i++)
        recover_group(loading->recover, groups[i].group, groups[i].sequence);
    loading->groups.count = 0;
    loading->more = recover_step(loading->recover);
}

static void loading_end(struct loading *loading)
{
    recover_free(loading->recover);
    loading->recover = NULL;
    names_free(&loading->groups);
}

/* Whether a step may be made now: extents come after the objects of all disks. */
static bool may_step(const struct loading *loading, const struct disk *disk, bool objects)
{
    return loading->recover != NULL && !health_out(disk) && scribe_idle(disk->scribe) &&
           (objects || !recover_has_objects(loading->recover));
}

/* One step on every disk that is not read yet and answers. */
static void load(struct commit *commit)
{
    struct store *store = commit->store;
    bool objects = true, stepped[STORE_DISKS_MAX] = {false}, done = true;
    for (unsigned i = 0; i < store->disk_count; i++)
        objects = objects && (commit->loading[i].recover == NULL || recover_has_objects(commit->loading[i].recover));
    for (unsigned i = 0; i < store->disk_count; i++) {
        stepped[i] = may_step(&commit->loading[i], store->disks[i], objects);
        if (stepped[i])
            scribe_give(store->disks[i]->scribe, step_errand, &commit->loading[i]);
    }
    commit->stuck = true;
    for (unsigned i = 0; i < store->disk_count; i++) {
        rcu_thread_offline();
        bool ended = stepped[i] && scribe_wait(store->disks[i]->scribe);
        rcu_thread_online();
        if (ended && !commit->loading[i].more)
            loading_end(&commit->loading[i]);
        commit->stuck = commit->stuck && !ended;
        done = done && commit->loading[i].recover == NULL;
    }
    if (!done)
        return;
    pthread_mutex_lock(&commit->mutex);
    atomic_store(&commit->loaded, true);
    pthread_cond_broadcast(&commit->all_loaded);
    pthread_mutex_unlock(&commit->mutex);
}

/* The process ends before everything was read. */
static void load_give_up(struct commit *commit)
{
    for (unsigned i = 0; i < commit->store->disk_count; i++) {
        struct disk *disk = commit->store->disks[i];
        if (commit->loading[i].recover == NULL || !scribe_idle(disk->scribe))
            continue;
        recover_give_up(commit->loading[i].recover);
        loading_end(&commit->loading[i]);
    }
}

/* False: one of them hangs. */
static bool stop_scribes(struct store *store)
{
    bool ended = true;
    rcu_thread_offline();
    for (unsigned i = 0; i < store->disk_count; i++)
        ended = scribe_stop(&store->disks[i]->scribe) && ended;
    rcu_thread_online();
    return ended;
}

static void *commit_thread(void *arg)
{
    struct commit *commit = arg;
    struct store *store = commit->store;
    rcu_register_thread();
    for (bool last = false; !last;) {
        struct round *round = round_new();
        struct waiter *waiters;
        last = take_round(commit, round, &waiters);
        rounds_run(commit->rounds, round);
        intents_marked(commit, round);
        if (round->full)
            store_measure(store);
        answer(commit, waiters);
        if (!commit_loaded(commit) && !last)
            load(commit);
        rounds_drop_dead(commit->rounds);
        rounds_trim(commit->rounds, round->full);
        round_unref(&round);
        rcu_quiescent_state();
    }
    load_give_up(commit);
    commit->all_ended = stop_scribes(store) && commit->all_ended;
    if (commit->all_ended) {
        directory_free(store->directory);
        objects_free(store->objects);
    }
    rcu_unregister_thread();
    return NULL;
}

struct commit *commit_new(struct store *store)
{
    struct commit *commit = mem_calloc(1, sizeof *commit);
    commit->store = store;
    commit->waiters_end = &commit->waiters;
    pthread_mutex_init(&commit->mutex, NULL);
    clock_cond_init(&commit->wake);
    clock_cond_init(&commit->all_loaded);
    atomic_init(&commit->loaded, false);
    return commit;
}

void commit_start(struct commit *commit)
{
    for (unsigned i = 0; i < commit->store->disk_count; i++) {
        struct disk *disk = commit->store->disks[i];
        disk->scribe = scribe_start(disk);
        commit->loading[i].recover = recover_new(disk);
        if (disk->doubted || disk->moved) {
            /* By the first full round after loading what was loaded without its time has been written so. */
            commit->mark_there = true;
            commit->doubt = 1;
        }
    }
    atomic_store(&commit->loaded, commit->store->disk_count == 0);
    commit->rounds = rounds_new(commit->store);
    int error = thread_start(&commit->thread, "store-index", commit_thread, commit);
    assert(error == 0);
    (void) error;
}

bool commit_stop(struct commit *commit, bool all_ended)
{
    pthread_mutex_lock(&commit->mutex);
    commit->stopping = true;
    commit->all_ended = all_ended;
    pthread_cond_signal(&commit->wake);
    pthread_mutex_unlock(&commit->mutex);
    pthread_join(commit->thread, NULL);
    answer(commit, commit->waiters);
    if (!commit->all_ended)
        return false;
    names_free(&commit->objects);
    names_free(&commit->extents);
    rounds_free(commit->rounds);
    pthread_cond_destroy(&commit->wake);
    pthread_cond_destroy(&commit->all_loaded);
    pthread_mutex_destroy(&commit->mutex);
    mem_free(commit);
    return true;
}
