/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h1_chunked.c: a chunked body is the same whole, in small pieces and taken slowly; and any bytes, put into chunks of
 * any sizes, come out again.
 */
#include "http/h1_chunked.h"
#include "fuzz.h"

struct result {
    enum h1_chunk verdict;
    size_t used; /* of the input, at an END */
    struct strbuf body;
};

/* `step`: how many bytes come at a time; `appetite`: how many of the body are taken at a time. */
static void run(struct arena *arena, struct str input, size_t step, size_t appetite, struct result *result)
{
    struct h1_chunked chunked = {0};
    size_t at = 0, used, body;
    *result = (struct result){.verdict = H1_CHUNK_MORE};
    while (result->verdict == H1_CHUNK_MORE && at < input.len) {
        size_t size = step < input.len - at ? step : input.len - at;
        struct str piece = size == input.len ? input : fuzz_exact(arena, (struct str){input.ptr + at, size});
        size_t in = 0;
        do {
            result->verdict = h1_chunked_next(&chunked, (const uint8_t *) piece.ptr + in, piece.len - in, &used, &body);
            fuzz_check(used <= piece.len - in && body <= piece.len - in - used);
            fuzz_check((result->verdict == H1_CHUNK_DATA) == (body > 0));
            in += used;
            if (body > appetite)
                body = appetite;
            if (body > 0) {
                strbuf_add(&result->body, piece.ptr + in, body);
                h1_chunked_take(&chunked, body);
                in += body;
            }
        } while (result->verdict == H1_CHUNK_DATA);
        fuzz_check(result->verdict != H1_CHUNK_MORE || in == piece.len);
        at += in;
    }
    result->used = at;
}

static void check_same(const struct result *a, const struct result *b)
{
    fuzz_check(a->verdict == b->verdict);
    fuzz_check(str_eq(strbuf_str(&a->body), strbuf_str(&b->body)));
    fuzz_check(a->verdict != H1_CHUNK_END || a->used == b->used);
}

/* The input's bytes say how long the chunks are. */
static void there_and_back(struct arena *arena, struct str input)
{
    struct strbuf text = {0};
    struct result result;
    for (size_t at = 0, size; at < input.len; at += size) {
        size = 1 + (unsigned char) input.ptr[at] % 64;
        if (size > input.len - at)
            size = input.len - at;
        strbuf_addf(&text, size % 2 == 0 ? "%zx\r\n" : "%zX;a=\"b\"\r\n", size);
        strbuf_add(&text, input.ptr + at, size);
        strbuf_adds(&text, STR("\r\n"));
    }
    strbuf_adds(&text, STR("0\r\nTrailer: x\r\n\r\n"));
    size_t framed = text.len;
    strbuf_adds(&text, STR("GET"));
    run(arena, strbuf_str(&text), text.len, text.len, &result);
    fuzz_check(result.verdict == H1_CHUNK_END && result.used == framed);
    fuzz_check(str_eq(strbuf_str(&result.body), input));
    strbuf_free(&result.body);
    strbuf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str input = fuzz_input(data, size);
    struct arena *arena = arena_new();
    struct result whole, bytes, slow;
    run(arena, input, size, size, &whole);
    run(arena, input, 1, 1, &bytes);
    run(arena, input, 7, 3, &slow);
    check_same(&whole, &bytes);
    check_same(&whole, &slow);
    strbuf_free(&whole.body);
    strbuf_free(&bytes.body);
    strbuf_free(&slow.body);
    there_and_back(arena, input);
    arena_free(arena);
    return 0;
}
