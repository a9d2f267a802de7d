/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_store_index.c: an index that is damaged: rows are checked, and what LMDB makes of a damaged file is an answer.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "store/index.h"
#include "store/index_check.h"
#include "store/index_guard.h"
#include "store/index_row.h"
#include "store/location.h"
#include "store_fixture.h"
#include "tap.h"

#define MAP (8 * MIB)
#define ROWS 3000

/* The thread sanitizer puts off signals that are sent. */
#if defined(__SANITIZE_THREAD__)
#define SIGNALS_WAIT true
#else
#define SIGNALS_WAIT false
#endif

/* What index_guard.h does not see, that LMDB writes behind a page on the heap, the address sanitizer does. */
#if defined(__SANITIZE_ADDRESS__)
#define MAY_OVERRUN false
#else
#define MAY_OVERRUN true
#endif

/* ---- Faults. ---- */

static volatile int *nowhere(void)
{
    static uintptr_t address = 16; /* nothing is mapped there, and the compiler need not know it */
    return (volatile int *) *(volatile uintptr_t *) &address;
}

static int call_well(void *arg)
{
    return *(int *) arg;
}

static int call_segv(void *arg)
{
    (void) arg;
    return *nowhere();
}

static int call_bus(void *arg)
{
    return *(volatile int *) arg;
}

static int call_assert(void *arg)
{
    (void) arg;
    index_guard_fail();
}

static void *touch(void *arg)
{
    (void) arg;
    return (void *) (uintptr_t) *nowhere();
}

/* Another thread's fault is none of the guarded one's. */
static int call_while_other_faults(void *arg)
{
    pthread_t thread;
    (void) arg;
    if (pthread_create(&thread, NULL, touch, NULL) != 0)
        return -1;
    pthread_join(thread, NULL);
    return 0;
}

static int call_raise(void *arg)
{
    (void) arg;
    return raise(SIGSEGV);
}

/* Whether a process ends that does this after it has had a guarded fault. */
static bool dies(int (*call)(void *arg), bool in_guard)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        int result;
        fclose(stderr); /* what a sanitizer has to say of it */
        (void) index_guard(call_segv, NULL, &result);
        if (in_guard)
            (void) index_guard(call, NULL, &result);
        else
            (void) call(NULL);
        _exit(0);
    }
    int status = 0;
    return child > 0 && waitpid(child, &status, 0) == child && !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_guard(void)
{
    int result = 0, wanted = 42;
    ok(dies(call_segv, false), "a fault outside of a call ends the process");
    ok(dies(call_while_other_faults, true), "so does one on another thread");
    if (!SIGNALS_WAIT)
        ok(dies(call_raise, true), "and a signal that was sent");
    ok(index_guard(call_well, &wanted, &result) && result == 42, "a call that ends answers");
    ok(!index_guard(call_segv, NULL, &result), "one that faults is interrupted");
    ok(!index_guard(call_assert, NULL, &result), "and one that fails an assertion");
    FILE *file = tmpfile();
    int fd = fileno(file);
    if (ftruncate(fd, 8192) != 0)
        abort();
    int *map = mmap(NULL, 8192, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED || ftruncate(fd, 0) != 0)
        abort();
    unsigned survived = 0;
    for (unsigned i = 0; i < 100; i++)
        survived += !index_guard(call_bus, map, &result);
    is_int(survived, 100, "a file that was cut short interrupts, as often as it comes");
    munmap(map, 8192);
    fclose(file);
    ok(index_guard(call_well, &wanted, &result) && result == 42, "after all of that calls answer");
}

/* ---- Rows. ---- */

