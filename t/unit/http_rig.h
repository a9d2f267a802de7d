/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_rig.h: a server for the tests of http/: two loops, one clear and one TLS port, a certificate made at run time,
 * and a handler whose replies are told by the path. Bytes are seeded: byte i of any body is rig_byte(i).
 *
 *   /mem/N           N bytes at once                     /unknown/N      the same without a length
 *   /slow/N/P        pieces of P bytes, each after a WAIT
 *   /fail/N/M        announces N, fails after M           /failunknown/M  the same without a length
 *   /short/N/M       announces N, ends after M
 *   /late/N          answered from a later event          /status/S       S without a body
 *   /echo            the request's body                   /count          "BYTES SUM" of it
 *   /ignore          answers without reading the body     /drop           closes the body unread, answers
 *   /never           never answers                        /abort          http_abort
 *   /headers         the request as the handler saw it    /hold/MS        stops the loop so long, answers
 */
#ifndef HEADPOND_T_UNIT_HTTP_RIG_H
#define HEADPOND_T_UNIT_HTTP_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/exchange.h"
#include "http/server.h"
#include "net/tls.h"

struct rig_options {
    struct http_limits limits;
    unsigned loops;
    const struct tls_options *tls; /* of the TLS port; NULL: the certificate that the rig makes */
    /* Answers what is not told above, on a loop, or does not; NULL: 404. */
    void (*other)(struct http_exchange *x);
};

struct rig {
    unsigned clear_port;
    unsigned tls_port;
    char directory[64];
    char certificate[96];
    char key[96];
};

static inline uint8_t rig_byte(uint64_t i)
{
    return (uint8_t) ((i * 2654435761u >> 7) ^ (i >> 16));
}

/* One rig at a time. */
void rig_start(struct rig *rig, const struct rig_options *options);
void rig_stop(struct rig *rig);
/* A connection to its clear port; what it waits for, it waits 20 seconds for. `room`: of the receive buffer in bytes;
 * 0: as the system has it. Bails out when there is none. */
int rig_dial(const struct rig *rig, int room);
/* A port of 127.0.0.1 where nobody is. */
unsigned rig_free_port(void);
/* Begins to drain every loop's server. */
void rig_drain(void);

/* How often `finished` came with that status since the start. */
unsigned rig_finished(enum status how);
/* Waits (10 seconds at most) until it has come that often. */
bool rig_wait_finished(enum status how, unsigned count);
bool rig_wait_connections(unsigned count);
unsigned rig_requests(void);
unsigned rig_refused(void);
/* Waits until so many requests have arrived. */
bool rig_wait_requests(unsigned count);
/* How far the slow sources have been pulled. */
uint64_t rig_pulled(void);

/* A certificate for 127.0.0.1 and localhost, signed by itself, as two PEM files. */
void rig_make_certificate(const char *certificate, const char *key);

#endif
