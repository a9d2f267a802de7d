/* SPDX-License-Identifier: Apache-2.0 */
/* Workers: all that was taken is run, the queue is bounded, stopping finishes what is queued. */
#include "tap.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/worker.h"

#define JOBS 500

struct job {
    struct work work; /* first: cast from */
    pthread_t ran_on;
    int ran, done;
};

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static atomic_int started;

static void run(struct work *work)
{
    struct job *job = (struct job *) work;
    atomic_fetch_add(&started, 1);
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
    job->ran_on = pthread_self();
    job->ran++;
}

static void done(struct work *work)
{
    struct job *job = (struct job *) work;
    job->done += job->ran == 1 && pthread_equal(job->ran_on, pthread_self());
}

int main(void)
{
    static struct job jobs[JOBS];
    struct job late = {.work = {.run = run, .done = done}};
    is_int(worker_submit(&late.work), STATUS_SHUTDOWN, "nothing is taken before the start");
    worker_start(2, 100);
    pthread_mutex_lock(&gate); /* the two workers stop at their first job */
    int taken = 0, busy = 0;
    for (int i = 0; i < JOBS; i++) {
        jobs[i].work = (struct work){.run = run, .done = done};
        enum status status = worker_submit(&jobs[i].work);
        taken += status == STATUS_OK;
        busy += status == STATUS_BUSY;
    }
    ok(taken >= 100 && taken <= 102, "the queue takes its bound (%d)", taken);
    is_int(taken + busy, JOBS, "and is busy beyond it");
    pthread_mutex_unlock(&gate);
    worker_stop();
    int ran = 0, completed = 0;
    for (int i = 0; i < JOBS; i++) {
        ran += jobs[i].ran;
        completed += jobs[i].done;
    }
    is_int(ran, taken, "stopping runs what was taken");
    is_int(completed, taken, "and each completes once, on the thread that ran it");
    is_int(worker_submit(&late.work), STATUS_SHUTDOWN, "nothing is taken after the stop");
    worker_start(1, 1);
    is_int(worker_submit(&late.work), STATUS_OK, "it can be started again");
    worker_stop();
    is_int(late.done, 1, "and works");
    return done_testing();
}
