/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache.h: what the proxy asks of the cache. Two questions: cache_resolve (may this credential read this blob, and what
 * is the blob now?) and cache_read (the bytes of one generation, as a source).
 *
 * Ownership (decision 1): an object's inquiries run on the loop its hash names, an extent's flights on the loop that
 * the hash of object and extent names; others join by letters. What is already known (a grant, a fresh record, stored
 * blocks) is read on the asking loop, without a lock and without a letter.
 */
#ifndef HEADPOND_CACHE_CACHE_H
#define HEADPOND_CACHE_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/status.h"
#include "base/str.h"
#include "cache/object.h"
#include "http/message.h"
#include "http/source.h"
#include "origin/client.h"
#include "pool/pool.h"
#include "store/store.h"

struct cache;
struct credential;
struct loop;

struct cache_config {
    struct store *store;
    struct loop **loops; /* all of them; the array outlives the cache */
    unsigned loop_count;
    struct origin_limits limits;
    struct pool *pool; /* NULL: this node is in none */
};

/* Before the loops start. */
struct cache *cache_new(const struct cache_config *config);
/* After the loops have been joined. */
void cache_free(struct cache *cache);
/* Each loop's own part; on the loop, at its start and after its last exchange. */
void cache_loop_init(struct cache *cache, struct loop *loop);
/* After the last exchange of all loops: ends what is under way here. What other threads still owe (letters of the
 * disks) may come until cache_loop_fini. */
void cache_loop_stop(struct cache *cache, struct loop *loop);
void cache_loop_fini(struct cache *cache, struct loop *loop);

/*
 * One reader's view of one blob: which blob, at which origin, by which credential. The caller's texts must live until
 * the resolve is over and the source is closed (the exchange's arena does); the cache copies what must live longer.
 */
struct cache_request {
    /* the blob */
    struct hash128 object;    /* of the account and the decoded path, and of snapshot= or versionid= */
    struct hash128 container; /* its hi is the account's: containers of an account are a family (store.h) */
    struct hash128 account_hash;
    const char *account; /* for metrics and log; lives as long as the process */
    const char *origin;  /* base URL, lives as long as the process */
    const char *ca_file; /* or NULL; lives as long as the process */
    struct str id;       /* what the log calls the client's request */
    struct str target;   /* what requests by the client's credential ask the origin for: "/container/blob?…" with the
                            credential's query parameters; secret */
    struct str authorization; /* the Authorization header's value or a NULL str; secret */
    /* the credential */
    struct digest credential; /* of the credential text; of nothing for anonymous */
    struct hash128 scope;     /* what a yes covers: of the blob, directory, container or account */
    int64_t expires_s;        /* wall clock: the credential is not good after it; INT64_MAX: not known */
    bool vouched;             /* the proxy says yes itself: no grant is needed */
    bool granted;             /* so does a member of the pool, whose request this is: neither */
    bool bare;                /* which has come without its client's credential */
    /* whose request it is: by which ways it may go on, or join what others have begun (pool.h). And whether by none: it
     * is for what is here, or on its way */
    enum pool_way farthest;
    bool cached;
    struct str
        pin; /* the one ETag that a node asks for, which has seen to it that it may: whether that is believed here,
                       or fresh, does not matter; else a NULL str */
    /* what of our own signs, and what it asks for: in place of the client's credential where we vouch, and for pinned
     * fills; or NULL, and a NULL str. Lives as long as the process */
    struct credential *signer;
    struct str own_target;
    /* what the account may be asked for, or NULL: anything; lives as long as the process. And whom for: a hash */
    struct origin_budget *budget;
    uint64_t client;
    /* the rules */
    int64_t authorize_ttl; /* ms */
    int64_t freshness;     /* ms, or CONF_IMMUTABLE */
};

/* ---- May it, and what is it? ---- */

enum cache_want { CACHE_WANT_GET, CACHE_WANT_HEAD };

struct cache_query {
    enum cache_want want;
    uint64_t first;    /* GET: the bytes the client is after, so that the first fill is already the right one */
    uint64_t last;     /* inclusive; UINT64_MAX: to the end */
    bool conditional;  /* may well end without a body (If-None-Match …): do not start with data */
    bool validate;     /* what is known does not suffice: ask the origin in any case */
    struct str pinned; /* an ETag: if that is the cached generation, its freshness does not matter (pinned_reads:
                          trust); else a NULL str */
};

enum cache_verdict {
    CACHE_READY,  /* yes: `generation` is the blob, serve from it */
    CACHE_ANSWER, /* the origin's own answer, for this reader alone: relay `answer` */
    CACHE_BYPASS, /* not for a cache (no validators, copy pending, too large an answer): send the client's own request
                   */
    CACHE_FAILED, /* the origin could not be asked: `status` */
};

/* How it came about, for Cache-Status and the metric's label. */
enum cache_how { CACHE_HIT, CACHE_MISS, CACHE_STALE, CACHE_COLLAPSED };

