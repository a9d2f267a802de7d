/* SPDX-License-Identifier: Apache-2.0 */
/*
 * follow.c: one question at a time, and a timer for the next one. What is taken is worked out on the loop: for a pool
 * of two thousand that is ten milliseconds, when somebody has come or gone.
 */
#include "pool/follow.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/container.h"
#include "base/jitter.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "net/loop.h"
#include "pool/discover.h"
#include "pool/peers.h"
#include "pool/ring_text.h"
#include "pool/wire.h"

/* The first question, after members were found. */
#define FIRST_MS 500
/* After a failure, doubled each time up to FOLLOW_MS. */
#define FAILED_FIRST_MS 500
/* A question ends then. */
#define PATIENCE_MS 10000
/* Where members are is looked up again so often at the most, a half more by chance. */
#define LOOK_AGAIN_MS 60000
/* Of so many questions one goes to anybody. */
#define ANYBODY 8

struct follow {
    const struct identity *own;
    struct members *members;
    _Atomic(struct discover *) discover;

    /* any thread's */
    _Atomic(struct loop *) loop;
    struct letter letter;
    atomic_bool posted; /* it is on its way */
    atomic_bool found;
    atomic_bool heard;              /* of another ring than `digest`; */
    _Atomic(uint64_t) heard_digest; /* which one */
    _Atomic(uint64_t) digest;       /* of what was taken last; 0: nothing yet */

    /* the loop's */
    struct timer next;
    struct timer late;
    struct peer_call *call;
    struct member *asked;
    struct strbuf text;              /* of the answer, so far */
    char etag[MEMBERS_ETAG_MAX];     /* of what was taken last, */
    char new_etag[MEMBERS_ETAG_MAX]; /* and of what comes */
    char failed[CONF_LABEL_MAX + 1]; /* who has failed last */
    unsigned failures;               /* in a row */
    bool hurries;                    /* the next question is for what was heard */
    unsigned hurried;                /* so many in a row were */
    unsigned asked_count;
    int64_t look_ms; /* not before */
};

/* ---- What other threads have to say. ---- */

static void post(struct follow *follow)
{
    struct loop *loop = atomic_load(&follow->loop);
    if (loop != NULL && !atomic_exchange(&follow->posted, true))
        loop_post(loop, &follow->letter);
}

void follow_found(void *arg)
{
    struct follow *follow = arg;
    atomic_store(&follow->found, true);
    post(follow);
}

static uint64_t digest_of_last(const struct follow *follow)
{
    return atomic_load_explicit(&follow->digest, memory_order_relaxed);
}

void follow_heard(struct follow *follow, uint64_t view)
{
    uint64_t last = digest_of_last(follow);
    if (view == last || view == 0 || last == 0 || atomic_load_explicit(&follow->heard, memory_order_relaxed))
        return;
    atomic_store_explicit(&follow->heard_digest, view, memory_order_relaxed);
    atomic_store(&follow->heard, true);
    post(follow);
}

/* Soon, if what was heard is still news. */
static void hurry(struct follow *follow)
{
    if (follow->hurries || follow->call != NULL || !atomic_load(&follow->heard))
        return;
    if (atomic_load_explicit(&follow->heard_digest, memory_order_relaxed) == digest_of_last(follow)) {
        atomic_store(&follow->heard, false);
        return;
    }
    follow->hurries = true;
    timer_hasten(&follow->next, jitter_backoff(follow->hurried, FOLLOW_SOON_MS, FOLLOW_MS));
}

static void on_letter(struct letter *letter)
{
    struct follow *follow = CONTAINER_OF(letter, struct follow, letter);
    atomic_store(&follow->posted, false); /* before the two are looked at: who raises one then posts again */
    if (atomic_load(&follow->loop) == NULL)
        return;
    if (atomic_exchange(&follow->found, false)) {
        follow->etag[0] = '\0'; /* all others count as away now, until somebody tells of them again */
        if (digest_of_last(follow) == 0 || follow->failures > 0)
            timer_hasten(&follow->next, jitter_below(FIRST_MS));
    }
    hurry(follow);
}

/* ---- Whom to ask. ---- */

static bool suits(const struct follow *follow, const struct member *member)
{
    return reach_up(&member->reach) && strcmp(member->name, follow->failed) != 0;
}

/* By chance among those of the region that suit, or among all of them. NULL: there are none. */
static struct member *by_chance(const struct follow *follow, const struct members_view *view,
                                const struct ring_region *region, bool suiting)
{
    unsigned count = 0;
    for (unsigned i = 0; i < region->count; i++)
        count += !suiting || suits(follow, members_at(view, &region->nodes[i]));
    int64_t left = count > 0 ? jitter_below(count - 1) : 0;
    for (unsigned i = 0; i < region->count; i++) {
        struct member *member = members_at(view, &region->nodes[i]);
        if ((!suiting || suits(follow, member)) && left-- == 0)
            return member;
    }
    return NULL;
}

