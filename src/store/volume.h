/* SPDX-License-Identifier: Apache-2.0 */
/*
 * volume.h: a disk's directory: who may use it, what is in it, and what to do when that is not what was left there.
 *
 *   headpond.store       what made it: format version, block size, ids (label.h)
 *   headpond.store.copy  the same again
 *   lock                 held with flock while a process uses it
 *   CACHEDIR.TAG         tells backups to leave it out (bford.info/cachedir): peek.c says why that matters
 *   index/               LMDB
 *   data-NNNNNN          slots
 *   opening, loading, rebuild, believed: markers (marker.h)
 *
 * What the operator did wrong is refused, and the directory left as it is: no directory, another format or block size,
 * in use, others may write to it (guard.h), foreign files in it and no label of ours. What the disk does wrong is not:
 * an index that is damaged, gone, or of another version is made anew from the data files; a label that is damaged in
 * both files empties the directory, since nobody knows whose the data files are, and so does one from before numbers
 * were kept in it where the index that knew them is lost; a disk that is full, read-only or broken is left out, with a
 * line in the log, and headpond runs without it. Opening thread only, but for volume_index_anew.
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
/* Closes the index and makes an empty one; on a failure there may be none. Scribe. */
enum status volume_index_anew(struct disk *disk) STATUS_CHECKED;
/* Closes everything and frees the disk. */
void volume_close(struct disk *disk);

#endif
