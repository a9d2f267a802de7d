/* SPDX-License-Identifier: Apache-2.0 */
/* test_members.c: who is in the ring as sources tell of members, cease to, and change their minds. */
#include "pool/members.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "base/mem.h"
#include "tap.h"

static struct members *members;

static struct member_told told_of(const char *name, uint32_t weight, const char *address)
{
    struct member_told told = {.name = str_from(name), .weight = weight, .address_count = 1};
    struct sockaddr_in *in = (struct sockaddr_in *) &told.addresses[0].address;
    in->sin_family = AF_INET;
    in->sin_port = htons(8444);
    inet_pton(AF_INET, address, &in->sin_addr);
    told.addresses[0].length = sizeof *in;
    return told;
}

/* Names of a region, separated by spaces, are there and no others. */
static void tell(const char *region, const char *names, int64_t now_ms)
{
    struct member_told told[16];
    char text[256];
    unsigned count = 0;
    snprintf(text, sizeof text, "%s", names);
    for (char *rest = text, *name; (name = strtok_r(rest, " ", &rest)) != NULL;)
        told[count++] = told_of(name, 1, "10.0.0.1");
    members_tell(members, str_from(region), told, count, now_ms);
}

/* What the ring holds: "region: name name". */
static struct str shown(void)
{
    static char text[512];
    const struct members_view *view = members_view(members);
    const struct ring_region *regions;
    unsigned count = ring_regions(view->ring, &regions);
    size_t used = 0;
    text[0] = '\0';
    for (unsigned i = 0; i < count; i++) {
        used += (size_t) snprintf(text + used, sizeof text - used, "%s%s:", i > 0 ? " | " : "", regions[i].name.ptr);
        for (unsigned n = 0; n < regions[i].count; n++) {
            const struct member *member = members_at(view, &regions[i].nodes[n]);
            used += (size_t) snprintf(text + used, sizeof text - used, " %s", member->name);
        }
    }
    return str_from(text);
}

static void begin(enum conf_role role)
{
    const struct identity own = {.pool = "main", .region = "west", .node = "pond-1", .role = role};
    members = members_new(&own, 3);
}

static void coming_and_going(void)
{
    begin(CONF_ROLE_MEMBER);
    is_text(shown(), "west: pond-1", "a member knows itself");
    tell("west", "pond-2 pond-0 pond-1 pond-2 Pond_X", 0);
    is_text(shown(), "west: pond-0 pond-1 pond-2", "and those it is told of, each once, if it is a name");
    tell("east", "pond-0", 0);
    is_text(shown(), "east: pond-0 | west: pond-0 pond-1 pond-2", "regions have names of their own");
    struct member *kept = members_find(members_view(members), STR("west"), STR("pond-2"));
    ok(kept != NULL && !kept->own && members_find(members_view(members), STR("west"), STR("pond-1"))->own,
       "it knows which one is itself");
    ok(members_find(members_view(members), STR("west"), STR("pond-9")) == NULL &&
           members_find(members_view(members), STR("north"), STR("pond-2")) == NULL,
       "and who is not there");

    const struct members_view *before = members_view(members);
    tell("west", "pond-0", 1000);
    tell("west", "pond-0", 2000);
    members_tick(members, 1000 + MEMBERS_AWAY_MS - 1);
    ok(members_view(members) == before, "who is told no more keeps its place");
    members_tick(members, 1000 + MEMBERS_AWAY_MS);
    is_text(shown(), "east: pond-0 | west: pond-0 pond-1", "until it has been away for long, since it was last told");

    tell("east", "", 0);
    tell("east", "pond-0", MEMBERS_AWAY_MS - 1);
    tell("east", "", MEMBERS_AWAY_MS + 1);
    is_text(shown(), "east: pond-0 | west: pond-0 pond-1", "who was away and came back has not left");
    tell("east", "pond-7", 3 * MEMBERS_AWAY_MS);
    is_text(shown(), "east: pond-7 | west: pond-0 pond-1", "others may come as it goes");
    members_free(&members);
}

