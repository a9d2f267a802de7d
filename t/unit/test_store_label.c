/* SPDX-License-Identifier: Apache-2.0 */
/* test_store_label.c: a label and its copy, of which one is damaged, gone or older. */
#include "store/label.h"
#include "store_fixture.h"
#include "tap.h"

#define BLOCK (64 * KIB)
#define SIZE (8 * MIB)

static void turn_over(const char *name, off_t at)
{
    uint8_t byte;
    int fd = open(name, O_RDWR);
    if (fd < 0 || pread(fd, &byte, 1, at) != 1)
        abort();
    byte ^= 0x10;
    if (pwrite(fd, &byte, 1, at) != 1)
        abort();
    close(fd);
}

/* Whether object 5 and its block are there. */
static bool kept(const char *path)
{
    struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
    struct found found = fixture_inspect(store, 5, 5);
    fixture_close(store);
    return found.validated == 1 && found.blocks == 1 && found.wrong == 0;
}

static bool same_file(const char *path, const char *a, const char *b)
{
    const char *names[] = {a, b};
    char bytes[2][80];
    ssize_t got[2];
    for (unsigned i = 0; i < 2; i++) {
        char name[4200];
        snprintf(name, sizeof name, "%s/%s", path, names[i]);
        int fd = open(name, O_RDONLY);
        got[i] = fd < 0 ? -1 : read(fd, bytes[i], sizeof bytes[i]);
        close(fd);
    }
    return got[0] == 64 && got[1] == 64 && memcmp(bytes[0], bytes[1], 64) == 0;
}

/* Each byte of a label and of its copy. */
static void test_label(const char *path)
{
    static const char *const names[] = {"headpond.store", "headpond.store.copy"};
    unsigned lost = 0, unmended = 0, uncounted = 0;
    char name[4200];
    struct store *first = fixture_open_loaded(path, SIZE, BLOCK);
    (void) fixture_put_object(first, 5, BLOCK, 1);
    fixture_close(first);
    for (unsigned i = 0; i < 128; i++) {
        int64_t counted = fixture_metric(METRIC_STORE_CORRUPT);
        snprintf(name, sizeof name, "%s/%s", path, names[i / 64]);
        turn_over(name, i % 64);
        struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
        lost += fixture_validated(store, 5) != 1;
        fixture_close(store);
        unmended += !same_file(path, names[0], names[1]);
        uncounted += fixture_metric(METRIC_STORE_CORRUPT) - counted != 1;
    }
    is_int(lost, 0, "a damaged byte in one of a label and its copy loses nothing");
    is_int(unmended, 0, "is mended");
    is_int(uncounted, 0, "and counted");
    for (unsigned i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "%s/%s", path, names[i]);
        if (truncate(name, 10) != 0)
            abort();
        ok(kept(path) && same_file(path, names[0], names[1]), "nor does a %s cut short", names[i]);
        unlink(name);
        ok(kept(path) && same_file(path, names[0], names[1]), "nor one that is gone");
    }
    is_int(fixture_metric(METRIC_STORE_CORRUPT), 128 + 3, "a store that never had a copy is not damaged");
}

/* A crash came between the two, or an earlier version wrote the one alone: the later one counts. */
static void test_label_order(const char *path)
{
    const struct label old = {.format = 2, .block_size = BLOCK, .incarnation = 3, .opening = 7};
    struct label newer = old, emptied = old, got;
    const char *damaged;
    char file[4200], copy[4200], aside[4200];
    newer.opening = 8;
    emptied.incarnation = 4;
    emptied.opening = 6;
    snprintf(file, sizeof file, "%s/headpond.store", path);
    snprintf(copy, sizeof copy, "%s/headpond.store.copy", path);
    snprintf(aside, sizeof aside, "%s/aside", path);
    int dir = open(path, O_RDONLY | O_DIRECTORY);
    const struct label *later[] = {&newer, &emptied};
    for (unsigned i = 0; i < 4; i++) {
        const char *kept_one = i & 1 ? file : copy;
        if (label_write(dir, &old) != STATUS_OK || rename(kept_one, aside) != 0 ||
            label_write(dir, later[i / 2]) != STATUS_OK || rename(aside, kept_one) != 0)
            abort();
        ok(label_read(dir, &got, &damaged) == STATUS_OK && damaged == NULL && got.opening == later[i / 2]->opening &&
               got.incarnation == later[i / 2]->incarnation,
           "of two good ones the later counts: %s, %s", i & 1 ? "the copy" : "the file",
           i / 2 ? "emptied since" : "opened since");
    }
    close(dir);
}

int main(void)
{
    fixture_start();
    fixture_with_directory(test_label);
    fixture_with_directory(test_label_order);
    fixture_stop();
    return done_testing();
}
