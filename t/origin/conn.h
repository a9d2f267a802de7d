/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One client connection: reads requests, has them answered, and pushes replies, with whatever the
 * reply's fault does to the transfer. Called by its worker only.
 */
#ifndef T_ORIGIN_CONN_H
#define T_ORIGIN_CONN_H

#include "serve.h"

/* Takes over the descriptor. NULL: it had to be closed. */
struct watch *conn_new(struct worker *worker, int fd, SSL_CTX *tls);

/* Both may free the connection. */
void conn_event(struct watch *w, uint32_t events);
void conn_timeout(struct watch *w);

#endif
