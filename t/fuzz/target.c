/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target.c: request targets. Lines: a method, a target, an authority. What is taken is one of two forms, has no byte
 * that could break a head apart, and stays what it is when it is read again.
 */
#include "http/target.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    struct str rest = fuzz_input(data, size), method = fuzz_line(arena, &rest), raw = fuzz_line(arena, &rest);
    struct str authority = fuzz_line(arena, &rest);
    struct http_request request = {.method = http_method_parse(method), .method_text = method};
    request.authority = authority;
    request.headers.arena = arena;
    if (target_authority_valid(authority))
        for (size_t i = 0; i < authority.len; i++)
            fuzz_check(authority.ptr[i] > ' ' && authority.ptr[i] < 0x7f &&
                       strchr("/?#@\"\\", authority.ptr[i]) == NULL);
    if (target_parse(&request, raw) == STATUS_OK) {
        struct str target = request.target;
        fuzz_check(target.len > 0 && (target.ptr[0] == '/' || str_eq(target, STR("*"))));
        fuzz_check(target.ptr[0] == '/' || request.method == HTTP_OPTIONS);
        fuzz_check(target.len <= raw.len);
        for (size_t i = 0; i < target.len; i++)
            fuzz_check(target.ptr[i] > ' ' && target.ptr[i] < 0x7f && target.ptr[i] != '#');
        if (request.authority.ptr != authority.ptr)
            fuzz_check(request.authority.len > 0 && target_authority_valid(request.authority));
        struct str host = request.authority;
        fuzz_check(target_parse(&request, target) == STATUS_OK);
        fuzz_check(str_eq(request.target, target) && request.authority.ptr == host.ptr);
    }
    arena_free(arena);
    return 0;
}
