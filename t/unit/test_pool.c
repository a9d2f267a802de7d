/* SPDX-License-Identifier: Apache-2.0 */
/* test_pool.c: a node's part in a pool: its certificate must say what it is, and everybody agrees on homes. */
#include "pool/pool.h"

#include "base/clock.h"
#include "on_loop.h"
#include "pool_certificates.h"
#include "tap.h"

#define NODES 5
#define EXTENTS 400

static struct pool_ca ca;
static char pool_name[] = "main", pool_region[] = "west";
static const struct hash128 object = {1, 2};
static char *texts[NODES] = {(char[]){"n0=127.0.0.1:1"}, (char[]){"n1=127.0.0.1:2"}, (char[]){"n2=127.0.0.1:3"},
                             (char[]){"n3=127.0.0.1:4"}, (char[]){"n4=127.0.0.1:5"}};

struct node {
    struct conf conf;
    struct conf_pool row;
    struct pool_pair pair;
    char name[8];
    struct pool *pool;
};

static enum status make(struct node *node, const char *name, enum conf_role role, const char *uri, struct strbuf *error)
{
    snprintf(node->name, sizeof node->name, "%s", name);
    pool_pair_make(&ca, uri, &node->pair);
    node->row = (struct conf_pool){.name = pool_name,
                                   .node = node->name,
                                   .region = pool_region,
                                   .role = role,
                                   .certificate = node->pair.certificate,
                                   .key = node->pair.key,
                                   .ca = ca.file,
                                   .members = {texts, NODES}};
    node->conf = (struct conf){.pool = &node->row, .connect_timeout = 1000};
    return pool_new(&node->conf, &node->pool, error);
}

static void refused(const char *uri, const char *words)
{
    struct node node;
    struct strbuf error = {0};
    is_int(make(&node, "n0", CONF_ROLE_MEMBER, uri, &error), STATUS_INVALID, "a certificate of %s", uri);
    ok(node.pool == NULL && strstr(error.ptr, words) != NULL && strchr(error.ptr, '\n') == NULL, "is refused: %s",
       error.ptr);
    strbuf_free(&error);
}

/* What another authority has issued no other node would take. */
static void foreign(void)
{
    struct node node;
    struct pool_ca ours = ca, theirs;
    struct strbuf error = {0};
    pool_ca_make(&theirs);
    ca = theirs;
    is_int(make(&node, "n0", CONF_ROLE_MEMBER, "URI:headpond://main/west/member/n0", &error), STATUS_OK,
           "one's own CA");
    pool_free(&node.pool);
    node.row.ca = ours.file;
    is_int(pool_new(&node.conf, &node.pool, &error), STATUS_INVALID, "another CA");
    ok(node.pool == NULL && strstr(error.ptr, "not issued by a CA in pool.ca") != NULL, "is refused: %s", error.ptr);
    strbuf_free(&error);
    ca = ours;
    pool_ca_remove(&theirs);
}

static bool knows_all(struct pool *pool)
{
    rcu_quiescent_state();
    return pool_view(pool)->count == NODES;
}

/* Whom to ask at home; NULL: this node itself. */
static struct member *home(struct pool *pool, uint64_t extent, bool asks)
{
    struct member *member;
    return pool_way(pool, object, extent, POOL_HOME, true, asks, &member) == POOL_HOME ? member : NULL;
}

static struct str home_of(struct pool *pool, uint64_t extent)
{
    struct member *member = home(pool, extent, false);
    return str_from(member == NULL ? pool_own(pool)->node : member->name);
}

