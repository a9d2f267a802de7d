/* SPDX-License-Identifier: Apache-2.0 */
/*
 * volume.h: a disk's directory: who may use it, what is in it, and what to do when that is not what was left there.
 *
 *   headpond.store  what made it: format version, block size, ids (label.h)
 *   headpond.store.copy  the same again
 *   lock            held with flock while a process uses it
 *   CACHEDIR.TAG    tells backups to leave it out (bford.info/cachedir): peek.c says why that matters
 *   index/          LMDB
 *   data-NNNNNN     slots
 *   opening         there while the index is being opened: found at a start, it says that opening it crashed the
 *                   process, and the index is rebuilt; also left on purpose when the index could not be written any
 * more loading         a byte for each start that did not come to the end of reading the index; three have it rebuilt
 *   rebuild         there from before the index is taken away until a whole one is there again (rebuild.h); a byte for
 *                   each start that tried; when three did not come to an end the store is emptied
 *   believed        there as long as every write since was told to this disk; a start that finds it missing believes no
 *                   validation of before. Removed, which a full disk allows too, when headpond goes on without the disk
 *
 * What the operator did wrong is refused, and the directory left as it is: no directory, another format or block size,
 * in use, others may write to it (guard.h), foreign files in it and no label of ours. What the disk does wrong is not:
 * an index that is damaged, gone, or of another version is made anew from the data files; a label that is damaged in
 * both files empties the directory, since nobody knows whose the data files are, and so does one from before numbers
 * were kept in it where the index that knew them is lost; a disk that is full, read-only or broken is left out, with a
 * line in the log, and headpond runs without it. Opening thread only, but for those at the end (scribe).
 */
#ifndef HEADPOND_STORE_VOLUME_H
#define HEADPOND_STORE_VOLUME_H

#include <stdint.h>

#include "base/status.h"
#include "base/str.h"
#include "store/disk.h"

/* Of the data files; the index has its own version. */
#define VOLUME_FORMAT 2

/* Opens or creates it; the disk is not started. INVALID: it is to be refused, and one line in *error says what is wrong
 * and what to do. IO: it was forsaken. */
enum status volume_open(struct store *store, unsigned number, const struct store_disk *conf, struct disk **disk,
                        struct strbuf *error) STATUS_CHECKED;
/* The disk is not used although it may hold something, `why` says so: it is logged, and a later start that uses it
 * believes no validation; where that cannot be noted on it, it is counted as untold. To be closed. */
void volume_forsake(struct disk *disk, const char *why);
/* The index was opened, read and written to without a crash. */
void volume_opened(struct disk *disk);
/* No number of a later opening than this one is given before the label says so. Opening thread, later the
 * scribe. */
enum status volume_number(struct disk *disk, uint64_t opening) STATUS_CHECKED;
/* The index was read to its end, or reading it was given up in an orderly way. Scribe, or nobody else any more. */
void volume_loaded(struct disk *disk);
/* The index was made anew and is durable. Scribe. */
void volume_rebuilt(struct disk *disk);
/* Making it anew was put off in an orderly way: the next start begins again, and this one does not count as tried.
 * Nobody else uses it any more. */
void volume_put_off(struct disk *disk);
/* The index cannot be written: what is in it must not be believed at the next start, which rebuilds it. OK when that is
 * sure. Also the scribe. */
enum status volume_condemn(struct disk *disk) STATUS_CHECKED;
/* The index could be made anew: it is to be believed again. Scribe. */
void volume_uncondemn(struct disk *disk);
/* Closes the index and makes an empty one; on a failure there may be none. Scribe. */
enum status volume_index_anew(struct disk *disk) STATUS_CHECKED;
/* Closes everything and frees the disk. */
void volume_close(struct disk *disk);

#endif
