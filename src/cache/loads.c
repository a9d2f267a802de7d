/* SPDX-License-Identifier: Apache-2.0 */
/* loads.c: see loads.h. */
#include "cache/loads.h"

#include "base/mem.h"
#include "cache/context.h"

/* Of those who wait for a disk, how many one tick looks at. */
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

/* ---- Who waits. ---- */

static unsigned disk_of(const struct load_wish *wish)
{
    return store_load_disk(store_of(wish), wish->generation->id, wish->block);
}

static void wait_turn(struct load_wish *wish)
{
    struct loads *loads = &wish->home->loads;
    wish->waits = &loads->waiting[disk_of(wish)];
    fair_add(wish->waits, &wish->turn, wish->client);
    loads->count++;
    timer_hasten(&loads->timer, ROOM_RETRY_MS);
}

/* `served`: it has had its turn. */
static void wait_over(struct load_wish *wish, bool served)
{
    if (served)
        fair_serve(wish->waits, &wish->turn);
    else
        fair_remove(wish->waits, &wish->turn);
    wish->waits = NULL;
    wish->home->loads.count--;
}

/* ---- One load. ---- */

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
            wish->come(wish, job->load.buf, true);
        else
            buf_unref(&job->load.buf);
    }
    mem_free(job);
}

/* There would be room for it behind those that its disk is to bring before. Only compared: who asks for room holds up
 * others who want some, and what comes of a disk that hangs is nothing. */
static bool disk_has_room(const struct load_wish *wish)
{
    size_t queued = store_load_queued(store_of(wish), disk_of(wish));
    return queued == 0 || queued + length_of(wish) <= room_left(wish->home->cache);
}

static bool has_room(const struct load_wish *wish)
{
    struct loads *loads = &wish->home->loads;
    loads->refused = !buf_room_has(wish->home->cache->blocks, length_of(wish), &loads->since_ms);
    return !loads->refused;
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

/* Whether it can be had without room by now: another's load has brought what its reader wants next, or it has gone. */
static bool needs_none(const struct load_wish *wish)
{
    struct iovec piece;
    return store_peek_block(store_of(wish), wish->generation->id, wish->block, wish->offset, 1, false, &piece) !=
           STATUS_AGAIN;
}

/* Of one disk. Once there is no room for one, nobody of the loop has any; once the disk has enough to bring, none of
 * its own goes on. */
static void take_turns_of(struct cache_loop *home, unsigned disk)
{
    struct loads *loads = &home->loads;
    struct fair *waiting = &loads->waiting[disk];
    struct fair_node *next = fair_first(waiting);
    bool enough = false;
    for (unsigned looks = 0; next != NULL && looks < LOOKS_MAX; looks++) {
        struct load_wish *wish = CONTAINER_OF(next, struct load_wish, turn);
        bool ready = needs_none(wish);
        enough = enough || (!ready && !disk_has_room(wish));
        next = fair_next(waiting, next);
        if (!ready && (enough || loads->refused || !has_room(wish)))
            continue; /* the next may be ready all the same */
        wait_over(wish, true);
        if (ready)
            list_add_tail(&loads->ready, &wish->turn.link);
        else
            start(wish);
        if (next == NULL)
            next = fair_first(waiting);
    }
}

static void take_turns(struct timer *timer)
{
    struct cache_loop *home = CONTAINER_OF(timer, struct cache_loop, loads.timer);
    struct loads *loads = &home->loads;
    loads->refused = false;
    loads->first = (loads->first + 1) % loads->disks;
    for (unsigned i = 0; i < loads->disks; i++)
        take_turns_of(home, (loads->first + i) % loads->disks);
    while (!list_empty(&loads->ready)) { /* whoever is told may take others out */
        struct load_wish *wish = LIST_ENTRY(loads->ready.next, struct load_wish, turn.link);
        list_remove(&wish->turn.link);
        wish->come(wish, NULL, false);
    }
    if (loads->count > 0)
        timer_hasten(timer, ROOM_RETRY_MS);
    else
        buf_room_forget(home->cache->blocks, &loads->since_ms);
}

/* ---- Life, and readers. ---- */

void loads_loop_init(struct cache_loop *home)
{
    struct loads *loads = &home->loads;
    unsigned disks = store_disks(home->cache->config.store);
    loads->disks = disks > 0 ? disks : 1;
    loads->waiting = mem_calloc(loads->disks, sizeof *loads->waiting);
    for (unsigned i = 0; i < loads->disks; i++)
        fair_init(&loads->waiting[i]);
    list_init(&loads->ready);
    timer_init(&loads->timer, home->loop, take_turns);
}

void loads_loop_fini(struct cache_loop *home)
{
    timer_fini(&home->loads.timer);
    mem_free(home->loads.waiting);
}

void loads_wish_init(struct load_wish *wish)
{
    list_init(&wish->turn.link);
}

void loads_want(struct load_wish *wish, uint64_t block, uint32_t offset)
{
    struct loads *loads = &wish->home->loads;
    wish->block = block;
    wish->offset = offset;
    /* Nobody goes first: who waits for the same disk, or for room. */
    if (loads->waiting[disk_of(wish)].waiting == 0 && (loads->count == 0 || !loads->refused) && disk_has_room(wish) &&
        has_room(wish))
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
    if (wish->waits != NULL)
        wait_over(wish, false);
    else
        list_remove(&wish->turn.link);
    if (loads->count == 0)
        buf_room_forget(wish->home->cache->blocks, &loads->since_ms);
}
