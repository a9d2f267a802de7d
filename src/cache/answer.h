/* SPDX-License-Identifier: Apache-2.0 */
/*
 * answer.h: an origin's reply, or a member's of the pool in its stead, collected whole, so that it can cross loops: a
 * refusal, an error, or a probe's one byte.
 *
 * Collecting runs on the loop of the request; the finished answer is immutable and counted, any thread.
 */
#ifndef HEADPOND_CACHE_ANSWER_H
#define HEADPOND_CACHE_ANSWER_H

#include <stdatomic.h>

#include "cache/upstream.h"

/* Enough for any error Azure sends; a longer body is not collected. */
#define ANSWER_BODY_MAX 65536

struct answer {
    struct cache_answer shown; /* what the face shows; first, so that one is the other */
    atomic_uint refs;
    struct arena *arena;
};

/* A copy of the head with one reference and no body yet. */
struct answer *answer_new(const struct http_response *head);
struct answer *answer_ref(struct answer *answer);
/* Empties the pointer; *answer may be NULL. */
void answer_unref(struct answer **answer);

/*
 * Collects the body behind a head that has come, then closes the request. Takes that and the caller's reference, and
 * gives the reference back through `done`, which is called once, maybe before this returns; `status` is OK, TOO_LARGE,
 * or why the body broke off. *slot points at the collector while it works and is NULL from right before `done`, so that
 * the caller always knows whether there is something to cancel. `patience_ms`: how long another node's may take.
 */
struct answer_collector;
void answer_collect(struct answer_collector **slot, struct answer **answer, struct upstream **upstream,
                    int64_t patience_ms, void (*done)(void *arg, struct answer *answer, enum status status), void *arg);
/* No callback follows. *slot may be NULL. */
void answer_collector_cancel(struct answer_collector **slot);

#endif
