/* SPDX-License-Identifier: Apache-2.0 */
/* peer_serve.c: see peer_serve.h. */
#include "proxy/peer_serve.h"

#include <openssl/x509.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "http/precondition.h"
#include "net/address.h"
#include "net/conn.h"
#include "pool/identity.h"
#include "pool/pool.h"
#include "pool/ring_text.h"
#include "pool/wire.h"
#include "proxy/proxy_status.h"

static const struct blob_error error_no_node = {403, "AuthorizationFailure",
                                                "This address is for nodes of the pool, which read blobs here and tell "
                                                "of writes. Clients have addresses of their own (listen)."};
static const struct blob_error error_no_member = {403, "AuthorizationFailure",
                                                  "Only members of the pool may say that something has changed."};
static const struct blob_error error_odd_change = {
    400, "InvalidInput", "What has changed is said in headpond-peer and the URL, which must name such a thing, alone."};

static const struct blob_error error_abroad = {
    403, "AuthorizationFailure",
    "Members of another region read bytes of a known generation here (If-Match, granted), and nothing else."};

static const struct blob_error error_no_ring = {
    503, "ServerBusy", "This node does not know yet who is in the pool, or there are more than can be told."};
#define NO_RING_RETRY_S 1

/* A connection's. */
struct caller {
    const struct pool *pool;
    bool vouches; /* it is a member, */
    bool abroad;  /* of another region, or a client of one */
};

static enum status identify(const struct conn *conn, struct identity *identity)
{
    X509 *certificate = conn_peer_certificate(conn);
    enum status status = certificate == NULL ? STATUS_NOT_FOUND : identity_of(certificate, identity);
    X509_free(certificate);
    return status;
}

static void *admit(void *arg, const struct conn *conn, const char *listener, const struct sockaddr *peer)
{
    const struct pool *pool = arg;
    const struct identity *own = pool_own(pool);
    struct identity who;
    if (!str_eq(conn_alpn(conn), STR("h2")) || identify(conn, &who) != STATUS_OK || strcmp(who.pool, own->pool) != 0) {
        char client[ADDRESS_TEXT];
        address_format(peer, client, sizeof client);
        log_event(PEER_REFUSED,
                  "client=%s listener=%s: its certificate names no node of this pool, or it speaks no HTTP/2", client,
                  listener);
        return NULL;
    }
    struct caller *caller = mem_calloc(1, sizeof *caller);
    caller->pool = pool;
    caller->vouches = who.role == CONF_ROLE_MEMBER;
    caller->abroad = strcmp(who.region, own->region) != 0;
    return caller;
}

static void gone(void *arg, void *caller)
{
    (void) arg;
    mem_free(caller);
}

struct http_handler peer_handler(struct pool *pool)
{
    struct http_handler handler = request_handler;
    handler.arg = pool;
    handler.admit = admit;
    handler.gone = gone;
    return handler;
}

/* ---- Who is in the pool. ---- */

bool peer_asks_ring(const struct request *request)
{
    const struct http_request *head = &request->x->request;
    return request_of_node(request) && http_method_reads(head->method) && str_eq(head->target, STR(RING_TEXT_PATH));
}

static int ring_status(const struct http_request *request, struct str etag)
{
    switch (precondition_evaluate(&request->headers, etag, PRECONDITION_NO_DATE)) {
    case PRECONDITION_NOT_MODIFIED:
        return 304;
    case PRECONDITION_FAILED:
        return 412;
    default:
        return 200;
    }
}

enum request_state peer_ring(struct request *request)
{
    const struct caller *caller = request->x->caller;
    const struct members_text *text = pool_view_text(caller->pool);
    if (text == NULL) {
        request->error = &error_no_ring;
        request->proxy_status = PROXY_STATUS_DENIED;
        request->facts.retry_after_s = NO_RING_RETRY_S;
        return REQUEST_REFUSE;
    }
    struct http_response head = {.status = ring_status(&request->x->request, str_from(text->etag))};
    head.headers.arena = request->x->arena;
    http_headers_reserve(&head.headers, 4);
    http_headers_add(&head.headers, STR("ETag"), str_from(text->etag));
    http_headers_add(&head.headers, STR("Cache-Control"), STR("no-cache"));
    http_headers_add(&head.headers, STR("Server"), STR("headpond"));
    if (head.status != 200)
        return request_reply_text(request, &head, STR_NULL);
    http_headers_add(&head.headers, STR("Content-Type"), STR("application/json"));
    head.content_length = (int64_t) text->text.len;
    return request_reply_text(request, &head, request->facts.head ? STR_NULL : text->text);
}

