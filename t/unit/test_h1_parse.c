/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_h1_parse.c: heads and the verdict each must get, whole and cut at every byte; what is read from the good ones;
 * and how long a common one takes.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "http/h1_parse.h"
#include "tap.h"

#define H "Host: a\r\n"

static const struct {
    const char *name;
    const char *head;
    enum status status;
} rows[] = {
    {"plain", "GET / HTTP/1.1\r\n" H "\r\n", STATUS_OK},
    {"empty line before", "\r\nGET / HTTP/1.1\r\n" H "\r\n", STATUS_OK},
    {"three empty lines before", "\r\n\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n", STATUS_BAD_REQUEST},
    {"bare LF before", "\nGET / HTTP/1.1\r\n" H "\r\n", STATUS_BAD_REQUEST},
    {"1.0 without Host", "GET / HTTP/1.0\r\n\r\n", STATUS_OK},
    {"1.0 with Host", "GET / HTTP/1.0\r\n" H "\r\n", STATUS_OK},
    {"1.1 without Host", "GET / HTTP/1.1\r\n\r\n", STATUS_BAD_REQUEST},
    {"two Hosts", "GET / HTTP/1.1\r\n" H H "\r\n", STATUS_BAD_REQUEST},
    {"two Hosts in 1.0", "GET / HTTP/1.0\r\n" H H "\r\n", STATUS_BAD_REQUEST},
    {"empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", STATUS_OK},
    {"Host with port", "GET / HTTP/1.1\r\nHost: x.example:8080\r\n\r\n", STATUS_OK},
    {"Host in brackets", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", STATUS_OK},
    {"Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", STATUS_BAD_REQUEST},
    {"Host with user", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", STATUS_BAD_REQUEST},
    {"Host with a blank", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", STATUS_BAD_REQUEST},
    {"Host list", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", STATUS_BAD_REQUEST},
    {"Host with two ports", "GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n", STATUS_BAD_REQUEST},
    {"Host open bracket", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", STATUS_BAD_REQUEST},
    {"bare LF after the request line", "GET / HTTP/1.1\n" H "\r\n", STATUS_BAD_REQUEST},
    {"bare LF after a field", "GET / HTTP/1.1\r\nHost: a\n\r\n", STATUS_BAD_REQUEST},
    {"bare LF at the end", "GET / HTTP/1.1\r\n" H "\n", STATUS_BAD_REQUEST},
    {"bare CR in the request line", "GET /\r HTTP/1.1\r\n" H "\r\n", STATUS_BAD_TARGET},
    {"bare CR in a value", "GET / HTTP/1.1\r\n" H "X: a\rb\r\n\r\n", STATUS_BAD_REQUEST},
    {"double CR", "GET / HTTP/1.1\r\n" H "X: a\r\r\n\r\n", STATUS_BAD_REQUEST},
    {"fold with a blank", "GET / HTTP/1.1\r\n" H "X: a\r\n b\r\n\r\n", STATUS_BAD_REQUEST},
    {"fold with a tab", "GET / HTTP/1.1\r\n" H "X: a\r\n\tb\r\n\r\n", STATUS_BAD_REQUEST},
    {"fold before the first field", "GET / HTTP/1.1\r\n " H "\r\n", STATUS_BAD_REQUEST},
    {"blank before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", STATUS_BAD_REQUEST},
    {"tab before the colon", "GET / HTTP/1.1\r\n" H "X\t: a\r\n\r\n", STATUS_BAD_REQUEST},
    {"no colon", "GET / HTTP/1.1\r\n" H "X\r\n\r\n", STATUS_BAD_REQUEST},
    {"empty name", "GET / HTTP/1.1\r\n" H ": a\r\n\r\n", STATUS_BAD_REQUEST},
    {"name with a slash", "GET / HTTP/1.1\r\n" H "X/Y: a\r\n\r\n", STATUS_BAD_REQUEST},
    {"name beyond ASCII", "GET / HTTP/1.1\r\n" H "X\xc3\xa9: a\r\n\r\n", STATUS_BAD_REQUEST},
    {"value beyond ASCII", "GET / HTTP/1.1\r\n" H "X: \xc3\xa9\r\n\r\n", STATUS_OK},
    {"value with DEL", "GET / HTTP/1.1\r\n" H "X: \x7f\r\n\r\n", STATUS_BAD_REQUEST},
    {"value with a control", "GET / HTTP/1.1\r\n" H "X: \x01\r\n\r\n", STATUS_BAD_REQUEST},
    {"value with a tab", "GET / HTTP/1.1\r\n" H "X: a\tb\r\n\r\n", STATUS_OK},
    {"empty value", "GET / HTTP/1.1\r\n" H "X:\r\n\r\n", STATUS_OK},
    {"blank as first byte", " GET / HTTP/1.1\r\n" H "\r\n", STATUS_BAD_REQUEST},
    {"a TLS hello", "\x16\x03\x01\x02", STATUS_BAD_REQUEST},
    {"two blanks after the method", "GET  / HTTP/1.1\r\n" H "\r\n", STATUS_BAD_REQUEST},
    {"two blanks before the version", "GET /  HTTP/1.1\r\n" H "\r\n", STATUS_BAD_REQUEST},
    {"blank after the version", "GET / HTTP/1.1 \r\n" H "\r\n", STATUS_BAD_REQUEST},
    {"tab after the method", "GET\t/ HTTP/1.1\r\n" H "\r\n", STATUS_BAD_REQUEST},
    {"no version", "GET /\r\n" H "\r\n", STATUS_BAD_REQUEST},
    {"only a method", "GET\r\n" H "\r\n", STATUS_BAD_REQUEST},
    {"method with a slash", "G/T / HTTP/1.1\r\n" H "\r\n", STATUS_BAD_REQUEST},
    {"very long method", "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJ / HTTP/1.1\r\n" H "\r\n", STATUS_BAD_REQUEST},
    {"unknown method", "LIST /x HTTP/1.1\r\n" H "\r\n", STATUS_OK},
    {"version 2.0", "GET / HTTP/2.0\r\n" H "\r\n", STATUS_BAD_VERSION},
    {"version 1.2", "GET / HTTP/1.2\r\n" H "\r\n", STATUS_BAD_VERSION},
    {"version 0.9", "GET / HTTP/0.9\r\n" H "\r\n", STATUS_BAD_VERSION},
    {"version 1.10", "GET / HTTP/1.10\r\n" H "\r\n", STATUS_BAD_REQUEST},
    {"version in lower case", "GET / http/1.1\r\n" H "\r\n", STATUS_BAD_REQUEST},
    {"version without a dot", "GET / HTTP/11\r\n" H "\r\n", STATUS_BAD_REQUEST},
    {"another protocol", "GET / HTCPCP/1.0\r\n" H "\r\n", STATUS_BAD_REQUEST},
    {"absolute target", "GET http://b.example/x HTTP/1.1\r\n" H "\r\n", STATUS_OK},
    {"absolute https target", "GET HTTPS://b.example:443 HTTP/1.1\r\n" H "\r\n", STATUS_OK},
    {"absolute target without a host", "GET http:///x HTTP/1.1\r\n" H "\r\n", STATUS_BAD_TARGET},
    {"absolute target with user", "GET http://u:p@b/x HTTP/1.1\r\n" H "\r\n", STATUS_BAD_TARGET},
    {"another scheme", "GET ftp://b/x HTTP/1.1\r\n" H "\r\n", STATUS_BAD_TARGET},
    {"target without a slash", "GET x HTTP/1.1\r\n" H "\r\n", STATUS_BAD_TARGET},
    {"authority target", "GET b:80 HTTP/1.1\r\n" H "\r\n", STATUS_BAD_TARGET},
    {"CONNECT", "CONNECT b:80 HTTP/1.1\r\n" H "\r\n", STATUS_METHOD_NOT_ALLOWED},
    {"CONNECT with a path", "CONNECT / HTTP/1.1\r\n" H "\r\n", STATUS_METHOD_NOT_ALLOWED},
    {"OPTIONS *", "OPTIONS * HTTP/1.1\r\n" H "\r\n", STATUS_OK},
    {"GET *", "GET * HTTP/1.1\r\n" H "\r\n", STATUS_BAD_TARGET},
    {"fragment", "GET /a#b HTTP/1.1\r\n" H "\r\n", STATUS_BAD_TARGET},
    {"target beyond ASCII", "GET /\xc3\xa9 HTTP/1.1\r\n" H "\r\n", STATUS_BAD_TARGET},
    {"target with a control", "GET /\x01 HTTP/1.1\r\n" H "\r\n", STATUS_BAD_TARGET},
    {"target with braces", "GET /{a}|\"b\"^ HTTP/1.1\r\n" H "\r\n", STATUS_OK},
    {"length", "PUT / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\n", STATUS_OK},
    {"length with zeros", "PUT / HTTP/1.1\r\n" H "Content-Length: 0005\r\n\r\n", STATUS_OK},
    {"length twice", "PUT / HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", STATUS_BAD_LENGTH},
    {"lengths that differ", "PUT / HTTP/1.1\r\n" H "Content-Length: 5\r\ncontent-length: 6\r\n\r\n", STATUS_BAD_LENGTH},
    {"length list", "PUT / HTTP/1.1\r\n" H "Content-Length: 5, 5\r\n\r\n", STATUS_BAD_LENGTH},
    {"length with a sign", "PUT / HTTP/1.1\r\n" H "Content-Length: +5\r\n\r\n", STATUS_BAD_LENGTH},
    {"negative length", "PUT / HTTP/1.1\r\n" H "Content-Length: -5\r\n\r\n", STATUS_BAD_LENGTH},
    {"hexadecimal length", "PUT / HTTP/1.1\r\n" H "Content-Length: 0x5\r\n\r\n", STATUS_BAD_LENGTH},
    {"empty length", "PUT / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n", STATUS_BAD_LENGTH},
    {"length with a blank inside", "PUT / HTTP/1.1\r\n" H "Content-Length: 5 5\r\n\r\n", STATUS_BAD_LENGTH},
    {"length beyond 63 bits", "PUT / HTTP/1.1\r\n" H "Content-Length: 9223372036854775808\r\n\r\n", STATUS_BAD_LENGTH},
    {"length and coding", "PUT / HTTP/1.1\r\n" H "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
     STATUS_BAD_LENGTH},
    {"coding and length", "PUT / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
     STATUS_BAD_LENGTH},
    {"chunked", "PUT / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n", STATUS_OK},
    {"Chunked", "PUT / HTTP/1.1\r\n" H "Transfer-Encoding: Chunked\r\n\r\n", STATUS_OK},
    {"chunked in 1.0", "PUT / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n", STATUS_BAD_LENGTH},
    {"gzip, chunked", "PUT / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n", STATUS_NOT_IMPLEMENTED},
    {"chunked, chunked", "PUT / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, chunked\r\n\r\n", STATUS_NOT_IMPLEMENTED},
    {"chunked twice", "PUT / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
     STATUS_NOT_IMPLEMENTED},
    {"identity", "PUT / HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\n\r\n", STATUS_NOT_IMPLEMENTED},
    {"xchunked", "PUT / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n", STATUS_NOT_IMPLEMENTED},
    {"chunked with a vertical tab",
     "PUT / HTTP/1.1\r\n" H "Transfer-Encoding: \x0b"
     "chunked\r\n\r\n",
     STATUS_BAD_REQUEST},
    {"empty coding", "PUT / HTTP/1.1\r\n" H "Transfer-Encoding:\r\n\r\n", STATUS_NOT_IMPLEMENTED},
    {"expectation", "PUT / HTTP/1.1\r\n" H "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n", STATUS_OK},
    {"unknown expectation", "PUT / HTTP/1.1\r\n" H "Content-Length: 5\r\nExpect: tea\r\n\r\n",
     STATUS_EXPECTATION_FAILED},
    {"five Connection fields",
     "GET / HTTP/1.1\r\n" H "Connection: a\r\nConnection: a\r\nConnection: a\r\nConnection: a\r\nConnection: a\r\n\r\n",
     STATUS_HEADERS_TOO_LARGE},
    {"Connection naming many", "GET / HTTP/1.1\r\n" H "Connection: a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q\r\n\r\n",
     STATUS_HEADERS_TOO_LARGE},
};

static const struct h1_limits limits = {65536, 16384, 200};

/* As h1.c does it. `step`: how many bytes come at a time. */
static enum status run(struct str input, size_t step, struct arena *arena, struct http_request *request,
                       struct h1_framing *framing)
{
    struct h1_scan scan = {0};
    enum status status = STATUS_AGAIN;
    size_t end = 0;
    /* A copy of exactly the bytes that are there, so that a sanitizer sees every step too far. */
    for (size_t there = step; status == STATUS_AGAIN; there += step) {
        if (there > input.len)
            there = input.len;
        char *copy = mem_alloc(there);
        memcpy(copy, input.ptr, there);
        status = h1_scan(&scan, &limits, copy, there, &end);
        if (status == STATUS_OK) {
            struct str head = arena_str(arena, (struct str){copy + scan.start, end - scan.start});
            request->headers.arena = arena;
            status = h1_parse(head, &limits, request, framing);
        } else if (status == STATUS_AGAIN && there == input.len) {
            mem_free(copy);
            return status;
        }
        mem_free(copy);
    }
    return status;
}

static void test_rows(void)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct str input = str_from(rows[i].head);
        struct http_request request;
        struct h1_framing framing;
        enum status whole = STATUS_OK;
        bool same = true;
        for (size_t step = input.len; step > 0; step--) {
            struct arena *arena = arena_new();
            enum status status = run(input, step, arena, &request, &framing);
            if (step == input.len)
                whole = status;
            else if (status != whole)
                same = false;
            arena_free(arena);
        }
        is_str(status_name(whole), status_name(rows[i].status), "%s", rows[i].name);
        ok(same, "%s: the same in any portions", rows[i].name);
    }
}

static struct str repeated(const char *before, char c, size_t count, const char *after)
{
    struct strbuf text = {0};
    strbuf_adds(&text, str_from(before));
    memset(strbuf_reserve(&text, count), c, count);
    text.len += count;
    strbuf_adds(&text, str_from(after));
    return strbuf_str(&text);
}

static void test_one(struct str input, enum status expected, const char *name)
{
    struct http_request request;
    struct h1_framing framing;
    static const size_t steps[] = {1u << 20, 4096, 61};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        struct arena *arena = arena_new();
        enum status status = run(input, steps[i], arena, &request, &framing);
        is_str(status_name(status), status_name(expected), "%s, %zu bytes at a time", name, steps[i]);
        arena_free(arena);
    }
    mem_free((char *) (uintptr_t) input.ptr);
}

static void test_bounds(void)
{
    test_one(repeated("GET /", 'a', 16383, " HTTP/1.1\r\n" H "\r\n"), STATUS_OK, "a target of 16 KiB");
    test_one(repeated("GET /", 'a', 16384, " HTTP/1.1\r\n" H "\r\n"), STATUS_URI_TOO_LONG, "a byte more");
    test_one(repeated("GET /", 'a', 100000, ""), STATUS_URI_TOO_LONG, "a target without end");
    test_one(repeated("", 'a', 100000, ""), STATUS_URI_TOO_LONG, "a method without end");
    test_one(repeated("GET / HTTP/1.1\r\n" H "X: ", 'a', 65000, "\r\n\r\n"), STATUS_OK, "a field of 65,000 bytes");
    test_one(repeated("GET / HTTP/1.1\r\n" H "X: ", 'a', 65536, "\r\n\r\n"), STATUS_HEADERS_TOO_LARGE,
             "a field too long");
    test_one(repeated("GET / HTTP/1.1\r\n" H "X: ", 'a', 100000, ""), STATUS_HEADERS_TOO_LARGE, "a field without end");
    for (unsigned count = 200; count <= 201; count++) {
        struct strbuf text = {0};
        strbuf_adds(&text, STR("GET / HTTP/1.1\r\n" H));
        for (unsigned i = 1; i < count; i++)
            strbuf_adds(&text, STR("A:b\r\n"));
        strbuf_adds(&text, STR("\r\n"));
        test_one(strbuf_str(&text), count == 200 ? STATUS_OK : STATUS_HEADERS_TOO_LARGE,
                 count == 200 ? "200 fields" : "201 fields");
    }
    /* NULs, which no C string in the table can hold. */
    static const char *const heads[] = {"GET /_ HTTP/1.1\r\n" H "\r\n", "GET / HTTP/1.1\r\n" H "X: a_b\r\n\r\n",
                                        "GET / HTTP/1.1\r\n" H "X_: a\r\n\r\n", "G_T / HTTP/1.1\r\n" H "\r\n"};
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        struct strbuf text = {0};
        strbuf_adds(&text, str_from(heads[i]));
        *strchr(text.ptr, '_') = '\0';
        test_one(strbuf_str(&text), i == 0 ? STATUS_BAD_TARGET : STATUS_BAD_REQUEST, "a NUL");
    }
}

static enum status parse(struct arena *arena, const char *head, struct http_request *request,
                         struct h1_framing *framing)
{
    return run(str_from(head), strlen(head), arena, request, framing);
}

static void test_contents(void)
{
    struct http_request request;
    struct h1_framing framing;
    struct arena *arena = arena_new();
    enum status status =
        parse(arena,
              "PUT /c/b%20?comp=block&x=%2F HTTP/1.1\r\nhost: acct.example:80\r\nX-One:  a b \t\r\n"
              "Keep-Alive: 5\r\nx-ONE: c\r\nConnection: Keep-Alive, X-Mine\r\nX-Mine: 1\r\nTE: trailers\r\n"
              "Content-Length: 12\r\nExpect: 100-Continue\r\nUpgrade: h2c\r\nProxy-Authorization: x\r\n\r\n",
              &request, &framing);
    is_int(status, STATUS_OK, "a head with everything");
    is_int(request.method, HTTP_PUT, "method");
    is_text(request.target, "/c/b%20?comp=block&x=%2F", "target as sent");
    is_text(request.authority, "acct.example:80", "authority");
    is_int(request.content_length, 12, "length");
    is_int(request.headers.count, 2, "only end-to-end fields are left");
    is_text(request.headers.items[0].name, "X-One", "in their spelling");
    is_text(request.headers.items[0].value, "a b", "trimmed");
    is_text(request.headers.items[1].name, "x-ONE", "in their order");
    ok(framing.persistent && framing.expect_continue && !framing.chunked, "framing");

    is_int(parse(arena, "GET http://b.example:81?q=1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", &request,
                 &framing),
           STATUS_OK, "absolute form");
    is_text(request.target, "/?q=1", "is reduced");
    is_text(request.authority, "b.example:81", "and decides the authority");
    ok(!framing.persistent, "Connection: close");
    is_int(parse(arena, "OPTIONS http://b.example HTTP/1.1\r\nHost: a\r\n\r\n", &request, &framing), STATUS_OK,
           "OPTIONS");
    is_text(request.target, "*", "of a whole server");

    is_int(parse(arena, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", &request, &framing),
           STATUS_OK, "chunked");
    ok(framing.chunked && request.content_length == HTTP_LENGTH_UNKNOWN, "has no length");
    is_int(parse(arena, "GET / HTTP/1.0\r\n\r\n", &request, &framing), STATUS_OK, "HTTP/1.0");
    ok(!framing.persistent && request.version == HTTP_1_0, "is not persistent");
    is_int(parse(arena, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", &request, &framing), STATUS_OK, "HTTP/1.0");
    ok(framing.persistent, "unless it asks for it");
    is_int(parse(arena, "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n", &request, &framing), STATUS_OK,
           "GET");
    ok(!framing.expect_continue, "an expectation without a body is none");
    arena_free(arena);
}

/* Random bytes and damaged heads: nothing to assert but that it ends and stays within bounds. */
static void test_noise(void)
{
    static const char good[] =
        "PUT /a?b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: x, close\r\nX: y\r\n\r\n";
    unsigned seed = 1;
    unsigned accepted = 0;
    for (unsigned i = 0; i < 20000; i++) {
        char head[sizeof good];
        memcpy(head, good, sizeof good);
        for (unsigned k = 0; k <= i % 3; k++)
            head[(unsigned) rand_r(&seed) % (sizeof good - 1)] = (char) rand_r(&seed);
        struct http_request request;
        struct h1_framing framing;
        struct arena *arena = arena_new();
        enum status status = run((struct str){head, sizeof good - 1}, 1 + i % sizeof good, arena, &request, &framing);
        accepted += status == STATUS_OK;
        arena_free(arena);
    }
    ok(accepted > 0 && accepted < 20000, "damaged heads: %u of 20000 were still good", accepted);
}

static void measure(void)
{
    static const char head[] =
        "GET /container/some/path/to/a/blob.parquet?sv=2021-08-06&sig=abcdefgh%3D HTTP/1.1\r\n"
        "Host: account.blob.core.windows.net\r\nx-ms-version: 2021-08-06\r\n"
        "User-Agent: azsdk-python-storage-blob/12.19.0 Python/3.11\r\nAccept: application/xml\r\n"
        "x-ms-range: bytes=0-33554431\r\nx-ms-date: Mon, 01 Jan 2024 00:00:00 GMT\r\n"
        "x-ms-client-request-id: 0a1b2c3d-0000-1111-2222-333344445555\r\n"
        "Accept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\n\r\n";
    enum { ROUNDS = 20000 };
    struct arena *arena = arena_new();
    int64_t start = clock_mono_us();
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct http_request request;
        struct h1_framing framing;
        struct h1_scan scan = {0};
        size_t end;
        request.headers.arena = arena;
        if (h1_scan(&scan, &limits, head, sizeof head - 1, &end) != STATUS_OK ||
            h1_parse((struct str){head, end}, &limits, &request, &framing) != STATUS_OK)
            abort();
        arena_reset(arena);
    }
    diag("a head of %zu bytes: %lld ns", sizeof head - 1, (long long) (clock_mono_us() - start) * 1000 / ROUNDS);
    arena_free(arena);
}

int main(void)
{
    test_rows();
    test_bounds();
    test_contents();
    test_noise();
    measure();
    return done_testing();
}
