/* SPDX-License-Identifier: Apache-2.0 */
/* sock.c: the few system calls a connection makes, with their errors folded into the status table. */
#include "net/sock.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum status sock_read(struct sock *sock, void *data, size_t size, size_t *got)
{
    *got = 0;
    if (!sock->readable)
        return STATUS_AGAIN;
    ssize_t n;
    do
        n = recv(sock->fd, data, size, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0) {
        if (errno != EAGAIN && errno != EWOULDBLOCK)
            return STATUS_RESET;
        sock->readable = sock->suspect = false;
        return STATUS_AGAIN;
    }
    if (n == 0)
        sock->ended = true; /* and `readable` stays: it can be read again and again */
    else if ((size_t) n < size && !sock->ended)
        sock->readable = false;
    *got = (size_t) n;
    return STATUS_OK;
}

/* OK: *sent bytes, fewer than were shown or not; AGAIN: the buffer is full. */
static enum status send_once(struct sock *sock, const struct iovec *pieces, unsigned count, size_t *sent)
{
    struct msghdr message = {.msg_iov = (struct iovec *) (uintptr_t) pieces, .msg_iovlen = count};
    ssize_t n;
    do
        n = sendmsg(sock->fd, &message, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0) {
        if (errno != EAGAIN && errno != EWOULDBLOCK)
            return STATUS_RESET;
        sock->writable = false;
        return STATUS_AGAIN;
    }
    *sent = (size_t) n;
    sock->suspect = false; /* an error would have been told */
    return STATUS_OK;
}

enum status sock_write(struct sock *sock, const struct iovec *pieces, unsigned count, size_t *taken)
{
    struct iovec rest[SOCK_MAX_IOV];
    *taken = 0;
    if (!sock->writable)
        return STATUS_AGAIN;
    assert(count <= SOCK_MAX_IOV);
    size_t total = 0, sent;
    for (unsigned i = 0; i < count; i++)
        total += pieces[i].iov_len;
    enum status status = send_once(sock, pieces, count, taken);
    /* A short count does not mean that the buffer is full, and that an event will follow: it ends also where a piece
     * lies in a mapping of a file that was cut short. So the rest is tried, until the kernel says one or the other. */
    while (status == STATUS_OK && *taken < total) {
        size_t skip = *taken;
        unsigned left = 0;
        for (unsigned i = 0; i < count; i++) {
            size_t gone = skip < pieces[i].iov_len ? skip : pieces[i].iov_len;
            skip -= gone;
            if (gone < pieces[i].iov_len)
                rest[left++] = (struct iovec){(uint8_t *) pieces[i].iov_base + gone, pieces[i].iov_len - gone};
        }
        sent = 0;
        status = send_once(sock, rest, left, &sent);
        *taken += sent;
    }
    return status == STATUS_AGAIN && *taken > 0 ? STATUS_OK : status;
}

bool sock_poll_writable(struct sock *sock)
{
    struct pollfd asked = {.fd = sock->fd, .events = POLLOUT};
    sock->writable = poll(&asked, 1, 0) > 0;
    return sock->writable;
}

enum status sock_error(struct sock *sock)
{
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(sock->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0)
        return STATUS_RESET;
    return STATUS_OK;
}

size_t sock_unread(const struct sock *sock)
{
    int bytes = 0;
    return ioctl(sock->fd, FIONREAD, &bytes) == 0 && bytes > 0 ? (size_t) bytes : 0;
}

void sock_close(struct sock *sock, bool reset)
{
    if (sock->fd < 0)
        return;
    if (reset) {
        const struct linger now = {1, 0};
        setsockopt(sock->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
    close(sock->fd);
    sock->fd = -1;
}