static void test_rows(void)
{
    uint8_t key[INDEX_KEY_SIZE], row[INDEX_ROW_MAX];
    struct index_object object = {.object = {1, 2},
                                  .group = {3, 4},
                                  .generation = 5,
                                  .length = 6,
                                  .validated_s = 7,
                                  .sequence = 8,
                                  .place = location_make(0, 9, 10),
                                  .record = STR("record")};
    struct index_object read_object;
    index_key_hash(key, object.object);
    size_t size = index_row_object(row, key, &object);
    ok(index_read_object(row, size, key, &read_object) && str_eq(read_object.record, object.record) &&
           read_object.generation == 5 && read_object.validated_s == 7 && read_object.place == object.place,
       "an object's row reads as it was written");
    unsigned believed = 0;
    for (unsigned bit = 0; bit < (size + sizeof key) * 8; bit++) {
        uint8_t *byte = bit / 8 < size ? row + bit / 8 : key + (bit / 8 - size);
        *byte ^= (uint8_t) (1U << bit % 8);
        believed += index_read_object(row, size, key, &read_object);
        *byte ^= (uint8_t) (1U << bit % 8);
    }
    for (size_t cut = 0; cut < size; cut++)
        believed += index_read_object(row, cut, key, &read_object);
    is_int(believed, 0, "with any bit of row or key turned over, or cut short, not at all");
    index_row_invalidate(row, size, key);
    ok(index_read_object(row, size, key, &read_object) && read_object.validated_s == 0, "it can be invalidated");

    struct index_extent extent = {.generation = 5, .extent = 6, .object = {1, 2}, .length = 7}, read_extent;
    index_key_extent(key, 5, 6);
    ok(index_row_extent(row, key, &extent) == 0, "an extent without blocks has no row");
    extent.location[3] = location_make(0, 1, 77);
    extent.location[15] = location_packed(0, 1, 5, 4096);
    size = index_row_extent(row, key, &extent);
    ok(index_read_extent(row, size, key, &read_extent) && read_extent.generation == 5 && read_extent.extent == 6 &&
           memcmp(read_extent.location, extent.location, sizeof extent.location) == 0,
       "an extent's row reads as it was written");
    for (unsigned bit = 0; bit < size * 8; bit++) {
        row[bit / 8] ^= (uint8_t) (1U << bit % 8);
        believed += index_read_extent(row, size, key, &read_extent);
        row[bit / 8] ^= (uint8_t) (1U << bit % 8);
    }
    is_int(believed, 0, "with any bit turned over not at all");
    uint64_t number;
    size = index_row_number(row, INDEX_GROUPS, key, sizeof key, 12345);
    ok(index_read_number(row, size, INDEX_GROUPS, key, sizeof key, &number) && number == 12345, "a number as well");
    ok(!index_read_number(row, size, INDEX_META, key, sizeof key, &number), "but not in another table");
}

/* ---- Files. ---- */

static struct index *open_index(const char *path)
{
    struct index *index = NULL;
    const char *why = "";
    enum status status = index_open(path, MAP, &index, &why);
    if (status != STATUS_OK)
        printf("# %s: %s\n", status_name(status), why);
    return index;
}

static void fill(struct index *index, unsigned rows)
{
    char record[400];
    memset(record, 'r', sizeof record);
    index_begin(index);
    index_put_meta(index, "number", 99);
    for (unsigned i = 0; i < rows; i++) {
        struct index_extent extent = {.generation = i + 1, .object = fixture_hash(i), .length = 1};
        extent.location[i % 16] = location_make(0, 1, i);
        index_put_extent(index, &extent);
        index_put_object(index, &(struct index_object){.object = fixture_hash(i),
                                                       .generation = i + 1,
                                                       .validated_s = 1,
                                                       .record = {record, i % 50 == 0 ? sizeof record : 40}});
    }
    for (unsigned i = 0; i < 20; i++)
        index_put_group(index, fixture_hash(i), i);
    if (index_commit(index) != STATUS_OK || index_sync(index) != STATUS_OK)
        abort();
}

struct seen {
    unsigned objects, extents, groups, wrong, bad;
};

static void see_object(void *arg, const struct index_object *object)
{
    struct seen *seen = arg;
    seen->objects++;
    seen->wrong += !hash128_eq(object->object, fixture_hash(object->generation - 1));
}

static void see_extent(void *arg, const struct index_extent *extent)
{
    struct seen *seen = arg;
    seen->extents++;
    seen->wrong += !hash128_eq(extent->object, fixture_hash(extent->generation - 1));
}

static void see_group(void *arg, struct hash128 group, uint64_t sequence)
{
    struct seen *seen = arg;
    seen->groups++;
    seen->wrong += !hash128_eq(group, fixture_hash(sequence));
}

static void see_bad(void *arg, const uint8_t key[16])
{
    struct seen *seen = arg;
    (void) key;
    seen->bad++;
}

