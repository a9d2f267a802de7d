/* SPDX-License-Identifier: Apache-2.0 */
/* power_work.c: the work, and what it obliges to. */
#include "power_work.h"

#include "base/clock.h"
#include "store/block.h"
#include "store/commit.h"
#include "store/disk.h"
#include "store/inside.h"
#include "store/objects_inside.h"

#define BLOCKS_MAX 6
#define TIME_BASE 1000000
/* Data files grow by this at once. */
#define GROW (26 * (WORK_BLOCK + 4096))
#define WAIT_MS 5000

struct work {
    struct store *store;
    uint64_t seed;
    uint64_t version, time;
    struct store_generation *current[WORK_OBJECTS]; /* counted, or NULL */
    uint64_t version_of[WORK_OBJECTS];
    uint64_t at[WORK_OBJECTS][BLOCKS_MAX + 1]; /* where blocks, and the record, were seen last */
    uint64_t generation_at[WORK_OBJECTS];
    uint64_t moved;
};

static uint64_t roll(struct work *work, uint64_t below)
{
    work->seed = hash_mix(work->seed, 12345);
    return (work->seed >> 20) % below;
}

static unsigned note(enum work_note what, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    return power_note(what, (uint64_t[4]){a, b, c, d}, NULL, 0);
}

uint64_t work_length(uint64_t object, uint64_t version)
{
    uint64_t dice = hash_mix(object + 1, version);
    switch (dice % 4) {
    case 0:
        return 1 + (dice >> 8) % 6000; /* packed, sharing pages */
    case 1:
        return (1 + (dice >> 8) % BLOCKS_MAX) * WORK_BLOCK;
    default:
        return 1 + (dice >> 8) % (BLOCKS_MAX * WORK_BLOCK);
    }
}

bool work_record(struct str record, uint64_t *object, uint64_t *version)
{
    char text[64];
    unsigned long long o, v;
    snprintf(text, sizeof text, "%.*s", (int) (record.len < 63 ? record.len : 63), record.ptr);
    if (sscanf(text, "object %llu version %llu", &o, &v) != 2 || o >= WORK_OBJECTS)
        return false;
    *object = o;
    *version = v;
    return true;
}

static struct loop *awake;

static void nudge(struct letter *letter)
{
    usleep(500);
    loop_post(awake, letter);
}

void work_keep_awake(struct loop *loop)
{
    static struct letter letter = {.deliver = nudge};
    awake = loop;
    loop_post(loop, &letter);
}

/* ---- Steps. ---- */

static void count_moves(struct work *work, unsigned o, uint64_t generation)
{
    for (unsigned i = 0; i <= BLOCKS_MAX; i++) {
        uint64_t now = i == BLOCKS_MAX ? objects_record_place(work->store->objects, fixture_hash(o)).location
                                       : block_location(work->store, generation, i);
        uint64_t before = work->generation_at[o] == generation ? work->at[o][i] : 0;
        work->moved += now != 0 && before != 0 && !location_same(now, before);
        work->at[o][i] = now;
    }
    work->generation_at[o] = generation;
}

/* What is seen first may be evicted, for good even, before the last is: so it holds for the time of the beginning. */
static void scan(struct work *work, enum work_note what)
{
    struct work_seen seen[WORK_OBJECTS] = {0};
    uint64_t begun = note(WORK_LOOK, 0, 0, 0, 0);
    for (unsigned o = 0; o < WORK_OBJECTS; o++) {
        seen[o].generation = store_object_current(work->store, fixture_hash(o));
        count_moves(work, o, seen[o].generation);
        uint64_t length = work->current[o] == NULL ? 0 : work->current[o]->length;
        for (unsigned b = 0; seen[o].generation != 0 && b * (uint64_t) WORK_BLOCK < length; b++)
            if (store_has_block(work->store, seen[o].generation, b))
                seen[o].blocks |= UINT64_C(1) << b;
    }
    power_note(what, (uint64_t[4]){begun}, seen, sizeof seen);
    rcu_quiescent_state();
}

