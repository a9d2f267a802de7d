/* SPDX-License-Identifier: Apache-2.0 */
/* hash.c: XXH3 for checks, SHA-256 for names, and under a secret of this process for credentials. */
#include "base/hash.h"

#include <endian.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/random.h>
#include <xxhash.h>

#include "base/mem.h"

uint64_t hash64(const void *data, size_t len, uint64_t seed)
{
    return XXH3_64bits_withSeed(data, len, seed);
}

struct hash128 hash128(const void *data, size_t len)
{
    XXH128_hash_t hash = XXH3_128bits(data, len);
    return (struct hash128){hash.low64, hash.high64};
}

uint64_t hash_mix(uint64_t a, uint64_t b)
{
    /* The finaliser of splitmix64 over both: every input bit reaches every output bit. Its values place extents, so it
     * must never change. */
    uint64_t x = a + b * UINT64_C(0x9e3779b97f4a7c15) + UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static uint64_t mix_secret(void)
{
    static atomic_uint_fast64_t drawn;
    uint_fast64_t own = atomic_load_explicit(&drawn, memory_order_relaxed), none = 0;
    if (own != 0)
        return own;
    while (own == 0)
        if (getrandom(&own, sizeof own, 0) != sizeof own)
            own = 0;
    /* Whoever was first has drawn for all. */
    return atomic_compare_exchange_strong(&drawn, &none, own) ? own : none;
}

uint64_t hash_hidden(uint64_t hash)
{
    return hash_mix(hash, mix_secret());
}

/* ---- SHA-256 ---- */

static pthread_once_t sha_once = PTHREAD_ONCE_INIT;
static pthread_key_t sha_key; /* a thread's own context, freed at its end */
static uint8_t digest_secret[32];
static EVP_MD *sha_method;

static void sha_forget(void *context)
{
    EVP_MD_CTX_free(context);
}

static void sha_prepare(void)
{
    /* Fetched once: an implicit fetch a call takes a lock and costs more than the hashing. */
    sha_method = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (sha_method == NULL || RAND_bytes(digest_secret, sizeof digest_secret) != 1 ||
        pthread_key_create(&sha_key, sha_forget) != 0)
        abort();
}

/* A context that is ready for data. A hash that is none would let one name or credential pass for another: what fails
 * here aborts. */
static EVP_MD_CTX *sha_begin(void)
{
    static _Thread_local EVP_MD_CTX *own;
    pthread_once(&sha_once, sha_prepare);
    if (own == NULL) {
        own = EVP_MD_CTX_new();
        if (own == NULL || EVP_DigestInit_ex2(own, sha_method, NULL) != 1 || pthread_setspecific(sha_key, own) != 0)
            abort();
    } else if (EVP_DigestInit_ex2(own, NULL, NULL) != 1) {
        abort();
    }
    return own;
}

static void sha_add(EVP_MD_CTX *context, const void *data, size_t size)
{
    if (EVP_DigestUpdate(context, data, size) != 1)
        abort();
}

static void sha_end(EVP_MD_CTX *context, uint8_t out[32])
{
    if (EVP_DigestFinal_ex(context, out, NULL) != 1)
        abort();
}

struct digest digest_of(struct str secret_text)
{
    struct digest digest;
    EVP_MD_CTX *context = sha_begin();
    sha_add(context, digest_secret, sizeof digest_secret);
    sha_add(context, secret_text.ptr, secret_text.len);
    sha_end(context, digest.bytes);
    return digest;
}

struct hash128 hash_name(const struct str *parts, unsigned count)
{
    uint8_t bytes[32];
    uint64_t words[2];
    EVP_MD_CTX *context = sha_begin();
    for (unsigned i = 0; i < count; i++) {
        uint64_t length = htole64(parts[i].len);
        sha_add(context, &length, sizeof length);
        sha_add(context, parts[i].ptr, parts[i].len);
    }
    sha_end(context, bytes);
    memcpy(words, bytes, sizeof words);
    return (struct hash128){le64toh(words[0]), le64toh(words[1])};
}

bool digest_eq(const struct digest *a, const struct digest *b)
{
    return CRYPTO_memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

/* ---- MD5 ---- */

struct md5 {
    EVP_MD_CTX *context;
};

struct md5 *md5_begin(void)
{
    struct md5 *md5 = mem_calloc(1, sizeof *md5);
    md5->context = EVP_MD_CTX_new();
    if (md5->context == NULL || EVP_DigestInit_ex(md5->context, EVP_md5(), NULL) != 1)
        md5_free(&md5);
    return md5;
}

void md5_add(struct md5 *md5, const void *data, size_t size)
{
    if (EVP_DigestUpdate(md5->context, data, size) != 1)
        abort();
}

void md5_end(struct md5 **md5, uint8_t out[16])
{
    if (EVP_DigestFinal_ex((*md5)->context, out, NULL) != 1)
        abort();
    md5_free(md5);
}

void md5_free(struct md5 **pointer)
{
    struct md5 *md5 = *pointer;
    *pointer = NULL;
    if (md5 == NULL)
        return;
    EVP_MD_CTX_free(md5->context);
    mem_free(md5);
}
