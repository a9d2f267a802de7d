/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_store_opening.c: numbers of generations rise from start to start, wherever the clock was then, and what was
 * stored stays.
 */
#include <sys/syscall.h>
#include <time.h>

#include "store/generation.h"
#include "store_fixture.h"
#include "tap.h"

#define BLOCK (64 * KIB)
#define SIZE (64 * MIB)
#define YEAR (INT64_C(31557600))

static int64_t shift_s;

/* Ours is found first. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
    long result = syscall(SYS_clock_gettime, clock, now);
    if (clock == CLOCK_REALTIME)
        now->tv_sec += shift_s;
    return (int) result;
}

/* A start, at another time; the number of the object it adds. */
static uint64_t start(const char *path, int64_t shift, uint64_t object)
{
    shift_s = shift;
    struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
    uint64_t id = fixture_put_object(store, object, BLOCK, 1);
    fixture_flush(store);
    fixture_close(store);
    return id;
}

int main(void)
{
    static const struct {
        const char *when;
        int64_t shift;
    } rows[] = {{"now", 0},
                {"a minute later", 60},
                {"ten years back", -10 * YEAR},
                {"a few years ahead", 12 * YEAR},
                {"a century ahead", 100 * YEAR},
                {"seven thousand years ahead", 7000 * YEAR},
                {"now again", 0}};
    enum { COUNT = sizeof rows / sizeof *rows };
    uint64_t last = 0;
    fixture_start();
    char *path = fixture_directory();
    for (unsigned i = 0; i < COUNT; i++) {
        uint64_t id = start(path, rows[i].shift, i);
        ok(id > last, "%s: numbers rise", rows[i].when);
        ok(id >> GENERATION_OPENING_SHIFT < GENERATION_OPENING_MAX / 16 * 15, "and are not used up");
        last = id;
    }
    struct store *store = fixture_open_loaded(path, SIZE, BLOCK);
    struct found found = fixture_inspect(store, 0, COUNT - 1);
    is_int(found.blocks, COUNT, "everything that was stored is there");
    is_int(found.wrong, 0, "and right");
    fixture_close(store);
    fixture_remove(path);
    fixture_stop();
    return done_testing();
}