/* `id` 0: a new version. */
static void set(struct work *work, unsigned o, uint64_t id)
{
    char record[2000];
    if (store_object_current(work->store, fixture_hash(o)) == 0)
        note(WORK_UNKNOWN, o, 0, 0, 0);
    if (id == 0)
        work->version_of[o] = ++work->version;
    int size = snprintf(record, sizeof record, "object %u version %llu ", o, (unsigned long long) work->version_of[o]);
    int length = size + (int) roll(work, roll(work, 8) == 0 ? 1500 : 200);
    memset(record + size, 'a' + (int) roll(work, 26), (size_t) (length - size));
    uint64_t total = work_length(o, work->version_of[o]);
    struct store_generation *made = store_generation_new(work->store, fixture_hash(o), work_group(o), id, total,
                                                         (struct str){record, (size_t) length}, NULL);
    store_generation_unref(&work->current[o]);
    work->current[o] = made;
    note(WORK_SET, o, work->version_of[o], made->id, ++work->time);
    store_object_set(work->store, made, (int64_t) work->time, 1);
}

/* Puts what is missing of it, all at once. */
static void put(struct work *work, unsigned o, bool all)
{
    struct store_generation *generation = work->current[o];
    struct arrival arrivals[BLOCKS_MAX];
    bool waiting[BLOCKS_MAX] = {false};
    for (unsigned b = 0; generation != NULL && b * (uint64_t) WORK_BLOCK < generation->length; b++) {
        if (store_has_block(work->store, generation->id, b) || (!all && roll(work, 2) == 0))
            continue;
        note(WORK_GONE, o, generation->id, b, 0);
        uint32_t length = fixture_length(work->store, generation, b);
        struct buf *buf = buf_new(length);
        fixture_fill(buf->data, length, work_content(o, work->version_of[o]), b);
        buf_publish(buf, length);
        arrival_init(&arrivals[b]);
        waiting[b] =
            store_put_block(work->store, generation, b, buf, length, fixture_loop, &arrivals[b].letter) == STATUS_OK;
        buf_unref(&buf);
    }
    for (unsigned b = 0; b < BLOCKS_MAX; b++)
        if (waiting[b])
            arrival_wait(&arrivals[b], 1);
}

static void flush(struct work *work)
{
    scan(work, WORK_FLUSH_ASK);
    fixture_flush(work->store);
    note(WORK_FLUSHED, 0, 0, 0, 0);
}

static void tombstone(struct work *work, unsigned o)
{
    struct arrival arrival;
    uint64_t time = work->time;
    arrival_init(&arrival);
    note(WORK_FORGET, o, 0, 0, 0);
    store_tombstone(work->store, fixture_hash(o), fixture_loop, &arrival.letter);
    arrival_wait(&arrival, 1);
    note(WORK_TOMBSTONE, o, time, 0, 0);
}

static void wide(struct work *work)
{
    struct arrival arrival;
    unsigned group = (unsigned) roll(work, WORK_GROUPS);
    arrival_init(&arrival);
    note(WORK_WIDE, 0, 0, 0, 0);
    store_intent_begin(work->store, fixture_loop, &arrival.letter);
    arrival_wait(&arrival, 1);
    note(WORK_INTENT, 0, 0, 0, 0);
    if (roll(work, 2) == 0)
        set(work, (unsigned) roll(work, WORK_OBJECTS), 0);
    if (roll(work, 3) == 0)
        flush(work);
    if (roll(work, 2) == 0) {
        note(WORK_ENDING, 0, 0, 0, 0);
        store_intent_end(work->store);
        return;
    }
    note(WORK_GROUP, group, work->time, 0, 0);
    store_tombstone_group(work->store, work_group(group), fixture_loop, &arrival.letter);
    arrival_wait(&arrival, 1);
}

/* Uninstrumented: the index thread only asks whether it is over the budget. */
__attribute__((no_sanitize("thread"))) static void budget(struct objects *objects, size_t bytes)
{
    objects->budget = bytes;
}

static unsigned known(struct objects *objects)
{
    unsigned count = 0;
    for (unsigned o = 0; o < WORK_OBJECTS; o++)
        count += object_node_find(objects, fixture_hash(o)) != NULL;
    return count;
}

