/* SPDX-License-Identifier: Apache-2.0 */
/* The allocator's tally, over threads that come and go, and in the libraries. */
#include "tap.h"

#include <curl/curl.h>
#include <event2/event.h>
#include <nghttp2/nghttp2.h>
#include <openssl/crypto.h>
#include <pthread.h>

#include "base/mem.h"
#include "base/mem_nghttp2.h"

static void *allocates(void *arg)
{
    void **slot = arg;
    for (int i = 0; i < 100; i++)
        mem_free(mem_alloc((size_t) i * 10));
    *slot = mem_alloc(3000); /* less than a fold; freed by another thread */
    return NULL;
}

static void threads(void)
{
    pthread_t thread[8];
    void *left[8];
    size_t before = mem_used();
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 8; i++)
            pthread_create(&thread[i], NULL, allocates, &left[i]);
        for (int i = 0; i < 8; i++)
            pthread_join(thread[i], NULL);
        if (round == 0)
            ok(mem_used() - before >= 8 * 3000, "what ended threads left is tallied");
        for (int i = 0; i < 8; i++)
            mem_free(left[i]);
    }
    is_int(mem_used(), before, "nothing drifts when threads end");
}

static void libraries(void)
{
    size_t before = mem_used();
    void *piece = OPENSSL_malloc(100000);
    ok(mem_used() - before >= 100000, "OpenSSL allocates here");
    piece = OPENSSL_realloc(piece, 200000);
    ok(mem_used() - before >= 200000, "and grows here");
    OPENSSL_free(piece);
    is_int(mem_used(), before, "and frees here");
    CURL *curl = curl_easy_init();
    ok(mem_used() - before > 1000, "libcurl allocates here");
    curl_easy_cleanup(curl);
    is_int(mem_used(), before, "and frees here");
    struct event_base *base = event_base_new();
    ok(mem_used() > before, "libevent allocates here");
    event_base_free(base);
    nghttp2_session_callbacks *callbacks;
    nghttp2_session *session;
    nghttp2_session_callbacks_new(&callbacks);
    before = mem_used();
    nghttp2_session_server_new3(&session, callbacks, NULL, NULL, mem_nghttp2());
    ok(mem_used() - before > 1000, "nghttp2 allocates here");
    nghttp2_session_del(session);
    nghttp2_session_callbacks_del(callbacks);
    is_int(mem_used(), before, "and frees here");
}

static void pressure(void)
{
    size_t used = mem_used();
    is_int(mem_pressure(), MEM_EASY, "no limit, no pressure");
    static const struct {
        int percent;
        enum mem_pressure expected;
    } rows[] = {{50, MEM_EASY},        {77, MEM_NO_READAHEAD}, {86, MEM_NO_SPLIT},
                {94, MEM_QUEUE_FILLS}, {98, MEM_STOP_ACCEPT},  {120, MEM_STOP_ACCEPT}};
    void *ballast = mem_alloc(1000000);
    used = mem_used();
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        mem_set_limit(used * 100 / (size_t) rows[i].percent);
        is_int(mem_pressure(), rows[i].expected, "at %d %% of the limit", rows[i].percent);
    }
    mem_set_limit(0);
    mem_free(ballast);
}

int main(void)
{
    mem_init();
    threads();
    libraries();
    pressure();
    char *copy = mem_strndup("abc", 2);
    is_str(copy, "ab", "strndup");
    mem_free(copy);
    void *aligned = mem_aligned(4096, 10);
    ok((uintptr_t) aligned % 4096 == 0, "aligned");
    mem_free(aligned);
    mem_free(NULL);
    void *grown = mem_realloc(NULL, 0), *none = mem_calloc(0, 5);
    ok(grown != NULL && none != NULL, "never NULL, also for nothing");
    mem_free(grown);
    mem_free(none);
    size_t before = mem_used(), zeros = 0, count = 9 << 20;
    unsigned char *table = mem_table(count, 1);
    for (size_t i = 0; i < count; i++)
        zeros += table[i] == 0;
    ok(zeros == count && mem_used() >= before + count, "a large table is empty, and counted in whole");
    mem_free(table);
    ok(mem_used() < before + 4096, "until it is freed");
    return done_testing();
}
