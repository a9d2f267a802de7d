/* SPDX-License-Identifier: Apache-2.0 */
/* test_peers.c: requests to members, who they are believed to be, and what becomes of those who do not answer. */
#include "pool/peers.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "http_rig.h"
#include "net/conn.h"
#include "on_loop.h"
#include "pool_certificates.h"
#include "tap.h"

#define IDLE_MS 1500
#define CROWD 160

static struct loop *own;
static struct rig rig;
static struct pool_ca ca;
static struct peers_terms terms;
static struct peers_total total;
static unsigned over;

struct ask {
    const char *node;
    struct peer_call *call;
    bool unknown; /* nobody knows where it is */
    int status;
    enum status why;
    uint64_t got;
};

static void finish(struct ask *ask, enum status why)
{
    ask->why = why;
    peer_call_close(&ask->call);
    count_up(&over);
}

static void take(void *arg)
{
    struct ask *ask = arg;
    struct source *body = peer_call_body(ask->call);
    struct source_view view;
    enum source_state state;
    while ((state = source_peek(body, &view, SIZE_MAX)) == SOURCE_DATA) {
        ask->got += view.bytes;
        source_consume(body, view.bytes);
    }
    if (state != SOURCE_WAIT)
        finish(ask, state == SOURCE_END ? STATUS_OK : body->error);
}

static void on_head(void *arg, const struct http_response *head, enum status why)
{
    struct ask *ask = arg;
    if (head == NULL) {
        finish(ask, why);
        return;
    }
    ask->status = head->status;
    source_listen(peer_call_body(ask->call), take, ask);
    take(ask);
}

static void start(struct ask *ask)
{
    struct member *member = members_find(members_view(terms.members), STR("west"), str_from(ask->node));
    const struct http_request request = {
        .method_text = STR("GET"), .target = STR("/slow/30000/3000"), .authority = STR("peer")};
    const struct h2_call_events events = {.head = on_head, .arg = ask};
    ask->call = peer_call_start(own, member, &request, &events);
    ask->unknown = ask->call == NULL;
    if (ask->unknown)
        count_up(&over);
}

struct asks {
    struct ask *items;
    unsigned count;
};

static void start_all(void *arg)
{
    const struct asks *asks = arg;
    for (unsigned i = 0; i < asks->count; i++)
        start(&asks->items[i]);
}

static void ask_all(struct ask *asks, unsigned count)
{
    unsigned before = count_now(&over);
    on_loop(own, start_all, &(struct asks){asks, count});
    if (!count_wait(&over, before + count))
        printf("Bail out! no end\n");
}

static enum status ask_one(const char *node)
{
    struct ask ask = {.node = node};
    ask_all(&ask, 1);
    return ask.why == STATUS_OK && (ask.status != 200 || ask.got != 30000) ? STATUS_TRUNCATED : ask.why;
}

/* ---- Who is where. ---- */

static void add_address(struct member_told *told, unsigned port)
{
    struct member_address *address = &told->addresses[told->address_count++];
    struct sockaddr_in *in = (struct sockaddr_in *) &address->address;
    in->sin_family = AF_INET;
    in->sin_port = htons((uint16_t) port);
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address->length = sizeof *in;
}

static void tell_members(void *arg)
{
    struct member_told told[4] = {
        {.name = STR("pond-0")}, {.name = STR("pond-1")}, {.name = STR("pond-2")}, {.name = STR("pond-3")}};
    (void) arg;
    add_address(&told[0], rig_free_port()); /* the first of its addresses is dead */
    add_address(&told[0], rig.tls_port);
    add_address(&told[1], rig.tls_port); /* another node's */
    add_address(&told[2], rig_free_port());
    members_tell(terms.members, STR("west"), told, 4, loop_now_ms(own)); /* of pond-3 nothing is known */
}

static bool is_up(const char *node)
{
    return reach_up(&members_find(members_view(terms.members), STR("west"), str_from(node))->reach);
}

static struct tls *tls_of(const char *names)
{
    struct pool_pair pair = {.certificate = ""};
    struct strbuf error = {0};
    struct tls *tls = NULL;
    struct tls_options options = {.ca = ca.file, .only_h2 = true};
    if (names != NULL) {
        pool_pair_make(&ca, names, &pair);
        options.certificate = pair.certificate;
        options.key = pair.key;
    }
    if (tls_new(&options, &tls, &error) != STATUS_OK)
        printf("Bail out! %s\n", error.ptr);
    return tls;
}

static void init(void *arg)
{
    (void) arg;
    peers_loop_init(&terms, own);
}

static void fini(void *arg)
{
    (void) arg;
    peers_loop_fini(own);
}

/* ---- The tests. ---- */

static void answers(void)
{
    is_int(ask_one("pond-0"), STATUS_CONNECT, "the first address of a member is dead");
    is_int(ask_one("pond-0"), STATUS_OK, "the next one is tried then");
    ok(is_up("pond-0"), "a failure between good answers does not take it down");
    struct ask asks[CROWD];
    unsigned good = 0;
    for (unsigned i = 0; i < CROWD; i++)
        asks[i] = (struct ask){.node = "pond-0"};
    ask_all(asks, CROWD);
    for (unsigned i = 0; i < CROWD; i++)
        good += asks[i].why == STATUS_OK && asks[i].got == 30000;
    is_int(good, CROWD, "many at once are answered");
    ok(rig_wait_connections(PEERS_CONNECTIONS), "over a few connections");
    ok(rig_wait_connections(0), "which end when they have been idle");
    is_int(ask_one("pond-0"), STATUS_OK, "and come anew");
}

