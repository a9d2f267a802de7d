/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checksum.h: a range that is kept in memory until its checksum is known, since that goes out ahead of the bytes.
 * (Azure: Get Blob, x-ms-range-get-content-md5 and -crc64.) It is gathered from its source, summed by a worker, and is
 * then itself the source of the reply's body. What fails on the way fails before anything was sent. Own loop.
 */
#ifndef HEADPOND_PROXY_CHECKSUM_H
#define HEADPOND_PROXY_CHECKSUM_H

#include <stddef.h>

#include "blob/classify.h"
#include "http/source.h"
#include "proxy/turn.h"

/* The longest range that Azure sums. */
#define CHECKSUM_RANGE_MAX (4 * 1024 * 1024)

struct loop;
struct checksum;

/* Asks for room for that many bytes; see turn_ask. */
bool checksum_ask(struct line_ticket *turn, struct proxy_loop *home, size_t size, void (*come)(void *arg, enum status why),
                  void *arg);

/* MD5 or CRC64 of all of *from, which are `size` bytes (> 0); takes it and the turn, which has come. */
struct checksum *checksum_new(struct loop *loop, enum blob_checksum kind, struct source **from, size_t size,
                              struct line_ticket *turn, void (*ready)(void *arg), void *arg);
/* Goes on. WAIT: `ready` will be called, from the loop, never from inside a function of here; it may be called in vain.
 * FAILED: *why. END: the checksum is known. */
enum source_state checksum_step(struct checksum *checksum, enum status *why);
/* After END, in base64 as Azure writes it; good until the checksum is closed. */
struct str checksum_text(const struct checksum *checksum);
/* After END: the bytes, as a source that ends the checksum when it is closed. Empties the pointer. */
struct source *checksum_into_source(struct checksum **checksum);
/* No callback follows. Empties the pointer; *checksum may be NULL. What a worker has is freed when it is done with it.
 */
void checksum_close(struct checksum **checksum);

#endif
