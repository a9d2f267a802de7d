/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.h: the distance between two places, and what may befall it: the connections that a relay has taken for one
 * target, whose bytes arrive later than they were sent, and perhaps at a rate.
 *
 * A connection costs a round trip first, as one over a distance does: the target hears of it after `delay_ns`, and what
 * the client sends counts as sent when the answer to that would have come back. All connections of a wire share its
 * rate. What is under way is bounded: a direction of a connection that holds WIRE_HELD_MOST is not read from.
 */
#ifndef T_POOL_WIRE_H
#define T_POOL_WIRE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>

#define WIRE_HELD_MOST (4 << 20)

struct event_base;
struct flow;

enum { WIRE_TO_TARGET, WIRE_TO_CLIENT, WIRE_WAYS };

struct wire {
    struct event_base *base;
    struct sockaddr_storage target;
    socklen_t target_length;
    int64_t delay_ns;           /* one way; may be changed at any time */
    int64_t rate;               /* bytes/s each way; 0: no limit */
    bool cut;                   /* nothing moves, in silence; by wire_cut() and wire_join() */
    int64_t free_ns[WIRE_WAYS]; /* when what was sent so far has left, at that rate */
    int64_t bytes[WIRE_WAYS];   /* that have arrived */
    int64_t taken, open;        /* connections, ever and now */
    LIST_HEAD(, flow) flows;
};

/* A connection that a client has made; the descriptor is the wire's from now on. */
void wire_take(struct wire *wire, int client);
/* What is under way stays there, until wire_join(), after which it arrives: as TCP would have sent it anew. */
void wire_cut(struct wire *wire);
void wire_join(struct wire *wire);
/* Resets all connections, at both ends. */
void wire_reset(struct wire *wire);

int64_t wire_now_ns(void);

#endif
