/* SPDX-License-Identifier: Apache-2.0 */
/* round.c: what a round is about, who takes part in it, and those who miss it. */
#include "store/round.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/block.h"
#include "store/commit.h"
#include "store/directory.h"
#include "store/disk.h"
#include "store/generation.h"
#include "store/homes.h"
#include "store/inside.h"
#include "store/leaves.h"
#include "store/objects.h"
#include "store/opening.h"
#include "store/record.h"
#include "store/resync.h"
#include "store/rows.h"
#include "store/scribe.h"

/* Dead generations dropped between two rounds. */
#define DEAD_STEP 1024
/* Before an index that could not be made anew is tried again. */
#define RESYNC_RETRY_MS 5000

/* A disk's part in rounds. */
enum part_state {
    PART_IN,     /* its index is told everything */
    PART_BEHIND, /* it has missed something */
    PART_RESYNC, /* its index is being made anew */
};

struct errand {
    struct round *round; /* counted */
    bool done;           /* by the scribe, before it is idle */
};

struct rounds {
    struct store *store;
    pthread_mutex_t mutex;
    struct names settling; /* struct hash128: groups whose rows go after the next full round; under the mutex */
    struct names settled;  /* struct hash128: those it is true of */
    uint64_t opening;      /* as last written */
    bool returned;
    struct {
        enum part_state state;
        struct errand errand;
        int64_t retry_at_ms;
    } parts[STORE_DISKS_MAX];
};

struct round *round_new(void)
{
    struct round *round = mem_calloc(1, sizeof *round);
    atomic_init(&round->refs, 1);
    return round;
}

void round_unref(struct round **round)
{
    struct round *left = *round;
    *round = NULL;
    if (left == NULL || atomic_fetch_sub(&left->refs, 1) > 1)
        return;
    names_free(&left->objects);
    names_free(&left->extents);
    marks_free(&left->groups);
    names_free(&left->rows);
    names_free(&left->forgotten);
    names_free(&left->settled);
    mem_free(left);
}

struct rounds *rounds_new(struct store *store)
{
    struct rounds *rounds = mem_calloc(1, sizeof *rounds);
    rounds->store = store;
    rounds->opening = atomic_load(&store->next_id) >> GENERATION_OPENING_SHIFT;
    pthread_mutex_init(&rounds->mutex, NULL);
    return rounds;
}

void rounds_free(struct rounds *rounds)
{
    names_free(&rounds->settling);
    names_free(&rounds->settled);
    pthread_mutex_destroy(&rounds->mutex);
    mem_free(rounds);
}

void rounds_group_settles(struct rounds *rounds, struct hash128 group)
{
    pthread_mutex_lock(&rounds->mutex);
    *(struct hash128 *) names_add(&rounds->settling, sizeof group) = group;
    pthread_mutex_unlock(&rounds->mutex);
}

/* ---- Who takes part. ---- */

static void fall_behind(struct rounds *rounds, struct disk *disk)
{
    rounds->parts[disk->number].state = PART_BEHIND;
    rounds->parts[disk->number].retry_at_ms = 0;
    opening_next(rounds->store);
}

static void resync_errand(struct disk *disk, void *arg)
{
    struct errand *errand = arg;
    errand->done = resync_run(disk);
}

static void look_at_part(struct rounds *rounds, struct disk *disk)
{
    struct errand *errand = &rounds->parts[disk->number].errand;
    enum part_state *state = &rounds->parts[disk->number].state;
    bool idle = scribe_idle(disk->scribe), usable = !health_out(disk), broken = atomic_load(&disk->broken);
    if (*state == PART_RESYNC && idle) {
        *state = errand->done ? PART_IN : PART_BEHIND;
        rounds->parts[disk->number].retry_at_ms = clock_mono_ms() + RESYNC_RETRY_MS;
        rounds->returned = rounds->returned || errand->done;
        disk_set_broken(disk, !errand->done);
    } else if (*state == PART_IN && (!idle || !usable || broken)) {
        fall_behind(rounds, disk);
    } else if (*state == PART_BEHIND && idle && usable && atomic_load(&disk->loaded) &&
               clock_mono_ms() >= rounds->parts[disk->number].retry_at_ms) {
        *state = PART_RESYNC;
        errand->done = false;
        scribe_give(disk->scribe, resync_errand, errand);
    }
}

