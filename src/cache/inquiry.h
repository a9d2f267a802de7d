/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inquiry.h: what is being asked of the origin about one object right now, on the loop that owns the object.
 *
 * A question (cache_resolve) that the asking loop cannot answer from what is known comes here. It joins a probe that is
 * under way if that probe's outcome will be good for it, else it starts one:
 *
 *   - a probe of the same credential answers everything, its refusal included;
 *   - a probe of another credential answers only what is known of the blob, and only to those who already have a grant
 *     of their own. It is waited for only if it, too, is of one that had a grant when it was sent: whoever makes
 *     credentials up costs a probe each, and keeps nobody from a blob that it names. If it is refused all the same, the
 *     others ask anew: nobody sees another's error.
 *
 * A probe counts for those who came before it or while its answer is fresh enough for them, and for nobody once the
 * epoch it was sent under has passed.
 *
 * A probe needs room in memory (probe.h). A question that finds none waits for it, and is answered meanwhile by what
 * others learn. Who had a grant before goes first: guesses at credentials do not keep readers from their blobs.
 */
#ifndef HEADPOND_CACHE_INQUIRY_H
#define HEADPOND_CACHE_INQUIRY_H

#include "cache/asker.h"
#include "cache/context.h"

struct cache_resolve {
    struct letter letter; /* to the owner, and back */
    struct letter cancel; /* sent after it if it is to be forgotten, and back */
    unsigned letters;     /* that are not back; the asking loop's */
    struct cache *cache;
    struct loop *loop; /* the asking one */
    struct asker *asker;
    struct cache_query query;
    struct strbuf pin; /* query.pinned is of it */
    atomic_bool cancelled;
    void (*done)(void *arg, struct cache_result *result); /* the asking loop's */
    void *arg;

    /* the owner's */
    struct list node;
    struct inquiry *inquiry;
    struct probe *probe;        /* that it waits for, */
    struct admission admission; /* or for room to send one */
    bool answered;
    bool granted;      /* it has a grant of its own and needs the record only */
    unsigned refusals; /* of others' probes that it waited for */
    struct cache_result result;
};

void inquiries_loop_init(struct cache_loop *home);
/* Nothing is asked any more. */
void inquiries_loop_fini(struct cache_loop *home);

/* Owner's loop. Takes the question; its letter comes back with the result. */
void inquiry_ask(struct cache_loop *home, struct cache_resolve *resolve);
/* Owner's loop: nobody wants the answer. */
void inquiry_forget(struct cache_loop *home, struct cache_resolve *resolve);
/* Owner's loop, at its end. */
void inquiry_abort_all(struct cache_loop *home);

#endif
