/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena.h: memory that lives as long as one request.
 *
 * A bump allocator over chained chunks; everything is freed at once. Under sanitizers (HEADPOND_SANITIZE) each
 * allocation is a malloc of its own so that overruns are seen. Not thread-safe: one arena, one thread at a time.
 */
#ifndef HEADPOND_BASE_ARENA_H
#define HEADPOND_BASE_ARENA_H

#include <stddef.h>

#include "base/str.h"

struct arena;

struct arena *arena_new(void);
/* For what is small and stays for long, in great number: takes little more than it is asked for. */
struct arena *arena_new_small(void);
/* Bytes that it takes now, used or not, without malloc's own. */
size_t arena_size(const struct arena *arena);
/* Frees everything and the arena itself; NULL is allowed. */
void arena_free(struct arena *arena);
/* Frees everything but keeps one chunk for the next request on the connection. */
void arena_reset(struct arena *arena);

/* 16-byte aligned, not zeroed. */
void *arena_alloc(struct arena *arena, size_t size) __attribute__((returns_nonnull));
void *arena_calloc(struct arena *arena, size_t size) __attribute__((returns_nonnull));
/* A copy with a NUL behind it that is not counted in its length. */
struct str arena_str(struct arena *arena, struct str text);
/* The same in lower case (ASCII). */
struct str arena_lower(struct arena *arena, struct str text);
/* In decimal. */
struct str arena_number(struct arena *arena, uint64_t value);
struct str arena_printf(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3), nonnull(2)));

#endif