static void leaving(void)
{
    begin(CONF_ROLE_MEMBER);
    tell("west", "pond-0 pond-2", 0);
    members_leaves(members, STR("west"), STR("pond-2"));
    is_text(shown(), "west: pond-0 pond-1", "who says that it leaves goes at once");
    tell("west", "pond-0 pond-2", 10);
    is_text(shown(), "west: pond-0 pond-1", "and does not come back for being told still");
    tell("west", "pond-0", 20);
    tell("west", "pond-0 pond-2", 30);
    is_text(shown(), "west: pond-0 pond-1 pond-2", "but once it is told anew");
    members_leaves(members, STR("west"), STR("pond-1"));
    members_leaves(members, STR("west"), STR("pond-9"));
    is_text(shown(), "west: pond-0 pond-1 pond-2", "nobody says it for this node, or for who is not there");
    members_free(&members);
}

static void details(void)
{
    struct member_address addresses[MEMBER_ADDRESSES];
    begin(CONF_ROLE_CLIENT);
    is_text(shown(), "", "a client is no member");
    struct member_told told = told_of("pond-0", 5, "10.0.0.7");
    members_tell(members, STR("west"), &told, 1, 0);
    const struct members_view *before = members_view(members);
    struct member *member = member_ref(members_find(before, STR("west"), STR("pond-0")));
    uint64_t digest = ring_digest(before->ring);
    is_int(member_addresses(member, addresses), 1, "it is known where a member is");
    told = told_of("pond-0", 5, "10.0.0.8");
    members_tell(members, STR("west"), &told, 1, 1);
    member_addresses(member, addresses);
    is_int(ntohl(((struct sockaddr_in *) &addresses[0].address)->sin_addr.s_addr) & 0xff, 8, "and where it is now");
    ok(members_view(members) != before && ring_digest(members_view(members)->ring) == digest,
       "which makes another view, of the same ring");
    told.weight = 6;
    members_tell(members, STR("west"), &told, 1, 2);
    ok(ring_digest(members_view(members)->ring) != digest, "its weight is");
    ok(members_find(members_view(members), STR("west"), STR("pond-0")) == member, "it is the same member");
    told.address_count = MEMBER_ADDRESSES + 5;
    members_tell(members, STR("west"), &told, 1, 3);
    is_int(member_addresses(member, addresses), MEMBER_ADDRESSES, "of many addresses the first ones count");
    members_free(&members);
    is_text(str_from(member->name), "pond-0", "who holds a member may outlive all of it");
    member_unref(&member);
}

/* This node itself, as its region's source has it: that is what all others go by. */
static void own(void)
{
    struct member_address addresses[MEMBER_ADDRESSES];
    begin(CONF_ROLE_MEMBER);
    ok(!members_view(members)->told, "nobody has told of the region yet");
    tell("east", "pond-0", 0);
    ok(!members_view(members)->told, "another region is another matter");
    tell("west", "", 0);
    ok(members_view(members)->told, "now somebody has, though of nobody");
    struct member *member = members_find(members_view(members), STR("west"), STR("pond-1"));
    uint64_t digest = ring_digest(members_view(members)->ring);
    ok(member->weight == 3 && member_addresses(member, addresses) == 0, "it has the weight that it was given");
    struct member_told told = told_of("pond-1", 7, "10.0.0.9");
    members_tell(members, STR("west"), &told, 1, 1);
    ok(member->weight == 7 && ring_digest(members_view(members)->ring) != digest, "and then that which it is told");
    is_int(member_addresses(member, addresses), 1, "it is known where it is");
    tell("west", "", 2);
    members_tick(members, 3 * MEMBERS_AWAY_MS);
    is_text(shown(), "east: pond-0 | west: pond-1", "it is always there");
    members_free(&members);
}

/* What one address has behind another, which DNS likes to change. */
static void orders(void)
{
    struct member_address addresses[MEMBER_ADDRESSES];
    struct member_told told = told_of("pond-0", 1, "10.0.0.1"), other = told_of("pond-0", 1, "10.0.0.2");
    begin(CONF_ROLE_CLIENT);
    told.addresses[told.address_count++] = other.addresses[0];
    members_tell(members, STR("west"), &told, 1, 0);
    const struct members_view *before = members_view(members);
    told.addresses[1] = told.addresses[0];
    told.addresses[0] = other.addresses[0];
    members_tell(members, STR("west"), &told, 1, 1);
    ok(members_view(members) == before, "addresses in another order are the same");
    told.address_count = 1;
    members_tell(members, STR("west"), &told, 1, 2);
    ok(members_view(members) != before, "fewer are not");
    member_addresses(members_find(members_view(members), STR("west"), STR("pond-0")), addresses);
    ok(member_address_eq(&addresses[0], &other.addresses[0]), "and those that are left are known");
    members_free(&members);
}

