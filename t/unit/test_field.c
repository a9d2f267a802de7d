/* SPDX-License-Identifier: Apache-2.0 */
/* test_field.c: every byte against the words of RFC 9110, and the replies that have a body. */
#include "http/field.h"

#include "tap.h"

/* tchar (5.6.2), as the grammar has it. */
static bool is_tchar(unsigned c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c != 0 && c < 0x80 && strchr("!#$%&'*+-.^_`|~", (int) c) != NULL);
}

/* field-vchar (VCHAR, obs-text), SP and HTAB (5.5). */
static bool is_value_byte(unsigned c)
{
    return (c >= 0x21 && c <= 0x7e) || c >= 0x80 || c == ' ' || c == '\t';
}

static void test_bytes(void)
{
    bool tokens = true;
    bool values = true;
    for (unsigned c = 0; c < 256; c++) {
        /* At every place of a text longer than a word, so that both ways of looking meet it. */
        for (size_t at = 0; at < 21; at++) {
            char text[] = "abcdefghijklmnopqrstu";
            text[at] = (char) c;
            tokens = tokens && field_token_valid((struct str){text, 21}) == is_tchar(c);
            values = values && field_value_valid((struct str){text, 21}) == is_value_byte(c);
        }
        tokens = tokens && field_is_tchar((char) c) == is_tchar(c);
    }
    ok(tokens, "tokens: each byte at each place");
    ok(values, "values: each byte at each place");
}

static void test_texts(void)
{
    static const struct {
        const char *text;
        size_t size;
        bool token;
        bool value;
    } rows[] = {
        {"", 0, false, true},
        {"x-ms-version", 12, true, true},
        {"Content Length", 14, false, true},
        {"name:", 5, false, true},
        {"a\r\nb: c", 7, false, false},
        {"a\nb", 3, false, false},
        {"a\0b", 3, false, false},
        {"\x7f", 1, false, false},
        {"12345678\x1f", 9, false, false},
        {"\t\t\t\t\t\t\t\t\t", 9, false, true},
        {"caf\xc3\xa9 au lait", 13, false, true},
        {"\xff\xfe\xfd\xfc\x80\x81\x82\x83", 8, false, true},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct str text = {rows[i].text, rows[i].size};
        ok(field_token_valid(text) == rows[i].token && field_value_valid(text) == rows[i].value, "text %u", i);
    }
}

static void test_framing(void)
{
    static const struct {
        enum http_method method;
        int status;
        int64_t length;
        enum http_body body;
        bool announce;
    } rows[] = {
        {HTTP_GET, 200, 10, HTTP_BODY_LENGTH, true},        {HTTP_GET, 200, 0, HTTP_BODY_NONE, true},
        {HTTP_GET, 200, -1, HTTP_BODY_OPEN, false},         {HTTP_HEAD, 200, 10, HTTP_BODY_NONE, true},
        {HTTP_HEAD, 200, 0, HTTP_BODY_NONE, true},          {HTTP_HEAD, 200, -1, HTTP_BODY_NONE, false},
        {HTTP_HEAD, 404, 100, HTTP_BODY_NONE, true},        {HTTP_GET, 204, 0, HTTP_BODY_NONE, false},
        {HTTP_DELETE, 204, 5, HTTP_BODY_NONE, false},       {HTTP_GET, 204, -1, HTTP_BODY_NONE, false},
        {HTTP_GET, 304, 1000, HTTP_BODY_NONE, true},        {HTTP_GET, 304, 0, HTTP_BODY_NONE, false},
        {HTTP_GET, 304, -1, HTTP_BODY_NONE, false},         {HTTP_HEAD, 304, 1000, HTTP_BODY_NONE, true},
        {HTTP_HEAD, 304, 0, HTTP_BODY_NONE, false},         {HTTP_PUT, 201, 0, HTTP_BODY_NONE, true},
        {HTTP_PUT, 201, -1, HTTP_BODY_OPEN, false},         {HTTP_OTHER, 500, 7, HTTP_BODY_LENGTH, true},
        {HTTP_GET, 206, INT64_MAX, HTTP_BODY_LENGTH, true},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct http_framing got = http_reply_framing(rows[i].method, rows[i].status, rows[i].length);
        ok(got.body == rows[i].body && got.announce == rows[i].announce, "method %d, status %d, length %lld",
           rows[i].method, rows[i].status, (long long) rows[i].length);
    }
}

int main(void)
{
    test_bytes();
    test_texts();
    test_framing();
    return done_testing();
}
