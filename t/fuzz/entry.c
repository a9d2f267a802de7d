/* SPDX-License-Identifier: Apache-2.0 */
/*
 * entry.c: headers on the disk. The input is a header, and again with the checksum that would belong to it, since no
 * fuzzer finds one: what is decoded encodes to the same, and no single bit may be another.
 */
#include "base/bytes.h"
#include "store/entry.h"
#include "fuzz.h"

#define SUM_AT 120

static bool check(const uint8_t header[ENTRY_HEADER_SIZE])
{
    uint8_t again[ENTRY_HEADER_SIZE];
    struct entry entry, back;
    if (entry_decode(header, &entry) != STATUS_OK)
        return false;
    fuzz_check(entry.kind >= ENTRY_BLOCK && entry.kind <= ENTRY_SEGMENT);
    entry_encode(&entry, again);
    /* The reserved bytes (7, 104 to 119) are zeroed, and the checksum with them. */
    fuzz_check(memcmp(header, again, 7) == 0 && memcmp(header + 8, again + 8, 96) == 0);
    fuzz_check(entry_decode(again, &back) == STATUS_OK);
    fuzz_check(back.kind == entry.kind && back.length == entry.length && back.checksum == entry.checksum);
    fuzz_check(back.generation == entry.generation && back.block == entry.block && back.total == entry.total);
    fuzz_check(hash128_eq(back.object, entry.object) && hash128_eq(back.group, entry.group));
    fuzz_check(hash128_eq(back.store, entry.store) && back.incarnation == entry.incarnation);
    fuzz_check(back.sequence == entry.sequence);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t header[ENTRY_HEADER_SIZE] = {0};
    struct entry entry;
    memcpy(header, data, size < sizeof header ? size : sizeof header);
    (void) check(header);
    bytes_put64(header + SUM_AT, hash64(header, SUM_AT, bytes_get32(header)));
    if (check(header)) {
        unsigned bit = size > sizeof header ? data[sizeof header] * 4u + 1 : 8 * SUM_AT;
        header[bit / 8] ^= (uint8_t) (1u << bit % 8);
        fuzz_check(entry_decode(header, &entry) == STATUS_CORRUPT);
    }
    return 0;
}
