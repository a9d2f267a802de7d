/* SPDX-License-Identifier: Apache-2.0 */
/* homes.c: scores, and who has the best. */
#include "store/homes.h"

#include "store/disk.h"

/* −log2(x / 2^64), by the exponent and a straight line between powers of two: good enough to share disks by size. */
static double minus_log2(uint64_t x)
{
    int exponent = 63 - __builtin_clzll(x | 1);
    return 64 - exponent - ((double) (x | 1) / (double) (UINT64_C(1) << exponent) - 1);
}

/* The least counts. */
static double score_of(const struct disk *disk, uint64_t hash)
{
    return minus_log2(hash_mix(hash, disk->label.id.lo)) / (double) disk->weight;
}

static struct disk *best_of(const struct store *store, uint64_t hash)
{
    if (store->disk_count <= 1)
        return store->disk_count == 0 ? NULL : store->disks[0];
    struct disk *best = NULL;
    double best_score = 0;
    for (unsigned i = 0; i < store->disk_count; i++) {
        struct disk *disk = store->disks[i];
        double score = score_of(disk, hash);
        if (best == NULL || score < best_score) {
            best = disk;
            best_score = score;
        }
    }
    return best;
}

struct disk *home_of(const struct store *store, struct hash128 object)
{
    return best_of(store, object.lo);
}

bool home_is(const struct disk *disk, struct hash128 object)
{
    return home_of(disk->store, object) == disk;
}

struct disk *home_of_block(const struct store *store, struct hash128 object, uint64_t block)
{
    uint64_t extent = block / STORE_EXTENT_BLOCKS, hash = extent == 0 ? object.lo : hash_mix(object.lo, extent);
    struct disk *best[2] = {NULL, NULL};
    double scores[2] = {0, 0};
    for (unsigned i = 0; i < store->disk_count; i++) {
        struct disk *disk = store->disks[i];
        double score = score_of(disk, hash);
        if (!disk_takes(disk))
            continue;
        if (best[0] == NULL || score < scores[0]) {
            best[1] = best[0];
            scores[1] = scores[0];
            best[0] = disk;
            scores[0] = score;
        } else if (best[1] == NULL || score < scores[1]) {
            best[1] = disk;
            scores[1] = score;
        }
    }
    if (best[0] == NULL)
        return best_of(store, hash);
    bool slow = best[1] != NULL && disk_queued(best[0]) > best[0]->put_most / 4 &&
                disk_queued(best[1]) < disk_queued(best[0]) / 2;
    return best[slow];
}

uint64_t homes_sum(const struct store *store)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < store->disk_count; i++)
        sum += hash_mix(store->disks[i]->label.id.lo, (uint64_t) store->disks[i]->weight);
    return sum;
}
