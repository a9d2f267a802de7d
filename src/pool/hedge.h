/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hedge.h: when a call to a member has waited for so long that another is to be asked as well, and whether that may be.
 *
 * When: once it has taken longer to its first byte than 99 of 100 calls before it did ("The Tail at Scale", Dean and
 * Barroso 2013). Of these a histogram is kept, in steps of a quarter of an octave; its counts halve whenever there are
 * HEDGE_WINDOW, so that it follows what changes. A call that was given up counts with the time until then: that was past
 * the deadline, and how far past makes no difference to a quantile, as it would to a mean. Learnt are only calls that
 * the member could answer at once: what it has to fetch itself says nothing of how it answers. A call of which it is
 * known that the member fetches (it has said so) is not hedged by this.
 *
 * A member's own times count once there are HEDGE_FEW of them, and those of its region before; but a member that is slow
 * beside its region is not waited for because it is always slow.
 *
 * Whether: hedges are within 2 % of the calls, and ask for no more than 2 % of the bytes that calls ask for (I3), but
 * for HEDGE_BURST of them and one that goes beyond. Asking the next in order because a member is down is no hedge.
 *
 * A hedge that finds that the next in order has nothing is to wait until the call is as old as the origin takes to a
 * first byte, before it fetches: as long again at the most. Else what a home brings from its disk, later than most but
 * long before the origin could, would be fetched for nothing.
 *
 * Pure. A loop has its own: nothing here is locked, and a loop's 2 % are within the node's.
 */
#ifndef HEADPOND_POOL_HEDGE_H
#define HEADPOND_POOL_HEDGE_H

#include <stdbool.h>
#include <stdint.h>

/* A deadline is no less and no more, µs; and what it is where nothing is known: a first call connects, too. */
#define HEDGE_LEAST_US 2000
#define HEDGE_MOST_US 1000000
#define HEDGE_UNKNOWN_US 250000
/* Times that are too few to go by, and those that make the counts halve. */
#define HEDGE_FEW 16
#define HEDGE_WINDOW 1024
/* One of so many calls, and of so many bytes. */
#define HEDGE_PART 50
/* What may be saved up: so many hedges, of so many bytes. */
#define HEDGE_BURST 8
#define HEDGE_BURST_BYTES (INT64_C(64) << 20)

/* From 128 µs to 8 s. */
#define HEDGE_STEPS 64

/* Of a member, or of a region. Zeroed at first. */
struct hedge_times {
    uint16_t counts[HEDGE_STEPS];
    uint16_t total;
};

/* A call took so long to its first byte, or was given up after that time. To be told to its member's and to its region's. */
void hedge_learn(struct hedge_times *times, int64_t first_byte_us);
/* How long after its beginning a call to that member is to be hedged. */
int64_t hedge_deadline_us(const struct hedge_times *member, const struct hedge_times *region);

struct hedge_budget {
    int64_t calls; /* saved up, in parts of a hedge */
    int64_t bytes; /* the same of bytes; below 0: owed */
};

/* There is one hedge in it. */
void hedge_budget_init(struct hedge_budget *budget);
/* A call is made that asks for so many bytes. Not for hedges. */
void hedge_earn(struct hedge_budget *budget, int64_t bytes);
/* True: a hedge that asks for so many bytes may be sent, and has been paid for. */
bool hedge_spend(struct hedge_budget *budget, int64_t bytes);

#endif
