/* SPDX-License-Identifier: Apache-2.0 */
/* commit.c: rounds of the index thread. */
#include "store/commit.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/block.h"
#include "store/disk.h"
#include "store/generation.h"
#include "store/index.h"
#include "store/inside.h"
#include "store/objects.h"
#include "store/recover.h"
#include "store/volume.h"

#define ROUND_MS 1000
#define ROUND_BYTES (INT64_C(256) << 20)
/* Dead generations dropped, and objects forgotten for a tight index, between two rounds. */
#define DEAD_STEP 1024
#define TRIM_STEP 1024

struct extent_name {
    uint64_t generation;
    uint64_t extent;
};

struct waiter {
    struct waiter *next;
    struct loop *loop;
    struct letter *done;
    bool flush;
    bool group; /* forget this group first */
    struct hash128 hash;
    uint64_t sequence;
};

/* A growing array. */
struct names {
    void *items;
    size_t count, room;
};

struct stray {
    unsigned disk;
    struct hash128 object;
};

struct commit {
    struct store *store;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    pthread_cond_t all_loaded;
    /* Under the mutex. */
    struct names objects; /* struct hash128 */
    struct names extents; /* struct extent_name */
    struct waiter *waiters, **waiters_end;
    bool urgent, flush, stopping;
    atomic_bool loaded;
    atomic_int_fast64_t bytes; /* put since the last full round */
    /* Index thread only. */
    struct recover *recovers[STORE_DISKS_MAX];
    int64_t next_ms;
    struct names rows;     /* struct index_extent, with all disks' locations in them */
    struct names settling; /* struct hash128: groups whose rows go after the next full round */
    struct names settled;  /* those it is true of */
    struct names strays;   /* struct stray */
    unsigned keys;         /* in the open transactions */
    uint64_t opening;      /* as last written */
};

static void *names_add(struct names *names, size_t size)
{
    if (names->count == names->room) {
        names->room = names->room == 0 ? 64 : names->room * 2;
        names->items = mem_realloc(names->items, names->room * size);
    }
    return (char *) names->items + names->count++ * size;
}

static void names_free(struct names *names)
{
    mem_free(names->items);
    *names = (struct names){0};
}

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
    *(struct extent_name *) names_add(&commit->extents, sizeof(struct extent_name)) =
        (struct extent_name){generation, extent};
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
    struct timespec until = {.tv_sec = deadline / 1000, .tv_nsec = deadline % 1000 * 1000000};
    pthread_mutex_lock(&commit->mutex);
    while (!commit_loaded(commit) && clock_mono_ms() < deadline)
        pthread_cond_timedwait(&commit->all_loaded, &commit->mutex, &until);
    pthread_mutex_unlock(&commit->mutex);
}

void commit_group_settles(struct commit *commit, struct hash128 group)
{
    *(struct hash128 *) names_add(&commit->settling, sizeof group) = group;
}

void commit_stray_object(struct commit *commit, unsigned disk, struct hash128 object)
{
    *(struct stray *) names_add(&commit->strays, sizeof(struct stray)) = (struct stray){disk, object};
}

/* ---- Transactions over all disks. ---- */

static bool writable(const struct disk *disk)
{
    return !atomic_load(&((struct disk *) (uintptr_t) disk)->broken);
}

static void disk_condemn(struct disk *disk, enum status why)
{
    disk_error(disk, "index", why == STATUS_NO_SPACE ? ENOSPC : EIO);
    log_event(STORE_IO,
              "path=%s reason=%s: the index cannot be written; nothing more is put on this disk, and the next "
              "start empties it",
              disk->path, status_name(why));
    atomic_store(&disk->broken, true);
    if (volume_condemn(disk) != STATUS_OK)
        disk_error(disk, "marker", errno);
}

static void begin(struct commit *commit)
{
    commit->keys = 0;
    for (unsigned i = 0; i < commit->store->disk_count; i++)
        if (writable(commit->store->disks[i]))
            index_begin(commit->store->disks[i]->index);
}

static void end(struct commit *commit)
{
    for (unsigned i = 0; i < commit->store->disk_count; i++) {
        struct disk *disk = commit->store->disks[i];
        if (!writable(disk))
            continue;
        rcu_thread_offline();
        enum status status = index_commit(disk->index);
        rcu_thread_online();
        if (status != STATUS_OK)
            disk_condemn(disk, status);
    }
}

static void key_written(struct commit *commit)
{
    if (++commit->keys < INDEX_TXN_KEYS)
        return;
    end(commit);
    begin(commit);
}

