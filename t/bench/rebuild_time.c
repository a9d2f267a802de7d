/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rebuild_time.c: not a test. `rebuild_time DIRECTORY BLOCKS [BLOCKS-PER-OBJECT]` writes headers of that many full
 * blocks of 1 MiB into sparse files, and records of their objects, as a store would have left them, and says how long
 * it takes to make an index of them: with the headers in the page cache, and not. Takes 4 KiB of disk a block.
 */
#include "base/clock.h"
#include "store/entry.h"
#include "store/label.h"
#include "store/slot.h"
#include "../unit/store_fixture.h"

#define BLOCK (1024 * KIB)
#define STRIDE ((off_t) BLOCK + ENTRY_PAGE)

struct plan {
    const char *path;
    uint64_t blocks, each;
    int64_t size;
    struct label label;
    uint64_t base;
    int fd;
    uint32_t file, slot;
    uint32_t used; /* of the segment */
    uint64_t segment;
    uint8_t *space;
};

static void write_at(struct plan *plan, uint32_t slot, const void *data, size_t size)
{
    uint32_t file = slot / SLOT_PER_FILE;
    if (plan->fd < 0 || file != plan->file) {
        char name[4200];
        snprintf(name, sizeof name, "%s/data-%06x", plan->path, file);
        close(plan->fd);
        plan->fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        plan->file = file;
        if (ftruncate(plan->fd, SLOT_PER_FILE * STRIDE) != 0)
            abort();
    }
    if (pwrite(plan->fd, data, size, slot % SLOT_PER_FILE * STRIDE) != (ssize_t) size)
        abort();
}

static struct entry entry_of(const struct plan *plan, enum entry_kind kind, uint64_t object)
{
    return (struct entry){.kind = kind,
                          .store = plan->label.id,
                          .incarnation = plan->label.incarnation,
                          .object = fixture_hash(object),
                          .generation = plan->base + object,
                          .total = plan->each * BLOCK};
}

static void segment_end(struct plan *plan)
{
    if (plan->used > 0)
        write_at(plan, plan->slot++, plan->space, plan->used);
    plan->used = 0;
}

static void record(struct plan *plan, uint64_t object)
{
    char text[300];
    memset(text, 'r', sizeof text);
    struct entry entry = entry_of(plan, ENTRY_RECORD, object);
    entry.length = sizeof text;
    entry.checksum = entry_checksum(text, sizeof text);
    if (plan->used + entry_packed_size(entry.length) > STRIDE)
        segment_end(plan);
    if (plan->used == 0) {
        struct entry first = entry_of(plan, ENTRY_SEGMENT, 0);
        plan->segment = first.sequence = plan->base + 1 + object;
        first.total = 0;
        first.checksum = entry_checksum("", 0);
        memset(plan->space, 0, STRIDE);
        entry_encode(&first, plan->space);
        plan->used = ENTRY_PAGE;
    }
    entry.segment = plan->segment;
    entry_encode(&entry, plan->space + plan->used);
    memcpy(plan->space + plan->used + ENTRY_HEADER_SIZE, text, sizeof text);
    plan->used += entry_packed_size(entry.length);
}

static void fill(struct plan *plan)
{
    uint8_t page[ENTRY_PAGE] = {0};
    plan->space = mem_alloc(STRIDE);
    for (uint64_t i = 0; i < plan->blocks; i++) {
        struct entry entry = entry_of(plan, ENTRY_BLOCK, i / plan->each);
        entry.block = i % plan->each;
        entry.length = BLOCK;
        entry_encode(&entry, page);
        write_at(plan, plan->slot++, page, sizeof page);
        if (i % plan->each == 0)
            record(plan, i / plan->each);
    }
    segment_end(plan);
    close(plan->fd);
    mem_free(plan->space);
}

/* To the disk; `forget`: and out of the page cache, these files alone. */
static void sync_files(const struct plan *plan, bool forget)
{
    for (uint32_t file = 0; file <= plan->slot / SLOT_PER_FILE; file++) {
        char name[4200];
        snprintf(name, sizeof name, "%s/data-%06x", plan->path, file);
        int fd = open(name, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || fdatasync(fd) != 0 || (forget && posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0))
            abort();
        close(fd);
    }
}

static void time_one(const struct plan *plan, const char *what)
{
    char name[4200];
    snprintf(name, sizeof name, "%s/index/data.mdb", plan->path);
    unlink(name);
    int64_t began = clock_mono_ms();
    struct store *store = fixture_open(plan->path, plan->size, BLOCK, NULL);
    while (!store_loaded(store))
        usleep(10000);
    int64_t ms = clock_mono_ms() - began;
    printf("%s: %lld ms, %lld ms a million blocks; %lld blocks of %lld objects, %lld MiB of memory\n", what,
           (long long) ms, (long long) (ms * 1000000 / (int64_t) plan->blocks),
           (long long) fixture_metric(METRIC_STORE_BLOCKS), (long long) fixture_metric(METRIC_STORE_OBJECTS),
           (long long) (mem_used() >> 20));
    fixture_close(store);
    began = clock_mono_ms();
    store = fixture_open(plan->path, plan->size, BLOCK, NULL);
    while (!store_loaded(store))
        usleep(1000);
    printf("%s: %lld ms to read the index that was made\n", what, (long long) (clock_mono_ms() - began));
    fixture_close(store);
}

int main(int count, char **words)
{
    struct plan plan = {.fd = -1};
    if (count < 3) {
        fprintf(stderr, "usage: rebuild_time DIRECTORY BLOCKS [BLOCKS-PER-OBJECT]\n");
        return 2;
    }
    plan.path = words[1];
    plan.blocks = strtoull(words[2], NULL, 10);
    plan.each = count > 3 ? strtoull(words[3], NULL, 10) : 64;
    plan.size = (int64_t) (plan.blocks + plan.blocks / 16 + 2048) * STRIDE;
    fixture_start();
    fixture_close(fixture_open_loaded(plan.path, plan.size, BLOCK));
    const char *damaged;
    int dir = open(plan.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0 || label_read(dir, &plan.label, &damaged) != STATUS_OK)
        abort();
    plan.base = (plan.label.opening << 40) + 10;
    fill(&plan);
    sync_files(&plan, false);
    close(dir);
    time_one(&plan, "in the page cache");
    sync_files(&plan, true);
    time_one(&plan, "from the disk");
    fixture_stop();
    return 0;
}
