/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Worker threads, each with an epoll set and a heap of timers. The first worker accepts and deals
 * connections out in turn, so that a few busy ones are spread evenly; from then on a connection
 * belongs to its worker and is touched by no other thread.
 */
#ifndef T_ORIGIN_SERVE_H
#define T_ORIGIN_SERVE_H

#include <openssl/ssl.h>
#include <stddef.h>
#include <stdint.h>

struct worker;

/* What a worker knows of a connection; conn.c embeds it as its first member. */
struct watch {
    struct worker *worker;
    int fd;
    uint32_t events;   /* as registered; 0: not yet */
    int64_t deadline;  /* monotonic ns, 0: none */
    size_t heap_index; /* valid while deadline != 0 */
};

/* EPOLLRDHUP is always added. */
void watch_events(struct watch *w, uint32_t events);
void watch_deadline(struct watch *w, int64_t deadline);
/* No event and no deadline comes any more. Before the descriptor is closed. */
void watch_end(struct watch *w);

struct listener {
    int fd;
    SSL_CTX *tls; /* NULL: in the clear */
};

/* Starts the threads and returns; they run until the process ends. */
void serve_start(const struct listener *listeners, int listener_count, int threads);

#endif
