/* SPDX-License-Identifier: Apache-2.0 */
/*
 * precondition.c: conditional reads. Lines: the blob's ETag, its Last-Modified in seconds, then header fields. The
 * order of fields does not matter, tags compare the same both ways, and a lone If-Match is met by its own tag alone.
 */
#include "http/precondition.h"
#include "fuzz.h"

static void check_tags(struct str a, struct str b)
{
    fuzz_check(etag_eq_strong(a, b) == etag_eq_strong(b, a));
    fuzz_check(!etag_eq_strong(a, b) || (etag_eq_strong(a, a) && etag_eq_strong(b, b)));
}

static void check_single(const struct http_headers *headers, struct str etag, int64_t modified_s)
{
    struct str only = precondition_single_match(headers);
    if (only.ptr == NULL)
        return;
    struct http_headers alone = {.arena = headers->arena};
    http_headers_add(&alone, STR("If-Match"), http_headers_get(headers, STR("If-Match")));
    fuzz_check(precondition_evaluate(&alone, etag, modified_s) ==
               (etag_eq_strong(only, etag) ? PRECONDITION_PASS : PRECONDITION_FAILED));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    struct str rest = fuzz_input(data, size), etag = fuzz_line(arena, &rest), seconds = fuzz_line(arena, &rest);
    struct http_headers forward = {.arena = arena}, backward = {.arena = arena};
    int64_t modified_s;
    if (!str_to_int(seconds, &modified_s))
        modified_s = PRECONDITION_NO_DATE;
    fuzz_fields(rest, 100, &forward);
    for (unsigned i = forward.count; i-- > 0;)
        http_headers_add(&backward, forward.items[i].name, forward.items[i].value);
    enum precondition verdict = precondition_evaluate(&forward, etag, modified_s);
    fuzz_check(verdict == precondition_evaluate(&backward, etag, modified_s));
    if (forward.count == 0)
        fuzz_check(verdict == PRECONDITION_PASS);
    if (verdict == PRECONDITION_NOT_MODIFIED)
        fuzz_check(http_headers_get(&forward, STR("If-None-Match")).ptr != NULL ||
                   http_headers_get(&forward, STR("If-Modified-Since")).ptr != NULL);
    for (unsigned i = 0; i < forward.count; i++)
        check_tags(forward.items[i].value, etag);
    check_single(&forward, etag, modified_s);
    arena_free(arena);
    return 0;
}
