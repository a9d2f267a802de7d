/* SPDX-License-Identifier: Apache-2.0 */
/* hostport.h: "HOST:PORT" as people write it, in its parts and compared. Pure; any thread. */
#ifndef HEADPOND_BASE_HOSTPORT_H
#define HEADPOND_BASE_HOSTPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* An IPv4 address or a name, or an IPv6 address in brackets, which *host is without. The port is 0 to 65535. False with
 * a few words in *problem. */
bool hostport_split(struct str text, struct str *host, int64_t *port, const char **problem);

/* Whether two hosts to listen on name, or one of them contains, the same address: 0.0.0.0 is all of IPv4, :: is all of
 * IPv6. A name is taken for itself, but for localhost, which is 127.0.0.1 and ::1. */
bool host_overlaps(struct str a, struct str b);
/* Whether only this machine reaches it: localhost, ::1, 127.0.0.0/8. */
bool host_is_loopback(struct str host);

#endif
