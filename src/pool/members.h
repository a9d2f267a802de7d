/* SPDX-License-Identifier: Apache-2.0 */
/*
 * members.h: who is in the pool, as far as this node knows, and the ring they make.
 *
 * Sources (a list, DNS, Kubernetes) tell who is in a region now. Down is not left (decision 10): who is not told any
 * more keeps its place for MEMBERS_AWAY_MS, so that a source that errs, or a node that is restarted, moves no extents;
 * requests pass it over meanwhile, because it does not answer (reach.h). Who says that it leaves (a drain) goes at once,
 * and does not come back for being told still, but when it has been away and is told anew. This node itself, where it is
 * a member, is always there, of the weight that its region's source tells: all others go by that.
 *
 * What is known at one time is a view: it never changes, and readers find it without a lock (RCU). A member outlives
 * the views that it is in: what is known of how it answers, and the connections to it, hang on it.
 */
#ifndef HEADPOND_POOL_MEMBERS_H
#define HEADPOND_POOL_MEMBERS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <urcu-qsbr.h>

#include "pool/identity.h"
#include "pool/reach.h"
#include "pool/ring.h"

/* Who is told no more is in the ring for so long. */
#define MEMBERS_AWAY_MS (10 * 60 * 1000)
/* Of one member; the first ones count. */
#define MEMBER_ADDRESSES 4
#define MEMBERS_ETAG_MAX 40

struct member_address {
    struct sockaddr_storage address;
    socklen_t length;
};

struct member {
    char region[CONF_LABEL_MAX + 1];
    char name[CONF_LABEL_MAX + 1];
    bool own; /* this node itself */
    struct reach reach;
    atomic_uint nothing;                  /* pool.c's: so often in a row it had nothing of what it was asked for, */
    atomic_int_fast64_t nothing_until_ms; /* and is not to be asked before then (clock_mono_ms) */
    atomic_uint turn; /* which of its addresses is next: whoever could not connect goes on to the next one */

    /* members.c's */
    atomic_uint refs;
    pthread_mutex_t lock; /* over the next two */
    struct member_address addresses[MEMBER_ADDRESSES];
    unsigned address_count;
    uint32_t weight;
    bool told;
    bool leaves;
    int64_t away_ms; /* since when it is not told */
};

/* Of those bytes, 4 of AF_INET or 16 of AF_INET6, in the network's order; any other family's is of length 0. */
struct member_address member_address_of(int family, const void *bytes, uint16_t port);

static inline bool member_address_eq(const struct member_address *a, const struct member_address *b)
{
    return a->length == b->length && memcmp(&a->address, &b->address, a->length) == 0;
}

/* One that a source tells of. */
struct member_told {
    struct str name;
    uint32_t weight;
    struct member_address addresses[MEMBER_ADDRESSES];
    unsigned address_count;
};

/* All of a region. */
struct members_told {
    struct str region;
    struct member_told *members;
    unsigned count;
};

struct members_text;

struct members_view {
    struct ring *ring;
    struct member **members; /* by ring_node.row */
    unsigned count;
    bool told;                           /* a source has told of this node's region */
    _Atomic(struct members_text *) text; /* members_text's */
    struct rcu_head rcu;
};

struct members;

/* `own`: this node, of weight `weight` where it is a member. */
struct members *members_new(const struct identity *own, uint32_t weight);
/* After the loops have been joined. Empties the pointer. */
void members_free(struct members **members);

/* These are in the region now, and no others; a name that is no label, or stands twice, does not count. Any registered
 * thread, as the next three; times are loop_now_ms's. */
void members_tell(struct members *members, struct str region, const struct member_told *told, unsigned count,
                  int64_t now_ms);
/* The same of several regions at once; and in those that are not among them nobody is. */
void members_tell_all(struct members *members, const struct members_told *regions, unsigned count, int64_t now_ms);
/* It says that it leaves. */
void members_leaves(struct members *members, struct str region, struct str name);
/* Time has passed: those that have been away for long go. */
void members_tick(struct members *members, int64_t now_ms);

/* Registered threads; good until their next quiescent state. */
const struct members_view *members_view(const struct members *members);
/* NULL: it is not in the view. */
struct member *members_find(const struct members_view *view, struct str region, struct str name);
static inline struct member *members_at(const struct members_view *view, const struct ring_node *node)
{
    return view->members[node->row];
}

/* The view as other nodes are told of it (ring_text.h), made when somebody asks for it first. */
struct members_text {
    struct str text;             /* NULL: it is more than may be told */
    char etag[MEMBERS_ETAG_MAX]; /* strong: of the text's bytes */
};
/* `pool`: its name. As good as the view. members_text.c's, as the next one. */
const struct members_text *members_text(const struct members_view *view, const char *pool);
/* The view's owner's; *text may be NULL. */
void members_text_free(struct members_text *text);

/* A look for somebody to ask, in a region's order for a key; all of one view: rows of one are not another's. */
struct members_look {
    const struct members_view *view;
    const struct ring_region *region; /* of the view; NULL: nobody is found */
    uint64_t key;
    const struct member *passed; /* passed over, or NULL */
    bool past_own;               /* so is this node */
    bool asks;                   /* whoever is found will be asked now */
    int64_t now_ms;              /* clock_mono_ms */
};

/* The first of the order that is this node itself, is up, or has been down for long enough to be tried again, one by one
 * by those who ask. NULL: none of the first few is. Costs one hash a member. */
struct member *members_first(const struct members_look *look);

struct member *member_ref(struct member *member);
/* Empties the pointer; *member may be NULL. */
void member_unref(struct member **member);
/* Copies where it is: how many there are, 0 when nobody knows. */
unsigned member_addresses(struct member *member, struct member_address addresses[MEMBER_ADDRESSES]);

#endif
