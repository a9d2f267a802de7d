/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bad_disk.c: preloaded into headpond, makes one directory's disk hang or fail, whoever calls (LMDB, too).
 *
 * BAD_DISK names the directory and BAD_DISK_MODE a file whose first word says how it behaves now: well, hang, eio,
 * enospc (writing only) or erofs (writing only). Read again for each call on a file of that directory; who hangs looks
 * twenty times a second whether that is over.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum access { READING, WRITING };

static bool below(const char *path)
{
    const char *directory = getenv("BAD_DISK");
    return directory != NULL && strncmp(path, directory, strlen(directory)) == 0;
}

static bool is_bad(int fd)
{
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0)
        return false;
    path[length] = '\0';
    return below(path);
}

static void mode_now(char mode[16])
{
    const char *name = getenv("BAD_DISK_MODE");
    int fd = name == NULL ? -1 : (int) syscall(SYS_openat, AT_FDCWD, name, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? 0 : syscall(SYS_read, fd, mode, 15);
    if (fd >= 0)
        close(fd);
    mode[length < 0 ? 0 : length] = '\0';
    mode[strcspn(mode, "\n")] = '\0';
}

/* Waits while it hangs; 0, or an errno. */
static int behave(enum access access)
{
    char mode[16];
    int saved = errno;
    for (mode_now(mode); strcmp(mode, "hang") == 0; mode_now(mode))
        nanosleep(&(struct timespec){0, 50000000}, NULL);
    errno = saved;
    if (strcmp(mode, "eio") == 0)
        return EIO;
    if (access == WRITING && strcmp(mode, "enospc") == 0)
        return ENOSPC;
    return access == WRITING && strcmp(mode, "erofs") == 0 ? EROFS : 0;
}

static bool pass(int fd, enum access access)
{
    int error = is_bad(fd) ? behave(access) : 0;
    if (error != 0)
        errno = error;
    return error == 0;
}

#define NEXT(name) ((__typeof__(&name)) dlsym(RTLD_NEXT, #name))

ssize_t pread(int fd, void *data, size_t size, off_t offset)
{
    return pass(fd, READING) ? NEXT(pread)(fd, data, size, offset) : -1;
}

ssize_t preadv2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
    if (flags & RWF_NOWAIT) /* never waits for a disk */
        return NEXT(preadv2)(fd, iov, count, offset, flags);
    return pass(fd, READING) ? NEXT(preadv2)(fd, iov, count, offset, flags) : -1;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    return pass(fd, WRITING) ? NEXT(pwrite)(fd, data, size, offset) : -1;
}

ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
    return pass(fd, WRITING) ? NEXT(pwritev)(fd, iov, count, offset) : -1;
}

int fdatasync(int fd)
{
    return pass(fd, WRITING) ? NEXT(fdatasync)(fd) : -1;
}

int fsync(int fd)
{
    return pass(fd, WRITING) ? NEXT(fsync)(fd) : -1;
}

int fallocate(int fd, int mode, off_t offset, off_t length)
{
    return pass(fd, WRITING) ? NEXT(fallocate)(fd, mode, offset, length) : -1;
}

int openat(int dir, const char *name, int flags, ...)
{
    mode_t mode = 0;
    if (flags & O_CREAT) {
        va_list args;
        va_start(args, flags);
        mode = va_arg(args, mode_t);
        va_end(args);
    }
    bool writes = (flags & O_CREAT) || (flags & O_ACCMODE) != O_RDONLY;
    if (dir != AT_FDCWD && !pass(dir, writes ? WRITING : READING))
        return -1;
    return NEXT(openat)(dir, name, flags, mode);
}

int unlinkat(int dir, const char *name, int flags)
{
    return dir == AT_FDCWD || pass(dir, WRITING) ? NEXT(unlinkat)(dir, name, flags) : -1;
}
