/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error.c: the bodies of our own errors. Lines: what else helps, a request's id, and which error. Whatever a client
 * wrote into the first, a Data Lake body is JSON that says it, and a Blob body has no element more than it should.
 */
#include <jansson.h>

#include "blob/error.h"
#include "fuzz.h"

static size_t count(struct str text, char c)
{
    size_t found = 0;
    for (size_t i = 0; i < text.len; i++)
        found += text.ptr[i] == c;
    return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    struct str rest = fuzz_input(data, size), detail = fuzz_line(arena, &rest), id = fuzz_line(arena, &rest);
    struct str which = fuzz_line(arena, &rest);
    const struct blob_error *error = blob_error_of((enum status)((which.len == 0 ? 0 : which.ptr[0]) % STATUS_COUNT));
    const struct blob_error_detail helps = {.refusal = detail};
    struct strbuf json = {0}, xml = {0};
    fuzz_check(error != NULL && error->status >= 400 && error->status <= 599);
    blob_error_render(error, &helps, BLOB_ENDPOINT_DFS, id, (int64_t) size, &json);
    blob_error_render(error, &helps, BLOB_ENDPOINT_BLOB, id, (int64_t) size, &xml);
    json_t *parsed = json_loadb(json.ptr, json.len, 0, NULL), *inside = json_object_get(parsed, "error");
    fuzz_check(json_object_size(parsed) == 1 && json_object_size(inside) == (detail.len > 0 ? 3 : 2));
    fuzz_check(strcmp(json_string_value(json_object_get(inside, "code")), error->code) == 0);
    json_decref(parsed);
    size_t elements = detail.len > 0 ? 9 : 7;
    fuzz_check(count(strbuf_str(&xml), '<') == elements && count(strbuf_str(&xml), '>') == elements);
    fuzz_check(str_ends(strbuf_str(&xml), STR("</Error>")));
    for (size_t i = 0; i < xml.len; i++)
        fuzz_check((unsigned char) xml.ptr[i] >= ' ' || strchr("\n\r\t", xml.ptr[i]) != NULL);
    strbuf_free(&json);
    strbuf_free(&xml);
    arena_free(arena);
    return 0;
}
