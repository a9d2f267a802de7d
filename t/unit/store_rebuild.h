/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_rebuild.h: what the tests of a rebuild share: an index is taken away, a disk takes its time, and what the store
 * says it holds is looked at.
 */
#ifndef HEADPOND_T_UNIT_STORE_REBUILD_H
#define HEADPOND_T_UNIT_STORE_REBUILD_H

#include <limits.h>

#include "store/io.h"
#include "store/label.h"
#include "store_fixture.h"

#define BLOCK (64 * KIB)
#define SIZE (24 * MIB)
#define GROUP(object) fixture_hash((object) % 10 + 1000000)

UNUSED static char *file_of(const char *path, const char *name)
{
    static char file[4300];
    snprintf(file, sizeof file, "%s/%s", path, name);
    return file;
}

UNUSED static void index_delete(const char *path)
{
    unlink(file_of(path, "index/data.mdb"));
    unlink(file_of(path, "index/lock.mdb"));
    rmdir(file_of(path, "index"));
}

UNUSED static bool is_there(const char *path, const char *name)
{
    return access(file_of(path, name), F_OK) == 0;
}

UNUSED static struct label label_of(const char *path)
{
    struct label label = {0};
    const char *damaged;
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0 || label_read(dir, &label, &damaged) != STATUS_OK)
        abort();
    close(dir);
    return label;
}

UNUSED static void wait_tombstone(struct store *store, struct hash128 name)
{
    struct arrival arrival;
    arrival_init(&arrival);
    store_tombstone(store, name, fixture_loop, &arrival.letter);
    arrival_wait(&arrival, 1);
}

/* ---- A disk that takes its time. ---- */

static atomic_uint gate;      /* reads that may still be made; the rest wait */
static atomic_uint read_usec; /* what each takes */

UNUSED static ssize_t gated_readv(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
    unsigned left;
    while ((left = atomic_load(&gate)) == 0)
        usleep(1000); /* a disk that takes its time */
    if (left != UINT_MAX)
        atomic_fetch_sub(&gate, 1);
    usleep(atomic_load(&read_usec));
    return io_system()->readv(fd, iov, count, offset, flags);
}

UNUSED static void gate_set(unsigned reads)
{
    static struct io_ops gated;
    gated = *io_system();
    gated.readv = gated_readv;
    atomic_store(&gate, reads);
    io_set(&gated);
}

UNUSED static void gate_open(void)
{
    atomic_store(&gate, UINT_MAX);
    io_set(NULL);
}

#endif
