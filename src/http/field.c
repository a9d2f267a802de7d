/* SPDX-License-Identifier: Apache-2.0 */
/* field.c: one table of bytes, and one of replies. */
#include "http/field.h"

#define T FIELD_TCHAR
#define V FIELD_VALUE

const unsigned char field_class[256] = {
    ['\t'] = V,
    [' '] = V,
    ['"'] = V,
    ['('] = V,
    [')'] = V,
    [','] = V,
    ['/'] = V,
    [':' ... '@'] = V,
    ['[' ... ']'] = V,
    ['{'] = V,
    ['}'] = V,
    ['!'] = T | V,
    ['#' ... '\''] = T | V,
    ['*' ... '+'] = T | V,
    ['-' ... '.'] = T | V,
    ['0' ... '9'] = T | V,
    ['A' ... 'Z'] = T | V,
    ['^' ... 'z'] = T | V,
    ['|'] = T | V,
    ['~'] = T | V,
    [0x80 ... 0xff] = V,
};

bool field_token_valid(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!field_is_tchar(text.ptr[i]))
            return false;
    return text.len > 0;
}

/* Eight bytes at a time; a word that may hold a control (HTAB is one) is looked at byte by byte. */
bool field_value_valid(struct str text)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    size_t i = 0;
    for (; i + 8 <= text.len; i += 8) {
        uint64_t word;
        memcpy(&word, text.ptr + i, 8);
        uint64_t del = word ^ ones * 0x7f;
        uint64_t suspect = ((word - ones * 0x20) & ~word) | ((del - ones) & ~del);
        if ((suspect & ones * 0x80) == 0)
            continue;
        for (size_t k = i; k < i + 8; k++)
            if (!(field_class[(unsigned char) text.ptr[k]] & V))
                return false;
    }
    for (; i < text.len; i++)
        if (!(field_class[(unsigned char) text.ptr[i]] & V))
            return false;
    return true;
}

struct http_framing http_reply_framing(enum http_method method, int status, int64_t content_length)
{
    struct http_framing framing = {HTTP_BODY_NONE, content_length >= 0};
    /* A 304's length is the 200's (RFC 9110, 8.6): zero is more likely "none given" than an empty blob. */
    if (status == 204 || (status == 304 && content_length == 0))
        framing.announce = false;
    if (method == HTTP_HEAD || status == 204 || status == 304 || content_length == 0)
        return framing;
    framing.body = content_length > 0 ? HTTP_BODY_LENGTH : HTTP_BODY_OPEN;
    return framing;
}
