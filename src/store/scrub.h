/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scrub.h: a disk read from end to end, again and again, to find what has rotted before somebody asks for it.
 *
 * Every read of a block checks it, so scrubbing makes no byte safer; it frees what is damaged early, and tells of a
 * disk that loses bytes while that is still news. It reads past the page cache (O_DIRECT; where the file system has
 * none, only what is not in memory), so that it neither checks memory instead of the disk nor pushes out what is hot,
 * at a rate of its own; a small disk, soon read, then rests for the rest of its period. What is damaged is dropped and
 * counted, as when a reader had met it.
 *
 * A thread per disk that nobody waits for.
 */
#ifndef HEADPOND_STORE_SCRUB_H
#define HEADPOND_STORE_SCRUB_H

#include <stdbool.h>
#include <stdint.h>

struct disk;
struct scrub;

/* `rate`: bytes per second; 0: NULL is returned, and nothing done. A pass begins `period_ms` after the last one began,
 * or when that has ended. The disk has been started. */
struct scrub *scrub_start(struct disk *disk, int64_t rate, int64_t period_ms);
/* Frees it. false: it hangs in the disk, and goes on using it. */
bool scrub_stop(struct scrub **scrub);

#endif
