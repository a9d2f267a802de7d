/* SPDX-License-Identifier: Apache-2.0 */
/* test_freshness.c: when a validation still holds, as a table. */
#include "tap.h"

#include <stdint.h>

#include "base/conf.h"
#include "cache/freshness.h"

#define NOW 1700000000

static const struct {
    const char *what;
    int64_t freshness;
    int64_t validated_s;
    int64_t now_s;
    bool holds;
} rows[] = {
    {"5s: at once", 5000, NOW, NOW, true},
    {"5s: after 4s", 5000, NOW - 4, NOW, true},
    {"5s: after 5s", 5000, NOW - 5, NOW, false},
    {"5s: after a day", 5000, NOW - 86400, NOW, false},
    {"5s: never validated", 5000, 0, NOW, false},
    {"5s: a negative time is none", 5000, -1, NOW, false},
    {"5s: the clock was set back", 5000, NOW + 1, NOW, false},
    {"0s: at once", 0, NOW, NOW, false},
    {"999ms is as 0s", 999, NOW, NOW, false},
    {"1s: at once", 1000, NOW, NOW, true},
    {"1999ms: after 1s", 1999, NOW - 1, NOW, false},
    {"immutable: at once", CONF_IMMUTABLE, NOW, NOW, true},
    {"immutable: after ten years", CONF_IMMUTABLE, NOW - 315360000, NOW, true},
    {"immutable: the clock was set back", CONF_IMMUTABLE, NOW + 100, NOW, true},
    {"immutable: never validated", CONF_IMMUTABLE, 0, NOW, false},
    {"a longest time that is not immutable", CONF_IMMUTABLE - 1, 1, NOW, true},
};

int main(void)
{
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        is_int(freshness_holds(rows[i].freshness, rows[i].validated_s, rows[i].now_s), rows[i].holds, "%s",
               rows[i].what);
    return done_testing();
}
