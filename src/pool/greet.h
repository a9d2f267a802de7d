/* SPDX-License-Identifier: Apache-2.0 */
/*
 * greet.h: who is at an address, where nothing but its certificate tells: a TLS handshake, and no more. Waits for the
 * network: for a thread of its own that RCU knows.
 */
#ifndef HEADPOND_POOL_GREET_H
#define HEADPOND_POOL_GREET_H

#include <stdint.h>
#include <sys/socket.h>

#include "base/status.h"
#include "net/tls.h"
#include "pool/identity.h"

/* CONNECT: nobody in so many ms; TLS: no handshake in as many again; NOT_FOUND, INVALID: as identity_of. */
enum status greet(const struct tls *tls, const struct sockaddr *address, socklen_t length, int64_t patience_ms,
                  struct identity *identity) STATUS_CHECKED;

#endif