static void sync_all(struct commit *commit)
{
    for (unsigned i = 0; i < commit->store->disk_count; i++) {
        struct disk *disk = commit->store->disks[i];
        enum status status = writable(disk) ? index_sync(disk->index) : STATUS_OK;
        if (status != STATUS_OK)
            disk_condemn(disk, status);
    }
}

/* ---- The parts of a round. ---- */

static void object_dirty(void *arg, struct hash128 object)
{
    commit_dirty_object(arg, object);
}

static void write_group(struct commit *commit, const struct waiter *waiter)
{
    struct store *store = commit->store;
    unsigned hits = objects_forget_group(store->objects, waiter->hash, waiter->sequence, object_dirty, commit);
    if (commit_loaded(commit) && hits == 0)
        return;
    for (unsigned i = 0; i < store->disk_count; i++) {
        if (commit->recovers[i] != NULL)
            recover_group(commit->recovers[i], waiter->hash, waiter->sequence);
        if (writable(store->disks[i]))
            index_put_group(store->disks[i]->index, waiter->hash, waiter->sequence);
    }
    commit_group_settles(commit, waiter->hash);
    key_written(commit);
}

static void write_object(struct commit *commit, struct hash128 hash)
{
    struct objects_row row;
    enum objects_change change = objects_take(commit->store->objects, hash, &row);
    struct disk *disk = store_disk_of(commit->store, hash.lo);
    if (disk != NULL && writable(disk)) {
        if (change == OBJECTS_WRITE) {
            const struct store_generation *generation = row.generation;
            index_put_object(disk->index, &(struct index_object){.object = hash,
                                                                 .group = row.group,
                                                                 .generation = generation->id,
                                                                 .length = generation->length,
                                                                 .validated_s = row.validated_s,
                                                                 .sequence = row.sequence,
                                                                 .record = generation->record});
        } else if (change == OBJECTS_DELETE) {
            index_delete_object(disk->index, hash);
        } else if (change == OBJECTS_INVALIDATE) {
            index_invalidate_object(disk->index, hash);
        }
    }
    store_generation_unref(&row.generation);
    if (change != OBJECTS_NOTHING)
        key_written(commit);
}

/* As they are now; the data files are synced after this and before they are written. */
static void take_extents(struct commit *commit, const struct names *extents)
{
    struct directory *directory = commit->store->directory;
    const struct extent_name *names = extents->items;
    for (size_t i = 0; i < extents->count; i++) {
        struct index_extent *row = names_add(&commit->rows, sizeof *row);
        *row = (struct index_extent){.generation = names[i].generation, .extent = (uint32_t) names[i].extent};
        directory_lock(directory, row->generation, row->extent);
        struct leaf *leaf = directory_find(directory, row->generation, row->extent);
        if (leaf != NULL) {
            atomic_store(&leaf->dirty, false);
            row->object = leaf->object;
            row->length = leaf->length;
            for (unsigned k = 0; k < STORE_EXTENT_BLOCKS; k++)
                row->location[k] = atomic_load(&leaf->location[k]);
        }
        directory_unlock(directory, row->generation, row->extent);
    }
}

static void write_extents(struct commit *commit)
{
    const struct index_extent *rows = commit->rows.items;
    for (size_t i = 0; i < commit->rows.count; i++) {
        for (unsigned d = 0; d < commit->store->disk_count; d++) {
            struct disk *disk = commit->store->disks[d];
            struct index_extent part = rows[i];
            for (unsigned k = 0; k < STORE_EXTENT_BLOCKS; k++)
                part.location[k] = part.location[k] != 0 && location_disk(part.location[k]) == d
                                       ? part.location[k] & LOCATION_STORED
                                       : 0;
            if (writable(disk))
                index_put_extent(disk->index, &part);
        }
        key_written(commit);
    }
    names_free(&commit->rows);
}

static void write_settled(struct commit *commit)
{
    const struct hash128 *groups = commit->settled.items;
    const struct stray *strays = commit->strays.items;
    for (size_t i = 0; i < commit->settled.count; i++)
        for (unsigned d = 0; d < commit->store->disk_count; d++)
            if (writable(commit->store->disks[d]))
                index_delete_group(commit->store->disks[d]->index, groups[i]);
    for (size_t i = 0; i < commit->strays.count; i++)
        if (writable(commit->store->disks[strays[i].disk]))
            index_delete_object(commit->store->disks[strays[i].disk]->index, strays[i].object);
    names_free(&commit->settled);
    names_free(&commit->strays);
}

