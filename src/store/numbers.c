/* SPDX-License-Identifier: Apache-2.0 */
/* numbers.c: the index's numbers read and written. */
#include "store/numbers.h"

#include <errno.h>

#include "store/disk.h"
#include "store/generation.h"
#include "store/homes.h"
#include "store/index.h"
#include "store/lost.h"

enum status numbers_begin(struct disk *disk)
{
    index_begin(disk->index);
    index_put_meta(disk->index, "store", disk->label.id.lo);
    index_put_meta(disk->index, "version", INDEX_VERSION);
    index_put_meta(disk->index, "mark", 1);
    return index_commit(disk->index);
}

/* What is not there is 0. */
static enum status get(struct disk *disk, const char *name, uint64_t *value)
{
    enum status status = index_get_meta(disk->index, name, value);
    if (status != STATUS_NOT_FOUND)
        return status;
    *value = 0;
    return STATUS_OK;
}

enum status numbers_check(struct disk *disk, const char **why)
{
    static const char *const names[] = {"opening", "mark", "intent"};
    uint64_t value;
    enum status status = index_get_meta(disk->index, "store", &value);
    if (status == STATUS_OK && value != disk->label.id.lo) {
        *why = "the index is another store's";
        return STATUS_CORRUPT;
    }
    *why = "a number in it is damaged";
    if (status == STATUS_NOT_FOUND)
        return STATUS_CORRUPT;
    for (unsigned i = 0; status == STATUS_OK && i < sizeof names / sizeof *names; i++)
        status = get(disk, names[i], &value);
    return status;
}

bool numbers_recall(struct disk *disk, struct numbers *numbers)
{
    uint64_t intent;
    if (get(disk, "opening", &numbers->opening) != STATUS_OK || get(disk, "intent", &intent) != STATUS_OK ||
        !lost_recall(disk))
        return false;
    numbers->intent = intent != 0;
    if (disk->label.opening > numbers->opening)
        numbers->opening = disk->label.opening;
    /* Where one of these is damaged, as where it is not there, more is doubted than need be. */
    if (get(disk, "homes", &numbers->homes) != STATUS_OK)
        numbers->homes = 0;
    if (get(disk, "disks", &numbers->disks) != STATUS_OK)
        numbers->disks = 0;
    return true;
}

static void put(struct disk *disk, uint64_t opening, bool intent)
{
    index_put_meta(disk->index, "opening", opening);
    index_put_meta(disk->index, "homes", homes_sum(disk->store));
    index_put_meta(disk->index, "disks", disk->store->disk_count);
    lost_put(disk);
    if (intent)
        index_put_meta(disk->index, "intent", 1);
}

/* No number of a later opening than this one is given before the label says so. */
static enum status label_number(struct disk *disk, uint64_t opening)
{
    struct label label = disk->label;
    label.opening = opening;
    if (label_write(disk->dir, &label) != STATUS_OK)
        return STATUS_IO;
    disk->label.opening = opening;
    return STATUS_OK;
}

static enum status finish(struct disk *disk, uint64_t opening)
{
    enum status status = index_commit(disk->index);
    if (status == STATUS_OK)
        status = index_sync(disk->index);
    return status == STATUS_OK ? label_number(disk, opening) : status;
}

enum status numbers_record(struct disk *disk, uint64_t opening, bool intent)
{
    lost_end(disk, opening << GENERATION_OPENING_SHIFT);
    index_begin(disk->index);
    put(disk, opening, intent);
    return finish(disk, opening);
}

enum status numbers_renew(struct disk *disk, uint64_t next)
{
    uint64_t opening = next >> GENERATION_OPENING_SHIFT;
    index_begin(disk->index);
    put(disk, opening, true);
    index_put_meta(disk->index, "mark", next);
    return finish(disk, opening);
}

void numbers_go_on(struct disk *disk, uint64_t opening)
{
    index_put_meta(disk->index, "opening", opening);
    if (label_number(disk, opening) != STATUS_OK)
        disk_error(disk, "label", errno);
}
