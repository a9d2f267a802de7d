/* SPDX-License-Identifier: Apache-2.0 */
/* opening.c: one number for all disks. */
#include "store/opening.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/disk.h"
#include "store/generation.h"
#include "store/homes.h"
#include "store/marker.h"
#include "store/numbers.h"
#include "store/volume.h"

/* Openings are numbered by minutes since 2020 or by a little more than the last, whichever is later: so numbers also
 * rise where nothing could be kept, and where disks are swapped. */
#define EPOCH_S INT64_C(1577836800)
/* To 2049: the rest is for starts that follow one such. */
#define OPENING_BY_CLOCK_MAX (GENERATION_OPENING_MAX - GENERATION_OPENING_MAX / 16)

/* A disk that failed while it was being opened; the others move up. `lost`: the next start rebuilds its index. */
static void leave_out(struct store *store, unsigned number, const char *what, bool lost)
{
    struct disk *disk = store->disks[number];
    volume_forsake(disk, what);
    if (lost)
        marker_condemn(disk);
    volume_close(disk);
    store->disk_count--;
    for (unsigned i = number; i < store->disk_count; i++) {
        store->disks[i] = store->disks[i + 1];
        store->disks[i]->number = i;
    }
}

/* Where it is news who shares the objects, homes may have moved, and there are rows with a time that their new homes
 * are not told to forget: until they have been found (recover.c) a crash must not have them believed. */
static bool record(struct disk *disk, uint64_t opening, const struct numbers *before)
{
    const struct store *store = disk->store;
    disk->moved = disk->moved || (store->disk_count > 1 && before->homes != homes_sum(store));
    /* With the mark, until all that is doubted has been written so. */
    return numbers_record(disk, opening, disk->doubted || disk->moved) == STATUS_OK;
}

static void record_all(struct store *store, uint64_t opening, struct numbers *before)
{
    for (unsigned i = 0; i < store->disk_count;) {
        if (record(store->disks[i], opening, &before[i])) {
            i++;
            continue;
        }
        leave_out(store, i, "the index cannot be written", false);
        memmove(&before[i], &before[i + 1], (store->disk_count - i) * sizeof *before);
        i = 0; /* the others share its objects now */
    }
    for (unsigned i = 0; i < store->disk_count; i++)
        marker_opened(store->disks[i]);
}

static void recall_all(struct store *store, struct numbers *before)
{
    for (unsigned i = store->disk_count; i-- > 0;)
        if (!numbers_recall(store->disks[i], &before[i])) {
            leave_out(store, i, "the index cannot be read", true);
            memmove(&before[i], &before[i + 1], (store->disk_count - i) * sizeof *before);
        }
}

/* Whether disks are missing that were used when the one that was used last was opened. Any of them may have been used
 * since without those that are here, and have been told what they were not: then none of their validations is believed.
 * */
static void look_for_away(struct store *store, const struct numbers *before, uint64_t last)
{
    uint64_t then = 0;
    unsigned known = 0;
    for (unsigned i = 0; i < store->disk_count; i++) {
        known += before[i].opening != 0;
        if (before[i].opening == last && before[i].disks > then)
            then = before[i].disks;
    }
    if (then <= known)
        return;
    store->away = (unsigned) then - known;
    for (unsigned i = 0; i < store->disk_count; i++)
        store->disks[i]->doubted = true;
    log_event(STORE_AWAY,
              "disks=%u of=%u: not all disks of the last start are there; what lies on the missing ones is fetched "
              "again until they are back, what lies on the others stays, once the origin says that it still stands",
              known, (unsigned) then);
}

/* By the clock, unless that would not be later, or cannot be right. A process goes on into the next opening for each
 * disk that falls behind, and tells the others then (round.c): what it could not tell any more must not come again
 * either. */
static uint64_t number_after(uint64_t last)
{
    int64_t now_s = clock_wall_s();
    uint64_t opening = now_s < EPOCH_S ? 1 : (uint64_t) (now_s - EPOCH_S) / 60;
    /* A clock that far ahead is wrong, and would use the numbers up. */
    if (opening > OPENING_BY_CLOCK_MAX)
        opening = 1;
    return opening > last + STORE_DISKS_MAX ? opening : last + 1 + STORE_DISKS_MAX;
}

void opening_begin(struct store *store)
{
    struct numbers before[STORE_DISKS_MAX] = {0};
    uint64_t last = 0;
    recall_all(store, before);
    for (unsigned i = 0; i < store->disk_count; i++)
        last = before[i].opening > last ? before[i].opening : last;
    for (unsigned i = 0; i < store->disk_count; i++) {
        /* One that was away while others were used has missed what was written then. */
        bool missed = before[i].intent || before[i].opening < last;
        store->disks[i]->doubted = store->disks[i]->doubted || missed;
    }
    look_for_away(store, before, last);
    uint64_t opening = number_after(last);
    record_all(store, opening, before);
    store->first_id = opening << GENERATION_OPENING_SHIFT | 1;
    atomic_store(&store->next_id, store->first_id);
}

void opening_next(struct store *store)
{
    uint64_t next = ((atomic_load(&store->next_id) >> GENERATION_OPENING_SHIFT) + 1) << GENERATION_OPENING_SHIFT | 1;
    uint64_t now = atomic_load(&store->next_id);
    while (now < next && !atomic_compare_exchange_weak(&store->next_id, &now, next))
        continue;
}
