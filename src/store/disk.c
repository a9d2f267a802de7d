/* SPDX-License-Identifier: Apache-2.0 */
/* disk.c: the queues of a disk and the threads that empty them. */
#include "store/disk.h"

#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "base/container.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "net/loop.h"
#include "store/commit.h"
#include "store/generation.h"
#include "store/reclaim.h"
#include "store/transfer.h"

struct put_job {
    struct put_job *next;
    struct store_generation *generation; /* counted */
    uint64_t block;
    struct buf *buf; /* counted */
    uint32_t length;
    unsigned epoch;
    struct loop *loop;
    struct letter *done;
};

void disk_error(struct disk *disk, const char *what, int error)
{
    char text[64];
    metric_cell_add(disk->errors, 1);
    log_event(STORE_IO, "path=%s op=%s errno=%d: %s", disk->path, what, error, strerror_r(error, text, sizeof text));
}

void disk_broken(struct disk *disk)
{
    if (atomic_exchange(&disk->broken, true))
        return;
    metric_cell_add(metric_cell(METRIC_STORE_DISKS, "used"), -1);
    metric_cell_add(metric_cell(METRIC_STORE_DISKS, "failed"), 1);
}

static void rejected(const char *reason)
{
    metric_cell_add(metric_cell(METRIC_STORE_REJECTED, reason), 1);
}

/* ---- Loads. ---- */

static void load_finish(struct disk *disk, struct store_load *load, enum status status, struct buf *buf)
{
    load->status = status;
    load->buf = buf;
    if (atomic_load_explicit(&disk->store->closing, memory_order_relaxed))
        buf_unref(&load->buf);
    store_post(disk->store, load->loop, &load->done);
}

void disk_load(struct disk *disk, struct store_load *load)
{
    load->done.next = NULL;
    pthread_mutex_lock(&disk->mutex);
    bool full = disk->load_count >= DISK_LOADS || disk->stopping;
    if (!full) {
        if (disk->load_last == NULL)
            disk->load_first = load;
        else
            disk->load_last->done.next = &load->done;
        disk->load_last = load;
        disk->load_count++;
        pthread_cond_signal(&disk->work);
    }
    pthread_mutex_unlock(&disk->mutex);
    if (full)
        load_finish(disk, load, STATUS_BUSY, NULL);
}

static struct store_load *load_of(struct letter *letter)
{
    return letter == NULL ? NULL : CONTAINER_OF(letter, struct store_load, done);
}

/* Under the mutex. */
static struct store_load *load_take(struct disk *disk)
{
    struct store_load *load = disk->load_first;
    if (load == NULL)
        return NULL;
    disk->load_first = load_of(load->done.next);
    if (disk->load_first == NULL)
        disk->load_last = NULL;
    disk->load_count--;
    return load;
}

/* ---- Puts. ---- */

/* Whether the disk rests from its errors; after that a put finds out whether it is well again, or
 * sends it back to rest. */
static bool resting(struct disk *disk)
{
    return atomic_load_explicit(&disk->write_errors, memory_order_relaxed) >= DISK_ERRORS_MAX &&
           clock_mono_ms() < atomic_load_explicit(&disk->rest_until_ms, memory_order_relaxed);
}

/* Why a block is not taken, or NULL. */
static const char *refusal(struct disk *disk, const struct store_generation *generation, uint64_t block,
                           uint32_t length)
{
    if (!atomic_load_explicit(&disk->loaded, memory_order_relaxed))
        return "loading";
    if (atomic_load_explicit(&disk->broken, memory_order_relaxed) || resting(disk) ||
        atomic_load_explicit(&disk->sync_errors, memory_order_relaxed) >= DISK_SYNC_ERRORS_MAX)
        return "disk";
    if (atomic_load_explicit(&disk->index_tight, memory_order_relaxed) && length <= disk->store->block_size / 2)
        return "index";
    if (!evict_admit(disk->slots.evict, generation->object, block, length))
        return "admission";
    return NULL;
}

