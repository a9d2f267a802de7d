/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crc64.h: the CRC-64 of Azure Storage, which is that of NVM Express: polynomial 0xad93d23594c93659, reflected, begun
 * with and xored by all ones; "123456789" gives 0xae8b14860a799888. Pure; any thread.
 */
#ifndef HEADPOND_BASE_CRC64_H
#define HEADPOND_BASE_CRC64_H

#include <stddef.h>
#include <stdint.h>

/* Of what `before` is the sum of (0: nothing) and these bytes behind it. */
uint64_t crc64(uint64_t before, const void *data, size_t size);

#endif