static struct member *connected(const struct follow *follow, const struct members_view *view, struct loop *loop)
{
    struct member *linked = peers_linked(loop, (uint32_t) jitter_below(UINT32_MAX));
    bool ours = linked != NULL && strcmp(linked->region, follow->own->region) == 0 && suits(follow, linked);
    return ours && members_find(view, str_from(linked->region), str_from(linked->name)) == linked ? linked : NULL;
}

static struct member *choose(struct follow *follow, struct loop *loop)
{
    const struct members_view *view = members_view(follow->members);
    const struct ring_region *region = ring_region(view->ring, str_from(follow->own->region));
    struct member *member = NULL;
    if (region == NULL)
        return NULL;
    if (follow->asked_count++ % ANYBODY != ANYBODY - 1)
        member = connected(follow, view, loop);
    if (member == NULL)
        member = by_chance(follow, view, region, true);
    return member != NULL ? member : by_chance(follow, view, region, false);
}

static bool all_down(const struct follow *follow)
{
    const struct members_view *view = members_view(follow->members);
    const struct ring_region *region = ring_region(view->ring, str_from(follow->own->region));
    for (unsigned i = 0; region != NULL && i < region->count; i++)
        if (reach_up(&members_at(view, &region->nodes[i])->reach))
            return false;
    return true;
}

/* ---- How it ended. ---- */

static void look_again(struct follow *follow)
{
    struct discover *discover = atomic_load(&follow->discover);
    int64_t now_ms = clock_mono_ms();
    if (discover == NULL || now_ms < follow->look_ms || !all_down(follow))
        return;
    follow->look_ms = now_ms + LOOK_AGAIN_MS + jitter_below(LOOK_AGAIN_MS / 2);
    discover_again(discover);
}

static void tally(const char *result)
{
    metric_cell_add(metric_cell(METRIC_POOL_RINGS, result), 1);
}

static const char *name_of(const struct member *member)
{
    return member == NULL ? "-" : member->name;
}

static void failed(struct follow *follow, enum status why, bool refused)
{
    int64_t pause_ms = jitter_backoff(follow->failures++, FAILED_FIRST_MS, FOLLOW_MS);
    if (refused)
        log_event(RING_REFUSED,
                  "region=%s node=%s reason=%s: what it tells of the pool is not taken, who was known stays so",
                  follow->own->region, name_of(follow->asked), status_name(why));
    else
        log_event(PEERS_UNKNOWN,
                  "region=%s node=%s reason=%s attempt=%u next_ms=%lld: it does not tell who is in the pool; who was "
                  "known stays so",
                  follow->own->region, name_of(follow->asked), status_name(why), follow->failures,
                  (long long) pause_ms);
    tally(refused ? "refused" : "failed");
    snprintf(follow->failed, sizeof follow->failed, "%s", follow->asked == NULL ? "" : follow->asked->name);
    timer_set(&follow->next, pause_ms);
    look_again(follow);
}

static void close_call(struct follow *follow)
{
    peer_call_close(&follow->call);
    member_unref(&follow->asked);
    timer_clear(&follow->late);
    strbuf_free(&follow->text);
}

/* `result`: how a good one is counted. */
static void end(struct follow *follow, enum status why, bool refused, const char *result)
{
    if (why != STATUS_OK) {
        failed(follow, why, refused);
    } else {
        follow->failures = 0;
        follow->failed[0] = '\0';
        tally(result);
        timer_set(&follow->next, FOLLOW_MS + jitter_below(FOLLOW_MS / 10));
    }
    close_call(follow);
    hurry(follow);
}

/* ---- The answer. ---- */

static bool has_region(const struct ring_text *said, const char *region)
{
    for (unsigned i = 0; i < said->count; i++)
        if (str_eq(said->regions[i].region, str_from(region)))
            return true;
    return false;
}

/* A region that is there has members (ring_text.h). */
static enum status take_ring(struct follow *follow)
{
    struct ring_text said;
    enum status status = ring_text_read(strbuf_str(&follow->text), &said);
    if (status == STATUS_OK && !str_eq(said.pool, str_from(follow->own->pool)))
        status = STATUS_DENIED;
    if (status == STATUS_OK && !has_region(&said, follow->own->region))
        status = STATUS_NOT_FOUND;
    if (status == STATUS_OK) {
        members_tell_all(follow->members, said.regions, said.count, clock_mono_ms());
        atomic_store(&follow->digest, said.digest);
        memcpy(follow->etag, follow->new_etag, sizeof follow->etag);
    }
    ring_text_free(&said);
    return status;
}

