/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer_serve.h: other nodes of the pool as clients, at the address that is theirs (pool.address). Who they are is in
 * their certificates (identity.h), and what that lets them say (decision 9): a member's word that somebody may read is
 * good, a client's is not. They read: what is not for the cache they ask the origin for themselves. A member of another
 * region brings no credential of its client's, and reads bytes of one generation at a time. Besides blobs any node, of
 * whatever region, is told who is in the pool (pool/ring_text.h).
 *
 * And a member, of whatever region, tells of a write that it has done (pool/tells.h): what the end of a write does to what
 * is known here is done, with nothing sent on to anybody, the origin or a third node. What that costs is bounded as it is
 * for writes of clients: the index thread writes tombstones of many at once, and marks of containers once for all. A loop
 * has FORGETS_MOST under way, and who comes then is to come again. A member that tells without end has all be validated
 * without end; it could as well vouch for anybody.
 *
 * A loop's own.
 */
#ifndef HEADPOND_PROXY_PEER_SERVE_H
#define HEADPOND_PROXY_PEER_SERVE_H

#include "http/exchange.h"
#include "proxy/request.h"

#define FORGETS_MOST 1024

struct pool;
struct route_node;

/* For that address: the request's machine (request.h), and who is let in. The pool outlives the connections. */
struct http_handler peer_handler(struct pool *pool);

/* Whether it asks who is in the pool; and the answer to that. */
bool peer_asks_ring(const struct request *request);
enum request_state peer_ring(struct request *request);

/* What a node says of its request: fills in request->said, and what that lets the request do. NULL: it may go on. Else why
 * not. */
const struct blob_error *peer_read(struct request *request, struct route_node *node);
/* Of a request that has been in FORGET, or not. */
void peer_forgets_no_more(struct request *request);
/* Adds to a reply for a node what only nodes are told. `length`: the blob's, of a reply without bytes; else -1. */
void peer_tell(const struct request *request, struct http_response *head, int64_t length);

#endif
