/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storm.c: a job starts: all its ranks, a sidecar each, open the same checkpoint within a second, and read it from its
 * beginning, `ahead` extents at a time. Nobody has it.
 *
 * A member sends what it sends one extent after another, each at full rate; a fill of the origin is shared by all who
 * want it, and who comes before it is there gets it as it comes; a copy is passed on when it is whole. A home that finds
 * a crowd (spread_crowd) sends who comes on to one of the first so many of the order, by chance, and remembers nothing;
 * who was sent on is served. Askers remember how wide the object was spread when they last asked. Whoever is among the
 * first of the order copies from the home alone, which always serves it: else two of them might wait for each other.
 */
#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "world.h"

struct way {
    const char *name;
    bool direct; /* each rank asks the home, else the member that it is assigned to */
    bool spread;
};

enum { START, ARRIVE, SEND, DONE };

/* Who asks: a rank, or beyond these a member. */
struct storm {
    struct world *world;
    const struct way *way;
    struct events events;
    unsigned ranks, askers;
    unsigned *next;           /* extent of each rank */
    unsigned *left;           /* extents each rank has not had */
    unsigned *width;          /* that each asker believes in */
    double *receiving;        /* until when each asker's line is busy */
    double *busy;             /* and each member's to send */
    double *sent;             /* bytes of each member */
    double *ready;            /* when a member's copy of an extent is whole; 0: it has none, INFINITY: it has asked */
    uint16_t *under_way;      /* members by extents, as are copies */
    uint16_t *most_under_way; /* of each member */
    uint16_t *all_under_way;
    double origin_busy;
    double *finished;
    uint64_t origin_requests, sent_on, copies;
    unsigned *waiting; /* members by extents: who waits for it there; the number of a waiter, + 1 */
    struct waiter {
        unsigned asker, next;
    } * waiters;
    unsigned waiter_count, waiter_room;
};

static double seconds(int64_t mb)
{
    return EXTENT_BYTES / ((double) mb * 1e6);
}

static double trip(const struct storm *storm)
{
    return (double) storm->world->terms.near_us / 2e6;
}

static void at(struct storm *storm, double when, unsigned kind, unsigned who, unsigned what, unsigned more)
{
    events_add(&storm->events, (struct event){when, kind, who, what, more});
}

static size_t cell(const struct storm *storm, unsigned node, unsigned extent)
{
    return (size_t) node * storm->world->extents + extent;
}

static unsigned place_of(const uint16_t *order, unsigned width, unsigned node)
{
    unsigned place = 0;
    while (place < width && order[place] != node)
        place++;
    return place;
}

/* It is a member that is among the first of the order. */
static bool is_among(struct storm *storm, unsigned asker, const uint16_t *order)
{
    unsigned most = world_width(storm->world);
    return asker >= storm->ranks && place_of(order, most, asker - storm->ranks) < most;
}

/* An asker asks for an extent. */
static void ask(struct storm *storm, unsigned asker, unsigned extent, double now)
{
    const uint16_t *order = world_order(storm->world, extent);
    unsigned width = storm->way->spread && !is_among(storm, asker, order) ? storm->width[asker] : 1;
    at(storm, now + trip(storm), ARRIVE, asker, extent, order[world_below(storm->world, width)]);
}

/* A rank wants its next extent: from the home, or from its member, which asks in its place, once for all. */
static void want(struct storm *storm, unsigned rank, double now)
{
    unsigned extent = storm->next[rank]++;
    if (extent >= storm->world->extents)
        return;
    if (storm->way->direct)
        ask(storm, rank, extent, now);
    else
        at(storm, now + trip(storm), ARRIVE, rank, extent, rank % storm->world->members);
}

/* The member begins to send it to the asker once it has it, or as it comes. */
static void will_send(struct storm *storm, unsigned node, unsigned asker, unsigned extent, double now)
{
    double begins = storm->ready[cell(storm, node, extent)] - seconds(storm->world->terms.node_mb);
    at(storm, begins > now ? begins : now, SEND, asker, extent, node);
}

static void comes_under_way(struct storm *storm, unsigned node, unsigned extent)
{
    storm->under_way[cell(storm, node, extent)]++;
    if (++storm->all_under_way[node] > storm->most_under_way[node])
        storm->most_under_way[node] = storm->all_under_way[node];
}

