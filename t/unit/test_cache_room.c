/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_cache_room.c: more readers than there is memory for the blocks they want: it is kept to, and all get theirs.
 * Each part runs without a disk and with one.
 */
#include "tap.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/metric.h"
#include "cache/context.h"
#include "cache/keep.h"
#include "test_cache_rig.h"

#define MIB (UINT64_C(1) << 20)

static const char *how_stored;

/* Many fills at once when memory is short: they take turns. */
static void test_short_memory(void)
{
    enum { BLOBS = 24 };
    static char names[BLOBS][16];
    struct task *tasks = tasks_new(BLOBS);

    rig_begin();
    buf_trim();
    size_t limit = mem_used() + 32 * MIB;
    size_t most = 0;
    for (unsigned i = 0; i < BLOBS; i++) {
        snprintf(names[i], sizeof(names[i]), "short%u", i);
        rig_blob(names[i], 80 + i, 12 * MIB + i, NULL);
        tasks[i] = (struct task){.loop = i, .blob = names[i], .seed = 80 + i, .last = UINT64_MAX, .step = 65536};
    }
    mem_set_limit(limit);
    tasks_start(tasks, BLOBS);
    for (unsigned i = 0; i < BLOBS; i++)
        while (!task_over(&tasks[i]))
            most = mem_used() > most ? mem_used() : most;
    tasks_wait(tasks, BLOBS);
    mem_set_limit(0);
    is_int(tasks_good(tasks, BLOBS), BLOBS, "%s: %d blobs while memory is short: all right", how_stored, BLOBS);
    /* What is not a block still comes: a connection and its windows are half a MiB. */
    ok(most < limit + BLOBS * MIB / 2, "%s: within the bound (%zu of %zu MiB)", how_stored, most / MIB, limit / MIB);
    mem_free(tasks);
    ok(rig_quiet(), "%s: then nothing is in flight", how_stored);
}

/* More readers than there is room for blocks, each standing still in the middle of one: that is taken from them, so
 * that others get on, and they get it anew. */
static void test_room(void)
{
    enum { HOLDERS = 30 };
    static char names[HOLDERS + 1][16];
    struct task *tasks = tasks_new(HOLDERS + 1);
    struct buf_room *room = rig_cache()->blocks;
    const size_t most = room->most, little = 8 * MIB;

    rig_begin();
    for (unsigned i = 0; i <= HOLDERS; i++) {
        snprintf(names[i], sizeof(names[i]), "room%u", i);
        rig_blob(names[i], 120 + i, 4 * MIB + i, NULL);
        tasks[i] = (struct task){.loop = i, .blob = names[i], .seed = 120 + i, .last = UINT64_MAX, .step = 50000};
        if (i < HOLDERS)
            tasks[i].hold_after = MIB + MIB / 2;
    }
    room->most = little;
    tasks_start(tasks, HOLDERS);
    unsigned held = 0;
    for (unsigned i = 0; i < HOLDERS; i++)
        held += task_wait_held(&tasks[i]) && tasks[i].bytes >= MIB + MIB / 2;
    is_int(held, HOLDERS, "%s: %d readers come to the middle of a block, with room for 8", how_stored, HOLDERS);
    ok(atomic_load(&room->taken) <= little, "%s: and it is kept to", how_stored);
    tasks_start(&tasks[HOLDERS], 1);
    ok(tasks_wait(&tasks[HOLDERS], 1) && task_good(&tasks[HOLDERS]), "%s: one that comes then gets all", how_stored);
    for (unsigned i = 0; i < HOLDERS; i++)
        task_release(&tasks[i]);
    tasks_wait(tasks, HOLDERS);
    is_int(tasks_good(tasks, HOLDERS), HOLDERS, "%s: and so do they, let go", how_stored);
    room->most = most;
    mem_free(tasks);
    ok(rig_quiet(), "%s: then nothing is in flight", how_stored);
    is_int(atomic_load(&room->taken), 0, "%s: and all room is back", how_stored);
}

/* A reader that is too slow for the room there is comes back for the blocks it needs, and no byte beyond them is sent.
 * */
