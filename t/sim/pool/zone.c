/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zone.c: how long readers wait when all is well, when a member is sick, and when a zone is lost at once: its members answer
 * nothing, and refuse nothing. One region, warm but where said; sidecars ask any member that is there, which
 * asks the home, with the product's deadlines, hedges, budgets and reachability, each asker by itself.
 */
#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "pool/hedge.h"
#include "pool/reach.h"
#include "world.h"

#define WARM_S 60
#define AFTER_S 60
/* As long as a connection that owes something may be silent: SILENCE_MS of src/pool/pool.c. */
#define SILENCE_S 2

struct trouble {
    const char *name;
    bool hedges;
    int64_t fill_ms;  /* a hedge that finds nothing becomes a fill when the call is so old, at the earliest */
    bool lost;        /* a zone, after WARM_S */
    bool sick;        /* member 0: each of its hits takes 100 ms more, from then on */
    bool cold;        /* nobody has anything then */
    bool tells;       /* a member that has to fetch says so at once: that call is not hedged, nor learnt */
    double silence_s; /* a connection that owes a first byte and brings nothing for so long ends */
    bool once;        /* and that it ended is enough to take the member down */
    bool pings;       /* idle connections are tried, too: they end within a second more */
};

/* A read, from its beginning to its first byte. */
struct read {
    double began, asked; /* by its asker; of the member that is asked now */
    double due;          /* that one's first byte; INFINITY: never */
    uint16_t asker, node, place;
    unsigned extent;
    bool fetched, hedged, done;
    unsigned turn; /* of events that are for an earlier member */
};

struct zone {
    struct world *world;
    const struct trouble *trouble;
    struct events events;
    struct hedge_times *members; /* askers by members */
    struct hedge_times *regions; /* of each asker */
    struct hedge_budget *budgets;
    struct reach *reach;
    double *silent; /* askers by members: since when a call waits there and nothing came; 0: none does */
    uint32_t *has;
    struct read *reads;
    unsigned count;
    uint64_t calls, hedges, spent, hedge_fills, failures, refetched, downs;
    bool after;
};

enum { BEGIN, FIRST_BYTE, DEADLINE, SILENCE, PING };

static size_t pair(const struct zone *zone, unsigned asker, unsigned node)
{
    return (size_t) asker * zone->world->members + node;
}

static bool is_lost(const struct zone *zone, unsigned node)
{
    return zone->after && zone->trouble->lost && node % (unsigned) zone->world->terms.zones == 0;
}

static void at(struct zone *zone, double when, unsigned kind, const struct read *read)
{
    events_add(&zone->events, (struct event){when, kind, (unsigned) (read - zone->reads), read->turn, 0});
}

/* When that member's first byte comes, if it is asked now. */
static double answer(struct zone *zone, unsigned node, double now)
{
    if (is_lost(zone, node))
        return INFINITY;
    return now + world_hit(zone->world) + (zone->after && zone->trouble->sick && node == 0 ? 0.1 : 0);
}

static void done(struct read *read, double now)
{
    read->done = true;
    read->due = now;
}

static void ask(struct zone *zone, struct read *read, double now)
{
    const uint16_t *order = world_order(zone->world, read->extent);
    unsigned most = world_width(zone->world);
    while (read->place + 1u < most && order[read->place] != read->asker &&
           !reach_up(&zone->reach[pair(zone, read->asker, order[read->place])]))
        read->place++;
    read->node = order[read->place];
    read->asked = now;
    read->turn++;
    read->fetched = (zone->has[read->extent] >> read->place & 1) == 0;
    bool here = read->node == read->asker;
    read->due = here ? now + world_hit(zone->world) : answer(zone, read->node, now);
    if (read->fetched && read->due < INFINITY) {
        zone->refetched += zone->after;
        zone->has[read->extent] |= UINT32_C(1) << read->place;
        read->due += (double) zone->world->terms.origin_ms / 1e3;
    }
    if (read->due < INFINITY)
        at(zone, read->due, FIRST_BYTE, read);
    if (here)
        return;
    size_t one = pair(zone, read->asker, read->node);
    zone->calls += zone->after;
    hedge_earn(&zone->budgets[read->asker], (int64_t) EXTENT_BYTES);
    if (zone->trouble->hedges && !(read->fetched && read->due < INFINITY && zone->trouble->tells))
        at(zone, now + (double) hedge_deadline_us(&zone->members[one], &zone->regions[read->asker]) / 1e6, DEADLINE,
           read);
    if (read->due == INFINITY) {
        if (zone->silent[one] == 0 || zone->silent[one] + zone->trouble->silence_s <= now)
            zone->silent[one] = now;
        at(zone, zone->silent[one] + zone->trouble->silence_s, SILENCE, read);
    }
}

static void learn(struct zone *zone, const struct read *read, double seconds)
{
    hedge_learn(&zone->members[pair(zone, read->asker, read->node)], (int64_t) (seconds * 1e6));
    hedge_learn(&zone->regions[read->asker], (int64_t) (seconds * 1e6));
}

