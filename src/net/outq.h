/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outq.h: bytes on their way out that the kernel has not taken: a chain of chunks, drawn from a pool the loop keeps, so
 * that a connection with nothing pending holds nothing. Owning loop only.
 */
#ifndef HEADPOND_NET_OUTQ_H
#define HEADPOND_NET_OUTQ_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

#include "net/sock.h"

struct outq_chunk;

/* Spare chunks of one loop; zero-initialised is empty. */
struct outq_pool {
    struct outq_chunk *spare;
    unsigned count;
};

/* Zero-initialised is empty. */
struct outq {
    struct outq_chunk *first;
    struct outq_chunk *last;
    size_t bytes;
};

void outq_append(struct outq *out, struct outq_pool *pool, const void *data, size_t size);
/* Shows the oldest bytes in at most `max` pieces; returns how many. */
unsigned outq_view(const struct outq *out, struct iovec *pieces, unsigned max);
void outq_consume(struct outq *out, struct outq_pool *pool, size_t bytes);
/* Sends what the socket takes: OK, also when some is left, or RESET. *moved (may be NULL) becomes true when it took
 * any. */
enum status outq_send(struct outq *out, struct outq_pool *pool, struct sock *sock, bool *moved) STATUS_CHECKED;
void outq_clear(struct outq *out, struct outq_pool *pool);
void outq_pool_fini(struct outq_pool *pool);

#endif
