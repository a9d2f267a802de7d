/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns.h: what DNS has under a pool's name (RFC 1035, RFC 2782): services (SRV), which name hosts, or else addresses.
 * Asked by glibc's resolver, as /etc/resolv.conf says: large answers come over TCP. A message holds 64 KiB, about a
 * thousand members.
 *
 * Waits for the network: for a thread of its own. An answer is a stranger's: whatever is odd in it is left out.
 */
#ifndef HEADPOND_POOL_DNS_H
#define HEADPOND_POOL_DNS_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "pool/members.h"

#define DNS_NAME_MAX 254

struct dns_host {
    char name[DNS_NAME_MAX + 1]; /* without a dot at its end; "" where only addresses are known */
    uint16_t port;               /* 0: none is given */
    uint16_t weight;
    struct member_address addresses[MEMBER_ADDRESSES];
    unsigned address_count;
};

struct dns_hosts {
    struct dns_host *items;
    unsigned count;
    uint32_t ttl_s; /* the shortest of what it is made of */
};

/* The hosts of a name's services, with the addresses that came along or that DNS has for them; where it has no services,
 * one host for each address. `server`: who is asked, or NULL: the system's. Hosts without an address are left out.
 * NOT_FOUND: there are none; RESOLVE: nobody has answered, or not well. The caller frees *hosts in any case. */
enum status dns_look_up(const struct sockaddr_in *server, const char *name, uint16_t port,
                        struct dns_hosts *hosts) STATUS_CHECKED;
void dns_hosts_free(struct dns_hosts *hosts);

/* Adds what a message's answers say of hosts (SRV), and the addresses that came along. False: it is malformed. Pure. */
bool dns_parse_services(const uint8_t *message, size_t size, struct dns_hosts *hosts);

#endif
