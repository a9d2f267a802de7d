/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mem.c: malloc with a tally.
 *
 * Each thread tallies in a variable of its own and adds it to the global count when it has drifted by FOLD_BYTES, so a
 * small allocation costs no shared cache line. A thread's remainder is folded by a thread-specific destructor when it
 * ends: libcurl may start a short-lived thread per name it resolves, and lost remainders would add up.
 */
#include "base/mem.h"

#include <curl/curl.h>
#include <event2/event.h>
#include <jansson.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem_nghttp2.h"
#include "base/mem_parts.h"

#define FOLD_BYTES 4096
/* Tables from here on are worth pages of 2 MiB. */
#define TABLE_HUGE (8 * 1024 * 1024)
/* What malloc keeps lists of that no lock is taken for (glibc: up to 1032 bytes). */
#define SMALL 1024

static atomic_llong mem_total;
static atomic_size_t mem_bound;
static _Thread_local int64_t mem_drift;
static _Thread_local bool mem_registered;
static pthread_once_t mem_once = PTHREAD_ONCE_INIT;
static pthread_key_t mem_key;

void mem_die(const char *why)
{
    static const char prefix[] = "headpond: out of memory: ";
    /* No stdio: it may want to allocate. */
    ssize_t ignored = write(2, prefix, sizeof prefix - 1);
    ignored = write(2, why, strlen(why));
    ignored = write(2, "\n", 1);
    (void) ignored;
    abort();
}

static void mem_fold(void)
{
    atomic_fetch_add_explicit(&mem_total, mem_drift, memory_order_relaxed);
    mem_drift = 0;
}

static void mem_thread_ends(void *unused)
{
    (void) unused;
    mem_fold();
    /* A later destructor of this thread may still free something: then register once more. */
    mem_registered = false;
}

static void mem_make_key(void)
{
    if (pthread_key_create(&mem_key, mem_thread_ends) != 0)
        mem_die("no thread-specific key");
}

__attribute__((cold, noinline)) static void mem_register(void)
{
    pthread_once(&mem_once, mem_make_key);
    mem_registered = true;
    pthread_setspecific(mem_key, &mem_total);
}

void mem_account(ptrdiff_t bytes)
{
    if (!mem_registered)
        mem_register();
    mem_drift += bytes;
    if (mem_drift > FOLD_BYTES || mem_drift < -FOLD_BYTES)
        mem_fold();
}

static void *mem_taken(void *ptr)
{
    if (ptr == NULL)
        mem_die("malloc");
    mem_account((ptrdiff_t) malloc_usable_size(ptr));
    return ptr;
}

void *mem_alloc(size_t size)
{
    return mem_taken(malloc(size == 0 ? 1 : size));
}

void *mem_calloc(size_t count, size_t size)
{
    /* glibc's calloc looks into its bins, where its malloc has a list for each thread and size. */
    if (count == 1 && size <= SMALL)
        return memset(mem_alloc(size), 0, size);
    return mem_taken(count == 0 || size == 0 ? calloc(1, 1) : calloc(count, size));
}

void *mem_table(size_t count, size_t size)
{
    char *table = mem_calloc(count, size);
    size_t page = (size_t) sysconf(_SC_PAGESIZE), before = -(uintptr_t) table & (page - 1);
    if (count * size >= TABLE_HUGE)
        (void) madvise(table + before, (count * size - before) & ~(page - 1), MADV_HUGEPAGE);
    return table;
}

void *mem_realloc(void *ptr, size_t size)
{
    size_t before = ptr == NULL ? 0 : malloc_usable_size(ptr);
    void *moved = realloc(ptr, size == 0 ? 1 : size);
    if (moved == NULL)
        mem_die("realloc");
    mem_account((ptrdiff_t) malloc_usable_size(moved) - (ptrdiff_t) before);
    return moved;
}

void mem_free(void *ptr)
{
    if (ptr == NULL)
        return;
    mem_account(-(ptrdiff_t) malloc_usable_size(ptr));
    free(ptr);
}

static char *mem_copy_text(const char *text, size_t len)
{
    char *copy = mem_alloc(len + 1);
    memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

char *mem_strndup(const char *text, size_t size)
{
    return mem_copy_text(text, strnlen(text, size));
}

char *mem_strdup(const char *text)
{
    return mem_copy_text(text, strlen(text));
}

void *mem_aligned(size_t alignment, size_t size)
{
    void *ptr = NULL;
    if (alignment < sizeof(void *))
        alignment = sizeof(void *);
    if (posix_memalign(&ptr, alignment, size == 0 ? 1 : size) != 0)
        mem_die("posix_memalign");
    return mem_taken(ptr);
}

size_t mem_used(void)
{
    mem_fold();
    long long total = atomic_load_explicit(&mem_total, memory_order_relaxed);
    return total < 0 ? 0 : (size_t) total;
}

void mem_set_limit(size_t bytes)
{
    atomic_store_explicit(&mem_bound, bytes, memory_order_relaxed);
}

size_t mem_limit(void)
{
    return atomic_load_explicit(&mem_bound, memory_order_relaxed);
}

enum mem_pressure mem_pressure(void)
{
    size_t bound = mem_limit();
    if (bound == 0)
        return MEM_EASY;
    size_t used = mem_used();
    if (used >= bound - mem_parts_of(bound, MEM_LEFT_ACCEPT))
        return MEM_STOP_ACCEPT;
    if (used >= bound - mem_parts_of(bound, MEM_LEFT_FILLS))
        return MEM_QUEUE_FILLS;
    if (used >= bound - mem_parts_of(bound, MEM_LEFT_SPLIT))
        return MEM_NO_SPLIT;
    if (used >= bound - mem_parts_of(bound, MEM_LEFT_AHEAD))
        return MEM_NO_READAHEAD;
    return MEM_EASY;
}

/* ---- What the libraries call. OpenSSL: 0 bytes is NULL, and realloc to 0 frees. ---- */

static void *openssl_malloc(size_t size, const char *file, int line)
{
    (void) file, (void) line;
    return size == 0 ? NULL : mem_alloc(size);
}

static void *openssl_realloc(void *ptr, size_t size, const char *file, int line)
{
    (void) file, (void) line;
    if (size == 0) {
        mem_free(ptr);
        return NULL;
    }
    return mem_realloc(ptr, size);
}

static void openssl_free(void *ptr, const char *file, int line)
{
    (void) file, (void) line;
    mem_free(ptr);
}

static void *h2_malloc(size_t size, void *user)
{
    (void) user;
    return mem_alloc(size);
}

static void h2_free(void *ptr, void *user)
{
    (void) user;
    mem_free(ptr);
}

static void *h2_calloc(size_t count, size_t size, void *user)
{
    (void) user;
    return mem_calloc(count, size);
}

static void *h2_realloc(void *ptr, size_t size, void *user)
{
    (void) user;
    return mem_realloc(ptr, size);
}

nghttp2_mem *mem_nghttp2(void)
{
    static nghttp2_mem callbacks = {NULL, h2_malloc, h2_free, h2_calloc, h2_realloc};
    return &callbacks;
}

void mem_init(void)
{
    if (CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) != 1)
        mem_die("OpenSSL was used before mem_init");
    event_set_mem_functions(mem_alloc, mem_realloc, mem_free);
    json_set_alloc_funcs(mem_alloc, mem_free);
    if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, mem_alloc, mem_free, mem_realloc, mem_strdup, mem_calloc) != CURLE_OK)
        mem_die("libcurl cannot be initialised");
}
