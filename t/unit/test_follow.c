/* SPDX-License-Identifier: Apache-2.0 */
/* test_follow.c: a sidecar that learns who is in the pool from one member, and what it makes of members that say
 * something else, or nothing. */
#include "pool/follow.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>

#include "base/mem.h"
#include "base/metric.h"
#include "http_rig.h"
#include "net/conn.h"
#include "on_loop.h"
#include "pool/discover.h"
#include "pool/peers.h"
#include "pool/ring_text.h"
#include "pool_certificates.h"
#include "tap.h"

#define NEWS UINT64_C(0x7777777777777777) /* the digest of a ring that nobody has */

static struct rig rig;
static struct pool_ca ca;
static struct loop *own_loop;
static struct peers_total total;
static struct peers_terms terms;
static struct identity own = {.pool = "main", .region = "west", .node = "side-1", .role = CONF_ROLE_CLIENT};
static struct follow *follow;
static unsigned dead_port;

/* ---- The member's end. ---- */

static struct {
    pthread_mutex_t lock;
    int status;
    int64_t length; /* announced */
    struct strbuf text;
    char etag[64];
    bool silent;
    char condition[64]; /* of the last request */
} given = {.lock = PTHREAD_MUTEX_INITIALIZER};
static unsigned asked;

static void answer_ring(struct http_exchange *x)
{
    struct http_response head = {.headers = {.arena = x->arena}};
    struct source *body = NULL;
    if (!str_eq(x->request.target, STR(RING_TEXT_PATH)) || !str_eq(x->request.method_text, STR("GET")))
        abort();
    struct str condition = http_headers_get(&x->request.headers, STR("If-None-Match"));
    pthread_mutex_lock(&given.lock);
    *str_put(given.condition, condition.len < sizeof given.condition ? condition : STR("")) = '\0';
    bool same = given.etag[0] != '\0' && str_eq(condition, str_from(given.etag)), silent = given.silent;
    head.status = same ? 304 : given.status;
    head.content_length = same ? 0 : given.length;
    http_headers_add(&head.headers, STR("ETag"), arena_str(x->arena, str_from(given.etag)));
    if (!same)
        body = source_from_str(given.text.len == 0 ? STR("") : strbuf_str(&given.text));
    pthread_mutex_unlock(&given.lock);
    count_up(&asked);
    if (!silent)
        http_reply(x, &head, &body);
    source_close(&body);
}

static void give(int status, struct str text, int64_t length)
{
    static unsigned count;
    pthread_mutex_lock(&given.lock);
    given.status = status;
    given.length = length;
    given.text.len = 0;
    strbuf_adds(&given.text, text);
    snprintf(given.etag, sizeof given.etag, "\"%u\"", ++count);
    given.silent = false;
    pthread_mutex_unlock(&given.lock);
}

static struct member_told told_of(const char *name, uint32_t weight, unsigned port)
{
    struct member_told told = {.name = str_from(name), .weight = weight, .address_count = 1};
    const struct in_addr here = {htonl(INADDR_LOOPBACK)};
    told.addresses[0] = member_address_of(AF_INET, &here, (uint16_t) port);
    return told;
}

/* A ring of one member of that weight. Its digest. */
static uint64_t give_ring(const char *pool, const char *region, uint32_t weight)
{
    struct member_told told = told_of("pond-0", weight, rig.tls_port);
    struct members_told west = {str_from(region), &told, 1};
    const struct ring_row row = {str_from(region), told.name, weight};
    struct ring *ring = ring_new(&row, 1, NULL);
    const struct ring_text said = {.pool = str_from(pool), .digest = ring_digest(ring), .regions = &west, .count = 1};
    struct strbuf text = {0};
    ring_free(&ring);
    if (ring_text_write(&said, &text) != STATUS_OK)
        abort();
    give(200, strbuf_str(&text), (int64_t) text.len);
    strbuf_free(&text);
    return said.digest;
}

static void be_silent(bool silent)
{
    pthread_mutex_lock(&given.lock);
    given.silent = silent;
    pthread_mutex_unlock(&given.lock);
}

static struct str last_condition(void)
{
    static char text[sizeof given.condition];
    pthread_mutex_lock(&given.lock);
    memcpy(text, given.condition, sizeof text);
    pthread_mutex_unlock(&given.lock);
    return str_from(text);
}

/* ---- The sidecar's. ---- */

static void loop_init(void *arg)
{
    (void) arg;
    peers_loop_init(&terms, own_loop);
    follow_loop_init(follow, own_loop);
}

