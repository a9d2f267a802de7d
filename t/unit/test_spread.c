/* SPDX-License-Identifier: Apache-2.0 */
/* test_spread.c: hot extents are told from others, and get the width that they need. */
#include "pool/spread.h"

#include "base/hash.h"
#include "tap.h"

static uint64_t state = 6;

static uint64_t draw(void)
{
    return state = hash_mix(state, 1);
}

/* Even reads of `extents`, with one of so many of extent 0 besides (0: none): the width that that had at last, and how many
 * of the others were ever found hot. */
static unsigned reads(struct spread *spread, unsigned count, unsigned extents, unsigned one_of, unsigned shares,
                      unsigned *hot)
{
    unsigned width = 1;
    *hot = 0;
    for (unsigned i = 0; i < count; i++) {
        if (one_of > 0 && draw() % one_of == 0)
            width = spread_asked(spread, hash_mix(0, 0), shares);
        else
            *hot += spread_asked(spread, hash_mix(1 + draw() % extents, 0), shares) > 1;
    }
    return width;
}

static void who_asks(void)
{
    struct spread *spread = spread_new(SPREAD_ASKER, 1);
    unsigned hot;
    for (unsigned i = 1; i < SPREAD_LEAST; i++)
        is_int(spread_asked(spread, 5, 500), 1, "read %u of an extent says nothing yet", i);
    ok(spread_asked(spread, 5, 500) > SPREAD_MOST, "then it is all there is: it is to be kept");
    spread_free(&spread);
    ok(spread == NULL, "the pointer is empty");
    spread_free(&spread);

    spread = spread_new(SPREAD_ASKER, 1);
    is_int(reads(spread, 1000000, 100000, 0, 500, &hot), 1, "even reads");
    ok(hot < 1000, "make nothing hot (%u of 1000000)", hot);
    unsigned width = reads(spread, 1000000, 100000, 500, 500, &hot);
    ok(width >= 28 && width <= 37, "a fair share's worth of one extent goes to all of the order (%u)", width);
    width = reads(spread, 1000000, 100000, 2000, 500, &hot);
    ok(width >= 6 && width <= 11, "a quarter of it to a quarter (%u)", width);
    width = reads(spread, 1000000, 100000, 100, 500, &hot);
    ok(width > SPREAD_MOST, "five of them to everybody (%u)", width);
    ok(hot < 20000, "and the others are as cold as before (%u)", hot);
    reads(spread, 4000000, 100000, 0, 500, &hot);
    ok(spread_asked(spread, hash_mix(0, 0), 500) <= 2, "what nobody reads any more is forgotten");
    spread_free(&spread);
}

/* In a pool of 2,000 a fair share is a small part of what one asker sees. */
static void large_pool(void)
{
    struct spread *spread = spread_new(SPREAD_ASKER, 2);
    unsigned hot;
    reads(spread, 1000000, 400000, 0, 2000, &hot);
    ok(hot < 20000, "few of 400,000 extents are taken for hot (%u of 1000000 reads)", hot);
    unsigned width = reads(spread, 2000000, 400000, 2000, 2000, &hot);
    ok(width >= 24 && width <= 42, "and one that is is found (%u)", width);
    spread_free(&spread);
}

/* A home of 200 extents, of which one has parts / 8 fair shares' worth of reads: the least and most that it tells of it
 * in the second half of so many arrivals, while its askers do as they are told. */
static void told(unsigned parts, unsigned count, unsigned *least, unsigned *most)
{
    struct spread *spread = spread_new(SPREAD_HOME, 3);
    unsigned width = 1;
    *least = UINT32_MAX;
    *most = 0;
    for (unsigned i = 0; i < count; i++) {
        unsigned over = width > SPREAD_MOST ? 500 : width; /* of 500 members */
        if (draw() % (parts + 8 * over) >= parts) {
            spread_arrived(spread, hash_mix(1 + draw() % 200, 0), 1);
            continue;
        }
        width = spread_arrived(spread, hash_mix(0, 0), over);
        if (i > count / 2 && width < *least)
            *least = width;
        if (i > count / 2 && width > *most)
            *most = width;
    }
    spread_free(&spread);
}

static void at_home(void)
{
    unsigned least, most;
    told(8 * 40, 1000, &least, &most);
    ok(least > SPREAD_MOST, "a home tells soon that it is everybody's");
    told(8 * 40, 200000, &least, &most);
    ok(least > SPREAD_MOST, "and so it stays (%u to %u)", least, most);
    told(4, 100000, &least, &most);
    ok(least >= 11 && most <= 22, "half a fair share goes to half of the order (%u to %u)", least, most);

    struct spread *spread = spread_new(SPREAD_HOME, 4);
    unsigned hot = 0;
    for (unsigned i = 0; i < 100000; i++)
        hot += spread_arrived(spread, hash_mix(draw() % 200, 0), 1) > 1;
    ok(hot < 100, "of 200 that are alike none is hot (%u of 100000 reads)", hot);
    for (unsigned i = 0; i < 100000; i++)
        most = spread_arrived(spread, 7, UINT32_MAX);
    ok(most > SPREAD_MOST, "an asker that says that it asks everywhere does no harm to the sums (%u)", most);
    spread_free(&spread);
}

static void crowds(void)
{
    is_int(spread_crowd(0, 1), 1, "nobody is no crowd");
    is_int(spread_crowd(SPREAD_CALM, 1), 1, "nor are a few");
    is_int(spread_crowd(SPREAD_CALM + 1, 1), 2, "more are");
    is_int(spread_crowd(SPREAD_CALM, 7), 7, "a crowd that has been spread well stays so");
    is_int(spread_crowd(3, 8), 3, "and comes together when it is gone");
    is_int(spread_crowd(UINT32_MAX, UINT32_MAX), SPREAD_MOST, "there is a most");
}

static void choices(void)
{
    enum { COUNT = 16, CALLS = 1 << 16 };
    uint32_t outstanding[COUNT] = {0};
    for (unsigned i = 0; i < 100; i++)
        is_int(spread_choose(outstanding, 1, draw()), 0, "of one it is that");
    unsigned taken[2] = {0};
    for (unsigned i = 0; i < 10000; i++)
        taken[spread_choose(outstanding, 2, draw())]++;
    ok(taken[0] > 4700 && taken[0] < 5300, "of two that are alike each (%u)", taken[0]);
    outstanding[1] = 1;
    bool first = true;
    for (unsigned i = 0; i < 1000; i++)
        first = first && spread_choose(outstanding, 2, draw()) == 0;
    ok(first, "and the one with less to do, always");
    outstanding[1] = 0;
    for (unsigned i = 0; i < CALLS; i++)
        outstanding[spread_choose(outstanding, COUNT, draw())]++;
    uint32_t most = 0, least = CALLS;
    for (unsigned i = 0; i < COUNT; i++) {
        most = outstanding[i] > most ? outstanding[i] : most;
        least = outstanding[i] < least ? outstanding[i] : least;
    }
    ok(most - least <= 16, "two choices keep sixteen as even as that (%u to %u)", least, most);
}

int main(void)
{
    who_asks();
    large_pool();
    at_home();
    crowds();
    choices();
    return done_testing();
}
