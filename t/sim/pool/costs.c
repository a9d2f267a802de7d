/* SPDX-License-Identifier: Apache-2.0 */
/*
 * costs.c: what a pool of that size costs in connections, memory and questions about who is there. Sums, not events: each
 * row says how it came about.
 */
#include <stdio.h>

#include "pool/hedge.h"
#include "pool/peers.h"
#include "world.h"

/* Assumed. */
#define LOOPS 8               /* of a member; a sidecar has one */
#define CLIENT_CONNECTIONS 32 /* of a sidecar, as pool.c has it */
#define CONNECTION_KIB 60     /* an idle one: TLS, HTTP/2, both ends alike */
#define DNS_TTL_S 30
#define SRV_BYTES 90       /* a service and its host's address: headpond-1234.pond.namespace.svc.cluster.local. */
#define RING_ASKED_S 30    /* a sidecar asks for the ring, by its ETag */
#define RING_BYTES 48      /* of a member in it */
#define ENDPOINT_BYTES 400 /* in an EndpointSlice, as JSON */
#define SLICE_ENDPOINTS 100
#define BLOCK_BYTES 15  /* of memory, that a known block costs (decision 2) */
#define DISK_BLOCKS 1e6 /* that a member holds: 1 TiB */

static void row(const char *what, double value, const char *unit, const char *how)
{
    printf("cost what=%s value=%.6g unit=%s how=%s\n", what, value, unit, how);
}

void scene_costs(const struct terms *terms)
{
    double members = (double) (terms->nodes / terms->regions), nodes = (double) terms->nodes;
    double sidecars = (double) terms->sidecars, regions = (double) terms->regions;
    double each = members < CLIENT_CONNECTIONS ? members : CLIENT_CONNECTIONS;
    double clients = sidecars * each / nodes, peers = (members - 1) * LOOPS, far = (nodes - members) * LOOPS;
    row("connections of a sidecar", each, "", "all that its loop may have");
    row("sidecars of a cluster", sidecars / (double) terms->clusters, "", "none of them asks DNS or its API server");
    row("connections of sidecars to a member", clients, "", "sidecars * theirs / members");
    row("connections to a member from its region", peers, "",
        "(members of the region - 1) * 8 loops: each asks each home");
    row("connections to a member from other regions", far, "",
        "members of other regions * 8 loops, if all of them ask");
    double all = clients + 2 * peers + 2 * far;
    row("connections of a member", all, "", "those of sidecars, and of members both ways");
    row("of a loop to others", peers / LOOPS + far / LOOPS, "", "of 4096 that it may have");
    row("memory of these", all * CONNECTION_KIB / 1024, "MiB", "60 KiB each (assumed)");
    row("memory of a sidecar's", each * CONNECTION_KIB / 1024, "MiB", "likewise");
    row("memory of times for hedging", (double) sizeof(struct hedge_times) * nodes * LOOPS / 1048576, "MiB",
        "each loop's, of all members");
    row("memory of spreading", (512.0 + 32) * LOOPS / 1024, "MiB", "each loop's, as who asks and as a home");
    row("memory of known blocks", DISK_BLOCKS * BLOCK_BYTES / 1e6, "MB", "1 TiB of blocks of 1 MiB, 15 bytes each");

    row("DNS: questions a second", nodes * regions / DNS_TTL_S, "1/s",
        "each member asks for each region once in the TTL of 30 s; a sidecar asks a member");
    row("DNS: size of an answer", members * SRV_BYTES / 1024, "KiB", "90 bytes a member, over TCP");
    row("DNS: members in 64 KiB", 65536.0 / SRV_BYTES, "", "no message is larger");
    row("DNS: bytes a second", nodes * regions / DNS_TTL_S * members * SRV_BYTES / 1e6, "MB/s",
        "all members, all regions");
    row("DNS of addresses: greetings at a start", members * (members - 1), "",
        "each member of a region greets each other once");
    row("Kubernetes: watches of a region's API server", members, "", "one a member; sidecars have none");
    double slice = (members < SLICE_ENDPOINTS ? members : SLICE_ENDPOINTS) * ENDPOINT_BYTES / 1024;
    row("Kubernetes: bytes of one change", members * slice / 1024, "MiB",
        "a slice of 100 endpoints of 400 bytes to each watch");
    row("Kubernetes: of a rolling restart", 2 * members * members * slice / 1048576, "GiB",
        "each member goes and comes: two changes");
    row("Kubernetes: that restart over 10 minutes", 2 * members * members * slice / 1024 / 600, "MiB/s",
        "the same by time");
    row("ring: questions a second at a member", sidecars / nodes / RING_ASKED_S, "1/s",
        "each sidecar once in 30 s, mostly answered by 304");
    row("ring: its size", nodes * RING_BYTES / 1024, "KiB", "48 bytes a member, of all regions");
    row("ring: bytes of one change at a member", sidecars / nodes * nodes * RING_BYTES / 1048576, "MiB",
        "each of its sidecars reads it anew, within 30 s");
    row("probes: of a crowd that opens one blob", regions, "",
        "one a region and credential: the record home collapses them");
}
