/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fill_fetch.c: a fill's requests: what is asked, whether the reply is what was asked for, and what happens when it
 * breaks.
 *
 * Failures before the reply's head were tried again by the origin client. What breaks behind the head is tried again
 * here, from the byte where it broke, pinned; each byte of progress gives all attempts back. A refused credential is
 * replaced by that of another reader. Another generation ends the fill, and nothing known of the object is believed any
 * more.
 */
#include "base/clock.h"
#include "base/log.h"
#include "cache/fill.h"
#include "cache/flight.h"
#include "http/precondition.h"
#include "http/range.h"

#define FILL_ATTEMPTS 4
#define FILL_BACKOFF_MS 50

static const struct object *fill_object(const struct fill *fill)
{
    return fill->generation->decoded;
}

/* ---- The reply's head. ---- */

/* The reply carries the bytes from our position on, of a whole that is long enough. */
static bool reply_begins_here(const struct fill *fill, const struct http_response *head, uint64_t *length)
{
    struct content_range range;

    if (head->status == 200) {
        *length = (uint64_t) head->content_length;
        return fill->position == 0 && head->content_length > 0;
    }
    if (head->status != 206)
        return false;
    if (content_range_parse(http_headers_get(&head->headers, STR("Content-Range")), &range) != STATUS_OK ||
        range.unsatisfied || !range.length_known || range.first != fill->position)
        return false;
    *length = range.length;
    /* All of what was asked for, as far as the blob goes; else the end would look like a truncation. */
    return range.last + 1 == (fill->end < range.length ? fill->end : range.length) &&
           (head->content_length < 0 || (uint64_t) head->content_length == range.last + 1 - range.first);
}

static enum status check_pinned(const struct fill *fill, const struct http_response *head)
{
    uint64_t length;

    switch (head->status) {
    case 200:
    case 206:
        break;
    case 401:
    case 403:
        return STATUS_DENIED;
    case 404:
    case 409:
    case 410:
    case 412:
    case 416:
        return STATUS_GENERATION_CHANGED;
    default:
        return STATUS_ORIGIN_ERROR;
    }
    if (!etag_eq_strong(http_headers_get(&head->headers, STR("ETag")), fill_object(fill)->etag))
        return STATUS_GENERATION_CHANGED;
    if (!reply_begins_here(fill, head, &length) || length != fill->generation->length)
        return STATUS_BAD_REPLY;
    return STATUS_OK;
}

/* The body that follows the head. */
static void fill_take_body(struct fill *fill)
{
    fill->body = upstream_body(fill->upstream);
    source_listen(fill->body, fill_pump, fill);
    fill->stalled_at = UINT64_MAX;
    if (fill->way != POOL_ORIGIN)
        timer_set(&fill->stall, fill->cache->config.limits.stall_timeout);
}

/* ---- Openings. ---- */

static void opening_settle(struct fill *fill, struct answer *answer, enum status status)
{
    struct fill_opening *opening = fill->opening;
    fill->opening = NULL;
    opening->answer = answer;
    opening->way = fill->way;
    opening->status = status;
    opening->age_s = fill->upstream == NULL ? 0 : upstream_age_s(fill->upstream);
    opening->grant_age_ms = fill->upstream == NULL ? 0 : upstream_grant_age_ms(fill->upstream);
    loop_post(opening->home, &opening->letter);
}

/* No blob came: the owner gets what did, and the fill is over. */
static void opening_failed(struct fill *fill, struct answer *answer, enum status status)
{
    fill_unref(&fill->opening->fill);
    opening_settle(fill, answer, status);
    fill_end(fill, status == STATUS_OK ? STATUS_ORIGIN_ERROR : status);
}

static void opening_refused(void *arg, struct answer *answer, enum status status)
{
    struct fill *fill = arg;
    if (status != STATUS_OK)
        answer_unref(&answer);
    opening_failed(fill, answer, status);
}

static void opening_head(struct fill *fill, const struct http_response *head)
{
    struct answer *answer = answer_new(head);
    uint64_t length;

    if (head->status != 200 && head->status != 206) {
        answer_collect(&fill->collector, &answer, &fill->upstream, fill->cache->config.limits.stall_timeout,
                       opening_refused, fill);
        return;
    }
    if (!reply_begins_here(fill, head, &length)) {
        opening_failed(fill, answer, STATUS_OK); /* an empty blob, or nonsense: the owner sees which */
        return;
    }
    fill_take_body(fill);
    opening_settle(fill, answer, STATUS_OK);
}

/* ---- Requests. ---- */

/* A connection whose other streams move is not silent. */
void fill_look_at_peer(struct timer *timer)
{
    struct fill *fill = CONTAINER_OF(timer, struct fill, stall);
    bool wanted = atomic_load(&fill->pause) == FILL_GOES_ON && fill->generation != NULL;
    if (wanted && fill->position == fill->stalled_at) {
        fill_broken(fill, STATUS_STALLED);
        return;
    }
    fill->stalled_at = wanted ? fill->position : UINT64_MAX;
    timer_set(timer, fill->cache->config.limits.stall_timeout);
}

