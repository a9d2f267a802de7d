/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reads.c: reads by many sidecars, and what each member has of it: rounds over the data set in fresh order (training), and
 * reads by Zipf. Each region is run by itself, one after another: what they share is which of them have what. A home that
 * has not got an extent asks the region that by its own view asks the origin for it; that one's home asks for itself then.
 *
 * Through members: a sidecar asks any of them, and that the home, or whoever of the first in order it chooses (spread.h);
 * how wide, it has counted itself, or was told when it last asked for it. Directly: a sidecar asks the home, which may
 * send it on to another of the first in order, or for what is everybody's to any member.
 */
#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "world.h"

struct plan {
    const char *name;
    bool direct, zipf, spread;
    bool counts;      /* members go by what they have counted, not by what homes tell */
    bool keeps;       /* sidecars keep what they have read, as many as terms.keeps */
    bool apart;       /* the first region does not know of the last one */
    unsigned regions; /* that are run */
};

#define BELIEFS 4096

/* A region that is read from. */
struct run {
    struct world *world;
    const struct plan *plan;
    bool counts; /* the second half */
    double *served,
        *sent; /* by each member: extents to others of the pool or to sidecars that come directly; and all */
    uint32_t *outstanding; /* of each asker to each member */
    struct spread **tables;
    uint32_t *has;  /* of each extent: which of the first in order */
    uint8_t *kept;  /* by who is not among them: bits, of members by extents */
    uint16_t *told; /* the width that a home last told of an extent */
    struct belief {
        unsigned extent; /* + 1 */
        unsigned width;
    } * beliefs;        /* of each asker: what it was told, by extent modulo BELIEFS */
    unsigned *sidecars; /* what each keeps: extent + 1, by extent modulo terms.keeps */
    struct events ends;
    double now;
    uint64_t reads, hits, local, calls, sent_on, copies;
};

/* Of all regions. */
struct account {
    uint16_t *has;    /* each extent: which regions' homes, by bits */
    double *requests; /* of each region's members, to the origin */
    double *given;    /* by each region's members, to other regions */
    uint64_t far;
};

static size_t home_in(const struct world *world, unsigned region, unsigned extent)
{
    return (size_t) region * world->members + world_home(world, region, extent);
}

/* That region's home gets it from the origin. */
static void fetches(const struct world *world, struct account *account, unsigned region, unsigned extent)
{
    if (account->has[extent] >> region & 1)
        return;
    account->requests[home_in(world, region, extent)]++;
    account->has[extent] |= (uint16_t) (1 << region);
}

/* The home here has not been asked for it by its own region. */
static void gets(struct run *run, struct account *account, unsigned extent)
{
    struct world *world = run->world;
    unsigned region = world->region, origin = world_origin(world, extent, run->plan->apart && region == 0);
    if (account->has[extent] >> region & 1)
        return;
    fetches(world, account, origin, extent);
    if (origin != region) {
        account->far++;
        account->given[home_in(world, origin, extent)]++;
    }
    account->has[extent] |= (uint16_t) (1 << region);
}

static void serves(struct run *run, unsigned node)
{
    run->calls += run->counts;
    run->served[node] += run->counts;
    run->sent[node] += run->counts;
}

/* Whoever is at that place of the order has it, or gets it: the home from the origin, or the region that has it; others
 * from the home. */
static void ensure(struct run *run, struct account *account, unsigned extent, unsigned place)
{
    if ((run->has[extent] & 1) == 0)
        gets(run, account, extent);
    run->has[extent] |= 1;
    if (run->has[extent] >> place & 1)
        return;
    serves(run, world_order(run->world, extent)[0]);
    run->has[extent] |= UINT32_C(1) << place;
    run->copies++;
}

static void begin_call(struct run *run, unsigned asker, unsigned node)
{
    double ms = EXTENT_BYTES / (double) run->world->terms.sidecar_mb / 1e3;
    run->outstanding[asker * run->world->members + node]++;
    events_add(&run->ends,
               (struct event){.at = run->now + world_hit(run->world) + ms / 1e3, .who = asker, .what = node});
}

static void end_calls(struct run *run)
{
    struct event event;
    while (run->ends.count > 0 && run->ends.heap[0].at <= run->now && events_next(&run->ends, &event))
        run->outstanding[event.who * run->world->members + event.what]--;
}

/* It is kept from now on: true if it was. */
static bool keep(struct run *run, unsigned member, unsigned extent)
{
    size_t bit = (size_t) member * run->world->extents + extent;
    bool was = run->kept[bit / 8] >> (bit % 8) & 1;
    run->kept[bit / 8] |= (uint8_t) (1 << (bit % 8));
    run->copies += !was;
    return was;
}

static struct belief *belief_of(struct run *run, unsigned asker, unsigned extent)
{
    struct belief *belief = &run->beliefs[(size_t) asker * BELIEFS + extent % BELIEFS];
    if (belief->extent != extent + 1)
        *belief = (struct belief){extent + 1, 1};
    return belief;
}

