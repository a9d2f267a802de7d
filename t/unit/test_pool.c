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

static struct str home_of(struct pool *pool, uint64_t extent)
{
    struct member *member = pool_home(pool, object, extent);
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
        struct str home = home_of(sidecar.pool, extent);
        bool same = true;
        for (unsigned i = 0; i < NODES; i++) {
            same = same && str_eq(home_of(nodes[i].pool, extent), home);
            at_home[i] += pool_home(nodes[i].pool, object, extent) == NULL;
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
    ok(pool_home(sidecar.pool, object, extent) == down && pool_ask(sidecar.pool, object, extent) == down,
       "after a while somebody tries it again");
    ok(pool_home(sidecar.pool, object, extent) != down, "and others do not meanwhile");
    reach_good(&down->reach, clock_mono_ms());
    ok(pool_home(sidecar.pool, object, extent) == down, "it is back when it has answered");
    for (unsigned i = 0; i < NODES; i++) {
        pool_stop(nodes[i].pool);
        pool_free(&nodes[i].pool);
    }
    pool_stop(sidecar.pool);
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
    rcu_unregister_thread();
    pool_ca_remove(&ca);
    return done_testing();
}
