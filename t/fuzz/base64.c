/* SPDX-License-Identifier: Apache-2.0 */
/* base64.c: what decodes is what its bytes encode to, in both alphabets; any bytes survive the way there and back. */
#include "base/base64.h"
#include "fuzz.h"

#define INPUT_MAX 4096

static void decode(struct arena *arena, struct str text)
{
    uint8_t *bytes = arena_alloc(arena, text.len);
    ptrdiff_t size = base64_decode(text, bytes, text.len);
    if (size < 0)
        return;
    struct str again = {arena_alloc(arena, BASE64_LENGTH((size_t) size)), BASE64_LENGTH((size_t) size)};
    base64_encode((char *) (uintptr_t) again.ptr, bytes, (size_t) size);
    fuzz_check(str_eq(again, text));
    if (size > 0)
        fuzz_check(base64_decode(text, bytes, (size_t) size - 1) < 0);
}

/* The URL's alphabet is the other one with two characters changed and no padding. */
static void decode_url(struct arena *arena, struct str text)
{
    uint8_t *bytes = arena_alloc(arena, text.len), *others = arena_alloc(arena, text.len + 3);
    ptrdiff_t size = base64_decode_url(text, bytes, text.len);
    char *plain = arena_alloc(arena, text.len + 3);
    size_t len = 0;
    bool foreign = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        foreign |= c == '+' || c == '/' || c == '=';
        plain[len++] = (char) (c == '-' ? '+' : c == '_' ? '/' : c);
    }
    while (len % 4 != 0 && len < text.len + 3)
        plain[len++] = '=';
    ptrdiff_t expected = foreign || text.len % 4 == 1 ? -1 : base64_decode((struct str){plain, len}, others, len);
    fuzz_check(size == expected);
    if (size > 0)
        fuzz_check(memcmp(bytes, others, (size_t) size) == 0);
}

static void encode(struct arena *arena, struct str bytes)
{
    char *text = arena_alloc(arena, BASE64_LENGTH(bytes.len));
    fuzz_check(base64_encode(text, bytes.ptr, bytes.len) == text + BASE64_LENGTH(bytes.len));
    uint8_t *back = arena_alloc(arena, bytes.len);
    ptrdiff_t size = base64_decode((struct str){text, BASE64_LENGTH(bytes.len)}, back, bytes.len);
    fuzz_check(size == (ptrdiff_t) bytes.len);
    fuzz_check(str_eq(bytes, (struct str){(const char *) back, bytes.len}));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > INPUT_MAX)
        return 0;
    struct arena *arena = arena_new();
    struct str text = fuzz_exact(arena, fuzz_input(data, size));
    decode(arena, text);
    decode_url(arena, text);
    encode(arena, text);
    arena_free(arena);
    return 0;
}
