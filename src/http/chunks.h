/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunks.h: body bytes that have come in HTTP/2 and that nobody has taken yet, in order. The receive windows bound them.
 * A zeroed one is empty. Own thread.
 */
#ifndef HEADPOND_HTTP_CHUNKS_H
#define HEADPOND_HTTP_CHUNKS_H

#include <stddef.h>
#include <stdint.h>

#include "http/source.h"

struct chunk;

struct chunks {
    struct chunk *first;
    struct chunk *last;
    size_t bytes;
};

/* Adds a copy. */
void chunks_add(struct chunks *chunks, const uint8_t *data, size_t size);
/* Shows up to `max` bytes of the front, in an empty view. */
void chunks_view(const struct chunks *chunks, struct source_view *view, size_t max);
/* Takes off so many, of those that are there. */
void chunks_drop(struct chunks *chunks, size_t bytes);
/* Empties it. */
void chunks_free(struct chunks *chunks);

#endif
