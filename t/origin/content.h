/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blob content without storage. One static pseudo-random region stands in for every blob: the 64
 * KiB page p of a blob with seed s is the region's bytes from mix(s, p) on. So a server writes any
 * range straight from the region, and a client that knows the seed can check any range as it
 * arrives.
 *
 * The region depends on nothing but a fixed constant: separate programs agree on every byte.
 * After content_init() all functions are pure and may be called on any thread.
 */
#ifndef T_ORIGIN_CONTENT_H
#define T_ORIGIN_CONTENT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define CONTENT_PAGE 65536

/* Fills the region. Call it once, before any thread is started. */
void content_init(void);

/* Describes up to `length` bytes of the blob from `offset` on; returns how many entries of `iov`
   were used (at most max_iov, so the sum may be less than `length`). The bytes must not be written
   to. */
int content_iov(uint64_t seed, int64_t offset, int64_t length, struct iovec *iov, int max_iov);

/* Compares; returns the offset (in the blob) of the first byte that differs, or -1. */
int64_t content_check(uint64_t seed, int64_t offset, const void *buf, size_t len);

void content_copy(uint64_t seed, int64_t offset, void *buf, size_t len);

#endif
