/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_store_space.c: a file system with less room than the store's size. On file systems of its own, in memory: what
 * there is is used and no more, the index keeps its share, nothing waits for what cannot come, and growth is tried
 * again. And how much of the room eviction keeps free.
 */
#include <errno.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "store/io.h"
#include "store/disk.h"
#include "store/inside.h"
#include "store/slot.h"
#include "store_fixture.h"
#include "tap.h"

#define BLOCK (256 * KIB)

static void write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t) strlen(text)) {
        perror(path);
        abort();
    }
    close(fd);
}

/* Mounts of our own, as root or as root of a name space of users; they go with the process. */
static void own_mounts(void)
{
    char map[64];
    snprintf(map, sizeof map, "0 %u 1", (unsigned) geteuid());
    bool root = geteuid() == 0 && unshare(CLONE_NEWNS) == 0;
    if (!root) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) {
            perror("unshare");
            abort();
        }
        write_text("/proc/self/uid_map", map);
    }
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        perror("mount");
        abort();
    }
}

static char *small_disk(const char *size)
{
    char *path = fixture_directory(), option[64];
    snprintf(option, sizeof option, "mode=0700,size=%s", size);
    if (mount("tmpfs", path, "tmpfs", 0, option) != 0) {
        perror("mount");
        abort();
    }
    return path;
}

static void small_disk_end(char *path)
{
    umount(path);
    fixture_remove(path);
}

static void ballast(const char *path, off_t bytes)
{
    char name[4300];
    snprintf(name, sizeof name, "%s/../ballast", path);
    int fd = open(name, O_WRONLY | O_CREAT, 0600);
    if (fd < 0 || ftruncate(fd, 0) != 0 || (bytes > 0 && posix_fallocate(fd, 0, bytes) != 0))
        abort();
    close(fd);
}

/* Puts them all; how many are there. Every one that is must be right. */
static unsigned put_all(struct store *store, uint64_t object, unsigned blocks)
{
    struct store_generation *generation = fixture_object(store, object, (uint64_t) blocks * BLOCK, 1);
    unsigned kept = 0, wrong = 0;
    bool right;
    for (uint64_t block = 0; block < blocks; block++)
        fixture_put(store, generation, object, block);
    for (uint64_t block = 0; block < blocks; block++) {
        enum status status = fixture_load(store, generation, object, block, &right);
        kept += status == STATUS_OK;
        wrong += status == STATUS_OK ? !right : status != STATUS_NOT_FOUND;
    }
    is_int(wrong, 0, "of %u blocks %u are kept, none wrong", blocks, kept);
    store_generation_unref(&generation);
    return kept;
}

/* Of a size that the disk has nothing of, neither the index nor tables are to be larger for it. */
#define MUCH (4096 * (int64_t) MIB * 1024)