/* Those that the loop has beyond its share, while the node has too many. */
static void few(void)
{
    struct ask asks[CROWD];
    on_loop(own, fini, NULL);
    terms.idle = 60000;
    terms.most = 6;
    atomic_store(&total.loops, 1); /* another loop, */
    atomic_store(&total.connections, 3);
    on_loop(own, init, NULL);
    for (unsigned i = 0; i < CROWD; i++)
        asks[i] = (struct ask){.node = "pond-0"};
    ask_all(asks, CROWD);
    ok(rig_wait_connections(3), "of six on two loops one keeps three");
    is_int(atomic_load(&total.connections), 6, "as is counted");
    atomic_store(&total.connections, 3 + 40); /* which has many now */
    ask_all(asks, 1);
    usleep(3 * 1000000 / 2);
    is_int(ask_one("pond-0"), STATUS_OK, "what another loop has too many");
    ok(rig_wait_connections(3), "is no matter of one that has its share");
    on_loop(own, fini, NULL);
    is_int(atomic_load(&total.connections), 40, "those that end are counted, too");
    atomic_store(&total.loops, 19);
    atomic_store(&total.connections, 40);
    on_loop(own, init, NULL);
    ask_all(asks, CROWD);
    ok(rig_wait_connections(PEERS_SHARE_LEAST), "and some are left to each, however many loops there are");
    on_loop(own, fini, NULL);
    total = (struct peers_total){0};
    terms.idle = IDLE_MS;
    terms.most = 100;
    on_loop(own, init, NULL);
}

static void look_for_linked(void *arg)
{
    struct member **found = arg;
    *found = peers_linked(own, 12345);
}

static void linked(void)
{
    struct member *found;
    on_loop(own, fini, NULL);
    on_loop(own, init, NULL);
    on_loop(own, look_for_linked, &found);
    ok(found == NULL, "at first the loop is connected to nobody");
    while (ask_one("pond-0") != STATUS_OK) /* an address of its is dead */
        ;
    on_loop(own, look_for_linked, &found);
    ok(found != NULL && strcmp(found->name, "pond-0") == 0, "and then to whom it has asked");
}

static void failures(void)
{
    for (unsigned i = 0; i < REACH_FAILURES; i++)
        is_int(ask_one("pond-1"), STATUS_TLS, "who shows the certificate of another is asked nothing");
    ok(!is_up("pond-1"), "and is down");
    for (unsigned i = 0; i < REACH_FAILURES; i++)
        is_int(ask_one("pond-2"), STATUS_CONNECT, "who is not there");
    ok(!is_up("pond-2"), "is down, too");
    struct ask ask = {.node = "pond-3"};
    ask_all(&ask, 1);
    ok(ask.unknown, "of one nobody knows where it is");
}

static void with(const char *names, enum status expected, const char *what)
{
    struct tls *tls = terms.tls;
    on_loop(own, fini, NULL);
    terms.tls = tls_of(names);
    on_loop(own, init, NULL);
    enum status why = ask_one("pond-0");
    if (why == STATUS_CONNECT) /* the dead address was next */
        why = ask_one("pond-0");
    if (expected == STATUS_OK)
        is_int(why, STATUS_OK, "%s", what);
    else
        ok(why != STATUS_OK, "%s (%s)", what, status_name(why));
    on_loop(own, fini, NULL);
    tls_free(terms.tls);
    terms.tls = tls;
    on_loop(own, init, NULL);
}

static void loop_ends(struct loop *loop, void *arg)
{
    (void) arg;
    conn_loop_fini(loop);
}

int main(void)
{
    struct pool_pair pair;
    pool_ca_make(&ca);
    pool_pair_make(&ca, "URI:headpond://main/west/member/pond-0", &pair);
    const struct tls_options server = {
        .server = true, .certificate = pair.certificate, .key = pair.key, .ca = ca.file, .only_h2 = true};
    const struct rig_options options = {.limits = http_limits_default, .loops = 2, .tls = &server};
    rig_start(&rig, &options);
    terms = (struct peers_terms){.own = {.pool = "main", .region = "west", .node = "pond-9"},
                                 .connect_timeout = 5000,
                                 .silence = 10000,
                                 .idle = IDLE_MS,
                                 .most = 100,
                                 .total = &total};
    terms.own.role = CONF_ROLE_CLIENT;
    terms.tls = tls_of("URI:headpond://main/west/client/pond-9");
    own = loop_new(9);
    loop_start(own, NULL, loop_ends, NULL);
    rcu_register_thread();
    terms.members = members_new(&terms.own, 1);
    on_loop(own, tell_members, NULL);
    on_loop(own, init, NULL);
    answers();
    few();
    linked();
    failures();
    with(NULL, STATUS_TLS, "who has no certificate of the pool is not answered");
    with("URI:headpond://main/west/member/pond-8", STATUS_OK, "another of the pool is");
    on_loop(own, fini, NULL);
    loop_stop(own);
    loop_join(own);
    loop_free(own);
    members_free(&terms.members);
    rcu_unregister_thread();
    tls_free(terms.tls);
    rig_stop(&rig);
    pool_ca_remove(&ca);
    return done_testing();
}