static enum status look(struct index *index, struct seen *seen)
{
    struct index_cursor cursors[3] = {0};
    enum status status = STATUS_OK;
    unsigned steps = 0;
    *seen = (struct seen){0};
    for (bool more = true; status == STATUS_OK && more; steps++)
        status = index_scan_groups(index, &cursors[0], 1000, see_group, see_bad, seen, &more);
    for (bool more = true; status == STATUS_OK && more; steps++)
        status = index_scan_objects(index, &cursors[1], 500, see_object, see_bad, seen, &more);
    for (bool more = true; status == STATUS_OK && more; steps++)
        status = index_scan_extents(index, &cursors[2], 500, see_extent, see_bad, seen, &more);
    if (steps > 2 * ROWS)
        abort();
    return status;
}

static void test_scan(const char *path)
{
    struct seen seen;
    struct index *index = open_index(path);
    fill(index, ROWS);
    is_int(look(index, &seen), STATUS_OK, "an index is read to its end");
    ok(seen.objects == ROWS && seen.extents == ROWS && seen.groups == 20 && seen.bad == 0 && seen.wrong == 0,
       "with all its rows");
    index_close(index);
}

/* Rows long and short, come and go: whatever a commit leaves is whole. */
static void test_whole(void)
{
    char *path = fixture_directory(), file[4200], *record = mem_calloc(1, STORE_RECORD_MAX);
    struct index *index = open_index(path);
    unsigned whole = 0, rounds = 60;
    uint64_t dice = 5;
    snprintf(file, sizeof file, "%s/data.mdb", path);
    for (unsigned round = 0; round < rounds; round++) {
        index_begin(index);
        index_put_meta(index, "mark", round);
        for (unsigned i = 0; i < 400; i++) {
            dice = hash_mix(dice, i);
            uint64_t number = dice % 3000;
            struct index_extent extent = {.generation = number + 1, .object = fixture_hash(number), .length = 1};
            extent.location[dice >> 40 & 15] = dice >> 20 & 3 ? location_make(0, 1, number) : 0;
            index_put_extent(index, &extent);
            size_t length = (dice >> 50) % 40 == 0 ? (dice >> 16) % STORE_RECORD_MAX : (dice >> 16) % 500;
            if ((dice >> 30) % 3 == 0)
                index_delete_object(index, fixture_hash(number));
            else
                index_put_object(index, &(struct index_object){.object = fixture_hash(number % 500),
                                                               .generation = number + 1,
                                                               .record = {record, length}});
            if ((dice >> 8) % 20 == 0)
                index_put_group(index, fixture_hash(number), 1);
            else if ((dice >> 8) % 20 == 1)
                index_delete_group(index, fixture_hash(number));
        }
        const char *why = "";
        enum status status = index_commit(index);
        if (status == STATUS_OK)
            status = index_check(file, MAP, &why);
        whole += status == STATUS_OK;
        if (status != STATUS_OK)
            printf("# %s: %s\n", status_name(status), why);
        if (round % 10 == 9) {
            index_close(index);
            index = open_index(path);
        }
    }
    is_int(whole, rounds, "what a commit leaves is whole");
    index_close(index);
    mem_free(record);
    fixture_remove(path);
}

/* Copies the index to where it may be damaged. */
static void copy(const char *from, const char *to)
{
    char name[4200], command[9000];
    snprintf(name, sizeof name, "%s/data.mdb", to);
    snprintf(command, sizeof command, "cp '%s/data.mdb' '%s'", from, name);
    if (system(command) != 0)
        abort();
    snprintf(name, sizeof name, "%s/lock.mdb", to);
    (void) unlink(name);
}