static void first_byte(struct zone *zone, struct read *read, double now)
{
    if (read->node != read->asker) {
        reach_good(&zone->reach[pair(zone, read->asker, read->node)], (int64_t) (now * 1e3));
        if (!(read->fetched && zone->trouble->tells))
            learn(zone, read, now - read->asked);
    }
    done(read, now);
}

/* The next in order that is up is asked as well, for what it has; when it has nothing, and the home still has not
 * answered, it is to fetch it. */
static void deadline(struct zone *zone, struct read *read, double now)
{
    const uint16_t *order = world_order(zone->world, read->extent);
    unsigned place = read->place + 1u, most = world_width(zone->world);
    while (place < most && order[place] != read->asker &&
           !reach_up(&zone->reach[pair(zone, read->asker, order[place])]))
        place++;
    if (read->hedged || place >= most)
        return;
    if (!hedge_spend(&zone->budgets[read->asker], (int64_t) EXTENT_BYTES)) {
        zone->spent += zone->after;
        return;
    }
    read->hedged = true;
    zone->hedges += zone->after;
    double due = order[place] == read->asker ? now : answer(zone, order[place], now);
    if ((zone->has[read->extent] >> place & 1) == 0 && due < INFINITY) {
        double fill = fmax(due, read->asked + (double) zone->trouble->fill_ms / 1e3);
        if (read->due <= fill)
            return;
        zone->hedge_fills += zone->after;
        zone->has[read->extent] |= UINT32_C(1) << place;
        due = fill + (double) zone->world->terms.origin_ms / 1e3;
    }
    if (due < read->due) {
        learn(zone, read, due - read->asked);
        done(read, due);
    }
}

/* Its connection has ended: it asks whoever comes next. */
static void silence(struct zone *zone, struct read *read, double now)
{
    struct reach *reach = &zone->reach[pair(zone, read->asker, read->node)];
    zone->failures++;
    for (unsigned i = 0; i < (zone->trouble->once ? REACH_FAILURES : 1); i++)
        zone->downs += reach_failed(reach, (int64_t) (now * 1e3));
    if (read->done)
        return;
    if (reach_up(reach)) /* tried again elsewhere, this once */
        read->place++;
    ask(zone, read, now);
}

/* The trouble begins. */
static void begin(struct zone *zone, double now)
{
    unsigned members = zone->world->members;
    for (unsigned i = 0; zone->trouble->cold && i < zone->world->extents; i++)
        zone->has[i] = 0;
    for (unsigned i = 0; zone->trouble->pings && i < members * members; i++)
        if (is_lost(zone, i % members) && !is_lost(zone, i / members))
            events_add(&zone->events, (struct event){.at = now + zone->trouble->silence_s + world_chance(zone->world),
                                                     .kind = PING,
                                                     .more = i});
}

static void ping(struct zone *zone, unsigned pair_of, double now)
{
    for (unsigned i = 0; i < REACH_FAILURES; i++)
        zone->downs += reach_failed(&zone->reach[pair_of], (int64_t) (now * 1e3));
}

static void run(struct zone *zone, double rate)
{
    struct event event;
    double now = 0;
    unsigned extent = 0;
    events_add(&zone->events, (struct event){.kind = BEGIN});
    while (events_next(&zone->events, &event)) {
        struct read *read = &zone->reads[event.who];
        now = event.at;
        if (event.kind == BEGIN) {
            if (!zone->after && now >= WARM_S) {
                zone->after = true;
                begin(zone, now);
            }
            read = &zone->reads[zone->count++];
            *read = (struct read){.began = now, .extent = extent++ % zone->world->extents};
            do
                read->asker = (uint16_t) world_below(zone->world, zone->world->members);
            while (is_lost(zone, read->asker));
            ask(zone, read, now);
            double next = now - log(world_chance(zone->world)) / rate;
            if (next < WARM_S + AFTER_S)
                events_add(&zone->events, (struct event){.at = next, .kind = BEGIN});
        } else if (event.kind == PING) {
            ping(zone, event.more, now);
        } else if (event.kind == SILENCE && event.what == read->turn) {
            silence(zone, read, now);
        } else if (!read->done && event.what == read->turn) {
            if (event.kind == FIRST_BYTE)
                first_byte(zone, read, now);
            else if (event.kind == DEADLINE)
                deadline(zone, read, now);
        }
    }
}

/* For each second from two before it on: the part of its reads that took longer than 50 ms. */
static void tell_seconds(const struct zone *zone)
{
    printf("seconds how=%s late=", zone->trouble->name);
    for (unsigned second = WARM_S - 2; second < WARM_S + AFTER_S; second++) {
        unsigned all = 0, late = 0;
        for (unsigned i = 0; i < zone->count; i++)
            if ((unsigned) zone->reads[i].began == second) {
                all++;
                late += zone->reads[i].due - zone->reads[i].began > 0.05;
            }
        printf("%s%.5f", second == WARM_S - 2 ? "" : ",", all > 0 ? (double) late / all : 0);
    }
    printf("\n");
}