/* ---- Reads. ---- */

/* Records and grants have their homes in each region. */
static bool is_for_region(const struct http_request *head, const struct wire_request *said)
{
    return head->method == HTTP_GET && precondition_single_match(&head->headers).len > 0 && said->granted &&
           !said->record && !said->validate;
}

/* Nobody waits for a sidecar, whose request may go as far as a client's. */
static enum pool_way farthest_of(const struct caller *caller, const struct wire_request *said)
{
    if (caller->abroad)
        return POOL_FORMER;
    if (said->cached)
        return POOL_ORIGIN;
    return caller->vouches ? POOL_REGION : POOL_HOME;
}

const struct blob_error *peer_read(struct request *request, struct route_node *node)
{
    const struct http_request *head = &request->x->request;
    const struct caller *caller = request->x->caller;
    struct wire_request *said = &request->said;
    bool reads = http_method_reads(head->method);
    enum status status = wire_read_request(&head->headers, said);
    bool tells = head->method == HTTP_POST && said->changed != WIRE_CHANGED_NOTHING;
    if ((!reads && !tells) || status != STATUS_OK)
        return &error_no_node;
    if (wire_is_loop(pool_own(caller->pool), &head->headers))
        return &BLOB_ERROR_LOOP;
    if (reads)
        said->changed = WIRE_CHANGED_NOTHING;
    if (tells && !caller->vouches)
        return &error_no_member;
    if (tells && request->x->body != NULL)
        return &error_odd_change;
    said->granted = said->granted && caller->vouches;
    if (!tells && caller->abroad && !is_for_region(head, said))
        return &error_abroad;
    node->granted = said->granted;
    node->cached = said->cached;
    node->abroad = caller->abroad;
    node->farthest = farthest_of(caller, said);
    return NULL;
}

/* ---- A write somewhere else. ---- */

static const struct {
    enum cache_fence_scope scope;
    enum blob_level level; /* that, or below it */
} changes[] = {
    [WIRE_CHANGED_OBJECT] = {CACHE_FENCE_OBJECT, BLOB_LEVEL_BLOB},
    [WIRE_CHANGED_CONTAINER] = {CACHE_FENCE_CONTAINER, BLOB_LEVEL_CONTAINER},
    [WIRE_CHANGED_ACCOUNT] = {CACHE_FENCE_ACCOUNT, BLOB_LEVEL_ACCOUNT},
    [WIRE_CHANGED_GRANTS] = {CACHE_FENCE_GRANTS, BLOB_LEVEL_ACCOUNT},
};

static void on_forgotten(void *arg)
{
    struct request *request = arg;
    peer_forgets_no_more(request);
    request_run(request, REQUEST_FORGOT);
}

enum request_state peer_forget(struct request *request)
{
    struct proxy_loop *home = request->home;
    enum wire_change changed = request->said.changed;
    if (request->route.url.level < changes[changed].level) {
        request->error = &error_odd_change;
        request->proxy_status = PROXY_STATUS_BAD_REQUEST;
        return REQUEST_REFUSE;
    }
    if (home->forgets == FORGETS_MOST)
        return request_fail(request, STATUS_BUSY);
    home->forgets++;
    metric_cell_add(metric_cell(METRIC_POOL_TOLD, wire_change_name(changed)), 1);
    request->fence = cache_fence_raise(home->proxy->cache, home->loop, &request->route.cache, changes[changed].scope,
                                       on_forgotten, request);
    return REQUEST_WAIT;
}

/* Also where whoever has told has gone meanwhile. */
void peer_forgets_no_more(struct request *request)
{
    if (request->fence == NULL)
        return;
    request->home->forgets--;
    cache_fence_lift(&request->fence, false);
}

enum request_state peer_forgot(struct request *request)
{
    struct http_response head = {.status = 204, .headers = {.arena = request->x->arena}};
    peer_tell(request, &head, -1);
    http_reply(request->x, &head, NULL);
    return REQUEST_SENT;
}

/* ---- Replies. ---- */

void peer_tell(const struct request *request, struct http_response *head, int64_t length)
{
    const struct caller *caller = request->x->caller;
    const struct wire_answer answer = {
        .grant_age_ms = cache_grant_age_ms(request->home->proxy->cache, &request->route.cache, request->query.want),
        .length = length,
        .view = ring_digest(pool_view(caller->pool)->ring),
    };
    wire_write_answer(&answer, &head->headers);
}
