/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tells.c: each member that something is to be said to has an outbox on the loop, which is gone when it is empty. A
 * failure is the member's: it stops the outbox for a while, and then one tell at a time tries again.
 */
#include "pool/tells.h"

#include <assert.h>
#include <stdio.h>

#include "base/jitter.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "net/loop.h"
#include "pool/peers.h"
#include "pool/pool.h"

/* To one member at a time: as many as two connections take. */
#define UNDER_WAY (2 * PEERS_CALLS)
/* A member whose connection is good and which does not answer: its disk is slow. */
#define ANSWER_MS 5000
/* After a failure, and after many. */
#define REST_FIRST_MS 250
#define REST_LAST_MS 5000
/* Between two looks whether a member that is down may be tried, with up to as much again by chance. */
#define DOWN_MS 250
#define BUCKETS 256
#define REASON_MAX 24

struct tells {
    struct pool *pool;
    struct loop *loop;
    atomic_uint *told_soon;
    struct list outboxes[BUCKETS]; /* by member */
    struct list waiting[BUCKETS];  /* tells: by what they say, and to whom */
    size_t bytes[2];               /* that tells take: of this region, and of others */
    struct log_crowd untold;
};

/* Several members are told the same. */
struct message {
    unsigned refs;
    enum wire_change changed;
    struct hash128 name;
    size_t length;
    char target[];
};

struct outbox {
    struct list node;
    struct tells *tells;
    struct member *member;
    bool far;
    struct list waiting;   /* tells, the next one first */
    struct list under_way; /* tells */
    unsigned calls;        /* how many the latter are */
    size_t bytes;          /* of all of them */
    unsigned failures;     /* in a row, not counting those during a rest */
    char reason[REASON_MAX];
    struct timer rest; /* set: nothing is said now */
};

struct tell {
    struct list node;    /* its outbox's */
    struct list waiting; /* unless it is under way: the loop's */
    struct outbox *outbox;
    struct message *message;
    int64_t since_ms; /* when it was last new */
    struct peer_call *call;
    struct timer late;
    struct list watches;
};

/* A writer that waits for a tell. */
struct watch {
    struct list by_tell;
    struct list by_wait;
    struct tells_wait *wait;
};

struct tells_wait {
    struct list watches;
    struct timer timer;
    void (*told)(void *arg); /* NULL: it does not want to hear yet, or has heard */
    void *arg;
};

/* ---- Who waits. ---- */

static void wait_look(struct tells_wait *wait)
{
    if (!list_empty(&wait->watches) || wait->told == NULL)
        return;
    void (*told)(void *arg) = wait->told;
    wait->told = NULL;
    timer_clear(&wait->timer);
    told(wait->arg);
}

static struct tells_wait *watch_end(struct watch *watch)
{
    struct tells_wait *wait = watch->wait;
    list_remove(&watch->by_tell);
    list_remove(&watch->by_wait);
    mem_free(watch);
    return wait;
}

static void drop_watches(struct tells_wait *wait)
{
    while (!list_empty(&wait->watches))
        watch_end(LIST_ENTRY(wait->watches.next, struct watch, by_wait));
}

static void on_wait_over(struct timer *timer)
{
    struct tells_wait *wait = CONTAINER_OF(timer, struct tells_wait, timer);
    drop_watches(wait);
    wait_look(wait);
}

struct tells_wait *tells_wait_new(struct tells *tells)
{
    struct tells_wait *wait = mem_calloc(1, sizeof *wait);
    list_init(&wait->watches);
    timer_init(&wait->timer, tells->loop, on_wait_over);
    return wait;
}

bool tells_wait_over(struct tells_wait *wait, void (*told)(void *arg), void *arg)
{
    if (list_empty(&wait->watches))
        return true;
    wait->told = told;
    wait->arg = arg;
    timer_set(&wait->timer, TELLS_WAIT_MS);
    return false;
}

void tells_wait_end(struct tells_wait **ended)
{
    struct tells_wait *wait = *ended;
    *ended = NULL;
    if (wait == NULL)
        return;
    drop_watches(wait);
    timer_fini(&wait->timer);
    mem_free(wait);
}

static void watch_add(struct tell *tell, struct tells_wait *wait)
{
    struct watch *watch = mem_calloc(1, sizeof *watch);
    watch->wait = wait;
    list_add_tail(&tell->watches, &watch->by_tell);
    list_add_tail(&wait->watches, &watch->by_wait);
}

