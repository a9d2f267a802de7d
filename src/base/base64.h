/* SPDX-License-Identifier: Apache-2.0 */
/* base64.h: base64 and base64url (RFC 4648, 4 and 5), strict. Pure; any thread. */
#ifndef HEADPOND_BASE_BASE64_H
#define HEADPOND_BASE_BASE64_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/* What `size` bytes take, padded; without a NUL. */
#define BASE64_LENGTH(size) (((size) + 2) / 3 * 4)

/* Writes BASE64_LENGTH(size) characters, padded, and returns their end. */
char *base64_encode(char *at, const void *data, size_t size);

/* Padded, nothing else in it, the bits behind the last byte zero. Returns the bytes written, or -1: malformed, or more
 * than `room`. */
ptrdiff_t base64_decode(struct str text, uint8_t *out, size_t room);
/* The same with the alphabet of base64url and without padding (RFC 7515, 2). */
ptrdiff_t base64_decode_url(struct str text, uint8_t *out, size_t room);

#endif
