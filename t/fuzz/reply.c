/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reply.c: an origin's reply head, line by line. The verdict does not depend on an interim reply before it nor on what
 * the same struct read earlier; what is passed on is well formed and nobody's hop-by-hop field.
 */
#include "http/field.h"
#include "origin/reply.h"
#include "fuzz.h"

struct verdict {
    enum origin_reply_step step;
    enum status why;
};

static struct verdict run(struct arena *arena, struct origin_reply *reply, struct str input)
{
    struct verdict verdict = {ORIGIN_REPLY_MORE, STATUS_OK};
    while (input.len > 0 && verdict.step == ORIGIN_REPLY_MORE) {
        const char *newline = memchr(input.ptr, '\n', input.len);
        size_t size = newline == NULL ? input.len : (size_t) (newline - input.ptr) + 1;
        verdict.step = origin_reply_line(reply, fuzz_exact(arena, (struct str){input.ptr, size}), &verdict.why);
        input = (struct str){input.ptr + size, input.len - size};
        fuzz_check((verdict.step == ORIGIN_REPLY_HEAD) == reply->complete);
        fuzz_check(verdict.step == ORIGIN_REPLY_BAD ||
                   (reply->bytes <= ORIGIN_REPLY_MAX_BYTES && reply->fields <= ORIGIN_REPLY_MAX_FIELDS));
    }
    return verdict;
}

static void check_shape(const struct origin_reply *reply)
{
    const struct http_response *head = &reply->head;
    fuzz_check(head->status >= 200 && head->status <= 599);
    fuzz_check(head->content_length >= 0 || head->content_length == HTTP_LENGTH_UNKNOWN);
    fuzz_check(!reply->chunked || head->content_length == HTTP_LENGTH_UNKNOWN);
    fuzz_check(origin_reply_body_length(reply, true) == 0);
    int64_t body = origin_reply_body_length(reply, false);
    fuzz_check(body == head->content_length || body == 0);
    for (unsigned i = 0; i < head->headers.count; i++) {
        struct http_header header = head->headers.items[i];
        fuzz_check(field_token_valid(header.name) && field_value_valid(header.value));
        fuzz_check(!http_header_hop_by_hop(header.name) && !str_ieq(header.name, STR("Content-Length")));
    }
}

static void check_same(const struct origin_reply *a, const struct origin_reply *b)
{
    fuzz_check(a->head.status == b->head.status && a->head.content_length == b->head.content_length);
    fuzz_check(a->chunked == b->chunked && a->head.headers.count == b->head.headers.count);
    for (unsigned i = 0; i < a->head.headers.count; i++)
        fuzz_check(str_eq(a->head.headers.items[i].name, b->head.headers.items[i].name) &&
                   str_eq(a->head.headers.items[i].value, b->head.headers.items[i].value));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    struct str input = fuzz_input(data, size);
    struct origin_reply first, second;
    origin_reply_init(&first);
    origin_reply_init(&second);
    struct verdict verdict = run(arena, &first, input);
    /* Something else was read before, then an interim reply comes. */
    (void) run(arena, &second,
               STR("HTTP/1.1 206 x\r\nContent-Length: 7\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n"));
    origin_reply_reset(&second);
    (void) run(arena, &second, STR("HTTP/1.1 100 Continue\r\nContent-Length: 3\r\nLink: x\r\n\r\n"));
    struct verdict other = run(arena, &second, input);
    if (other.why != STATUS_HEADERS_TOO_LARGE) {
        fuzz_check(verdict.step == other.step && (verdict.step != ORIGIN_REPLY_BAD || verdict.why == other.why));
        if (verdict.step == ORIGIN_REPLY_HEAD) {
            check_shape(&first);
            check_same(&first, &second);
        }
    }
    origin_reply_fini(&first);
    origin_reply_fini(&second);
    arena_free(arena);
    return 0;
}
