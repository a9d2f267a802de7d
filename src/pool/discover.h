/* SPDX-License-Identifier: Apache-2.0 */
/*
 * discover.h: finds the members of all regions where the configuration says they are (base/conf_members.h), and tells
 * members.h. A list is looked at as it is, its hosts' names again and again; a name in DNS again when its time is over;
 * a service in Kubernetes is watched (kube.h). While nobody answers, who was known stays known. Where DNS or Kubernetes
 * has addresses alone, each is greeted once (greet.h): its certificate says who it is, and who is of another pool or
 * region, or no member, is passed over.
 *
 * A thread for each region, which waits for whoever it asks: one that does not answer holds up no other.
 *
 * A sidecar looks once, for its own region alone, until it has found somebody who tells it the rest (follow.h), and
 * again when it is told to. Of addresses without names it greets a few, by chance, and not thousands.
 */
#ifndef HEADPOND_POOL_DISCOVER_H
#define HEADPOND_POOL_DISCOVER_H

#include <netinet/in.h>

#include "base/conf.h"
#include "net/tls.h"
#include "pool/members.h"

struct discover;

struct discover_terms {
    const struct conf_pool *pool; /* checked; as all of these it outlives the threads */
    struct members *members;
    const struct tls *tls;                /* as for peers.h */
    const struct sockaddr_in *dns_server; /* or NULL: the system's */
    const char *service_account;          /* as kube.h has it, or NULL */
    bool once;                            /* as a sidecar does */
    void (*found)(void *arg);             /* members have been told of; on one of the threads; or NULL */
    void *arg;
};

/* Starts the threads. */
struct discover *discover_start(const struct discover_terms *terms);
/* Of one that looks once: it looks again. Any thread. */
void discover_again(struct discover *discover);
/* Ends the threads: a watch at once, else as soon as whoever it waits for has answered, or has not in time. NULL is
 * allowed. */
void discover_stop(struct discover *discover);
/* When they have been ended, and nobody may call anything of this any more. Empties the pointer, which may be NULL. */
void discover_free(struct discover **discover);

#endif
