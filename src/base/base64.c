/* SPDX-License-Identifier: Apache-2.0 */
/* base64.c: one decoder for both alphabets; OpenSSL's takes white space and does not say how much padding there was. */
#include "base/base64.h"

#include <stdbool.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_encode(char *at, const void *data, size_t size)
{
    const uint8_t *from = data;
    for (; size >= 3; size -= 3, from += 3) {
        uint32_t bits = (uint32_t) from[0] << 16 | (uint32_t) from[1] << 8 | from[2];
        *at++ = alphabet[bits >> 18];
        *at++ = alphabet[bits >> 12 & 63];
        *at++ = alphabet[bits >> 6 & 63];
        *at++ = alphabet[bits & 63];
    }
    if (size > 0) {
        uint32_t bits = (uint32_t) from[0] << 16 | (size == 2 ? (uint32_t) from[1] << 8 : 0);
        *at++ = alphabet[bits >> 18];
        *at++ = alphabet[bits >> 12 & 63];
        *at++ = size == 2 ? alphabet[bits >> 6 & 63] : '=';
        *at++ = '=';
    }
    return at;
}

static int digit_of(char c, bool url)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == (url ? '-' : '+'))
        return 62;
    return c == (url ? '_' : '/') ? 63 : -1;
}

static ptrdiff_t decode(struct str text, bool url, uint8_t *out, size_t room)
{
    uint32_t bits = 0;
    unsigned count = 0; /* bits not yet written */
    size_t size = 0;
    if (text.len % 4 == 1)
        return -1;
    for (size_t i = 0; i < text.len; i++) {
        int digit = digit_of(text.ptr[i], url);
        if (digit < 0)
            return -1;
        bits = (bits << 6 | (uint32_t) digit) & 0xfff;
        count += 6;
        if (count < 8)
            continue;
        count -= 8;
        if (size == room)
            return -1;
        out[size++] = (uint8_t) (bits >> count);
    }
    return (bits & ((1u << count) - 1)) == 0 ? (ptrdiff_t) size : -1;
}

ptrdiff_t base64_decode(struct str text, uint8_t *out, size_t room)
{
    if (text.len % 4 != 0)
        return -1;
    for (unsigned i = 0; i < 2 && text.len > 0 && text.ptr[text.len - 1] == '='; i++)
        text.len--;
    return decode(text, false, out, room);
}

ptrdiff_t base64_decode_url(struct str text, uint8_t *out, size_t room)
{
    return decode(text, true, out, room);
}
