/* SPDX-License-Identifier: Apache-2.0 */
/* disk.c: the queues of a disk and the threads that empty them. */
#include "store/disk.h"

#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "base/container.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/mem_parts.h"
#include "base/thread.h"
#include "net/loop.h"
#include "store/block.h"
#include "store/commit.h"
#include "store/generation.h"
#include "store/reclaim.h"
#include "store/scrub.h"
#include "store/transfer.h"

/* How often who drains looks whether the disk hangs. */
#define DRAIN_LOOK_MS 100

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
    metric_cell_add(disk->metrics.errors, 1);
    log_event(STORE_IO, "path=%s op=%s errno=%d: %s", disk->path, what, error, strerror_r(error, text, sizeof text));
}

void disk_set_broken(struct disk *disk, bool broken)
{
    if (atomic_exchange(&disk->broken, broken) != broken)
        disk_counted(disk);
}

static void rejected(const struct disk *disk, const char *reason)
{
    metric_cell_add(metric_cell2(METRIC_STORE_REJECTED, disk->path, reason), 1);
}

/* ---- Loads. ---- */

/* A read under way or queued. Who asked may be answered before it ends. */
struct load_job {
    struct load_job *next;
    struct store_load *load; /* the asker's; NULL: answered by now. Under the mutex */
    struct store_load what;  /* a copy that stays */
    int64_t until_ms;
};

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
    struct load_job *job = mem_alloc(sizeof *job);
    *job = (struct load_job){.load = load, .what = *load, .until_ms = clock_mono_ms() + HEALTH_LOAD_MS};
    pthread_mutex_lock(&disk->mutex);
    bool full = disk->load_count >= DISK_LOADS || disk->stopping;
    bool out = health_out(disk); /* under the mutex: disk_give_up has not passed yet, or will see it */
    if (!full && !out) {
        if (disk->load_last == NULL)
            disk->load_first = job;
        else
            disk->load_last->next = job;
        disk->load_last = job;
        disk->load_count++;
        atomic_fetch_add_explicit(&disk->load_bytes, load->length, memory_order_relaxed);
        pthread_cond_signal(&disk->work);
    }
    pthread_mutex_unlock(&disk->mutex);
    if (full || out) {
        mem_free(job);
        load_finish(disk, load, out ? STATUS_NOT_FOUND : STATUS_BUSY, NULL);
    }
}

/* Under the mutex. */
static struct load_job *load_take(struct disk *disk)
{
    struct load_job *job = disk->load_first;
    if (job == NULL)
        return NULL;
    disk->load_first = job->next;
    if (disk->load_first == NULL)
        disk->load_last = NULL;
    disk->load_count--;
    atomic_fetch_sub_explicit(&disk->load_bytes, job->what.length, memory_order_relaxed);
    return job;
}

static void load_run(struct disk *disk, unsigned thread, struct load_job *job)
{
    struct buf *buf = NULL;
    enum status status = STATUS_SHUTDOWN;
    if (!atomic_load(&disk->store->closing))
        status = transfer_load(disk, &job->what, &buf);
    pthread_mutex_lock(&disk->mutex);
    struct store_load *load = job->load;
    disk->loading[thread] = NULL;
    pthread_mutex_unlock(&disk->mutex);
    mem_free(job);
    if (load != NULL)
        load_finish(disk, load, status, buf);
    else
        buf_unref(&buf);
}

/* Under the mutex: takes the asker away from the job, to be answered. */
static void load_orphan(struct load_job *job, struct store_load **given_up)
{
    if (job == NULL || job->load == NULL)
        return;
    job->load->done.next = *given_up == NULL ? NULL : &(*given_up)->done;
    *given_up = job->load;
    job->load = NULL;
}

static void answer_given_up(struct disk *disk, struct store_load *load, bool drop)
{
    while (load != NULL) {
        struct letter *next = load->done.next;
        uint64_t location = drop ? block_location(disk->store, load->generation, load->block) : 0;
        /* So that it is fetched from where the reader gets it sooner. */
        if (location != 0 && location_disk(location) == disk->number)
            (void) block_drop(disk->store, load->generation, load->block, location);
        metric_cell_add(disk->metrics.stalled, 1);
        load->done.next = NULL;
        load_finish(disk, load, STATUS_STALLED, NULL);
        load = next == NULL ? NULL : CONTAINER_OF(next, struct store_load, done);
    }
}

void disk_expire(struct disk *disk, int64_t now_ms)
{
    struct store_load *given_up = NULL;
    pthread_mutex_lock(&disk->mutex);
    for (unsigned i = 0; i < DISK_THREADS; i++)
        if (disk->loading[i] != NULL && disk->loading[i]->until_ms <= now_ms)
            load_orphan(disk->loading[i], &given_up);
    while (disk->load_first != NULL && disk->load_first->until_ms <= now_ms) {
        struct load_job *job = load_take(disk);
        load_orphan(job, &given_up);
        mem_free(job);
    }
    pthread_mutex_unlock(&disk->mutex);
    answer_given_up(disk, given_up, true);
}

/* ---- Puts. ---- */

