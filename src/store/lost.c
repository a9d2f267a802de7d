/* SPDX-License-Identifier: Apache-2.0 */
/* lost.c: the spans of the last ends, in the index's meta rows. */
#include "store/lost.h"

#include <stdio.h>
#include <string.h>

#include "store/disk.h"
#include "store/index.h"

struct span_names {
    char from[16], to[16];
};

static struct span_names names_of(unsigned number)
{
    struct span_names names;
    snprintf(names.from, sizeof names.from, "lost-from-%u", number);
    snprintf(names.to, sizeof names.to, "lost-to-%u", number);
    return names;
}

/* What the index says under that name, or what *value is; false: it cannot be read. */
static bool recall(struct disk *disk, const char *name, uint64_t *value)
{
    enum status status = index_get_meta(disk->index, name, value);
    return status == STATUS_OK || status == STATUS_NOT_FOUND;
}

bool lost_recall(struct disk *disk)
{
    memset(disk->lost, 0, sizeof disk->lost);
    if (disk->rebuild)
        return true;
    disk->lost[0].from = 1;
    bool good = recall(disk, "mark", &disk->lost[0].from);
    for (unsigned i = 1; good && i < LOST_SPANS; i++) {
        struct span_names names = names_of(i - 1);
        good = recall(disk, names.from, &disk->lost[i].from) && recall(disk, names.to, &disk->lost[i].to);
    }
    return good;
}

void lost_end(struct disk *disk, uint64_t first)
{
    if (!disk->rebuild)
        disk->lost[0].to = first;
}

void lost_put(struct disk *disk)
{
    for (unsigned i = 0; i < LOST_SPANS; i++) {
        struct span_names names = names_of(i);
        index_put_meta(disk->index, names.from, disk->lost[i].from);
        index_put_meta(disk->index, names.to, disk->lost[i].to);
    }
}

bool lost_covers(const struct disk *disk, uint64_t sequence)
{
    for (unsigned i = 0; i < LOST_SPANS; i++)
        if (sequence >= disk->lost[i].from && sequence < disk->lost[i].to)
            return true;
    return false;
}