static void loop_fini(void *arg)
{
    (void) arg;
    follow_loop_fini(follow);
    peers_loop_fini(own_loop);
}

static void begin(void)
{
    terms.members = members_new(&own, 1);
    follow = follow_new(&own, terms.members);
    on_loop(own_loop, loop_init, NULL);
}

static void end(void)
{
    on_loop(own_loop, loop_fini, NULL);
    follow_free(&follow);
    members_free(&terms.members);
}

/* As its configuration has it. */
static void bootstrap(struct member_told *told, unsigned count)
{
    members_tell(terms.members, STR("west"), told, count, clock_mono_ms());
    follow_found(follow);
}

static void bootstrap_one(void)
{
    struct member_told told = told_of("pond-0", 1, rig.tls_port);
    bootstrap(&told, 1);
}

static unsigned weight_now(void)
{
    rcu_quiescent_state();
    const struct ring_region *west = ring_region(members_view(terms.members)->ring, STR("west"));
    return west == NULL ? 0 : west->nodes[0].weight;
}

static bool comes(unsigned weight)
{
    for (int64_t until = nap_deadline(); weight_now() != weight;)
        if (!nap_until(until))
            return false;
    return true;
}

static int64_t rings(const char *result)
{
    return metric_cell_value(metric_cell(METRIC_POOL_RINGS, result));
}

/* Until it is more than that. */
static bool counted(const char *result, int64_t before)
{
    for (int64_t until = nap_deadline(); rings(result) <= before;) {
        rcu_quiescent_state();
        if (!nap_until(until))
            return false;
    }
    return true;
}

/* ---- The tests. ---- */

static void learns(void)
{
    begin();
    uint64_t digest = give_ring("main", "west", 5);
    bootstrap_one();
    ok(comes(5), "the member that is known tells who is in the pool");
    is_int(count_now(&asked), 1, "asked once");
    is_text(last_condition(), "", "for all of it");
    ok(counted("taken", 0), "which is counted");
    follow_heard(follow, 0);
    follow_heard(follow, digest);
    ok(count_now(&asked) == 1, "who answers by the same ring, or says nothing of it, is no reason to ask");
    char etag[sizeof given.etag];
    memcpy(etag, given.etag, sizeof etag);
    int64_t before = rings("unchanged"), began = clock_mono_ms();
    follow_heard(follow, NEWS);
    ok(counted("unchanged", before), "of another ring it asks");
    is_text(last_condition(), etag, "whether it is still the same");
    ok(clock_mono_ms() - began >= FOLLOW_SOON_MS / 2, "but not at once");
    is_int(count_now(&asked), 2, "nor more than once");
    give_ring("main", "west", 6);
    follow_heard(follow, NEWS);
    ok(comes(6), "what has changed is taken");
    began = clock_mono_ms();
    before = rings("unchanged");
    follow_heard(follow, NEWS);
    ok(counted("unchanged", before) && clock_mono_ms() - began >= 2 * FOLLOW_SOON_MS,
       "who hears of others all the time asks more and more rarely");
    end();
}

/* One that lies, or errs. */
static void refuses(const char *what, const char *result)
{
    unsigned weight = weight_now();
    int64_t before = rings(result);
    follow_heard(follow, NEWS);
    ok(counted(result, before), "%s: %s", what, result);
    is_int(weight_now(), weight, "%s: who was known stays known", what);
    give_ring("main", "west", weight + 1);
    ok(comes(weight + 1), "%s: and it is asked again", what);
}

static void refuses_text(const char *what, const char *text)
{
    give(200, str_from(text), (int64_t) strlen(text));
    refuses(what, "refused");
}

static void lies(void)
{
    struct strbuf large = {0};
    begin();
    give_ring("main", "west", 5);
    bootstrap_one();
    ok(comes(5), "a sidecar knows a member");
    give_ring("other", "west", 9);
    refuses("another pool's", "refused");
    give_ring("main", "east", 9);
    refuses("nobody of this region", "refused");
    refuses_text("no region", "{\"version\":1,\"pool\":\"main\",\"digest\":\"0000000000000000\",\"regions\":[]}");
    refuses_text("nothing", "");
    refuses_text("a half", "{\"version\":1,\"pool\":\"main\",");
    memset(strbuf_reserve(&large, RING_TEXT_MAX + 1), ' ', RING_TEXT_MAX + 1);
    large.len = RING_TEXT_MAX + 1;
    give(200, strbuf_str(&large), (int64_t) large.len);
    refuses("too large, as it says", "refused");
    give(200, strbuf_str(&large), HTTP_LENGTH_UNKNOWN);
    refuses("too large, without saying it", "refused");
    give(200, STR("{}"), 100);
    refuses("cut short", "failed");
    give(404, STR("none"), 4);
    refuses("a version that does not tell", "failed");
    give(503, STR("later"), 5);
    refuses("one that does not know yet", "failed");
    strbuf_free(&large);
    end();
}

