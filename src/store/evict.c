/* SPDX-License-Identifier: Apache-2.0 */
/* evict.c: lists threaded through an array of slots, looks, and the way of a slot through the queues. */
#include "store/evict.h"

#include <stdatomic.h>

#include "base/mem.h"
#include "base/metric.h"
#include "store/ghost.h"
#include "store/group.h"
#include "store/reuse.h"
#include "store/sample.h"
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
/* Second chances a slot may have saved up; and those given in one search: past that the oldest goes, used or not, so
 * that the search stays short. */
#define CHANCES_MOST 3
#define REPRIEVES 128
/* Sparse segments compared in one search. */
#define SPARSE_LOOK 32
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

enum evict_place { PLACE_NONE, PLACE_FRESH, PLACE_SMALL, PLACE_MAIN, PLACE_DEAD, PLACE_SPARSE, PLACES };

static const char *const place_names[PLACES] = {"none", "fresh", "small", "main", "dead", "sparse"};

struct evict_list {
    uint32_t head; /* oldest */
    uint32_t tail;
    uint32_t count;
};

struct evict_slot {
    uint32_t next;
    uint32_t prev;
    uint32_t name;
    unsigned place : 3;
    unsigned chances : 2;
    unsigned proven : 1; /* it was a ghost: from fresh to main */
    unsigned segment : 1;
    unsigned group : 8;
    unsigned stamp : 8; /* when it came or was last found used */
};

struct evict {
    struct evict_events events;
    uint32_t capacity;
    uint32_t room;
    uint32_t top; /* no slot from here on was ever queued */
    struct evict_list lists[PLACES];
    struct evict_slot *slots;
    struct ghosts *ghosts;
    struct groups *groups;
    struct reuse *reuse;
    unsigned sample_shift;
    uint64_t used;      /* volume of looks that found a slot used */
    uint64_t looked_at; /* volume missed when looks were last paid for */
    uint64_t ticked_at;
    uint8_t tick;
    uint32_t hand;    /* of the looks */
    atomic_bool full; /* somebody had to go, and not much has gone otherwise since */
    atomic_uint dead; /* slots in PLACE_DEAD */
    unsigned frozen;  /* groups, as the metric knows */
    struct metric_cell *victims[PLACES];
    struct samples samples;
};

struct evict *evict_new(uint32_t capacity, const struct evict_events *events)
{
    struct evict *evict = mem_calloc(1, sizeof *evict);
    evict->events = *events;
    evict->capacity = evict->room = capacity;
    for (unsigned i = 0; i < PLACES; i++)
        evict->lists[i] = (struct evict_list){EVICT_NONE, EVICT_NONE, 0};
    evict->slots = mem_calloc(capacity, sizeof *evict->slots);
    for (unsigned i = PLACE_FRESH; i < PLACES; i++)
        evict->victims[i] = metric_cell(METRIC_STORE_VICTIMS, place_names[i]);
    evict->ghosts = ghosts_new(GHOSTS(capacity));
    evict->groups = groups_new();
    while (evict->sample_shift < SAMPLE_SHIFT_MAX && capacity >> evict->sample_shift > SAMPLED_SLOTS)
        evict->sample_shift++;
    uint32_t things = capacity >> evict->sample_shift;
    evict->reuse = reuse_new((things < 64 ? 64 : things) * REACH);
    return evict;
}

void evict_free(struct evict *evict)
{
    metric_add(METRIC_STORE_FROZEN_GROUPS, -(int64_t) evict->frozen);
    reuse_free(evict->reuse);
    groups_free(evict->groups);
    ghosts_free(evict->ghosts);
    mem_free(evict->slots);
    mem_free(evict);
}

/* ---- Lists. ---- */

static void push(struct evict *evict, uint32_t slot, enum evict_place place)
{
    struct evict_list *list = &evict->lists[place];
    struct evict_slot *at = &evict->slots[slot];
    at->place = place;
    at->next = EVICT_NONE;
    at->prev = list->tail;
    if (list->tail == EVICT_NONE)
        list->head = slot;
    else
        evict->slots[list->tail].next = slot;
    list->tail = slot;
    list->count++;
}

static void take(struct evict *evict, uint32_t slot)
{
    struct evict_slot *at = &evict->slots[slot];
    struct evict_list *list = &evict->lists[at->place];
    if (at->prev == EVICT_NONE)
        list->head = at->next;
    else
        evict->slots[at->prev].next = at->next;
    if (at->next == EVICT_NONE)
        list->tail = at->prev;
    else
        evict->slots[at->next].prev = at->prev;
    list->count--;
    at->place = PLACE_NONE;
}

static void move(struct evict *evict, uint32_t slot, enum evict_place place)
{
    take(evict, slot);
    push(evict, slot, place);
}

static uint32_t queued(const struct evict *evict)
{
    uint32_t count = 0;
    for (unsigned i = PLACE_FRESH; i < PLACES; i++)
        count += evict->lists[i].count;
    return count;
}