static void test_smaller_than_size(void)
{
    char *path = small_disk("80m");
    struct metric_cell *errors = metric_cell(METRIC_STORE_ERRORS, path);
    struct store *store = fixture_open_loaded(path, MUCH, BLOCK);
    int64_t capacity = fixture_metric(METRIC_STORE_CAPACITY);
    ok(capacity > 20 * MIB && capacity < 80 * MIB, "the capacity is what there is room for: %lld",
       (long long) capacity);
    int64_t start = clock_mono_ms(), evicted = fixture_metric(METRIC_STORE_EVICTIONS);
    unsigned kept = put_all(store, 1, 800);
    ok(kept > 100, "a store larger than its disk uses what there is");
    ok(fixture_metric(METRIC_STORE_EVICTIONS) > evicted, "and evicts");
    ok(clock_mono_ms() - start < 20000, "without waiting (%lld ms)", (long long) (clock_mono_ms() - start));
    struct arrival arrival;
    arrival_init(&arrival);
    store_tombstone(store, fixture_hash(1), fixture_loop, &arrival.letter);
    arrival_wait(&arrival, 1);
    fixture_flush(store);
    struct statvfs system;
    ok(statvfs(path, &system) == 0 && system.f_bavail > 0, "the index has room left");
    is_int(metric_cell_value(errors), 0, "and nothing failed");
    start = clock_mono_ms();
    fixture_close(store);
    ok(clock_mono_ms() - start < 5000, "it closes at once");
    struct label label;
    const char *damaged;
    int dir = open(path, O_RDONLY | O_DIRECTORY);
    bool known = label_read(dir, &label, &damaged) == STATUS_OK;
    ok(known && label.map_size < 80 * MIB, "its index has its part of what there is");
    label.map_size = (uint64_t) MUCH / 32; /* as versions before it wrote */
    if (label_write(dir, &label) != STATUS_OK)
        abort();
    close(dir);
    if (mount("tmpfs", path, "tmpfs", MS_REMOUNT, "size=66m") != 0)
        abort();
    store = fixture_open_loaded(path, MUCH, BLOCK);
    struct store_view view;
    ok(store_object_find(store, fixture_hash(1), &view), "and opens again");
    unsigned again = 0;
    for (uint64_t block = 0; block < 800; block++)
        again += store_has_block(store, view.generation->id, block);
    ok(again >= kept - 10, "with what it had, though its file system is smaller now: %u blocks", again);
    store_generation_unref(&view.generation);
    fixture_close(store);
    small_disk_end(path);
}

/* Not one slot fits. */
static void test_no_room(void)
{
    char *disk = small_disk("40m"), path[4200];
    snprintf(path, sizeof path, "%s/store", disk);
    if (mkdir(path, 0700) != 0)
        abort();
    struct store *store = fixture_open_loaded(path, 1024 * (int64_t) MIB, BLOCK);
    ballast(path, 36 * MIB);
    int64_t start = clock_mono_ms();
    is_int(put_all(store, 2, 300), 0, "with no room at all nothing is kept");
    ok(clock_mono_ms() - start < 2000, "and nothing waits");
    fixture_flush(store);
    is_int(fixture_metric(METRIC_STORE_CAPACITY), 0, "the capacity says so");
    struct store_generation *other = fixture_object(store, 4, BLOCK, 1);
    ok(!store_would_keep(store, other, 0, 0), "and nothing is expected to be");
    store_generation_unref(&other);
    ballast(path, 0);
    atomic_store(&store->disks[0]->slots.grow_at_ms, 1); /* a while later */
    ok(put_all(store, 3, 30) >= 20, "with room again it keeps what comes");
    fixture_flush(store);
    ok(fixture_metric(METRIC_STORE_CAPACITY) > 20 * MIB, "and the capacity says that, too: %lld",
       (long long) fixture_metric(METRIC_STORE_CAPACITY));
    start = clock_mono_ms();
    fixture_close(store);
    ok(clock_mono_ms() - start < 2000, "it closes at once");
    small_disk_end(disk);
}

/* More blocks than half of `memory` has room to know of. */
static void test_memory(void)
{
    char *path = fixture_directory(), *error = NULL;
    mem_set_limit(64 * MIB);
    struct store *store = fixture_open(path, MUCH, 16 * KIB, &error);
    ok(store == NULL && error != NULL &&
           strstr(error, "at most half of `memory` may go to that: raise memory to ") != NULL,
       "a disk whose blocks memory has no room for is refused: %s", error == NULL ? "(no)" : error);
    mem_free(error);
    mem_set_limit(0);
    fixture_remove(path);
}

/* ---- Growth, slot by slot. ---- */

static atomic_llong room; /* bytes that may be allocated in one call */

static int limited_allocate(int fd, off_t offset, off_t length)
{
    if (length <= atomic_load(&room))
        return io_system()->allocate(fd, offset, length);
    errno = ENOSPC;
    return -1;
}

static unsigned alloc_all(struct slots *slots)
{
    for (unsigned count = 0;; count++) {
        slots_lock_grown(slots);
        uint32_t slot = slots_alloc(slots, true);
        pthread_mutex_unlock(&slots->lock);
        if (slot == SLOT_NONE)
            return count;
    }
}

