/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_store_evict.c: the way of single slots through the queues: order, second chances, ghosts, what comes before
 * everything else, bounded looks. How well it all does is test_store_policy.c's.
 */
#include "store/evict.h"
#include "tap.h"

enum { SLOTS = 1000, ROOM = 160 };

struct trace {
    bool used[SLOTS];
    uint32_t live[SLOTS];
    unsigned asked;
};

static bool trace_used(void *arg, uint32_t slot)
{
    struct trace *trace = arg;
    bool used = trace->used[slot];
    trace->used[slot] = false;
    trace->asked++;
    return used;
}

static uint32_t trace_live(void *arg, uint32_t slot)
{
    return ((struct trace *) arg)->live[slot];
}

static struct evict *start(struct trace *trace)
{
    memset(trace, 0, sizeof *trace);
    struct evict *evict = evict_new(SLOTS, &(struct evict_events){trace_used, trace_live, trace});
    evict_resize(evict, ROOM);
    return evict;
}

static struct evict_block block_of(uint64_t number)
{
    return (struct evict_block){.generation = number + 1, .group = {1, 1}, .weight = EVICT_SLOT};
}

/* Block `number` was missed, let in and filled. */
static void fill(struct evict *evict, uint32_t slot, uint64_t number)
{
    struct evict_block block = block_of(number);
    if (evict_admit(evict, &block))
        evict_insert(evict, slot, &block);
}

/* Slots 0 … ROOM − 1 hold blocks of those numbers, and something had to go: slot 0. */
static struct evict *start_full(struct trace *trace)
{
    struct evict *evict = start(trace);
    for (uint32_t i = 0; i < ROOM; i++)
        fill(evict, i, i);
    /* The first of main; before it, what is too much in the small queue. */
    for (uint32_t i = 0; i < ROOM && evict_victim(evict) != 0; i++)
        continue;
    return evict;
}

static void test_found(void)
{
    struct trace trace;
    struct evict *evict = start(&trace);
    is_int(evict_victim(evict), EVICT_NONE, "an empty queue has no victim");
    for (uint32_t i = 0; i < 10; i++) {
        struct evict_block block = block_of(i);
        evict_found(evict, i, block.generation, block.block, evict_whose(evict, block.group));
    }
    trace.used[0] = trace.used[1] = true;
    is_int(evict_victim(evict), 2, "of what a start found the oldest unused goes first");
    ok(!evict_queued(evict, 2) && evict_queued(evict, 0), "and is off the queue");
    evict_remove(evict, 3);
    evict_remove(evict, 3);
    is_int(evict_victim(evict), 4, "what was removed is passed over");
    for (uint32_t i = 5; i < 10; i++)
        is_int(evict_victim(evict), i, "then in order: %u", i);
    is_int(evict_victim(evict), 0, "those with a second chance come last");
    fill(evict, 1, 100);
    is_int(evict_victim(evict), 1, "inserting what is queued changes nothing");
    is_int(evict_victim(evict), EVICT_NONE, "and the queue is empty");
    evict_free(evict);
}

/* Fills slot after slot until the block in `slot` was evicted; how many, up to a bound. */
static unsigned outlives(struct evict *evict, struct trace *trace, uint32_t slot, uint64_t number)
{
    bool held[SLOTS];
    uint32_t next = ROOM;
    for (uint32_t i = 0; i < SLOTS; i++)
        held[i] = evict_queued(evict, i);
    for (unsigned i = 0; i < 10 * ROOM; i++) {
        while (held[next])
            next = next + 1 < SLOTS ? next + 1 : 0;
        trace->used[next] = false;
        fill(evict, next, number + i);
        held[next] = true;
        uint32_t victim = evict_victim(evict);
        if (victim == slot)
            return i + 1;
        held[victim] = false;
    }
    return 10 * ROOM;
}

static void test_small(void)
{
    struct trace trace;
    struct evict *evict = start_full(&trace);
    fill(evict, 900, 900);
    unsigned unused = outlives(evict, &trace, 900, 10000);
    ok(unused > 0 && unused <= ROOM / 10, "a block that is not read again goes after few others: %u", unused);
    fill(evict, 901, 901);
    trace.used[901] = true; /* by whoever waited for the fill */
    ok(outlives(evict, &trace, 901, 20000) <= ROOM / 10, "what is read while it is fresh goes as soon");
    evict_free(evict);

    evict = start_full(&trace);
    fill(evict, 902, 902);
    for (uint32_t i = 0; i < 9; i++) /* no longer fresh */
        fill(evict, 910 + i, 910 + i);
    trace.used[902] = true;
    is_int(outlives(evict, &trace, 902, 30000), 10 * ROOM, "one that is read again stays, whatever else comes once");
    evict_free(evict);
}

static void test_ghost(void)
{
    struct trace trace;
    struct evict *evict = start_full(&trace);
    fill(evict, 900, 900);
    (void) outlives(evict, &trace, 900, 10000);
    fill(evict, 900, 900);
    is_int(outlives(evict, &trace, 900, 20000), 10 * ROOM, "a block that comes back soon after it went stays");
    evict_remove(evict, 900);
    fill(evict, 901, 901);
    (void) outlives(evict, &trace, 901, 30000);
    (void) outlives(evict, &trace, SLOTS, 40000);
    fill(evict, 901, 901);
    ok(outlives(evict, &trace, 901, 50000) <= ROOM / 10, "one that comes back late is as good as new");
    evict_free(evict);
}

static void test_bounded(void)
{
    struct trace trace;
    struct evict *evict = start(&trace);
    for (uint32_t i = 0; i < SLOTS; i++) {
        struct evict_block block = block_of(i);
        evict_found(evict, i, block.generation, block.block, evict_whose(evict, block.group));
        trace.used[i] = true;
    }
    trace.asked = 0;
    ok(evict_victim(evict) != EVICT_NONE, "when everything is used there is a victim all the same");
    ok(trace.asked < SLOTS / 2, "found after a bounded look (%u)", trace.asked);
    evict_free(evict);
}

static void test_sparse(void)
{
    struct trace trace;
    struct evict *evict = start(&trace);
    for (uint32_t i = 0; i < 10; i++) {
        evict_insert_segment(evict, i);
        trace.live[i] = 100 - i;
    }
    evict_sparse(evict, 5);
    evict_sparse(evict, 7);
    evict_sparse(evict, 6);
    is_int(evict_victim(evict), 7, "of the sparse segments the one with least to keep goes first");
    is_int(evict_victim(evict), 6, "then the next");
    evict_remove(evict, 5);
    trace.used[0] = true;
    is_int(evict_victim(evict), 1, "then the queue, but none that is being written to");
    evict_sparse(evict, 1);
    ok(!evict_queued(evict, 1), "a victim does not come back as sparse");
    evict_free(evict);
}

static void test_empty(void)
{
    struct trace trace;
    memset(&trace, 0, sizeof trace);
    struct evict *evict = evict_new(0, &(struct evict_events){trace_used, trace_live, &trace});
    struct evict_block block = block_of(1);
    evict_resize(evict, 0);
    ok(evict_admit(evict, &block), "without a slot admission still answers");
    is_int(evict_victim(evict), EVICT_NONE, "and there is no victim");
    evict_free(evict);
}

int main(void)
{
    test_found();
    test_small();
    test_ghost();
    test_bounded();
    test_sparse();
    test_empty();
    return done_testing();
}
