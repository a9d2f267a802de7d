/* SPDX-License-Identifier: Apache-2.0 */
/*
 * follow.h: how a sidecar knows who is in the pool. Where its configuration says, it looks once (discover.h); from whom
 * it finds there it has the ring that this one knows (ring_text.h), and from then on from any member: every FOLLOW_MS,
 * and soon after a reply that was given by another ring than the one it has. So of a hundred thousand sidecars DNS
 * hears when they start, and when nobody of the pool answers them.
 *
 * Who is asked is one of its own region that is up, by chance: mostly among those it is connected to, which costs no
 * handshake, and now and then among all, so that one that errs is not believed for long. Whoever fails is followed by
 * another one. What is no ring, of another pool, or has nobody of this region, is refused; and who is missing from one
 * that is taken keeps its place for a while (members.h). So who was known stays known, whatever one member says.
 *
 * A hundred thousand sidecars must not come together: each pause has chance in it, and what is heard again and again is
 * followed more and more rarely, down to the pace that is kept anyway.
 *
 * One loop's; what other threads may call is said.
 */
#ifndef HEADPOND_POOL_FOLLOW_H
#define HEADPOND_POOL_FOLLOW_H

#include <stdint.h>

#include "pool/identity.h"
#include "pool/members.h"

/* Between two looks; a tenth more by chance. */
#define FOLLOW_MS 30000
/* After another ring has been heard of: half of that or more, and longer each time until there was nothing to hear. */
#define FOLLOW_SOON_MS 1000

struct discover;
struct follow;
struct loop;

/* `own` and the members outlive it. */
struct follow *follow_new(const struct identity *own, struct members *members);
/* After the loops have been joined. Empties the pointer, which may be NULL. */
void follow_free(struct follow **follow);

/* Whom to have look again when nobody answers; it outlives the loops. Any thread. */
void follow_start(struct follow *follow, struct discover *discover);
/* The loop it is on: after peers.h's part of it, and before that ends. */
void follow_loop_init(struct follow *follow, struct loop *loop);
void follow_loop_fini(struct follow *follow);

/* Members have been found (discover_terms.found). Any thread, as the next one. */
void follow_found(void *follow);
/* Somebody has answered by the ring of that digest; 0: it was not said. Costs a comparison. */
void follow_heard(struct follow *follow, uint64_t view);

#endif
