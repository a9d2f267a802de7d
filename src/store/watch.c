/* SPDX-License-Identifier: Apache-2.0 */
/* watch.c: a look at each disk, five times a second. */
#include "store/watch.h"

#include <assert.h>
#include <pthread.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rcu.h"
#include "base/thread.h"
#include "store/disk.h"

#define WATCH_MS 200

struct watch {
    struct store *store;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bool stopping; /* under the mutex */
};

static void look(struct disk *disk, int64_t now_ms)
{
    disk_expire(disk, now_ms);
    bool stalled = health_stalled(disk, now_ms);
    if (stalled)
        health_take_out(disk, "it has not answered in time");
    else if (health_out(disk))
        disk_want_probe(disk, now_ms);
}

static void *watch_thread(void *arg)
{
    struct watch *watch = arg;
    struct store *store = watch->store;
    rcu_register_thread();
    rcu_thread_offline();
    pthread_mutex_lock(&watch->mutex);
    while (!watch->stopping) {
        (void) clock_cond_wait(&watch->wake, &watch->mutex, clock_mono_ms() + WATCH_MS);
        pthread_mutex_unlock(&watch->mutex);
        rcu_thread_online();
        for (unsigned i = 0; i < store->disk_count; i++)
            look(store->disks[i], clock_mono_ms());
        rcu_thread_offline();
        pthread_mutex_lock(&watch->mutex);
    }
    pthread_mutex_unlock(&watch->mutex);
    rcu_unregister_thread();
    return NULL;
}

struct watch *watch_start(struct store *store)
{
    struct watch *watch = mem_calloc(1, sizeof *watch);
    watch->store = store;
    pthread_mutex_init(&watch->mutex, NULL);
    clock_cond_init(&watch->wake);
    int error = thread_start(&watch->thread, "store-watch", watch_thread, watch);
    assert(error == 0);
    (void) error;
    return watch;
}

void watch_stop(struct watch *watch)
{
    pthread_mutex_lock(&watch->mutex);
    watch->stopping = true;
    pthread_cond_signal(&watch->wake);
    pthread_mutex_unlock(&watch->mutex);
    pthread_join(watch->thread, NULL);
    pthread_cond_destroy(&watch->wake);
    pthread_mutex_destroy(&watch->mutex);
    mem_free(watch);
}