static void fill_from_origin(struct storm *storm, unsigned node, unsigned extent, double now)
{
    const struct terms *terms = &storm->world->terms;
    double begins = fmax(now + (double) terms->origin_ms / 1e3, storm->origin_busy);
    storm->origin_busy = begins + seconds(terms->origin_mb);
    storm->ready[cell(storm, node, extent)] = begins + seconds(terms->fill_mb);
    storm->origin_requests++;
}

static void wait_here(struct storm *storm, unsigned node, unsigned extent, unsigned asker)
{
    unsigned *first = &storm->waiting[cell(storm, node, extent)];
    if (storm->waiter_count == storm->waiter_room) {
        storm->waiter_room = storm->waiter_room == 0 ? 1024 : 2 * storm->waiter_room;
        storm->waiters = mem_realloc(storm->waiters, storm->waiter_room * sizeof *storm->waiters);
    }
    storm->waiters[storm->waiter_count] = (struct waiter){asker, *first};
    *first = ++storm->waiter_count;
}

/* Somebody who was sent on wants it of a member that has to copy it first. */
static void copy_from(struct storm *storm, unsigned node, unsigned home, unsigned extent, double now)
{
    storm->copies++;
    storm->ready[cell(storm, node, extent)] = INFINITY;
    at(storm, now + trip(storm), ARRIVE, storm->ranks + node, extent, home);
}

/* At a member that is asked as a home: the place in the order that is to serve it; and the asker learns how wide to ask. */
static unsigned place_for(struct storm *storm, unsigned asker, unsigned extent, unsigned node, unsigned place)
{
    unsigned most = world_width(storm->world), width = storm->width[asker] > place ? storm->width[asker] : 1;
    unsigned wanted = spread_crowd(storm->under_way[cell(storm, node, extent)] + 1u, width);
    storm->width[asker] = wanted < most ? wanted : most;
    return place == 0 && wanted > width ? world_below(storm->world, storm->width[asker]) : place;
}

/* It comes to a member. */
static void arrive(struct storm *storm, unsigned asker, unsigned extent, unsigned node, double now)
{
    const uint16_t *order = world_order(storm->world, extent);
    unsigned most = world_width(storm->world), place = place_of(order, most, node);
    bool own_rank = !storm->way->direct && asker < storm->ranks;
    if (storm->way->spread && !own_rank && !is_among(storm, asker, order)) {
        unsigned other = place_for(storm, asker, extent, node, place);
        if (other != place) {
            storm->sent_on++;
            now += 2 * trip(storm);
            node = order[place = other];
        }
    }
    size_t here = cell(storm, node, extent);
    comes_under_way(storm, node, extent);
    if (storm->ready[here] == 0 && place == 0) {
        fill_from_origin(storm, node, extent, now);
    } else if (storm->ready[here] == 0 && !own_rank) {
        copy_from(storm, node, order[0], extent, now);
    } else if (storm->ready[here] == 0) {
        storm->ready[here] = INFINITY;
        ask(storm, storm->ranks + node, extent, now);
    }
    if (storm->ready[here] == INFINITY)
        wait_here(storm, node, extent, asker);
    else
        will_send(storm, node, asker, extent, now);
}

/* The member's line is the next asker's. */
static void send(struct storm *storm, unsigned asker, unsigned extent, unsigned node, double now)
{
    const struct terms *terms = &storm->world->terms;
    double begins = fmax(now, storm->busy[node]), ends = begins + seconds(terms->node_mb);
    storm->busy[node] = ends;
    storm->sent[node] += EXTENT_BYTES;
    double line = seconds(asker < storm->ranks ? terms->sidecar_mb : terms->node_mb);
    storm->receiving[asker] = fmax(storm->receiving[asker], begins) + line;
    at(storm, fmax(ends, storm->receiving[asker]) + trip(storm), DONE, asker, extent, node);
}

static void done(struct storm *storm, unsigned asker, unsigned extent, unsigned node, double now)
{
    storm->under_way[cell(storm, node, extent)]--;
    storm->all_under_way[node]--;
    if (asker < storm->ranks) {
        if (--storm->left[asker] == 0)
            storm->finished[asker] = now;
        want(storm, asker, now);
        return;
    }
    unsigned member = asker - storm->ranks;
    size_t here = cell(storm, member, extent);
    storm->ready[here] = now;
    for (unsigned waits = storm->waiting[here]; waits != 0; waits = storm->waiters[waits - 1].next)
        will_send(storm, member, storm->waiters[waits - 1].asker, extent, now);
    storm->waiting[here] = 0;
}

