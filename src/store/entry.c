/* SPDX-License-Identifier: Apache-2.0 */
/* entry.c: header bytes to struct and back. */
#include "store/entry.h"

#include <string.h>

#include "base/bytes.h"

#define ENTRY_MAGIC UINT32_C(0x31655048) /* "HPe1" */
#define SUM_AT 120

uint64_t entry_checksum(const void *body, uint32_t length)
{
    return hash64(body, length, 0);
}

void entry_encode(const struct entry *entry, uint8_t out[ENTRY_HEADER_SIZE])
{
    memset(out, 0, ENTRY_HEADER_SIZE);
    bytes_put32(out, ENTRY_MAGIC);
    bytes_put16(out + 4, ENTRY_VERSION);
    out[6] = (uint8_t) entry->kind;
    bytes_put_hash(out + 8, entry->store);
    bytes_put32(out + 24, entry->incarnation);
    bytes_put32(out + 28, entry->length);
    bytes_put_hash(out + 32, entry->object);
    bytes_put64(out + 48, entry->generation);
    bytes_put64(out + 56, entry->block);
    bytes_put64(out + 64, entry->total);
    bytes_put_hash(out + 72, entry->group);
    bytes_put64(out + 88, entry->sequence);
    bytes_put64(out + 96, entry->checksum);
    bytes_put64(out + 104, entry->segment);
    bytes_put64(out + SUM_AT, hash64(out, SUM_AT, ENTRY_MAGIC));
}

enum status entry_decode(const uint8_t in[ENTRY_HEADER_SIZE], struct entry *entry)
{
    if (bytes_get32(in) != ENTRY_MAGIC || bytes_get16(in + 4) != ENTRY_VERSION ||
        bytes_get64(in + SUM_AT) != hash64(in, SUM_AT, ENTRY_MAGIC))
        return STATUS_CORRUPT;
    if (in[6] < ENTRY_BLOCK || in[6] > ENTRY_SEGMENT)
        return STATUS_CORRUPT;
    *entry = (struct entry){.kind = (enum entry_kind) in[6],
                            .store = bytes_get_hash(in + 8),
                            .incarnation = bytes_get32(in + 24),
                            .length = bytes_get32(in + 28),
                            .object = bytes_get_hash(in + 32),
                            .generation = bytes_get64(in + 48),
                            .block = bytes_get64(in + 56),
                            .total = bytes_get64(in + 64),
                            .group = bytes_get_hash(in + 72),
                            .sequence = bytes_get64(in + 88),
                            .checksum = bytes_get64(in + 96),
                            .segment = bytes_get64(in + 104)};
    return STATUS_OK;
}
