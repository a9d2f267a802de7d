/* SPDX-License-Identifier: Apache-2.0 */
/* test_hedges.c: a loop knows its members' times apart, and pays for all hedges out of one purse. */
#include "pool/hedges.h"

#include <string.h>

#include "net/loop.h"
#include "pool/members.h"
#include "tap.h"

#define KIB INT64_C(1024)

static struct loop *loop;

static struct member member_of(const char *region, const char *name)
{
    struct member member = {.own = false};
    strcpy(member.region, region);
    strcpy(member.name, name);
    return member;
}

static void learn(const struct member *member, unsigned count, int64_t us)
{
    for (unsigned i = 0; i < count; i++)
        hedges_learn(loop, member, us);
}

static void deadlines(void)
{
    struct member quick = member_of("west", "quick"), slow = member_of("west", "slow"),
                  far = member_of("east", "quick");
    is_int(hedges_call(loop, &quick, KIB), 250, "whom nobody has met is waited for some time");
    learn(&quick, 100, 3000);
    ok(hedges_call(loop, &quick, KIB) <= 4, "who answers soon, not for so long");
    ok(hedges_call(loop, &slow, KIB) <= 4, "nor others of its region");
    is_int(hedges_call(loop, &far, KIB), 250, "another region's member of that name is another one");
    learn(&far, 100, 90000);
    int64_t late = hedges_call(loop, &far, KIB);
    ok(late >= 90 && late <= 120, "and has times of its own (%lld ms)", (long long) late);
    ok(hedges_call(loop, &quick, KIB) <= 4, "which are not the first one's");
}

static void purse(void)
{
    unsigned sent = 0;
    for (unsigned i = 0; i < 20; i++)
        sent += hedges_spend(loop, 0);
    ok(sent >= 1 && sent <= 8, "some may be sent at once (%u)", sent);
    struct member member = member_of("west", "quick");
    sent = 0;
    for (unsigned i = 0; i < 5000; i++) {
        hedges_call(loop, &member, KIB);
        sent += hedges_spend(loop, KIB);
    }
    is_int(sent, 100, "then one of fifty");
    for (unsigned i = 0; i < 50; i++)
        hedges_call(loop, &member, KIB);
    ok(hedges_spend(loop, 512 * KIB * KIB), "of much, too");
    for (unsigned i = 0; i < 1000; i++)
        hedges_call(loop, &member, KIB);
    ok(!hedges_spend(loop, 0), "who has sent much twice has to earn that");
}

int main(void)
{
    loop = loop_new(0);
    hedges_loop_init(loop);
    deadlines();
    purse();
    hedges_loop_fini(loop);
    loop_free(loop);
    return done_testing();
}
