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

/* The first in this region's order that is up, or has been down for long enough to be tried again: whom to ask for that
 * extent. NULL: this node itself, or nobody, so that it has to see to it. Registered threads; the member is good as long
 * as the view, unless it is referenced. */
struct member *pool_home(const struct pool *pool, struct hash128 object, uint64_t extent);
/* The same for who will ask it now: one that is down is tried by one at a time. */
struct member *pool_ask(const struct pool *pool, struct hash128 object, uint64_t extent);

#endif
