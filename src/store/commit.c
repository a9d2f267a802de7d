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
#include "store/intents.h"
#include "store/load.h"
#include "store/objects.h"
#include "store/round.h"
#include "store/scribe.h"

#define ROUND_MS 1000
#define ROUND_BYTES (INT64_C(256) << 20)
/* Between steps, while no disk that should be read answers. */
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
    bool all_ended; /* no thread of a disk hangs */
    struct intents intents;
    atomic_bool loaded;
    atomic_int_fast64_t bytes; /* put since the last full round */
    /* Index thread only. */
    struct load *load; /* NULL: all has been read */
    int64_t next_ms;
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
    bool durable = intents_begin(&commit->intents) || commit->store->disk_count == 0;
    pthread_mutex_unlock(&commit->mutex);
    if (!durable)
        waiter_add(commit, (struct waiter){.loop = loop, .done = done, .intent = true});
    return durable;
}

void commit_intent_end(struct commit *commit)
{
    pthread_mutex_lock(&commit->mutex);
    intents_end(&commit->intents, 1);
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

/* Under the mutex. */
static void take_intents(struct commit *commit, struct round *round, const struct waiter *waiter)
{
    bool wanted = false;
    if (rounds_returned(commit->rounds))
        intents_doubt(&commit->intents);
    for (; waiter != NULL; waiter = waiter->next) {
        intents_end(&commit->intents, waiter->group);
        wanted = wanted || waiter->intent;
    }
    round->intent = intents_take(&commit->intents, wanted, round->full);
}

static void take_groups(struct commit *commit, struct round *round, const struct waiter *waiter)
{
    for (; waiter != NULL; waiter = waiter->next) {
        if (!waiter->group)
            continue;
        marks_add(&round->groups, waiter->hash, waiter->sequence);
        if (commit->load != NULL)
            load_group(commit->load, waiter->hash, waiter->sequence);
    }
}

/* Waits until there is something to do; true: the last round. */
static bool take_round(struct commit *commit, struct round *round, struct waiter **waiters)
{
    bool loading = !commit_loaded(commit), last;
    round->loaded = !loading;
    rcu_thread_offline();
    pthread_mutex_lock(&commit->mutex);
    int64_t next_ms = !loading ? commit->next_ms : load_stuck(commit->load) ? clock_mono_ms() + STUCK_MS : 0;
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
    rcu_thread_online();
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
    take_groups(commit, round, *waiters);
    round->durable = last || *waiters != NULL;
    return last;
}

static void load(struct commit *commit)
{
    if (!load_step(commit->load))
        return;
    load_free(commit->load);
    commit->load = NULL;
    pthread_mutex_lock(&commit->mutex);
    atomic_store(&commit->loaded, true);
    pthread_cond_broadcast(&commit->all_loaded);
    pthread_mutex_unlock(&commit->mutex);
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
        pthread_mutex_lock(&commit->mutex);
        intents_written(&commit->intents, round->intent);
        pthread_mutex_unlock(&commit->mutex);
        if (round->full)
            store_measure(store);
        answer(commit, waiters);
        if (commit->load != NULL && !last)
            load(commit);
        rounds_drop_dead(commit->rounds);
        rounds_trim(commit->rounds, round->full);
        round_unref(&round);
        rcu_quiescent_state();
    }
    if (commit->load != NULL)
        load_give_up(commit->load);
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
        /* By the first full round after loading what was loaded without its time has been written so. */
        if (disk->doubted || disk->moved)
            intents_doubt(&commit->intents);
    }
    if (commit->store->disk_count > 0)
        commit->load = load_new(commit->store);
    atomic_store(&commit->loaded, commit->load == NULL);
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
    if (commit->load != NULL)
        load_free(commit->load);
    pthread_cond_destroy(&commit->wake);
    pthread_cond_destroy(&commit->all_loaded);
    pthread_mutex_destroy(&commit->mutex);
    mem_free(commit);
    return true;
}