/* Those who wait for it need do so no more. What they do then begins no tell. */
static void release(struct tell *tell)
{
    while (!list_empty(&tell->watches))
        wait_look(watch_end(LIST_ENTRY(tell->watches.next, struct watch, by_tell)));
}

/* ---- What is said. ---- */

static struct message *message_new(const struct tells_news *news)
{
    struct message *message = mem_alloc(sizeof *message + news->target.len);
    message->refs = 1;
    message->changed = news->changed;
    message->name = news->name;
    message->length = news->target.len;
    memcpy(message->target, news->target.ptr, news->target.len);
    return message;
}

static void message_unref(struct message *message)
{
    if (--message->refs == 0)
        mem_free(message);
}

/* What it may take: each counts the text that it may share. */
static size_t cost_of(const struct message *message)
{
    return sizeof(struct tell) + sizeof *message + message->length;
}

static struct list *waiting_bucket(struct tells *tells, const struct member *member, const struct message *message)
{
    uint64_t hash = hash_mix(message->name.lo ^ (uintptr_t) member, message->changed);
    return &tells->waiting[hash % BUCKETS];
}

static struct tell *find_waiting(struct tells *tells, const struct member *member, const struct message *message)
{
    LIST_FOR_EACH(node, waiting_bucket(tells, member, message))
    {
        struct tell *tell = LIST_ENTRY(node, struct tell, waiting);
        if (tell->outbox->member == member && tell->message->changed == message->changed &&
            hash128_eq(tell->message->name, message->name))
            return tell;
    }
    return NULL;
}

/* ---- Outboxes. ---- */

static void on_rested(struct timer *timer);

static bool rests(const struct outbox *outbox)
{
    return outbox->rest.due_ms != TIMER_UNSET;
}

static void set_failures(struct outbox *outbox, unsigned failures)
{
    if (outbox->failures == 0 && failures > 0)
        atomic_fetch_sub(outbox->tells->told_soon, 1);
    if (outbox->failures > 0 && failures == 0)
        atomic_fetch_add(outbox->tells->told_soon, 1);
    outbox->failures = failures;
}

static struct list *outbox_bucket(struct tells *tells, const struct member *member)
{
    return &tells->outboxes[hash_mix((uintptr_t) member, 0) % BUCKETS];
}

static struct outbox *outbox_get(struct tells *tells, struct member *member, bool far)
{
    LIST_FOR_EACH(node, outbox_bucket(tells, member))
    {
        struct outbox *outbox = LIST_ENTRY(node, struct outbox, node);
        if (outbox->member == member)
            return outbox;
    }
    struct outbox *outbox = mem_calloc(1, sizeof *outbox);
    outbox->tells = tells;
    outbox->member = member_ref(member);
    outbox->far = far;
    list_init(&outbox->waiting);
    list_init(&outbox->under_way);
    timer_init(&outbox->rest, tells->loop, on_rested);
    list_add_tail(outbox_bucket(tells, member), &outbox->node);
    atomic_fetch_add(tells->told_soon, 1);
    return outbox;
}

static void outbox_free(struct outbox *outbox)
{
    assert(outbox->bytes == 0);
    set_failures(outbox, 1); /* it counts as told soon no more */
    list_remove(&outbox->node);
    timer_fini(&outbox->rest);
    member_unref(&outbox->member);
    mem_free(outbox);
}

static void count(const char *result)
{
    metric_cell_add(metric_cell(METRIC_POOL_TELLS, result), 1);
}

/* One more that the member will not be told. */
static void leave_untold(struct outbox *outbox, const char *result, const char *reason)
{
    unsigned untold = log_crowd(&outbox->tells->untold, loop_now_ms(outbox->tells->loop));
    count(result);
    if (untold > 0)
        log_event(PEER_UNTOLD,
                  "region=%s node=%s reason=%s writes=%u: what it knows of those it goes on believing as long as "
                  "freshness lets it",
                  outbox->member->region, outbox->member->name, reason, untold);
}

/* ---- Tells. ---- */

/* Behind the others: a member may fail at this one alone. */
static void tell_put(struct tell *tell)
{
    struct outbox *outbox = tell->outbox;
    list_add_tail(&outbox->waiting, &tell->node);
    list_add_tail(waiting_bucket(outbox->tells, outbox->member, tell->message), &tell->waiting);
}

