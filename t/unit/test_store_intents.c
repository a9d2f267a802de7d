/* SPDX-License-Identifier: Apache-2.0 */
/* test_store_intents.c: when the mark of writes that are under way is set, and by which round it goes. */
#include <stdbool.h>

#include "store/intents.h"
#include "tap.h"

static struct intents intents;

/* A round from its beginning to its end. */
static enum intents_change run(bool wanted, bool full)
{
    enum intents_change change = intents_take(&intents, wanted, full);
    intents_written(&intents, change);
    return change;
}

static void test_one(void)
{
    intents = (struct intents){0};
    is_int(run(false, true), INTENTS_KEEP, "without intents there is no mark");
    ok(!intents_begin(&intents), "the first has to wait for it");
    is_int(run(false, true), INTENTS_KEEP, "a full round that began before does nothing");
    is_int(intents_take(&intents, true, false), INTENTS_SET, "a short one sets it");
    ok(!intents_begin(&intents), "until that is written others wait, too");
    intents_written(&intents, INTENTS_SET);
    ok(intents_begin(&intents), "then it is there for everybody");
    is_int(run(false, true), INTENTS_KEEP, "it stays while they are under way");
    intents_end(&intents, 2);
    is_int(run(false, true), INTENTS_KEEP, "to the last");
    intents_end(&intents, 1);
    is_int(run(false, false), INTENTS_KEEP, "a short round leaves it");
    is_int(run(false, true), INTENTS_CLEAR, "a full one takes it away");
    is_int(run(false, true), INTENTS_KEEP, "once");
    ok(!intents_begin(&intents), "and the next has to wait again");
}

static void test_together(void)
{
    intents = (struct intents){0};
    (void) intents_begin(&intents);
    intents_end(&intents, 1);
    is_int(run(true, true), INTENTS_SET, "who waits for the mark gets it, though another has ended meanwhile");
    is_int(run(false, true), INTENTS_CLEAR, "and the next full round finds nobody");
}

static void test_doubt(void)
{
    intents = (struct intents){0};
    intents_doubt(&intents);
    ok(!intents_begin(&intents), "a mark that was found may lack on a disk: it is set anew");
    intents_end(&intents, 1);
    is_int(run(false, false), INTENTS_KEEP, "a short round does not end what it stands for");
    is_int(run(false, true), INTENTS_KEEP, "the first full one writes that");
    is_int(run(false, true), INTENTS_CLEAR, "the second takes it away");
    (void) intents_begin(&intents);
    (void) run(true, false);
    intents_doubt(&intents);
    ok(intents_begin(&intents), "doubt does not take a durable mark away");
    intents_end(&intents, 2);
    is_int(run(false, true), INTENTS_KEEP, "but it stays a round longer");
    is_int(run(false, true), INTENTS_CLEAR, "and no more");
}

int main(void)
{
    test_one();
    test_together();
    test_doubt();
    return done_testing();
}
