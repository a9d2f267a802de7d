/* SPDX-License-Identifier: Apache-2.0 */
/*
 * invalidate.h: what one write makes worthless (decision 5): all its fences, raised before it is forwarded and lifted
 * when it has ended, and those that are told of it in a pool if it may have been done. One write may need several: the
 * blob it names, the base blob of a snapshot, the container's grants. Own loop.
 */
#ifndef HEADPOND_PROXY_INVALIDATE_H
#define HEADPOND_PROXY_INVALIDATE_H

#include <stdbool.h>

#include "proxy/proxy.h"
#include "proxy/route.h"

struct invalidation;
struct tells_wait;

/* NULL: the write touches nothing that is kept. Else `raised` is called once when it may be forwarded, never from
 * inside this call. Copies what it needs of the route, so that it may outlive the request. */
struct invalidation *invalidation_raise(struct proxy_loop *home, const struct route *route, void (*raised)(void *arg),
                                        void *arg);
/* The write has ended, at any time, also before `raised` came (which will not come then). `refused`: nothing changed,
 * by the origin's word or because it never got there whole; else it was done, or nobody knows. `wait`: where that is not
 * NULL and others are told, *wait is what waits for them. Empties the pointer; *invalidation may be NULL. */
void invalidation_lift(struct invalidation **invalidation, bool refused, struct tells_wait **wait);

#endif
