/* SPDX-License-Identifier: Apache-2.0 */
/* test_store_guard.c: directories that must be refused, and what a program started by headpond must not inherit. */
#include <dirent.h>

#include "store_fixture.h"
#include "tap.h"

#define BLOCK (256 * KIB)
#define SIZE (64 * MIB)

static void refused(const char *path, int64_t size, uint32_t block_size, const char *part)
{
    char *error;
    struct store *store = fixture_open(path, size, block_size, &error);
    ok(store == NULL && error != NULL && strstr(error, part) != NULL && strchr(error, '\n') == NULL, "refused: %s",
       error == NULL ? "no" : error);
    mem_free(error);
    if (store != NULL)
        fixture_close(store);
}

static void test_refused(const char *path)
{
    struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
    refused(path, SIZE, BLOCK, "in use");
    fixture_close(store);
    refused(path, SIZE, 2 * BLOCK, "block_size");
    refused(path, SIZE, 5000, "block_size");
    refused("/proc/headpond", SIZE, BLOCK, "cannot be made");
    char *small = fixture_directory();
    refused(small, 2 * MIB, BLOCK, "too small");
    fixture_remove(small);
    /* A label of a later format, and one that is none. */
    char name[4200], kept[64], other[64];
    snprintf(name, sizeof name, "%s/headpond.store", path);
    int fd = open(name, O_RDWR);
    if (fd < 0 || pread(fd, kept, sizeof kept, 0) != (ssize_t) sizeof kept)
        abort();
    memcpy(other, kept, sizeof other);
    other[8] = 99;
    uint64_t sum = hash64(other, 56, 0);
    memcpy(other + 56, &sum, 8);
    if (pwrite(fd, other, sizeof other, 0) != (ssize_t) sizeof other)
        abort();
    refused(path, SIZE, BLOCK, "format 99");
    other[20] ^= 1;
    if (pwrite(fd, other, sizeof other, 0) != (ssize_t) sizeof other)
        abort();
    /* A damaged one among foreign files is not ours to empty. */
    char foreign[4200];
    snprintf(foreign, sizeof foreign, "%s/headpond.store.copy", path);
    unlink(foreign);
    snprintf(foreign, sizeof foreign, "%s/letter.txt", path);
    fixture_write(path, "letter.txt", "x");
    refused(path, SIZE, BLOCK, "letter.txt");
    unlink(foreign);
    if (pwrite(fd, kept, sizeof kept, 0) != (ssize_t) sizeof kept)
        abort();
    close(fd);
    store = fixture_open(path, SIZE, BLOCK, NULL);
    ok(store != NULL, "none of that hurt the store");
    fixture_close(store);
    char *home = fixture_directory();
    fixture_write(home, "letter.txt", "x");
    refused(home, SIZE, BLOCK, "letter.txt");
    snprintf(foreign, sizeof foreign, "%s/lock", home);
    ok(access(foreign, F_OK) != 0, "where others keep their files nothing is left behind");
    fixture_remove(home);
}

/* Files below the directory that a program started by headpond would inherit. */
static unsigned inherited(const char *path, unsigned *open_files)
{
    unsigned count = 0;
    DIR *list = opendir("/proc/self/fd");
    *open_files = 0;
    for (struct dirent *item; list != NULL && (item = readdir(list)) != NULL;) {
        char target[4200] = "";
        if (readlinkat(dirfd(list), item->d_name, target, sizeof target - 1) < 0 ||
            strncmp(target, path, strlen(path)) != 0)
            continue;
        ++*open_files;
        if (!(fcntl(atoi(item->d_name), F_GETFD) & FD_CLOEXEC)) {
            printf("# %s\n", target);
            count++;
        }
    }
    closedir(list);
    return count;
}

/* Links, pipes and others' rights. */
static void test_guarded(const char *path)
{
    static const char *const names[] = {
        "headpond.store", "headpond.store.copy", "headpond.store.new", "headpond.store.copy.new", "lock",
        "opening",        "CACHEDIR.TAG",        "index/data.mdb",     "index/lock.mdb",          "data-000000"};
    static const mode_t shared[] = {0777, 01777, 0770, 0702}, own[] = {0700, 0750, 0755};
    char name[4200], aside[4200], index[4200];
    struct store *store;
    store = fixture_open_loaded(path, SIZE, BLOCK);
    struct store_generation *generation = fixture_object(store, 1, BLOCK, 1);
    unsigned files;
    fixture_put(store, generation, 1, 0);
    store_generation_unref(&generation);
    is_int(inherited(path, &files), 0, "no descriptor is inherited");
    ok(files >= 6, "of %u: the directory, its lock, the index, a data file", files);
    fixture_close(store);
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(name, sizeof name, "%s/%s", path, names[i]);
        snprintf(aside, sizeof aside, "%s/aside", path);
        bool there = rename(name, aside) == 0;
        if (symlink(aside, name) != 0)
            abort();
        refused(path, SIZE, BLOCK, names[i]);
        unlink(name);
        if (mkfifo(name, 0600) != 0)
            abort();
        refused(path, SIZE, BLOCK, "not a plain file");
        unlink(name);
        if (there && rename(aside, name) != 0)
            abort();
    }
    snprintf(index, sizeof index, "%s/index", path);
    if (rename(index, aside) != 0 || symlink(aside, index) != 0)
        abort();
    refused(path, SIZE, BLOCK, "index is not a directory");
    if (unlink(index) != 0 || rename(aside, index) != 0)
        abort();
    for (unsigned i = 0; i < sizeof shared / sizeof *shared; i++) {
        chmod(path, shared[i]);
        refused(path, SIZE, BLOCK, "chmod go-w it");
    }
    for (unsigned i = 0; i < sizeof own / sizeof *own; i++) {
        chmod(path, own[i]);
        store = fixture_open(path, SIZE, BLOCK, NULL);
        ok(store != NULL, "mode %04o is accepted", (unsigned) own[i]);
        fixture_close(store);
    }
    snprintf(name, sizeof name, "%s-link", path);
    if (symlink(path, name) != 0)
        abort();
    store = fixture_open(name, SIZE, BLOCK, NULL);
    ok(store != NULL, "so is a link to the directory");
    fixture_close(store);
    unlink(name);
    if (geteuid() != 0)
        return; /* only root can give files away */
    snprintf(name, sizeof name, "%s/lock", path);
    if (chown(name, 12345, (gid_t) -1) != 0)
        abort();
    refused(path, SIZE, BLOCK, "lock is another user's");
    if (chown(name, 0, (gid_t) -1) != 0 || chown(path, 12345, (gid_t) -1) != 0)
        abort();
    refused(path, SIZE, BLOCK, "belongs to user 12345");
    if (chown(path, 0, (gid_t) -1) != 0)
        abort();
}

int main(void)
{
    fixture_start();
    fixture_with_directory(test_refused);
    fixture_with_directory(test_guarded);
    fixture_stop();
    return done_testing();
}
