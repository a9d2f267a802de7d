/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index_check.h: whether the file of an index holds together, looked at before LMDB maps it.
 *
 * LMDB believes its pages. Most of what it can be led to by a damaged one ends in a fault, which index_guard.h turns
 * into an answer; but where a page lies about how full it is, or how long a row in it is, LMDB copies past the end of
 * memory it has from malloc, and nobody can say what that was. So every page that can be reached is read here once, at
 * a start, by pread: that it is what it should be where it is, that its rows lie within it, that no page is reached
 * twice or is free as well, and that there are as many pages and rows as is said. It takes 3 µs a page,
 * measured: 150 ms for 10^7 blocks.
 *
 * A page that is damaged later, while the process runs, is not seen by this: then it is up to the guard, and the case
 * above remains open until the next start.
 *
 * This knows the format of LMDB 0.9 (data version 1, 64 bits, little-endian); of another it says nothing.
 */
#ifndef HEADPOND_STORE_INDEX_CHECK_H
#define HEADPOND_STORE_INDEX_CHECK_H

#include <stddef.h>

#include "base/status.h"

/* OK: nothing is wrong with the file, or there is none. CORRUPT with a constant text. IO with errno set. It may wait
 * for the disk. Any thread, but nobody may write to the file. */
enum status index_check(const char *path, size_t map_size, const char **why) STATUS_CHECKED;

#endif