/* NULL: there is no room. */
static struct tell *tell_new(struct outbox *outbox, struct message *message)
{
    struct tells *tells = outbox->tells;
    size_t cost = cost_of(message);
    if (outbox->bytes + cost > TELLS_ROOM / 4 || tells->bytes[outbox->far] + cost > TELLS_ROOM)
        return NULL;
    struct tell *tell = mem_calloc(1, sizeof *tell);
    tell->outbox = outbox;
    tell->message = message;
    message->refs++;
    list_init(&tell->waiting);
    list_init(&tell->watches);
    outbox->bytes += cost;
    tells->bytes[outbox->far] += cost;
    tell_put(tell);
    return tell;
}

/* The call is over, or given up. */
static void tell_hang_up(struct tell *tell)
{
    if (tell->late.event == NULL)
        return;
    timer_fini(&tell->late);
    peer_call_close(&tell->call);
    list_remove(&tell->node);
    tell->outbox->calls--;
}

static void tell_free(struct tell *tell)
{
    struct outbox *outbox = tell->outbox;
    size_t cost = cost_of(tell->message);
    tell_hang_up(tell);
    list_remove(&tell->node);
    list_remove(&tell->waiting);
    outbox->bytes -= cost;
    outbox->tells->bytes[outbox->far] -= cost;
    release(tell);
    message_unref(tell->message);
    mem_free(tell);
}

static void give_up(struct tell *tell)
{
    leave_untold(tell->outbox, "failed", tell->outbox->reason);
    tell_free(tell);
}

/* It has to be said once more; unless the same is to be said anyway. */
static void tell_again(struct tell *tell)
{
    struct outbox *outbox = tell->outbox;
    bool same = find_waiting(outbox->tells, outbox->member, tell->message) != NULL;
    if (!rests(outbox)) {
        timer_set(&outbox->rest, jitter_backoff(outbox->failures, REST_FIRST_MS, REST_LAST_MS));
        set_failures(outbox, outbox->failures + 1);
    }
    if (same) {
        tell_free(tell);
        return;
    }
    tell_hang_up(tell);
    tell_put(tell);
    release(tell);
}

/* How it was answered; with status 0: not. What a member refuses it will refuse again. */
static void settle(struct tell *tell, int status, const char *why)
{
    struct outbox *outbox = tell->outbox;
    snprintf(outbox->reason, sizeof outbox->reason, "%s", why);
    if (status == 204 || (status >= 400 && status < 500))
        set_failures(outbox, 0);
    if (status == 204) {
        count("ok");
        tell_free(tell);
    } else if (status >= 400 && status < 500) {
        give_up(tell);
    } else {
        tell_again(tell);
    }
}

static void pump(struct outbox *outbox);

static void on_head(void *arg, const struct http_response *head, enum status why)
{
    struct tell *tell = arg;
    struct outbox *outbox = tell->outbox;
    char reason[REASON_MAX];
    snprintf(reason, sizeof reason, "http-%d", head == NULL ? 0 : head->status);
    settle(tell, head == NULL ? 0 : head->status, head == NULL ? status_name(why) : reason);
    pump(outbox);
}

static void on_late(struct timer *timer)
{
    on_head(CONTAINER_OF(timer, struct tell, late), NULL, STATUS_FIRST_BYTE_TIMEOUT);
}

static void say(struct tell *tell)
{
    struct outbox *outbox = tell->outbox;
    const struct tells *tells = outbox->tells;
    const struct h2_call_events events = {.head = on_head, .arg = tell};
    const struct wire_request said = {
        .changed = tell->message->changed,
        .view = ring_digest(pool_view(tells->pool)->ring),
    };
    struct arena *arena = arena_new();
    struct http_request request = {
        .method_text = STR("POST"),
        .target = {tell->message->target, tell->message->length},
        .authority = STR(WIRE_AUTHORITY),
        .headers = {.arena = arena},
    };
    wire_write_request(pool_own(tells->pool), &said, &request.headers);
    list_remove(&tell->waiting);
    list_remove(&tell->node);
    list_add_tail(&outbox->under_way, &tell->node);
    outbox->calls++;
    timer_init(&tell->late, tells->loop, on_late);
    timer_set(&tell->late, ANSWER_MS);
    tell->call = peer_call_start(tells->loop, outbox->member, &request, &events);
    arena_free(arena);
    if (tell->call == NULL)
        settle(tell, 0, "no-address");
}

/* Who fails rests between any two tries. */
static void on_rested(struct timer *timer)
{
    struct outbox *outbox = CONTAINER_OF(timer, struct outbox, rest);
    int64_t old_ms = loop_now_ms(outbox->tells->loop) - TELLS_FOR_MS;
    LIST_FOR_EACH_SAFE(node, &outbox->waiting)
    {
        struct tell *tell = LIST_ENTRY(node, struct tell, node);
        if (tell->since_ms <= old_ms)
            give_up(tell);
    }
    pump(outbox);
}

