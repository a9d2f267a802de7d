/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slices.h: the endpoints of a service in Kubernetes, from its EndpointSlices (discovery.k8s.io/v1) as the API server
 * tells of them: a list, and then each change (kubernetes.io/docs/reference/using-api/api-concepts). Nothing is asked
 * here. Whatever is odd in an object is left out; one that is none is refused.
 *
 * An endpoint's name is its hostname, which a StatefulSet's pods have; without one its certificate has to tell. Who is
 * not ready is told, too: whether it answers is found out by asking it. Own thread.
 */
#ifndef HEADPOND_POOL_SLICES_H
#define HEADPOND_POOL_SLICES_H

#include <stddef.h>

#include "base/status.h"
#include "base/str.h"
#include "pool/dns.h"

struct slices;

/* `port`: a port's number or name; a NULL str: the only one that a slice has. */
struct slices *slices_new(struct str port);
void slices_free(struct slices **slices);

/* Before a new list: whoever is not in it by slices_listed has gone. */
void slices_begin(struct slices *slices);
/* A page of the list. OK with *next, which is the token of the next page, or empty; PROTOCOL: it is none; TOO_LARGE:
 * there are more slices than any pool has. */
enum status slices_page(struct slices *slices, struct str json, struct strbuf *next) STATUS_CHECKED;
void slices_listed(struct slices *slices);
/* A line of the watch. OK; NOT_FOUND: its version has gone, the list is to be read anew; PROTOCOL, TOO_LARGE. */
enum status slices_event(struct slices *slices, struct str json) STATUS_CHECKED;
/* From where a watch goes on; "" before a list. Good until the next call. */
const char *slices_version(const struct slices *slices);

/* All endpoints there are now, each once, with its addresses; the caller frees them (dns_hosts_free). The time is
 * nobody's. */
void slices_hosts(const struct slices *slices, struct dns_hosts *hosts);

#endif
