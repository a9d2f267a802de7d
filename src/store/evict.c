/* SPDX-License-Identifier: Apache-2.0 */
/* evict.c: lists threaded through an array of slots, looks, and the way of a slot through the queues. */
#include "store/evict.h"

#include <assert.h>

#include "base/mem.h"
#include "base/metric.h"
#include "store/evict_inside.h"
#include "store/ghost.h"
#include "store/group.h"
#include "store/reuse.h"
#include "store/store.h"

/* Figures found with t/sim. Parts of the room: what is fresh, and the small queue with it. */
#define FRESH_PART 100
#define SMALL_PART 20
#define FRESH_MIN 8
/* A ghost counts until so many others have gone, of the room. Longer ones let more in that is not read again. */
#define GHOST_SPAN(room) ((uint32_t) ((uint64_t) (room) *7 / 10))
/* Places for ghosts: some sets are fuller than others. */
#define GHOSTS(capacity) ((uint32_t) ((uint64_t) (capacity) *9 / 10))
/* How often each slot is looked at while as much is missed as there is room; looks in one call. */
#define LOOKS 4
#define LOOKS_MOST 1024
/* Second chances a slot may have saved up. */
#define CHANCES_MOST 3
/* Of the blocks of a frozen group one in so many is let in. */
#define TURNOVER 128
/* Sampled slots that a full cache should have, but not more than one extent in 2^SAMPLE_SHIFT_MAX is sampled. */
#define SAMPLED_SLOTS 1024
#define SAMPLE_SHIFT_MAX 6
/* Distances are known out to so many times the capacity. */
#define REACH 8
/* Slots are stamped with the time in ticks, so many while as much passes as there is room; older than IDLE_MOST ticks
 * is all the same. */
#define TICKS_A_ROOM 8
#define IDLE_MOST 200

static const char *const place_names[PLACES] = {"none", "fresh", "small", "main", "dead", "sparse"};
static const char *const cause_names[CAUSES] = {"space", "limit"};

static struct reuse *reuse_for(const struct evict *evict, uint32_t slots)
{
    uint32_t things = (slots < evict->capacity ? slots : evict->capacity) >> evict->sample_shift;
    return reuse_new((things < 64 ? 64 : things) * REACH);
}

static void queues_free(struct evict *evict)
{
    for (unsigned i = 0; i <= quotas_count(evict->quotas); i++)
        if (evict->queues[i].reuse != NULL)
            reuse_free(evict->queues[i].reuse);
    mem_free(evict->queues);
    quotas_free(evict->quotas);
}

static void queues_make(struct evict *evict, struct quotas *quotas)
{
    evict->quotas = quotas;
    evict->queues = mem_calloc(quotas_count(quotas) + 1, sizeof *evict->queues);
    for (unsigned i = 0; i <= quotas_count(quotas); i++) {
        struct evict_queue *queue = &evict->queues[i];
        for (unsigned k = 0; k < PLACES; k++)
            queue->lists[k] = (struct evict_list){EVICT_NONE, EVICT_NONE, 0};
        if (i == 0 || quotas_limited(quotas, i) == i)
            queue->reuse = reuse_for(evict, quotas_limit(quotas, i));
    }
}

struct evict *evict_new(uint32_t capacity, const struct evict_events *events)
{
    struct evict *evict = mem_calloc(1, sizeof *evict);
    evict->events = *events;
    evict->capacity = evict->room = capacity;
    evict->slots = mem_table(capacity, sizeof *evict->slots);
    for (unsigned i = PLACE_FRESH; i < PLACES; i++)
        for (unsigned k = 0; k < CAUSES; k++)
            evict->victims[i][k] = metric_cell2(METRIC_STORE_VICTIMS, place_names[i], cause_names[k]);
    evict->ghosts = ghosts_new(GHOSTS(capacity));
    evict->groups = groups_new();
    while (evict->sample_shift < SAMPLE_SHIFT_MAX && capacity >> evict->sample_shift > SAMPLED_SLOTS)
        evict->sample_shift++;
    queues_make(evict, quotas_new(NULL, 0, 0));
    return evict;
}

uint32_t evict_set_quotas(struct evict *evict, const struct quota_row *rows, unsigned count, uint32_t unit)
{
    assert(evict->queued == 0);
    queues_free(evict);
    queues_make(evict, quotas_new(rows, count, unit));
    return quotas_reserved(evict->quotas);
}