static void homes(void)
{
    static struct node nodes[NODES];
    struct node sidecar;
    struct strbuf error = {0};
    unsigned at_home[NODES] = {0}, alike = 0;
    for (unsigned i = 0; i < NODES; i++) {
        char name[8], uri[64];
        snprintf(name, sizeof name, "n%u", i);
        snprintf(uri, sizeof uri, "URI:headpond://main/west/member/n%u", i);
        if (make(&nodes[i], name, CONF_ROLE_MEMBER, uri, &error) != STATUS_OK)
            printf("Bail out! %s\n", error.ptr);
        if (i == 0)
            ok(pool_view_text(nodes[0].pool) == NULL, "who has not looked yet tells nobody who is in the pool");
        pool_start(nodes[i].pool);
    }
    is_int(make(&sidecar, "s", CONF_ROLE_CLIENT, "URI:headpond://main/west/client/s", &error), STATUS_OK, "a sidecar");
    pool_start(sidecar.pool);
    for (unsigned i = 0; i < NODES; i++)
        for (int64_t until = nap_deadline(); !knows_all(nodes[i].pool) && nap_until(until);)
            ;
    for (int64_t until = nap_deadline(); !knows_all(sidecar.pool) && nap_until(until);)
        ;
    ok(knows_all(sidecar.pool) && knows_all(nodes[4].pool), "all know all members");
    const struct members_text *text = pool_view_text(nodes[0].pool), *other = pool_view_text(nodes[4].pool);
    ok(text != NULL && other != NULL && str_eq(text->text, other->text) && strcmp(text->etag, other->etag) == 0,
       "and tell it in the same words");
    for (uint64_t extent = 0; extent < EXTENTS; extent++) {
        struct str at = home_of(sidecar.pool, extent);
        bool same = true;
        for (unsigned i = 0; i < NODES; i++) {
            same = same && str_eq(home_of(nodes[i].pool, extent), at);
            at_home[i] += home(nodes[i].pool, extent, false) == NULL;
        }
        alike += same;
    }
    is_int(alike, EXTENTS, "each extent has one home, whoever is asked");
    is_int(at_home[0] + at_home[1] + at_home[2] + at_home[3] + at_home[4], EXTENTS, "which knows that it is");

    /* One is down: the next in the order is asked, and nothing else has changed. */
    struct member *down = members_find(pool_view(sidecar.pool), STR("west"), STR("n2"));
    unsigned moved = 0, others = 0;
    struct str before[EXTENTS];
    for (uint64_t extent = 0; extent < EXTENTS; extent++)
        before[extent] = home_of(sidecar.pool, extent);
    for (unsigned i = 0; i < REACH_FAILURES; i++)
        reach_failed(&down->reach, clock_mono_ms());
    for (uint64_t extent = 0; extent < EXTENTS; extent++) {
        bool was = str_eq(before[extent], STR("n2"));
        bool is = str_eq(home_of(sidecar.pool, extent), before[extent]);
        moved += was && !is;
        others += !was && !is;
    }
    ok(moved == at_home[2] && others == 0, "of one that is down others are asked in its place (%u)", moved);
    for (int64_t until = nap_deadline(); !reach_probe_waits(&down->reach, clock_mono_ms()) && nap_until(until);)
        ;
    unsigned extent = 0;
    while (!str_eq(before[extent], STR("n2")))
        extent++;
    ok(home(sidecar.pool, extent, false) == down && home(sidecar.pool, extent, true) == down,
       "after a while somebody tries it again");
    ok(home(sidecar.pool, extent, false) != down, "and others do not meanwhile");
    reach_good(&down->reach, clock_mono_ms());
    ok(home(sidecar.pool, extent, false) == down, "it is back when it has answered");
    for (unsigned i = 0; i < NODES; i++) {
        pool_stop(nodes[i].pool);
        pool_free(&nodes[i].pool);
    }
    pool_stop(sidecar.pool);
    pool_free(&sidecar.pool);
}

/* ---- Ways, in two regions. ---- */

static char *abroad_texts[] = {(char[]){"e0=127.0.0.1:6"}, (char[]){"e1=127.0.0.1:7"}};

/* A sidecar is told of the other region by a member (follow.h), none of which is there. */
static bool knows_regions(struct pool *pool)
{
    rcu_quiescent_state();
    return pool_view(pool)->count == NODES + 2;
}

static void nearer_ways(struct pool *pool)
{
    unsigned former = 0, far = 0, wrong = 0;
    struct member *member;
    for (uint64_t extent = 0; extent < EXTENTS; extent++) {
        bool ours = pool_is_origin_region(pool, object, extent);
        enum pool_way way = pool_way(pool, object, extent, POOL_HOME, true, false, &member);
        if (way == POOL_FORMER)
            former += !member->own && strcmp(member->region, "west") == 0;
        else
            wrong += way != POOL_HOME || member->own;
        wrong += pool_way(pool, object, extent, POOL_FORMER, true, false, &member) != POOL_FORMER || member->own;
        wrong += pool_way(pool, object, extent, POOL_REGION, true, false, &member) != POOL_FORMER;
        way = pool_way(pool, object, extent, POOL_REGION, false, false, &member);
        wrong += (way == POOL_ORIGIN) != ours || (member == NULL) != ours;
        far += way == POOL_REGION && strcmp(member->region, "east") == 0;
        wrong += pool_way(pool, object, extent, POOL_ORIGIN, true, false, &member) != POOL_ORIGIN || member != NULL;
    }
    ok(former > EXTENTS / 10 && former < EXTENTS * 3 / 10, "what is at home here was another's before (%u)", former);
    ok(far > EXTENTS * 4 / 10 && far < EXTENTS * 6 / 10, "for a half the other region asks the account (%u)", far);
    is_int(wrong, 0, "and there is no other way");
}

