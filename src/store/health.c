/* SPDX-License-Identifier: Apache-2.0 */
/* health.c: who waits for a disk, since when; and the way out and back in. */
#include "store/health.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/rcu.h"
#include "store/disk.h"
#include "store/guard.h"
#include "store/io.h"

#define PROBE_BYTES 4096
#define NO_SEAT UINT32_MAX
/* A seat's word: milliseconds, and the kind in the low bits. */
#define KIND_BITS 2
#define KIND_MASK 3

static _Thread_local unsigned own_seat = NO_SEAT;

/* A disk that is only busy may take long to write, longer to sync; it reads in time. */
static int64_t limit_ms(enum health_kind kind)
{
    switch (kind) {
    case HEALTH_READ:
        return 2 * HEALTH_LOAD_MS;
    case HEALTH_WRITE:
        return 4000;
    case HEALTH_SYNC:
        return 6000;
    }
    return 0;
}

void health_sit(unsigned seat)
{
    own_seat = seat;
}

void health_wait(struct disk *disk, enum health_kind kind)
{
    rcu_thread_offline();
    if (own_seat < HEALTH_SEATS)
        atomic_store_explicit(&disk->health.seats[own_seat], clock_mono_ms() << KIND_BITS | (int64_t) kind,
                              memory_order_relaxed);
}

void health_waited(struct disk *disk)
{
    if (own_seat < HEALTH_SEATS)
        atomic_store_explicit(&disk->health.seats[own_seat], 0, memory_order_relaxed);
    rcu_thread_online();
}

bool health_out(const struct disk *disk)
{
    struct disk *shared = (struct disk *) (uintptr_t) disk;
    return atomic_load_explicit(&shared->health.out, memory_order_relaxed);
}

void health_read(struct disk *disk, bool good)
{
    struct health *health = &disk->health;
    if (!good && atomic_fetch_add_explicit(&health->read_errors, 1, memory_order_relaxed) + 1 >= HEALTH_READ_ERRORS)
        health_take_out(disk, "it fails one read after another");
    else if (good && atomic_load_explicit(&health->read_errors, memory_order_relaxed) != 0)
        atomic_store_explicit(&health->read_errors, 0, memory_order_relaxed);
}

bool health_stalled(const struct disk *disk, int64_t now_ms)
{
    struct health *health = (struct health *) (uintptr_t) &disk->health;
    for (unsigned i = 0; i < HEALTH_SEATS; i++) {
        int64_t word = atomic_load_explicit(&health->seats[i], memory_order_relaxed);
        if (word != 0 && now_ms - (word >> KIND_BITS) > limit_ms((enum health_kind)(word & KIND_MASK)))
            return true;
    }
    return false;
}

void health_take_out(struct disk *disk, const char *why)
{
    if (atomic_exchange(&disk->health.out, true))
        return;
    log_event(STORE_DISK_OUT, "path=%s: %s; its blocks count as missing until it answers again", disk->path, why);
    metric_cell_add(disk->metrics.errors, 1);
    disk_counted(disk);
    disk_give_up(disk);
}

static bool probe(struct disk *disk)
{
    uint8_t sent[PROBE_BYTES] = "headpond writes, syncs and reads this to see whether the disk is well",
            got[PROBE_BYTES];
    struct iovec out = {sent, sizeof sent}, in = {got, sizeof got};
    int fd = openat(disk->dir, HEALTH_PROBE_FILE, O_RDWR | O_CREAT | GUARD_OPEN, 0600);
    if (fd < 0)
        return false;
    bool good = io_write_all(fd, &out, 1, 0) == STATUS_OK && io()->datasync(fd) == 0;
    /* From the disk and not from memory, as far as the system does us that favour. */
    (void) posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    good = good && io_read_all(fd, &in, 1, 0) == STATUS_OK && memcmp(sent, got, sizeof sent) == 0;
    int error = errno;
    close(fd);
    errno = error;
    return good;
}

bool health_probe(struct disk *disk)
{
    health_wait(disk, HEALTH_SYNC);
    bool good = probe(disk);
    int error = errno;
    health_waited(disk);
    if (!good)
        disk_error(disk, "probe", error);
    return good;
}

void health_take_back(struct disk *disk)
{
    atomic_store(&disk->health.read_errors, 0);
    if (!atomic_exchange(&disk->health.out, false))
        return;
    log_event(STORE_DISK_BACK, "path=%s: the disk answers again and is used", disk->path);
    disk_counted(disk);
}

bool health_join(struct disk *disk, pthread_t thread)
{
    /* Asked again and again: the join that gives up goes by the wall clock. */
    while (pthread_tryjoin_np(thread, NULL) != 0) {
        if (health_stalled(disk, clock_mono_ms())) {
            pthread_detach(thread);
            return false;
        }
        usleep(1000);
    }
    return true;
}