static enum part_state state_of(const struct rounds *rounds, const struct disk *disk)
{
    return rounds->parts[disk->number].state;
}

bool rounds_returned(struct rounds *rounds)
{
    bool returned = rounds->returned;
    rounds->returned = false;
    return returned;
}

/* ---- What it is about. ---- */

static void forget_groups(struct rounds *rounds, struct round *round)
{
    const struct mark *marks = round->groups.sorted.items;
    size_t count = round->groups.sorted.count;
    if (count > 0)
        objects_forget_groups(rounds->store->objects, &round->groups);
    for (size_t i = 0; i < count; i++) {
        if (round->loaded && marks[i].hits == 0)
            continue;
        *(struct round_group *) names_add(&round->forgotten, sizeof(struct round_group)) =
            (struct round_group){marks[i].group, marks[i].sequence};
        rounds_group_settles(rounds, marks[i].group);
    }
}

/* Extents as they are now: the data files are synced after this and before the rows are written. */
static void take_extents(struct rounds *rounds, struct round *round)
{
    const struct round_extent *names = round->extents.items;
    for (size_t i = 0; i < round->extents.count; i++)
        rows_extent(rounds->store, names[i].generation, names[i].extent, true,
                    names_add(&round->rows, sizeof(struct index_extent)));
}

/* Blocks that were stored before their generation became the current one, as those of a write are: that they lie there
 * is told again, and with it what they belong to (rows.h). */
static void row_again(struct store *store, struct leaf *leaf)
{
    block_row_again(store, leaf->generation, leaf->extent);
}

static void tell_of_blocks(struct store *store, const struct round *round)
{
    const struct hash128 *objects = round->objects.items;
    struct leaves_of renewed;
    struct names all = {0};
    for (size_t i = 0; i < round->objects.count; i++)
        if (objects_renewed(store->objects, objects[i], &renewed.generation, &renewed.length))
            *(struct leaves_of *) names_add(&all, sizeof renewed) = renewed;
    leaves_each(store, all.items, all.count, row_again);
    names_free(&all);
}

static void describe(struct rounds *rounds, struct round *round)
{
    struct store *store = rounds->store;
    if (store->disk_count > 1)
        tell_of_blocks(store, round);
    forget_groups(rounds, round);
    if (round->full) {
        take_extents(rounds, round);
        round->settled = rounds->settled;
        rounds->settled = (struct names){0};
    }
    /* Numbers run on through openings; one that has come near the next must not be met by it. */
    uint64_t opening = (atomic_load(&rounds->store->next_id) + (UINT64_C(1) << 39)) >> GENERATION_OPENING_SHIFT;
    if (opening != rounds->opening) {
        rounds->opening = round->opening = opening;
        round->durable = true;
    }
}

/* ---- Running it. ---- */

static void write_errand(struct disk *disk, void *arg)
{
    struct errand *errand = arg;
    errand->done = rows_write(disk, errand->round);
    round_unref(&errand->round);
}