static void test_back(void)
{
    struct task task = {.blob = "back", .seed = 200, .last = UINT64_MAX, .step = 50000};
    struct buf_room *room = rig_cache()->blocks;

    rig_begin();
    rig_blob("back", 200, 40 * MIB, NULL);
    task.hold_after = MIB + MIB / 2;
    task.close_after = 3 * MIB;
    tasks_start(&task, 1);
    ok(task_wait_held(&task), "a reader stands in the middle of a block");
    const int64_t until = clock_mono_ms() + 1000 * RIG_DEADLINE_S;
    atomic_store(&room->refused_ms, until); /* as if others were refused all the time */
    while (atomic_load(&room->taken) > 0 && clock_mono_ms() < until)
        rig_still();
    is_int(atomic_load(&room->taken), 0, "it loses that while room is wanted");
    rig_still();
    rig_begin();
    task_release(&task);
    ok(tasks_wait(&task, 1) && task.wrong_at < 0 && task.bytes >= 3 * MIB && rig_quiet(), "it goes on, and leaves");
    is_int(rig_stat("body_bytes"), 2 * MIB, "it has been brought the rest of that block, and the next");
    atomic_store(&room->refused_ms, 0);
}

static void set_most(void *arg)
{
    const size_t *most = arg;
    rig_cache()->blocks->most = *most;
}

/* Readers that stand still do not keep half of the room, though nobody is refused: that half is for reading ahead. */
static void test_ahead(void)
{
    enum { HOLDERS = 6 };
    static char names[HOLDERS][16];
    struct task *tasks = tasks_new(HOLDERS);
    struct buf_room *room = rig_cache()->blocks;
    size_t most = room->most, little = (2 * HOLDERS - 1) * MIB;
    const int64_t until = clock_mono_ms() + 1000 * RIG_DEADLINE_S;

    rig_begin();
    for (unsigned i = 0; i < HOLDERS; i++) {
        snprintf(names[i], sizeof(names[i]), "half%u", i);
        rig_blob(names[i], 160 + i, MIB, NULL);
        tasks[i] =
            (struct task){.blob = names[i], .seed = 160 + i, .last = UINT64_MAX, .step = 50000, .hold_after = MIB / 2};
    }
    /* So that they meet the fill, and not what it has stored. */
    rig_control("PUT fault?path=/acct/c/half*&rate=%d&times=-1", (int) (2 * MIB));
    while (room_wanted(rig_cache()) && clock_mono_ms() < until)
        rig_still();
    tasks_start(tasks, HOLDERS);
    for (unsigned i = 0; i < HOLDERS; i++)
        task_wait_held(&tasks[i]);
    rig_still();
    is_int(atomic_load(&room->taken), HOLDERS * MIB, "%d readers have a block in hand", HOLDERS);
    rig_on_loop(0, set_most, &little);
    while (!room_is_there_ahead(rig_cache()) && clock_mono_ms() < until)
        rig_still();
    ok(room_is_there_ahead(rig_cache()), "until it is more than half of the room");
    ok(!room_wanted(rig_cache()), "which nobody was refused");
    for (unsigned i = 0; i < HOLDERS; i++)
        task_release(&tasks[i]);
    tasks_wait(tasks, HOLDERS);
    is_int(tasks_good(tasks, HOLDERS), HOLDERS, "they go on, let go");
    is_int(rig_stat("body_bytes"), HOLDERS * MIB, "and nothing is fetched for them again");
    rig_on_loop(0, set_most, &most);
    mem_free(tasks);
}

/* ---- A write whose body is kept. ---- */

#define WRITTEN (4 * MIB + 5)

struct keeping {
    uint8_t *bytes;
    uint64_t whole_at; /* there is no room from here on */
    uint64_t until;    /* so much of it is taken at first */
    uint64_t right;    /* what came out of the body as it went in */
    bool ended;
    struct cache_keep *keep;
    struct source *body;
    struct metric_cell *counted;
    int64_t before;
};

static void keep_ready(void *arg)
{
    (void) arg;
}

static void keep_start(void *arg)
{
    struct keeping *keeping = arg;
    struct cache_request request;
    char target[RIG_TEXT];

    rig_request(&request, "kept", "alice", target);
    keeping->body = source_from_str((struct str){(const char *) keeping->bytes, WRITTEN});
    keeping->keep = cache_keep_start(rig_cache(), loop_current(), &request, WRITTEN, &keeping->body);
    ok(keeping->keep != NULL, "%s: a write is to be kept", how_stored);
    source_listen(keeping->body, keep_ready, NULL);
}

