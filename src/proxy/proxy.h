/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxy.h: the blob proxy as a whole: what its rooms share, once a process and once a loop. The server code is given
 * its handler and knows nothing else of it.
 */
#ifndef HEADPOND_PROXY_PROXY_H
#define HEADPOND_PROXY_PROXY_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/conf.h"
#include "base/list.h"
#include "cache/cache.h"
#include "net/loop.h"
#include "origin/admission.h"
#include "origin/client.h"
#include "origin/credential.h"
#include "proxy/checksum.h"

struct access_log;
struct access_feed;
struct meter;
struct pool;
struct routes;
struct tells;

struct proxy {
    struct cache *cache;           /* set before the loops start */
    struct pool *pool;             /* likewise; or NULL */
    struct access_log *access_log; /* or NULL */
    struct routes *routes;
    struct credentials *credentials; /* of the accounts; started and stopped with the loops */
    struct origin_limits limits;     /* what origins are allowed, from the configuration */
    bool stored;                     /* there is a disk to keep things on */
    struct admission_class turns;    /* turn.c */
    atomic_uint told_soon;           /* pool/tells.h */
};

/* A loop's own part, in LOOP_SLOT_PROXY. */
struct proxy_loop {
    struct proxy *proxy;
    struct loop *loop;
    struct meter *meter;
    struct access_feed *feed;
    struct list forwards; /* forward.c: under way to an origin */
    struct tells *tells;  /* or NULL: nobody is told of a write */
    unsigned forgets;     /* peer_serve.c: under way */
    struct admission_queue turns;
    struct checksum_line sums;
};

/* The configuration and the log must outlive it; proxy->cache is the caller's to set. On failure INVALID and a line in
 * *error; *proxy is to be freed all the same. */
enum status proxy_new(const struct conf *conf, struct access_log *access_log, struct proxy **proxy,
                      struct strbuf *error) STATUS_CHECKED;
/* After the loops have been joined. Empties the pointer. */
void proxy_free(struct proxy **proxy);
/* On the loop: at its start, and after its last exchange has finished. */
void proxy_loop_init(struct proxy *proxy, struct loop *loop);
void proxy_loop_fini(struct proxy *proxy, struct loop *loop);
/* Whether other nodes are being told of what was written here, and are likely to hear it. Any thread. */
static inline bool proxy_tells(const struct proxy *proxy)
{
    return atomic_load(&proxy->told_soon) > 0;
}

#endif
