/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe.h: one request that says whether a credential may read a blob and what the blob is now: both in one trip
 * (decision 7). It is sent without If-Match, so that it never answers for a generation that has passed; to the origin,
 * or to the node of the pool where the record is at home (upstream.h).
 *
 * Each holds a handle of libcurl's for as long as the origin likes, and credentials are cheap to make up: an eighth of
 * `memory` is theirs (net/line.h). An opening for who is known to be let in is a fill and has a fill's place instead.
 * Any other question waits here first, whatever is known of the blob, and becomes an opening only where no place need
 * be waited for: how long a stranger waits must not tell whether the blob is in cache.
 *
 * Owner's loop only; an opening's reply comes from the extent's owner by letter.
 */
#ifndef HEADPOND_CACHE_PROBE_H
#define HEADPOND_CACHE_PROBE_H

#include "cache/fill.h"
#include "cache/inquiry.h"

enum probe_kind {
    PROBE_RANGE, /* GET of bytes=0-0; of another node, the record alone */
    PROBE_HEAD,  /* HEAD: also brings what HEAD alone shows */
    PROBE_WHOLE, /* GET without a range: what an empty blob takes */
    PROBE_OPEN,  /* the first fill of an unknown blob: its reply's head is the record */
};

enum probe_outcome {
    PROBE_YES,    /* allowed, and the head of `answer` describes the blob */
    PROBE_NO,     /* `answer` is the origin's word to this credential */
    PROBE_FAILED, /* no answer: `status` */
};

struct probe {
    struct list node; /* inquiry.c's */
    struct list unwanted;
    struct inquiry *inquiry;
    struct list waiters;
    uint64_t number; /* in the order they were sent, per object */

    struct cache *cache;
    struct cache_loop *home;
    struct asker *asker;
    bool granted; /* inquiry.c: it was known to be let in, before the answer */
    enum probe_kind kind;
    uint64_t stamp; /* the epoch it was sent under */
    bool fenced;    /* a write was under way then */
    uint64_t grant_stamp;
    int64_t sent_s;  /* wall clock */
    int64_t sent_ms; /* monotonic */

    struct admission admission;
    enum pool_way way; /* it goes by none that is farther, as fill.h has it */
    struct strbuf pin; /* the one ETag that an opening is for, or empty */
    bool by_peer;      /* the answer is another node's, */
    int64_t age_s;     /* and so old (upstream.h) */
    int64_t grant_age_ms;
    bool validate; /* it may be that who is asked in its place does not know what is known here */
    struct upstream *upstream;
    struct answer_collector *collector;
    struct letter open; /* to the extent's owner */
    struct fill_opening opening;
    uint64_t extent;
    unsigned first;
    unsigned last;

    /* the outcome; inquiry.c gets it through `done`, which owns and frees the probe */
    enum probe_outcome outcome;
    struct answer *answer; /* YES: its head is what counts; NO: all of it */
    struct fill *fill;     /* YES of an opening: to be adopted */
    enum status status;
    void (*done)(struct probe *probe);
};

/* Before the loops start. */
void probes_init(struct cache *cache);
/* True: a question has room, or had it. False: `come` will say. */
bool probe_admit(struct cache_loop *home, struct admission *admission, const struct asker *asker, bool granted,
                 void (*come)(void *arg, enum status why), void *arg);

/* Sends it; takes the admission. A PROBE_OPEN that has none is patient; the query's range says which blocks. `done`
 * comes later, never from inside this call. */
struct probe *probe_start(struct cache_loop *home, struct asker *asker, enum probe_kind kind,
                          struct admission *admission, const struct cache_query *query,
                          void (*done)(struct probe *probe));
/* Whether its yes also covers GET. */
static inline bool probe_covers_get(const struct probe *probe)
{
    return probe->kind != PROBE_HEAD;
}
/* Owner's loop; also while it is under way (but not an opening, whose letter must come back first). */
void probe_free(struct probe *probe);

#endif
