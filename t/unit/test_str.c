/* SPDX-License-Identifier: Apache-2.0 */
/* Counted text and the growing buffer. */
#include "tap.h"

#include <stdlib.h>

static void compares(void)
{
    ok(str_eq(STR_NULL, STR("")), "a NULL text equals an empty one");
    ok(str_ieq(STR("ETag"), STR("eTAG")), "case is folded");
    ok(!str_ieq(STR("[tag"), STR("{TAG")), "only letters are folded: '[' is not '{'");
    ok(!str_ieq(STR("ab"), STR("abc")), "lengths count");
    ok(str_starts(STR("abc"), STR("")), "everything begins with nothing");
    ok(!str_starts(STR("ab"), STR("abc")), "a prefix may not be longer");
    ok(str_ends(STR("a-secondary"), STR("-secondary")), "ends");
    ok(!str_ends(STR("b"), STR("ab")), "a suffix may not be longer");
    ok(str_cmp(STR("a"), STR("ab")) < 0 && str_cmp(STR("b"), STR("ab")) > 0 && str_cmp(STR("x"), STR("x")) == 0,
       "order");
    ok(str_cmp(STR("\xff"), STR("a")) > 0, "order is by unsigned bytes");
}

static void splits(void)
{
    struct str rest;
    is_text(str_split(STR("a,b"), ',', &rest), "a", "first part");
    is_text(rest, "b", "rest");
    is_text(str_split(STR("a,"), ',', &rest), "a", "before a final separator");
    ok(rest.ptr != NULL && rest.len == 0, "an empty rest is no NULL text");
    is_text(str_split(STR("a"), ',', &rest), "a", "without a separator");
    ok(rest.ptr == NULL, "no rest is a NULL text");
    is_text(str_trim(STR(" \t a b\t ")), "a b", "trimmed");
    is_int(str_trim(STR(" \t ")).len, 0, "blanks only");
    is_int(str_find(STR_NULL, 'x'), -1, "nothing is found in nothing");
}

static void numbers(void)
{
    int64_t value = 7;
    ok(str_to_int(STR("9223372036854775807"), &value) && value == INT64_MAX, "the largest number");
    const char *const bad[] = {"",   "9223372036854775808", "99999999999999999999999", "-1", "+1", " 1", "1 ", "0x1",
                               "1e3"};
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ok(!str_to_int(str_from(bad[i]), &value), "'%s' is no number", bad[i]);
}

static void taking(void)
{
    struct str text = STR("12-345");
    int value;
    ok(!str_take(&text, STR("13")) && text.len == 6, "what is not in front stays");
    ok(!str_take_digits(&text, 3, &value) && text.len == 6, "nor are there three digits");
    ok(str_take_digits(&text, 2, &value) && value == 12, "but two");
    ok(str_take(&text, STR("-")) && str_eq(text, STR("345")), "and a text");
    ok(!str_take_digits(&text, 4, &value) && str_take_digits(&text, 3, &value) && text.len == 0, "to the end");
}

static void putting(void)
{
    char out[64];
    *str_put_digits(out, 7, 3) = '\0';
    is_str(out, "007", "a fixed number of digits");
    *str_put_digits(out, 12345, 2) = '\0';
    is_str(out, "45", "the last ones");
    *str_put_lower(out, STR("AZaz@[09\xc4")) = '\0';
    is_str(out, "azaz@[09\xc4", "lower case, of ASCII alone");
}

static void put(struct str text, uint64_t number, const char *expected)
{
    char out[64];
    char *end = str_put_number(str_put(out, text), number);
    *end = '\0';
    is_str(out, expected, "%s is put", expected);
}

static void puts_bytes(void)
{
    put(STR("bytes "), 0, "bytes 0");
    put(STR_NULL, 10, "10");
    put(STR("x"), UINT64_MAX, "x18446744073709551615");
    is_int(str_hex_digit('0') + str_hex_digit('9'), 9, "digits");
    is_int(str_hex_digit('a') + str_hex_digit('F'), 25, "letters of either case");
    ok(str_hex_digit('g') < 0 && str_hex_digit('@') < 0 && str_hex_digit('`') < 0 && str_hex_digit('/') < 0 &&
           str_hex_digit(':') < 0 && str_hex_digit('\xe1') < 0,
       "their neighbours are none");
}

static void grows(void)
{
    struct strbuf buf = {0};
    strbuf_adds(&buf, STR_NULL);
    is_str(buf.ptr, "", "an empty addition terminates");
    for (int i = 0; i < 1000; i++)
        strbuf_addf(&buf, "%d,", i % 10);
    is_int(buf.len, 2000, "length");
    is_int(strlen(buf.ptr), 2000, "terminated");
    char *at = strbuf_reserve(&buf, 5);
    memcpy(at, "hello", 5);
    buf.len += 5;
    ok(strcmp(buf.ptr + 2000, "hello") == 0, "what was written into reserved room is terminated");
    strbuf_free(&buf);
    ok(buf.ptr == NULL && buf.len == 0, "freed is empty");
}

int main(void)
{
    compares();
    splits();
    numbers();
    taking();
    putting();
    puts_bytes();
    grows();
    return done_testing();
}
