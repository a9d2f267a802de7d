/* SPDX-License-Identifier: Apache-2.0 */
/* power_found.c: every place where an entry can begin is looked at, without a word of the store's own walks. */
#include "power_found.h"

#include <fcntl.h>

#include "store/entry.h"

#define STRIDE (ENTRY_PAGE + WORK_BLOCK)

struct lying {
    const struct work_truth *truth;
    uint64_t record[WORK_OBJECTS]; /* the highest generation that has one */
    uint64_t blocks[WORK_OBJECTS]; /* of the generation that is owed */
};

static bool whole(const struct work_truth *truth, const struct entry *entry, const uint8_t *body, size_t room)
{
    return hash128_eq(entry->store, truth->store) && entry->length <= room &&
           entry_checksum(body, entry->length) == entry->checksum;
}

static void add(struct lying *found, const struct entry *entry)
{
    for (unsigned o = 0; o < WORK_OBJECTS; o++) {
        if (!hash128_eq(fixture_hash(o), entry->object))
            continue;
        if (entry->kind == ENTRY_RECORD && entry->generation > found->record[o])
            found->record[o] = entry->generation;
        if (entry->kind == ENTRY_BLOCK && entry->generation == found->truth->flushed[o].generation)
            found->blocks[o] |= UINT64_C(1) << entry->block;
    }
}

static void look_at_slot(struct lying *found, const uint8_t *slot)
{
    struct entry first, entry;
    if (entry_decode(slot, &first) != STATUS_OK)
        return;
    if (first.kind == ENTRY_BLOCK && whole(found->truth, &first, slot + ENTRY_PAGE, STRIDE - ENTRY_PAGE))
        add(found, &first);
    for (size_t at = ENTRY_PAGE; first.kind == ENTRY_SEGMENT && at + ENTRY_HEADER_SIZE <= STRIDE; at += ENTRY_ALIGN) {
        const uint8_t *body = slot + at + ENTRY_HEADER_SIZE;
        if (entry_decode(slot + at, &entry) == STATUS_OK && entry.segment == first.sequence &&
            whole(found->truth, &entry, body, STRIDE - at - ENTRY_HEADER_SIZE))
            add(found, &entry);
    }
}

static void look_at_file(void *arg, const char *path, const struct stat *info)
{
    uint8_t slot[STRIDE];
    if (!S_ISREG(info->st_mode) || strstr(path, "/data-") == NULL)
        return;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    for (off_t at = 0; pread(fd, slot, STRIDE, at) == STRIDE; at += STRIDE)
        look_at_slot(arg, slot);
    close(fd);
}

unsigned power_owe_found(const char *path, struct work_truth *truth)
{
    struct lying found = {.truth = truth};
    unsigned less = 0;
    fixture_walk(path, look_at_file, &found);
    for (unsigned o = 0; o < WORK_OBJECTS; o++) {
        struct work_seen *owed = &truth->flushed[o];
        uint64_t blocks = found.record[o] < owed->generation ? 0 : owed->blocks & found.blocks[o];
        less += (unsigned) __builtin_popcountll(owed->blocks ^ blocks) + (found.record[o] < owed->generation);
        owed->blocks = blocks;
        if (found.record[o] < owed->generation)
            *owed = (struct work_seen){0};
    }
    return less;
}