/* There is memory for half the objects for a moment; one that was forgotten is then written to. */
static void squeeze(struct work *work)
{
    struct objects *objects = work->store->objects;
    unsigned before = known(objects);
    int64_t deadline = clock_mono_ms() + WAIT_MS;
    uint64_t was[WORK_OBJECTS];
    for (unsigned o = 0; o < WORK_OBJECTS; o++)
        was[o] = store_object_current(work->store, fixture_hash(o));
    size_t all = objects->budget;
    budget(objects, atomic_load(&objects->bytes) / 2);
    do {
        commit_kick(work->store->commit);
        rcu_thread_offline();
        usleep(1000);
        rcu_thread_online();
    } while (before > 1 && known(objects) == before && clock_mono_ms() < deadline);
    budget(objects, all);
    scan(work, WORK_SCAN);
    for (unsigned o = 0; o < WORK_OBJECTS; o++)
        if (was[o] != 0 && store_object_current(work->store, fixture_hash(o)) == 0)
            tombstone(work, o);
}

static void look(struct work *work, unsigned o)
{
    bool right;
    for (unsigned b = 0; work->current[o] != NULL && b * (uint64_t) WORK_BLOCK < work->current[o]->length; b++)
        if (store_has_block(work->store, work->current[o]->id, b)) {
            struct iovec piece;
            (void) fixture_load(work->store, work->current[o], work_content(o, work->version_of[o]), b, &right);
            if (store_peek_block(work->store, work->current[o]->id, b, 0, 1, false, &piece) == STATUS_OK)
                rcu_quiescent_state();
        }
}

static void step(struct work *work)
{
    unsigned o = (unsigned) roll(work, WORK_OBJECTS);
    bool there = work->current[o] != NULL && store_object_current(work->store, fixture_hash(o)) == work->current[o]->id;
    switch (roll(work, 16)) {
    case 0:
    case 1:
        flush(work);
        break;
    case 2:
    case 3:
        tombstone(work, o);
        break;
    case 4:
        wide(work);
        break;
    case 5:
        look(work, o);
        break;
    case 6:
    case 7:
        if (there)
            set(work, o, work->current[o]->id); /* validated again, under another record */
        break;
    case 8:
    case 9:
        if (there)
            put(work, o, true);
        break;
    case 10:
        if (roll(work, 3) == 0)
            squeeze(work);
        break;
    default:
        set(work, o, 0);
        put(work, o, roll(work, 4) != 0);
    }
}

/* What an earlier stage left. What is only believed to be there, by the index, is found out: it is not owed. */
static void adopt(struct work *work)
{
    for (unsigned o = 0; o < WORK_OBJECTS; o++) {
        struct store_view view;
        uint64_t object, version;
        if (store_object_find(work->store, fixture_hash(o), &view) &&
            work_record(view.generation->record, &object, &version)) {
            work->current[o] = view.generation;
            work->version_of[o] = version;
            look(work, o);
        }
    }
}

void work_run(const char *path, unsigned stage, unsigned seed, unsigned steps)
{
    struct work work = {.seed = seed, .version = stage * 10000, .time = TIME_BASE * (stage + 1)};
    power_dawdle(seed + 1);
    power_allocate_at_most(GROW);
    fixture_start();
    work_keep_awake(fixture_loop);
    work.store = fixture_open(path, WORK_SIZE, WORK_BLOCK, NULL);
    if (work.store == NULL || work.store->disk_count == 0)
        _exit(1);
    struct hash128 id = work.store->disks[0]->label.id;
    note(WORK_OPENED, id.lo, id.hi, 0, 0);
    fixture_flush(work.store); /* everything is loaded */
    adopt(&work);
    scan(&work, WORK_SCAN);
    for (unsigned i = 0; i < steps; i++) {
        step(&work);
        scan(&work, WORK_SCAN);
    }
    note(WORK_DONE, (uint64_t) fixture_metric(METRIC_STORE_EVICTIONS), work.moved, 0, 0);
    _exit(0);
}

/* ---- What follows from it. ---- */

static void learn_set(struct work_truth *truth, const uint64_t value[4])
{
    uint64_t o = value[0];
    if (truth->set_count[o] == WORK_SETS)
        abort();
    truth->sets[o][truth->set_count[o]].version = value[1];
    truth->sets[o][truth->set_count[o]++].generation = value[2];
    if (truth->flushed[o].generation != value[2])
        truth->flushed[o].blocks = 0;
    if (truth->asked[o].generation != value[2])
        truth->asked[o].blocks = 0;
    truth->highest_id = value[2] > truth->highest_id ? value[2] : truth->highest_id;
    truth->time = truth->last_time[o] = value[3];
}

