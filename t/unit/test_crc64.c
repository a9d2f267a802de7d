/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-64/NVME: the known value, and the same as a sum made bit by bit, whatever the length, alignment and pieces. */
#include "base/crc64.h"

#include "tap.h"

static uint64_t bitwise(const uint8_t *data, size_t size)
{
    uint64_t crc = UINT64_MAX;
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = (crc & 1) != 0 ? crc >> 1 ^ UINT64_C(0x9a6c9329ac4bc9b5) : crc >> 1;
    }
    return ~crc;
}

int main(void)
{
    ok(crc64(0, "123456789", 9) == UINT64_C(0xae8b14860a799888), "the check value");
    ok(crc64(0, "", 0) == 0, "nothing is 0");

    static uint8_t data[4096 + 64];
    uint64_t x = 88172645463325252u;
    for (size_t i = 0; i < sizeof data; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        data[i] = (uint8_t) x;
    }
    unsigned wrong = 0;
    for (size_t start = 0; start < 16; start++)
        for (size_t size = 0; size < 300; size++)
            wrong += crc64(0, data + start, size) != bitwise(data + start, size);
    is_int(wrong, 0, "all lengths up to 300 at 16 alignments");
    uint64_t whole = bitwise(data, sizeof data);
    ok(crc64(0, data, sizeof data) == whole, "4,160 bytes");
    wrong = 0;
    for (size_t cut = 0; cut <= sizeof data; cut++)
        wrong += crc64(crc64(0, data, cut), data + cut, sizeof data - cut) != whole;
    is_int(wrong, 0, "in two pieces, cut anywhere");
    return done_testing();
}
