/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz.h: what the fuzz targets share. A target is one file with LLVMFuzzerTestOneInput: bytes in, and claims about
 * what the library makes of them. libFuzzer brings its own main (contrib/fuzz); in every other build replay.c runs
 * files.
 *
 * An input is text where that can be, fields a line each, so that seeds can be written and read by hand.
 */
#ifndef HEADPOND_T_FUZZ_FUZZ_H
#define HEADPOND_T_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/str.h"
#include "http/field.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

__attribute__((noreturn, cold, unused)) static void fuzz_failed(const char *claim, const char *file, int line)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, claim);
    abort();
}

/* A claim; both libFuzzer and t/99-corpus.t learn by the abort that it does not hold. */
#define fuzz_check(claim) ((claim) ? (void) 0 : fuzz_failed(#claim, __FILE__, __LINE__))

static inline struct str fuzz_input(const uint8_t *data, size_t size)
{
    return (struct str){(const char *) data, size};
}

/* A copy without a byte to spare: under a sanitizer each step past its end is seen. Never a NULL str. */
__attribute__((unused)) static struct str fuzz_exact(struct arena *arena, struct str text)
{
    char *copy = arena_alloc(arena, text.len);
    if (text.len > 0)
        memcpy(copy, text.ptr, text.len);
    return (struct str){copy, text.len};
}

/* The next line of the input, as fuzz_exact has it; "" when there are no more. */
__attribute__((unused)) static struct str fuzz_line(struct arena *arena, struct str *rest)
{
    return fuzz_exact(arena, str_split(*rest, '\n', rest));
}

/* Header fields, a line each, well-formed ones only; at most so many. */
__attribute__((unused)) static void fuzz_fields(struct str rest, unsigned most, struct http_headers *headers)
{
    while (rest.ptr != NULL && headers->count < most) {
        struct str value, name = str_split(fuzz_line(headers->arena, &rest), ':', &value);
        if (value.ptr != NULL && field_token_valid(name) && field_value_valid(value))
            http_headers_add(headers, name, str_trim(value));
    }
}

/* Both NULL, or both not and of the same bytes. */
__attribute__((unused)) static bool fuzz_same(struct str a, struct str b)
{
    return (a.ptr == NULL) == (b.ptr == NULL) && str_eq(a, b);
}

/* Whether `part` lies within `whole`. */
__attribute__((unused)) static bool fuzz_within(struct str part, struct str whole)
{
    return part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len;
}

#endif
