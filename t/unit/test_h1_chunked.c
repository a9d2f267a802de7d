/* SPDX-License-Identifier: Apache-2.0 */
/* test_h1_chunked.c: chunked bodies, good and bad, whole and cut at every byte. */
#include <stdlib.h>

#include "base/mem.h"
#include "http/h1_chunked.h"
#include "tap.h"

static const struct {
    const char *name;
    const char *input;
    enum h1_chunk end; /* what the decoder says at last */
    const char *body;
} rows[] = {
    {"nothing", "0\r\n\r\n", H1_CHUNK_END, ""},
    {"one chunk", "5\r\nhello\r\n0\r\n\r\n", H1_CHUNK_END, "hello"},
    {"two chunks", "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", H1_CHUNK_END, "hello!"},
    {"hexadecimal", "B\r\nhello world\r\n0\r\n\r\n", H1_CHUNK_END, "hello world"},
    {"leading zeros", "0005\r\nhello\r\n000\r\n\r\n", H1_CHUNK_END, "hello"},
    {"extension", "5;a=b;c=\"d\"\r\nhello\r\n0;x\r\n\r\n", H1_CHUNK_END, "hello"},
    {"trailers", "1\r\na\r\n0\r\nX: y\r\nZ: \r\n\r\n", H1_CHUNK_END, "a"},
    {"unfinished size", "5", H1_CHUNK_MORE, ""},
    {"unfinished chunk", "5\r\nhel", H1_CHUNK_MORE, "hel"},
    {"no last chunk", "5\r\nhello\r\n", H1_CHUNK_MORE, "hello"},
    {"no empty line", "0\r\n", H1_CHUNK_MORE, ""},
    {"empty size", "\r\n", H1_CHUNK_BAD, ""},
    {"size with a prefix", "0x5\r\nhello\r\n", H1_CHUNK_BAD, ""},
    {"negative size", "-5\r\nhello\r\n", H1_CHUNK_BAD, ""},
    {"blank before the size", " 5\r\nhello\r\n", H1_CHUNK_BAD, ""},
    {"blank after the size", "5 \r\nhello\r\n", H1_CHUNK_BAD, ""},
    {"bare LF after the size", "5\nhello\r\n", H1_CHUNK_BAD, ""},
    {"bare CR after the size", "5\rhello\r\n", H1_CHUNK_BAD, ""},
    {"bare LF in an extension", "5;a\nhello\r\n", H1_CHUNK_BAD, ""},
    {"control in an extension", "5;\x01\r\nhello\r\n", H1_CHUNK_BAD, ""},
    {"chunk too long", "5\r\nhello!\r\n", H1_CHUNK_BAD, "hello"},
    {"bare LF after a chunk", "5\r\nhello\n0\r\n\r\n", H1_CHUNK_BAD, "hello"},
    {"15 digits", "000000000000001\r\na\r\n0\r\n\r\n", H1_CHUNK_END, "a"},
    {"16 digits", "0000000000000001\r\na\r\n", H1_CHUNK_BAD, ""},
    {"size overflow", "ffffffffffffffffff\r\n", H1_CHUNK_BAD, ""},
    {"bare LF in trailers", "0\r\nX: y\n\r\n", H1_CHUNK_BAD, ""},
    {"bare LF at the end", "0\r\n\n", H1_CHUNK_BAD, ""},
    {"control in trailers", "0\r\nX: \x02\r\n\r\n", H1_CHUNK_BAD, ""},
};

/* Feeds `step` bytes at a time, taking at most `bite` body bytes at once. *rest: input bytes behind the end. */
static enum h1_chunk run(const char *input, size_t size, size_t step, size_t bite, struct strbuf *body, size_t *rest)
{
    struct h1_chunked chunked = {0};
    size_t there = 0;
    size_t at = 0;
    for (;;) {
        size_t used, shown;
        uint8_t *copy = mem_alloc(there - at);
        memcpy(copy, input + at, there - at);
        enum h1_chunk chunk = h1_chunked_next(&chunked, copy, there - at, &used, &shown);
        if (chunk == H1_CHUNK_DATA) {
            size_t n = shown < bite ? shown : bite;
            strbuf_add(body, copy + used, n);
            h1_chunked_take(&chunked, n);
            used += n;
        }
        mem_free(copy);
        at += used;
        *rest = size - at;
        if (chunk == H1_CHUNK_END || chunk == H1_CHUNK_BAD || (chunk == H1_CHUNK_MORE && there == size))
            return chunk;
        if (chunk == H1_CHUNK_MORE)
            there = size - there < step ? size : there + step;
    }
}

