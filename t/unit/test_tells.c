/* SPDX-License-Identifier: Apache-2.0 */
/* test_tells.c: whom a write is told, how often, for how long somebody waits for it, and what becomes of what cannot be
 * said. */
#include "pool/tells.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "base/clock.h"
#include "base/metric.h"
#include "http_rig.h"
#include "net/conn.h"
#include "on_loop.h"
#include "pool/pool.h"
#include "pool_certificates.h"
#include "tap.h"

#define NODES 3 /* pond-9, which is this one; pond-0, which the rig plays; pond-1, which is not there */
#define CROWD 200
#define FLOOD 20000

static struct rig rig;
static struct pool_ca ca;
static struct pool *pool;
static struct loop *own;
static struct tells *tells;
static atomic_uint told_soon;
static unsigned told;

/* What is told, and how that is waited for. */
struct write {
    struct tells_news news;
    unsigned times;
    bool alone;   /* no two are of one name */
    bool at_once; /* there was nothing to wait for */
    int64_t from_ms;
    int64_t took_ms;
    struct tells_wait *wait;
};

static void on_told(void *arg)
{
    struct write *write = arg;
    write->took_ms = clock_mono_ms() - write->from_ms;
    tells_wait_end(&write->wait);
    count_up(&told);
}

static void tell(void *arg)
{
    struct write *write = arg;
    write->from_ms = clock_mono_ms();
    write->wait = tells_wait_new(tells);
    for (unsigned i = 0; i < write->times; i++) {
        write->news.name.hi += write->alone;
        tells_tell(tells, &write->news, write->wait);
    }
    write->at_once = tells_wait_over(write->wait, on_told, write);
    if (write->at_once)
        tells_wait_end(&write->wait);
}

static void tell_and_wait(struct write *write)
{
    unsigned before = count_now(&told);
    on_loop(own, tell, write);
    if (!write->at_once && !count_wait(&told, before + 1))
        printf("Bail out! nobody was told, and nobody said so\n");
}

static int64_t results(const char *result)
{
    return metric_cell_value(metric_cell(METRIC_POOL_TELLS, result));
}

/* An object whose first two homes are not that node. */
static struct hash128 name_without(const char *node, uint64_t from)
{
    const struct ring_region *region = ring_region(pool_view(pool)->ring, STR("west"));
    for (struct hash128 name = {from, 0};; name.lo++) {
        unsigned order[NODES];
        ring_order(region, ring_key(name, 0), order, NODES);
        if (str_eq(region->nodes[order[NODES - 1]].name, str_from(node)))
            return name;
    }
}

static struct write write_of(enum wire_change changed, struct hash128 name, const char *target)
{
    return (struct write){.news = {changed, name, str_from(target)}, .times = 1};
}

/* ---- Who answers. ---- */

static void told_well(void)
{
    const struct hash128 name = name_without("pond-1", 1000);
    struct write write = write_of(WIRE_CHANGED_OBJECT, name, "/status/204");
    tell_and_wait(&write);
    ok(!write.at_once, "a home is waited for");
    is_int(results("ok"), 1, "until it has answered");
    is_int(rig_requests(), 1, "it was asked once");
    rcu_quiescent_state();
    write = write_of(WIRE_CHANGED_OBJECT, name_without("pond-0", 1000), "/status/204");
    tell_and_wait(&write);
    is_int(rig_requests(), 1, "whose homes are others it does not hear of");

    struct tells_wait *wait = tells_wait_new(tells);
    ok(tells_wait_over(wait, NULL, NULL), "who has told nothing waits for nothing");
    tells_wait_end(&wait);
}

static void refused(void)
{
    struct write write = write_of(WIRE_CHANGED_OBJECT, name_without("pond-1", 2000), "/status/403");
    int64_t failed = results("failed");
    unsigned requests = rig_requests();
    tell_and_wait(&write);
    is_int(results("failed"), failed + 1, "what a member refuses is given up");
    write = write_of(WIRE_CHANGED_OBJECT, name_without("pond-1", 3000), "/status/204");
    tell_and_wait(&write);
    ok(!write.at_once, "and the next thing is said to it, and waited for");
    is_int(rig_requests(), requests + 2, "what was refused is not said again");
}

static void many(void)
{
    struct write write = write_of(WIRE_CHANGED_OBJECT, name_without("pond-1", 4000), "/status/204");
    int64_t ok_before = results("ok");
    write.times = CROWD;
    tell_and_wait(&write);
    unsigned said = (unsigned) (results("ok") - ok_before);
    ok(said >= 1 && said < CROWD / 2, "what has not been said yet is said once (%u)", said);
    ok(results("dropped") == 0, "and nothing is dropped");
}

