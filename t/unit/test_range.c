/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges: what is one, what it is of a length, and Content-Range. Overflow at every number. */
#include "tap.h"

#include "http/range.h"

static void parses(void)
{
    static const struct {
        const char *text;
        enum range_kind kind;
        uint64_t first, last;
    } rows[] = {
        {"bytes=0-0", RANGE_BYTES, 0, 0},
        {"bytes=0-", RANGE_BYTES, 0, RANGE_TO_END},
        {"bytes=5-10", RANGE_BYTES, 5, 10},
        {"Bytes=5-10", RANGE_BYTES, 5, 10},
        {" bytes=5-10 ", RANGE_BYTES, 5, 10},
        {"bytes=00005-0010", RANGE_BYTES, 5, 10},
        {"bytes=9223372036854775807-", RANGE_BYTES, INT64_MAX, RANGE_TO_END},
        {"bytes=9223372036854775808-", RANGE_BYTES, INT64_MAX, RANGE_TO_END},
        {"bytes=0-18446744073709551615", RANGE_BYTES, 0, INT64_MAX},
        {"bytes=0-99999999999999999999999999", RANGE_BYTES, 0, INT64_MAX},
        {"bytes=18446744073709551617-18446744073709551618", RANGE_BYTES, INT64_MAX, INT64_MAX},
        {"bytes=-5", RANGE_SUFFIX, 0, 5},
        {"bytes=-0", RANGE_SUFFIX, 0, 0},
        {"bytes=0-1,3-4", RANGE_MULTI, 0, 0},
        {"bytes=0-1, -4", RANGE_MULTI, 0, 0},
        {"bytes=0-1,", RANGE_MALFORMED, 0, 0},
        {"bytes=,", RANGE_MALFORMED, 0, 0},
        {"bytes=0-1,x", RANGE_MALFORMED, 0, 0},
        {"bytes=5-4", RANGE_MALFORMED, 0, 0},
        {"bytes=", RANGE_MALFORMED, 0, 0},
        {"bytes=-", RANGE_MALFORMED, 0, 0},
        {"bytes=--1", RANGE_MALFORMED, 0, 0},
        {"bytes=1", RANGE_MALFORMED, 0, 0},
        {"bytes=1-2-3", RANGE_MALFORMED, 0, 0},
        {"bytes=a-b", RANGE_MALFORMED, 0, 0},
        {"bytes=1 -2", RANGE_MALFORMED, 0, 0},
        {"bytes= 1-2", RANGE_MALFORMED, 0, 0},
        {"bytes=+1-2", RANGE_MALFORMED, 0, 0},
        {"bytes 0-1", RANGE_MALFORMED, 0, 0},
        {"items=0-1", RANGE_MALFORMED, 0, 0},
        {"bytes", RANGE_MALFORMED, 0, 0},
        {"", RANGE_MALFORMED, 0, 0},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct range range = range_parse(str_from(rows[i].text));
        bool same = range.kind == rows[i].kind && range.first == rows[i].first && range.last == rows[i].last;
        ok(same || (range.kind == rows[i].kind && range.kind >= RANGE_MULTI), "'%s'", rows[i].text);
    }
    is_int(range_parse(STR_NULL).kind, RANGE_NONE, "no header, no range");
}

static void resolves(const char *text, uint64_t length, enum range_fit fit, uint64_t first, uint64_t last,
                     uint64_t bytes)
{
    struct range_span span = {0};
    enum range_fit got = range_resolve(range_parse(str_from(text)), length, &span);
    ok(got == fit && (fit == RANGE_UNSATISFIABLE || (span.first == first && span.last == last && span.bytes == bytes)),
       "'%s' of %llu bytes", text == NULL ? "" : text, (unsigned long long) length);
}

static void fits(void)
{
    resolves(NULL, 10, RANGE_WHOLE, 0, 9, 10);
    resolves(NULL, 0, RANGE_WHOLE, 0, 0, 0);
    resolves("bytes=0-1,3-4", 10, RANGE_WHOLE, 0, 9, 10);
    resolves("lines=1-2", 10, RANGE_WHOLE, 0, 9, 10);
    resolves("bytes=0-9", 10, RANGE_PARTIAL, 0, 9, 10);
    resolves("bytes=0-", 10, RANGE_PARTIAL, 0, 9, 10);
    resolves("bytes=9-", 10, RANGE_PARTIAL, 9, 9, 1);
    resolves("bytes=9-10", 10, RANGE_PARTIAL, 9, 9, 1);
    resolves("bytes=3-99999999999999999999", 10, RANGE_PARTIAL, 3, 9, 7);
    resolves("bytes=10-", 10, RANGE_UNSATISFIABLE, 0, 0, 0);
    resolves("bytes=99999999999999999999-", 10, RANGE_UNSATISFIABLE, 0, 0, 0);
    resolves("bytes=0-0", 0, RANGE_UNSATISFIABLE, 0, 0, 0);
    resolves("bytes=0-", 0, RANGE_UNSATISFIABLE, 0, 0, 0);
    resolves("bytes=-3", 10, RANGE_PARTIAL, 7, 9, 3);
    resolves("bytes=-30", 10, RANGE_PARTIAL, 0, 9, 10);
    resolves("bytes=-0", 10, RANGE_UNSATISFIABLE, 0, 0, 0);
    resolves("bytes=-1", 0, RANGE_UNSATISFIABLE, 0, 0, 0);
    resolves("bytes=9223372036854775807-", INT64_MAX, RANGE_UNSATISFIABLE, 0, 0, 0);
    resolves("bytes=9223372036854775806-", INT64_MAX, RANGE_PARTIAL, INT64_MAX - 1, INT64_MAX - 1, 1);
}

static void content_ranges(void)
{
    static const char *const good[] = {"bytes 0-0/1", "bytes 5-9/10",
                                       "bytes 0-4/*", "bytes */0",
                                       "bytes */12",  "bytes 0-9223372036854775805/9223372036854775806"};
    for (unsigned i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct content_range range;
        char text[CONTENT_RANGE_MAX];
        is_int(content_range_parse(str_from(good[i]), &range), STATUS_OK, "good row %u", i);
        is_int(content_range_format(&range, text), strlen(good[i]), "its length");
        is_str(text, good[i], "and text");
    }
    static const char *const bad[] = {
        "",
        "bytes",
        "bytes ",
        "bytes=0-1/2",
        "bytes 0-1",
        "bytes 0-1/",
        "bytes 1-0/2",
        "bytes 0-2/2",
        "bytes 0-0/0",
        "bytes */*",
        "bytes */",
        "bytes 0-1/2x",
        "bytes 0-1/2 3",
        "bytes -1/2",
        "bytes 0-/2",
        "bytes 0--1/1",
        "items 0-1/2",
        "bytes 0-1/99999999999999999999",
        "bytes 0-9223372036854775807/*",
        "bytes 0-99999999999999999999/*",
        "bytes * /5",
        "0-1/2",
    };
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct content_range range;
        is_int(content_range_parse(str_from(bad[i]), &range), STATUS_INVALID, "'%s' is none", bad[i]);
    }
    struct content_range largest = {
        .first = UINT64_MAX, .last = UINT64_MAX, .length_known = true, .length = UINT64_MAX};
    char text[CONTENT_RANGE_MAX];
    ok(content_range_format(&largest, text) == strlen(text), "the largest numbers have room");
}

int main(void)
{
    parses();
    fits();
    content_ranges();
    return done_testing();
}
