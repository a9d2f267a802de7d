/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request.h: one request from its head to its end, as a state machine. Each state is one function that does what can be
 * done now and names the next state, or WAIT when a callback will name it. Cancelling needs no state: `finished` gives
 * up whatever is pending, whichever state that is. A request lives on its exchange's loop and in its arena.
 */
#ifndef HEADPOND_PROXY_REQUEST_H
#define HEADPOND_PROXY_REQUEST_H

#include "cache/cache.h"
#include "http/exchange.h"
#include "http/range.h"
#include "pool/wire.h"
#include "proxy/checksum.h"
#include "proxy/forward.h"
#include "proxy/outcome.h"
#include "proxy/proxy.h"
#include "proxy/reply.h"
#include "proxy/route.h"

/* X(STATE, function): in the order in which a request may pass them. */
#define REQUEST_STATES(X)                                                                                              \
    X(ROUTE, request_route)    /* which account, which blob, what kind of request */                                   \
    X(UNBODY, request_unbody)  /* a GET or HEAD whose body may turn out to be none */                                  \
    X(RESOLVE, read_resolve)   /* may it, and what is the blob now? */                                                 \
    X(DECIDE, read_decide)     /* preconditions and range */                                                           \
    X(PRIME, read_prime)       /* until the first byte is there */                                                     \
    X(SUM, read_sum)           /* all of the range, for its checksum; then PRIME again */                              \
    X(REPLY, read_reply)       /* the head from the record, the body behind it */                                      \
    X(ANSWER, read_answer)     /* the origin's own answer to this reader */                                            \
    X(TURN, bypass_turn)       /* to pass through: until there is room for it */                                       \
    X(FENCE, bypass_fence)     /* a write: nothing old is believed from here */                                        \
    X(FORWARD, bypass_forward) /* the client's request goes to the origin */                                           \
    X(RELAY, bypass_relay)     /* the origin's reply is there */                                                       \
    X(TOLD, bypass_told)       /* the homes in the pool know of it: it goes to the client */                           \
    X(FORGET, peer_forget)     /* another node's word of a write: nothing old is believed from here */                 \
    X(FORGOT, peer_forgot)     /* nor after a crash: that node is told */                                              \
    X(REFUSE, request_refuse)  /* an error of our own */                                                               \
    X(SENT, request_sent)      /* answered: `finished` will come */

enum request_state {
#define X(id, function) REQUEST_##id,
    REQUEST_STATES(X)
#undef X
        REQUEST_WAIT /* not a state: a callback will go on */
};

struct request {
    struct proxy_loop *home;
    struct http_exchange *x;
    enum request_state state;
    struct route route;
    struct reply_facts facts; /* its outcome and detail are the request's */
    bool processing;          /* it has been said that the reply takes time */
    struct wire_request said; /* by another node (request_of_node), of its own request */
    struct str id;            /* how the log names it: the client's x-ms-client-request-id, else our x-ms-request-id */
    unsigned retries;         /* of what passed through, at the origin */

    enum status aborted; /* OK, or why it was broken off by us */

    /* a refusal */
    const struct blob_error *error;
    const char *proxy_status;

    /* a read */
    struct range range;
    struct cache_query query;
    unsigned resolves; /* how often the cache was asked */
    struct cache_resolve *resolve;
    struct cache_result result;
    bool resolved; /* result is filled */
    enum range_fit fit;
    struct range_span span;
    struct source *body;
    struct checksum *checksum;
    bool summed;                     /* the facts have it */
    uint64_t came[CACHE_FROM_COUNT]; /* bytes of the body, by where they came from */

    /* a bypass */
    struct admission turn;
    struct invalidation *invalidation;
    struct forward *forward;
    const struct http_response *origin_head; /* during RELAY */
    struct http_response relayed;            /* what the client gets of it; its body is `body` */

    /* a node's word of a write */
    struct cache_fence *fence;
};

/* The proxy's handler for the server code; it finds the proxy by the loop. */
extern const struct http_handler request_handler;

/* Goes on in that state; from callbacks. */
void request_run(struct request *request, enum request_state state);
/* Sets up TURN: to the origin, as the client asked. `why`: a short constant word for Cache-Status. */
enum request_state request_bypass(struct request *request, const char *why);
/* Sets up REFUSE for a failure of the origin or of our own. */
enum request_state request_fail(struct request *request, enum status why);
/* The same for what the client did wrong, even if only its body's end showed it: counted and logged. */
enum request_state request_refuse_client(struct request *request, enum status why);
/* The client's body has failed: refused, or broken off when nobody is there to be told. */
enum request_state request_body_failed(struct request *request, enum status why);
/* Sends the head and, unless it is a NULL str, a copy of the text. */
enum request_state request_reply_text(struct request *request, const struct http_response *head, struct str text);

#define X(id, function) enum request_state function(struct request *request);
REQUEST_STATES(X)
#undef X

/* Whether it has come from another node of the pool, at the address that is for nodes. */
static inline bool request_of_node(const struct request *request)
{
    return request->x->caller != NULL;
}

/* read.c: forgets what the cache said. */
void read_forget(struct request *request);
/* The bytes cannot be had, and nothing has been sent: asks again where that may help, or refuses. */
enum request_state read_failed(struct request *request, enum status why);
/* read_checksum.c: DECIDE's last word on a range whose checksum is asked for. */
enum request_state read_decide_checksum(struct request *request);

#endif
