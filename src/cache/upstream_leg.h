/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upstream_leg.h: one request of an upstream's (upstream.h): to a member of the pool, by a way, or to the origin. For
 * upstream.c alone; the loop that asks.
 */
#ifndef HEADPOND_CACHE_UPSTREAM_LEG_H
#define HEADPOND_CACHE_UPSTREAM_LEG_H

#include "cache/upstream.h"
#include "net/loop.h"

struct leg;
struct member;

enum leg_answer {
    LEG_ANSWERED, /* the origin's word, be it by a member: `head`; or the origin has not answered: `why` */
    LEG_DECLINED, /* a member has answered, but not with that */
    LEG_SILENT,   /* a member has not */
};

struct leg_terms {
    struct cache *cache;
    struct loop *loop;
    struct asker *asker;
    const struct upstream_ask *ask; /* outlives the leg, as does the asker */
    /* Once, unless it is stopped before. What it is told lives during the call; the leg may be stopped in it. */
    void (*answer)(void *arg, struct leg *leg, const struct http_response *head, enum leg_answer answer,
                   enum status why);
    void *arg;
};

struct leg {
    struct leg_terms terms;
    enum pool_way way;
    struct member *member;  /* a reference; NULL: the origin */
    struct peer_call *call; /* one of these two, while it runs */
    struct origin_fetch *fetch;
    struct timer timer; /* the member's head */
    bool processing;    /* the member has said that it has to ask somebody first */
    int64_t sent_us;    /* clock_mono_us */
    int64_t sent_ms;    /* loop_now_ms */
};

void leg_init(struct leg *leg, struct loop *loop);
void leg_fini(struct leg *leg);

/* A leg that does not run; false: nobody knows where the member is, or it takes no more. The origin is always asked. */
bool leg_start(struct leg *leg, const struct leg_terms *terms, enum pool_way way, struct member *member);
/* Gives up what is under way; it may be started again. */
void leg_stop(struct leg *leg);
static inline bool leg_runs(const struct leg *leg)
{
    return leg->call != NULL || leg->fetch != NULL;
}
/* Of one that was answered. */
struct source *leg_body(struct leg *leg);

#endif