static void storm_begin(struct storm *storm, struct world *world, const struct way *way)
{
    *storm = (struct storm){.world = world, .way = way, .ranks = (unsigned) world->terms.job};
    storm->askers = storm->ranks + world->members;
    size_t cells = (size_t) world->members * world->extents;
    storm->next = mem_calloc(storm->ranks, sizeof *storm->next);
    storm->left = mem_calloc(storm->ranks, sizeof *storm->left);
    storm->width = mem_calloc(storm->askers, sizeof *storm->width);
    storm->receiving = mem_calloc(storm->askers, sizeof *storm->receiving);
    storm->busy = mem_calloc(world->members, sizeof *storm->busy);
    storm->sent = mem_calloc(world->members, sizeof *storm->sent);
    storm->ready = mem_calloc(cells, sizeof *storm->ready);
    storm->under_way = mem_calloc(cells, sizeof *storm->under_way);
    storm->most_under_way = mem_calloc(world->members, sizeof *storm->most_under_way);
    storm->all_under_way = mem_calloc(world->members, sizeof *storm->all_under_way);
    storm->finished = mem_calloc(storm->ranks, sizeof *storm->finished);
    storm->waiting = mem_calloc(cells, sizeof *storm->waiting);
    for (unsigned i = 0; i < storm->askers; i++)
        storm->width[i] = 1;
    for (unsigned i = 0; i < storm->ranks; i++) {
        storm->left[i] = world->extents;
        at(storm, world_chance(world), START, i, 0, 0);
    }
}

static void storm_end(struct storm *storm)
{
    void *const all[] = {storm->next,    storm->left,           storm->width,        storm->receiving, storm->busy,
                         storm->sent,    storm->ready,          storm->under_way,    storm->finished,  storm->waiting,
                         storm->waiters, storm->most_under_way, storm->all_under_way};
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++)
        mem_free(all[i]);
    events_fini(&storm->events);
}

static void tell(struct storm *storm)
{
    const struct terms *terms = &storm->world->terms;
    unsigned members = storm->world->members;
    double sent = 0, queue = 0, last = 0;
    for (unsigned i = 0; i < members; i++) {
        sent += storm->sent[i];
        queue = fmax(queue, storm->most_under_way[i]);
    }
    for (unsigned i = 0; i < storm->ranks; i++)
        last = fmax(last, storm->finished[i]);
    double wanted = (double) storm->ranks * storm->world->extents * EXTENT_BYTES;
    double by_members = wanted / ((double) members * (double) terms->node_mb * 1e6);
    double by_rank = storm->world->extents * seconds(terms->sidecar_mb);
    double by_origin = storm->world->extents * seconds(terms->origin_mb);
    printf("storm how=%s ranks=%u members=%u extents=%u whole_s=%.2f median_s=%.2f ideal_s=%.2f "
           "origin_requests=%llu hottest_sent=%.3f most_under_way=%.0f sent_on=%.4f copies=%.4f sent=%.4f\n",
           storm->way->name, storm->ranks, members, storm->world->extents, last,
           quantile(storm->finished, storm->ranks, 0.5), fmax(by_members, fmax(by_rank, by_origin)),
           (unsigned long long) storm->origin_requests, hottest(storm->sent, members), queue,
           (double) storm->sent_on / ((double) storm->ranks * storm->world->extents),
           (double) storm->copies / storm->world->extents, sent / wanted);
    fflush(stdout);
}

static void run(const struct terms *terms, const struct way *way)
{
    struct world world;
    struct storm storm;
    struct event event;
    world_init(&world, terms, (unsigned) terms->checkpoint);
    storm_begin(&storm, &world, way);
    while (events_next(&storm.events, &event)) {
        switch (event.kind) {
        case START:
            for (int64_t i = 0; i < terms->ahead; i++)
                want(&storm, event.who, event.at);
            break;
        case ARRIVE:
            arrive(&storm, event.who, event.what, event.more, event.at);
            break;
        case SEND:
            send(&storm, event.who, event.what, event.more, event.at);
            break;
        default:
            done(&storm, event.who, event.what, event.more, event.at);
        }
    }
    tell(&storm);
    storm_end(&storm);
    world_fini(&world);
}

void scene_storm(const struct terms *terms)
{
    static const struct way ways[] = {{"through_plain", false, false},
                                      {"through", false, true},
                                      {"direct_plain", true, false},
                                      {"direct", true, true}};
    for (unsigned i = 0; i < sizeof ways / sizeof *ways; i++)
        run(terms, &ways[i]);
}
