/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h1_parse.c: a head gets the same verdict, whole or a byte at a time, and what was read from it, written again, reads
 * the same: nothing was understood that the next parser could understand in another way.
 */
#include "http/field.h"
#include "http/h1_parse.h"
#include "http/target.h"
#include "fuzz.h"

struct result {
    enum status status;
    size_t end;
    struct http_request request;
    struct h1_framing framing;
};

/* What no other parser may find in a head that was taken: lines that end otherwise, or fields that contradict. */
static void check_lines(struct str head)
{
    unsigned hosts = 0, lengths = 0, codings = 0;
    fuzz_check(str_ends(head, STR("\r\n\r\n")));
    for (size_t i = 1; i < head.len; i++)
        fuzz_check((head.ptr[i] == '\n') == (head.ptr[i - 1] == '\r'));
    while (head.ptr != NULL) {
        struct str line = str_split(head, '\n', &head);
        fuzz_check(line.len == 0 || (line.ptr[0] != ' ' && line.ptr[0] != '\t'));
        hosts += str_istarts(line, STR("Host:"));
        lengths += str_istarts(line, STR("Content-Length:"));
        codings += str_istarts(line, STR("Transfer-Encoding:"));
    }
    fuzz_check(hosts <= 1 && lengths + codings <= 1);
}

/* As h1.c does it; `step`: how many bytes come at a time. */
static void run(struct arena *arena, struct str input, const struct h1_limits *limits, size_t step,
                struct result *result)
{
    struct h1_scan scan = {0};
    *result = (struct result){.status = STATUS_AGAIN};
    for (size_t there = step; result->status == STATUS_AGAIN; there += step) {
        size_t size = there < input.len ? there : input.len;
        struct str part = step == 1 && size < 64 ? fuzz_exact(arena, (struct str){input.ptr, size}) : input;
        result->status = h1_scan(&scan, limits, part.ptr, size, &result->end);
        if (size == input.len)
            break;
    }
    if (result->status != STATUS_OK)
        return;
    fuzz_check(scan.start < result->end && result->end <= input.len);
    struct str head = fuzz_exact(arena, (struct str){input.ptr + scan.start, result->end - scan.start});
    fuzz_check(head.len <= limits->max_head);
    result->request.headers.arena = arena;
    result->status = h1_parse(head, limits, &result->request, &result->framing);
    if (result->status == STATUS_OK)
        check_lines(head);
}

static void check_same(const struct result *a, const struct result *b)
{
    const struct http_request *x = &a->request, *y = &b->request;
    fuzz_check(a->status == b->status);
    if (a->status != STATUS_OK)
        return;
    fuzz_check(x->method == y->method && x->version == y->version && x->content_length == y->content_length);
    fuzz_check(str_eq(x->method_text, y->method_text) && str_eq(x->target, y->target));
    fuzz_check(str_eq(x->authority, y->authority));
    fuzz_check(a->framing.chunked == b->framing.chunked && a->framing.persistent == b->framing.persistent);
    fuzz_check(a->framing.expect_continue == b->framing.expect_continue);
    fuzz_check(x->headers.count == y->headers.count);
    for (unsigned i = 0; i < x->headers.count; i++)
        fuzz_check(str_eq(x->headers.items[i].name, y->headers.items[i].name) &&
                   str_eq(x->headers.items[i].value, y->headers.items[i].value));
}

static void check_shape(const struct result *result, const struct h1_limits *limits)
{
    const struct http_request *request = &result->request;
    fuzz_check(field_token_valid(request->method_text) && target_authority_valid(request->authority));
    fuzz_check(request->target.len <= limits->max_target && request->headers.count <= limits->max_headers);
    fuzz_check(request->target.ptr[0] == '/' || str_eq(request->target, STR("*")));
    fuzz_check(result->framing.chunked ? request->content_length == HTTP_LENGTH_UNKNOWN : request->content_length >= 0);
    for (unsigned i = 0; i < request->headers.count; i++) {
        struct http_header header = request->headers.items[i];
        fuzz_check(field_token_valid(header.name) && field_value_valid(header.value));
        fuzz_check(header.value.len == str_trim(header.value).len);
        fuzz_check(!http_header_hop_by_hop(header.name) && !str_ieq(header.name, STR("Host")) &&
                   !str_ieq(header.name, STR("Content-Length")));
    }
}

static struct strbuf written(const struct result *result)
{
    const struct http_request *request = &result->request;
    const struct h1_framing *framing = &result->framing;
    bool new = request->version == HTTP_1_1;
    bool body = request->method == HTTP_PUT || request->method == HTTP_POST || request->method == HTTP_PATCH;
    struct strbuf text = {0};
    strbuf_addf(&text, "%.*s %.*s HTTP/1.%d\r\n", STR_ARG(request->method_text), STR_ARG(request->target), new);
    if (new || request->authority.len > 0)
        strbuf_addf(&text, "Host:%.*s\r\n", STR_ARG(request->authority));
    if (framing->chunked)
        strbuf_adds(&text, STR("Transfer-Encoding:chunked\r\n"));
    else if (request->content_length > 0 || body)
        strbuf_addf(&text, "Content-Length:%lld\r\n", (long long) request->content_length);
    if (framing->persistent != new)
        strbuf_adds(&text, new ? STR("Connection:close\r\n") : STR("Connection:keep-alive\r\n"));
    if (framing->expect_continue)
        strbuf_adds(&text, STR("Expect:100-continue\r\n"));
    for (unsigned i = 0; i < request->headers.count; i++) {
        strbuf_adds(&text, request->headers.items[i].name);
        strbuf_adds(&text, STR(":"));
        strbuf_adds(&text, request->headers.items[i].value);
        strbuf_adds(&text, STR("\r\n"));
    }
    strbuf_adds(&text, STR("\r\n"));
    return text;
}

static void run_within(struct str input, const struct h1_limits *limits)
{
    struct arena *arena = arena_new();
    struct result whole, bytes, again;
    run(arena, input, limits, input.len + 1, &whole);
    run(arena, input, limits, 1, &bytes);
    check_same(&whole, &bytes);
    if (whole.status == STATUS_OK) {
        const struct h1_limits wide = {limits->max_head + 64, limits->max_target, limits->max_headers + 4};
        struct strbuf text = written(&whole);
        fuzz_check(whole.end == bytes.end);
        check_shape(&whole, limits);
        run(arena, strbuf_str(&text), &wide, text.len + 1, &again);
        fuzz_check(again.end == text.len);
        check_same(&whole, &again);
        strbuf_free(&text);
    }
    arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct h1_limits usual = {65536, 16384, 200}, narrow = {160, 40, 5};
    run_within(fuzz_input(data, size), &usual);
    run_within(fuzz_input(data, size), &narrow);
    return 0;
}
