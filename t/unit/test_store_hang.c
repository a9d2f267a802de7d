/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_store_hang.c: disks that hang, fail or come back: nobody waits longer than for one load, what they hold counts
 * as missing and is stored elsewhere, tombstones go on, and what came back knows what it missed.
 */
#include <errno.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "on_loop.h"
#include "store/disk.h"
#include "store/io.h"
#include "store_fixture.h"
#include "tap.h"

#define BLOCK (256 * KIB)
#define SIZE (64 * MIB)
#define OBJECTS 60

/* ---- A disk that hangs or fails: the one in whose directory the file lies. ---- */

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t opened = PTHREAD_COND_INITIALIZER;
static char hanging[4096], failing[4096]; /* under the gate; "": none */
static unsigned waiting;

static bool lies_in(int fd, const char *path)
{
    char link[64], target[4096] = "";
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    return path[0] != '\0' && readlink(link, target, sizeof target - 1) > 0 && strncmp(target, path, strlen(path)) == 0;
}

/* false with errno set: the disk fails. */
static bool pass(int fd)
{
    bool good = true;
    pthread_mutex_lock(&gate);
    waiting++;
    while (lies_in(fd, hanging))
        pthread_cond_wait(&opened, &gate);
    waiting--;
    if (lies_in(fd, failing)) {
        errno = EIO;
        good = false;
    }
    pthread_mutex_unlock(&gate);
    return good;
}

static void set(char where[4096], const char *path)
{
    pthread_mutex_lock(&gate);
    snprintf(where, 4096, "%s", path);
    pthread_cond_broadcast(&opened);
    pthread_mutex_unlock(&gate);
}

static ssize_t gate_readv(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
    if (flags & RWF_NOWAIT)
        return io_system()->readv(fd, iov, count, offset, flags);
    return pass(fd) ? io_system()->readv(fd, iov, count, offset, flags) : -1;
}

static ssize_t gate_writev(int fd, const struct iovec *iov, int count, off_t offset)
{
    return pass(fd) ? io_system()->writev(fd, iov, count, offset) : -1;
}

static int gate_sync(int fd)
{
    return pass(fd) ? io_system()->datasync(fd) : -1;
}

static int gate_allocate(int fd, off_t offset, off_t length)
{
    return pass(fd) ? io_system()->allocate(fd, offset, length) : -1;
}

/* LMDB writes by these, which it finds here first. */
ssize_t pwrite(int fd, const void *data, size_t size, off_t offset);
int fdatasync(int fd);

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    return pass(fd) ? syscall(SYS_pwrite64, fd, data, size, offset) : -1;
}

int fdatasync(int fd)
{
    return pass(fd) ? (int) syscall(SYS_fdatasync, fd) : -1;
}

/* ---- The store on top of it. ---- */

struct rig {
    char *paths[2];
    unsigned count;
    struct store *store;
    struct store_generation *generations[OBJECTS]; /* NULL: not known */
};

static void rig_open(struct rig *rig)
{
    struct store_disk disks[2] = {{.path = rig->paths[0], .size = SIZE}, {.path = rig->paths[1], .size = SIZE}};
    rig->store = fixture_open_disks(disks, rig->count, BLOCK);
}

static void rig_close(struct rig *rig)
{
    for (unsigned i = 0; i < OBJECTS; i++)
        store_generation_unref(&rig->generations[i]);
    fixture_close(rig->store);
}

static void rig_make(struct rig *rig, unsigned count)
{
    static struct io_ops gated;
    gated = *io_system();
    gated.readv = gate_readv;
    gated.writev = gate_writev;
    gated.datasync = gate_sync;
    gated.allocate = gate_allocate;
    *rig = (struct rig){.paths = {fixture_directory(), fixture_directory()}, .count = count};
    io_set(&gated);
}

static void rig_start(struct rig *rig, unsigned count)
{
    rig_make(rig, count);
    rig_open(rig);
}

static void rig_end(struct rig *rig)
{
    rig_close(rig);
    io_set(NULL);
    fixture_remove(rig->paths[0]);
    fixture_remove(rig->paths[1]);
}

/* An object of one block, validated at 5. */
static void put_one(struct rig *rig, uint64_t object)
{
    if (rig->generations[object] == NULL)
        rig->generations[object] = fixture_object(rig->store, object, BLOCK, 5);
    fixture_put(rig->store, rig->generations[object], object, 0);
}

