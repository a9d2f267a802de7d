/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP and ISO 8601 dates and the calendar under them. */
#include "tap.h"

#include <time.h>

#include "base/civil.h"
#include "base/date.h"

static void parses(void)
{
    static const char *const same[] = {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
                                       "Sun Nov  6 08:49:37 1994"};
    for (unsigned i = 0; i < 3; i++) {
        int64_t seconds = 0;
        ok(date_http_parse(str_from(same[i]), &seconds), "%s", same[i]);
        is_int(seconds, 784111777, "the example of RFC 9110");
    }
    int64_t seconds;
    ok(date_http_parse(STR("Wed, 31 Dec 2025 23:59:60 GMT"), &seconds), "a leap second");
    ok(date_http_parse(STR("Thu, 29 Feb 2024 00:00:00 GMT"), &seconds), "a leap day");
    ok(date_http_parse(STR("Sun Nov 16 08:49:37 1994"), &seconds), "asctime with two digits");
    ok(date_http_parse(STR("Wednesday, 01-Jan-20 00:00:00 GMT"), &seconds) && seconds == 1577836800,
       "the longest name");
    ok(date_http_parse(STR("Monday, 01-Jan-90 00:00:00 GMT"), &seconds) && seconds == 631152000,
       "90 is in the past century");

    static const char *const bad[] = {
        "",
        "Sun",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        " Sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 31 Apr 2024 00:00:00 GMT",
        "Thu, 29 Feb 2023 00:00:00 GMT",
        "Thu, 29 Feb 2100 00:00:00 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:00 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, 06 Nov 19945 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun, -6 Nov 1994 08:49:37 GMT",
        "2024-01-01T00:00:00Z",
        "Sun,06 Nov 1994 08:49:37 GMT",
    };
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ok(!date_http_parse(str_from(bad[i]), &seconds), "'%s' is none", bad[i]);
}

static void formats(void)
{
    char text[DATE_HTTP_LENGTH + 1];
    date_http_format(784111777, text);
    is_str(text, "Sun, 06 Nov 1994 08:49:37 GMT", "IMF-fixdate");
    date_http_format(-1, text);
    is_str(text, "Wed, 31 Dec 1969 23:59:59 GMT", "before 1970");
    date_http_format(INT64_MAX, text);
    is_str(text, "Fri, 31 Dec 9999 23:59:59 GMT", "the last one");
    date_http_format(INT64_MIN, text);
    is_str(text, "Mon, 01 Jan 0001 00:00:00 GMT", "the first one");
    unsigned wrong = 0;
    for (int64_t day = -719162; day <= 2932896; day += 29) { /* years 1 to 9999 */
        int64_t when = day * 86400 + (day * 7919 % 86400 + 86400) % 86400, again;
        time_t clock = (time_t) when;
        struct tm utc;
        char expected[40];
        date_http_format(when, text);
        gmtime_r(&clock, &utc);
        strftime(expected, sizeof expected, "%a, %d %b ", &utc);
        if (!date_http_parse(str_from(text), &again) || again != when || strncmp(text, expected, 12) != 0)
            wrong++;
    }
    is_int(wrong, 0, "what is written reads back, over 9,999 years, and is what the C library says");
}

static void formats_iso(void)
{
    char text[DATE_ISO_LENGTH + 1];
    date_iso_format(784111777, text);
    is_str(text, "1994-11-06T08:49:37Z", "ISO 8601");
    date_iso_format(-1, text);
    is_str(text, "1969-12-31T23:59:59Z", "before 1970");
    date_iso_format(INT64_MAX, text);
    is_str(text, "9999-12-31T23:59:59Z", "the last one");
    date_iso_format(INT64_MIN, text);
    is_str(text, "0001-01-01T00:00:00Z", "the first one");
}

int main(void)
{
    parses();
    formats();
    formats_iso();
    return done_testing();
}
