/* SPDX-License-Identifier: Apache-2.0 */
/* answer.c: the counted answer, and the collector that pulls a reply's body into it. */
#include "cache/answer.h"

#include "base/container.h"
#include "base/mem.h"
#include "net/loop.h"
#include "pool/wire.h"

struct answer_collector {
    struct answer_collector **slot;
    struct answer *answer;
    struct upstream *upstream;
    struct source *body;
    struct strbuf bytes;
    struct timer timer;
    void (*done)(void *arg, struct answer *answer, enum status status);
    void *arg;
};

struct answer *answer_new(const struct http_response *head)
{
    struct answer *answer = mem_calloc(1, sizeof *answer);
    atomic_init(&answer->refs, 1);
    answer->arena = arena_new();
    answer->shown.head = *head;
    http_headers_copy(&answer->shown.head.headers, &head->headers, answer->arena);
    http_headers_remove(&answer->shown.head.headers, STR(WIRE_FIELD)); /* is between nodes */
    return answer;
}

struct answer *answer_ref(struct answer *answer)
{
    atomic_fetch_add_explicit(&answer->refs, 1, memory_order_relaxed);
    return answer;
}

void answer_unref(struct answer **answer)
{
    struct answer *gone = *answer;
    *answer = NULL;
    if (gone == NULL || atomic_fetch_sub_explicit(&gone->refs, 1, memory_order_acq_rel) != 1)
        return;
    arena_free(gone->arena);
    mem_free(gone);
}

static void collector_free(struct answer_collector *collector)
{
    upstream_close(&collector->upstream);
    answer_unref(&collector->answer);
    strbuf_free(&collector->bytes);
    timer_fini(&collector->timer);
    mem_free(collector);
}

static void collector_end(struct answer_collector *collector, enum status status)
{
    struct answer *answer = collector->answer;
    void (*done)(void *, struct answer *, enum status) = collector->done;
    void *arg = collector->arg;

    *collector->slot = NULL;
    answer->shown.body = arena_str(answer->arena, strbuf_str(&collector->bytes));
    collector->answer = NULL;
    collector_free(collector);
    done(arg, answer, status);
}

static void collector_pull(void *arg)
{
    struct answer_collector *collector = arg;
    struct source_view view;

    for (;;) {
        switch (source_peek(collector->body, &view, ANSWER_BODY_MAX)) {
        case SOURCE_DATA:
            for (unsigned i = 0; i < view.count; i++)
                strbuf_add(&collector->bytes, view.pieces[i].iov_base, view.pieces[i].iov_len);
            source_consume(collector->body, view.bytes);
            if (collector->bytes.len > ANSWER_BODY_MAX) {
                collector_end(collector, STATUS_TOO_LARGE);
                return;
            }
            break;
        case SOURCE_WAIT:
            return;
        case SOURCE_END:
            collector_end(collector, STATUS_OK);
            return;
        case SOURCE_FAILED:
            collector_end(collector, collector->body->error);
            return;
        }
    }
}

static void collector_late(struct timer *timer)
{
    collector_end(CONTAINER_OF(timer, struct answer_collector, timer), STATUS_STALLED);
}

void answer_collect(struct answer_collector **slot, struct answer **answer, struct upstream **upstream,
                    int64_t patience_ms, void (*done)(void *arg, struct answer *answer, enum status status), void *arg)
{
    struct answer_collector *collector = mem_calloc(1, sizeof *collector);
    collector->slot = slot;
    collector->answer = *answer;
    collector->upstream = *upstream;
    collector->done = done;
    collector->arg = arg;
    *answer = NULL;
    *upstream = NULL;
    *slot = collector;
    timer_init(&collector->timer, loop_current(), collector_late);
    if (upstream_came_by(collector->upstream) != POOL_ORIGIN)
        timer_set(&collector->timer, patience_ms);
    collector->body = upstream_body(collector->upstream);
    source_listen(collector->body, collector_pull, collector);
    collector_pull(collector);
}

void answer_collector_cancel(struct answer_collector **slot)
{
    struct answer_collector *gone = *slot;
    *slot = NULL;
    if (gone != NULL)
        collector_free(gone);
}
