/* SPDX-License-Identifier: Apache-2.0 */
/* chunks.c: see chunks.h. */
#include "http/chunks.h"

#include <string.h>

#include "base/mem.h"

/* Small DATA frames share a chunk: a frame of one byte must not cost an allocation. */
#define CHUNK_MIN 4096

struct chunk {
    struct chunk *next;
    uint32_t start;
    uint32_t end;
    uint32_t size;
    uint8_t data[];
};

void chunks_add(struct chunks *chunks, const uint8_t *data, size_t size)
{
    struct chunk *last = chunks->last;
    chunks->bytes += size;
    if (last != NULL) {
        size_t room = last->size - last->end;
        size_t n = size < room ? size : room;
        memcpy(last->data + last->end, data, n);
        last->end += (uint32_t) n;
        data += n;
        size -= n;
    }
    if (size == 0)
        return;
    uint32_t room = size < CHUNK_MIN ? CHUNK_MIN : (uint32_t) size;
    struct chunk *chunk = mem_alloc(sizeof *chunk + room);
    *chunk = (struct chunk){.end = (uint32_t) size, .size = room};
    memcpy(chunk->data, data, size);
    if (last == NULL)
        chunks->first = chunk;
    else
        last->next = chunk;
    chunks->last = chunk;
}

void chunks_view(const struct chunks *chunks, struct source_view *view, size_t max)
{
    for (struct chunk *chunk = chunks->first; chunk != NULL && view->count < SOURCE_MAX_PIECES && view->bytes < max;
         chunk = chunk->next) {
        size_t n = chunk->end - chunk->start;
        if (n > max - view->bytes)
            n = max - view->bytes;
        if (n == 0)
            continue;
        view->pieces[view->count++] = (struct iovec){chunk->data + chunk->start, n};
        view->bytes += n;
    }
}

void chunks_drop(struct chunks *chunks, size_t bytes)
{
    chunks->bytes -= bytes;
    while (bytes > 0) {
        struct chunk *first = chunks->first;
        size_t n = first->end - first->start;
        if (bytes < n) {
            first->start += (uint32_t) bytes;
            return;
        }
        bytes -= n;
        chunks->first = first->next;
        if (chunks->first == NULL)
            chunks->last = NULL;
        mem_free(first);
    }
}

void chunks_free(struct chunks *chunks)
{
    chunks_drop(chunks, chunks->bytes);
    while (chunks->first != NULL) { /* one that is empty */
        struct chunk *first = chunks->first;
        chunks->first = first->next;
        mem_free(first);
    }
    chunks->last = NULL;
}