/* What loops go by. */
static void publish(struct evict *evict)
{
    atomic_store_explicit(&evict->dead, evict->lists[PLACE_DEAD].count, memory_order_relaxed);
    if (queued(evict) < evict->room / 16 * 15)
        atomic_store_explicit(&evict->full, false, memory_order_relaxed);
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
#define NOTE_MISS(group, weight) ((uint64_t) (weight) << 8 | (group))
#define NOTE_GROUP(note) ((uint8_t) (note))
#define NOTE_WEIGHT(note) ((uint16_t) ((note) >> 8))
#define NOTE_SLOT(note) ((uint32_t) (note))

bool evict_admit(struct evict *evict, const struct evict_block *block)
{
    unsigned group = groups_find(evict->groups, block->group);
    uint64_t name = name_of(block->generation, block->block);
    groups_missed(evict->groups, group, block->weight);
    if (evict_sampled(evict, block->generation, block->block))
        sample_add(&evict->samples, name | 1, NOTE_MISS(group, block->weight));
    if (!atomic_load_explicit(&evict->full, memory_order_relaxed) || !groups_frozen(evict->groups, group))
        return true;
    return atomic_load_explicit(&evict->dead, memory_order_relaxed) > 0 ||
           hash_mix(name, groups_misses(evict->groups)) % TURNOVER == 0;
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

static uint64_t room_volume(const struct evict *evict)
{
    return (uint64_t) evict->room * EVICT_SLOT;
}

/* What was sampled since. */
static void learn(struct evict *evict)
{
    uint64_t name, note, distance;
    uint8_t group;
    while (sample_take(&evict->samples, &name, &note)) {
        struct reuse_read read = {.name = name, .weight = EVICT_SLOT};
        bool known_only = false;
        if (note & NOTE_READ) {
            const struct evict_slot *at = &evict->slots[NOTE_SLOT(note)];
            read.label = at->group;
            known_only = at->segment || at->place == PLACE_NONE;
        } else {
            read.label = NOTE_GROUP(note);
            read.weight = NOTE_WEIGHT(note);
        }
        if (reuse_note(evict->reuse, &read, known_only, &distance, &group))
            groups_reused(evict->groups, group, distance << evict->sample_shift, room_volume(evict));
    }
}

/* Whether the slot was used since the last look, which is counted; what has gone unused for too long is given up. */
static bool look(struct evict *evict, uint32_t slot)
{
    struct evict_slot *at = &evict->slots[slot];
    bool used = evict->events.used(evict->events.arg, slot);
    at->chances += used && at->chances < CHANCES_MOST;
    if (at->segment)
        return used;
    if (used) {
        at->stamp = evict->tick;
        evict->used += EVICT_SLOT;
        groups_used(evict->groups, at->group);
        return true;
    }
    uint8_t idle = (uint8_t) (evict->tick - at->stamp);
    if (idle > IDLE_MOST)
        at->stamp = (uint8_t) (evict->tick - IDLE_MOST);
    if (at->place != PLACE_DEAD && idle * room_volume(evict) / TICKS_A_ROOM > groups_patience(evict->groups, at->group))
        move(evict, slot, PLACE_DEAD);
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
            look(evict, evict->hand);
    }
}

static uint32_t fresh_most(const struct evict *evict)
{
    uint32_t least = evict->room / 16 < FRESH_MIN ? evict->room / 16 : FRESH_MIN;
    return evict->room / FRESH_PART > least ? evict->room / FRESH_PART : least;
}

/* The fresh among them. */
static uint32_t small_most(const struct evict *evict)
{
    uint32_t most = evict->room / SMALL_PART, least = fresh_most(evict) + 1;
    return most > least ? most : least;
}

static void grow_up(struct evict *evict)
{
    const struct evict_list *fresh = &evict->lists[PLACE_FRESH], *small = &evict->lists[PLACE_SMALL];
    while (fresh->count > fresh_most(evict)) {
        uint32_t slot = fresh->head;
        (void) evict->events.used(evict->events.arg, slot);
        move(evict, slot, evict->slots[slot].proven ? PLACE_MAIN : PLACE_SMALL);
    }
    /* As long as nobody has to go there is room for all in main. */
    while (!atomic_load_explicit(&evict->full, memory_order_relaxed) && small->count > small_most(evict))
        move(evict, small->head, PLACE_MAIN);
}

static void pass_time(struct evict *evict)
{
    learn(evict);
    look_around(evict);
    if (now(evict) - evict->ticked_at < room_volume(evict) / TICKS_A_ROOM)
        return;
    evict->ticked_at = now(evict);
    evict->tick++;
    groups_judge(evict->groups, evict->ticked_at, room_volume(evict));
    metric_add(METRIC_STORE_FROZEN_GROUPS, (int64_t) groups_frozen_count(evict->groups) - (int64_t) evict->frozen);
    evict->frozen = groups_frozen_count(evict->groups);
}

/* ---- Slots come and go. ---- */

void evict_resize(struct evict *evict, uint32_t room)
{
    evict->room = room < 1 ? 1 : room;
    publish(evict);
}

void evict_insert(struct evict *evict, uint32_t slot, const struct evict_block *block, enum evict_origin origin)
{
    struct evict_slot *at = &evict->slots[slot];
    if (at->place != PLACE_NONE)
        return;
    *at = (struct evict_slot){.name = (uint32_t) (name_of(block->generation, block->block) >> 16),
                              .group = (uint8_t) groups_find(evict->groups, block->group),
                              .stamp = evict->tick};
    at->proven = origin == EVICT_FILLED && ghosts_take(evict->ghosts, at->name, GHOST_SPAN(evict->room));
    metric_add(METRIC_STORE_GHOST_HITS, at->proven);
    groups_hold(evict->groups, at->group, 1);
    push(evict, slot, origin == EVICT_FOUND ? PLACE_MAIN : PLACE_FRESH);
    if (slot >= evict->top)
        evict->top = slot + 1;
    grow_up(evict);
    pass_time(evict);
    publish(evict);
}

void evict_insert_segment(struct evict *evict, uint32_t slot)
{
    if (evict->slots[slot].place != PLACE_NONE)
        return;
    evict->slots[slot] = (struct evict_slot){.group = GROUP_OTHERS, .segment = true};
    push(evict, slot, PLACE_MAIN);
    if (slot >= evict->top)
        evict->top = slot + 1;
}

void evict_remove(struct evict *evict, uint32_t slot)
{
    struct evict_slot *at = &evict->slots[slot];
    if (at->place == PLACE_NONE)
        return;
    if (!at->segment)
        groups_hold(evict->groups, at->group, -1);
    take(evict, slot);
    publish(evict);
}

void evict_sparse(struct evict *evict, uint32_t slot)
{
    unsigned place = evict->slots[slot].place;
    if (place != PLACE_NONE && place != PLACE_SPARSE)
        move(evict, slot, PLACE_SPARSE);
}

static uint32_t sparsest(struct evict *evict)
{
    uint32_t best = EVICT_NONE, best_live = UINT32_MAX;
    uint32_t slot = evict->lists[PLACE_SPARSE].head;
    for (unsigned i = 0; i < SPARSE_LOOK && slot != EVICT_NONE; i++, slot = evict->slots[slot].next) {
        uint32_t live = evict->events.live(evict->events.arg, slot);
        if (live < best_live) {
            best = slot;
            best_live = live;
        }
    }
    return best;
}

static uint32_t dead_one(struct evict *evict)
{
    while (evict->lists[PLACE_DEAD].count > 0) {
        uint32_t slot = evict->lists[PLACE_DEAD].head;
        if (!look(evict, slot))
            return slot;
        move(evict, slot, PLACE_MAIN);
    }
    return EVICT_NONE;
}

/* Whether what has come to the end of a queue is to go. */
static bool falls(struct evict *evict, uint32_t slot)
{
    look(evict, slot);
    if (evict->slots[slot].chances == 0 || evict->slots[slot].place == PLACE_DEAD)
        return true;
    evict->slots[slot].chances--;
    move(evict, slot, PLACE_MAIN);
    return false;
}

static uint32_t small_one(struct evict *evict)
{
    const struct evict_list *small = &evict->lists[PLACE_SMALL];
    while (small->count > 0 && small->count + evict->lists[PLACE_FRESH].count > small_most(evict)) {
        uint32_t slot = small->head;
        if (falls(evict, slot))
            return slot;
    }
    return EVICT_NONE;
}

static uint32_t main_one(struct evict *evict)
{
    for (unsigned i = 0; evict->lists[PLACE_MAIN].count > 0; i++) {
        uint32_t slot = evict->lists[PLACE_MAIN].head;
        if (i >= REPRIEVES || falls(evict, slot))
            return slot;
    }
    return EVICT_NONE;
}

/* Nothing is old. */
static uint32_t young_one(struct evict *evict)
{
    uint32_t slot = evict->lists[PLACE_SMALL].head;
    return slot == EVICT_NONE ? evict->lists[PLACE_FRESH].head : slot;
}

uint32_t evict_victim(struct evict *evict)
{
    atomic_store_explicit(&evict->full, true, memory_order_relaxed);
    pass_time(evict);
    uint32_t (*const ways[])(struct evict * evict) = {sparsest, dead_one, small_one, main_one, young_one};
    uint32_t slot = EVICT_NONE;
    for (unsigned i = 0; i < sizeof ways / sizeof *ways && slot == EVICT_NONE; i++)
        slot = ways[i](evict);
    if (slot == EVICT_NONE)
        return EVICT_NONE;
    metric_cell_add(evict->victims[evict->slots[slot].place], 1);
    if (!evict->slots[slot].segment)
        ghosts_add(evict->ghosts, evict->slots[slot].name);
    evict_remove(evict, slot);
    return slot;
}

bool evict_queued(const struct evict *evict, uint32_t slot)
{
    return evict->slots[slot].place != PLACE_NONE;
}
