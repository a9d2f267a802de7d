/* SPDX-License-Identifier: Apache-2.0 */
/* scene.h: the traces that policies are compared on, each with its size of cache and where counting begins. */
#ifndef HEADPOND_T_SIM_SCENE_H
#define HEADPOND_T_SIM_SCENE_H

#include "sim.h"

struct scene {
    char name[64];
    struct trace trace;
    uint32_t capacity;
    size_t from;   /* the first read that counts */
    double pinned; /* what a pinned subset hits, or 0 */
};

void scene_fini(struct scene *scene);

/* `epochs` rounds over a data set of capacity / part; counted from round `warm`. */
struct scene scene_epochs(uint32_t capacity, double part, bool shuffled, unsigned epochs, unsigned warm);
/* `reads` skewed reads of `objects`, counted from half of them on. */
struct scene scene_zipf(uint32_t objects, double skew, double part, size_t reads);
/* The same while `scan` other objects are read once each, one for each of the reader's reads after the first half; the
 * reader is group 0, the scan group 1, or 0 as well when they share a container. */
struct scene scene_scan(uint32_t objects, double skew, double part, size_t reads, bool scan, bool apart);
/* A skewed reader, group 0, and rounds over another container in fresh order, group 1, read for read. */
struct scene scene_pair(uint32_t objects, double skew, uint32_t capacity, uint32_t data, size_t reads);
/* Skewed reads whose ranks are drawn anew `shifts` times; everything counts. */
struct scene scene_shift(uint32_t objects, double skew, double part, size_t reads, unsigned shifts);

/* A job's data, objects 0 … old − 1, then another's, never the first again. Jobs are skewed, or read in rounds. */
struct succession {
    uint32_t capacity;
    uint32_t old;   /* objects of the job that ends */
    uint32_t young; /* of the next */
    bool old_rounds, young_rounds;
    bool apart; /* in a container of its own */
    size_t reads;
};
struct scene scene_succession(const struct succession *succession);
/* After how many misses of the next job's, in parts of the capacity, less than 1 % of the cache held the first's; −1:
 * never. `from` of the scene is where the first ends. */
double scene_gone(const struct policy *policy, const struct scene *scene, uint32_t old);
/* The hit ratio of each round of `length` reads. */
void scene_rounds(const struct policy *policy, const struct scene *scene, uint32_t length, double *ratios);

#endif