void evict_free(struct evict *evict)
{
    metric_add(METRIC_STORE_FROZEN_GROUPS, -(int64_t) evict->frozen);
    queues_free(evict);
    groups_free(evict->groups);
    ghosts_free(evict->ghosts);
    mem_free(evict->slots);
    mem_free(evict);
}

/* ---- Lists. ---- */

static void push(struct evict *evict, uint32_t slot, enum evict_place place)
{
    struct evict_slot *at = &evict->slots[slot];
    struct evict_queue *queue = &evict->queues[at->quota];
    struct evict_list *list = &queue->lists[place];
    at->place = place;
    at->next = EVICT_NONE;
    at->prev = list->tail;
    if (list->tail == EVICT_NONE)
        list->head = slot;
    else
        evict->slots[list->tail].next = slot;
    list->tail = slot;
    list->count++;
    queue->count++;
    evict->queued++;
}

static void take(struct evict *evict, uint32_t slot)
{
    struct evict_slot *at = &evict->slots[slot];
    struct evict_queue *queue = &evict->queues[at->quota];
    struct evict_list *list = &queue->lists[at->place];
    if (at->prev == EVICT_NONE)
        list->head = at->next;
    else
        evict->slots[at->prev].next = at->next;
    if (at->next == EVICT_NONE)
        list->tail = at->prev;
    else
        evict->slots[at->next].prev = at->prev;
    list->count--;
    queue->count--;
    evict->queued--;
    at->place = PLACE_NONE;
}

void evict_move(struct evict *evict, uint32_t slot, enum evict_place place)
{
    take(evict, slot);
    push(evict, slot, place);
}

/* What loops go by. */
static void publish(struct evict *evict)
{
    uint32_t dead = 0;
    for (unsigned i = 0; i <= quotas_count(evict->quotas); i++) {
        struct evict_queue *queue = &evict->queues[i];
        uint32_t limit = quotas_limit(evict->quotas, i);
        dead += quotas_kept(evict->quotas, i, 0) ? 0 : queue->lists[PLACE_DEAD].count;
        atomic_store_explicit(&queue->dead, queue->lists[PLACE_DEAD].count, memory_order_relaxed);
        if (limit != QUOTA_UNLIMITED && quotas_held(evict->quotas, i) + 1 < limit - limit / 16)
            atomic_store_explicit(&queue->full, false, memory_order_relaxed);
    }
    atomic_store_explicit(&evict->dead, dead, memory_order_relaxed);
    if (evict->queued < evict->room / 16 * 15)
        atomic_store_explicit(&evict->full, false, memory_order_relaxed);
}

/* Whether a limit that the quota lies under was met lately. */
static bool at_limit(struct evict *evict, unsigned quota)
{
    for (; quota != 0; quota = quotas_parent(evict->quotas, quota))
        if (atomic_load_explicit(&evict->queues[quota].full, memory_order_relaxed))
            return true;
    return false;
}

/* ---- Loops ask and tell. ---- */

static uint64_t name_of(uint64_t generation, uint64_t block)
{
    return hash_mix(generation, block);
}

bool evict_sampled(const struct evict *evict, uint64_t generation, uint64_t block)
{
    uint64_t hash = hash_mix(generation, block / STORE_EXTENT_BLOCKS);
    return (hash >> (64 - SAMPLE_SHIFT_MAX) & ((1U << evict->sample_shift) - 1)) == 0;
}

/* A sample's note: whose, how much, and from where. */
#define NOTE_READ (UINT64_C(1) << 63)
#define NOTE_MISS(quota, group, weight) ((uint64_t) (quota) << 32 | (uint64_t) (weight) << 8 | (group))
#define NOTE_GROUP(note) ((uint8_t) (note))
#define NOTE_WEIGHT(note) ((uint16_t) ((note) >> 8))
#define NOTE_QUOTA(note) ((uint16_t) ((note) >> 32))
#define NOTE_SLOT(note) ((uint32_t) (note))