static void others(void)
{
    struct member_told told[] = {told_of("pond-0", 1, rig.tls_port), told_of("pond-1", 1, dead_port),
                                 told_of("pond-2", 1, rig.tls_port)};
    begin();
    give_ring("main", "west", 5);
    bootstrap(told, 3);
    ok(comes(5), "whoever is not there, or is another one, is followed by one who answers");
    /* As when nobody had answered: what was told then is no longer what is known. */
    bootstrap_one();
    is_int(weight_now(), 1, "the configuration is looked at again");
    follow_heard(follow, NEWS);
    ok(comes(5), "then the same ring is taken again, and not found to be unchanged");
    end();
}

static void slow(void)
{
    int64_t before = rings("failed");
    begin();
    give_ring("main", "west", 5);
    be_silent(true);
    unsigned first = count_now(&asked);
    bootstrap_one();
    ok(count_wait(&asked, first + 1), "one is asked");
    ok(counted("failed", before), "who does not answer in time is given up");
    be_silent(false);
    ok(comes(5), "and asked again");
    be_silent(true);
    first = count_now(&asked);
    follow_heard(follow, NEWS);
    ok(count_wait(&asked, first + 1), "one is asked");
    end(); /* while that is under way */
}

/* ---- When nobody answers. ---- */

static unsigned found;
static char text[64];

/* Once it has been found it moves, as a name's address would. On the thread that looks at the text. */
static void on_found(void *arg)
{
    snprintf(text, sizeof text, "pond-0=127.0.0.1:%u", rig.tls_port);
    follow_found(arg);
    count_up(&found);
}

static void nobody(void)
{
    char *texts[] = {text};
    struct conf_pool pool = {.name = own.pool, .region = own.region, .members = {texts, 1}};
    snprintf(text, sizeof text, "pond-0=127.0.0.1:%u", dead_port);
    begin();
    const struct discover_terms looks = {
        .pool = &pool, .members = terms.members, .tls = terms.tls, .once = true, .found = on_found, .arg = follow};
    struct discover *discover = discover_start(&looks);
    follow_start(follow, discover);
    ok(count_wait(&found, 1), "the configuration names a member");
    ok(count_wait(&found, 2), "when it does not answer, it is looked up again");
    give_ring("main", "west", 8);
    ok(comes(8), "and is found where it is now");
    discover_stop(discover);
    end();
    discover_free(&discover);
}

/* ---- All of it. ---- */

static void loop_ends(struct loop *loop, void *arg)
{
    (void) arg;
    conn_loop_fini(loop);
}

int main(void)
{
    struct pool_pair pair, mine;
    struct strbuf error = {0};
    pool_ca_make(&ca);
    pool_pair_make(&ca, "URI:headpond://main/west/member/pond-0", &pair);
    pool_pair_make(&ca, "URI:headpond://main/west/client/side-1", &mine);
    const struct tls_options server = {
        .server = true, .certificate = pair.certificate, .key = pair.key, .ca = ca.file, .only_h2 = true};
    const struct tls_options client = {
        .certificate = mine.certificate, .key = mine.key, .ca = ca.file, .only_h2 = true};
    const struct rig_options options = {
        .limits = http_limits_default, .loops = 1, .tls = &server, .other = answer_ring};
    rig_start(&rig, &options);
    terms = (struct peers_terms){
        .own = own, .connect_timeout = 5000, .silence = 30000, .idle = 60000, .most = 32, .total = &total};
    if (tls_new(&client, &terms.tls, &error) != STATUS_OK)
        printf("Bail out! %s\n", error.ptr);
    dead_port = rig_free_port();
    own_loop = loop_new(9);
    loop_start(own_loop, NULL, loop_ends, NULL);
    rcu_register_thread();
    learns();
    lies();
    others();
    slow();
    nobody();
    loop_stop(own_loop);
    loop_join(own_loop);
    loop_free(own_loop);
    rcu_unregister_thread();
    tls_free(terms.tls);
    rig_stop(&rig);
    strbuf_free(&given.text);
    pool_ca_remove(&ca);
    return done_testing();
}
