/* SPDX-License-Identifier: Apache-2.0 */
/* Conditional reads, the way Azure combines them. */
#include "tap.h"

#include "http/precondition.h"

#define ETAG "\"0x8DC1\""
#define AT "Sun, 06 Nov 1994 08:49:37 GMT" /* when the blob was last modified */
#define BEFORE "Sun, 06 Nov 1994 08:49:36 GMT"
#define AFTER "Sun, 06 Nov 1994 08:49:38 GMT"
#define AT_SECONDS 784111777

enum {
    PASS = PRECONDITION_PASS,
    NOT = PRECONDITION_NOT_MODIFIED,
    FAILED = PRECONDITION_FAILED,
    ASK = PRECONDITION_NEEDS_ORIGIN
};

static const struct {
    const char *match, *none_match, *modified, *unmodified;
    int expected;
} rows[] = {
    {NULL, NULL, NULL, NULL, PASS},
    {ETAG, NULL, NULL, NULL, PASS},
    {"0x8DC1", NULL, NULL, NULL, PASS}, /* Java */
    {"\"other\", " ETAG, NULL, NULL, NULL, PASS},
    {"\"a,b\"," ETAG ",", NULL, NULL, NULL, PASS},
    {"*", NULL, NULL, NULL, PASS},
    {"\"other\"", NULL, NULL, NULL, FAILED},
    {"\"0x8dc1\"", NULL, NULL, NULL, FAILED}, /* case counts */
    {"W/" ETAG, NULL, NULL, NULL, FAILED},    /* strong comparison */
    {"\"x, 0x8DC1\"", NULL, NULL, NULL, FAILED},
    {"", NULL, NULL, NULL, ASK},
    {" , ", NULL, NULL, NULL, ASK},
    {NULL, ETAG, NULL, NULL, NOT},
    {NULL, "0x8DC1", NULL, NULL, NOT},
    {NULL, "W/" ETAG, NULL, NULL, NOT}, /* weak comparison */
    {NULL, "\"a\"," ETAG, NULL, NULL, NOT},
    {NULL, "*", NULL, NULL, ASK},
    {NULL, "\"a\", *", NULL, NULL, ASK},
    {NULL, "\"other\"", NULL, NULL, PASS},
    {NULL, "", NULL, NULL, ASK},
    {NULL, NULL, BEFORE, NULL, PASS},
    {NULL, NULL, AT, NULL, NOT},
    {NULL, NULL, AFTER, NULL, NOT},
    {NULL, NULL, "yesterday", NULL, ASK},
    {NULL, NULL, "Sunday, 06-Nov-94 08:49:37 GMT", NULL, ASK},
    {NULL, NULL, NULL, "Sun Nov  6 08:49:37 1994", ASK},
    {NULL, NULL, "Mon, 06 Nov 1994 08:49:37 GMT", NULL, ASK},
    {NULL, NULL, NULL, BEFORE, FAILED},
    {NULL, NULL, NULL, AT, PASS},
    {NULL, NULL, NULL, AFTER, PASS},
    {NULL, NULL, NULL, "", ASK},
    /* If-Match and If-Unmodified-Since must both hold: neither makes the other ignored. */
    {ETAG, NULL, NULL, BEFORE, FAILED},
    {"\"other\"", NULL, NULL, AFTER, FAILED},
    {ETAG, NULL, NULL, AFTER, PASS},
    /* Of If-None-Match and If-Modified-Since one that holds is enough. */
    {NULL, ETAG, BEFORE, NULL, PASS},
    {NULL, ETAG, AFTER, NULL, NOT},
    {NULL, "\"other\"", AFTER, NULL, PASS},
    {NULL, "\"other\"", BEFORE, NULL, PASS},
    /* A 412 comes before a 304, and a malformed date before both. */
    {"\"other\"", ETAG, NULL, NULL, FAILED},
    {ETAG, ETAG, NULL, NULL, NOT},
    {ETAG, ETAG, BEFORE, BEFORE, FAILED},
    {ETAG, ETAG, AFTER, AFTER, NOT},
    {"\"other\"", NULL, "yesterday", NULL, ASK},
};

static void add(struct http_headers *headers, const char *name, const char *value)
{
    if (value != NULL)
        http_headers_add(headers, str_from(name), str_from(value));
}

static void table(struct arena *arena)
{
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct http_headers headers = {.arena = arena};
        add(&headers, "if-match", rows[i].match);
        add(&headers, "If-None-Match", rows[i].none_match);
        add(&headers, "If-Modified-Since", rows[i].modified);
        add(&headers, "IF-UNMODIFIED-SINCE", rows[i].unmodified);
        is_int(precondition_evaluate(&headers, STR(ETAG), AT_SECONDS), rows[i].expected, "row %u: %s %s %s %s", i,
               rows[i].match == NULL ? "-" : rows[i].match, rows[i].none_match == NULL ? "-" : rows[i].none_match,
               rows[i].modified == NULL ? "-" : rows[i].modified,
               rows[i].unmodified == NULL ? "-" : rows[i].unmodified);
    }
}

static void fields(struct arena *arena)
{
    struct http_headers headers = {.arena = arena};
    add(&headers, "If-None-Match", "\"a\"");
    add(&headers, "If-None-Match", ETAG);
    is_int(precondition_evaluate(&headers, STR(ETAG), AT_SECONDS), NOT, "a list over two fields");
    add(&headers, "If-Modified-Since", BEFORE);
    is_int(precondition_evaluate(&headers, STR(ETAG), PRECONDITION_NO_DATE), ASK, "a date, and no Last-Modified");
    add(&headers, "If-Modified-Since", BEFORE);
    is_int(precondition_evaluate(&headers, STR(ETAG), AT_SECONDS), ASK, "a date twice");

    struct http_headers match = {.arena = arena};
    ok(precondition_single_match(&match).ptr == NULL, "no If-Match, no single tag");
    add(&match, "If-Match", " " ETAG " ");
    is_text(precondition_single_match(&match), ETAG, "the single tag");
    match.items[0].value = STR("*");
    ok(precondition_single_match(&match).ptr == NULL, "a star is none");
    match.items[0].value = STR("\"a\", \"b\"");
    ok(precondition_single_match(&match).ptr == NULL, "nor are two");
    match.items[0].value = STR("\"a\"");
    add(&match, "If-Match", "\"b\"");
    ok(precondition_single_match(&match).ptr == NULL, "nor two fields");
}

static void tags(void)
{
    ok(etag_eq_strong(STR("\"a\""), STR("a")), "quotes or not");
    ok(!etag_eq_strong(STR("W/\"a\""), STR("W/\"a\"")), "weak tags are never strongly equal");
    ok(!etag_eq_strong(STR(""), STR("")) && !etag_eq_strong(STR("\"\""), STR("\"\"")), "nothing is equal to no tag");
    ok(!etag_eq_strong(STR("\""), STR("a")), "half a quote is no quote");
}

int main(void)
{
    struct arena *arena = arena_new();
    table(arena);
    fields(arena);
    tags();
    arena_free(arena);
    return done_testing();
}