static void read_through(struct run *run, struct account *account, unsigned extent)
{
    struct world *world = run->world;
    const struct plan *plan = run->plan;
    const uint16_t *order = world_order(world, extent);
    unsigned asker = world_below(world, world->members), wanted = 1, width = world_width(world);
    if (plan->spread && plan->counts)
        wanted = spread_asked(run->tables[asker], world->keys[extent], world->members);
    else if (plan->spread)
        wanted = belief_of(run, asker, extent)->width;
    width = wanted < width ? wanted : width;
    run->sent[asker] += run->counts;
    for (unsigned i = 0; i < width; i++)
        if (order[i] == asker) {
            ensure(run, account, extent, i);
            run->local += run->counts;
            return;
        }
    if (wanted > width && keep(run, asker, extent)) {
        run->local += run->counts;
        return;
    }
    uint32_t outstanding[SPREAD_MOST];
    for (unsigned i = 0; i < width; i++)
        outstanding[i] = run->outstanding[asker * world->members + order[i]];
    unsigned place = spread_choose(outstanding, width, world_draw(world));
    ensure(run, account, extent, place);
    serves(run, order[place]);
    begin_call(run, asker, order[place]);
    if (plan->spread && !plan->counts)
        belief_of(run, asker, extent)->width = spread_arrived(run->tables[order[place]], world->keys[extent], width);
}

/* Who serves notes it: each for itself, those to which it was sent on, too. */
static void read_directly(struct run *run, struct account *account, unsigned extent)
{
    struct world *world = run->world;
    const uint16_t *order = world_order(world, extent);
    unsigned width = run->told[extent], node = order[0];
    if (width > world_width(world)) {
        node = world_below(world, world->members); /* everybody's */
        width = world->members;
        run->sent_on += run->counts && node != order[0];
        ensure(run, account, extent, 0);
        if (node != order[0] && !keep(run, node, extent))
            serves(run, order[world_below(world, world_width(world))]);
    } else {
        unsigned place = world_below(world, width);
        node = order[place];
        run->sent_on += run->counts && place > 0;
        ensure(run, account, extent, place);
    }
    serves(run, node);
    if (!run->plan->spread || node != order[0])
        return;
    unsigned wanted = spread_arrived(run->tables[node], world->keys[extent], width);
    run->told[extent] = (uint16_t) (wanted < UINT16_MAX ? wanted : UINT16_MAX);
}

/* A sidecar that has it already asks nobody. */
static bool at_hand(struct run *run, unsigned extent)
{
    const struct terms *terms = &run->world->terms;
    if (!run->plan->keeps)
        return false;
    size_t sidecar = world_below(run->world, (unsigned) (terms->sidecars / terms->regions));
    unsigned *slot = &run->sidecars[sidecar * (size_t) terms->keeps + extent % (unsigned) terms->keeps];
    bool has = *slot == extent + 1;
    *slot = extent + 1;
    return has;
}

static void read_all(struct run *run, struct account *account, uint64_t reads)
{
    struct world *world = run->world;
    struct ranks ranks;
    double rate = (double) world->terms.rate * (double) (world->terms.sidecars / world->terms.regions) / 1000;
    ranks_init(&ranks, world, world->extents); /* its extents by rank are a fresh order, too */
    for (uint64_t i = 0; i < reads; i++) {
        run->counts = i >= reads / 2;
        run->now -= log(world_chance(world)) / rate;
        end_calls(run);
        unsigned extent = run->plan->zipf ? ranks_next(&ranks, world) : ranks.of_rank[i % world->extents];
        run->reads += run->counts;
        if (at_hand(run, extent))
            run->hits += run->counts;
        else if (run->plan->direct)
            read_directly(run, account, extent);
        else
            read_through(run, account, extent);
    }
    ranks_fini(&ranks);
}

static void run_begin(struct run *run, struct world *world, const struct plan *plan)
{
    const struct terms *terms = &world->terms;
    unsigned members = world->members;
    *run = (struct run){.world = world, .plan = plan};
    run->served = mem_calloc(members, sizeof *run->served);
    run->sent = mem_calloc(members, sizeof *run->sent);
    run->outstanding = mem_calloc((size_t) members * members, sizeof *run->outstanding);
    run->tables = mem_calloc(members, sizeof(struct spread *));
    for (unsigned i = 0; i < members && plan->spread; i++)
        run->tables[i] = spread_new(plan->counts ? SPREAD_ASKER : SPREAD_HOME, i);
    run->has = mem_calloc(world->extents, sizeof *run->has);
    run->kept = mem_calloc(((size_t) members * world->extents + 7) / 8, 1);
    run->told = mem_calloc(world->extents, sizeof *run->told);
    run->beliefs = mem_calloc((size_t) members * BELIEFS, sizeof *run->beliefs);
    for (unsigned i = 0; i < world->extents; i++)
        run->told[i] = 1;
    run->sidecars = mem_calloc((size_t) (terms->sidecars / terms->regions * terms->keeps), sizeof *run->sidecars);
}