/* Everything begun before the rows were taken is in the index as it was then (see transfer_superseded). */
static void write_mark(struct commit *commit, uint64_t mark)
{
    for (unsigned d = 0; d < commit->store->disk_count; d++)
        if (writable(commit->store->disks[d]))
            index_put_meta(commit->store->disks[d]->index, "mark", mark);
}

static void write_opening(struct commit *commit)
{
    /* Numbers run on through openings; one that has come near the next must not be met by it. */
    uint64_t opening = (atomic_load(&commit->store->next_id) + (UINT64_C(1) << 39)) >> GENERATION_OPENING_SHIFT;
    if (opening == commit->opening)
        return;
    commit->opening = opening;
    for (unsigned d = 0; d < commit->store->disk_count; d++)
        if (writable(commit->store->disks[d]))
            index_put_meta(commit->store->disks[d]->index, "opening", opening);
}

static void watch_room(struct commit *commit)
{
    bool tight = false;
    for (unsigned i = 0; i < commit->store->disk_count; i++) {
        struct disk *disk = commit->store->disks[i];
        /* A commit needs the old pages, the new ones, and those freed by the one before. */
        bool full = index_used(disk->index) > volume_map_size(disk) / 4;
        if (full && !atomic_load(&disk->index_tight))
            log_event(STORE_IO, "path=%s: the index is full; the longest unused objects are forgotten", disk->path);
        atomic_store(&disk->index_tight, full);
        tight |= full;
    }
    if (tight)
        objects_trim(commit->store->objects, TRIM_STEP, object_dirty, commit);
}

static void sync_data(struct commit *commit)
{
    for (unsigned i = 0; i < commit->store->disk_count; i++) {
        rcu_thread_offline();
        enum status status = slots_sync(&commit->store->disks[i]->slots);
        rcu_thread_online();
        if (status != STATUS_OK)
            disk_error(commit->store->disks[i], "sync", errno);
    }
}

static void drop_dead(struct commit *commit)
{
    struct generation_dead dead;
    for (unsigned i = 0; i < DEAD_STEP && generation_take_dead(&dead); i++)
        if (objects_current(commit->store->objects, dead.object) != dead.id) /* its record may live on in another */
            block_drop_generation(commit->store, dead.id, dead.length);
}

struct round {
    struct names objects;
    struct names extents;
    struct waiter *waiters;
    bool full;
    bool last;
};

/* Objects may be freed from memory once their rows are as they should be. */
static void settle_objects(struct commit *commit, const struct names *objects)
{
    const struct hash128 *hashes = objects->items;
    for (size_t i = 0; i < objects->count; i++)
        objects_settled(commit->store->objects, hashes[i]);
}

static void run(struct commit *commit, struct round *round)
{
    const struct hash128 *hashes = round->objects.items;
    uint64_t mark = atomic_load(&commit->store->next_id);
    if (round->full)
        take_extents(commit, &round->extents);
    if (round->full)
        sync_data(commit);
    begin(commit);
    for (struct waiter *waiter = round->waiters; waiter != NULL; waiter = waiter->next)
        if (waiter->group)
            write_group(commit, waiter);
    for (size_t i = 0; i < round->objects.count; i++)
        write_object(commit, hashes[i]);
    if (round->full) {
        write_extents(commit);
        if (round->extents.count > 0)
            write_mark(commit, mark);
        write_settled(commit);
        write_opening(commit);
    }
    end(commit);
    settle_objects(commit, &round->objects);
    if (round->full && commit_loaded(commit)) {
        /* What the sweeps of this round made dirty is written by the next one. */
        commit->settled = commit->settling;
        commit->settling = (struct names){0};
    }
    if (round->waiters != NULL || round->last) {
        rcu_thread_offline();
        sync_all(commit);
        rcu_thread_online();
    }
}

static void answer(struct commit *commit, struct waiter *waiter)
{
    while (waiter != NULL) {
        struct waiter *next = waiter->next;
        store_post(commit->store, waiter->loop, waiter->done);
        mem_free(waiter);
        waiter = next;
    }
}

/* ---- The thread. ---- */

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