/* Whether there is room for a block of a frozen group. */
static bool has_room(struct evict *evict, unsigned quota)
{
    bool bound = at_limit(evict, quota);
    if (!bound && (!atomic_load_explicit(&evict->full, memory_order_relaxed) || quotas_entitled(evict->quotas, quota)))
        return true;
    return atomic_load_explicit(&evict->queues[quota].dead, memory_order_relaxed) > 0 ||
           (!bound && atomic_load_explicit(&evict->dead, memory_order_relaxed) > 0);
}

static bool lets_in(struct evict *evict, unsigned quota, uint64_t name)
{
    return has_room(evict, quota) || hash_mix(name, groups_misses(evict->groups)) % TURNOVER == 0;
}

bool evict_admit(struct evict *evict, const struct evict_block *block)
{
    unsigned group = groups_find(evict->groups, block->group);
    unsigned quota = quotas_find(evict->quotas, block->group);
    uint64_t name = name_of(block->generation, block->block);
    bool barred = quotas_barred(evict->quotas, quota);
    if (block->weight <= EVICT_SLOT / 2) /* it will be packed, which no quota counts */
        quota = 0;
    groups_missed(evict->groups, group, block->weight);
    if (evict_sampled(evict, block->generation, block->block))
        sample_add(&evict->samples, name | 1, NOTE_MISS(quota, group, block->weight));
    return !barred && (!groups_frozen(evict->groups, group) || lets_in(evict, quota, name));
}

bool evict_expects(struct evict *evict, struct hash128 group)
{
    unsigned quota = quotas_find(evict->quotas, group);
    return !quotas_barred(evict->quotas, quota) &&
           (!groups_frozen(evict->groups, groups_find(evict->groups, group)) || has_room(evict, quota));
}

uint32_t evict_most(const struct evict *evict, struct hash128 group)
{
    uint32_t most = evict->capacity;
    for (unsigned quota = quotas_find(evict->quotas, group); quota != 0; quota = quotas_parent(evict->quotas, quota))
        if (quotas_limit(evict->quotas, quota) < most)
            most = quotas_limit(evict->quotas, quota);
    return most;
}

unsigned evict_limit_over(const struct evict *evict, struct hash128 group)
{
    return quotas_limited(evict->quotas, quotas_find(evict->quotas, group));
}

bool evict_barred(const struct evict *evict, struct hash128 group)
{
    return quotas_barred(evict->quotas, quotas_find(evict->quotas, group));
}

void evict_read(struct evict *evict, uint64_t generation, uint64_t block, uint32_t slot)
{
    sample_add(&evict->samples, name_of(generation, block) | 1, NOTE_READ | slot);
}

/* ---- Time passes. ---- */

static uint64_t now(const struct evict *evict)
{
    return groups_misses(evict->groups) + evict->used;
}

/* What a group may hold. */
static struct group_space space_of(const struct evict *evict, unsigned quota)
{
    unsigned limited = quotas_limited(evict->quotas, quota);
    uint32_t open = evict->room > evict->apart ? evict->room - evict->apart : 0;
    uint32_t slots = limited != 0 ? quotas_limit(evict->quotas, limited) : open + quotas_own(evict->quotas, quota);
    slots = slots < 1 ? 1 : slots > evict->room ? evict->room : slots;
    return (struct group_space){(uint64_t) slots * EVICT_SLOT, limited != 0};
}

/* What was sampled since. */
static void learn(struct evict *evict)
{
    uint64_t name, note, distance;
    uint8_t group;
    while (sample_take(&evict->samples, &name, &note)) {
        struct reuse_read read = {.name = name, .weight = EVICT_SLOT};
        bool known_only = false;
        unsigned quota = NOTE_QUOTA(note);
        if (note & NOTE_READ) {
            const struct evict_slot *at = &evict->slots[NOTE_SLOT(note)];
            quota = at->quota;
            read.label = at->group;
            known_only = at->segment || at->place == PLACE_NONE;
        } else {
            read.label = NOTE_GROUP(note);
            read.weight = NOTE_WEIGHT(note);
        }
        struct reuse *reuse = evict->queues[quotas_limited(evict->quotas, quota)].reuse;
        if (reuse_note(reuse, &read, known_only, &distance, &group))
            groups_reused(evict->groups, group, distance << evict->sample_shift, space_of(evict, quota));
    }
}

