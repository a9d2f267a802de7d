/* SPDX-License-Identifier: Apache-2.0 */
/* peers.c: a loop's connections to members, and which one a call takes. */
#include "pool/peers.h"

#include <assert.h>
#include <openssl/x509.h>

#include "base/container.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "net/loop.h"

#define TICK_MS 1000
#define BUCKETS 1024

struct peers_loop {
    const struct peers_terms *terms;
    struct loop *loop;
    struct list links;              /* used longest ago first */
    struct list by_member[BUCKETS]; /* the same */
    unsigned count;
    struct timer tick;
};

/* A connection to a member. */
struct link {
    struct list node;
    struct list by_member;
    struct peers_loop *home;
    struct member *member;
    struct h2_client *client;
    int64_t used_ms;
    bool leaving;
};

struct peer_call {
    struct member *member;
    struct loop *loop;
    struct h2_call *call;
    struct h2_call_events events;
};

static struct peers_loop *home_of(struct loop *loop)
{
    return loop_get(loop, LOOP_SLOT_POOL);
}

static struct list *bucket_of(struct peers_loop *home, const struct member *member)
{
    return &home->by_member[hash_mix((uintptr_t) member, 0) % BUCKETS];
}

/* ---- Connections. ---- */

static bool is_member(const struct link *link, const struct identity *peer)
{
    const struct identity *own = &link->home->terms->own;
    return strcmp(peer->pool, own->pool) == 0 && strcmp(peer->region, link->member->region) == 0 &&
           strcmp(peer->node, link->member->name) == 0 && peer->role == CONF_ROLE_MEMBER;
}

static bool link_accept(void *arg, struct conn *conn)
{
    struct link *link = arg;
    struct identity peer;
    X509 *certificate = conn_peer_certificate(conn);
    enum status status = certificate == NULL ? STATUS_NOT_FOUND : identity_of(certificate, &peer);
    X509_free(certificate);
    if (status == STATUS_OK && is_member(link, &peer))
        return true;
    log_event(PEER_REFUSED, "region=%s node=%s: its certificate is not this member's", link->member->region,
              link->member->name);
    return false;
}

static void link_free(struct link *link)
{
    list_remove(&link->node);
    list_remove(&link->by_member);
    link->home->count--;
    atomic_fetch_sub_explicit(&link->home->terms->total->connections, 1, memory_order_relaxed);
    h2_client_close(&link->client);
    member_unref(&link->member);
    mem_free(link);
}

static void link_ended(void *arg, enum status why)
{
    struct link *link = arg;
    if (why == STATUS_CONNECT || why == STATUS_TLS)
        atomic_fetch_add(&link->member->turn, 1);
    link_free(link); /* its calls have learnt it, and told reach.h */
}

static struct link *link_open(struct peers_loop *home, struct member *member)
{
    struct member_address addresses[MEMBER_ADDRESSES];
    unsigned count = member_addresses(member, addresses);
    if (count == 0)
        return NULL;
    const struct peers_terms *terms = home->terms;
    const struct h2_client_options options = {.conn = {.tls = terms->tls, .send_timeout = terms->silence},
                                              .connect_timeout = terms->connect_timeout,
                                              .silence = terms->silence};
    struct link *link = mem_calloc(1, sizeof *link);
    const struct h2_client_events events = {link_accept, link_ended, link};
    const struct member_address *address = &addresses[atomic_load(&member->turn) % count];
    link->home = home;
    link->member = member_ref(member);
    list_add_tail(&home->links, &link->node);
    list_add_tail(bucket_of(home, member), &link->by_member);
    home->count++;
    atomic_fetch_add_explicit(&terms->total->connections, 1, memory_order_relaxed);
    link->client =
        h2_client_open(home->loop, (const struct sockaddr *) &address->address, address->length, &options, &events);
    return link;
}

static void link_leave(struct link *link)
{
    link->leaving = true;
    h2_client_leave(link->client);
}

static unsigned less(unsigned a, unsigned b)
{
    return a > b ? a - b : 0;
}

/* How many of this loop's are too many: of those that the node has beyond what it may, no more than this loop has
 * beyond its share. A share that other loops leave unused is anybody's. */
static unsigned too_many(const struct peers_loop *home)
{
    const struct peers_terms *terms = home->terms;
    unsigned loops = atomic_load_explicit(&terms->total->loops, memory_order_relaxed);
    unsigned all = atomic_load_explicit(&terms->total->connections, memory_order_relaxed);
    unsigned share = loops > 0 ? terms->most / loops : terms->most;
    unsigned own = less(home->count, share > PEERS_SHARE_LEAST ? share : PEERS_SHARE_LEAST);
    return own < less(all, terms->most) ? own : less(all, terms->most);
}

