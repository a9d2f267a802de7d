/* SPDX-License-Identifier: Apache-2.0 */
/* test_cache_disk.c: the cache above a disk that is slow, or hangs beyond its end. */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "cache/context.h"
#include "store/io.h"
#include "tap.h"
#include "test_cache_rig.h"

#define MIB (UINT64_C(1) << 20)

/* ---- A disk whose blocks are never in the page cache, which takes its time, and hangs while its gate is shut. ---- */

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t opened = PTHREAD_COND_INITIALIZER;
static bool shut; /* under the gate, as `hung` */
static unsigned hung;
static atomic_int takes_ms; /* a read */

static ssize_t disk_readv(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
    if (flags & RWF_NOWAIT) {
        errno = EAGAIN;
        return -1;
    }
    pthread_mutex_lock(&gate);
    hung++;
    while (shut)
        pthread_cond_wait(&opened, &gate);
    hung--;
    pthread_mutex_unlock(&gate);
    nanosleep(&(struct timespec){0, atomic_load(&takes_ms) * 1000000L}, NULL);
    return io_system()->readv(fd, iov, count, offset, flags);
}

static void set_shut(bool now)
{
    pthread_mutex_lock(&gate);
    shut = now;
    pthread_cond_broadcast(&opened);
    pthread_mutex_unlock(&gate);
}

static unsigned hung_now(void)
{
    pthread_mutex_lock(&gate);
    unsigned count = hung;
    pthread_mutex_unlock(&gate);
    return count;
}

static unsigned threads(void)
{
    unsigned count = 0;
    DIR *tasks = opendir("/proc/self/task");
    while (readdir(tasks) != NULL)
        count++;
    closedir(tasks);
    return count;
}

#define READERS 16

static struct task *readers(void)
{
    static char names[READERS][16];
    static struct task tasks[READERS];
    for (unsigned i = 0; i < READERS; i++) {
        snprintf(names[i], sizeof(names[i]), "slow%u", i);
        tasks[i] = (struct task){.loop = i, .blob = names[i], .seed = 10 + i, .last = UINT64_MAX, .step = 100000};
    }
    return tasks;
}

/* More readers than there is room for the blocks they want, all from a disk that takes its time. */
static void test_slow(void)
{
    struct buf_room *room = rig_cache()->blocks;
    const size_t most = room->most, little = 3 * MIB;
    bool within = true;
    struct task *tasks = readers();
    for (unsigned i = 0; i < READERS; i++)
        rig_blob(tasks[i].blob, tasks[i].seed, 4 * MIB + i, NULL);
    tasks_run(tasks, READERS);
    ok(rig_quiet(), "blobs are read, and kept");
    tasks = readers();
    room->most = little;
    atomic_store(&takes_ms, 10);
    rig_control("DELETE stats");
    tasks_start(tasks, READERS);
    for (unsigned i = 0; i < READERS; i++)
        while (!task_over(&tasks[i]))
            within = within && atomic_load(&room->taken) <= little;
    tasks_wait(tasks, READERS);
    is_int(tasks_good(tasks, READERS), READERS, "a slow disk, and room for 3 blocks: %d readers get every byte",
           READERS);
    ok(within, "and the room is kept to");
    ok(rig_disk_troubles() > 0 || rig_stat("body_bytes") <= READERS, "all from the disk");
    atomic_store(&takes_ms, 0);
    room->most = most;
    ok(rig_quiet() && atomic_load(&room->taken) == 0, "then nothing is in flight, and all room is back");
}

/* ---- Who waits for room on one loop. ---- */

#define CROWD 40
#define GONE 10 /* of the crowd, before its turn */

static struct load_wish wishes[CROWD + 1]; /* the last is another client's */
static struct store_generation *wanted;
static unsigned came, came_last, came_good;

static void come(struct load_wish *wish, struct buf *buf)
{
    came++;
    if (wish == &wishes[CROWD])
        came_last = came;
    came_good += buf != NULL && buf_filled(buf) == MIB && !loads_wanted(wish);
    buf_unref(&buf);
}

static void want(void *arg)
{
    struct store_view view;
    struct cache_request request;
    char target[RIG_TEXT];
    (void) arg;
    rig_request(&request, "slow0", "alice", target);
    if (!store_object_find(rig_cache()->config.store, request.object, &view))
        rig_die("a blob is not known");
    wanted = view.generation;
    for (unsigned i = 0; i <= CROWD; i++) {
        wishes[i] = (struct load_wish){
            .home = cache_loop_of(rig_loop(0)), .client = i == CROWD ? 2 : 1, .generation = wanted, .come = come};
        loads_wish_init(&wishes[i]);
        loads_want(&wishes[i], i % 4);
    }
    for (unsigned i = CROWD - GONE; i < CROWD; i++)
        loads_forget(&wishes[i]);
}

static void look(void *arg)
{
    *(unsigned *) arg = came;
}

static void want_no_more(void *arg)
{
    (void) arg;
    store_generation_unref(&wanted);
}

/* Room for one: a client that has sent a crowd before does not have all of it pass first. */
static void test_turns(void)
{
    struct buf_room *room = rig_cache()->blocks;
    const size_t most = room->most;
    const int64_t until = clock_mono_ms() + 1000 * RIG_DEADLINE_S;
    unsigned seen = 0;
    room->most = MIB;
    rig_on_loop(0, want, NULL);
    while (seen < CROWD + 1 - GONE && clock_mono_ms() < until)
        rig_on_loop(0, look, &seen);
    is_int(came_good, CROWD + 1 - GONE, "one after the other gets its block, but for those who have gone");
    ok(came_last > 0 && came_last <= 5, "another client has its turn after few of a crowd (number %u)", came_last);
    rig_on_loop(0, want_no_more, NULL);
    room->most = most;
    ok(rig_quiet() && atomic_load(&room->taken) == 0, "then all room is back");
    is_int(came, CROWD + 1 - GONE, "and nobody is told twice");
}

/* What hangs when the store is closed may come back when the cache has gone. */
static void test_hung_at_end(void)
{
    struct task task = {.blob = "hung", .seed = 1, .last = UINT64_MAX}, again = task;
    rig_blob("hung", 1, 4 * MIB, NULL);
    tasks_run(&task, 1);
    ok(task_good(&task) && rig_quiet(), "a blob is read, and kept");
    set_shut(true);
    tasks_run(&again, 1);
    ok(task_good(&again), "the disk hangs: it is read from the origin");
    rig_stop();
    unsigned left = threads(), back = hung_now();
    ok(back > 0, "%u threads hang when the cache has gone", back);
    set_shut(false);
    while (threads() > left - back)
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    ok(true, "then they come back, and end");
}

int main(void)
{
    struct io_ops disk = *io_system();
    disk.readv = disk_readv;
    io_set(&disk);
    rig_origin_start();
    rig_start(1, (uint32_t) MIB);
    rig_grant("alice");
    test_slow();
    test_turns();
    test_hung_at_end();
    rig_origin_stop();
    int result = done_testing();
    fflush(stdout);
    _exit(result); /* the store is left behind */
}