/* Whether the disk rests from its errors; after that a put finds out whether it is well again, or
 * sends it back to rest. */
static bool resting(struct disk *disk)
{
    return atomic_load_explicit(&disk->write_errors, memory_order_relaxed) >= DISK_ERRORS_MAX &&
           clock_mono_ms() < atomic_load_explicit(&disk->rest_until_ms, memory_order_relaxed);
}

bool disk_takes(struct disk *disk)
{
    return atomic_load_explicit(&disk->loaded, memory_order_relaxed) && !health_out(disk) &&
           !atomic_load_explicit(&disk->broken, memory_order_relaxed) && !resting(disk) &&
           atomic_load_explicit(&disk->sync_errors, memory_order_relaxed) < DISK_SYNC_ERRORS_MAX;
}

/* Small ones are packed, and each is a row. */
static bool too_small(struct disk *disk, uint32_t length)
{
    return atomic_load_explicit(&disk->index_tight, memory_order_relaxed) && length <= disk->store->block_size / 2;
}

bool disk_expects(struct disk *disk, const struct store_generation *generation, uint32_t length)
{
    return disk_takes(disk) && !too_small(disk, length) &&
           atomic_load_explicit(&disk->write_errors, memory_order_relaxed) == 0 &&
           atomic_load_explicit(&disk->sync_errors, memory_order_relaxed) == 0 &&
           !atomic_load_explicit(&disk->cramped, memory_order_relaxed) && !reclaim_too_crowded(disk) &&
           disk_queued(disk) + length <= disk->put_most && evict_expects(disk->slots.evict, generation->group);
}

/* Why a block is not taken, or NULL. */
static const char *refusal(struct disk *disk, const struct store_generation *generation, uint64_t block,
                           uint32_t length)
{
    if (!atomic_load_explicit(&disk->loaded, memory_order_relaxed))
        return "loading";
    if (!disk_takes(disk))
        return "disk";
    if (too_small(disk, length))
        return "index";
    if (reclaim_too_crowded(disk)) {
        disk_want_space(disk);
        return "memory";
    }
    uint32_t weight = (uint32_t) ((uint64_t) length * EVICT_SLOT / disk->store->block_size);
    struct evict_block wanted = {generation->id, block, generation->group, weight > 0 ? weight : 1};
    if (evict_admit(disk->slots.evict, &wanted))
        return NULL;
    return evict_barred(disk->slots.evict, generation->group) ? "limit" : "admission";
}

