/* SPDX-License-Identifier: Apache-2.0 */
/* test_store_evict.c: the policy alone, driven by a trace: order, second chances, sparse segments first, bounded looks.
 */
#include "store/evict.h"
#include "tap.h"

enum { SLOTS = 1000 };

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
    return evict_new(SLOTS, &(struct evict_events){trace_used, trace_live, trace});
}

static void test_order(void)
{
    struct trace trace;
    struct evict *evict = start(&trace);
    is_int(evict_victim(evict), EVICT_NONE, "an empty queue has no victim");
    for (uint32_t i = 0; i < 10; i++)
        evict_insert(evict, i);
    trace.used[0] = trace.used[1] = true;
    is_int(evict_victim(evict), 2, "the oldest unused goes first");
    ok(!evict_queued(evict, 2) && evict_queued(evict, 0), "and is off the queue");
    evict_remove(evict, 3);
    evict_remove(evict, 3);
    is_int(evict_victim(evict), 4, "what was removed is passed over");
    for (uint32_t i = 5; i < 10; i++)
        is_int(evict_victim(evict), i, "then in order: %u", i);
    is_int(evict_victim(evict), 0, "those with a second chance come last");
    evict_insert(evict, 1);
    is_int(evict_victim(evict), 1, "inserting what is queued changes nothing");
    is_int(evict_victim(evict), EVICT_NONE, "and the queue is empty");
    evict_free(evict);
}

static void test_bounded(void)
{
    struct trace trace;
    struct evict *evict = start(&trace);
    for (uint32_t i = 0; i < SLOTS; i++) {
        evict_insert(evict, i);
        trace.used[i] = true;
    }
    ok(evict_victim(evict) != EVICT_NONE, "when everything is used there is a victim all the same");
    ok(trace.asked < SLOTS / 2, "found after a bounded look (%u)", trace.asked);
    evict_free(evict);
}

static void test_sparse(void)
{
    struct trace trace;
    struct evict *evict = start(&trace);
    for (uint32_t i = 0; i < 10; i++) {
        evict_insert(evict, i);
        trace.live[i] = 100 - i;
    }
    evict_sparse(evict, 5);
    evict_sparse(evict, 7);
    evict_sparse(evict, 6);
    is_int(evict_victim(evict), 7, "of the sparse segments the one with least to keep goes first");
    is_int(evict_victim(evict), 6, "then the next");
    evict_remove(evict, 5);
    is_int(evict_victim(evict), 0, "then the queue");
    evict_sparse(evict, 0);
    ok(!evict_queued(evict, 0), "a victim does not come back as sparse");
    evict_free(evict);
}

/* A hot set that is touched all the time survives a scan many times the size. */
static void test_scan(void)
{
    struct trace trace;
    struct evict *evict = start(&trace);
    uint32_t next = 0, lost = 0;
    bool held[SLOTS] = {false};
    for (; next < 100; next++) {
        evict_insert(evict, next);
        held[next] = true;
    }
    for (uint32_t i = 0; i < 5000; i++) {
        for (uint32_t hot = 0; hot < 10; hot++)
            trace.used[hot] = held[hot];
        uint32_t victim = evict_victim(evict);
        held[victim] = false;
        lost += victim < 10;
        uint32_t slot = victim < 10 ? victim : 10 + i % (SLOTS - 10);
        while (held[slot])
            slot = slot + 1 < SLOTS ? slot + 1 : 10;
        evict_insert(evict, slot);
        held[slot] = true;
    }
    is_int(lost, 0, "used blocks outlive a scan");
    evict_free(evict);
}

int main(void)
{
    test_order();
    test_bounded();
    test_sparse();
    test_scan();
    return done_testing();
}
