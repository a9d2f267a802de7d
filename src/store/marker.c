/* SPDX-License-Identifier: Apache-2.0 */
/* marker.c: markers set, counted and taken away. */
#include "store/marker.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/disk.h"
#include "store/guard.h"

#define LOADING_MAX 3
#define REBUILD_MAX 3

/* Adds a byte to it. */
static enum status set(int dir, const char *name, bool durable)
{
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_APPEND | GUARD_OPEN, 0600);
    if (fd < 0)
        return STATUS_IO;
    bool good = write(fd, "x", 1) == 1 && (!durable || (fsync(fd) == 0 && fsync(dir) == 0));
    close(fd);
    return good ? STATUS_OK : STATUS_IO;
}

/* In bytes; -1: there is none. */
static off_t size(int dir, const char *name)
{
    struct stat info;
    return fstatat(dir, name, &info, AT_SYMLINK_NOFOLLOW) == 0 ? info.st_size : -1;
}

/* ---- Opening. ---- */

bool marker_distrusts(const struct disk *disk, const char **why)
{
    if (size(disk->dir, "opening") > 0)
        *why = "opening it did not come to an end the last time, or it could not be written";
    else if (size(disk->dir, "loading") >= LOADING_MAX)
        *why = "reading it did not come to an end three times";
    else if (size(disk->dir, "rebuild") >= 0)
        *why = "that did not come to an end the last time";
    else
        return false;
    return true;
}

bool marker_doubts(const struct disk *disk)
{
    return size(disk->dir, "believed") <= 0;
}

bool marker_gives_up(const struct disk *disk)
{
    return size(disk->dir, "rebuild") >= REBUILD_MAX;
}

enum status marker_rebuilds(const struct disk *disk)
{
    return set(disk->dir, "rebuild", true);
}

void marker_index_gone(const struct disk *disk)
{
    (void) unlinkat(disk->dir, "opening", 0);
    (void) unlinkat(disk->dir, "loading", 0);
}

enum status marker_opens(const struct disk *disk)
{
    return set(disk->dir, "opening", true);
}

void marker_not_opened(const struct disk *disk)
{
    (void) unlinkat(disk->dir, "opening", 0);
}

static void believe(struct disk *disk)
{
    if (marker_doubts(disk) && set(disk->dir, "believed", true) != STATUS_OK)
        disk_error(disk, "marker", errno);
}

void marker_opened(struct disk *disk)
{
    /* Without it the next start asks for all; with the last one left it would rebuild the index. */
    believe(disk);
    if (set(disk->dir, "loading", false) != STATUS_OK)
        disk_error(disk, "marker", errno);
    /* Durably: a power failure must not bring it back, and with it the order to empty the store. */
    if (unlinkat(disk->dir, "opening", 0) != 0 || fsync(disk->dir) != 0)
        disk_error(disk, "marker", errno);
}

/* Removing is possible where the disk is full, too. */
bool marker_disbelieve(const struct disk *disk)
{
    return (unlinkat(disk->dir, "believed", 0) == 0 || errno == ENOENT) && fsync(disk->dir) == 0;
}

/* ---- Later. ---- */

void marker_loaded(const struct disk *disk)
{
    if (unlinkat(disk->dir, "loading", 0) == 0)
        (void) fsync(disk->dir);
}

void marker_rebuilt(struct disk *disk)
{
    if (unlinkat(disk->dir, "rebuild", 0) != 0 || fsync(disk->dir) != 0)
        disk_error(disk, "marker", errno);
    disk->rebuild = false;
}

void marker_put_off(const struct disk *disk)
{
    int fd = openat(disk->dir, "rebuild", O_WRONLY | O_TRUNC | GUARD_OPEN);
    if (fd >= 0)
        close(fd);
}

void marker_condemn(struct disk *disk)
{
    if (set(disk->dir, "opening", true) == STATUS_OK)
        return;
    int error = errno;
    if (!marker_disbelieve(disk))
        disk_error(disk, "marker", error);
}

void marker_uncondemn(struct disk *disk)
{
    if (unlinkat(disk->dir, "opening", 0) != 0 && errno != ENOENT)
        disk_error(disk, "marker", errno);
    believe(disk);
}