static int open_file(const char *path)
{
    char name[4200];
    snprintf(name, sizeof name, "%s/data.mdb", path);
    int fd = open(name, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        abort();
    return fd;
}

static void flip(int fd, off_t at, unsigned bit)
{
    uint8_t byte;
    if (pread(fd, &byte, 1, at) != 1)
        abort();
    byte ^= (uint8_t) (1U << bit);
    if (pwrite(fd, &byte, 1, at) != 1)
        abort();
}

/* Writes too: what a damaged page does to a commit. */
static enum status write_some(struct index *index)
{
    index_begin(index);
    for (unsigned i = 0; i < 40; i++) {
        index_invalidate_object(index, fixture_hash(i * 7));
        index_delete_object(index, fixture_hash(i * 11 + 1));
        struct index_extent extent = {.generation = i * 31 + 1, .object = fixture_hash(i * 31), .length = 1};
        extent.location[0] = location_make(0, 1, i);
        index_put_extent(index, &extent);
    }
    return index_commit(index);
}

/* One bit, anywhere: nothing wrong is shown, and nothing of it ends the process. */
static void test_flips(const char *path, bool open_first)
{
    char *damaged = fixture_directory();
    unsigned wrong = 0, noticed = 0, faults = 0, flips = 150;
    uint64_t dice = open_first ? 7 : 1;
    for (unsigned i = 0; i < flips; i++) {
        struct seen seen = {0};
        copy(path, damaged);
        struct index *index = open_first ? open_index(damaged) : NULL;
        int fd = open_file(damaged);
        struct stat info;
        if (fstat(fd, &info) != 0)
            abort();
        dice = hash_mix(dice, i);
        /* Every second one in the first 128 bytes of a page: what a page says of itself, and where its rows are. */
        off_t page = (off_t) (dice >> 16) % (info.st_size / 4096) * 4096;
        flip(fd, page + (off_t) ((dice >> 3) % (i % 2 ? 128 : 4096)), dice & 7);
        close(fd);
        if (!open_first)
            index = open_index(damaged);
        enum status status = index == NULL ? STATUS_CORRUPT : look(index, &seen);
        wrong += seen.wrong;
        noticed += status != STATUS_OK || seen.bad > 0;
        if (index != NULL) {
            enum status wrote = open_first && !MAY_OVERRUN ? status : write_some(index);
            faults += status == STATUS_CORRUPT || wrote == STATUS_CORRUPT;
            index_close(index);
        }
    }
    is_int(wrong, 0, "of %u bits that turned over %s none led to a wrong row (%u were noticed by reading, %u ended it)",
           flips, open_first ? "under an open index" : "before it was opened", noticed, faults);
    fixture_remove(damaged);
}

static void test_cut(const char *path)
{
    char *damaged = fixture_directory();
    unsigned wrong = 0, failed = 0;
    for (unsigned i = 0; i < 40; i++) {
        struct seen seen = {0};
        copy(path, damaged);
        struct index *index = i % 2 ? open_index(damaged) : NULL;
        int fd = open_file(damaged);
        struct stat info;
        if (fstat(fd, &info) != 0 || ftruncate(fd, info.st_size / 41 * i / 4096 * 4096 + (i % 3 == 0 ? 100 : 0)) != 0)
            abort();
        close(fd);
        if (index == NULL)
            index = open_index(damaged);
        enum status status = index == NULL ? STATUS_CORRUPT : look(index, &seen);
        uint64_t number = 99;
        if (index != NULL) {
            (void) (write_some(index) == STATUS_OK);
            if (index_get_meta(index, "number", &number) != STATUS_OK)
                number = 99;
            index_close(index);
        }
        wrong += seen.wrong + (number != 99);
        failed += status != STATUS_OK;
    }
    is_int(wrong, 0, "of 40 files that were cut short none led to a wrong row (%u failed)", failed);
    fixture_remove(damaged);
}

/* A poisoned index answers, and says so. */
static void test_poisoned(const char *path)
{
    char *damaged = fixture_directory();
    struct seen seen;
    copy(path, damaged);
    struct index *index = open_index(damaged);
    int fd = open_file(damaged);
    if (ftruncate(fd, 8192) != 0)
        abort();
    close(fd);
    is_int(look(index, &seen), STATUS_CORRUPT, "a file cut short while it is open is an answer");
    uint64_t number;
    is_int(index_get_meta(index, "number", &number), STATUS_CORRUPT, "after that nothing is read");
    is_int(write_some(index), STATUS_CORRUPT, "nothing written");
    is_int(index_sync(index), STATUS_CORRUPT, "nothing synced");
    is_int((intmax_t) index_used(index), 0, "nothing counted");
    index_close(index);
    fixture_remove(damaged);
}

int main(void)
{
    fixture_start();
    test_guard();
    test_rows();
    char *path = fixture_directory();
    test_scan(path);
    test_whole();
    test_poisoned(path);
    test_cut(path);
    test_flips(path, false);
    test_flips(path, true);
    fixture_remove(path);
    fixture_stop();
    return done_testing();
}
