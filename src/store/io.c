/* SPDX-License-Identifier: Apache-2.0 */
/* io.c: the system's table, and whole reads and writes on top of whichever table is set. */
#include "store/io.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The same number everywhere; the headers may be older than the kernel. */
#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif

static ssize_t system_readv(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
    return preadv2(fd, iov, count, offset, flags);
}

static ssize_t system_writev(int fd, const struct iovec *iov, int count, off_t offset)
{
    return pwritev(fd, iov, count, offset);
}

static int system_allocate(int fd, off_t offset, off_t length)
{
    return fallocate(fd, 0, offset, length);
}

static int system_cached(int fd, off_t offset, size_t length, uint64_t *pages)
{
    struct {
        uint64_t offset, length;
    } range = {(uint64_t) offset, length};
    struct {
        uint64_t cached, dirty, writeback, evicted, recently_evicted;
    } count;
    if (syscall(SYS_cachestat, fd, &range, &count, 0) != 0)
        return -1;
    *pages = count.cached;
    return 0;
}

static const struct io_ops io_system_ops = {system_readv, system_writev, fdatasync, system_allocate, system_cached};
_Atomic(const struct io_ops *) io_current = &io_system_ops;

const struct io_ops *io_system(void)
{
    return &io_system_ops;
}

void io_set(const struct io_ops *ops)
{
    atomic_store(&io_current, ops == NULL ? &io_system_ops : ops);
}

/* Takes `done` bytes off the front of the pieces; true while something is left. */
static bool io_advance(struct iovec *iov, int *first, int count, size_t done)
{
    while (*first < count && done >= iov[*first].iov_len)
        done -= iov[(*first)++].iov_len;
    if (*first == count)
        return false;
    iov[*first].iov_base = (char *) iov[*first].iov_base + done;
    iov[*first].iov_len -= done;
    return true;
}

enum status io_read_all(int fd, const struct iovec *iov, int count, off_t offset)
{
    struct iovec rest[IO_PIECES];
    assert(count > 0 && count <= IO_PIECES);
    for (int i = 0; i < count; i++)
        rest[i] = iov[i];
    int first = 0;
    while (io_advance(rest, &first, count, 0)) {
        ssize_t got = io()->readv(fd, rest + first, count - first, offset, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return STATUS_IO;
        if (got == 0)
            return STATUS_CORRUPT;
        offset += got;
        io_advance(rest, &first, count, (size_t) got);
    }
    return STATUS_OK;
}

enum status io_write_all(int fd, const struct iovec *iov, int count, off_t offset)
{
    struct iovec rest[IO_PIECES];
    assert(count > 0 && count <= IO_PIECES);
    for (int i = 0; i < count; i++)
        rest[i] = iov[i];
    int first = 0;
    while (io_advance(rest, &first, count, 0)) {
        ssize_t put = io()->writev(fd, rest + first, count - first, offset);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return put < 0 && (errno == ENOSPC || errno == EDQUOT) ? STATUS_NO_SPACE : STATUS_IO;
        offset += put;
        io_advance(rest, &first, count, (size_t) put);
    }
    return STATUS_OK;
}