bool evict_look(struct evict *evict, uint32_t slot)
{
    struct evict_slot *at = &evict->slots[slot];
    bool used = evict->events.used(evict->events.arg, slot);
    at->chances += used && at->chances < CHANCES_MOST;
    if (used)
        at->stamp = evict->tick;
    if (used && !at->segment) {
        evict->used += EVICT_SLOT;
        groups_used(evict->groups, at->group);
        return true;
    }
    uint8_t idle = (uint8_t) (evict->tick - at->stamp);
    if (idle > IDLE_MOST)
        at->stamp = (uint8_t) (evict->tick - IDLE_MOST);
    if (at->segment)
        return used;
    if (at->place != PLACE_DEAD &&
        idle * evict_room_volume(evict) / TICKS_A_ROOM > groups_patience(evict->groups, at->group))
        evict_move(evict, slot, PLACE_DEAD);
    return false;
}

static void look_around(struct evict *evict)
{
    uint64_t missed = groups_misses(evict->groups);
    uint64_t looks = (missed - evict->looked_at) * LOOKS / EVICT_SLOT;
    evict->looked_at += looks * EVICT_SLOT / LOOKS;
    if (looks > LOOKS_MOST)
        looks = LOOKS_MOST;
    for (; looks > 0 && evict->top > 0; looks--) {
        if (++evict->hand >= evict->top)
            evict->hand = 0;
        unsigned place = evict->slots[evict->hand].place;
        if (place == PLACE_SMALL || place == PLACE_MAIN)
            (void) evict_look(evict, evict->hand);
    }
}

/* What the queue's parts are parts of: of a quota's what it holds, of the rest's what those leave it. */
static uint32_t queue_room(const struct evict *evict, unsigned quota)
{
    uint32_t count = evict->queues[quota].count, others = evict->queued - count;
    uint32_t room = quota != 0 ? count : evict->room > others ? evict->room - others : 0;
    return room < 1 ? 1 : room;
}

static uint32_t fresh_most(uint32_t room)
{
    uint32_t least = room / 16 < FRESH_MIN ? room / 16 : FRESH_MIN;
    return room / FRESH_PART > least ? room / FRESH_PART : least;
}

uint32_t evict_small_most(const struct evict *evict, unsigned quota)
{
    uint32_t room = queue_room(evict, quota), most = room / SMALL_PART, least = fresh_most(room) + 1;
    return most > least ? most : least;
}

static void grow_up(struct evict *evict, unsigned quota)
{
    struct evict_queue *queue = &evict->queues[quota];
    const struct evict_list *fresh = &queue->lists[PLACE_FRESH], *small = &queue->lists[PLACE_SMALL];
    while (fresh->count > fresh_most(queue_room(evict, quota))) {
        uint32_t slot = fresh->head;
        (void) evict->events.used(evict->events.arg, slot);
        evict_move(evict, slot, evict->slots[slot].proven ? PLACE_MAIN : PLACE_SMALL);
    }
    /* As long as nobody has to go there is room for all in main. */
    bool full = atomic_load_explicit(&evict->full, memory_order_relaxed) || at_limit(evict, quota);
    while (!full && small->count > evict_small_most(evict, quota))
        evict_move(evict, small->head, PLACE_MAIN);
}

static void pass_time(struct evict *evict)
{
    learn(evict);
    look_around(evict);
    if (now(evict) - evict->ticked_at < evict_room_volume(evict) / TICKS_A_ROOM)
        return;
    evict->ticked_at = now(evict);
    evict->tick++;
    evict->apart = quotas_apart(evict->quotas);
    groups_judge(evict->groups, evict->ticked_at, evict_room_volume(evict));
    metric_add(METRIC_STORE_FROZEN_GROUPS, (int64_t) groups_frozen_count(evict->groups) - (int64_t) evict->frozen);
    evict->frozen = groups_frozen_count(evict->groups);
}

/* ---- Slots come and go. ---- */

void evict_resize(struct evict *evict, uint32_t room)
{
    evict->room = room < 1 ? 1 : room;
    publish(evict);
}

struct evict_whose evict_whose(struct evict *evict, struct hash128 group)
{
    return (struct evict_whose){.quota = (uint16_t) quotas_find(evict->quotas, group),
                                .group = (uint8_t) groups_find(evict->groups, group)};
}

