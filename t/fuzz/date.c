/* SPDX-License-Identifier: Apache-2.0 */
/*
 * date.c: a date that was understood says the same when it is written and read again; every number of seconds has a
 * date; a SAS' times are bounded.
 */
#include "base/bytes.h"
#include "base/civil.h"
#include "base/date.h"
#include "blob/sas.h"
#include "fuzz.h"

#define FIRST_SECOND INT64_C(-62135596800)
#define LAST_SECOND INT64_C(253402300799)

static int64_t clamp(int64_t seconds)
{
    return seconds < FIRST_SECOND ? FIRST_SECOND : seconds > LAST_SECOND ? LAST_SECOND : seconds;
}

static void written(int64_t seconds)
{
    char text[DATE_HTTP_LENGTH + 1];
    int64_t again;
    date_http_format(seconds, text);
    fuzz_check(strlen(text) == DATE_HTTP_LENGTH);
    fuzz_check(date_http_parse(str_from(text), &again) && again == clamp(seconds));
    struct civil civil = civil_of(seconds);
    fuzz_check(civil_seconds(&civil, &again) && again == clamp(seconds));
    snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02dZ", civil.year, civil.month, civil.day, civil.hour,
             civil.minute, civil.second);
    fuzz_check(sas_time_parse(str_from(text), &again) && again == clamp(seconds));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    struct str text = fuzz_exact(arena, fuzz_input(data, size));
    int64_t seconds;
    if (date_http_parse(text, &seconds)) {
        /* A 60th second of the last minute is the first of the year 10000. */
        fuzz_check(seconds >= FIRST_SECOND && seconds <= LAST_SECOND + 1);
        written(seconds);
    }
    if (sas_time_parse(text, &seconds)) {
        fuzz_check(seconds >= FIRST_SECOND - 86400 && seconds <= LAST_SECOND + 86400);
        written(seconds);
    }
    if (size >= 8)
        written((int64_t) bytes_get64(data));
    arena_free(arena);
    return 0;
}