/* Whether the member is believed to answer, or is to be tried now. */
static bool may_say(struct outbox *outbox)
{
    struct reach *reach = &outbox->member->reach;
    int64_t now_ms = loop_now_ms(outbox->tells->loop);
    if (reach_up(reach) || reach_probe_due(reach, now_ms, (uint32_t) jitter_below(UINT16_MAX)))
        return true;
    timer_set(&outbox->rest, DOWN_MS + jitter_below(DOWN_MS));
    if (outbox->failures == 0) {
        snprintf(outbox->reason, sizeof outbox->reason, "down");
        set_failures(outbox, 1);
    }
    return false;
}

/* Says what may be said now. The outbox may be gone then. */
static void pump(struct outbox *outbox)
{
    while (!list_empty(&outbox->waiting) && !rests(outbox) && outbox->calls < (outbox->failures > 0 ? 1 : UNDER_WAY) &&
           may_say(outbox))
        say(LIST_ENTRY(outbox->waiting.next, struct tell, node));
    if (outbox->bytes == 0)
        outbox_free(outbox);
}

/* ---- Whom. ---- */

static void tell_member(struct tells *tells, struct member *member, bool far, struct message *message,
                        struct tells_wait *wait)
{
    if (member->own)
        return;
    struct outbox *outbox = outbox_get(tells, member, far);
    struct tell *tell = find_waiting(tells, member, message);
    if (tell == NULL)
        tell = tell_new(outbox, message);
    if (tell == NULL) {
        leave_untold(outbox, "dropped", "no-room");
    } else {
        tell->since_ms = loop_now_ms(tells->loop);
        if (wait != NULL && outbox->failures == 0 && reach_up(&member->reach))
            watch_add(tell, wait);
    }
    pump(outbox);
}

static void tell_region(struct tells *tells, const struct members_view *view, const struct ring_region *region,
                        struct message *message, struct tells_wait *wait)
{
    bool far = !str_eq(region->name, str_from(pool_own(tells->pool)->region));
    unsigned homes[TELLS_HOMES];
    bool all = message->changed != WIRE_CHANGED_OBJECT;
    unsigned told = all ? region->count : ring_order(region, ring_key(message->name, 0), homes, TELLS_HOMES);
    for (unsigned i = 0; i < told; i++)
        tell_member(tells, members_at(view, &region->nodes[all ? i : homes[i]]), far, message, far ? NULL : wait);
}

void tells_tell(struct tells *tells, const struct tells_news *news, struct tells_wait *wait)
{
    const struct members_view *view = pool_view(tells->pool);
    const struct ring_region *near = ring_region(view->ring, str_from(pool_own(tells->pool)->region)), *regions;
    unsigned region_count = ring_regions(view->ring, &regions);
    struct message *message = message_new(news);
    if (near != NULL)
        tell_region(tells, view, near, message, wait);
    for (unsigned i = 0; i < region_count; i++)
        if (&regions[i] != near)
            tell_region(tells, view, &regions[i], message, NULL);
    message_unref(message);
}

/* ---- A loop's. ---- */

struct tells *tells_new(struct pool *pool, struct loop *loop, atomic_uint *told_soon)
{
    struct tells *tells = mem_calloc(1, sizeof *tells);
    tells->pool = pool;
    tells->loop = loop;
    tells->told_soon = told_soon;
    for (unsigned i = 0; i < BUCKETS; i++) {
        list_init(&tells->outboxes[i]);
        list_init(&tells->waiting[i]);
    }
    return tells;
}

static void outbox_clear(struct outbox *outbox, struct list *list)
{
    while (!list_empty(list)) {
        struct tell *tell = LIST_ENTRY(list->next, struct tell, node);
        leave_untold(outbox, "dropped", status_name(STATUS_SHUTDOWN));
        tell_free(tell);
    }
}

void tells_free(struct tells **freed)
{
    struct tells *tells = *freed;
    *freed = NULL;
    if (tells == NULL)
        return;
    for (unsigned i = 0; i < BUCKETS; i++) {
        LIST_FOR_EACH_SAFE(node, &tells->outboxes[i])
        {
            struct outbox *outbox = LIST_ENTRY(node, struct outbox, node);
            outbox_clear(outbox, &outbox->waiting);
            outbox_clear(outbox, &outbox->under_way);
            outbox_free(outbox);
        }
    }
    mem_free(tells);
}
