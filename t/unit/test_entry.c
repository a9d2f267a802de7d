/* SPDX-License-Identifier: Apache-2.0 */
/* test_entry.c: which member sidecars read through, as members come, go, and fail to answer. */
#include "pool/entry.h"

#include "tap.h"

#define SIDECARS 4000
#define MEMBERS 40
#define NOW 1000000

static struct members *members;
static struct identity sidecar = {.pool = "main", .region = "west", .role = CONF_ROLE_CLIENT};

static void tell(unsigned count, uint32_t first_weight)
{
    static char names[MEMBERS][16];
    struct member_told told[MEMBERS];
    for (unsigned i = 0; i < count; i++) {
        snprintf(names[i], sizeof names[i], "pond-%u", i);
        told[i] = (struct member_told){.name = str_from(names[i]), .weight = i == 0 ? first_weight : 1};
    }
    members_tell(members, STR("west"), told, count, 0);
}

static struct member *entry_of_sidecar(unsigned number, bool asks, int64_t now_ms)
{
    snprintf(sidecar.node, sizeof sidecar.node, "gpu-%u", number);
    return entry_of(members_view(members), &sidecar, entry_key(&sidecar), asks, now_ms);
}

/* Each sidecar's; how many have this one. */
static unsigned entries(struct member *found[SIDECARS], const char *name)
{
    unsigned count = 0;
    for (unsigned i = 0; i < SIDECARS; i++) {
        found[i] = entry_of_sidecar(i, false, NOW);
        count += found[i] != NULL && strcmp(found[i]->name, name) == 0;
    }
    return count;
}

static void begin(enum conf_role role)
{
    const struct identity own = {.pool = "main", .region = "west", .node = "pond-1", .role = role};
    members = members_new(&own, 1);
}

static void shares(void)
{
    static struct member *before[SIDECARS], *after[SIDECARS];
    unsigned least = SIDECARS, most = 0, moved = 0, elsewhere = 0;
    begin(CONF_ROLE_CLIENT);
    ok(entry_of_sidecar(0, false, NOW) == NULL, "where nobody is known there is none");
    tell(MEMBERS - 1, 1);
    for (unsigned i = 0; i < MEMBERS - 1; i++) {
        char name[16];
        snprintf(name, sizeof name, "pond-%u", i);
        unsigned count = entries(before, name);
        least = count < least ? count : least;
        most = count > most ? count : most;
    }
    ok(least > 60 && most < 160, "each member is the entry of about a hundred sidecars (%u to %u)", least, most);
    entries(after, "");
    ok(memcmp(before, after, sizeof before) == 0, "and remains so");
    tell(MEMBERS, 1);
    entries(after, "");
    for (unsigned i = 0; i < SIDECARS; i++) {
        moved += after[i] != before[i];
        elsewhere += after[i] != before[i] && strcmp(after[i]->name, "pond-39") != 0;
    }
    ok(moved > 60 && moved < 160 && elsewhere == 0, "one that comes takes its share, and nobody else moves (%u)",
       moved);
    tell(MEMBERS, 3);
    unsigned heavy = entries(after, "pond-0");
    ok(heavy > 200 && heavy < 420, "one of three times the weight is the entry of three times as many (%u)", heavy);
    members_free(&members);
}

static void down(void)
{
    static struct member *before[SIDECARS], *after[SIDECARS];
    unsigned moved = 0, others = 0;
    begin(CONF_ROLE_CLIENT);
    tell(10, 1);
    unsigned had = entries(before, "pond-3");
    struct member *fallen = members_find(members_view(members), STR("west"), STR("pond-3"));
    for (unsigned i = 0; i < REACH_FAILURES; i++)
        reach_failed(&fallen->reach, NOW);
    for (unsigned i = 0; i < SIDECARS; i++) {
        after[i] = entry_of_sidecar(i, true, NOW);
        moved += before[i] == fallen && after[i] != fallen && after[i] != NULL;
        others += before[i] != fallen && after[i] != before[i];
    }
    ok(moved == had && others == 0, "one that is down is passed over, and its sidecars alone move (%u)", moved);
    unsigned one = 0;
    while (before[one] != fallen)
        one++;
    int64_t later = NOW + REACH_DOWN_MS;
    ok(entry_of_sidecar(one, true, later) == fallen, "after a while it is tried again");
    ok(entry_of_sidecar(one, true, later) != fallen, "by one who asks, and by no other");
    reach_good(&fallen->reach, later);
    entries(after, "");
    ok(memcmp(before, after, sizeof before) == 0, "and has its sidecars back when it answers");
    members_free(&members);
}

static void elsewhere(void)
{
    begin(CONF_ROLE_CLIENT);
    struct member_told told = {.name = STR("pond-0"), .weight = 1};
    members_tell(members, STR("east"), &told, 1, 0);
    ok(entry_of_sidecar(0, false, NOW) == NULL, "another region's are none");
    members_free(&members);
    begin(CONF_ROLE_MEMBER);
    ok(entry_of_sidecar(0, false, NOW) == NULL, "nor is this node itself");
    members_free(&members);
    ok(entry_suits(0) && entry_suits(ENTRY_LONG_BLOCKS - 1) && !entry_suits(ENTRY_LONG_BLOCKS), "what is short suits");
}

int main(void)
{
    rcu_register_thread();
    shares();
    down();
    elsewhere();
    rcu_unregister_thread();
    return done_testing();
}
