/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crc64.c: eight bytes a step (slicing): table k tells what a byte becomes that k zero bytes follow, and since a CRC is
 * linear, eight bytes become the sum of eight rows.
 */
#include "base/crc64.h"

#include <pthread.h>

#include "base/bytes.h"

#define CRC64_REFLECTED UINT64_C(0x9a6c9329ac4bc9b5)

static uint64_t table[8][256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_table(void)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        uint64_t crc = byte;
        for (unsigned bit = 0; bit < 8; bit++)
            crc = (crc & 1) != 0 ? crc >> 1 ^ CRC64_REFLECTED : crc >> 1;
        table[0][byte] = crc;
    }
    for (unsigned k = 1; k < 8; k++)
        for (unsigned byte = 0; byte < 256; byte++)
            table[k][byte] = table[k - 1][byte] >> 8 ^ table[0][table[k - 1][byte] & 0xff];
}

uint64_t crc64(uint64_t before, const void *data, size_t size)
{
    pthread_once(&once, make_table);
    const uint8_t *at = data;
    uint64_t crc = ~before;
    for (; size >= 8; size -= 8, at += 8) {
        crc ^= bytes_get64(at);
        crc = table[7][crc & 0xff] ^ table[6][crc >> 8 & 0xff] ^ table[5][crc >> 16 & 0xff] ^
              table[4][crc >> 24 & 0xff] ^ table[3][crc >> 32 & 0xff] ^ table[2][crc >> 40 & 0xff] ^
              table[1][crc >> 48 & 0xff] ^ table[0][crc >> 56];
    }
    for (; size > 0; size--, at++)
        crc = crc >> 8 ^ table[0][(crc ^ *at) & 0xff];
    return ~crc;
}
