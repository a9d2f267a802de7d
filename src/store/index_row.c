/* SPDX-License-Identifier: Apache-2.0 */
/* index_row.c: rows to bytes and back. */
#include "store/index_row.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

#include "base/bytes.h"
#include "store/location.h"

#define SUM_SIZE 8
#define OBJECT_FIXED 56
#define OBJECT_VALIDATED_AT 32
#define EXTENT_FIXED 32

void index_key_hash(uint8_t key[INDEX_KEY_SIZE], struct hash128 hash)
{
    bytes_put_hash(key, hash);
}

void index_key_extent(uint8_t key[INDEX_KEY_SIZE], uint64_t generation, uint64_t extent)
{
    generation = htobe64(generation);
    extent = htobe64(extent);
    memcpy(key, &generation, 8);
    memcpy(key + 8, &extent, 8);
}

static uint64_t sum_of(const uint8_t *row, size_t size, enum index_kind kind, const void *key, size_t key_size)
{
    return hash64(row, size, hash64(key, key_size, kind));
}

static size_t seal(uint8_t *row, size_t size, enum index_kind kind, const void *key, size_t key_size)
{
    bytes_put64(row + size, sum_of(row, size, kind, key, key_size));
    return size + SUM_SIZE;
}

static bool sealed(const uint8_t *row, size_t size, enum index_kind kind, const void *key, size_t key_size)
{
    return size >= SUM_SIZE && bytes_get64(row + size - SUM_SIZE) == sum_of(row, size - SUM_SIZE, kind, key, key_size);
}

size_t index_row_object(uint8_t *row, const uint8_t key[INDEX_KEY_SIZE], const struct index_object *object)
{
    assert(object->record.len <= STORE_RECORD_MAX);
    bytes_put_hash(row, object->group);
    bytes_put64(row + 16, object->generation);
    bytes_put64(row + 24, object->length);
    bytes_put64(row + OBJECT_VALIDATED_AT, (uint64_t) object->validated_s);
    bytes_put64(row + 40, object->sequence);
    bytes_put64(row + 48, object->place);
    if (object->record.len > 0)
        memcpy(row + OBJECT_FIXED, object->record.ptr, object->record.len);
    return seal(row, OBJECT_FIXED + object->record.len, INDEX_OBJECTS, key, INDEX_KEY_SIZE);
}

void index_row_invalidate(uint8_t *row, size_t size, const uint8_t key[INDEX_KEY_SIZE])
{
    bytes_put64(row + OBJECT_VALIDATED_AT, 0);
    (void) seal(row, size - SUM_SIZE, INDEX_OBJECTS, key, INDEX_KEY_SIZE);
}

size_t index_row_extent(uint8_t *row, const uint8_t key[INDEX_KEY_SIZE], const struct index_extent *extent)
{
    size_t size = EXTENT_FIXED;
    unsigned bitmap = 0;
    memset(row, 0, EXTENT_FIXED);
    for (unsigned i = 0; i < STORE_EXTENT_BLOCKS; i++) {
        if (extent->location[i] == 0)
            continue;
        bitmap |= 1U << i;
        bytes_put64(row + size, extent->location[i]);
        size += 8;
    }
    if (bitmap == 0)
        return 0;
    bytes_put_hash(row, extent->object);
    bytes_put64(row + 16, extent->length);
    bytes_put16(row + 24, (uint16_t) bitmap);
    return seal(row, size, INDEX_EXTENTS, key, INDEX_KEY_SIZE);
}

size_t index_row_number(uint8_t *row, enum index_kind kind, const void *key, size_t key_size, uint64_t number)
{
    bytes_put64(row, number);
    return seal(row, 8, kind, key, key_size);
}

bool index_read_object(const uint8_t *row, size_t size, const uint8_t key[INDEX_KEY_SIZE], struct index_object *object)
{
    if (size < OBJECT_FIXED + SUM_SIZE || size > OBJECT_FIXED + STORE_RECORD_MAX + SUM_SIZE ||
        !sealed(row, size, INDEX_OBJECTS, key, INDEX_KEY_SIZE))
        return false;
    *object = (struct index_object){.object = bytes_get_hash(key),
                                    .group = bytes_get_hash(row),
                                    .generation = bytes_get64(row + 16),
                                    .length = bytes_get64(row + 24),
                                    .validated_s = (int64_t) bytes_get64(row + OBJECT_VALIDATED_AT),
                                    .sequence = bytes_get64(row + 40),
                                    .place = bytes_get64(row + 48) & LOCATION_STORED,
                                    .record = {(const char *) row + OBJECT_FIXED, size - OBJECT_FIXED - SUM_SIZE}};
    return object->generation != 0;
}

bool index_read_extent(const uint8_t *row, size_t size, const uint8_t key[INDEX_KEY_SIZE], struct index_extent *extent)
{
    if (size <= EXTENT_FIXED + SUM_SIZE || !sealed(row, size, INDEX_EXTENTS, key, INDEX_KEY_SIZE))
        return false;
    unsigned bitmap = bytes_get16(row + 24);
    if (size != EXTENT_FIXED + SUM_SIZE + 8 * (size_t) __builtin_popcount(bitmap))
        return false;
    uint64_t generation, number;
    memcpy(&generation, key, 8);
    memcpy(&number, key + 8, 8);
    number = be64toh(number);
    if (generation == 0 || number > UINT32_MAX)
        return false;
    *extent = (struct index_extent){.generation = be64toh(generation),
                                    .extent = (uint32_t) number,
                                    .object = bytes_get_hash(row),
                                    .length = bytes_get64(row + 16)};
    const uint8_t *at = row + EXTENT_FIXED;
    for (unsigned i = 0; i < STORE_EXTENT_BLOCKS; i++) {
        if (!(bitmap >> i & 1))
            continue;
        extent->location[i] = bytes_get64(at) & LOCATION_STORED;
        at += 8;
        if (!(extent->location[i] & LOCATION_PRESENT))
            return false;
    }
    return true;
}

bool index_read_number(const uint8_t *row, size_t size, enum index_kind kind, const void *key, size_t key_size,
                       uint64_t *number)
{
    if (size != 8 + SUM_SIZE || !sealed(row, size, kind, key, key_size))
        return false;
    *number = bytes_get64(row);
    return true;
}