static void put_all(struct rig *rig)
{
    for (unsigned i = 0; i < OBJECTS; i++)
        put_one(rig, i);
    fixture_flush(rig->store);
}

static unsigned stored(const struct rig *rig)
{
    unsigned count = 0;
    for (unsigned i = 0; i < OBJECTS; i++)
        count += rig->generations[i] != NULL && store_has_block(rig->store, rig->generations[i]->id, 0);
    return count;
}

/* Loads whatever is stored: how many were not right and not an honest failure; the longest wait. */
static unsigned load_all(struct rig *rig, unsigned *failed, int64_t *longest_ms)
{
    unsigned wrong = 0;
    *failed = 0;
    *longest_ms = 0;
    for (unsigned i = 0; i < OBJECTS; i++) {
        bool right;
        int64_t start = clock_mono_ms();
        enum status status = fixture_load(rig->store, rig->generations[i], i, 0, &right);
        int64_t took = clock_mono_ms() - start;
        *longest_ms = took > *longest_ms ? took : *longest_ms;
        *failed += status != STATUS_OK;
        wrong += status == STATUS_OK && !right;
    }
    return wrong;
}

static int64_t disks(const char *state)
{
    char label[32];
    snprintf(label, sizeof label, "state=\"%s\"", state);
    return fixture_metric_of(METRIC_STORE_DISKS, label);
}

/* Of one disk. */
static int64_t of(enum metric metric, const struct rig *rig, unsigned number)
{
    return metric_cell_value(metric_cell(metric, rig->paths[number]));
}

/* Waits until so many disks are used. */
static bool wait_used(int64_t count)
{
    rcu_thread_offline();
    for (int64_t until = nap_deadline(); disks("used") != count && nap_until(until);)
        ;
    rcu_thread_online();
    return disks("used") == count;
}

static bool wait_made_anew(const char *path)
{
    const int64_t until = nap_deadline();
    bool seen;
    rcu_thread_offline();
    do
        seen = fixture_logged(path, "the index was made anew from memory");
    while (!seen && nap_until(until));
    rcu_thread_online();
    return seen;
}

static void tombstone(struct rig *rig, uint64_t object)
{
    fixture_tombstone(rig->store, fixture_hash(object));
}

/* One of two disks hangs in everything. */
static void test_hang(void)
{
    struct rig rig;
    unsigned failed;
    int64_t longest;
    rig_start(&rig, 2);
    put_all(&rig);
    is_int(stored(&rig), OBJECTS, "all blocks are stored, on two disks");
    int64_t parts[] = {of(METRIC_STORE_BLOCKS, &rig, 0), of(METRIC_STORE_BLOCKS, &rig, 1)};
    ok(parts[0] > 0 && parts[1] > 0 && parts[0] + parts[1] == OBJECTS, "%lld and %lld, as each disk's metric says",
       (long long) parts[0], (long long) parts[1]);
    is_int(of(METRIC_STORE_BYTES, &rig, 0), parts[0] * BLOCK, "so do its bytes");
    ok(of(METRIC_STORE_CAPACITY, &rig, 0) > 0 && of(METRIC_STORE_CAPACITY, &rig, 1) > 0, "and what it has room for");
    int64_t stalled = fixture_metric(METRIC_STORE_STALLED);
    set(hanging, rig.paths[0]);
    is_int(load_all(&rig, &failed, &longest), 0, "while one hangs no byte is wrong");
    ok(failed > 5 && failed < OBJECTS - 5, "the blocks on it are not to be had (%u), the others are", failed);
    ok(longest < HEALTH_LOAD_MS + 700, "nobody waits longer than %d ms (%lld)", HEALTH_LOAD_MS, (long long) longest);
    ok(fixture_metric(METRIC_STORE_STALLED) > stalled, "those that did are counted");
    is_int(disks("used"), 1, "the disk is out");
    is_int(disks("failed"), 1, "and said to have failed");
    is_int(metric_cell_value(metric_cell2(METRIC_STORE_DISKS, rig.paths[0], "failed")), 1, "by its path");
    is_int(of(METRIC_STORE_STALLED, &rig, 1), 0, "nobody waited for the other");
    is_int(load_all(&rig, &failed, &longest), 0, "then nothing is wrong either");
    ok(longest < 300, "and nobody waits at all (%lld ms)", (long long) longest);
    is_int(stored(&rig), OBJECTS - failed, "its blocks count as missing");
    for (unsigned i = 0; i < OBJECTS / 2; i++)
        put_one(&rig, i);
    is_int(load_all(&rig, &failed, &longest), 0, "half of all is put again");
    unsigned before = stored(&rig);
    ok(before >= OBJECTS / 2, "and stored on the other disk: %u", before);
    for (unsigned i = 0; i < 10; i++) {
        int64_t start = clock_mono_ms();
        tombstone(&rig, i);
        longest = clock_mono_ms() - start > longest ? clock_mono_ms() - start : longest;
    }
    ok(longest < 9000, "ten tombstones are answered, the slowest after %lld ms", (long long) longest);
    int64_t start = clock_mono_ms();
    tombstone(&rig, 10);
    ok(clock_mono_ms() - start < 1000, "and one more at once");
    set(hanging, "");
    ok(wait_used(2), "when it answers again it is taken back");
    ok(stored(&rig) > before, "with what it holds: %u blocks", stored(&rig));
    is_int(load_all(&rig, &failed, &longest), 0, "of which none is wrong");
    rig_end(&rig);
}