/* Waits until there is something to do; true: the last round. */
static bool take_round(struct commit *commit, struct round *round)
{
    bool loading = !commit_loaded(commit);
    *round = (struct round){0};
    rcu_thread_offline();
    pthread_mutex_lock(&commit->mutex);
    struct timespec until = {.tv_sec = commit->next_ms / 1000, .tv_nsec = commit->next_ms % 1000 * 1000000};
    while (!commit->urgent && !commit->flush && !commit->stopping && !loading && clock_mono_ms() < commit->next_ms)
        pthread_cond_timedwait(&commit->wake, &commit->mutex, &until);
    bool flush = commit->flush && !loading;
    round->last = commit->stopping;
    round->waiters = take_waiters(commit, loading);
    pthread_mutex_unlock(&commit->mutex);
    /* Waiters first, then the names: what a waiter waits for is among them, puts included once they are drained. */
    for (unsigned i = 0; flush && i < commit->store->disk_count; i++)
        disk_drain(commit->store->disks[i]);
    pthread_mutex_lock(&commit->mutex);
    round->full = !loading && (flush || round->last || clock_mono_ms() >= commit->next_ms ||
                               atomic_load_explicit(&commit->bytes, memory_order_relaxed) >= ROUND_BYTES);
    round->objects = commit->objects;
    commit->objects = (struct names){0};
    if (round->full) {
        round->extents = commit->extents;
        commit->extents = (struct names){0};
        atomic_store_explicit(&commit->bytes, 0, memory_order_relaxed);
        commit->next_ms = clock_mono_ms() + ROUND_MS;
    }
    pthread_mutex_unlock(&commit->mutex);
    rcu_thread_online();
    return round->last;
}

/* One step on every disk that is not read yet. */
static void load(struct commit *commit, bool give_up)
{
    struct store *store = commit->store;
    bool objects = true, done = true;
    for (unsigned i = 0; i < store->disk_count; i++)
        objects = objects && (commit->recovers[i] == NULL || recover_has_objects(commit->recovers[i]));
    for (unsigned i = 0; i < store->disk_count; i++) {
        struct recover *recover = commit->recovers[i];
        if (recover == NULL)
            continue;
        bool more = (!objects && recover_has_objects(recover)) || (!give_up && recover_step(recover));
        if (more && !give_up) {
            done = false;
            continue;
        }
        if (give_up)
            volume_loaded(store->disks[i]);
        recover_free(recover);
        commit->recovers[i] = NULL;
    }
    if (!done)
        return;
    pthread_mutex_lock(&commit->mutex);
    atomic_store(&commit->loaded, true);
    pthread_cond_broadcast(&commit->all_loaded);
    pthread_mutex_unlock(&commit->mutex);
}

static void *commit_thread(void *arg)
{
    struct commit *commit = arg;
    struct store *store = commit->store;
    rcu_register_thread();
    for (bool last = false; !last;) {
        struct round round;
        last = take_round(commit, &round);
        run(commit, &round);
        answer(commit, round.waiters);
        names_free(&round.objects);
        names_free(&round.extents);
        if (!commit_loaded(commit))
            load(commit, last);
        drop_dead(commit);
        if (round.full)
            watch_room(commit);
        if (objects_over_budget(store->objects))
            objects_trim(store->objects, 0, object_dirty, commit);
        rcu_quiescent_state();
    }
    directory_free(store->directory);
    objects_free(store->objects);
    rcu_unregister_thread();
    return NULL;
}

struct commit *commit_new(struct store *store)
{
    struct commit *commit = mem_calloc(1, sizeof *commit);
    pthread_condattr_t attr;
    commit->store = store;
    commit->waiters_end = &commit->waiters;
    pthread_mutex_init(&commit->mutex, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&commit->wake, &attr);
    pthread_cond_init(&commit->all_loaded, &attr);
    pthread_condattr_destroy(&attr);
    atomic_init(&commit->loaded, false);
    return commit;
}

void commit_start(struct commit *commit)
{
    for (unsigned i = 0; i < commit->store->disk_count; i++)
        commit->recovers[i] = recover_new(commit->store->disks[i]);
    atomic_store(&commit->loaded, commit->store->disk_count == 0);
    commit->opening = atomic_load(&commit->store->next_id) >> GENERATION_OPENING_SHIFT;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the main thread's */
    int error = pthread_create(&commit->thread, NULL, commit_thread, commit);
    assert(error == 0);
    (void) error;
    pthread_setname_np(commit->thread, "store-index");
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void commit_stop(struct commit *commit)
{
    pthread_mutex_lock(&commit->mutex);
    commit->stopping = true;
    pthread_cond_signal(&commit->wake);
    pthread_mutex_unlock(&commit->mutex);
    pthread_join(commit->thread, NULL);
    answer(commit, commit->waiters);
    names_free(&commit->objects);
    names_free(&commit->extents);
    names_free(&commit->rows);
    names_free(&commit->settling);
    names_free(&commit->settled);
    names_free(&commit->strays);
    pthread_cond_destroy(&commit->wake);
    pthread_cond_destroy(&commit->all_loaded);
    pthread_mutex_destroy(&commit->mutex);
    mem_free(commit);
}
