/* SPDX-License-Identifier: Apache-2.0 */
/* address.h: where a socket listens or connects, as people write it and as the system wants it. Any thread. */
#ifndef HEADPOND_NET_ADDRESS_H
#define HEADPOND_NET_ADDRESS_H

#include <stddef.h>
#include <sys/socket.h>

#include "base/status.h"
#include "base/str.h"

/* "HOST:PORT" with an IPv4 address, a name or an IPv6 address in brackets. On failure INVALID or RESOLVE and a line in
 * *error. May block on name resolution. */
enum status address_parse(const char *address, struct sockaddr_storage *parsed, socklen_t *length,
                          struct strbuf *error) STATUS_CHECKED;
#define ADDRESS_TEXT 64 /* room for any of these */
/* The other way round: "127.0.0.1:80", "[::1]:80"; "unix" for a Unix socket. */
void address_format(const struct sockaddr *address, char *text, size_t size);

/* Of an IPv4 or IPv6 address. */
unsigned address_port(const struct sockaddr_storage *address);
void address_set_port(struct sockaddr_storage *address, unsigned port);

#endif