/* An origin's answer kept whole (at most 64 KiB of body). Immutable, counted by the result that holds it. */
struct cache_answer {
    struct http_response head;
    struct str body;
};

struct cache_result {
    enum cache_verdict verdict;
    enum cache_how how;
    struct store_generation *generation; /* CACHE_READY; counted, the holder's: cache_result_fini */
    const struct object *object;         /* CACHE_READY; lives with the generation */
    int64_t validated_s;                 /* CACHE_READY: for Age */
    const struct cache_answer *answer;   /* CACHE_ANSWER */
    enum status status;                  /* CACHE_FAILED */
    const char *detail;                  /* CACHE_BYPASS: why, a constant */
};
void cache_result_fini(struct cache_result *result);

/* Answers from what is known on this loop; true: *result is filled. Own loop, never waits. */
bool cache_resolve_now(struct cache *cache, const struct cache_request *request, const struct cache_query *query,
                       struct cache_result *result);

/* How long ago the origin let this credential in, in ms; 0 where nobody asked it, or it is not known. Own loop. */
int64_t cache_grant_age_ms(struct cache *cache, const struct cache_request *request, enum cache_want want);

struct cache_resolve;
/* Asks the owner, and through it the origin. `done` is called once on this loop, never from inside this call; *result
 * and its references are the callee's (cache_result_fini). */
struct cache_resolve *cache_resolve_start(struct cache *cache, struct loop *loop, const struct cache_request *request,
                                          const struct cache_query *query,
                                          void (*done)(void *arg, struct cache_result *result), void *arg);
/* No callback follows; empties the pointer. Not after `done`. */
void cache_resolve_cancel(struct cache_resolve **resolve);

/* ---- The bytes. ---- */

/* Bytes first..last (inclusive, within the generation's length) as a source. `request` must outlive the source; the
 * generation is referenced. `plain`: the consumer hands pieces to a cleartext socket unread (see store_peek_block). */
struct source *cache_read(struct cache *cache, struct loop *loop, const struct cache_request *request,
                          struct store_generation *generation, uint64_t first, uint64_t last, bool plain);

/* Whether the first byte is there: SOURCE_DATA (nothing was read yet, the peek comes later), WAIT (`ready` follows), or
 * FAILED while nothing has been sent: GENERATION_CHANGED means that resolving again is worthwhile. */
enum source_state cache_read_prime(struct source *source);

/* After a prime that answered SOURCE_DATA: whether the first bytes come from a fill that another reader began. */
bool cache_read_joined(const struct source *source);

/* Where bytes came from: out of the store; from a fill that another reader had joined before; from one that was begun
 * for this reader, so that each byte from the origin counts for one reader only. */
enum cache_from { CACHE_FROM_STORE, CACHE_FROM_FLIGHT, CACHE_FROM_ORIGIN, CACHE_FROM_COUNT };
/* Whether the first bytes come from a fill, as far as is known: they are not here. */
bool cache_read_fetches(const struct source *source);

/* From now on adds what is consumed to `bytes`, by where it came from; it must outlive the source. */
void cache_read_count(struct source *source, uint64_t bytes[CACHE_FROM_COUNT]);

/* How much of the bytes first..last is stored now; starts nothing. Of a long range the first 1,024 blocks tell. */
enum cache_presence { CACHE_NONE, CACHE_SOME, CACHE_ALL };
enum cache_presence cache_presence(struct cache *cache, const struct store_generation *generation, uint64_t first,
                                   uint64_t last);

/* Whether the blocks of the bytes first..last are stored, or are likely to be when they have come (store_would_keep).
 */
bool cache_would_keep(struct cache *cache, const struct store_generation *generation, uint64_t first, uint64_t last);

/* ---- Writes (decision 5). ---- */

enum cache_fence_scope { CACHE_FENCE_OBJECT, CACHE_FENCE_CONTAINER, CACHE_FENCE_ACCOUNT, CACHE_FENCE_GRANTS };
struct cache_fence;
/* From now on nothing known of the object is believed; of a container or an account everything still is, until the
 * fence is lifted. After a crash nothing of the scope is. `raised` is called once on this loop when that is durable,
 * never from inside this call: forward the write then. Of the request only names are kept. */
struct cache_fence *cache_fence_raise(struct cache *cache, struct loop *loop, const struct cache_request *request,
                                      enum cache_fence_scope scope, void (*raised)(void *arg), void *arg);
/* The write's end: `refused` (a 4xx, or it never got to the origin whole: nothing changed), or done or unknown: before
 * anybody is told of it. Also right before `raised` came. Empties the pointer. */
void cache_fence_lift(struct cache_fence **fence, bool refused);

/* The pinned x-ms-version of our own requests (decision 6). */
#define CACHE_MS_VERSION "2023-11-03"

#endif
