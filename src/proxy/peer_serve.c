/* SPDX-License-Identifier: Apache-2.0 */
/* peer_serve.c: see peer_serve.h. */
#include "proxy/peer_serve.h"

#include <openssl/x509.h>

#include "base/log.h"
#include "base/mem.h"
#include "http/precondition.h"
#include "net/address.h"
#include "net/conn.h"
#include "pool/identity.h"
#include "pool/pool.h"
#include "pool/wire.h"
#include "proxy/request.h"

static const struct blob_error error_no_node = {
    403, "AuthorizationFailure",
    "This address is for nodes of the pool, which read blobs here. Clients have addresses of their own (listen)."};

static const struct blob_error error_abroad = {
    403, "AuthorizationFailure",
    "Members of another region read bytes of a known generation here (If-Match, granted), and nothing else."};

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

/* Records and grants have their homes in each region. */
static bool is_for_region(const struct http_request *head, const struct wire_request *said)
{
    return head->method == HTTP_GET && precondition_single_match(&head->headers).len > 0 && said->granted &&
           !said->record && !said->validate;
}

const struct blob_error *peer_read(struct request *request, struct route_node *node)
{
    const struct http_request *head = &request->x->request;
    const struct caller *caller = request->x->caller;
    struct wire_request *said = &request->said;
    if (!http_method_reads(head->method) || wire_read_request(&head->headers, said) != STATUS_OK)
        return &error_no_node;
    if (wire_is_loop(pool_own(caller->pool), &head->headers))
        return &BLOB_ERROR_LOOP;
    said->granted = said->granted && caller->vouches;
    if (caller->abroad && !is_for_region(head, said))
        return &error_abroad;
    node->granted = said->granted;
    node->cached = said->cached;
    node->farthest = caller->abroad ? POOL_ORIGIN : said->cached ? POOL_REGION : POOL_FORMER;
    return NULL;
}

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
