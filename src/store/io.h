/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io.h: the seam between the store and the system's file calls.
 *
 * Everything the store does to data files goes through one small table of functions, so that a test can make a disk
 * slow, full or broken. LMDB's own file is the exception: it is only reached through index.c.
 */
#ifndef HEADPOND_STORE_IO_H
#define HEADPOND_STORE_IO_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/status.h"

/* Each as the system call it is named after; errno says why. */
struct io_ops {
    ssize_t (*readv)(int fd, const struct iovec *iov, int count, off_t offset, int flags); /* preadv2 */
    ssize_t (*writev)(int fd, const struct iovec *iov, int count, off_t offset);           /* pwritev */
    int (*datasync)(int fd);
    int (*allocate)(int fd, off_t offset, off_t length); /* fallocate, mode 0 */
    /* cachestat(2), Linux 6.5: how many pages of that part of the file the page cache holds. */
    int (*cached)(int fd, off_t offset, size_t length, uint64_t *pages);
};

extern _Atomic(const struct io_ops *) io_current;

/* What the system offers; a test's table usually falls through to it. */
const struct io_ops *io_system(void);
/* Replaces the table; NULL: the system's own again. Any thread, but the store does not expect it mid-call. */
void io_set(const struct io_ops *ops);

static inline const struct io_ops *io(void)
{
    return atomic_load_explicit(&io_current, memory_order_relaxed);
}

#define IO_PIECES 4

/* All of the pieces (at most IO_PIECES), however many calls it takes. IO with errno set on an error of the disk,
 * CORRUPT when the file ends too early. May wait. */
enum status io_read_all(int fd, const struct iovec *iov, int count, off_t offset) STATUS_CHECKED;
/* NO_SPACE or IO, errno set. May wait. */
enum status io_write_all(int fd, const struct iovec *iov, int count, off_t offset) STATUS_CHECKED;

#endif
