/* SPDX-License-Identifier: Apache-2.0 */
/* source_mem.c: a source over a piece of memory: an error's body, a status page. Never waits, never fails. */
#include "http/source.h"

#include <assert.h>

#include "base/mem.h"

struct source_mem {
    struct source source; /* first: cast from */
    size_t taken;
    size_t len;
    char bytes[];
};

static enum source_state source_mem_peek(struct source *source, struct source_view *view, size_t max)
{
    struct source_mem *mem = (struct source_mem *) source;
    size_t left = mem->len - mem->taken;
    if (left == 0)
        return SOURCE_END;
    view->count = 1;
    view->bytes = left < max ? left : max;
    view->pieces[0] = (struct iovec){mem->bytes + mem->taken, view->bytes};
    return SOURCE_DATA;
}

static void source_mem_consume(struct source *source, size_t bytes)
{
    struct source_mem *mem = (struct source_mem *) source;
    assert(bytes <= mem->len - mem->taken);
    mem->taken += bytes;
}

static void source_mem_close(struct source *source)
{
    mem_free(source);
}

static const struct source_class source_mem_class = {
    .name = "memory",
    .peek = source_mem_peek,
    .consume = source_mem_consume,
    .close = source_mem_close,
};

struct source *source_from_str(struct str text)
{
    struct source_mem *mem = mem_alloc(sizeof *mem + text.len);
    mem->source = (struct source){.class = &source_mem_class};
    mem->taken = 0;
    mem->len = text.len;
    if (text.len > 0)
        memcpy(mem->bytes, text.ptr, text.len);
    return &mem->source;
}
