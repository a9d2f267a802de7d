/* SPDX-License-Identifier: Apache-2.0 */
/* h1_chunked.c: a byte-wise state machine over the framing; bodies are skipped over whole. */
#include "http/h1_chunked.h"

#include <assert.h>

#include "base/str.h"

/* Across the whole body: an extension a chunk is a way to send bytes that nobody counts. */
#define MAX_EXTENSIONS 16384
#define MAX_TRAILERS 16384
/* 15 digits: less than 2^60, so that sums cannot overflow. */
#define MAX_DIGITS 15

enum state { SIZE, EXTENSION, SIZE_LF, DATA, DATA_CR, DATA_LF, TRAILER, TRAILER_LF, END, BAD };

/* Of an extension or a trailer: no control besides HTAB, and CR only before LF. */
static enum state in_line(uint8_t c, enum state stay, enum state after_cr, uint32_t *count, uint32_t max)
{
    if (c == '\r')
        return after_cr;
    if ((c < 0x20 && c != '\t') || c == 0x7f || ++*count > max)
        return BAD;
    return stay;
}

static enum state size_byte(struct h1_chunked *chunked, uint8_t c)
{
    int digit = str_hex_digit((char) c);
    if (digit >= 0) {
        if (++chunked->digits > MAX_DIGITS)
            return BAD;
        chunked->left = chunked->left << 4 | (unsigned) digit;
        return SIZE;
    }
    if (chunked->digits == 0)
        return BAD;
    if (c == '\r')
        return SIZE_LF;
    return c == ';' ? EXTENSION : BAD;
}

static enum state step(struct h1_chunked *chunked, uint8_t c)
{
    switch ((enum state) chunked->state) {
    case SIZE:
        return size_byte(chunked, c);
    case EXTENSION:
        return in_line(c, EXTENSION, SIZE_LF, &chunked->extensions, MAX_EXTENSIONS);
    case SIZE_LF:
        if (c != '\n')
            return BAD;
        chunked->digits = 0;
        return chunked->left > 0 ? DATA : TRAILER;
    case DATA_CR:
        return c == '\r' ? DATA_LF : BAD;
    case DATA_LF:
        return c == '\n' ? SIZE : BAD;
    case TRAILER:
        if (c != '\r')
            chunked->line++;
        return in_line(c, TRAILER, TRAILER_LF, &chunked->trailers, MAX_TRAILERS);
    case TRAILER_LF:
        if (c != '\n')
            return BAD;
        if (chunked->line == 0)
            return END;
        chunked->line = 0;
        return TRAILER;
    default:
        return BAD;
    }
}

enum h1_chunk h1_chunked_next(struct h1_chunked *chunked, const uint8_t *data, size_t size, size_t *used, size_t *body)
{
    *used = 0;
    *body = 0;
    for (;;) {
        switch ((enum state) chunked->state) {
        case END:
            return H1_CHUNK_END;
        case BAD:
            return H1_CHUNK_BAD;
        case DATA:
            if (*used == size)
                return H1_CHUNK_MORE;
            *body = size - *used < chunked->left ? size - *used : (size_t) chunked->left;
            return H1_CHUNK_DATA;
        default:
            if (*used == size)
                return H1_CHUNK_MORE;
            chunked->state = step(chunked, data[(*used)++]);
        }
    }
}

void h1_chunked_take(struct h1_chunked *chunked, size_t bytes)
{
    assert(chunked->state == DATA && bytes <= chunked->left);
    chunked->left -= bytes;
    if (chunked->left == 0)
        chunked->state = DATA_CR;
}
