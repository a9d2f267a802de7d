/* SPDX-License-Identifier: Apache-2.0 */
/* entry.c: header bytes to struct and back. */
#include "store/entry.h"

#include <endian.h>
#include <string.h>

#define ENTRY_MAGIC UINT32_C(0x31655048) /* "HPe1" */
#define SUM_AT 120

static void put16(uint8_t *at, uint16_t value)
{
    value = htole16(value);
    memcpy(at, &value, sizeof value);
}

static void put32(uint8_t *at, uint32_t value)
{
    value = htole32(value);
    memcpy(at, &value, sizeof value);
}

static void put64(uint8_t *at, uint64_t value)
{
    value = htole64(value);
    memcpy(at, &value, sizeof value);
}

static uint16_t get16(const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return le16toh(value);
}

static uint32_t get32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return le32toh(value);
}

static uint64_t get64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return le64toh(value);
}

static void put_hash(uint8_t *at, struct hash128 hash)
{
    put64(at, hash.lo);
    put64(at + 8, hash.hi);
}

static struct hash128 get_hash(const uint8_t *at)
{
    return (struct hash128){get64(at), get64(at + 8)};
}

uint64_t entry_checksum(const void *body, uint32_t length)
{
    return hash64(body, length, 0);
}

void entry_encode(const struct entry *entry, uint8_t out[ENTRY_HEADER_SIZE])
{
    memset(out, 0, ENTRY_HEADER_SIZE);
    put32(out, ENTRY_MAGIC);
    put16(out + 4, ENTRY_VERSION);
    out[6] = (uint8_t) entry->kind;
    put_hash(out + 8, entry->store);
    put32(out + 24, entry->incarnation);
    put32(out + 28, entry->length);
    put_hash(out + 32, entry->object);
    put64(out + 48, entry->generation);
    put64(out + 56, entry->block);
    put64(out + 64, entry->total);
    put_hash(out + 72, entry->group);
    put64(out + 88, entry->sequence);
    put64(out + 96, entry->checksum);
    put64(out + SUM_AT, hash64(out, SUM_AT, ENTRY_MAGIC));
}

enum status entry_decode(const uint8_t in[ENTRY_HEADER_SIZE], struct entry *entry)
{
    if (get32(in) != ENTRY_MAGIC || get16(in + 4) != ENTRY_VERSION ||
        get64(in + SUM_AT) != hash64(in, SUM_AT, ENTRY_MAGIC))
        return STATUS_CORRUPT;
    if (in[6] < ENTRY_BLOCK || in[6] > ENTRY_SEGMENT)
        return STATUS_CORRUPT;
    *entry = (struct entry){.kind = (enum entry_kind) in[6],
                            .store = get_hash(in + 8),
                            .incarnation = get32(in + 24),
                            .length = get32(in + 28),
                            .object = get_hash(in + 32),
                            .generation = get64(in + 48),
                            .block = get64(in + 56),
                            .total = get64(in + 64),
                            .group = get_hash(in + 72),
                            .sequence = get64(in + 88),
                            .checksum = get64(in + 96)};
    return STATUS_OK;
}
