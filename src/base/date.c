/* SPDX-License-Identifier: Apache-2.0 */
/*
 * date.c: HTTP dates (RFC 9110, 5.6.7): IMF-fixdate both ways, and on reading the RFC 850 and asctime forms too. A
 * day's name that does not fit the date is let pass: nothing depends on it. ISO 8601 is only written; what Azure reads
 * of it is in blob/sas.c.
 */
#include "base/date.h"

#include "base/civil.h"
#include "base/clock.h"

static const char month_names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
static const char day_names[] = "ThuFriSatSunMonTueWed"; /* 1970-01-01 was a Thursday */

/* Takes a three-letter name; its number from 1, 0 when there is none. */
static int take_name(struct str *text, const char *names)
{
    for (int i = 0; names[i * 3] != '\0'; i++)
        if (str_take(text, (struct str){names + i * 3, 3}))
            return i + 1;
    return 0;
}

static bool take_month(struct str *text, struct civil *c)
{
    c->month = take_name(text, month_names);
    return c->month != 0;
}

static bool take_time(struct str *text, struct civil *c)
{
    return str_take_digits(text, 2, &c->hour) && str_take(text, STR(":")) && str_take_digits(text, 2, &c->minute) &&
           str_take(text, STR(":")) && str_take_digits(text, 2, &c->second);
}

/* "Sun, 06 Nov 1994 08:49:37 GMT", what follows the day's name. */
static bool parse_fixdate(struct str text, struct civil *c)
{
    return str_take(&text, STR(", ")) && str_take_digits(&text, 2, &c->day) && str_take(&text, STR(" ")) &&
           take_month(&text, c) && str_take(&text, STR(" ")) && str_take_digits(&text, 4, &c->year) &&
           str_take(&text, STR(" ")) && take_time(&text, c) && str_eq(text, STR(" GMT"));
}

/* "Sunday, 06-Nov-94 08:49:37 GMT", what follows "Sun". */
static bool parse_rfc850(struct str text, struct civil *c)
{
    static const struct str tails[] = {STR_INIT("day"), STR_INIT("sday"), STR_INIT("nesday"), STR_INIT("rsday"),
                                       STR_INIT("urday")};
    bool named = false;
    for (unsigned i = 0; i < sizeof tails / sizeof tails[0] && !named; i++)
        named = str_take(&text, tails[i]);
    if (!named || !str_take(&text, STR(", ")) || !str_take_digits(&text, 2, &c->day) || !str_take(&text, STR("-")) ||
        !take_month(&text, c) || !str_take(&text, STR("-")) || !str_take_digits(&text, 2, &c->year) ||
        !str_take(&text, STR(" ")) || !take_time(&text, c) || !str_eq(text, STR(" GMT")))
        return false;
    /* Two digits that seem more than 50 years ahead mean the past century. */
    int this_year = civil_of(clock_wall_s()).year;
    c->year += this_year - this_year % 100;
    if (c->year > this_year + 50)
        c->year -= 100;
    return true;
}

/* "Sun Nov  6 08:49:37 1994", what follows the day's name. */
static bool parse_asctime(struct str text, struct civil *c)
{
    if (!str_take(&text, STR(" ")) || !take_month(&text, c) || !str_take(&text, STR(" ")))
        return false;
    bool day = str_take(&text, STR(" ")) ? str_take_digits(&text, 1, &c->day) : str_take_digits(&text, 2, &c->day);
    return day && str_take(&text, STR(" ")) && take_time(&text, c) && str_take(&text, STR(" ")) &&
           str_take_digits(&text, 4, &c->year) && text.len == 0;
}

bool date_http_parse(struct str text, int64_t *seconds)
{
    struct civil c;
    if (take_name(&text, day_names) == 0)
        return false;
    if (!parse_fixdate(text, &c) && !parse_asctime(text, &c) && !parse_rfc850(text, &c))
        return false;
    return civil_seconds(&c, seconds);
}

static char *put_time(char *at, const struct civil *c)
{
    at = str_put_digits(at, (uint64_t) c->hour, 2);
    at = str_put_digits(str_put(at, STR(":")), (uint64_t) c->minute, 2);
    return str_put_digits(str_put(at, STR(":")), (uint64_t) c->second, 2);
}

void date_http_format(int64_t seconds, char out[DATE_HTTP_LENGTH + 1])
{
    struct civil c = civil_of(seconds);
    int64_t clamped = 0;
    (void) civil_seconds(&c, &clamped);
    int64_t day = (clamped - (clamped % 86400 + 86400) % 86400) / 86400;
    char *at = str_put(out, (struct str){day_names + (day % 7 + 7) % 7 * 3, 3});
    at = str_put_digits(str_put(at, STR(", ")), (uint64_t) c.day, 2);
    at = str_put(str_put(at, STR(" ")), (struct str){month_names + (c.month - 1) * 3, 3});
    at = str_put_digits(str_put(at, STR(" ")), (uint64_t) c.year, 4);
    at = put_time(str_put(at, STR(" ")), &c);
    *str_put(at, STR(" GMT")) = '\0';
}

void date_iso_format(int64_t seconds, char out[DATE_ISO_LENGTH + 1])
{
    struct civil c = civil_of(seconds);
    char *at = str_put_digits(out, (uint64_t) c.year, 4);
    at = str_put_digits(str_put(at, STR("-")), (uint64_t) c.month, 2);
    at = str_put_digits(str_put(at, STR("-")), (uint64_t) c.day, 2);
    *str_put(put_time(str_put(at, STR("T")), &c), STR("Z")) = '\0';
}