static void keep_pull(void *arg)
{
    struct keeping *keeping = arg;
    struct buf_room *room = rig_cache()->blocks;
    const size_t most = room->most, least = room->least;
    struct source_view view;

    while (keeping->right < keeping->until && source_peek(keeping->body, &view, 100000) == SOURCE_DATA) {
        if (keeping->right >= keeping->whole_at)
            room->most = room->least = 0;
        if (memcmp(view.pieces[0].iov_base, keeping->bytes + keeping->right, view.bytes) == 0)
            keeping->right += view.bytes;
        source_consume(keeping->body, view.bytes);
    }
    room->most = most;
    room->least = least;
}

static void keep_end(void *arg)
{
    struct keeping *keeping = arg;
    struct source_view view;
    struct arena *arena = arena_new();
    struct http_response created = {.status = 201, .headers.arena = arena};

    keeping->ended = source_peek(keeping->body, &view, 1) == SOURCE_END;
    http_headers_add(&created.headers, STR("ETag"), STR("\"0x8D0\""));
    http_headers_add(&created.headers, STR("Last-Modified"), STR("Mon, 27 Jul 2020 12:28:53 GMT"));
    cache_keep_end(&keeping->keep, &created);
    source_close(&keeping->body);
    arena_free(arena);
}

static void keep_begin(struct keeping *keeping, const char *result)
{
    keeping->counted = metric_cell(METRIC_WRITES_KEPT, result);
    keeping->before = metric_cell_value(keeping->counted);
    keeping->bytes = mem_alloc(WRITTEN);
    for (uint64_t i = 0; i < WRITTEN; i++)
        keeping->bytes[i] = (uint8_t) (i * 7 + i / 251);
    rig_on_loop(0, keep_start, keeping);
    rig_on_loop(0, keep_pull, keeping);
}

static bool room_is_back(void)
{
    const int64_t until = clock_mono_ms() + 1000 * RIG_DEADLINE_S;
    while (atomic_load(&rig_cache()->blocks->taken) > 0 && clock_mono_ms() < until)
        rig_still();
    return atomic_load(&rig_cache()->blocks->taken) == 0;
}

static void keep_finish(struct keeping *keeping, const char *result)
{
    keeping->until = WRITTEN;
    rig_on_loop(0, keep_pull, keeping);
    rig_on_loop(0, keep_end, keeping);
    ok(keeping->ended && keeping->right == WRITTEN, "%s: all of it goes on to the origin", how_stored);
    is_int(metric_cell_value(keeping->counted) - keeping->before, 1, "%s: and is %s", how_stored, result);
    ok(room_is_back(), "%s: all room is back", how_stored);
    mem_free(keeping->bytes);
}

/* What is written goes on whether there is room to keep it or not; of what there was no room for nothing is kept. */
static void test_keep(uint64_t whole_at, const char *result)
{
    struct keeping keeping = {.whole_at = whole_at, .until = WRITTEN};
    keep_begin(&keeping, result);
    keep_finish(&keeping, result);
}

static size_t places_taken(void)
{
    struct share *places = &rig_cache()->places.room.room;
    pthread_mutex_lock(&places->lock);
    size_t taken = places->taken[false];
    pthread_mutex_unlock(&places->lock);
    return taken;
}

/* A client that stops in the middle of a block keeps neither that nor the place while room is wanted. */
static void test_keep_slow(void)
{
    struct keeping keeping = {.whole_at = UINT64_MAX, .until = MIB + MIB / 2};

    keep_begin(&keeping, "dropped");
    is_int(places_taken(), 2 * MIB, "%s: it has a place", how_stored);
    atomic_store(&rig_cache()->blocks->refused_ms, clock_mono_ms() + 1000 * RIG_DEADLINE_S);
    ok(room_is_back(), "%s: which is given up with its block when room is wanted", how_stored);
    is_int(places_taken(), 0, "%s: both are", how_stored);
    atomic_store(&rig_cache()->blocks->refused_ms, 0);
    keep_finish(&keeping, "dropped");
}

static void run_all(unsigned disks)
{
    how_stored = disks > 0 ? "a disk" : "no disk";
    rig_start(disks, (uint32_t) MIB);
    rig_grant("alice");
    test_short_memory();
    test_room();
    if (disks == 0)
        test_back();
    else
        test_ahead();
    test_keep(0, "dropped");
    test_keep(MIB + MIB / 2, "dropped");
    test_keep(UINT64_MAX, "kept");
    test_keep_slow();
    rig_stop();
}

int main(void)
{
    rig_origin_start();
    run_all(0);
    run_all(1);
    rig_origin_stop();
    return done_testing();
}