/* Idle for long; or, of too many, for longest. */
static void on_tick(struct timer *timer)
{
    struct peers_loop *home = CONTAINER_OF(timer, struct peers_loop, tick);
    int64_t old = loop_now_ms(home->loop) - home->terms->idle;
    unsigned beyond = too_many(home);
    LIST_FOR_EACH(node, &home->links)
    {
        struct link *link = LIST_ENTRY(node, struct link, node);
        if (link->leaving || h2_client_calls(link->client) > 0 || (beyond == 0 && link->used_ms > old))
            continue;
        link_leave(link);
        beyond -= beyond > 0;
    }
    if (home->count > 0)
        timer_hasten(timer, TICK_MS);
}

/* The one with the fewest calls; another one, if all have many. */
static struct link *link_for(struct peers_loop *home, struct member *member)
{
    struct link *best = NULL;
    unsigned count = 0;
    LIST_FOR_EACH(node, bucket_of(home, member))
    {
        struct link *link = LIST_ENTRY(node, struct link, by_member);
        if (link->member != member)
            continue;
        count++;
        if (!h2_client_takes(link->client))
            continue;
        if (best == NULL || h2_client_calls(link->client) < h2_client_calls(best->client))
            best = link;
    }
    bool full = best == NULL || h2_client_calls(best->client) >= PEERS_CALLS;
    if (full && count < (best == NULL ? PEERS_CONNECTIONS_MOST : PEERS_CONNECTIONS)) {
        struct link *link = link_open(home, member);
        best = link != NULL ? link : best;
    }
    return best;
}

struct member *peers_linked(struct loop *loop, uint32_t chance)
{
    const struct peers_loop *home = home_of(loop);
    struct member *found = NULL;
    unsigned left = home->count > 0 ? chance % home->count : 0;
    LIST_FOR_EACH(node, &home->links)
    {
        struct link *link = LIST_ENTRY(node, struct link, node);
        if (!link->leaving && h2_client_takes(link->client))
            found = link->member;
        if (found != NULL && left == 0)
            break;
        left -= left > 0;
    }
    return found;
}

void peers_loop_init(const struct peers_terms *terms, struct loop *loop)
{
    struct peers_loop *home = mem_calloc(1, sizeof *home);
    home->terms = terms;
    home->loop = loop;
    list_init(&home->links);
    for (unsigned i = 0; i < BUCKETS; i++)
        list_init(&home->by_member[i]);
    timer_init(&home->tick, loop, on_tick);
    atomic_fetch_add(&terms->total->loops, 1);
    loop_set(loop, LOOP_SLOT_POOL, home);
}

void peers_loop_fini(struct loop *loop)
{
    struct peers_loop *home = home_of(loop);
    if (home == NULL)
        return;
    while (!list_empty(&home->links))
        link_free(LIST_ENTRY(home->links.next, struct link, node));
    timer_fini(&home->tick);
    atomic_fetch_sub(&home->terms->total->loops, 1);
    loop_set(loop, LOOP_SLOT_POOL, NULL);
    mem_free(home);
}

/* ---- Calls. ---- */

/* Whether that says something of the member, and not of the request alone. */
static void tell_reach(struct peer_call *call, enum status why)
{
    struct member *member = call->member;
    int64_t now_ms = loop_now_ms(call->loop);
    bool good = why == STATUS_OK || why == STATUS_BUSY;
    bool turned = good ? reach_good(&member->reach, now_ms) : reach_failed(&member->reach, now_ms);
    if (turned && good)
        log_event(PEER_UP, "region=%s node=%s: it answers again", member->region, member->name);
    else if (turned)
        log_event(PEER_DOWN, "region=%s node=%s reason=%s: others are asked in its place", member->region, member->name,
                  status_name(why));
}

static void on_head(void *arg, const struct http_response *head, enum status why)
{
    struct peer_call *call = arg;
    tell_reach(call, why);
    call->events.head(call->events.arg, head, why);
}

static void on_processing(void *arg)
{
    struct peer_call *call = arg;
    call->events.processing(call->events.arg);
}

struct peer_call *peer_call_start(struct loop *loop, struct member *member, const struct http_request *request,
                                  const struct h2_call_events *events)
{
    struct peers_loop *home = home_of(loop);
    struct link *link = link_for(home, member);
    if (link == NULL)
        return NULL;
    struct peer_call *call = mem_calloc(1, sizeof *call);
    const struct h2_call_events own = {on_head, call, events->processing == NULL ? NULL : on_processing};
    call->member = member_ref(member);
    call->loop = loop;
    call->events = *events;
    link->used_ms = loop_now_ms(loop);
    list_remove(&link->node);
    list_add_tail(&home->links, &link->node);
    call->call = h2_call_start(link->client, request, &own);
    timer_hasten(&home->tick, TICK_MS);
    return call;
}

void peer_call_late(struct peer_call *call)
{
    tell_reach(call, STATUS_FIRST_BYTE_TIMEOUT);
}

struct source *peer_call_body(struct peer_call *call)
{
    return h2_call_body(call->call);
}

void peer_call_close(struct peer_call **closed)
{
    struct peer_call *call = *closed;
    *closed = NULL;
    if (call == NULL)
        return;
    h2_call_close(&call->call);
    member_unref(&call->member);
    mem_free(call);
}
