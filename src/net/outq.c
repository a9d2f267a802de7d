/* SPDX-License-Identifier: Apache-2.0 */
/* outq.c: chunks of 32 KiB, two TLS records each; up to 1 MiB of spare ones a loop, newest used first (cache-warm). */
#include "net/outq.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"

#define OUTQ_CHUNK 32768
#define OUTQ_SPARE 32

struct outq_chunk {
    struct outq_chunk *next;
    uint32_t start;
    uint32_t end;
    uint8_t data[OUTQ_CHUNK - 2 * sizeof(void *)];
};

static struct outq_chunk *take(struct outq_pool *pool)
{
    struct outq_chunk *chunk = pool->spare;
    if (chunk == NULL) {
        chunk = mem_alloc(sizeof *chunk);
    } else {
        pool->spare = chunk->next;
        pool->count--;
    }
    chunk->next = NULL;
    chunk->start = chunk->end = 0;
    return chunk;
}

static void give_back(struct outq_pool *pool, struct outq_chunk *chunk)
{
    if (pool->count == OUTQ_SPARE) {
        mem_free(chunk);
        return;
    }
    chunk->next = pool->spare;
    pool->spare = chunk;
    pool->count++;
}

void outq_append(struct outq *out, struct outq_pool *pool, const void *data, size_t size)
{
    const uint8_t *from = data;
    while (size > 0) {
        struct outq_chunk *last = out->last;
        if (last == NULL || last->end == sizeof last->data) {
            last = take(pool);
            if (out->last == NULL)
                out->first = last;
            else
                out->last->next = last;
            out->last = last;
        }
        size_t room = sizeof last->data - last->end;
        size_t n = size < room ? size : room;
        memcpy(last->data + last->end, from, n);
        last->end += (uint32_t) n;
        out->bytes += n;
        from += n;
        size -= n;
    }
}

unsigned outq_view(const struct outq *out, struct iovec *pieces, unsigned max)
{
    unsigned count = 0;
    for (struct outq_chunk *chunk = out->first; chunk != NULL && count < max; chunk = chunk->next)
        pieces[count++] = (struct iovec){chunk->data + chunk->start, chunk->end - chunk->start};
    return count;
}

void outq_consume(struct outq *out, struct outq_pool *pool, size_t bytes)
{
    assert(bytes <= out->bytes);
    out->bytes -= bytes;
    while (bytes > 0) {
        struct outq_chunk *first = out->first;
        size_t held = first->end - first->start;
        if (bytes < held) {
            first->start += (uint32_t) bytes;
            return;
        }
        bytes -= held;
        out->first = first->next;
        if (out->first == NULL)
            out->last = NULL;
        give_back(pool, first);
    }
}

enum status outq_send(struct outq *out, struct outq_pool *pool, struct sock *sock, bool *moved)
{
    while (out->bytes > 0) {
        struct iovec pieces[SOCK_MAX_IOV];
        unsigned count = outq_view(out, pieces, SOCK_MAX_IOV);
        size_t taken;
        enum status status = sock_write(sock, pieces, count, &taken);
        if (status != STATUS_OK)
            return status == STATUS_AGAIN ? STATUS_OK : status;
        outq_consume(out, pool, taken);
        if (moved != NULL)
            *moved = true;
    }
    return STATUS_OK;
}

void outq_clear(struct outq *out, struct outq_pool *pool)
{
    outq_consume(out, pool, out->bytes);
}

void outq_pool_fini(struct outq_pool *pool)
{
    while (pool->spare != NULL) {
        struct outq_chunk *chunk = pool->spare;
        pool->spare = chunk->next;
        mem_free(chunk);
    }
    pool->count = 0;
}
