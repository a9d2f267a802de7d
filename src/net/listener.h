/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listener.h: listening sockets, one per loop for each address (SO_REUSEPORT), so that the kernel spreads connections
 * and no loop hands sockets to another.
 */
#ifndef HEADPOND_NET_LISTENER_H
#define HEADPOND_NET_LISTENER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "base/status.h"
#include "base/str.h"

struct loop;
struct listener;

/* Binds `count` sockets to one address; they listen, but nobody accepts yet. With port 0 the first one's port is the
 * others' too; *port says which. Refuses an address where something listens already. On failure no descriptor is left
 * open and *error holds one line. Any thread, before the loops start. */
enum status listener_bind(const char *address, unsigned count, int *fds, unsigned *port,
                          struct strbuf *error) STATUS_CHECKED;

/* How many connections there may be in all, shared by all listeners that name it. Whoever takes a connection over
 * counts it down again with listener_gone(). */
struct listener_budget {
    atomic_int open;
    int max;                        /* 0: unbounded */
    bool exempt;                    /* few and small: accepted also when memory is short */
    atomic_int_fast64_t starved_ms; /* when accepting was found to wait for memory (clock_mono_ms); 0: it does not */
};
void listener_gone(struct listener_budget *budget);
/* For how many milliseconds nobody was accepted because memory is used up, if somebody knocked and it still is; else 0.
 * Any thread. */
int64_t listener_starved(const struct listener_budget *budget);

/* A connection: non-blocking, close-on-exec, the callee's. On the loop. */
typedef void listener_accept_f(void *arg, int fd, const struct sockaddr *peer, socklen_t length);

/* Starts accepting; takes `fd`. Own loop. Accepting pauses by itself when descriptors, memory or the budget run out. */
struct listener *listener_open(struct loop *loop, int fd, struct listener_budget *budget, listener_accept_f *accept,
                               void *arg);
/* Takes what is still in the queue, then closes the socket. Empties the pointer. */
void listener_close(struct listener **listener);

#endif
