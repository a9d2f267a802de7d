/* SPDX-License-Identifier: Apache-2.0 */
/* reach.c: see reach.h. */
#include "pool/reach.h"

void reach_init(struct reach *reach)
{
    *reach = (struct reach){.failures = 0};
    pthread_mutex_init(&reach->lock, NULL);
}

void reach_fini(struct reach *reach)
{
    pthread_mutex_destroy(&reach->lock);
}

static void set_down(struct reach *reach, bool down)
{
    atomic_store_explicit(&reach->down, down, memory_order_relaxed);
}

bool reach_good(struct reach *reach, int64_t now_ms)
{
    bool back = false;
    pthread_mutex_lock(&reach->lock);
    reach->failures = 0;
    if (!reach_up(reach) && now_ms >= reach->down_until_ms) {
        set_down(reach, false);
        back = true;
    }
    pthread_mutex_unlock(&reach->lock);
    return back;
}

/* How long it stays down this time. */
static int64_t fall(struct reach *reach, int64_t now_ms)
{
    int64_t calm = (now_ms - reach->fell_ms) / REACH_CALM_MS;
    reach->falls = calm < REACH_FALLS_MOST ? reach->falls >> calm : 0;
    int64_t ms = REACH_DOWN_MS << reach->falls;
    if (reach->falls < REACH_FALLS_MOST)
        reach->falls++;
    reach->fell_ms = now_ms;
    return ms;
}

bool reach_failed(struct reach *reach, int64_t now_ms)
{
    bool fell = false;
    pthread_mutex_lock(&reach->lock);
    if (reach->failures++ == 0)
        reach->failing_ms = now_ms;
    bool over = reach->failures >= REACH_FAILURES || now_ms - reach->failing_ms >= REACH_FAILING_MS;
    if (over && reach_up(reach)) {
        int64_t ms = fall(reach, now_ms);
        reach->down_until_ms = now_ms + ms;
        reach->probe_ms = reach->down_until_ms;
        set_down(reach, true);
        fell = true;
    }
    pthread_mutex_unlock(&reach->lock);
    return fell;
}

bool reach_probe_waits(struct reach *reach, int64_t now_ms)
{
    if (reach_up(reach))
        return false;
    pthread_mutex_lock(&reach->lock);
    bool waits = !reach_up(reach) && now_ms >= reach->probe_ms;
    pthread_mutex_unlock(&reach->lock);
    return waits;
}

bool reach_probe_due(struct reach *reach, int64_t now_ms, uint32_t chance)
{
    if (reach_up(reach))
        return false;
    pthread_mutex_lock(&reach->lock);
    bool due = !reach_up(reach) && now_ms >= reach->probe_ms;
    if (due)
        reach->probe_ms = now_ms + REACH_PROBE_MS + chance % (REACH_PROBE_MS / 2 + 1);
    pthread_mutex_unlock(&reach->lock);
    return due;
}
