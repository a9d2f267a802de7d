/* SPDX-License-Identifier: Apache-2.0 */
/* bytes.h: numbers as they are written to disk: little-endian, at any address. Pure; any thread. */
#ifndef HEADPOND_BASE_BYTES_H
#define HEADPOND_BASE_BYTES_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#include "base/hash.h"

static inline void bytes_put16(uint8_t *at, uint16_t value)
{
    value = htole16(value);
    memcpy(at, &value, sizeof value);
}

static inline void bytes_put32(uint8_t *at, uint32_t value)
{
    value = htole32(value);
    memcpy(at, &value, sizeof value);
}

static inline void bytes_put64(uint8_t *at, uint64_t value)
{
    value = htole64(value);
    memcpy(at, &value, sizeof value);
}

static inline uint16_t bytes_get16(const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return le16toh(value);
}

static inline uint32_t bytes_get32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return le32toh(value);
}

static inline uint64_t bytes_get64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return le64toh(value);
}

/* 16 bytes, lo first. */
static inline void bytes_put_hash(uint8_t *at, struct hash128 hash)
{
    bytes_put64(at, hash.lo);
    bytes_put64(at + 8, hash.hi);
}

static inline struct hash128 bytes_get_hash(const uint8_t *at)
{
    return (struct hash128){bytes_get64(at), bytes_get64(at + 8)};
}

#endif