/* A slot that was not queued is, and holds that block. */
static struct evict_slot *enter(struct evict *evict, uint32_t slot, uint64_t generation, uint64_t block,
                                struct evict_whose whose, enum evict_place place)
{
    struct evict_slot *at = &evict->slots[slot];
    *at = (struct evict_slot){.name = (uint32_t) (name_of(generation, block) >> 16),
                              .group = whose.group,
                              .quota = whose.quota & QUOTAS_MAX,
                              .stamp = evict->tick};
    groups_hold(evict->groups, at->group, 1);
    push(evict, slot, place);
    if (slot >= evict->top)
        evict->top = slot + 1;
    return at;
}

void evict_insert(struct evict *evict, uint32_t slot, const struct evict_block *block)
{
    if (evict_queued(evict, slot))
        return;
    struct evict_whose whose = evict_whose(evict, block->group);
    struct evict_slot *at = enter(evict, slot, block->generation, block->block, whose, PLACE_FRESH);
    at->proven = ghosts_take(evict->ghosts, at->name, GHOST_SPAN(evict->room));
    metric_add(METRIC_STORE_GHOST_HITS, at->proven);
    grow_up(evict, at->quota);
    pass_time(evict);
    publish(evict);
}

void evict_found(struct evict *evict, uint32_t slot, uint64_t generation, uint64_t block, struct evict_whose whose)
{
    if (evict_queued(evict, slot))
        return;
    quotas_hold(evict->quotas, whose.quota, 1); /* what is filled was claimed */
    (void) enter(evict, slot, generation, block, whose, PLACE_MAIN);
}

void evict_insert_segment(struct evict *evict, uint32_t slot)
{
    if (evict->slots[slot].place != PLACE_NONE)
        return;
    evict->slots[slot] = (struct evict_slot){.group = GROUP_OTHERS, .segment = true, .stamp = evict->tick};
    push(evict, slot, PLACE_MAIN);
    if (slot >= evict->top)
        evict->top = slot + 1;
}

void evict_remove(struct evict *evict, uint32_t slot)
{
    struct evict_slot *at = &evict->slots[slot];
    if (at->place == PLACE_NONE)
        return;
    if (!at->segment) {
        groups_hold(evict->groups, at->group, -1);
        quotas_hold(evict->quotas, at->quota, -1);
    }
    take(evict, slot);
    publish(evict);
}

void evict_sparse(struct evict *evict, uint32_t slot)
{
    unsigned place = evict->slots[slot].place;
    if (place != PLACE_NONE && place != PLACE_SPARSE)
        evict_move(evict, slot, PLACE_SPARSE);
}

/* What was chosen goes. */
static uint32_t depart(struct evict *evict, uint32_t slot, enum evict_cause cause)
{
    if (slot == EVICT_NONE)
        return EVICT_NONE;
    metric_cell_add(evict->victims[evict->slots[slot].place][cause], 1);
    if (!evict->slots[slot].segment)
        ghosts_add(evict->ghosts, evict->slots[slot].name);
    evict_remove(evict, slot);
    return slot;
}

uint32_t evict_victim(struct evict *evict)
{
    atomic_store_explicit(&evict->full, true, memory_order_relaxed);
    pass_time(evict);
    return depart(evict, evict_choose(evict, 0), CAUSE_SPACE);
}

bool evict_claim(struct evict *evict, struct hash128 group, uint32_t *victim)
{
    unsigned quota = quotas_find(evict->quotas, group), full = quotas_at_limit(evict->quotas, quota);
    *victim = EVICT_NONE;
    if (full == 0) {
        quotas_hold(evict->quotas, quota, 1);
        return true;
    }
    atomic_store_explicit(&evict->queues[full].full, true, memory_order_relaxed);
    *victim = depart(evict, evict_choose(evict, full), CAUSE_LIMIT);
    return false;
}

void evict_disclaim(struct evict *evict, struct hash128 group)
{
    quotas_hold(evict->quotas, quotas_find(evict->quotas, group), -1);
}

bool evict_over(struct evict *evict)
{
    return quotas_over(evict->quotas) != 0;
}

uint32_t evict_surplus(struct evict *evict)
{
    unsigned over = quotas_over(evict->quotas);
    return over == 0 ? EVICT_NONE : depart(evict, evict_choose(evict, over), CAUSE_LIMIT);
}

bool evict_queued(const struct evict *evict, uint32_t slot)
{
    return evict->slots[slot].place != PLACE_NONE;
}