static void run_end(struct run *run)
{
    mem_free(run->served);
    mem_free(run->sent);
    mem_free(run->outstanding);
    for (unsigned i = 0; i < run->world->members; i++)
        spread_free(&run->tables[i]);
    mem_free(run->tables);
    mem_free(run->has);
    mem_free(run->kept);
    mem_free(run->told);
    mem_free(run->beliefs);
    mem_free(run->sidecars);
    events_fini(&run->ends);
}

static void read_by(const struct terms *terms, const struct plan *plan)
{
    struct world world;
    unsigned members = (unsigned) (terms->nodes / terms->regions);
    world_init(&world, terms, members * (unsigned) terms->per_node);
    struct account account = {.has = mem_calloc(world.extents, sizeof *account.has)};
    unsigned all_members = (unsigned) terms->regions * members;
    account.requests = mem_calloc(all_members, sizeof *account.requests);
    account.given = mem_calloc(all_members, sizeof *account.given);
    double served = 0, sent = 0, requests = 0;
    uint64_t reads = 0, hits = 0, local = 0, calls = 0, on = 0, copies = 0, touched = 0;
    for (unsigned region = 0; region < plan->regions; region++) {
        struct run run;
        world_at(&world, region);
        run_begin(&run, &world, plan);
        /* rounds over the data set are whole ones, as many as half of them */
        uint64_t round = 2 * (uint64_t) world.extents, all = (uint64_t) terms->reads * members;
        read_all(&run, &account, plan->zipf ? all : (all / 5 / round + 1) * round);
        served = fmax(served, hottest(run.served, members));
        sent = fmax(sent, hottest(run.sent, members));
        reads += run.reads, hits += run.hits, local += run.local, calls += run.calls, on += run.sent_on;
        copies += run.copies;
        run_end(&run);
    }
    for (unsigned i = 0; i < world.extents; i++)
        touched += account.has[i] != 0;
    for (unsigned i = 0; i < all_members; i++)
        requests += account.requests[i];
    printf("reads how=%s members=%u regions=%u extents=%u reads=%llu at_hand=%.4f local=%.4f calls=%.4f sent_on=%.4f "
           "hottest_served=%.4f hottest_sent=%.4f copies=%.4f origin_requests=%.0f origin=%.4f far=%.4f "
           "hottest_asking=%.4f hottest_giving=%.4f\n",
           plan->name, members, plan->regions, world.extents, (unsigned long long) reads,
           (double) hits / (double) reads, (double) local / (double) reads, (double) calls / (double) reads,
           (double) on / (double) reads, served, sent, (double) copies / world.extents / plan->regions, requests,
           requests / (double) touched, (double) account.far / (double) touched, hottest(account.requests, all_members),
           hottest(account.given, all_members));
    fflush(stdout);
    mem_free(account.has);
    mem_free(account.requests);
    mem_free(account.given);
    world_fini(&world);
}

void scene_rounds(const struct terms *terms)
{
    unsigned regions = (unsigned) terms->regions;
    read_by(terms, &(struct plan){"rounds_through", .spread = true, .regions = regions});
    read_by(terms, &(struct plan){"rounds_direct", .direct = true, .spread = true, .regions = regions});
    read_by(terms, &(struct plan){"rounds_apart", .spread = true, .apart = true, .regions = regions});
}

/* One region: the others are like it. */
void scene_zipf(const struct terms *terms)
{
    static const struct plan plans[] = {
        {"zipf_through_plain", .zipf = true, .regions = 1},
        {"zipf_through_counts", .zipf = true, .spread = true, .counts = true, .regions = 1},
        {"zipf_through", .zipf = true, .spread = true, .regions = 1},
        {"zipf_through_kept", .zipf = true, .spread = true, .keeps = true, .regions = 1},
        {"zipf_direct_plain", .zipf = true, .direct = true, .regions = 1},
        {"zipf_direct", .zipf = true, .direct = true, .spread = true, .regions = 1},
        {"zipf_direct_kept", .zipf = true, .direct = true, .spread = true, .keeps = true, .regions = 1},
    };
    for (unsigned i = 0; i < sizeof plans / sizeof *plans; i++)
        read_by(terms, &plans[i]);
}

/* All members in one region. */
void scene_zipf_one(const struct terms *terms)
{
    struct terms one = *terms;
    one.regions = 1;
    read_by(&one, &(struct plan){"zipf_through", .zipf = true, .spread = true, .regions = 1});
    read_by(&one, &(struct plan){"zipf_direct", .zipf = true, .direct = true, .spread = true, .regions = 1});
}