/* As a ring comes, as a whole. */
static void all_at_once(void)
{
    struct member_told west[] = {told_of("pond-0", 1, "10.0.0.1"), told_of("pond-2", 1, "10.0.0.2")};
    struct member_told east[] = {told_of("pond-0", 1, "10.0.1.1")};
    struct members_told regions[] = {{STR("east"), east, 1}, {STR("west"), west, 2}, {STR("No Region"), east, 1}};
    begin(CONF_ROLE_CLIENT);
    tell("north", "pond-8", 0);
    tell("west", "pond-7", 0);
    const struct members_view *before = members_view(members);
    members_tell_all(members, regions, 3, 1000);
    is_text(shown(), "east: pond-0 | north: pond-8 | west: pond-0 pond-2 pond-7", "who is told of joins who was known");
    ok(members_view(members) != before, "in another view");
    before = members_view(members);
    members_tell_all(members, regions, 3, 2000);
    ok(members_view(members) == before, "which is told again is the same");
    members_tell_all(members, regions, 2, 1000 + MEMBERS_AWAY_MS);
    is_text(shown(), "east: pond-0 | west: pond-0 pond-2", "of others nobody has told for long: they have left");
    members_tell_all(members, NULL, 0, 2000 + MEMBERS_AWAY_MS);
    is_text(shown(), "east: pond-0 | west: pond-0 pond-2", "nothing at all takes nobody away at once");
    members_free(&members);
}

static void texts(void)
{
    struct member_told told[] = {told_of("pond-0", 5, "10.0.0.7"), told_of("pond-2", 0, "10.0.0.8")};
    begin(CONF_ROLE_CLIENT);
    members_tell(members, STR("west"), told, 2, 0);
    const struct members_text *text = members_text(members_view(members), "main");
    char expected[512];
    snprintf(expected, sizeof expected,
             "{\"version\":1,\"pool\":\"main\",\"digest\":\"%016llx\",\"regions\":[{\"name\":\"west\",\"members\":["
             "{\"name\":\"pond-0\",\"weight\":5,\"addresses\":[\"10.0.0.7:8444\"]},"
             "{\"name\":\"pond-2\",\"weight\":1,\"addresses\":[\"10.0.0.8:8444\"]}]}]}\n",
             (unsigned long long) ring_digest(members_view(members)->ring));
    is_text(text->text, expected, "a view as others are told of it");
    ok(text->etag[0] == '"' && strlen(text->etag) == 34, "with its tag: %s", text->etag);
    ok(members_text(members_view(members), "main") == text, "it is made once");
    char etag[MEMBERS_ETAG_MAX];
    strcpy(etag, text->etag);
    told[1] = told_of("pond-2", 0, "10.0.0.9");
    members_tell(members, STR("west"), told, 2, 1);
    text = members_text(members_view(members), "main");
    ok(strcmp(text->etag, etag) != 0 && memmem(text->text.ptr, text->text.len, "10.0.0.9", 8) != NULL,
       "who is elsewhere now is told so, under another tag");
    members_free(&members);
}

/* As large as a pool may be: telling all of them again must cost little. */
static void many(void)
{
    enum { COUNT = 8000 };
    static char names[COUNT][16];
    struct member_told *told = mem_calloc(COUNT, sizeof *told);
    begin(CONF_ROLE_MEMBER);
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof names[i], "pond-%u", i * 7919 % COUNT);
        told[i] = told_of(names[i], 1, "10.0.0.1");
    }
    members_tell(members, STR("west"), told, COUNT, 0);
    is_int(members_view(members)->count, COUNT, "a pool of %u", COUNT);
    const struct members_view *before = members_view(members);
    for (unsigned i = 0; i < 20; i++)
        members_tell(members, STR("west"), told, COUNT, i);
    ok(members_view(members) == before, "that is told again is the same");
    members_free(&members);
    mem_free(told);
}

int main(void)
{
    rcu_register_thread();
    coming_and_going();
    leaving();
    details();
    own();
    orders();
    all_at_once();
    texts();
    many();
    rcu_unregister_thread();
    return done_testing();
}