/* The process is killed while a disk that hung is away: what was forgotten meanwhile is not believed. */
static void behind_child(struct rig *rig)
{
    rig_open(rig);
    put_all(rig);
    set(hanging, rig->paths[0]);
    for (unsigned i = 0; i < OBJECTS / 2; i++)
        tombstone(rig, i);
    raise(SIGKILL);
}

static void test_killed_behind(void)
{
    struct rig rig;
    unsigned back = 0, kept = 0, blocks = 0, known = 0;
    rig_make(&rig, 2);
    pid_t child = fork(); /* before there are threads */
    if (child == 0) {
        fixture_start();
        behind_child(&rig);
    }
    int state;
    if (child < 0 || waitpid(child, &state, 0) != child || !WIFSIGNALED(state))
        abort();
    fixture_start();
    rig_open(&rig);
    for (unsigned i = 0; i < OBJECTS; i++) {
        struct store_view view;
        if (!store_object_find(rig.store, fixture_hash(i), &view))
            continue;
        known++;
        back += i < OBJECTS / 2 && view.validated_s != 0;
        kept += i >= OBJECTS / 2 && view.validated_s == 5;
        blocks += store_has_block(rig.store, view.generation->id, 0);
        store_generation_unref(&view.generation);
    }
    is_int(known, OBJECTS, "after a kill all objects are known");
    is_int(blocks, OBJECTS, "with their blocks");
    is_int(back, 0, "what was forgotten while a disk hung is not believed again");
    ok(kept > 5, "what the other disk holds is (%u)", kept);
    rig_end(&rig);
}

/* What it missed is in its index when it is back. */
static void test_comes_back(void)
{
    struct rig rig;
    unsigned back = 0, kept = 0, wrong = 0;
    bool right;
    rig_start(&rig, 2);
    put_all(&rig);
    set(hanging, rig.paths[0]);
    for (unsigned i = 0; i < OBJECTS / 2; i++)
        tombstone(&rig, i);
    ok(wait_used(1), "a disk that only hangs for who writes is out as well");
    set(hanging, "");
    ok(wait_used(2), "it comes back");
    ok(wait_made_anew(rig.paths[0]), "its index is made anew");
    for (unsigned i = 0; i < 3; i++) /* what was put off is written, then the mark goes */
        fixture_flush(rig.store);
    rig_close(&rig);
    rig_open(&rig);
    for (unsigned i = 0; i < 2; i++)
        ok(!rig.store->disks[i]->moved && !rig.store->disks[i]->doubted, "the next start finds disk %u as it was", i);
    for (unsigned i = 0; i < OBJECTS; i++) {
        back += i < OBJECTS / 2 && fixture_validated(rig.store, i) != 0;
        kept += i >= OBJECTS / 2 && fixture_validated(rig.store, i) == 5;
        struct store_view view;
        if (!store_object_find(rig.store, fixture_hash(i), &view))
            continue;
        wrong += store_has_block(rig.store, view.generation->id, 0) &&
                 (fixture_load(rig.store, view.generation, i, 0, &right) != STATUS_OK || !right);
        store_generation_unref(&view.generation);
    }
    is_int(back, 0, "what was forgotten meanwhile stays forgotten over the next start");
    is_int(kept, OBJECTS - OBJECTS / 2, "and nothing else is doubted");
    is_int(wrong, 0, "no block is wrong");
    rig_end(&rig);
}