/* ---- Who does not. ---- */

static void silent(void)
{
    struct write write = write_of(WIRE_CHANGED_OBJECT, name_without("pond-1", 5000), "/never");
    tell_and_wait(&write);
    ok(write.took_ms >= TELLS_WAIT_MS / 2, "who does not answer is waited for (%lld ms)", (long long) write.took_ms);
    ok(write.took_ms < 20 * TELLS_WAIT_MS, "but not for long");
    ok(atomic_load(&told_soon) >= 1, "it is still believed to be there");
}

static void broken(void)
{
    struct write write = write_of(WIRE_CHANGED_OBJECT, name_without("pond-1", 6000), "/status/503");
    int64_t failed = results("failed");
    unsigned requests = rig_requests();
    tell_and_wait(&write);
    ok(rig_wait_requests(requests + 3), "what is answered with an error is said again");
    for (unsigned i = 0; i < CROWD; i++) {
        struct write again = write;
        on_loop(own, tell, &again);
        if (i == 0)
            ok(again.at_once, "and such a member is waited for no more");
    }
    ok(rig_requests() < requests + CROWD / 4, "not as often as it changes again (%u)", rig_requests() - requests);
    is_int(results("failed"), failed, "nothing is given up so soon");
}

/* After that, since it takes all the room: all changes of who may read, for all members. */
static void bounded(void)
{
    struct write write = write_of(WIRE_CHANGED_GRANTS, (struct hash128){7, 7}, "/status/503");
    write.times = FLOOD;
    write.alone = true;
    int64_t dropped = results("dropped");
    tell_and_wait(&write);
    int64_t kept = 2 * FLOOD - (results("dropped") - dropped);
    ok(kept < 2 * FLOOD, "of more than there is room for the rest is dropped");
    ok(kept > CROWD && (size_t) kept * sizeof "/status/503" < TELLS_ROOM, "some is kept (%lld)", (long long) kept);
}

/* ---- The rig. ---- */

static void make_pool(void)
{
    static char texts[NODES][48], name[] = "main", node[] = "pond-9", region[] = "west";
    static char *members[] = {texts[0], texts[1], texts[2]};
    static struct pool_pair pair;
    static struct conf_pool row;
    static struct conf conf;
    struct strbuf error = {0};
    snprintf(texts[0], sizeof texts[0], "pond-0=127.0.0.1:%u", rig.tls_port);
    snprintf(texts[1], sizeof texts[1], "pond-1=127.0.0.1:%u", rig_free_port());
    snprintf(texts[2], sizeof texts[2], "pond-9=127.0.0.1:%u", rig_free_port());
    pool_pair_make(&ca, "URI:headpond://main/west/member/pond-9", &pair);
    row = (struct conf_pool){.name = name,
                             .node = node,
                             .region = region,
                             .role = CONF_ROLE_MEMBER,
                             .certificate = pair.certificate,
                             .key = pair.key,
                             .ca = ca.file,
                             .members = {members, NODES}};
    conf = (struct conf){.pool = &row, .connect_timeout = 1000};
    if (pool_new(&conf, &pool, &error) != STATUS_OK)
        printf("Bail out! %s\n", error.ptr);
    pool_start(pool);
    for (int64_t until = nap_deadline(); pool_view(pool)->count < NODES && nap_until(until);)
        rcu_quiescent_state();
}

static void init(void *arg)
{
    (void) arg;
    pool_loop_init(pool, own);
    tells = tells_new(pool, own, &told_soon);
}

static void fini(void *arg)
{
    (void) arg;
    tells_free(&tells);
    pool_loop_fini(pool, own);
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
    rcu_register_thread();
    make_pool();
    own = loop_new(9);
    loop_start(own, NULL, loop_ends, NULL);
    on_loop(own, init, NULL);
    told_well();
    refused();
    many();
    silent();
    on_loop(own, fini, NULL);
    on_loop(own, init, NULL);
    broken();
    bounded();
    int64_t dropped = results("dropped");
    on_loop(own, fini, NULL);
    ok(results("dropped") > dropped, "what has not been said in the end is counted");
    is_int(atomic_load(&told_soon), 0, "and nobody is told any more");
    loop_stop(own);
    loop_join(own);
    loop_free(own);
    pool_stop(pool);
    pool_free(&pool);
    rcu_unregister_thread();
    rig_stop(&rig);
    pool_ca_remove(&ca);
    return done_testing();
}
