/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route.h: from a request to the account it belongs to, the origin that serves it, and the names the cache knows it by.
 */
#ifndef HEADPOND_PROXY_ROUTE_H
#define HEADPOND_PROXY_ROUTE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "blob/classify.h"
#include "blob/credential.h"
#include "blob/error.h"
#include "blob/url.h"
#include "cache/cache.h"
#include "http/message.h"
#include "proxy/accounts.h"
#include "proxy/authorize.h"

struct routes;

/* The configuration and the credentials must outlive it. On failure INVALID and a line in *error (accounts_new). */
enum status routes_new(const struct conf *conf, struct credentials *credentials, struct routes **routes,
                       struct strbuf *error) STATUS_CHECKED;
/* When nothing that holds an account's texts is left. */
void routes_free(struct routes **routes);

struct route {
    const struct account *account; /* NULL: refused before it was known */
    struct blob_url url;
    struct blob_headers headers;
    struct blob_class class;
    struct blob_credential credential;
    const char *origin; /* base URL of what is forwarded */
    struct str target;  /* what is forwarded: path and query byte for byte */
    const char *bypass; /* why a read is not for the cache, a short constant word; NULL: it is */
    struct permission permission;
    struct cache_request cache; /* filled for reads and writes */
};

/* Of another node's request: what it may say, and how far that may go on (cache.h). */
struct route_node {
    bool granted;
    bool cached;
    bool abroad; /* it is of another region */
    enum pool_way farthest;
};

/* Fills *route; its texts live in `arena` and in the request. `node`: NULL for a client's request. NULL: routed. Else why
 * not, to be answered to the client (route->account may be known). Never waits; any loop. */
const struct blob_error *route_request(struct routes *routes, struct arena *arena, const struct http_request *request,
                                       const struct sockaddr *peer, const struct route_node *node, int64_t now_s,
                                       struct route *route);

/* The base blob's name for a fence, where the route names a snapshot or a version of it. */
struct cache_request route_base_blob(const struct route *route);
/* A path-style URL of what the route names, or of what that lies in, which says nothing of who asks: for other nodes.
 * `base`: without the snapshot or version. */
struct str route_public_target(const struct route *route, enum blob_level level, bool base, struct arena *arena);

#endif
