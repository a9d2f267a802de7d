/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checksum.h: the checksum of a range, which goes out ahead of its bytes. (Azure: Get Blob, x-ms-range-get-content-md5
 * and -crc64.) The range is read twice: here, where each piece is added to the sum and dropped, and then for the reply,
 * as any other range. Nothing is held for a client that does not read.
 *
 * The loop itself sums, in slices and for one reader at a time, so that a crowd of them takes no more of a round than
 * one. A reader is in line only while it has bytes to sum; who waits for the disk or the origin holds nobody up. Own
 * loop.
 */
#ifndef HEADPOND_PROXY_CHECKSUM_H
#define HEADPOND_PROXY_CHECKSUM_H

#include "base/list.h"
#include "blob/classify.h"
#include "http/source.h"
#include "net/loop.h"

/* The longest range that Azure sums. */
#define CHECKSUM_RANGE_MAX (4 * 1024 * 1024)

struct checksum;

/* A loop's. */
struct checksum_line {
    struct list waiting;
    struct timer timer;
};

void checksum_line_init(struct checksum_line *line, struct loop *loop);
/* Nobody is in it any more. */
void checksum_line_fini(struct checksum_line *line);

/* MD5 or CRC64 of all of *from, which are `size` bytes (> 0); takes it. `done` is called once, from the loop, never
 * from inside a function of here: OK, or why the source failed. NULL, and nothing is taken, where there is no MD5. */
struct checksum *checksum_new(struct checksum_line *line, enum blob_checksum kind, struct source **from, size_t size,
                              void (*done)(void *arg, enum status why), void *arg);
/* After OK, in base64 as Azure writes it; good until the checksum is closed. */
struct str checksum_text(const struct checksum *checksum);
/* No callback follows. Empties the pointer; *checksum may be NULL. */
void checksum_close(struct checksum **checksum);

#endif
