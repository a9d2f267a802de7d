/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forward.h: a client's own request on its way to the origin, until the reply's head is there.
 *
 * A write outlives its client: once the origin has got all of it, it will be done whether or not somebody still waits,
 * so the fence may only be lifted when the answer has come. One that never got there whole has changed nothing (RFC
 * 9112 section 8: it is incomplete), so it counts as refused. Everything else ends with the request. Own loop.
 */
#ifndef HEADPOND_PROXY_FORWARD_H
#define HEADPOND_PROXY_FORWARD_H

#include "http/exchange.h"
#include "proxy/invalidate.h"
#include "proxy/proxy.h"
#include "proxy/route.h"
#include "proxy/turn.h"

struct forward;

/* Called once, from the loop, never from inside forward_start: the reply's head (good during the call), or NULL and why
 * there is none. The fences have been lifted by then. */
typedef void forward_head_f(void *arg, const struct http_response *head, enum status why);

/* Takes the exchange's body, *invalidation (which may hold NULL) and the turn, which has come. */
struct forward *forward_start(struct proxy_loop *home, struct http_exchange *x, const struct route *route,
                              struct invalidation **invalidation, struct admission *turn, forward_head_f *head,
                              void *arg);
/* How often the origin has been asked again; until its body is taken. */
unsigned forward_retries(const struct forward *forward);
/* After a head: the reply's body as a source of its own, to be closed before the forward is left. Once. */
struct source *forward_body(struct forward *forward);
/* After a head: whether those who are to know of it at once do (tells.h). Else `told` comes, once, when they do or do
 * not answer soon. */
bool forward_told(struct forward *forward, void (*told)(void *arg), void *arg);
/* When there was no head: what was wrong with the client's body, OK if nothing. */
enum status forward_body_error(const struct forward *forward);
/* The request is over, or there was no head. No callback follows. Empties the pointer; *forward may be NULL. */
void forward_leave(struct forward **forward);
/* The loop ends: gives up what is under way. */
void forward_close_all(struct proxy_loop *home);

#endif
