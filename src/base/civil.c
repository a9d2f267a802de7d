/* SPDX-License-Identifier: Apache-2.0 */
/* civil.c: the calendar. Years are counted from March, so that the leap day is the last of its year. */
#include "base/civil.h"

#define DAYS_BEFORE_1970 719468 /* from 0000-03-01 */
#define DAYS_OF_400_YEARS 146097
#define FIRST_SECOND INT64_C(-62135596800) /* 0001-01-01 */
#define LAST_SECOND INT64_C(253402300799)  /* 9999-12-31 23:59:59 */

static int month_days(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

bool civil_seconds(const struct civil *c, int64_t *seconds)
{
    if (c->year < 1 || c->year > 9999 || c->month < 1 || c->month > 12 || c->day < 1 ||
        c->day > month_days(c->year, c->month))
        return false;
    if (c->hour < 0 || c->hour > 23 || c->minute < 0 || c->minute > 59 || c->second < 0 || c->second > 60)
        return false;
    int64_t year = c->month <= 2 ? c->year - 1 : c->year; /* never negative */
    int64_t of_era = year % 400;
    int64_t of_year = (153 * (c->month + (c->month > 2 ? -3 : 9)) + 2) / 5 + c->day - 1;
    int64_t days =
        year / 400 * DAYS_OF_400_YEARS + of_era * 365 + of_era / 4 - of_era / 100 + of_year - DAYS_BEFORE_1970;
    *seconds = days * 86400 + c->hour * 3600 + c->minute * 60 + c->second;
    return true;
}

struct civil civil_of(int64_t seconds)
{
    if (seconds < FIRST_SECOND)
        seconds = FIRST_SECOND;
    if (seconds > LAST_SECOND)
        seconds = LAST_SECOND;
    int64_t of_day = ((seconds % 86400) + 86400) % 86400;
    int64_t days = (seconds - of_day) / 86400 + DAYS_BEFORE_1970;
    int64_t era = days / DAYS_OF_400_YEARS, of_era = days % DAYS_OF_400_YEARS;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153; /* from March */
    struct civil c;
    c.day = (int) (of_year - (153 * month + 2) / 5 + 1);
    c.month = (int) (month < 10 ? month + 3 : month - 9);
    c.year = (int) (year + era * 400 + (c.month <= 2));
    c.hour = (int) (of_day / 3600);
    c.minute = (int) (of_day / 60 % 60);
    c.second = (int) (of_day % 60);
    return c;
}
