/* SPDX-License-Identifier: Apache-2.0 */
/* hash.c: XXH3 for names and checks, SHA-256 under a secret of this process for credentials. */
#include "base/hash.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdlib.h>
#include <xxhash.h>

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

static pthread_once_t digest_once = PTHREAD_ONCE_INIT;
static uint8_t digest_secret[32];
static EVP_MD *digest_method;

static void digest_prepare(void)
{
    /* Fetched once: an implicit fetch a call takes a lock and costs more than the hashing. */
    digest_method = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (digest_method == NULL || RAND_bytes(digest_secret, sizeof digest_secret) != 1)
        abort();
}

struct digest digest_of(struct str secret_text)
{
    struct digest digest;
    pthread_once(&digest_once, digest_prepare);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context == NULL || EVP_DigestInit_ex2(context, digest_method, NULL) != 1 ||
        EVP_DigestUpdate(context, digest_secret, sizeof digest_secret) != 1 ||
        EVP_DigestUpdate(context, secret_text.ptr, secret_text.len) != 1 ||
        EVP_DigestFinal_ex(context, digest.bytes, NULL) != 1)
        abort(); /* a digest that is not one would let one credential pass for another */
    EVP_MD_CTX_free(context);
    return digest;
}

bool digest_eq(const struct digest *a, const struct digest *b)
{
    return CRYPTO_memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}