static void fill_head(void *arg, const struct http_response *head, enum status why)
{
    struct fill *fill = fill_ref(arg);

    fill->head_us = clock_mono_us();
    fill->way = upstream_came_by(fill->upstream);
    if (fill->generation == NULL) {
        if (head == NULL)
            opening_failed(fill, NULL, why);
        else
            opening_head(fill, head);
    } else {
        enum status status = head == NULL ? why : check_pinned(fill, head);
        if (status == STATUS_OK) {
            fill_take_body(fill);
            fill_pump(fill);
        } else {
            fill->attempts = FILL_ATTEMPTS; /* the origin client has tried what is worth trying */
            fill_broken(fill, status);
        }
    }
    fill_unref(&fill);
}

/* An opening is for what is there now, but where others than the record's home are asked. */
static struct str fill_etag(const struct fill *fill)
{
    if (fill->generation != NULL)
        return fill_object(fill)->etag;
    return fill->way == POOL_FORMER || fill->way == POOL_REGION ? fill->asker->request.pin : STR_NULL;
}

static struct upstream_ask fill_ask(struct fill *fill)
{
    return (struct upstream_ask){
        .ranged = true,
        .first = fill->position,
        .last = fill->end - 1,
        .if_match = fill_etag(fill),
        .budget = &fill->place.budget,
        /* An opening asks for the asker, too, unless a member has said that it may. */
        .own = (fill->generation != NULL || fill->asker->request.granted) && !fill->disowned,
        .extent = fill->extent,
        .way = fill->way,
        .granted = fill->generation != NULL || fill->asker->request.granted,
    };
}

void fill_fetch_start(struct fill *fill)
{
    const struct upstream_ask ask = fill_ask(fill);
    const struct upstream_events events = {fill_head, fill};
    fill->sent_us = clock_mono_us();
    fill->head_us = 0;
    fill->began = fill->position;
    fill->upstream = upstream_start(fill->cache, fill->loop, fill->asker, &ask, &events);
}

void fill_fetch_stop(struct fill *fill, enum status why)
{
    fill->body = NULL;
    timer_clear(&fill->stall);
    answer_collector_cancel(&fill->collector);
    upstream_close(&fill->upstream);
    if (fill->opening != NULL) {
        fill_unref(&fill->opening->fill);
        opening_settle(fill, NULL, why == STATUS_OK ? STATUS_CANCELLED : why);
    }
}

/* Goes on with the reader's credential where our own failed, else with another reader's. */
static bool fill_change_credential(struct fill *fill)
{
    const struct upstream_ask ask = fill_ask(fill);
    if (upstream_signed(&fill->asker->request, &ask)) {
        fill->disowned = true;
        return !fill->asker->request.vouched && !fill->asker->request.bare;
    }
    struct asker *other = flight_other_asker(fill, fill->asker);
    grants_drop(fill->cache->grants, &fill->asker->request);
    if (other == NULL)
        return false;
    asker_unref(&fill->asker);
    fill->asker = asker_ref(other);
    return true;
}

/* Whether its generation is what the object is believed to be: a laggard of an old one tells nothing new. */
static bool fill_is_current(const struct fill *fill)
{
    return store_object_current(fill->cache->config.store, fill->generation->object) == fill->generation->id;
}

/* What another node has not brought whole, or oddly, the origin is asked for. That the blob is another by now only a home
 * in this region is believed. */
static bool fill_from_origin(struct fill *fill, enum status why)
{
    if (fill->way == POOL_ORIGIN || fill->generation == NULL || why == STATUS_DENIED ||
        (why == STATUS_GENERATION_CHANGED && fill->way >= POOL_HOME))
        return false;
    fill->way = POOL_ORIGIN;
    fill->attempts = 0;
    fill_fetch_start(fill);
    return true;
}

void fill_broken(struct fill *fill, enum status why)
{
    struct epoch_key key = asker_epoch_key(&fill->asker->request);

    fill_fetch_stop(fill, why);
    if (fill_from_origin(fill, why))
        return;
    switch (why) {
    case STATUS_DENIED:
    case STATUS_NO_CREDENTIAL:
        if (fill_change_credential(fill)) {
            fill->attempts = 0;
            fill_fetch_start(fill);
            return;
        }
        break;
    case STATUS_GENERATION_CHANGED:
        log_event(GENERATION_CHANGED, "account=%s: a blob changed while it was read", fill->asker->request.account);
        if (fill_is_current(fill))
            epochs_bump(fill->cache->epochs, &key, EPOCH_OBJECT);
        break;
    case STATUS_OVER_BUDGET:
        break; /* it has waited for long */
    case STATUS_BAD_REPLY:
        log_event(ORIGIN_BAD_REPLY, "account=%s: a range that was not asked for", fill->asker->request.account);
        break;
    default:
        if (++fill->attempts < FILL_ATTEMPTS && fill->generation != NULL) {
            log_event(ORIGIN_RETRY, "account=%s request=%.*s reason=%s attempt=%u: a fill goes on from where it broke",
                      fill->asker->request.account, STR_ARG(fill->asker->request.id), status_name(why), fill->attempts);
            timer_set(&fill->retry, FILL_BACKOFF_MS << fill->attempts);
            return;
        }
        break;
    }
    fill_end(fill, why);
}
