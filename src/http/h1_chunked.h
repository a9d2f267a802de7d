/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h1_chunked.h: the chunked transfer coding's decoder (RFC 9112, 7.1). Body bytes are not copied: the decoder eats the
 * framing between them and says where they lie. Extensions and trailers are bounded, checked for line discipline and
 * dropped. Pure; any thread.
 */
#ifndef HEADPOND_HTTP_H1_CHUNKED_H
#define HEADPOND_HTTP_H1_CHUNKED_H

#include <stddef.h>
#include <stdint.h>

/* Zero-initialised before each body. */
struct h1_chunked {
    unsigned state;
    unsigned digits;
    uint64_t left;       /* body bytes of the chunk not yet taken */
    uint32_t extensions; /* bytes so far, of all chunks */
    uint32_t trailers;   /* bytes so far */
    uint32_t line;       /* bytes of the trailer line in progress */
};

enum h1_chunk {
    H1_CHUNK_DATA, /* *body > 0 bytes of body lie at data + *used; tell what was taken with h1_chunked_take */
    H1_CHUNK_MORE, /* all of `data` was framing: more is needed */
    H1_CHUNK_END,  /* the body and its trailers have ended */
    H1_CHUNK_BAD
};

/* *used: framing bytes at the beginning of `data` that are done with. */
enum h1_chunk h1_chunked_next(struct h1_chunked *chunked, const uint8_t *data, size_t size, size_t *used, size_t *body);
/* At most what h1_chunked_next showed. */
void h1_chunked_take(struct h1_chunked *chunked, size_t bytes);

#endif
