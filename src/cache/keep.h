/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keep.h: the body of a write kept as blocks (cache_writes), so that what was just written is read from here.
 *
 * The body passes through a source that copies it, block by block, under a generation that nobody can reach. When the
 * origin has created the blob, that generation becomes the object's current one, as one that was never validated: the
 * first read asks the origin what the blob is, and only if the ETag is that of the reply to the write are these blocks
 * its bytes. Until then, and for ever if the origin said anything else, they are worth nothing.
 *
 * Keeping can be done without: it does not wait for room, and ends when room is wanted (room.h) and the client takes too
 * long over a block. The write goes on.
 *
 * The loop of the exchange; the object's owner gets a letter.
 */
#ifndef HEADPOND_CACHE_KEEP_H
#define HEADPOND_CACHE_KEEP_H

#include <stdint.h>

#include "cache/cache.h"

struct cache_keep;

/* Puts itself in the place of *body, whose `length` bytes will be the blob. NULL, and *body stays, when that is
 * more than a Put Blob brings, or there is no disk, or no room in memory now. The request must name the blob; its texts
 * need not outlive the call. */
struct cache_keep *cache_keep_start(struct cache *cache, struct loop *loop, const struct cache_request *request,
                                    uint64_t length, struct source **body);
/* The write is over: `created` is the head of the origin's 201, or NULL when it came to nothing or nobody knows. Before
 * or after the source is closed. Empties the pointer; *keep may be NULL. */
void cache_keep_end(struct cache_keep **keep, const struct http_response *created);

#endif
