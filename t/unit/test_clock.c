/* SPDX-License-Identifier: Apache-2.0 */
/* test_clock.c: a wall clock that is set while the process runs. */
#include <time.h>

#include "base/clock.h"
#include "tap.h"

static time_t wall_s = 1000000, mono_s = 500;

/* Ours is found first. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
    *now = (struct timespec){.tv_sec = clock == CLOCK_REALTIME_COARSE ? wall_s : mono_s};
    return 0;
}

int main(void)
{
    is_int(clock_steady_s(), 1000000, "the steady clock begins with the wall's");
    mono_s += 10;
    wall_s += 10;
    is_int(clock_steady_s(), 1000010, "and goes with it");
    wall_s -= 3600;
    is_int(clock_wall_s(), 1000010 - 3600, "the wall clock is set back");
    is_int(clock_steady_s(), 1000010, "the other stays");
    mono_s += 5;
    wall_s += 5;
    is_int(clock_steady_s(), 1000015, "and goes on");
    wall_s += 3600 + 100;
    is_int(clock_steady_s(), 1000115, "set forward, both go");
    wall_s -= 100;
    is_int(clock_steady_s(), 1000115, "set back again, the steady one stays, or what it told before would come again");
    mono_s += 100;
    wall_s += 100;
    is_int(clock_steady_s(), 1000215, "and goes on");
    return done_testing();
}
