/* SPDX-License-Identifier: Apache-2.0 */
/* test_cache_disk.c: the cache above a disk that is slow, or hangs beyond its end. */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "cache/context.h"
#include "store/health.h"
#include "store/io.h"
#include "tap.h"
#include "test_cache_rig.h"

#define MIB (UINT64_C(1) << 20)

/* ---- A disk whose blocks are never in the page cache, which takes its time, and hangs while its gate is shut. ---- */

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t opened = PTHREAD_COND_INITIALIZER;
static bool shut;           /* under the gate, as the next two */
static const char *of_disk; /* how its directory ends that hangs; NULL: all do */
static unsigned hung;
static atomic_int takes_ms; /* a read */
/* Where a peek read last, and where one finds its page all the same; -1: nowhere. */
static atomic_int_fast64_t peeked = -1, page = -1;

/* Under the gate. */
static bool hangs(int fd)
{
    char link[64], path[256] = "";
    if (!shut || of_disk == NULL)
        return shut;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    return readlink(link, path, sizeof(path) - 1) > 0 && strstr(path, of_disk) != NULL;
}

static ssize_t disk_readv(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
    if (flags & RWF_NOWAIT) {
        atomic_store(&peeked, offset);
        if (offset == atomic_load(&page))
            return io_system()->readv(fd, iov, count, offset, flags);
        errno = EAGAIN;
        return -1;
    }
    pthread_mutex_lock(&gate);
    hung++;
    while (hangs(fd))
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

static void come(struct load_wish *wish, struct buf *buf, bool loaded)
{
    (void) loaded;
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
        loads_want(&wishes[i], i % 4, 0);
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
    room->most = most;
    ok(rig_quiet() && atomic_load(&room->taken) == 0, "then all room is back");
    is_int(came, CROWD + 1 - GONE, "and nobody is told twice");
}

/* ---- One disk of two hangs, and a crowd wants its blocks. ---- */

#define WANT_A 24
#define WANT_B 8
#define BLOBS 16
#define ROOM                                                                                                           \
    14 /* blocks: for a read by each thread of the one, with a buffer, and for all that are wanted of the other */

static struct beside {
    struct store_generation *generations[BLOBS];
    struct load_wish a[WANT_A], b[WANT_B];
    unsigned a_came, b_came, b_good;
} beside;

static void come_a(struct load_wish *wish, struct buf *buf, bool loaded)
{
    (void) wish;
    (void) loaded;
    beside.a_came++;
    buf_unref(&buf);
}

static void come_b(struct load_wish *wish, struct buf *buf, bool loaded)
{
    (void) wish;
    (void) loaded;
    beside.b_came++;
    beside.b_good += buf != NULL;
    buf_unref(&buf);
}

/* Blocks that lie on that disk, some of them again and again. */
static unsigned want_of(unsigned disk, struct load_wish *into, unsigned count,
                        void (*told)(struct load_wish *wish, struct buf *buf, bool loaded))
{
    struct store *store = rig_cache()->config.store;
    unsigned wanted_now = 0;
    for (unsigned i = 0; i < BLOBS * 4 * count && wanted_now < count; i++) {
        const struct store_generation *generation = beside.generations[i / 4 % BLOBS];
        if (!store_has_block(store, generation->id, i % 4) || store_load_disk(store, generation->id, i % 4) != disk)
            continue;
        into[wanted_now] =
            (struct load_wish){.home = cache_loop_of(rig_loop(0)), .client = i, .generation = generation, .come = told};
        loads_wish_init(&into[wanted_now]);
        loads_want(&into[wanted_now], i % 4, 0);
        wanted_now++;
    }
    return wanted_now;
}

static void find_blobs(void *arg)
{
    (void) arg;
    for (unsigned i = 0; i < BLOBS; i++) {
        struct store_view view;
        struct cache_request request;
        char target[RIG_TEXT], name[16];
        snprintf(name, sizeof(name), "slow%u", i);
        rig_request(&request, name, "alice", target);
        if (!store_object_find(rig_cache()->config.store, request.object, &view))
            rig_die("a blob is not known");
        beside.generations[i] = view.generation;
    }
}

static void want_a(void *arg)
{
    *(unsigned *) arg = want_of(0, beside.a, WANT_A, come_a);
}

static void want_b(void *arg)
{
    *(unsigned *) arg = want_of(1, beside.b, WANT_B, come_b);
}

static void look_beside(void *arg)
{
    memcpy(arg, (unsigned[]){beside.a_came, beside.b_came, beside.b_good}, 3 * sizeof(unsigned));
}

static void forget_blobs(void *arg)
{
    (void) arg;
    for (unsigned i = 0; i < BLOBS; i++)
        store_generation_unref(&beside.generations[i]);
}

static void test_beside(void)
{
    struct buf_room *room = rig_cache()->blocks;
    const size_t most = room->most;
    unsigned a, b, seen[3] = {0};
    struct task *tasks = readers();
    for (unsigned i = 0; i < READERS; i++)
        rig_blob(tasks[i].blob, tasks[i].seed, 4 * MIB, NULL);
    tasks_run(tasks, READERS);
    ok(rig_quiet(), "blobs are read, and kept on two disks");
    rig_on_loop(0, find_blobs, NULL);
    const int64_t until = clock_mono_ms() + HEALTH_LOAD_MS * 3 / 4;
    room->most = ROOM * MIB;
    atomic_store(&room->refused_ms, 0);
    of_disk = "/0/";
    set_shut(true);
    rig_on_loop(0, want_a, &a);
    is_int(a, WANT_A, "a crowd wants blocks of one, which hangs");
    rig_on_loop(0, want_b, &b);
    is_int(b, WANT_B, "and some want blocks of the other");
    while (seen[1] < WANT_B && clock_mono_ms() < until)
        rig_on_loop(0, look_beside, seen);
    is_int(seen[2], WANT_B, "who get them while the one hangs");
    is_int(seen[0], 0, "which has brought nothing by then");
    ok(!room_is_short(rig_cache()), "and nobody was refused any room");
    while (seen[0] < WANT_A && clock_mono_ms() < until + 1000 * RIG_DEADLINE_S)
        rig_on_loop(0, look_beside, seen);
    is_int(seen[0], WANT_A, "the crowd is told in the end");
    set_shut(false);
    of_disk = NULL;
    rig_on_loop(0, forget_blobs, NULL);
    room->most = most;
    while (atomic_load(&room->taken) > 0 && clock_mono_ms() < until + 1000 * RIG_DEADLINE_S)
        rig_still();
    is_int((long long) atomic_load(&room->taken), 0, "then all room is back");
}

/* ---- A page of a block is in memory, and another is not. ---- */

static struct load_wish half;
static unsigned half_came, half_loaded;

static void come_half(struct load_wish *wish, struct buf *buf, bool loaded)
{
    (void) wish;
    half_came++;
    half_loaded += loaded && buf != NULL;
    buf_unref(&buf);
}

static void want_half(void *arg)
{
    (void) arg;
    half = (struct load_wish){.home = cache_loop_of(rig_loop(0)), .client = 1, .generation = wanted, .come = come_half};
    loads_wish_init(&half);
    loads_want(&half, 0, MIB / 2);
}

static void peek_first(void *arg)
{
    struct iovec piece;
    enum status *status = arg;
    *status = store_peek_block(rig_cache()->config.store, wanted->id, 0, 0, 1, false, &piece);
}

static void look_half(void *arg)
{
    memcpy(arg, (unsigned[]){half_came, half_loaded}, 2 * sizeof(unsigned));
}

static bool half_comes(unsigned times)
{
    unsigned seen[2] = {0};
    const int64_t until = clock_mono_ms() + 1000 * RIG_DEADLINE_S;
    while (seen[0] < times && clock_mono_ms() < until)
        rig_on_loop(0, look_half, seen);
    return seen[0] == times && seen[1] == times;
}

static void set_most(void *arg)
{
    const size_t *most = arg;
    rig_cache()->blocks->most = *most;
}

/* Who waits for room does not take its turn for the page that its reader does not want. */
static void test_half(void)
{
    struct buf_room *room = rig_cache()->blocks;
    size_t most = room->most, none = 0;
    enum status status;
    rig_on_loop(0, want_half, NULL);
    ok(half_comes(1), "a block is read");
    rig_on_loop(0, peek_first, &status);
    ok(status == STATUS_AGAIN && atomic_load(&peeked) >= 0, "its first page has left the memory");
    rig_on_loop(0, want_half, NULL);
    ok(half_comes(2), "the block is read again");
    atomic_store(&page, atomic_load(&peeked));
    rig_on_loop(0, peek_first, &status);
    is_int(status, STATUS_OK, "and the first page is there now");
    rig_on_loop(0, set_most, &none);
    atomic_store(&peeked, -1);
    rig_on_loop(0, want_half, NULL);
    const int64_t until = clock_mono_ms() + 1000 * RIG_DEADLINE_S;
    while (atomic_load(&peeked) < 0 && clock_mono_ms() < until)
        rig_on_loop(0, look_half, (unsigned[2]){0});
    rig_on_loop(0, set_most, &most);
    ok(half_comes(3), "who wants another one waits until there is room to read it");
    atomic_store(&page, -1);
    rig_on_loop(0, want_no_more, NULL);
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
    test_half();
    test_hung_at_end();
    rig_start(2, (uint32_t) MIB);
    test_beside();
    rig_stop();
    rig_origin_stop();
    int result = done_testing();
    fflush(stdout);
    _exit(result); /* the store is left behind */
}
