/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sock.h: a non-blocking stream socket and what is known of its readiness.
 *
 * Readiness comes edge-triggered, so it is remembered here: `readable` and `writable` say that a call is worth making.
 * A short read empties the mark without a further call that would only say EAGAIN. Owning loop only.
 */
#ifndef HEADPOND_NET_SOCK_H
#define HEADPOND_NET_SOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

#include "base/status.h"

struct sock {
    int fd;
    bool readable;
    bool writable;
    bool ended;   /* the peer has sent its last byte (it may still be unread) */
    bool suspect; /* an error may lie behind the bytes a short read took, of which no event would tell again;
                     what is sent after them would meet it */
};

/* OK with *got > 0; OK with *got == 0: the peer's end; AGAIN; RESET. */
enum status sock_read(struct sock *sock, void *data, size_t size, size_t *got) STATUS_CHECKED;
/* One sendmsg of at most SOCK_MAX_IOV pieces. OK: *taken > 0; AGAIN; RESET. No SIGPIPE. */
#define SOCK_MAX_IOV 64
enum status sock_write(struct sock *sock, const struct iovec *pieces, unsigned count, size_t *taken) STATUS_CHECKED;
/* Asks the kernel whether a good part of the send buffer is free, for who writes past sock_write; remembers the answer.
 * After a no an event follows. */
bool sock_poll_writable(struct sock *sock);
/* The pending error of the socket, which is taken away: OK, CONNECT-phase failures included as RESET. */
enum status sock_error(struct sock *sock) STATUS_CHECKED;
/* Bytes the kernel holds to be read. */
size_t sock_unread(const struct sock *sock);
/* Closes; with `reset` the peer sees RST, and what the kernel still holds is dropped. */
void sock_close(struct sock *sock, bool reset);

#endif
