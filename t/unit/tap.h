/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tap.h: the Test Anything Protocol in a header, for the unit tests. One test program, one file: everything is static.
 * Each check prints a line and returns whether it held; main ends with `return done_testing();`.
 */
#ifndef HEADPOND_T_UNIT_TAP_H
#define HEADPOND_T_UNIT_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

static int tap_count;
static int tap_failed;

__attribute__((format(printf, 4, 0), unused)) static bool tap_line(const char *file, int line, bool good,
                                                                   const char *format, va_list args)
{
    tap_count++;
    if (!good)
        tap_failed++;
    printf("%sok %d - ", good ? "" : "not ", tap_count);
    vprintf(format, args);
    printf("\n");
    if (!good)
        printf("#   at %s line %d\n", file, line);
    fflush(stdout);
    return good;
}

__attribute__((format(printf, 4, 5), unused)) static bool tap_ok(const char *file, int line, bool good,
                                                                 const char *format, ...)
{
    va_list args;
    va_start(args, format);
    tap_line(file, line, good, format, args);
    va_end(args);
    return good;
}

__attribute__((format(printf, 5, 6), unused)) static bool tap_is_int(const char *file, int line, long long got,
                                                                     long long expected, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    tap_line(file, line, got == expected, format, args);
    va_end(args);
    if (got != expected)
        printf("#   got %lld, expected %lld\n", got, expected);
    return got == expected;
}

__attribute__((format(printf, 5, 6), unused)) static bool tap_is_text(const char *file, int line, struct str got,
                                                                      struct str expected, const char *format, ...)
{
    bool good = (got.ptr == NULL) == (expected.ptr == NULL) && str_eq(got, expected);
    va_list args;
    va_start(args, format);
    tap_line(file, line, good, format, args);
    va_end(args);
    if (!good)
        printf("#   got '%.*s', expected '%.*s'\n", STR_ARG(got), STR_ARG(expected));
    return good;
}

/* A condition. */
#define ok(good, ...) tap_ok(__FILE__, __LINE__, (good), __VA_ARGS__)
/* Two integers. */
#define is_int(got, expected, ...)                                                                                     \
    tap_is_int(__FILE__, __LINE__, (long long) (got), (long long) (expected), __VA_ARGS__)
/* Two C strings; NULL is only like NULL. */
#define is_str(got, expected, ...) tap_is_text(__FILE__, __LINE__, str_from(got), str_from(expected), __VA_ARGS__)
/* A struct str and a C string. */
#define is_text(got, expected, ...) tap_is_text(__FILE__, __LINE__, (got), str_from(expected), __VA_ARGS__)

/* Prints a remark. */
__attribute__((format(printf, 1, 2), unused)) static void diag(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("# ");
    vprintf(format, args);
    printf("\n");
    va_end(args);
}

/* Prints the plan; the program's exit code. */
__attribute__((unused)) static int done_testing(void)
{
    printf("1..%d\n", tap_count);
    return tap_failed == 0 ? 0 : 1;
}

#endif