static void test_rows(void)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t size = strlen(rows[i].input);
        bool same = true;
        for (size_t step = 1; step <= size; step++) {
            for (size_t bite = 1; bite <= 4; bite += 3) {
                struct strbuf body = {0};
                size_t rest;
                enum h1_chunk end = run(rows[i].input, size, step, bite, &body, &rest);
                if (end != rows[i].end || !str_eq(strbuf_str(&body), str_from(rows[i].body)))
                    same = false;
                strbuf_free(&body);
            }
        }
        ok(same, "%s", rows[i].name);
    }
}

static void add_many(struct strbuf *text, const char *piece, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        strbuf_adds(text, str_from(piece));
}

static void test_bounds(void)
{
    struct strbuf text = {0};
    struct strbuf body = {0};
    size_t rest;
    add_many(&text, "1;extension\r\na\r\n", 2000);
    strbuf_adds(&text, STR("0\r\n\r\n"));
    is_int(run(text.ptr, text.len, text.len, 100, &body, &rest), H1_CHUNK_BAD,
           "extensions are bounded over all chunks");
    strbuf_free(&text);
    strbuf_free(&body);

    text = (struct strbuf){0};
    body = (struct strbuf){0};
    strbuf_adds(&text, STR("0\r\n"));
    add_many(&text, "X-Trailer: abcdefgh\r\n", 1000);
    strbuf_adds(&text, STR("\r\n"));
    is_int(run(text.ptr, text.len, text.len, 100, &body, &rest), H1_CHUNK_BAD, "trailers are bounded");
    strbuf_free(&text);
    strbuf_free(&body);

    body = (struct strbuf){0};
    static const char pipelined[] = "1\r\na\r\n0\r\n\r\nGET / HTTP/1.1\r\n";
    is_int(run(pipelined, sizeof pipelined - 1, 100, 100, &body, &rest), H1_CHUNK_END, "what follows the end");
    is_int(rest, 16, "is left alone");
    strbuf_free(&body);
}

/* Damaged bodies: whole and in portions they must end alike. */
static void test_noise(void)
{
    static const char good[] = "5;a=b\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\nX: y\r\n\r\n";
    static const char bytes[] = "\r\n0;5 :fX\t";
    unsigned seed = 1;
    unsigned ended = 0;
    bool same = true;
    for (unsigned i = 0; i < 20000; i++) {
        char input[sizeof good];
        memcpy(input, good, sizeof good);
        for (unsigned k = 0; k <= i % 3; k++)
            input[(unsigned) rand_r(&seed) % (sizeof good - 1)] = bytes[(unsigned) rand_r(&seed) % sizeof bytes];
        struct strbuf whole = {0};
        struct strbuf parts = {0};
        size_t rest, rest_of_parts;
        enum h1_chunk end = run(input, sizeof good - 1, sizeof good, 100, &whole, &rest);
        ended += end == H1_CHUNK_END;
        if (run(input, sizeof good - 1, 1 + i % 7, 1 + i % 5, &parts, &rest_of_parts) != end || rest != rest_of_parts ||
            !str_eq(strbuf_str(&whole), strbuf_str(&parts)))
            same = false;
        strbuf_free(&whole);
        strbuf_free(&parts);
    }
    ok(same, "damaged bodies: whole and in portions alike");
    ok(ended > 0 && ended < 20000, "%u of 20000 were still good", ended);
}

int main(void)
{
    test_rows();
    test_bounds();
    test_noise();
    return done_testing();
}