static void on_body(void *arg)
{
    struct follow *follow = arg;
    struct source *body = peer_call_body(follow->call);
    struct source_view view;
    enum source_state state;
    while ((state = source_peek(body, &view, SIZE_MAX)) == SOURCE_DATA) {
        for (unsigned i = 0; i < view.count; i++)
            strbuf_add(&follow->text, view.pieces[i].iov_base, view.pieces[i].iov_len);
        source_consume(body, view.bytes);
        if (follow->text.len > RING_TEXT_MAX) {
            end(follow, STATUS_TOO_LARGE, true, NULL);
            return;
        }
    }
    if (state == SOURCE_WAIT)
        return;
    enum status why = state == SOURCE_END ? take_ring(follow) : body->error;
    end(follow, why, state == SOURCE_END, "taken");
}

/* A tag that is odd is none: then all of it comes the next time. */
static void keep_etag(struct follow *follow, struct str etag)
{
    bool fits = etag.len < sizeof follow->new_etag;
    *str_put(follow->new_etag, fits ? etag : STR("")) = '\0';
}

static void on_head(void *arg, const struct http_response *head, enum status why)
{
    struct follow *follow = arg;
    if (head == NULL) {
        end(follow, why, false, NULL);
    } else if (head->status == 304 && follow->etag[0] != '\0') {
        end(follow, STATUS_OK, false, "unchanged");
    } else if (head->status != 200) { /* it does not know yet, or is of a version that does not tell */
        end(follow, STATUS_BAD_REPLY, false, NULL);
    } else if (head->content_length > RING_TEXT_MAX) {
        end(follow, STATUS_TOO_LARGE, true, NULL);
    } else {
        keep_etag(follow, http_headers_get(&head->headers, STR("ETag")));
        source_listen(peer_call_body(follow->call), on_body, follow);
        on_body(follow);
    }
}

/* Whatever comes, it comes too slowly. */
static void on_late(struct timer *timer)
{
    end(CONTAINER_OF(timer, struct follow, late), STATUS_STALLED, false, NULL);
}

/* ---- The question. ---- */

static bool start(struct follow *follow, struct loop *loop)
{
    const struct h2_call_events events = {.head = on_head, .arg = follow};
    const struct wire_request said = {.view = ring_digest(members_view(follow->members)->ring)};
    struct arena *arena = arena_new();
    struct http_request request = {
        .method_text = STR("GET"),
        .target = STR(RING_TEXT_PATH),
        .authority = STR(WIRE_AUTHORITY),
        .headers = {.arena = arena},
    };
    wire_write_request(follow->own, &said, &request.headers);
    if (follow->etag[0] != '\0')
        http_headers_add(&request.headers, STR("If-None-Match"), str_from(follow->etag));
    follow->call = peer_call_start(loop, follow->asked, &request, &events);
    arena_free(arena);
    return follow->call != NULL;
}

static void on_next(struct timer *timer)
{
    struct follow *follow = CONTAINER_OF(timer, struct follow, next);
    if (follow->call != NULL)
        return;
    follow->hurried = follow->hurries ? follow->hurried + 1 : 0;
    follow->hurries = false;
    atomic_store(&follow->heard, false);
    struct member *member = choose(follow, timer->loop);
    follow->asked = member == NULL ? NULL : member_ref(member);
    if (member != NULL && start(follow, timer->loop))
        timer_set(&follow->late, PATIENCE_MS);
    else
        end(follow, STATUS_NOT_FOUND, false, NULL);
}

/* ---- Its life. ---- */

struct follow *follow_new(const struct identity *own, struct members *members)
{
    struct follow *follow = mem_calloc(1, sizeof *follow);
    follow->own = own;
    follow->members = members;
    follow->letter.deliver = on_letter;
    return follow;
}

void follow_free(struct follow **freed)
{
    mem_free(*freed);
    *freed = NULL;
}

void follow_start(struct follow *follow, struct discover *discover)
{
    atomic_store(&follow->discover, discover);
}

void follow_loop_init(struct follow *follow, struct loop *loop)
{
    timer_init(&follow->next, loop, on_next);
    timer_init(&follow->late, loop, on_late);
    atomic_store(&follow->loop, loop);
    if (atomic_load(&follow->found))
        post(follow);
}

void follow_loop_fini(struct follow *follow)
{
    atomic_store(&follow->loop, NULL);
    close_call(follow);
    timer_fini(&follow->next);
    timer_fini(&follow->late);
}
