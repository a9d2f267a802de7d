/* SPDX-License-Identifier: Apache-2.0 */
/*
 * date.c: HTTP dates (RFC 9110, 5.6.7): IMF-fixdate both ways, RFC 850 and asctime forms on reading. The calendar is
 * done here: the C library's depends on the locale and the time zone, and is no part of a pure function.
 */
#include "http/message.h"

#include <stdio.h>
#include <time.h>

static const char month_names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
static const char day_names[] = "SunMonTueWedThuFriSat";

struct fields {
    int year, month, day; /* month from 1 */
    int hour, minute, second;
};

/* Days from 1970-01-01 to that day of the Gregorian calendar. Years are counted from March, so that the leap day is the
 * last of its year. */
static int64_t days_from_civil(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = y / 400; /* years here are from 1 on */
    int64_t of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t days = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    return era * 146097 + days - 719468;
}

static int month_days(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

static bool fields_seconds(const struct fields *f, int64_t *seconds)
{
    if (f->year < 1 || f->month < 1 || f->day < 1 || f->day > month_days(f->year, f->month))
        return false;
    if (f->hour > 23 || f->minute > 59 || f->second > 60) /* 60: a leap second */
        return false;
    *seconds = days_from_civil(f->year, f->month, f->day) * 86400 + f->hour * 3600 + f->minute * 60 + f->second;
    return true;
}

/* Takes `count` digits off the front. */
static bool take_digits(struct str *text, unsigned count, int *value)
{
    *value = 0;
    if (text->len < count)
        return false;
    for (unsigned i = 0; i < count; i++) {
        char c = text->ptr[i];
        if (c < '0' || c > '9')
            return false;
        *value = *value * 10 + (c - '0');
    }
    text->ptr += count;
    text->len -= count;
    return true;
}

static bool take_text(struct str *text, struct str expected)
{
    if (!str_starts(*text, expected))
        return false;
    text->ptr += expected.len;
    text->len -= expected.len;
    return true;
}

/* Takes a three-letter name; its number from 1, 0 when there is none. */
static int take_name(struct str *text, const char *names)
{
    for (int i = 0; names[i * 3] != '\0'; i++)
        if (take_text(text, (struct str){names + i * 3, 3}))
            return i + 1;
    return 0;
}

static bool take_time(struct str *text, struct fields *f)
{
    return take_digits(text, 2, &f->hour) && take_text(text, STR(":")) && take_digits(text, 2, &f->minute) &&
           take_text(text, STR(":")) && take_digits(text, 2, &f->second);
}

/* "Sun, 06 Nov 1994 08:49:37 GMT", what follows the day's name. */
static bool parse_fixdate(struct str text, struct fields *f)
{
    return take_text(&text, STR(", ")) && take_digits(&text, 2, &f->day) && take_text(&text, STR(" ")) &&
           (f->month = take_name(&text, month_names)) != 0 && take_text(&text, STR(" ")) &&
           take_digits(&text, 4, &f->year) && take_text(&text, STR(" ")) && take_time(&text, f) &&
           take_text(&text, STR(" GMT")) && text.len == 0;
}

/* "Sunday, 06-Nov-94 08:49:37 GMT", what follows "Sun". */
static bool parse_rfc850(struct str text, struct fields *f)
{
    static const struct str tails[] = {{"day", 3}, {"sday", 4}, {"nesday", 6}, {"rsday", 5}, {"urday", 5}};
    bool named = false;
    for (unsigned i = 0; i < sizeof tails / sizeof tails[0] && !named; i++)
        named = take_text(&text, tails[i]);
    if (!named || !take_text(&text, STR(", ")) || !take_digits(&text, 2, &f->day) || !take_text(&text, STR("-")) ||
        (f->month = take_name(&text, month_names)) == 0 || !take_text(&text, STR("-")) ||
        !take_digits(&text, 2, &f->year) || !take_text(&text, STR(" ")) || !take_time(&text, f) ||
        !take_text(&text, STR(" GMT")) || text.len != 0)
        return false;
    /* Two digits that seem more than 50 years ahead mean the past century (RFC 9110, 5.6.7). */
    time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    int this_year = utc.tm_year + 1900;
    f->year += this_year - this_year % 100;
    if (f->year > this_year + 50)
        f->year -= 100;
    return true;
}

/* "Sun Nov  6 08:49:37 1994", what follows the day's name. */
static bool parse_asctime(struct str text, struct fields *f)
{
    if (!take_text(&text, STR(" ")) || (f->month = take_name(&text, month_names)) == 0 || !take_text(&text, STR(" ")))
        return false;
    bool day = take_text(&text, STR(" ")) ? take_digits(&text, 1, &f->day) : take_digits(&text, 2, &f->day);
    return day && take_text(&text, STR(" ")) && take_time(&text, f) && take_text(&text, STR(" ")) &&
           take_digits(&text, 4, &f->year) && text.len == 0;
}

bool http_date_parse(struct str text, int64_t *seconds)
{
    struct fields f;
    /* A day's name that does not fit the date is let pass: nothing depends on it. */
    if (take_name(&text, day_names) == 0)
        return false;
    if (!parse_fixdate(text, &f) && !parse_asctime(text, &f) && !parse_rfc850(text, &f))
        return false;
    return fields_seconds(&f, seconds);
}

void http_date_format(int64_t seconds, char out[HTTP_DATE_LENGTH + 1])
{
    /* Years 0 to 9999 are all that the format can say. */
    if (seconds < INT64_C(-62167219200))
        seconds = INT64_C(-62167219200);
    if (seconds > INT64_C(253402300799))
        seconds = INT64_C(253402300799);
    time_t when = (time_t) seconds;
    struct tm utc;
    gmtime_r(&when, &utc);
    snprintf(out, HTTP_DATE_LENGTH + 1, "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT", day_names + utc.tm_wday * 3,
             (unsigned) utc.tm_mday % 100, month_names + utc.tm_mon * 3, (unsigned) (utc.tm_year + 1900) % 10000,
             (unsigned) utc.tm_hour % 100, (unsigned) utc.tm_min % 100, (unsigned) utc.tm_sec % 100);
}
