/* SPDX-License-Identifier: Apache-2.0 */
/* store_rebuild.c: see store_rebuild.h. */
#include "store_rebuild.h"

atomic_uint gate, read_usec;

char *file_of(const char *path, const char *name)
{
    static char file[4300];
    snprintf(file, sizeof file, "%s/%s", path, name);
    return file;
}

void index_delete(const char *path)
{
    unlink(file_of(path, "index/data.mdb"));
    unlink(file_of(path, "index/lock.mdb"));
    rmdir(file_of(path, "index"));
}

bool is_there(const char *path, const char *name)
{
    return access(file_of(path, name), F_OK) == 0;
}

struct label label_of(const char *path)
{
    struct label label = {0};
    const char *damaged;
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0 || label_read(dir, &label, &damaged) != STATUS_OK)
        abort();
    close(dir);
    return label;
}

static ssize_t gated_readv(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
    unsigned left;
    while ((left = atomic_load(&gate)) == 0)
        usleep(1000); /* a disk that takes its time */
    if (left != UINT_MAX)
        atomic_fetch_sub(&gate, 1);
    usleep(atomic_load(&read_usec));
    return io_system()->readv(fd, iov, count, offset, flags);
}

void gate_set(unsigned reads)
{
    static struct io_ops gated;
    gated = *io_system();
    gated.readv = gated_readv;
    atomic_store(&gate, reads);
    io_set(&gated);
}

void gate_open(void)
{
    atomic_store(&gate, UINT_MAX);
    io_set(NULL);
}
