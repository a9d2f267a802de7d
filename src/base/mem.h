/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mem.h: the one allocator.
 *
 * Every allocation of the process goes through here, those of the libraries included, so that `memory` in the
 * configuration bounds what the process really holds. Running out of memory aborts; sizes that a client controls are
 * bounded before they come here. Any thread.
 */
#ifndef HEADPOND_BASE_MEM_H
#define HEADPOND_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Points OpenSSL, libevent and libcurl at this allocator; call first in main, before any of them is used. nghttp2 takes
 * mem_nghttp2() (base/mem_nghttp2.h) per session. Aborts if a library has already allocated. */
void mem_init(void);

void *mem_alloc(size_t size) __attribute__((malloc, returns_nonnull));
void *mem_calloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
/* As mem_calloc, for a table that may be large and is met at random: in huge pages where the system has them. */
void *mem_table(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
void *mem_realloc(void *ptr, size_t size) __attribute__((returns_nonnull));
void mem_free(void *ptr);
char *mem_strdup(const char *text) __attribute__((malloc, returns_nonnull));
char *mem_strndup(const char *text, size_t size) __attribute__((malloc, returns_nonnull));

/* Like mem_alloc but aligned (power of two); released with mem_free. */
void *mem_aligned(size_t alignment, size_t size) __attribute__((returns_nonnull));

/* Says so on standard error and aborts: for memory that was to be got elsewhere (a mapping). */
void mem_die(const char *why) __attribute__((noreturn, cold));
/* Tells the tally of memory got elsewhere (a mapping): positive when taken, negative when given back. */
void mem_account(ptrdiff_t bytes);

/* Bytes now held by all threads, by malloc_usable_size. Exact to within a few KiB a thread. */
size_t mem_used(void);

/* The bound (`memory`); 0: unbounded. Set once at start. */
void mem_set_limit(size_t bytes);
size_t mem_limit(void);

/* How much of the bound is used: decides what is given up first (read-ahead, splitting, new fills, accepting). */
enum mem_pressure { MEM_EASY, MEM_NO_READAHEAD, MEM_NO_SPLIT, MEM_QUEUE_FILLS, MEM_STOP_ACCEPT };
enum mem_pressure mem_pressure(void);

#endif