/* Blocks that a start with this one of the disks finds. */
static unsigned blocks_alone(struct rig *rig, unsigned disk, uint64_t first, uint64_t last)
{
    char *both[2] = {rig->paths[0], rig->paths[1]};
    rig->paths[0] = both[disk];
    rig->count = 1;
    rig_open(rig);
    struct found found = fixture_inspect(rig->store, first, last);
    rig_close(rig);
    rig->paths[0] = both[0];
    rig->count = 2;
    return found.wrong == 0 ? found.blocks : 0;
}

/* An index that was made anew from memory knows what the disk's blocks belong to, wherever that has its home. */
static void test_copies(void)
{
    enum { FIRST = 100, LAST = 111, EXTENTS = 4 };
    struct rig rig;
    rig_start(&rig, 2);
    for (uint64_t object = FIRST; object <= LAST; object++) {
        const uint64_t length = (uint64_t) EXTENTS * STORE_EXTENT_BLOCKS * BLOCK;
        struct store_generation *generation = fixture_object(rig.store, object, length, 5);
        for (uint64_t extent = 0; extent < EXTENTS; extent++)
            fixture_put(rig.store, generation, object, extent * STORE_EXTENT_BLOCKS);
        store_generation_unref(&generation);
    }
    fixture_flush(rig.store);
    set(hanging, rig.paths[0]);
    for (uint64_t object = FIRST; object <= LAST; object++)
        tombstone(&rig, object);
    ok(wait_used(1), "a disk with parts of blobs is out");
    set(hanging, "");
    ok(wait_used(2), "and comes back");
    rig_close(&rig); /* waits for the index */
    unsigned sum = blocks_alone(&rig, 0, FIRST, LAST) + blocks_alone(&rig, 1, FIRST, LAST);
    is_int(sum, (LAST - FIRST + 1) * EXTENTS, "each keeps all it holds when it is alone");
    rig_open(&rig);
    rig_end(&rig);
}

/* Reads that fail, all of them. */
static void test_read_errors(void)
{
    struct rig rig;
    unsigned failed;
    int64_t longest;
    rig_start(&rig, 1);
    put_all(&rig);
    set(failing, rig.paths[0]);
    is_int(load_all(&rig, &failed, &longest), 0, "a disk that fails gives no wrong byte");
    is_int(failed, OBJECTS, "nor any other");
    is_int(disks("used"), 0, "it is out");
    ok(!store_would_keep(rig.store, rig.generations[0], 0, 0), "and expected to keep nothing");
    set(failing, "");
    ok(wait_used(1), "and back when it is well");
    ok(store_would_keep(rig.store, rig.generations[0], 0, 0), "and expected to keep what is put");
    is_int(stored(&rig), OBJECTS - HEALTH_READ_ERRORS, "with all but the blocks that taught us");
    rig_end(&rig);
}

/* The only disk hangs, and goes on when the store is closed. */
static void test_close_hung(void)
{
    struct rig rig;
    unsigned failed;
    int64_t longest;
    rig_start(&rig, 1);
    put_all(&rig);
    set(hanging, rig.paths[0]);
    is_int(load_all(&rig, &failed, &longest), 0, "the only disk hangs: no wrong byte");
    ok(longest < HEALTH_LOAD_MS + 700, "and no long wait");
    int64_t start = clock_mono_ms();
    tombstone(&rig, 1);
    ok(clock_mono_ms() - start < 9000, "a tombstone is answered");
    start = clock_mono_ms();
    for (unsigned i = 0; i < OBJECTS; i++)
        store_generation_unref(&rig.generations[i]);
    fixture_close(rig.store);
    ok(clock_mono_ms() - start < 20000, "the store closes without it");
    set(hanging, "");
    /* What hung ends by itself now; what it used is left to the end of the process. */
}

int main(void)
{
    fixture_log();
    test_killed_behind();
    test_hang();
    test_comes_back();
    test_copies();
    test_read_errors();
    test_close_hung();
    fixture_stop();
    int result = done_testing();
    fflush(stdout);
    _exit(result);
}
