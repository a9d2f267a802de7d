/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hash.h: the hashes used in memory and on disk. XXH3 (xxHash 0.8) for integrity and for spreading, where nobody gains
 * by a collision; SHA-256 (OpenSSL) where somebody would: names that clients choose, and credentials.
 */
#ifndef HEADPOND_BASE_HASH_H
#define HEADPOND_BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/* 128 bits, e.g. an object's name on disk. Stored little-endian, lo first. */
struct hash128 {
    uint64_t lo;
    uint64_t hi;
};

/* A credential's digest: what is kept in memory instead of the credential. */
struct digest {
    uint8_t bytes[32];
};

static inline bool hash128_eq(struct hash128 a, struct hash128 b)
{
    return a.lo == b.lo && a.hi == b.hi;
}

uint64_t hash64(const void *data, size_t len, uint64_t seed);
struct hash128 hash128(const void *data, size_t len);
/* The name of what these texts say together: the first half of SHA-256 over each length (64 bits, little-endian) and
 * text. What is found by it is believed to be what was asked for, so nobody may be able to make two of one name. */
struct hash128 hash_name(const struct str *parts, unsigned count);
/* Spreads an already mixed value and an index, e.g. an object's hash and an extent's number. */
uint64_t hash_mix(uint64_t a, uint64_t b);
/* Mixed with a secret of this process: who chooses what is hashed cannot choose what it shares a count or a turn with.
 * Any thread. */
uint64_t hash_hidden(uint64_t hash);

/* SHA-256 with a secret of this process as its prefix, so that digests in a core file match nothing known. */
struct digest digest_of(struct str secret_text);
bool digest_eq(const struct digest *a, const struct digest *b);

/* MD5, for who asks for it by name: NULL where OpenSSL does not have it (FIPS). Both ends empty the pointer; of
 * md5_free, *md5 may be NULL. */
struct md5;
struct md5 *md5_begin(void);
void md5_add(struct md5 *md5, const void *data, size_t size);
void md5_end(struct md5 **md5, uint8_t out[16]);
void md5_free(struct md5 **md5);

#endif
