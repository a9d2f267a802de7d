/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index_row.h: the rows of the index as bytes.
 *
 * Each ends with a checksum over its key, its kind and itself, so that a row in which a bit has turned over, or which
 * is found under another key or in another table, is noticed; who reads it drops it. Pure; any thread.
 *
 *   object  key: hash (16)                     group (16), generation, length, validated_s, sequence, place, record
 *   extent  key: generation, extent, big-endian  object (16), length, bitmap of blocks (2), zero (6), a location each
 *   group   key: hash (16)                     sequence
 *   meta    key: a name                        a number
 *
 * Little-endian but for the key of extents, 8 bytes where nothing else is said; then XXH3-64 (8).
 */
#ifndef HEADPOND_STORE_INDEX_ROW_H
#define HEADPOND_STORE_INDEX_ROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/index.h"

#define INDEX_KEY_SIZE 16
#define INDEX_ROW_MAX (STORE_RECORD_MAX + 64)

enum index_kind { INDEX_META, INDEX_OBJECTS, INDEX_EXTENTS, INDEX_GROUPS, INDEX_KINDS };

void index_key_hash(uint8_t key[INDEX_KEY_SIZE], struct hash128 hash);
void index_key_extent(uint8_t key[INDEX_KEY_SIZE], uint64_t generation, uint64_t extent);

/* Fill `row` (INDEX_ROW_MAX bytes) and return how long it is. */
size_t index_row_object(uint8_t *row, const uint8_t key[INDEX_KEY_SIZE], const struct index_object *object);
/* 0: it has no locations. */
size_t index_row_extent(uint8_t *row, const uint8_t key[INDEX_KEY_SIZE], const struct index_extent *extent);
size_t index_row_number(uint8_t *row, enum index_kind kind, const void *key, size_t key_size, uint64_t number);
/* Zeroes the time of validation in a row that reads well. */
void index_row_invalidate(uint8_t *row, size_t size, const uint8_t key[INDEX_KEY_SIZE]);

/* false: it is not what was written. Texts point into the row. */
bool index_read_object(const uint8_t *row, size_t size, const uint8_t key[INDEX_KEY_SIZE], struct index_object *object);
bool index_read_extent(const uint8_t *row, size_t size, const uint8_t key[INDEX_KEY_SIZE], struct index_extent *extent);
bool index_read_number(const uint8_t *row, size_t size, enum index_kind kind, const void *key, size_t key_size,
                       uint64_t *number);

#endif
