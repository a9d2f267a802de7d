/* SPDX-License-Identifier: Apache-2.0 */
/* Buffers: alignment, reuse within bounds, and a reader that follows a writer without a lock. */
#include "config.h"
#include "tap.h"

#include <pthread.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"

#define MIB ((size_t) 1024 * 1024)

static void sizes(void)
{
    static const size_t size[] = {1, 100, 4095, 4096, 65535, 65536, 100000, MIB, 16 * MIB};
    for (unsigned i = 0; i < sizeof size / sizeof size[0]; i++) {
        struct buf *buf = buf_new(size[i]);
        ok(buf->size == size[i] && buf_filled(buf) == 0 && (size[i] < 4096 || (uintptr_t) buf->data % 4096 == 0),
           "%zu bytes", size[i]);
        buf->data[0] = buf->data[size[i] - 1] = 1;
        struct buf *again = buf_ref(buf);
        buf_unref(&buf);
        ok(buf == NULL && again->data[size[i] - 1] == 1, "lives as long as a reference does");
        buf_unref(&again);
    }
    struct buf *none = NULL;
    buf_unref(&none);
}

#ifndef HEADPOND_SANITIZE /* which has no mappings to keep */
static void keeps(void)
{
    struct buf *bufs[100];
    buf_trim();
    size_t before = mem_used();
    for (unsigned i = 0; i < 100; i++)
        bufs[i] = buf_new(MIB);
    ok(mem_used() - before >= 100 * MIB, "mappings are tallied");
    for (unsigned i = 0; i < 100; i++)
        buf_unref(&bufs[i]);
    size_t held = mem_used() - before, kept = buf_kept_bytes();
    ok(kept > 0, "they are kept");
    ok(held >= kept && held < kept + 65536, "what is kept still counts as used");
    buf_tidy();
    for (unsigned turn = 0; turn < 2; turn++) {
        for (unsigned i = 0; i < 60; i++)
            bufs[i] = buf_new(MIB);
        for (unsigned i = 0; i < 60; i++)
            buf_unref(&bufs[i]);
        buf_tidy();
        is_int((long long) (buf_kept_bytes() / MIB), 60, "as many as are needed at once stay");
    }
    buf_tidy();
    is_int((long long) buf_kept_bytes(), 0, "none that is not needed for a while");
    for (unsigned i = 0; i < 100; i++)
        bufs[i] = buf_new(MIB);
    for (unsigned i = 0; i < 100; i++)
        buf_unref(&bufs[i]);
    buf_trim();
    is_int((long long) buf_kept_bytes(), 0, "trimmed");
    ok(mem_used() - before < 65536, "and given back");

    mem_set_limit(32 * MIB);
    for (unsigned i = 0; i < 10; i++)
        bufs[i] = buf_new(MIB);
    for (unsigned i = 0; i < 10; i++)
        buf_unref(&bufs[i]);
    ok(buf_kept_bytes() <= 8 * MIB, "at most a quarter of the limit is kept");
    buf_trim();
    mem_set_limit(0);
}

#endif

/* One that does not wait. */
static struct buf *at_once(struct buf_room *room, size_t size)
{
    return buf_new_in(room, size, NULL);
}

static void room(void)
{
    struct buf_room room = {.most = 3 * MIB, .least = MIB};
    ok(!buf_room_short(&room, 1000), "nobody has been refused");
    struct buf *one = at_once(&room, MIB), *two = at_once(&room, 2 * MIB), *held = buf_ref(two);
    ok(one != NULL && two != NULL, "there is room");
    ok(at_once(&room, 1) == NULL, "and no more than that");
    ok(buf_room_short(&room, 1000), "and that somebody was refused is known");
    buf_unref(&two);
    ok(at_once(&room, 1) == NULL, "it counts as long as somebody has a reference");
    buf_unref(&held);
    is_int(atomic_load(&room.taken), MIB, "and no longer");
    mem_set_limit(1);
    ok(at_once(&room, 1) == NULL, "with all memory used there is no more than the least");
    buf_unref(&one);
    one = at_once(&room, MIB);
    ok(one != NULL, "but that there is");
    mem_set_limit(0);
    buf_unref(&one);
    is_int(atomic_load(&room.taken), 0, "all of it comes back");
}

/* A large one gets its room though small ones come all the time; when it comes no more, they go on. */
static void order(void)
{
    enum { SMALL = 16 };
    struct buf_room room = {.most = 4 * MIB, .least = 4 * MIB};
    struct buf *small[SMALL], *large = NULL;
    int64_t now_ms = clock_mono_ms(), large_ms = now_ms - 20, later_ms = now_ms - 10;
    unsigned left = 0;
    ok(at_once(&room, 5 * MIB) == NULL, "one that does not wait finds no room");
    for (unsigned i = 0; i < SMALL; i++)
        small[i] = at_once(&room, MIB / 4);
    ok(small[SMALL - 1] != NULL, "and keeps no place");
    ok(buf_new_in(&room, 3 * MIB, &large_ms) == NULL && large_ms == now_ms - 20,
       "no room for a large one, which waits");
    for (; left < SMALL && large == NULL; left++) {
        buf_unref(&small[left]);
        small[left] = at_once(&room, MIB / 4);
        large = buf_new_in(&room, 3 * MIB, &large_ms);
    }
    is_int(left, 12, "small ones that come later do not take what it waits for");
    ok(large != NULL && large_ms == 0, "it gets that");
    for (unsigned i = 0; i < SMALL; i++)
        buf_unref(&small[i]);

    ok(!buf_room_has(&room, 2 * MIB, &later_ms) && at_once(&room, 1) == NULL, "the next one keeps its place by asking");
    large_ms = now_ms - 30;
    small[0] = buf_new_in(&room, MIB / 4, &large_ms);
    ok(small[0] != NULL, "from all but those who have waited for longer");
    buf_unref(&small[0]);
    do {
        small[0] = at_once(&room, MIB / 4);
    } while (small[0] == NULL);
    ok(clock_mono_ms() - now_ms >= 100, "and until it has not asked for a while");
    buf_unref(&small[0]);
    buf_unref(&large);
    is_int(atomic_load(&room.taken), 0, "all of it comes back");
}

/* One thread fills, another checks each byte below the mark. */
static void *reader(void *arg)
{
    struct buf *buf = arg;
    size_t seen = 0;
    bool good = true;
    while (seen < buf->size) {
        size_t filled = buf_filled(buf);
        for (; seen < filled; seen++)
            good = good && buf->data[seen] == (uint8_t) (seen * 7 + 1);
    }
    buf_unref(&buf);
    return good ? arg : NULL;
}

static void follows(void)
{
    pthread_t thread;
    struct buf *buf = buf_new(MIB);
    pthread_create(&thread, NULL, reader, buf_ref(buf));
    for (size_t at = 0; at < buf->size;) {
        size_t to = at + 1 + at % 1000;
        if (to > buf->size)
            to = buf->size;
        for (; at < to; at++)
            buf->data[at] = (uint8_t) (at * 7 + 1);
        buf_publish(buf, at);
    }
    void *good;
    pthread_join(thread, &good);
    ok(good != NULL, "a reader sees only what was published");
    buf_unref(&buf);
}

int main(void)
{
    sizes();
#ifndef HEADPOND_SANITIZE
    keeps();
#endif
    room();
    order();
    follows();
    return done_testing();
}
