/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.h: this node's part in a pool, as the configuration has it: its identity, whom it knows, how it asks them, and
 * where things are at home. Whoever is not in a pool has none of this, and is at home everywhere.
 */
#ifndef HEADPOND_POOL_POOL_H
#define HEADPOND_POOL_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/conf.h"
#include "base/hash.h"
#include "pool/identity.h"
#include "pool/members.h"

struct loop;
struct pool;
struct tls;

/* Loads the certificate, which must say what the configuration says of this node; the configuration outlives it. Before
 * the loops start. On failure INVALID and a line in *error that says what to do. */
enum status pool_new(const struct conf *conf, struct pool **pool, struct strbuf *error) STATUS_CHECKED;
/* Whether that would do; also where there is no pool. */
enum status pool_try(const struct conf *conf, struct strbuf *error) STATUS_CHECKED;
/* When the loops have been joined. Empties the pointer, which may be NULL. */
void pool_free(struct pool **pool);

/* Looks for members, from now on; and no more. Main's thread. What runs on loops may end later. */
void pool_start(struct pool *pool);
void pool_stop(struct pool *pool);
/* A loop's part: before anything is asked on it, and when no call is left. */
void pool_loop_init(struct pool *pool, struct loop *loop);
void pool_loop_fini(struct pool *pool, struct loop *loop);

const struct identity *pool_own(const struct pool *pool);
/* Whether other members take its word for it that somebody may read a blob (decision 9). */
bool pool_vouches(const struct pool *pool);
/* What the addresses that peers connect to show, and what it checks them by. */
struct tls *pool_server_tls(struct pool *pool);
/* And what this node shows when it connects to them. */
struct tls *pool_client_tls(struct pool *pool);
/* Who is known now; as members_view. */
const struct members_view *pool_view(const struct pool *pool);
/* The view as members tell it to other nodes, as good as that. NULL: this node does not know it yet, or cannot tell. */
const struct members_text *pool_view_text(const struct pool *pool);
/* Somebody has answered by a ring of that digest, 0: it was not said. A sidecar asks for it soon, if it has another.
 * Any thread; cheap. */
void pool_heard_view(const struct pool *pool, uint64_t view);

/* Ways to what this node does not have, the farther the more nodes it may pass. Whoever is asked goes on by a nearer way
 * than the one it was asked by, or by none: so no two nodes wait for each other, whatever each believes of where things
 * are at home. */
enum pool_way {
    POOL_ORIGIN, /* the account: nobody of the pool */
    POOL_FORMER, /* who would be at home here if this node were not, for what it has: before this one came, it was */
    POOL_REGION, /* the home in the region that asks the account for that extent */
    POOL_HOME,   /* the home in this region */
    POOL_ENTRY,  /* a sidecar's member for what is short (entry.h) */
};

/* The way that is to be tried first of those up to `most` (but POOL_ENTRY, and POOL_FORMER unless `former`): to the home,
 * to the former one, to another region, to the origin. And whom to ask: a member that is up, or has been down for
 * long enough to be tried again, one by one by those who `ask`; NULL with POOL_ORIGIN. A client has no way but to a home.
 * Registered threads, as the next ones; the member is good as long as the view, unless it is referenced. */
enum pool_way pool_way(const struct pool *pool, struct hash128 object, uint64_t extent, enum pool_way most, bool former,
                       bool asks, struct member **member);
/* A sidecar's entry, as entry_of for who asks it now; NULL, too, for a member. */
struct member *pool_entry(const struct pool *pool);
/* The first in this region's order that is up, and is neither that one nor this node. `instead`: NULL, too, where this
 * node itself comes before. */
struct member *pool_next(const struct pool *pool, struct hash128 object, uint64_t extent, const struct member *passed,
                         bool instead);
/* Whether this region asks the account for it, as far as this node knows. */
bool pool_is_origin_region(const struct pool *pool, struct hash128 object, uint64_t extent);
/* A member that was asked for what it has had it, or not: it is asked seldom once it has mostly had nothing. */
void pool_had(struct member *member, bool had);

#endif