/* What the disk's index would have been told: let go, since all of it will be written anew; or put off while it is. */
static void miss(struct rounds *rounds, const struct disk *disk, const struct round *round)
{
    struct store *store = rounds->store;
    const struct hash128 *objects = round->objects.items;
    const struct index_extent *rows = round->rows.items;
    bool put_off = state_of(rounds, disk) == PART_RESYNC;
    for (size_t i = 0; i < round->objects.count; i++) {
        struct objects_row row;
        if (!home_is(disk, objects[i])) {
            if (!put_off)
                (void) objects_copy_drop(store->objects, objects[i], disk->number);
            continue;
        }
        if (put_off) {
            commit_dirty_object(store->commit,
                                objects[i]); /* mostly it counts as dirty still; else it is named twice */
            continue;
        }
        if (objects_take(store->objects, objects[i], &row) == OBJECTS_DELETE)
            record_dead(store, row.place.location, row.place.length);
        store_generation_unref(&row.generation);
        objects_settled(store->objects, objects[i]);
    }
    for (size_t i = 0; put_off && i < round->rows.count; i++)
        block_row_again(store, rows[i].generation, rows[i].extent);
}

/* The disk has written its part, or it is behind. */
static void conclude(struct rounds *rounds, struct disk *disk)
{
    rcu_thread_offline();
    bool idle = scribe_wait(disk->scribe);
    rcu_thread_online();
    if (idle && rounds->parts[disk->number].errand.done)
        return;
    fall_behind(rounds, disk);
    if (!idle)
        return;
    /* What is in its index must not be believed by the next start, should it not be made anew before. */
    disk_set_broken(disk, true);
    rounds->parts[disk->number].retry_at_ms = clock_mono_ms() + RESYNC_RETRY_MS;
}

static void run_once(struct rounds *rounds, struct round *round)
{
    struct store *store = rounds->store;
    for (unsigned i = 0; i < store->disk_count; i++)
        look_at_part(rounds, store->disks[i]);
    describe(rounds, round);
    for (unsigned i = 0; i < store->disk_count; i++) {
        struct errand *errand = &rounds->parts[i].errand;
        if (rounds->parts[i].state != PART_IN)
            continue;
        atomic_fetch_add(&round->refs, 1);
        *errand = (struct errand){.round = round};
        scribe_give(store->disks[i]->scribe, write_errand, errand);
    }
    for (unsigned i = 0; i < store->disk_count; i++) {
        if (rounds->parts[i].state == PART_IN)
            conclude(rounds, store->disks[i]);
        else
            miss(rounds, store->disks[i], round);
    }
}

void rounds_run(struct rounds *rounds, struct round *round)
{
    run_once(rounds, round);
    /* One fell behind just now: before anybody is told that this round is done, the others note that. */
    uint64_t opening = atomic_load(&rounds->store->next_id) >> GENERATION_OPENING_SHIFT;
    if (opening > rounds->opening) {
        struct round *note = round_new();
        run_once(rounds, note);
        round_unref(&note);
    }
    if (!round->full || !round->loaded)
        return;
    /* What the sweeps of this round made dirty is written by the next one. */
    pthread_mutex_lock(&rounds->mutex);
    rounds->settled = rounds->settling;
    rounds->settling = (struct names){0};
    pthread_mutex_unlock(&rounds->mutex);
}

void rounds_trim(struct rounds *rounds, bool full)
{
    struct objects *objects = rounds->store->objects;
    size_t load = 0;
    for (unsigned i = 0; full && i < rounds->store->disk_count; i++) {
        size_t one = atomic_load(&rounds->store->disks[i]->index_load);
        load = one > load ? one : load;
    }
    /* Back to three quarters at once: what comes in a second may be much. */
    size_t least = load > 1024 ? objects_count(objects) * (load - 768) / load : 0;
    if (least > 0 || objects_over_budget(objects))
        objects_trim(objects, least);
}

void rounds_drop_dead(struct rounds *rounds)
{
    struct store *store = rounds->store;
    struct generation_dead dead;
    struct names all = {0};
    for (unsigned i = 0; i < DEAD_STEP && generation_take_dead(store->generations, &dead); i++)
        if (objects_current(store->objects, dead.object) != dead.id) /* its record may live on in another */
            *(struct leaves_of *) names_add(&all, sizeof(struct leaves_of)) = (struct leaves_of){dead.id, dead.length};
    leaves_each(store, all.items, all.count, block_drop_leaf);
    names_free(&all);
}
