/* SPDX-License-Identifier: Apache-2.0 */
/*
 * token.c: replies of those who give out tokens. The first line is the status, the rest the body. A token can be a
 * header field, lasts a day at most, and never gets into what is logged.
 */
#include <jansson.h>

#include "http/field.h"
#include "origin/token.h"
#include "fuzz.h"

#define NOW INT64_C(1893553445)

static void check_problem(struct str problem)
{
    struct str code, number;
    if (str_eq(problem, STR("a reply without a token or its end")))
        return;
    fuzz_check(str_starts(problem, STR("HTTP ")));
    str_split((struct str){problem.ptr + 5, problem.len - 5}, ' ', &code);
    code = str_split(code, ' ', &number);
    fuzz_check(code.len <= 64);
    for (size_t i = 0; i < code.len; i++)
        fuzz_check((code.ptr[i] >= 'a' && code.ptr[i] <= 'z') || code.ptr[i] == '_');
    int64_t value;
    if (number.ptr != NULL)
        fuzz_check(str_starts(number, STR("AADSTS")) &&
                   str_to_int((struct str){number.ptr + 6, number.len - 6}, &value) && value > 0 && value < 100000000);
}

static void check_reply(int status, struct str body)
{
    struct strbuf token = {0}, problem = {0};
    int64_t expires_s = 0;
    enum status result = token_reply(status, body, NOW, &token, &expires_s, &problem);
    if (result == STATUS_OK) {
        fuzz_check(status == 200 && token.len > 0 && token.len <= TOKEN_BYTES_MAX && problem.len == 0);
        fuzz_check(expires_s > NOW && expires_s <= NOW + 86400);
        fuzz_check(field_value_valid(strbuf_str(&token)) && str_find(strbuf_str(&token), ' ') < 0);
    } else {
        fuzz_check(result == STATUS_BAD_REPLY || result == STATUS_DENIED || result == STATUS_ORIGIN_ERROR);
        fuzz_check(token.len == 0 && problem.len > 0);
        check_problem(strbuf_str(&problem));
    }
    strbuf_free(&token);
    strbuf_free(&problem);
}

/* A well-formed reply with the input as its token. */
static void check_token(struct str text)
{
    struct strbuf token = {0}, problem = {0};
    int64_t expires_s;
    json_t *string = json_stringn(text.ptr, text.len);
    if (string == NULL)
        return;
    json_t *reply = json_pack("{s:o, s:s}", "access_token", string, "expires_in", "3600");
    char *body = json_dumps(reply, 0);
    if (token_reply(200, str_from(body), NOW, &token, &expires_s, &problem) == STATUS_OK)
        fuzz_check(str_eq(strbuf_str(&token), text) && expires_s == NOW + 3600);
    free(body);
    json_decref(reply);
    strbuf_free(&token);
    strbuf_free(&problem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    struct str body, line = str_split(fuzz_input(data, size), '\n', &body);
    int64_t status;
    check_token(line);
    if (str_to_int(line, &status) && status < 1000)
        check_reply((int) status, fuzz_exact(arena, body));
    arena_free(arena);
    return 0;
}