static void tell(struct zone *zone)
{
    const struct terms *terms = &zone->world->terms;
    double *took = mem_calloc(zone->count, sizeof *took), last = 0, held = 0, sum = 0;
    double calls = (double) zone->calls;
    unsigned count = 0, late = 0;
    for (unsigned i = 0; i < zone->count; i++) {
        const struct read *read = &zone->reads[i];
        if (read->began < WARM_S)
            continue;
        took[count++] = read->due - read->began;
        sum += read->due - read->began;
        late += read->due - read->began > 0.05;
        if (read->due - read->began > 0.05)
            last = read->began - WARM_S;
    }
    for (unsigned i = 0; i < zone->world->extents; i++)
        held += world_order(zone->world, i)[0] % (unsigned) terms->zones == 0;
    printf(
        "zone how=%s members=%u reads=%u hedges=%.5f fills=%.5f unaffordable=%.5f failures=%llu downs=%llu p50_ms=%.2f "
        "p99_ms=%.2f "
        "p999_ms=%.2f most_ms=%.0f mean_ms=%.2f late=%.5f last_late_s=%.1f refetched=%.4f\n",
        zone->trouble->name, zone->world->members, count, (double) zone->hedges / calls,
        (double) zone->hedge_fills / calls, (double) zone->spent / calls, (unsigned long long) zone->failures,
        (unsigned long long) zone->downs, quantile(took, count, 0.5) * 1e3, quantile(took, count, 0.99) * 1e3,
        quantile(took, count, 0.999) * 1e3, quantile(took, count, 1) * 1e3, sum / count * 1e3, (double) late / count,
        last, zone->trouble->lost ? (double) (zone->refetched + zone->hedge_fills) / held : 0);
    mem_free(took);
    if (zone->trouble->lost)
        tell_seconds(zone);
    fflush(stdout);
}

static void suffer(const struct terms *terms, const struct trouble *trouble)
{
    struct world world;
    unsigned members = (unsigned) (terms->nodes / terms->regions);
    double rate = (double) terms->rate * (double) (terms->sidecars / terms->regions) / 1000;
    world_init(&world, terms, members * (unsigned) terms->per_node);
    struct zone zone = {.world = &world, .trouble = trouble};
    size_t pairs = (size_t) members * members;
    zone.members = mem_calloc(pairs, sizeof *zone.members);
    zone.regions = mem_calloc(members, sizeof *zone.regions);
    zone.budgets = mem_calloc(members, sizeof *zone.budgets);
    zone.reach = mem_calloc(pairs, sizeof *zone.reach);
    zone.silent = mem_calloc(pairs, sizeof *zone.silent);
    zone.has = mem_calloc(world.extents, sizeof *zone.has);
    zone.reads = mem_calloc((size_t) (rate * (WARM_S + AFTER_S) * 1.2) + 100, sizeof *zone.reads);
    for (size_t i = 0; i < pairs; i++)
        reach_init(&zone.reach[i]);
    for (unsigned i = 0; i < members; i++)
        hedge_budget_init(&zone.budgets[i]);
    for (unsigned i = 0; i < world.extents; i++)
        zone.has[i] = 1;
    run(&zone, rate);
    tell(&zone);
    for (size_t i = 0; i < pairs; i++)
        reach_fini(&zone.reach[i]);
    void *const all[] = {zone.members, zone.regions, zone.budgets, zone.reach, zone.silent, zone.has, zone.reads};
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++)
        mem_free(all[i]);
    events_fini(&zone.events);
    world_fini(&world);
}

void scene_zone(const struct terms *terms)
{
    static const struct trouble troubles[] = {
        {.name = "well_unhedged", .tells = true, .silence_s = SILENCE_S},
        {.name = "well", .hedges = true, .tells = true, .silence_s = SILENCE_S},
        {.name = "well_patient", .hedges = true, .fill_ms = 30, .tells = true, .silence_s = SILENCE_S},
        {.name = "sick_unhedged", .sick = true, .tells = true, .silence_s = SILENCE_S},
        {.name = "sick", .hedges = true, .sick = true, .tells = true, .silence_s = SILENCE_S},
        {.name = "sick_patient", .hedges = true, .fill_ms = 30, .sick = true, .tells = true, .silence_s = SILENCE_S},
        {.name = "cold_untold", .hedges = true, .cold = true, .silence_s = SILENCE_S},
        {.name = "cold", .hedges = true, .cold = true, .tells = true, .silence_s = SILENCE_S},
        {.name = "lost_2s", .hedges = true, .lost = true, .tells = true, .silence_s = SILENCE_S},
        {.name = "lost_2s_once", .hedges = true, .lost = true, .tells = true, .silence_s = SILENCE_S, .once = true},
        {.name = "lost_250ms", .hedges = true, .lost = true, .tells = true, .silence_s = 0.25},
        {.name = "lost_250ms_once", .hedges = true, .lost = true, .tells = true, .silence_s = 0.25, .once = true},
        {.name = "lost_pings",
         .hedges = true,
         .lost = true,
         .tells = true,
         .silence_s = 0.25,
         .once = true,
         .pings = true},
    };
    for (unsigned i = 0; i < sizeof troubles / sizeof *troubles; i++)
        suffer(terms, &troubles[i]);
}
