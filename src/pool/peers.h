/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peers.h: requests to other members, and the connections they go over: HTTP/2 with mutual TLS, a loop's own. A member
 * is spoken to only if its certificate says that it is that one (identity.h); what it answers, or does not, is what
 * reach.h is told.
 *
 * To one member a loop has a connection, and more when that has many calls. One that has had none for a while ends; and
 * where a node has more than `most` to all members, the idle one that was used longest ago, on loops that have more
 * than their share of them. Owning loop unless said.
 */
#ifndef HEADPOND_POOL_PEERS_H
#define HEADPOND_POOL_PEERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "http/h2_client.h"
#include "pool/identity.h"
#include "pool/members.h"

/* Of all loops of a node, which count here. */
struct peers_total {
    atomic_uint loops;
    atomic_uint connections;
};

struct peers_terms {
    struct identity own;
    struct tls *tls; /* a client's, of its own certificate and the pool's CA; only h2 */
    struct members *members;
    int64_t connect_timeout; /* ms, as the others */
    int64_t silence;         /* of a connection that owes something */
    int64_t idle;            /* it ends then */
    unsigned most;           /* connections of the node */
    struct peers_total *total;
};

/* So many are left to a loop, however many loops there are: one to whoever is asked for what is short, and one to whom
 * something long comes from. */
#define PEERS_SHARE_LEAST 2

/* Calls on one connection before another is made to that member, and how many of these there may be; and how many where
 * none takes any more calls, be it that it leaves. */
#define PEERS_CALLS 32
#define PEERS_CONNECTIONS 4
#define PEERS_CONNECTIONS_MOST 16

/* A loop's part: before anything is asked on it, and when no call is left. The terms outlive it. */
void peers_loop_init(const struct peers_terms *terms, struct loop *loop);
void peers_loop_fini(struct loop *loop);

/* A member that the loop has a connection to, or is about to, which one by `chance`, any number; NULL: there is none.
 * It may have gone from the view. */
struct member *peers_linked(struct loop *loop, uint32_t chance);

struct peer_call;

/* As h2_call_start. NULL: nobody knows where it is, or it takes no more. */
struct peer_call *peer_call_start(struct loop *loop, struct member *member, const struct http_request *request,
                                  const struct h2_call_events *events);
/* It was waited for in vain, though its connection lives: that counts as a failure of the member. */
void peer_call_late(struct peer_call *call);
struct source *peer_call_body(struct peer_call *call);
void peer_call_close(struct peer_call **call);

#endif