enum status disk_put(struct disk *disk, const struct store_generation *generation, uint64_t block, struct buf *buf,
                     uint32_t length, struct loop *loop, struct letter *done)
{
    const char *reason = refusal(disk, generation, block, length);
    if (reason != NULL) {
        rejected(disk, reason);
        return STATUS_BUSY;
    }
    struct put_job *job = mem_alloc(sizeof *job);
    pthread_mutex_lock(&disk->mutex);
    bool out = health_out(disk);
    if (disk->put_bytes + length > disk->put_most || disk->stopping || out) {
        pthread_mutex_unlock(&disk->mutex);
        mem_free(job);
        rejected(disk, out ? "disk" : "queue");
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

/* Under the mutex: the next, if another thread may write. */
static struct put_job *put_take(struct disk *disk)
{
    struct put_job *job = disk->put_first;
    if (job == NULL || disk->putting == DISK_PUT_THREADS)
        return NULL;
    disk->put_first = job->next;
    if (disk->put_first == NULL)
        disk->put_last = NULL;
    disk->putting++;
    return job;
}

/* It was written, or will not be. */
static void put_end(struct disk *disk, struct put_job *job)
{
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

static void put_run(struct disk *disk, struct put_job *job)
{
    enum status status = transfer_put(disk, job->generation, job->block, job->buf->data, job->length);
    if (status == STATUS_OK)
        commit_wrote(disk->store->commit, job->length);
    else
        rejected(disk, status == STATUS_BUSY ? "limit" : status == STATUS_NO_SPACE ? "space" : "error");
    pthread_mutex_lock(&disk->mutex);
    disk->putting--;
    pthread_mutex_unlock(&disk->mutex);
    put_end(disk, job);
}

void disk_drain(struct disk *disk)
{
    pthread_mutex_lock(&disk->mutex);
    unsigned epoch = disk->epoch;
    disk->epoch = !epoch; /* what comes later counts elsewhere; but for what hangs, that side is empty */
    while (disk->outstanding[epoch] > 0 && !health_out(disk) && !health_stalled(disk, clock_mono_ms()))
        (void) clock_cond_wait(&disk->drained, &disk->mutex, clock_mono_ms() + DRAIN_LOOK_MS);
    pthread_mutex_unlock(&disk->mutex);
}

/* ---- Out, and back in. ---- */

void disk_give_up(struct disk *disk)
{
    struct store_load *given_up = NULL;
    pthread_mutex_lock(&disk->mutex);
    for (unsigned i = 0; i < DISK_THREADS; i++)
        load_orphan(disk->loading[i], &given_up);
    for (struct load_job *job; (job = load_take(disk)) != NULL; mem_free(job))
        load_orphan(job, &given_up);
    struct put_job *puts = disk->put_first;
    disk->put_first = disk->put_last = NULL;
    disk->health.probe_at_ms = clock_mono_ms() + HEALTH_PROBE_MS;
    pthread_cond_broadcast(&disk->drained);
    pthread_mutex_unlock(&disk->mutex);
    answer_given_up(disk, given_up, false);
    while (puts != NULL) {
        struct put_job *job = puts;
        puts = job->next;
        rejected(disk, "disk");
        put_end(disk, job);
    }
}

void disk_want_probe(struct disk *disk, int64_t now_ms)
{
    pthread_mutex_lock(&disk->mutex);
    if (now_ms >= disk->health.probe_at_ms) {
        disk->health.probe_at_ms = now_ms + HEALTH_PROBE_MS;
        disk->health.probe_wanted = true;
        pthread_cond_signal(&disk->work);
    }
    pthread_mutex_unlock(&disk->mutex);
}

void disk_want_space(struct disk *disk)
{
    pthread_mutex_lock(&disk->mutex);
    disk->look_at_space = true;
    pthread_cond_signal(&disk->work);
    pthread_mutex_unlock(&disk->mutex);
}

void disk_counted(struct disk *disk)
{
    disk_metrics_state(&disk->metrics, !health_out(disk) && !atomic_load(&disk->broken));
}

/* ---- Threads. ---- */

struct work {
    struct load_job *load;
    struct put_job *put;
    bool probe;
    bool space; /* only what is done after each work */
};

/* Under the mutex. false: there is nothing to do for this thread. */
static bool find_work(struct disk *disk, struct work *work)
{
    *work = (struct work){.probe = disk->health.probe_wanted && !disk->stopping,
                          .space = disk->look_at_space && !disk->stopping};
    disk->health.probe_wanted = disk->look_at_space = false;
    if (!work->probe && (work->load = load_take(disk)) == NULL)
        work->put = put_take(disk);
    return work->load != NULL || work->put != NULL || work->probe || work->space;
}

/* false: the disk stops, and this thread with it. */
static bool take_work(struct disk *disk, unsigned thread, struct work *work)
{
    bool found;
    rcu_thread_offline();
    pthread_mutex_lock(&disk->mutex);
    while (!(found = find_work(disk, work)) && !disk->stopping)
        pthread_cond_wait(&disk->work, &disk->mutex);
    disk->loading[thread] = work->load;
    pthread_mutex_unlock(&disk->mutex);
    rcu_thread_online();
    return found;
}

struct disk_thread {
    struct disk *disk;
    unsigned number;
};

static void *disk_thread(void *arg)
{
    struct disk_thread *self = arg;
    struct disk *disk = self->disk;
    unsigned number = self->number;
    struct work work;
    mem_free(self);
    rcu_register_thread();
    health_sit(number);
    while (take_work(disk, number, &work)) {
        if (work.load != NULL)
            load_run(disk, number, work.load);
        else if (work.put != NULL)
            put_run(disk, work.put);
        else if (work.probe && health_probe(disk))
            health_take_back(disk);
        if (!health_out(disk) && (reclaim_wanted(disk) || (work.load == NULL && reclaim_crowded(disk))))
            reclaim_run(disk);
    }
    rcu_unregister_thread();
    return NULL;
}

static size_t put_most(const struct store *store)
{
    size_t part = mem_part(MEM_PUTS, SIZE_MAX) / store->disk_count;
    size_t most = part < DISK_PUT_BYTES ? part : DISK_PUT_BYTES;
    size_t least = (size_t) DISK_PUT_BLOCKS_MIN * store->block_size;
    return most > least ? most : least;
}

void disk_start(struct disk *disk)
{
    disk->put_most = put_most(disk->store);
    atomic_store(&disk->cramped, disk->slots.high + atomic_load(&disk->fit) <= SLOT_SPARE);
    pthread_mutex_init(&disk->mutex, NULL);
    pthread_cond_init(&disk->work, NULL);
    clock_cond_init(&disk->drained);
    disk->started = true;
    for (unsigned i = 0; i < DISK_THREADS; i++) {
        struct disk_thread *self = mem_alloc(sizeof *self);
        *self = (struct disk_thread){disk, i};
        int error = thread_start(&disk->threads[i], "store-io", disk_thread, self);
        assert(error == 0);
        (void) error;
    }
    disk_counted(disk);
    disk->scrub = scrub_start(disk, disk->scrub_rate, disk->scrub_period_ms);
}

bool disk_stop(struct disk *disk)
{
    if (!disk->started)
        return true;
    bool ended = scrub_stop(&disk->scrub);
    pthread_mutex_lock(&disk->mutex);
    disk->stopping = true;
    pthread_cond_broadcast(&disk->work);
    pthread_mutex_unlock(&disk->mutex);
    for (unsigned i = 0; i < DISK_THREADS; i++)
        ended = health_join(disk, disk->threads[i]) && ended;
    if (!ended)
        return false;
    pthread_cond_destroy(&disk->work);
    pthread_cond_destroy(&disk->drained);
    pthread_mutex_destroy(&disk->mutex);
    return true;
}
