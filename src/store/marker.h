/* SPDX-License-Identifier: Apache-2.0 */
/*
 * marker.h: small files in a disk's directory that tell the next start how far this process came.
 *
 *   opening   there while the index is being opened: found at a start, it says that opening it crashed the process, and
 *             the index is rebuilt; also left on purpose when the index could not be written any more
 *   loading   a byte for each start that did not come to the end of reading the index; three have it rebuilt
 *   rebuild   there from before the index is taken away until a whole one is there again (rebuild.h); a byte for each
 *             start that tried; when three did not come to an end the store is emptied
 *   believed  there as long as every write since was told to this disk; a start that finds it missing believes no
 *             validation of before. Removed, which a full disk allows too, when headpond goes on without the disk
 */
#ifndef HEADPOND_STORE_MARKER_H
#define HEADPOND_STORE_MARKER_H

#include <stdbool.h>

#include "base/status.h"

struct disk;

/* For a list of names. */
#define MARKER_FILES "opening", "loading", "rebuild", "believed"

/* ---- Opening thread. ---- */

/* Whether what earlier starts left says that the index is not to be opened; then *why it is not. */
bool marker_distrusts(const struct disk *disk, const char **why);
/* Whether this disk may have missed a write. */
bool marker_doubts(const struct disk *disk);
/* Whether rebuilding the index has been tried too often. */
bool marker_gives_up(const struct disk *disk);
/* The index is about to be taken away. IO, with errno. */
enum status marker_rebuilds(const struct disk *disk) STATUS_CHECKED;
/* It has been taken away. */
void marker_index_gone(const struct disk *disk);
/* It is about to be opened. IO, with errno. */
enum status marker_opens(const struct disk *disk) STATUS_CHECKED;
/* Opening the disk came to an end, and it is not used: an error that is reported is not a crash. */
void marker_not_opened(const struct disk *disk);
/* The index was opened, read and written to without a crash. */
void marker_opened(struct disk *disk);
/* headpond goes on without the disk. false: that cannot be noted on it. */
bool marker_disbelieve(const struct disk *disk);

/* ---- Scribe. ---- */

/* The index was read to its end, or reading it was given up in an orderly way. Also when nobody else is there. */
void marker_loaded(const struct disk *disk);
/* The index was made anew and is durable. */
void marker_rebuilt(struct disk *disk);
/* Making it anew was put off in an orderly way: the next start begins again, and this one does not count as tried.
 * Nobody else uses the disk any more. */
void marker_put_off(const struct disk *disk);
/* The index cannot be written: what is in it must not be believed at the next start, which rebuilds it. Reports what
 * keeps that from being sure. Also the opening thread. */
void marker_condemn(struct disk *disk);
/* The index could be made anew: it is to be believed again. */
void marker_uncondemn(struct disk *disk);

#endif
