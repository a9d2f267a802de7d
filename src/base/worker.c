/* SPDX-License-Identifier: Apache-2.0 */
/* worker.c: a queue under one mutex. Work is milliseconds long, so nothing finer is worth it. */
#include "base/worker.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>

#include "base/mem.h"
#include "base/thread.h"

static struct {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct work *first;
    struct work **last;
    unsigned queued;
    unsigned bound;
    bool running;
    pthread_t *threads;
    unsigned thread_count;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

/* The next work, or NULL when the pool stops and the queue is empty. */
static struct work *pool_take(void)
{
    pthread_mutex_lock(&pool.lock);
    while (pool.first == NULL && pool.running)
        pthread_cond_wait(&pool.wake, &pool.lock);
    struct work *work = pool.first;
    if (work != NULL) {
        pool.first = work->next;
        if (pool.first == NULL)
            pool.last = &pool.first;
        pool.queued--;
    }
    pthread_mutex_unlock(&pool.lock);
    return work;
}

static void *worker_main(void *unused)
{
    (void) unused;
    for (struct work *work; (work = pool_take()) != NULL;) {
        work->run(work);
        work->done(work);
    }
    return NULL;
}

void worker_start(unsigned threads, unsigned queue)
{
    assert(threads > 0 && queue > 0 && !pool.running);
    pool.first = NULL;
    pool.last = &pool.first;
    pool.queued = 0;
    pool.bound = queue;
    pool.running = true;
    pool.threads = mem_calloc(threads, sizeof pool.threads[0]);
    pool.thread_count = threads;
    for (unsigned i = 0; i < threads; i++) {
        int failed = thread_start(&pool.threads[i], NULL, worker_main, NULL);
        assert(failed == 0);
        (void) failed;
    }
}

enum status worker_submit(struct work *work)
{
    enum status status = STATUS_OK;
    pthread_mutex_lock(&pool.lock);
    if (!pool.running) {
        status = STATUS_SHUTDOWN;
    } else if (pool.queued >= pool.bound) {
        status = STATUS_BUSY;
    } else {
        work->next = NULL;
        *pool.last = work;
        pool.last = &work->next;
        pool.queued++;
        pthread_cond_signal(&pool.wake);
    }
    pthread_mutex_unlock(&pool.lock);
    return status;
}

void worker_stop(void)
{
    pthread_mutex_lock(&pool.lock);
    pool.running = false;
    pthread_cond_broadcast(&pool.wake);
    pthread_mutex_unlock(&pool.lock);
    for (unsigned i = 0; i < pool.thread_count; i++)
        pthread_join(pool.threads[i], NULL);
    mem_free(pool.threads);
    pool.threads = NULL;
    pool.thread_count = 0;
}
