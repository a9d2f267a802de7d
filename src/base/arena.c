/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena.c: chunks in a list, newest first; only the newest is allocated from. What is too big for a chunk's rest and
 * more than a quarter of a chunk gets a chunk of its own behind the newest, so that the newest's rest is not lost.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "base/arena.h"

#include <assert.h>
#include <stdarg.h>
#include <stdalign.h>
#include <stdio.h>

#include "base/mem.h"

#define CHUNK_BYTES (8u * 1024 - 64) /* room in a usual chunk: a head's texts fit, and malloc keeps it in two pages */
#define SMALL_BYTES (1024u - 64)     /* in one of a small arena */

struct chunk {
    struct chunk *next;
    size_t used;
    size_t room;
    alignas(16) unsigned char bytes[];
};

struct arena {
    struct chunk *newest;
    size_t room; /* in its usual chunks */
};

static struct arena *arena_of(size_t room)
{
    struct arena *arena = mem_calloc(1, sizeof *arena);
    arena->room = room;
    return arena;
}

struct arena *arena_new(void)
{
    return arena_of(CHUNK_BYTES);
}

struct arena *arena_new_small(void)
{
    return arena_of(SMALL_BYTES);
}

size_t arena_size(const struct arena *arena)
{
    size_t size = sizeof *arena;
    for (const struct chunk *chunk = arena->newest; chunk != NULL; chunk = chunk->next)
        size += sizeof *chunk + chunk->room;
    return size;
}

static void chunks_free(struct chunk *chunk)
{
    while (chunk != NULL) {
        struct chunk *next = chunk->next;
        mem_free(chunk);
        chunk = next;
    }
}

void arena_free(struct arena *arena)
{
    if (arena == NULL)
        return;
    chunks_free(arena->newest);
    mem_free(arena);
}

void arena_reset(struct arena *arena)
{
    struct chunk *keep = NULL;
    while (arena->newest != NULL) {
        struct chunk *chunk = arena->newest;
        arena->newest = chunk->next;
        if (keep == NULL && chunk->room == arena->room)
            keep = chunk;
        else
            mem_free(chunk);
    }
    if (keep != NULL) {
        keep->next = NULL;
        keep->used = 0;
    }
    arena->newest = keep;
}

static struct chunk *chunk_new(size_t room)
{
    struct chunk *chunk = mem_alloc(sizeof *chunk + room);
    chunk->next = NULL;
    chunk->used = 0;
    chunk->room = room;
    return chunk;
}

static void *chunk_take(struct chunk *chunk, size_t size)
{
    void *at = chunk->bytes + chunk->used;
    chunk->used += size;
    return at;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    assert(size < SIZE_MAX / 2);
#ifdef HEADPOND_SANITIZE
    struct chunk *own = chunk_new(size);
    own->next = arena->newest;
    arena->newest = own;
    return chunk_take(own, size);
#else
    struct chunk *newest = arena->newest;
    size = (size + 15) & ~(size_t) 15;
    if (newest != NULL && newest->room - newest->used >= size)
        return chunk_take(newest, size);
    if (size > arena->room / 4) {
        struct chunk *own = chunk_new(size);
        if (newest == NULL) {
            arena->newest = own;
        } else {
            own->next = newest->next;
            newest->next = own;
        }
        return chunk_take(own, size);
    }
    struct chunk *chunk = chunk_new(arena->room);
    chunk->next = newest;
    arena->newest = chunk;
    return chunk_take(chunk, size);
#endif
}

void *arena_calloc(struct arena *arena, size_t size)
{
    void *at = arena_alloc(arena, size);
    memset(at, 0, size);
    return at;
}

struct str arena_str(struct arena *arena, struct str text)
{
    char *copy = arena_alloc(arena, text.len + 1);
    if (text.len > 0)
        memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return (struct str){copy, text.len};
}

struct str arena_lower(struct arena *arena, struct str text)
{
    char *copy = arena_alloc(arena, text.len + 1);
    *str_put_lower(copy, text) = '\0';
    return (struct str){copy, text.len};
}

struct str arena_number(struct arena *arena, uint64_t value)
{
    char *text = arena_alloc(arena, STR_NUMBER_MAX);
    return (struct str){text, (size_t) (str_put_number(text, value) - text)};
}

struct str arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    assert(len >= 0);
    char *text = arena_alloc(arena, (size_t) len + 1);
    vsnprintf(text, (size_t) len + 1, format, again);
    va_end(again);
    return (struct str){text, (size_t) len};
}
