/* SPDX-License-Identifier: Apache-2.0 */
/* scribe.c: one thread, one errand. */
#include "store/scribe.h"

#include <assert.h>
#include <pthread.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rcu.h"
#include "base/thread.h"
#include "store/disk.h"

/* How often who waits looks whether the disk is out. */
#define LOOK_MS 100

struct scribe {
    struct disk *disk;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t given;
    pthread_cond_t done;
    scribe_errand_f errand; /* NULL: idle */
    void *arg;
    bool stopping;
};

static void *scribe_thread(void *arg)
{
    struct scribe *scribe = arg;
    rcu_register_thread();
    rcu_thread_offline();
    health_sit(DISK_THREADS);
    pthread_mutex_lock(&scribe->mutex);
    for (;;) {
        while (scribe->errand == NULL && !scribe->stopping)
            pthread_cond_wait(&scribe->given, &scribe->mutex);
        if (scribe->errand == NULL)
            break;
        pthread_mutex_unlock(&scribe->mutex);
        rcu_thread_online();
        scribe->errand(scribe->disk, scribe->arg);
        rcu_thread_offline();
        pthread_mutex_lock(&scribe->mutex);
        scribe->errand = NULL;
        pthread_cond_signal(&scribe->done);
    }
    pthread_mutex_unlock(&scribe->mutex);
    rcu_unregister_thread();
    return NULL;
}

struct scribe *scribe_start(struct disk *disk)
{
    struct scribe *scribe = mem_calloc(1, sizeof *scribe);
    scribe->disk = disk;
    pthread_mutex_init(&scribe->mutex, NULL);
    pthread_cond_init(&scribe->given, NULL);
    clock_cond_init(&scribe->done);
    int error = thread_start(&scribe->thread, "store-scribe", scribe_thread, scribe);
    assert(error == 0);
    (void) error;
    return scribe;
}

bool scribe_stop(struct scribe **scribe)
{
    struct scribe *stopped = *scribe;
    *scribe = NULL;
    pthread_mutex_lock(&stopped->mutex);
    stopped->stopping = true;
    pthread_cond_signal(&stopped->given);
    pthread_mutex_unlock(&stopped->mutex);
    if (!health_join(stopped->disk, stopped->thread))
        return false;
    pthread_cond_destroy(&stopped->given);
    pthread_cond_destroy(&stopped->done);
    pthread_mutex_destroy(&stopped->mutex);
    mem_free(stopped);
    return true;
}

bool scribe_idle(struct scribe *scribe)
{
    pthread_mutex_lock(&scribe->mutex);
    bool idle = scribe->errand == NULL;
    pthread_mutex_unlock(&scribe->mutex);
    return idle;
}

void scribe_give(struct scribe *scribe, scribe_errand_f errand, void *arg)
{
    pthread_mutex_lock(&scribe->mutex);
    assert(scribe->errand == NULL);
    scribe->arg = arg;
    scribe->errand = errand;
    pthread_cond_signal(&scribe->given);
    pthread_mutex_unlock(&scribe->mutex);
}

bool scribe_wait(struct scribe *scribe)
{
    pthread_mutex_lock(&scribe->mutex);
    while (scribe->errand != NULL && !health_out(scribe->disk) && !health_stalled(scribe->disk, clock_mono_ms()))
        (void) clock_cond_wait(&scribe->done, &scribe->mutex, clock_mono_ms() + LOOK_MS);
    bool idle = scribe->errand == NULL;
    pthread_mutex_unlock(&scribe->mutex);
    return idle;
}