static void next_ones(struct pool *pool)
{
    unsigned wrong = 0, instead = 0;
    for (uint64_t extent = 0; extent < EXTENTS; extent++) {
        struct member *first = home(pool, extent, false);
        struct member *next = pool_next(pool, object, extent, first, false);
        wrong += next == NULL || next == first || next->own;
        instead += first != NULL && pool_next(pool, object, extent, first, true) == NULL;
    }
    is_int(wrong, 0, "another comes next");
    ok(instead > 0, "or this node itself does (%u)", instead);
}

static void seldom(struct pool *pool)
{
    struct member *former = NULL;
    uint64_t extent = 0;
    while (pool_way(pool, object, extent, POOL_HOME, true, false, &former) != POOL_FORMER ||
           !pool_is_origin_region(pool, object, extent))
        extent++;
    for (unsigned i = 0; i < 8; i++)
        pool_had(former, false);
    struct member *member;
    is_int(pool_way(pool, object, extent, POOL_HOME, true, true, &member), POOL_ORIGIN,
           "who mostly has nothing is not asked for some time");
    int64_t until = nap_deadline();
    while (pool_way(pool, object, extent, POOL_HOME, true, false, &member) != POOL_FORMER && nap_until(until))
        ;
    ok(pool_way(pool, object, extent, POOL_HOME, true, true, &member) == POOL_FORMER, "and then it is");
    pool_had(former, false);
    ok(pool_way(pool, object, extent, POOL_HOME, true, true, &member) == POOL_ORIGIN, "but for nothing again");
    pool_had(former, true);
    ok(pool_way(pool, object, extent, POOL_HOME, true, true, &member) == POOL_FORMER && member == former,
       "and again once it has something");
}

static void ways(void)
{
    struct node node, sidecar;
    struct conf_region abroad = {.name = (char[]){"east"}, .members = {abroad_texts, 2}};
    struct strbuf error = {0};
    struct member *member;
    is_int(make(&node, "n0", CONF_ROLE_MEMBER, "URI:headpond://main/west/member/n0", &error), STATUS_OK, "a member");
    is_int(make(&sidecar, "s", CONF_ROLE_CLIENT, "URI:headpond://main/west/client/s", &error), STATUS_OK, "a sidecar");
    node.row.regions = sidecar.row.regions = &abroad;
    node.row.region_count = sidecar.row.region_count = 1;
    pool_start(node.pool);
    pool_start(sidecar.pool);
    for (int64_t until = nap_deadline(); !(knows_regions(node.pool) && knows_all(sidecar.pool)) && nap_until(until);)
        ;
    nearer_ways(node.pool);
    next_ones(node.pool);
    seldom(node.pool);
    unsigned homes_only = 0;
    for (uint64_t extent = 0; extent < EXTENTS; extent++)
        homes_only += pool_way(sidecar.pool, object, extent, POOL_HOME, true, false, &member) == POOL_HOME &&
                      pool_way(sidecar.pool, object, extent, POOL_FORMER, true, false, &member) == POOL_ORIGIN;
    is_int(homes_only, EXTENTS, "a sidecar asks homes, and nobody abroad");
    pool_stop(node.pool);
    pool_stop(sidecar.pool);
    pool_free(&node.pool);
    pool_free(&sidecar.pool);
}

int main(void)
{
    pool_ca_make(&ca);
    rcu_register_thread();
    refused("URI:headpond://main/west/member/n1", "must have URI:headpond://main/west/member/n0");
    refused("URI:headpond://main/west/client/n0", "says headpond://main/west/client/n0");
    refused("DNS:n0", "says no URI");
    foreign();
    homes();
    ways();
    rcu_unregister_thread();
    pool_ca_remove(&ca);
    return done_testing();
}