enum status disk_put(struct disk *disk, const struct store_generation *generation, uint64_t block, struct buf *buf,
                     uint32_t length, struct loop *loop, struct letter *done)
{
    const char *reason = refusal(disk, generation, block, length);
    if (reason != NULL) {
        rejected(reason);
        return STATUS_BUSY;
    }
    struct put_job *job = mem_alloc(sizeof *job);
    pthread_mutex_lock(&disk->mutex);
    if (disk->put_bytes + length > DISK_PUT_BYTES || disk->stopping) {
        pthread_mutex_unlock(&disk->mutex);
        mem_free(job);
        rejected("queue");
        return STATUS_BUSY;
    }
    *job = (struct put_job){.generation = store_generation_ref((struct store_generation *) (uintptr_t) generation),
                            .block = block,
                            .buf = buf_ref(buf),
                            .length = length,
                            .epoch = disk->epoch,
                            .loop = loop,
                            .done = done};
    if (disk->put_last == NULL)
        disk->put_first = job;
    else
        disk->put_last->next = job;
    disk->put_last = job;
    disk->put_bytes += length;
    disk->outstanding[job->epoch]++;
    pthread_cond_signal(&disk->work);
    pthread_mutex_unlock(&disk->mutex);
    return STATUS_OK;
}

static struct put_job *put_take(struct disk *disk)
{
    struct put_job *job = disk->put_first;
    if (job == NULL)
        return NULL;
    disk->put_first = job->next;
    if (disk->put_first == NULL)
        disk->put_last = NULL;
    return job;
}

static void put_run(struct disk *disk, struct put_job *job)
{
    enum status status = transfer_put(disk, job->generation, job->block, job->buf->data, job->length);
    if (status == STATUS_OK)
        commit_wrote(disk->store->commit, job->length);
    else
        rejected(status == STATUS_BUSY ? "space" : "error");
    buf_unref(&job->buf);
    store_generation_unref(&job->generation);
    store_post(disk->store, job->loop, job->done);
    pthread_mutex_lock(&disk->mutex);
    disk->put_bytes -= job->length; /* counted until it is written: its buffer was held so long */
    if (--disk->outstanding[job->epoch] == 0)
        pthread_cond_broadcast(&disk->drained);
    pthread_mutex_unlock(&disk->mutex);
    mem_free(job);
}

void disk_drain(struct disk *disk)
{
    pthread_mutex_lock(&disk->mutex);
    unsigned epoch = disk->epoch;
    disk->epoch = !epoch; /* what comes later counts elsewhere; that side was empty since the last drain */
    while (disk->outstanding[epoch] > 0)
        pthread_cond_wait(&disk->drained, &disk->mutex);
    pthread_mutex_unlock(&disk->mutex);
}

/* ---- Threads. ---- */

static bool take_work(struct disk *disk, struct store_load **load, struct put_job **job)
{
    *load = NULL;
    *job = NULL;
    rcu_thread_offline();
    pthread_mutex_lock(&disk->mutex);
    while (disk->load_first == NULL && disk->put_first == NULL && !disk->stopping)
        pthread_cond_wait(&disk->work, &disk->mutex);
    *load = load_take(disk);
    if (*load == NULL)
        *job = put_take(disk);
    pthread_mutex_unlock(&disk->mutex);
    rcu_thread_online();
    return *load != NULL || *job != NULL;
}

static void *disk_thread(void *arg)
{
    struct disk *disk = arg;
    struct store_load *load;
    struct put_job *job;
    rcu_register_thread();
    while (take_work(disk, &load, &job)) {
        struct buf *buf = NULL;
        if (load != NULL && atomic_load(&disk->store->closing)) {
            load_finish(disk, load, STATUS_SHUTDOWN, NULL);
        } else if (load != NULL) {
            enum status status = transfer_load(disk, load, &buf);
            load_finish(disk, load, status, buf);
        } else {
            put_run(disk, job);
        }
        if (reclaim_wanted(disk))
            reclaim_run(disk);
    }
    rcu_unregister_thread();
    return NULL;
}

void disk_start(struct disk *disk)
{
    pthread_mutex_init(&disk->mutex, NULL);
    pthread_cond_init(&disk->work, NULL);
    pthread_cond_init(&disk->drained, NULL);
    disk->started = true;
    for (unsigned i = 0; i < DISK_THREADS; i++) {
        int error = thread_start(&disk->threads[i], "store-io", disk_thread, disk);
        assert(error == 0);
        (void) error;
    }
}

void disk_stop(struct disk *disk)
{
    if (!disk->started)
        return;
    pthread_mutex_lock(&disk->mutex);
    disk->stopping = true;
    pthread_cond_broadcast(&disk->work);
    pthread_mutex_unlock(&disk->mutex);
    for (unsigned i = 0; i < DISK_THREADS; i++)
        pthread_join(disk->threads[i], NULL);
    pthread_cond_destroy(&disk->work);
    pthread_cond_destroy(&disk->drained);
    pthread_mutex_destroy(&disk->mutex);
}
