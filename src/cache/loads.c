/* SPDX-License-Identifier: Apache-2.0 */
/* loads.c: see loads.h. */
#include "cache/loads.h"

#include "base/mem.h"
#include "cache/context.h"

/* Of those who wait, how many one tick looks at. */
#define LOOKS_MAX 64

/* Its letter may come after its reader has gone. */
struct load_job {
    struct store_load load;
    struct cache_loop *home;
    struct load_wish *wish; /* NULL once it has gone */
};

static struct store *store_of(const struct load_wish *wish)
{
    return wish->home->cache->config.store;
}

static uint32_t length_of(const struct load_wish *wish)
{
    return store_block_length(wish->generation->length, wish->home->cache->block_size, wish->block);
}

static void wait_turn(struct load_wish *wish)
{
    struct loads *loads = &wish->home->loads;
    fair_add(&loads->waiting, &wish->turn, wish->client);
    wish->waits = true;
    timer_hasten(&loads->timer, ROOM_RETRY_MS);
}

static void loaded(struct letter *letter)
{
    struct load_job *job = CONTAINER_OF(letter, struct load_job, load.done);
    struct loads *loads = &job->home->loads;
    struct load_wish *wish = job->wish;
    bool busy = job->load.status == STATUS_BUSY; /* the disk is slow, or a fill was faster */
    if (wish != NULL)
        wish->job = NULL;
    if (wish != NULL && busy) {
        if (loads->since_ms == 0 || loads->since_ms > job->load.since_ms)
            loads->since_ms = job->load.since_ms;
        wait_turn(wish);
    } else {
        buf_room_forget(job->home->cache->blocks, &job->load.since_ms);
        if (wish != NULL)
            wish->come(wish, job->load.buf);
        else
            buf_unref(&job->load.buf);
    }
    mem_free(job);
}

/* Besides what those take that have been started and have not got to it. */
static bool has_room(const struct load_wish *wish)
{
    return buf_room_has(wish->home->cache->blocks, store_load_queued(store_of(wish)) + length_of(wish),
                        &wish->home->loads.since_ms);
}

static void start(struct load_wish *wish)
{
    struct loads *loads = &wish->home->loads;
    struct load_job *job = mem_calloc(1, sizeof *job);
    job->home = wish->home;
    job->wish = wish;
    job->load.done.deliver = loaded;
    job->load.loop = wish->home->loop;
    job->load.object = wish->generation->object;
    job->load.generation = wish->generation->id;
    job->load.block = wish->block;
    job->load.length = length_of(wish);
    job->load.since_ms = loads->since_ms;
    loads->since_ms = 0; /* the next begins to wait */
    wish->job = job;
    store_load_block(store_of(wish), &job->load);
}

/* Whether it can be had without room by now: another's load has brought it, or it has gone. */
static bool needs_none(const struct load_wish *wish)
{
    struct iovec piece;
    return store_peek_block(store_of(wish), wish->generation->id, wish->block, 0, 1, false, &piece) != STATUS_AGAIN;
}

static void take_turns(struct timer *timer)
{
    struct cache_loop *home = CONTAINER_OF(timer, struct cache_loop, loads.timer);
    struct loads *loads = &home->loads;
    struct fair_node *next = fair_first(&loads->waiting);
    bool room = true;
    for (unsigned looks = 0; next != NULL && looks < LOOKS_MAX; looks++) {
        struct load_wish *wish = CONTAINER_OF(next, struct load_wish, turn);
        bool ready = needs_none(wish);
        room = room && (ready || has_room(wish));
        next = fair_next(&loads->waiting, next);
        if (!ready && !room)
            continue; /* the next may be ready all the same */
        fair_serve(&loads->waiting, &wish->turn);
        wish->waits = false;
        if (ready)
            list_add_tail(&loads->ready, &wish->turn.link);
        else
            start(wish);
        if (next == NULL)
            next = fair_first(&loads->waiting);
    }
    while (!list_empty(&loads->ready)) { /* whoever is told may take others out */
        struct load_wish *wish = LIST_ENTRY(loads->ready.next, struct load_wish, turn.link);
        list_remove(&wish->turn.link);
        wish->come(wish, NULL);
    }
    if (loads->waiting.waiting > 0)
        timer_hasten(timer, ROOM_RETRY_MS);
    else
        buf_room_forget(home->cache->blocks, &loads->since_ms);
}

void loads_loop_init(struct cache_loop *home)
{
    fair_init(&home->loads.waiting);
    list_init(&home->loads.ready);
    timer_init(&home->loads.timer, home->loop, take_turns);
}

void loads_loop_fini(struct cache_loop *home)
{
    timer_fini(&home->loads.timer);
}

void loads_wish_init(struct load_wish *wish)
{
    list_init(&wish->turn.link);
}

void loads_want(struct load_wish *wish, uint64_t block)
{
    wish->block = block;
    if (wish->home->loads.waiting.waiting == 0 && has_room(wish))
        start(wish);
    else
        wait_turn(wish);
}

bool loads_wanted(const struct load_wish *wish)
{
    return wish->job != NULL || !list_empty(&wish->turn.link);
}

void loads_forget(struct load_wish *wish)
{
    struct loads *loads = &wish->home->loads;
    if (wish->job != NULL)
        wish->job->wish = NULL;
    wish->job = NULL;
    if (!wish->waits)
        list_remove(&wish->turn.link);
    else
        fair_remove(&loads->waiting, &wish->turn);
    wish->waits = false;
    if (loads->waiting.waiting == 0)
        buf_room_forget(wish->home->cache->blocks, &loads->since_ms);
}
