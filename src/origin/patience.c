/* SPDX-License-Identifier: Apache-2.0 */
/*
 * patience.c: how long an origin may take. One timer a fetch; progress only notes the time, and the timer, when it
 * fires early, is set for the rest. It does not run while we ourselves hold the transfer: a slow reader is no stalled
 * origin, a slow uploader neither.
 */
#include "base/container.h"
#include "origin/fetch.h"

/* libcurl times the connecting itself and has the better words; ours covers waiting for a free connection too. */
#define CONNECT_GRACE_MS 250
/* How often a stopped upload is looked at. */
#define STOPPED_TICK_MS 50

/* The bound on standing still in this phase, or 0 for none. */
static int64_t bound(const struct origin_fetch *fetch)
{
    if (fetch->lingering || fetch->dropping)
        return ORIGIN_LINGER_MS;
    switch (fetch->phase) {
    case ORIGIN_CREDENTIAL:
    case ORIGIN_CONNECT:
        return fetch->limits.connect_timeout > 0 ? fetch->limits.connect_timeout + CONNECT_GRACE_MS : 0;
    case ORIGIN_HEAD:
    case ORIGIN_BUDGET:
        return fetch->limits.first_byte_timeout;
    case ORIGIN_SEND:
    case ORIGIN_BODY:
        return fetch->limits.stall_timeout;
    default:
        return 0;
    }
}

/* It stands still because of us. Whoever lifts that calls origin_patience_resume. */
static bool held(const struct origin_fetch *fetch)
{
    if (fetch->lingering)
        return false;
    return (fetch->phase == ORIGIN_SEND && (fetch->transfer.paused & CURLPAUSE_SEND)) ||
           (fetch->phase == ORIGIN_BODY && (fetch->transfer.paused & CURLPAUSE_RECV));
}

/* An error came before the client had sent all. libcurl then wants to send no more, but does not see the end of the
 * transfer while sending is paused: so it is looked at now and then. */
static bool stopped(const struct origin_fetch *fetch)
{
    return fetch->delivered && fetch->reply.head.status >= 300 && !fetch->upload.finished &&
           (fetch->transfer.paused & CURLPAUSE_SEND);
}

static void on_timer(struct timer *timer)
{
    struct origin_fetch *fetch = CONTAINER_OF(timer, struct origin_fetch, timer);
    if (fetch->phase == ORIGIN_BACKOFF) {
        origin_attempt_start(fetch);
        return;
    }
    const int64_t limit = held(fetch) ? 0 : bound(fetch);
    const int64_t left = fetch->since_ms + limit - loop_now_ms(origin_multi_loop(fetch->transfer.multi));
    if (limit > 0 && left <= 0) {
        origin_fetch_expired(fetch);
        return;
    }
    if (stopped(fetch)) {
        origin_transfer_resume(&fetch->transfer, CURLPAUSE_SEND);
        timer_set(timer, STOPPED_TICK_MS);
    } else if (limit > 0) {
        timer_set(timer, left);
    }
}

void origin_patience_init(struct origin_fetch *fetch)
{
    timer_init(&fetch->timer, origin_multi_loop(fetch->transfer.multi), on_timer);
}

void origin_patience_moved(struct origin_fetch *fetch)
{
    fetch->since_ms = loop_now_ms(origin_multi_loop(fetch->transfer.multi));
}

void origin_patience_resume(struct origin_fetch *fetch)
{
    origin_patience_moved(fetch);
    const int64_t limit = stopped(fetch) ? STOPPED_TICK_MS : bound(fetch);
    if (limit > 0)
        timer_set(&fetch->timer, limit);
    else
        timer_clear(&fetch->timer);
}

void origin_patience_enter(struct origin_fetch *fetch, enum origin_phase phase)
{
    fetch->phase = phase;
    origin_patience_resume(fetch);
}

void origin_patience_fini(struct origin_fetch *fetch)
{
    timer_fini(&fetch->timer);
}