static void open_slots(struct slots *slots, int dir, unsigned capacity, uint32_t block_size)
{
    const struct slots_config config = {.path = "slots",
                                        .dir = dir,
                                        .block_size = block_size,
                                        .capacity = capacity,
                                        .errors = metric_cell(METRIC_STORE_ERRORS, "slots")};
    if (slots_init(slots, &config) != STATUS_OK)
        abort();
    slots_loaded(slots);
}

static void test_growth(void)
{
    enum { CAPACITY = SLOT_PER_FILE + 100, STRIDE = 20 * KIB };
    char *path = fixture_directory();
    int dir = open(path, O_RDONLY | O_DIRECTORY);
    struct io_ops limited = *io_system();
    struct slots slots;
    limited.allocate = limited_allocate;
    io_set(&limited);
    open_slots(&slots, dir, CAPACITY, 16 * KIB);
    is_int(alloc_all(&slots), 0, "a file that cannot be made gives no slots");
    ok(slots.grow_at_ms > clock_mono_ms(), "it is not tried again at once");
    atomic_store(&room, 300LL * STRIDE);
    is_int(alloc_all(&slots), 0, "nor when there is room");
    slots.grow_at_ms = 1;
    unsigned got = alloc_all(&slots);
    is_int(got, CAPACITY, "but after a while, in pieces of what there is");
    slots_fini(&slots);
    open_slots(&slots, dir, CAPACITY, 16 * KIB);
    is_int(slots.high, CAPACITY, "they are there at the next start");
    slots_fini(&slots);

    fixture_take_away(path);
    if (mkdir(path, 0700) != 0)
        abort();
    close(dir);
    dir = open(path, O_RDONLY | O_DIRECTORY);
    open_slots(&slots, dir, CAPACITY, 16 * KIB);
    slots_lock_grown(&slots);
    (void) slots_alloc(&slots, true);
    unsigned part = slots.high;
    pthread_mutex_unlock(&slots.lock);
    ok(part > 0 && part < SLOT_PER_FILE, "a file may hold fewer slots for now: %u", part);
    slots_fini(&slots);
    open_slots(&slots, dir, CAPACITY, 16 * KIB);
    is_int(slots.high, part, "also at the next start");
    is_int(alloc_all(&slots), CAPACITY, "which makes it whole");
    slots_fini(&slots);
    io_set(NULL);
    close(dir);
    fixture_remove(path);
}

/* What eviction keeps free holds nothing: of a full store that is what is lost. */
static void test_reserve(void)
{
    static const struct {
        uint32_t block_size;
        unsigned slots;
        double most;   /* part of them */
        int64_t least; /* bytes */
    } cases[] = {
        {MIB, 16, 0.20, 3 * MIB},         {MIB, 64, 0.125, 8 * MIB},          {MIB, 350, 0.035, 12 * MIB},
        {MIB, 1000, 0.032, 30 * MIB},     {MIB, 100000, 0.0013, 120 * MIB},   {64 * KIB, 16000, 0.032, 30 * MIB},
        {64 * KIB, 2000, 0.10, 11 * MIB}, {16 * MIB, 64, 0.125, 128LL * MIB},
    };
    char *path = fixture_directory();
    int dir = open(path, O_RDONLY | O_DIRECTORY);
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct slots slots;
        open_slots(&slots, dir, cases[i].slots, cases[i].block_size);
        slots.high = cases[i].slots;
        slots_reserve(&slots);
        int64_t bytes = (int64_t) slots.reserve * slots.stride;
        ok(slots.reserve <= cases[i].most * cases[i].slots && bytes >= cases[i].least,
           "%u blocks of %u KiB: %u are kept free", cases[i].slots, cases[i].block_size / KIB, slots.reserve);
        slots.high = 0;
        slots_fini(&slots);
    }
    close(dir);
    fixture_remove(path);
}

int main(void)
{
    own_mounts();
    fixture_start();
    test_smaller_than_size();
    test_no_room();
    test_memory();
    test_growth();
    test_reserve();
    fixture_stop();
    return done_testing();
}