static void learn_unknown(struct work_truth *truth, uint64_t object)
{
    truth->flushed[object] = (struct work_seen){0};
    truth->flushed_time[object] = 0;
}

static void learn_scan(struct work_truth *truth, const struct work_seen *seen)
{
    for (unsigned o = 0; o < WORK_OBJECTS; o++) {
        truth->flushed[o].blocks &= seen[o].generation == truth->flushed[o].generation ? seen[o].blocks : 0;
        if (seen[o].generation == 0)
            learn_unknown(truth, o);
    }
}

/* No validation of up to that time counts any more for what is of that group, or for one object. */
static void learn_death(struct work_truth *truth, uint64_t first, uint64_t step, uint64_t time)
{
    for (uint64_t o = first; o < WORK_OBJECTS; o += step) {
        truth->dead_until[o] = time > truth->dead_until[o] ? time : truth->dead_until[o];
        truth->flushed_time[o] = truth->asked_time[o] = truth->last_time[o] = 0;
    }
}

static void learn(struct work_truth *truth, const struct power_log *log, const struct power_op *op)
{
    const void *data = log->bytes + op->data;
    uint64_t o = op->value[0];
    switch ((enum work_note) op->note) {
    case WORK_OPENED:
        truth->store = (struct hash128){op->value[0], op->value[1]};
        truth->opened = true;
        break;
    case WORK_SET:
        learn_set(truth, op->value);
        break;
    case WORK_SCAN:
        learn_scan(truth, data);
        break;
    case WORK_GONE:
        if (truth->flushed[o].generation == op->value[1])
            truth->flushed[o].blocks &= ~(UINT64_C(1) << op->value[2]);
        break;
    case WORK_UNKNOWN:
        learn_unknown(truth, o);
        break;
    case WORK_FLUSH_ASK:
        memcpy(truth->asked, data, sizeof truth->asked);
        memcpy(truth->asked_time, truth->last_time, sizeof truth->asked_time);
        if (truth->intents > 0)
            memset(truth->asked_time, 0, sizeof truth->asked_time);
        break;
    case WORK_FLUSHED:
        memcpy(truth->flushed, truth->asked, sizeof truth->flushed);
        memcpy(truth->flushed_time, truth->asked_time, sizeof truth->flushed_time);
        break;
    case WORK_FORGET:
        truth->flushed_time[o] = truth->asked_time[o] = truth->last_time[o] = 0;
        break;
    case WORK_TOMBSTONE: /* nothing was set meanwhile */
        learn_death(truth, o, WORK_OBJECTS, op->value[1]);
        break;
    case WORK_INTENT:
        truth->intents++;
        break;
    case WORK_WIDE:
        memset(truth->flushed_time, 0, sizeof truth->flushed_time);
        break;
    case WORK_ENDING:
        truth->intents--;
        break;
    case WORK_GROUP:
        truth->intents--;
        learn_death(truth, o, WORK_GROUPS, op->value[1]);
        break;
    case WORK_LOOK:
    case WORK_DONE:
        break;
    }
}

void work_learn(struct work_truth *truth, const struct power_log *log, unsigned at)
{
    unsigned i = 0;
    for (; i < at; i++)
        if (log->ops[i].kind == POWER_NOTE)
            learn(truth, log, &log->ops[i]);
    /* What was evicted by then is seen to be gone by a look that begins later. */
    for (; i < log->count; i++) {
        const struct power_op *op = &log->ops[i];
        if (op->kind == POWER_NOTE && (op->note == WORK_GONE || op->note == WORK_UNKNOWN))
            learn(truth, log, op);
        if (op->kind == POWER_NOTE && (op->note == WORK_SCAN || op->note == WORK_FLUSH_ASK)) {
            learn_scan(truth, (const struct work_seen *) (const void *) (log->bytes + op->data));
            if (op->value[0] >= at)
                return;
        }
    }
    memset(truth->flushed, 0, sizeof truth->flushed);
}

void work_next_stage(struct work_truth *truth)
{
    for (unsigned o = 0; truth->intents > 0 && o < WORK_OBJECTS; o++)
        truth->dead_until[o] = truth->time;
    truth->intents = 0;
    truth->opened = false;
    memset(truth->flushed_time, 0, sizeof truth->flushed_time);
    memset(truth->last_time, 0, sizeof truth->last_time);
}
