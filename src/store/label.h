/* SPDX-License-Identifier: Apache-2.0 */
/*
 * label.h: the file headpond.store, which says what made a disk's directory, and how far its numbers have come; and a
 * copy of it, since a disk whose label is lost is emptied. Each has a checksum and is written by rename, one after the
 * other, at each opening: a crash leaves two good ones, of which the later counts, and damage to one is mended. A store
 * of an earlier version has no copy. Opening thread; the scribe afterwards.
 */
#ifndef HEADPOND_STORE_LABEL_H
#define HEADPOND_STORE_LABEL_H

#include <stdint.h>

#include "base/hash.h"
#include "base/status.h"

#define LABEL_FILE "headpond.store"
#define LABEL_FILE_NEW "headpond.store.new"
#define LABEL_COPY "headpond.store.copy"
#define LABEL_COPY_NEW "headpond.store.copy.new"

struct label {
    uint32_t format;
    uint32_t block_size;
    struct hash128 id;    /* of what is in the directory now */
    uint32_t incarnation; /* how often it was emptied */
    uint64_t map_size;    /* bytes the index may grow to */
    uint64_t opening;     /* no number of a later opening (generation.h) was ever given; 0: the index alone knows */
};

/* NOT_FOUND: there is none. CORRUPT: it is none of ours. IO with errno set. *damaged: which of the two is not to be
 * read, though the other is, or NULL. */
enum status label_read(int dir, struct label *label, const char **damaged) STATUS_CHECKED;
/* Durable when it returns. IO with errno set. */
enum status label_write(int dir, const struct label *label) STATUS_CHECKED;

#endif
